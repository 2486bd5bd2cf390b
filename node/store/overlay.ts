/**
 * Committed versions that are not in the table yet.
 *
 * Writing rows one by one into the table would cost more than half of a transaction's CPU, many of them sorted into one
 * batch cost little; so versions gather here, a hot key's many versions become one row, and reads look here first. There are two
 * generations: the *active* one takes new versions, the *frozen* one is being written by a checkpoint and does not change.
 * A version of the active generation covers the frozen one's, which covers the table's.
 */
import type { Key, Value } from '../../client/wire/messages.ts';
import type { Entry, Head } from './types.ts';

/**
 * A version in the overlay; with version 0, that the key has none: its tombstone was collected, or it should not have been here any more.
 * Never changed, so that whoever reads it may keep it.
 */
export interface OverlayEntry extends Head, Entry {
  readonly partition: number;
  readonly slot: number;
  /** Its branch of leaf digests, counted over all partitions: what lies in one row of the table. */
  readonly branch: number;
  readonly value: Value;
  /** This version's item in the digests. */
  readonly itemA: bigint;
  readonly itemB: bigint;
  /** The item of the version one generation below, which this one replaces in the table; 0 if there is none. */
  readonly baseA: bigint;
  readonly baseB: bigint;
  /** Whether that version is a tombstone. */
  readonly baseIsTombstone: boolean;
}

/** What an entry takes besides its key and value: object, lanes, slots in map and list. Measured, then rounded up. */
const entryOverheadBytes = 400;

export class Generation {
  readonly entries = new Map<Key, OverlayEntry>();
  /** Each branch's keys, in order of their first appearance. */
  readonly keysOf = new Map<number, Key[]>();
  /** Partitions whose `collected` timestamp was set while this generation was active: it rests on the versions up to here. */
  readonly collected = new Map<number, number>();
  bytes = 0;

  set(key: Key, entry: OverlayEntry): void {
    const replaced = this.entries.get(key);
    this.entries.set(key, entry);
    this.bytes += sizeOf(entry.value);
    if (replaced !== undefined) {
      this.bytes -= sizeOf(replaced.value);
      return;
    }
    this.bytes += entryOverheadBytes + key.length;
    const keys = this.keysOf.get(entry.branch);
    if (keys === undefined) this.keysOf.set(entry.branch, [key]);
    else keys.push(key);
  }
}

export class Overlay {
  #active = new Generation();
  #frozen: Generation | null = null;

  get(key: Key): OverlayEntry | undefined {
    return this.#active.entries.get(key) ?? this.#frozen?.entries.get(key);
  }

  getActive(key: Key): OverlayEntry | undefined {
    return this.#active.entries.get(key);
  }

  /** `entry.base*` must be that of the entry it replaces in the active generation, if there is one. */
  set(key: Key, entry: OverlayEntry): void {
    this.#active.set(key, entry);
  }

  /** Takes note of it, for the table. */
  setCollected(partition: number, timestamp: number): void {
    this.#active.collected.set(partition, timestamp);
  }

  forgetCollected(partition: number): void {
    this.#active.collected.delete(partition);
    this.#frozen?.collected.delete(partition);
  }

  /** The keys of a branch, in no order, some of them twice. */
  keysOf(branch: number): Key[] {
    return [...(this.#active.keysOf.get(branch) ?? []), ...(this.#frozen?.keysOf.get(branch) ?? [])];
  }

  /** Ends the active generation and begins a new one. At most one is frozen at a time. */
  freeze(): Generation {
    this.#frozen = this.#active;
    this.#active = new Generation();
    return this.#frozen;
  }

  /** The frozen generation is in the table. */
  drop(): void {
    this.#frozen = null;
  }

  get activeBytes(): number {
    return this.#active.bytes;
  }

  get bytes(): number {
    return this.#active.bytes + (this.#frozen?.bytes ?? 0);
  }

  get isActiveEmpty(): boolean {
    return this.#active.entries.size === 0 && this.#active.collected.size === 0;
  }
}

function sizeOf(value: Value): number {
  return value === null ? 0 : value.length;
}
