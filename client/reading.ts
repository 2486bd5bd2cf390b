/**
 * Reads of some keys under way: sent to one live replica of each, and to the next one when that is lost. A linearizable read
 * goes to the first in the ring's order, so that reads spread over all nodes; what a transaction reads, it reads at its keys' coordinator.
 *
 * Keys that go to the same node travel together. When a node is lost they may belong apart, so a reading sorts its keys out
 * anew each time it starts: it keeps those that go where its first key goes, and leaves the others to a further reading.
 */
import type { Obstacle } from './call.ts';
import type { Exchange, Peer } from './peer.ts';
import { backoffMs, errorOf, remedyFor } from './retry.ts';
import type { Router } from './routing.ts';
import type { Timer } from './wire/environment.ts';
import { DtpError } from './wire/errors.ts';
import { Tag, type Key, type Value, type Version } from './wire/messages.ts';

export interface Located {
  readonly key: Key;
  readonly partition: number;
}

/** For whom it is read. */
export interface Reader<L extends Located> {
  readonly deadlineAtMs: number;
  /** One more reading is under way; it ends with one call of the others, unless it is abandoned first. */
  readingBegins(reading: Reading<L>): void;
  /** Flat, as the reading's keys: version, value, ... */
  readingArrives(reading: Reading<L>, versionsAndValues: readonly (Version | Value)[]): void;
  readingFails(reading: Reading<L>, error: DtpError): void;
}

/** `get` for linearizable reads, `read` for the latest values of one replica. */
type ReadTag = typeof Tag.get | typeof Tag.read;

/** One node's chance: if it is cut off from the majority, another one may not be. */
const readAttemptMs = 2_000;

export class Reading<L extends Located> implements Exchange {
  readonly #router: Router;
  readonly #tag: ReadTag;
  readonly #reader: Reader<L>;
  #items: readonly L[];
  #peer: Peer | null = null;
  #request = 0;
  #failures = 0;
  #timer: Timer | null = null;
  /** Why it was not answered the last time. */
  obstacle: Obstacle | null = null;

  static start<L extends Located>(router: Router, tag: ReadTag, reader: Reader<L>, items: readonly L[]): void {
    const reading = new Reading(router, tag, reader, items);
    reader.readingBegins(reading);
    reading.#send(null);
  }

  private constructor(router: Router, tag: ReadTag, reader: Reader<L>, items: readonly L[]) {
    this.#router = router;
    this.#tag = tag;
    this.#reader = reader;
    this.#items = items;
  }

  get items(): readonly L[] {
    return this.#items;
  }

  abandon(): void {
    this.#timer?.cancel();
    this.#peer?.forget(this.#request);
    this.#timer = this.#peer = null;
  }

  answered(answer: Parameters<Exchange['answered']>[0]): void {
    const peer = this.#peer;
    this.#peer = null;
    if (answer[0] === Tag.values && answer[2].length > 0 && answer[2].length <= 2 * this.#items.length) return this.#arrived(answer[2]);
    if (answer[0] !== Tag.failed) return this.#reader.readingFails(this, new DtpError('bad-message', `Node ${peer?.id} gave an answer that doesn't fit the question.`));
    this.obstacle = answer;
    switch (remedyFor(answer)) {
      case 'final':
        return this.#reader.readingFails(this, errorOf(answer));
      case 'refresh':
        this.#router.refreshView(peer);
        return this.#later(null);
      case 'elsewhere':
        return this.#later(peer);
      default: // A read has no effect that could be unknown.
        return this.#later(null);
    }
  }

  /** An answer holds the first of what was asked for; the rest is asked for anew. */
  #arrived(versionsAndValues: readonly (Version | Value)[]): void {
    const rest = this.#items.slice(versionsAndValues.length / 2);
    this.#items = this.#items.slice(0, versionsAndValues.length / 2);
    if (rest.length > 0) Reading.start(this.#router, this.#tag, this.#reader, rest);
    this.#items.forEach(({ key }, i) => this.#router.cache.learn(key, versionsAndValues[2 * i] as Version, versionsAndValues[2 * i + 1] as Value));
    this.#reader.readingArrives(this, versionsAndValues);
  }

  lost(): void {
    this.#peer = null;
    this.#send(null);
  }

  #later(avoid: Peer | null): void {
    this.#timer = this.#router.later(backoffMs(this.#router.environment, ++this.#failures), () => this.#send(avoid));
  }

  #send(avoid: Peer | null): void {
    this.#timer = null;
    const peer = this.#peerFor(this.#items[0]!.partition, avoid);
    if (peer === null) {
      this.obstacle = 'unreachable';
      return this.#later(null);
    }
    if (peer.full) return this.#reader.readingFails(this, new DtpError('overloaded', `Too many requests are under way to node ${peer.id}.`, { node: peer.id }));
    if (this.obstacle === 'unreachable') this.obstacle = null;
    const others = this.#part(peer, avoid);
    this.#peer = peer;
    this.#request = peer.expect(this);
    const deadlineMs = Math.max(1, Math.ceil(Math.min(readAttemptMs, this.#reader.deadlineAtMs - this.#router.nowMs())));
    const keys: Key[] = [];
    for (const item of this.#items) keys.push(item.key);
    peer.send([this.#tag, this.#request, deadlineMs, this.#router.epoch, keys]);
    if (others.length > 0) Reading.start(this.#router, this.#tag, this.#reader, others);
  }

  /** What a transaction reads, it reads where it will be committed: nowhere are outcomes known earlier. */
  #peerFor(partition: number, avoid: Peer | null): Peer | null {
    return this.#tag === Tag.get ? this.#router.replicaFor(partition, avoid) : this.#router.coordinatorFor(partition, avoid);
  }

  /** Keeps the keys that go to this node, returns the others. */
  #part(peer: Peer, avoid: Peer | null): readonly L[] {
    if (this.#items.length === 1) return [];
    const here: L[] = [];
    const others: L[] = [];
    for (const item of this.#items) (this.#peerFor(item.partition, avoid) === peer ? here : others).push(item);
    this.#items = here;
    return others;
  }
}
