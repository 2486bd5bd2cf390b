/**
 * What this client last learned of values, from what its reads and transactions were told and from what it wrote itself.
 *
 * A transaction looks here before it asks a node. All that it has read is checked when it commits, so what is out of date here
 * costs an attempt and is never believed, and what is not saves a round trip. (Optimistic concurrency control with caches at the
 * clients: Adya, Gruber, Liskov and Maheshwari, SIGMOD 1995. Nobody is told here that something has changed: the answer that turns a
 * commit down brings the present values along.)
 *
 * Of a key that others write, too, what is kept here is mostly out of date. So a key that has misled a transaction is doubted: it is
 * asked for until it was found unchanged several times.
 */
import { LRUCache } from 'lru-cache';
import type { EncodedKey } from './keys.ts';
import type { Value, Version } from './wire/messages.ts';

/** How often a key that has misled must be found unchanged before it is believed again. */
const doubtsMax = 4;
/** Older than this, a value is rather asked for: functions had better not run on what was true long ago, even if they will run again. */
const ageMsMax = 60_000;
/** What an entry takes beside its key and value, about. */
const entryOverheadBytes = 200;

export interface Cached {
  readonly version: Version;
  readonly value: Uint8Array;
}

interface Entry {
  version: Version;
  /** Null: it is known that this is over, or nothing was ever known. */
  value: Uint8Array | null;
  learnedAtMs: number;
  doubts: number;
}

export class Cache {
  readonly #entries: LRUCache<EncodedKey, Entry> | null;
  readonly #nowMs: () => number;

  /** `bytesMax`: of keys and values, about; 0: nothing is kept. Times are monotonic. */
  constructor(bytesMax: number, nowMs: () => number) {
    this.#entries = bytesMax === 0 ? null : new LRUCache({ maxSize: bytesMax, sizeCalculation: ({ value }, key) => entryOverheadBytes + key.length + (value?.length ?? 0) });
    this.#nowMs = nowMs;
  }

  /** What is known of the key, if it can be counted on. */
  find(key: EncodedKey): Cached | undefined {
    const entry = this.#entries?.get(key);
    return entry === undefined || entry.value === null || entry.doubts > 0 || this.#nowMs() - entry.learnedAtMs > ageMsMax ? undefined : (entry as Cached);
  }

  /** It has this value since that version, or had a moment ago. Of an absent key nothing is kept. */
  learn(key: EncodedKey, version: Version, value: Value): void {
    if (this.#entries === null) return;
    const known = this.#entries.peek(key);
    if (known !== undefined && known.version > version) return;
    if (value === null) return this.forget(key);
    const learnedAtMs = this.#nowMs();
    // A copy: what was decoded may hold on to the frame that it came in.
    if (known === undefined) return void this.#entries.set(key, { version, value: Buffer.from(value), learnedAtMs, doubts: 0 });
    if (known.version === version) known.doubts = Math.max(0, known.doubts - 1);
    if (known.version !== version || known.value === null) known.value = Buffer.from(value);
    known.version = version;
    known.learnedAtMs = learnedAtMs;
  }

  /** It may have another value by now. */
  forget(key: EncodedKey): void {
    const entry = this.#entries?.peek(key);
    if (entry === undefined) return;
    entry.value = null;
  }

  /** What was found here was out of date. */
  misled(key: EncodedKey): void {
    const version = this.#entries?.peek(key)?.version ?? 0;
    this.#entries?.set(key, { version, value: null, learnedAtMs: 0, doubts: doubtsMax });
  }
}
