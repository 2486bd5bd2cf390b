/** A database in memory that does what it says, or not. */
import type { Counters, Session } from '../../../bench/targets/session.ts';

export interface Faults {
  /** Of acknowledged writes, the one with this number (from 1) has no effect. */
  loses?: number;
  /** The write with this number has its effect, and is reported as failed. */
  doubts?: number;
  /** The update with this number is made of what was there one change before. */
  overwrites?: number;
}

export class FakeSession implements Session {
  readonly data = new Map<string, Buffer>();
  readonly integers = new Map<string, bigint>();
  readonly #faults: Faults;
  readonly #before = new Map<string, Buffer>();
  #writes = 0;

  constructor(faults: Faults = {}) {
    this.#faults = faults;
  }

  async get(key: string): Promise<Buffer | null> {
    await Promise.resolve();
    return this.data.get(key) ?? null;
  }

  put(key: string, value: Buffer): Promise<void> {
    return this.#write(() => void this.data.set(key, value));
  }

  async update(keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<number> {
    const source = this.#writes + 1 === this.#faults.overwrites ? this.#before : this.data;
    const changed = change(keys.map((key) => source.get(key) ?? null));
    for (const key of keys) this.#before.set(key, this.data.get(key) as Buffer);
    await this.#write(() => changed.forEach((value, i) => this.data.set(keys[i] as string, value)));
    return 1;
  }

  async fill(entries: readonly (readonly [string, Buffer])[]): Promise<void> {
    for (const [key, value] of entries) this.data.set(key, value);
  }

  readonly counters: Counters = {
    fill: async (keys, value) => keys.forEach((key) => this.integers.set(key, value)),
    add: (changes) => this.#write(() => changes.forEach(([key, delta]) => this.integers.set(key, (this.integers.get(key) ?? 0n) + delta))),
    read: async (keys) => keys.map((key) => this.integers.get(key) ?? 0n),
  };

  async close(): Promise<void> {}

  async #write(work: () => void): Promise<void> {
    const number = ++this.#writes;
    await Promise.resolve();
    if (number !== this.#faults.loses) work();
    if (number === this.#faults.doubts) throw new Error('nobody knows');
  }
}
