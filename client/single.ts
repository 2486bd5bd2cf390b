/** Calls on a single key, and on no key: a linearizable read, a blind write, every node's status. */
import { Call, type Obstacle } from './call.ts';
import { Commit, type Committer } from './commit.ts';
import { orderOfWrite, type Order } from './footprint.ts';
import { encodeKey, type Key } from './keys.ts';
import { protocolOf, type OperationOptions, type WriteOptions } from './options.ts';
import type { Answer, Exchange, Peer } from './peer.ts';
import { Reading, type Located, type Reader } from './reading.ts';
import { backoffMs } from './retry.ts';
import type { Router } from './routing.ts';
import type { Timer } from './wire/environment.ts';
import { Tag, type Value, type Version } from './wire/messages.ts';
import type { DtpError } from './wire/errors.ts';

/** A linearizable read of one key. */
export class GetCall<R> extends Call<R> implements Reader<Located> {
  readonly #key: Key;
  readonly #located: Located;
  readonly #view: (version: Version, value: Value) => R;
  #reading: Reading<Located> | null = null;

  constructor(router: Router, key: Key, options: OperationOptions | undefined, view: (version: Version, value: Value) => R) {
    super(router, options);
    const encoded = encodeKey(key);
    this.#key = key;
    this.#located = { key: encoded, partition: router.partitionOf(encoded) };
    this.#view = view;
  }

  protected start(): void {
    Reading.start(this.router, Tag.get, this, [this.#located]);
  }

  protected get inFlight(): boolean {
    return false;
  }

  protected get obstacle(): Obstacle | null {
    return this.#reading?.obstacle ?? null;
  }

  protected details(): Record<string, unknown> {
    return { key: this.#key };
  }

  protected release(): void {
    this.#reading?.abandon();
  }

  readingBegins(reading: Reading<Located>): void {
    this.#reading = reading;
  }

  readingArrives(_reading: Reading<Located>, [version, value]: readonly (Version | Value)[]): void {
    try {
      this.succeed(this.#view(version as Version, value as Value));
    } catch (error) {
      this.fail(error); // The bytes are no value: some other client's work.
    }
  }

  readingFails(_reading: Reading<Located>, error: DtpError): void {
    this.fail(error);
  }
}

/** A write of one key that depends on nothing: a transaction of one message, repeated while it collides. */
export class WriteCall extends Call<{ version: Version }> implements Committer {
  readonly #key: Key;
  readonly #order: Order;
  readonly #protocol: number | null;
  #attempts = 0;
  #commit: Commit | null = null;
  #pause: Timer | null = null;

  constructor(router: Router, key: Key, value: Value, options: WriteOptions | undefined) {
    super(router, options);
    const encoded = encodeKey(key);
    this.#key = key;
    this.#order = orderOfWrite(encoded, router.partitionOf(encoded), value);
    this.#protocol = protocolOf(options?.protocol, router.settings.protocol);
  }

  protected start(): void {
    this.#attempts++;
    this.router.countAttempt(this.#attempts);
    this.#commit = new Commit(this.router, this, this.#order, this.#protocol, false, null);
    this.#commit.start();
  }

  protected get inFlight(): boolean {
    return this.#commit?.inFlight === true;
  }

  protected get obstacle(): Obstacle | null {
    return this.#commit?.obstacle ?? null;
  }

  protected details(): Record<string, unknown> {
    return { key: this.#key, attempts: this.#attempts };
  }

  protected release(): void {
    this.#pause?.cancel();
    this.#commit?.abandon();
  }

  committed(version: Version): void {
    this.succeed({ version });
  }

  aborted(): void {
    this.#commit = null;
    this.#pause = this.router.later(backoffMs(this.router.environment, this.#attempts), () => this.start());
  }

  commitFails(error: DtpError): void {
    this.fail(error);
  }
}

/** One node's own account of itself, or why there is none. */
export interface NodeStatus {
  readonly id: string;
  /** Its address, as the cluster's members know it. */
  readonly url: string;
  /** Whether this client has its answer. If not, `reason` says why, and there is nothing else. */
  readonly reachable: boolean;
  readonly reason?: string;
  /** What the node tells: see its own description of its status. */
  readonly [detail: string]: unknown;
}

/** Asks every node; those that don't answer in time are told as unreachable, so it always succeeds. */
export class StatusCall extends Call<NodeStatus[]> {
  readonly #questions: StatusQuestion[] = [];

  protected start(): void {
    for (const { id, url, peer } of this.router.members) this.#questions.push(new StatusQuestion(id, url, peer, () => this.#check()));
    for (const question of this.#questions) question.ask();
    this.#check();
  }

  protected get inFlight(): boolean {
    return false;
  }

  protected get obstacle(): Obstacle | null {
    return null;
  }

  protected details(): Record<string, unknown> {
    return {};
  }

  protected release(): void {
    for (const question of this.#questions) question.abandon();
  }

  protected override stopped(error: DtpError): void {
    if (error.code !== 'deadline-exceeded') return this.fail(error);
    this.succeed(this.#questions.map((question) => question.answer ?? question.without(`no answer within ${this.timeoutMs} ms`)));
  }

  #check(): void {
    const answers: NodeStatus[] = [];
    for (const { answer } of this.#questions) if (answer !== null) answers.push(answer);
    if (answers.length === this.#questions.length) this.succeed(answers);
  }
}

class StatusQuestion implements Exchange {
  answer: NodeStatus | null = null;
  readonly #id: string;
  readonly #url: string;
  readonly #peer: Peer;
  readonly #done: () => void;
  #request = 0;

  constructor(id: string, url: string, peer: Peer, done: () => void) {
    this.#id = id;
    this.#url = url;
    this.#peer = peer;
    this.#done = done;
  }

  ask(): void {
    if (this.#peer.session === null) {
      this.answer = this.without(this.#peer.downReason || 'it has not answered yet');
      return;
    }
    this.#request = this.#peer.expect(this);
    this.#peer.send([Tag.status, this.#request]);
  }

  abandon(): void {
    this.#peer.forget(this.#request);
  }

  answered(answer: Answer): void {
    const told: unknown = answer[0] === Tag.statusIs ? answer[2] : {};
    this.answer = answer[0] === Tag.failed
      ? this.without(`${answer[2]}: ${answer[3]}`)
      : { ...(typeof told === 'object' ? told : {}), id: this.#id, url: this.#url, reachable: true };
    this.#done();
  }

  lost(): void {
    this.answer = this.without(this.#peer.downReason);
    this.#done();
  }

  without(reason: string): NodeStatus {
    return { id: this.#id, url: this.#url, reachable: false, reason };
  }
}
