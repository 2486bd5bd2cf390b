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
  value: Uint8Array;
  /** It may have another value by now, or it is not known which it has. */
  isOver: boolean;
  learnedAtMs: number;
  doubts: number;
}

const nothing = new Uint8Array(0);

export class Cache {
  readonly #entries: LRUCache<EncodedKey, Entry> | null;
  readonly #nowMs: () => number;

  /** `bytesMax`: of keys and values, about; 0: nothing is kept. Times are monotonic. */
  constructor(bytesMax: number, nowMs: () => number) {
    this.#entries = bytesMax === 0 ? null : new LRUCache({ maxSize: bytesMax, sizeCalculation: ({ value }, key) => entryOverheadBytes + key.length + value.length });
    this.#nowMs = nowMs;
  }

  /** What is known of the key, if it can be counted on. */
  find(key: EncodedKey): Cached | undefined {
    const entry = this.#entries?.get(key);
    return entry === undefined || entry.isOver || entry.doubts > 0 || this.#nowMs() - entry.learnedAtMs > ageMsMax ? undefined : entry;
  }

  /** It has this value since that version, or had a moment ago. Of an absent key nothing is kept. */
  learn(key: EncodedKey, version: Version, value: Value): void {
    if (this.#entries === null) return;
    const known = this.#entries.peek(key);
    if (known !== undefined && known.version > version) return;
    if (value === null) return this.forget(key);
    const doubts = known === undefined ? 0 : Math.max(0, known.doubts - Number(known.version === version));
    const learnedAtMs = this.#nowMs();
    // A copy: what was decoded may hold on to the frame that it came in.
    const copy = Buffer.from(value);
    if (known?.value.length !== value.length) return void this.#entries.set(key, { version, value: copy, isOver: false, learnedAtMs, doubts });
    // Where the size is the same, `set` would change the order of use alone, which `find` keeps.
    known.version = version;
    known.value = copy;
    known.isOver = false;
    known.learnedAtMs = learnedAtMs;
    known.doubts = doubts;
  }

  /** It may have another value by now. */
  forget(key: EncodedKey): void {
    const entry = this.#entries?.peek(key);
    if (entry !== undefined) entry.isOver = true;
  }

  /** What was found here was out of date. */
  misled(key: EncodedKey): void {
    const version = this.#entries?.peek(key)?.version ?? 0;
    this.#entries?.set(key, { version, value: nothing, isOver: true, learnedAtMs: 0, doubts: doubtsMax });
  }

  clear(): void {
    this.#entries?.clear();
  }
}
