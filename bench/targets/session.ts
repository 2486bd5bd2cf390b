/** What a benchmark asks of any database: one connection of a client's process, by whatever driver. */

/** Keys are short ASCII; values are bytes of a fixed length. */
export type Entries = readonly (readonly [key: string, value: Buffer])[];

export interface Session {
  /** Linearizable where the target promises that; null where there is none. */
  get(key: string): Promise<Buffer | null>;
  put(key: string, value: Buffer): Promise<void>;
  /**
   * Reads the keys, lets `change` say what they are to hold, and writes that, if none has changed meanwhile; else again.
   * Keys that are absent are read as null. Resolves to the number of attempts.
   */
  update(keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<number>;
  /** Puts many, as fast as the target takes them; may be cut into as many transactions as it likes. */
  fill(entries: Entries): Promise<void>;
  /** Integers that the server itself adds to. Not every target has them. */
  readonly counters: Counters | null;
  close(): Promise<void>;
}

export interface Counters {
  fill(keys: readonly string[], value: bigint): Promise<void>;
  /** All of them, or none; one call. */
  add(changes: readonly (readonly [key: string, delta: bigint])[]): Promise<void>;
  read(keys: readonly string[]): Promise<bigint[]>;
}

/** Outcomes that nobody knows must be told from failures without effect: an error is taken as the former unless it says so. */
export function isDefinite(error: unknown): boolean {
  return (error as { definite?: boolean }).definite === true;
}

/** In pieces of at most `size`. */
export function batches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/** At most so many at once. */
export async function inParallel<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, async () => {
    for (const item of rest) await work(item);
  }));
}
