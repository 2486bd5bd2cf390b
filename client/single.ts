/** Calls on a single key, and on no key: a linearizable read, a blind write, every node's status. */
import { Call, type Obstacle } from './call.ts';
import { Commit, type Committer } from './commit.ts';
import type { Inquiry, Member } from './inquiry.ts';
import { orderOfWrite, type Order } from './footprint.ts';
import { encodeKey, type EncodedKey, type Key } from './keys.ts';
import { protocolOf, type OperationOptions, type WriteOptions } from './options.ts';
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

/** What a write resolves to. */
export interface Written {
  /** At which it was committed: larger in every later write of the key. */
  readonly version: number;
  /** The name of the transaction that it was, as logs and `explain` know it. */
  readonly transaction: string;
}

/** A write of one key that depends on nothing: a transaction of one message, repeated while it collides. */
export class WriteCall extends Call<Written> implements Committer {
  readonly #key: Key;
  readonly #encoded: EncodedKey;
  readonly #value: Value;
  readonly #order: Order;
  readonly #protocol: number | null;
  #attempts = 0;
  #commit: Commit | null = null;
  #pause: Timer | null = null;

  constructor(router: Router, key: Key, value: Value, options: WriteOptions | undefined) {
    super(router, options);
    const encoded = encodeKey(key);
    this.#key = key;
    this.#encoded = encoded;
    this.#value = value;
    this.#order = orderOfWrite(encoded, router.partitionOf(encoded), value);
    this.#protocol = protocolOf(options?.protocol, router.settings.protocol);
  }

  protected start(): void {
    this.#attempts++;
    this.router.countAttempt(this.#attempts);
    this.router.cache.forget(this.#encoded);
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
    return { key: this.#key, attempts: this.#attempts, ...(this.#commit?.name !== undefined && { transaction: this.#commit.name }) };
  }

  protected release(): void {
    this.#pause?.cancel();
    this.#commit?.abandon();
  }

  committed(version: Version, isLast: boolean): void {
    if (isLast) this.router.cache.learn(this.#encoded, version, this.#value);
    this.succeed({ version, transaction: this.#commit?.name as string });
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
export interface NodeStatus extends Member {
  /** Whether this client has its answer. If not, `reason` says why, and there is nothing else. */
  readonly reachable: boolean;
  readonly reason?: string;
  /** What the node tells: see its own description of its status. */
  readonly [detail: string]: unknown;
}

/** Every node's status. */
export const statusInquiry: Inquiry<NodeStatus> = {
  message: (request) => [Tag.status, request],
  answered: (node, answer) => {
    const told: unknown = answer[0] === Tag.statusIs ? answer[2] : {};
    return { ...(typeof told === 'object' ? told : {}), ...node, reachable: true };
  },
  silent: (node, reason) => ({ ...node, reachable: false, reason }),
};
