/** The table of a simulated disk, open in one process. As in LMDB, all that waits goes into the next commit. */
import { tableKeyBytesMax } from '../../node/runtime/runtime.ts';
import type { CopySteps, Put, Table } from '../../node/runtime/runtime.ts';
import type { SimDisk } from './disk.ts';
import type { SimProcess } from './process.ts';
import type { Event } from './scheduler.ts';

interface Batch {
  readonly puts: readonly Put[];
  readonly originals: readonly Put[];
  readonly done: (error?: Error) => void;
}

export class SimTable implements Table {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  readonly #onClosed: () => void;
  #waiting: Batch[] = [];
  #committing: Batch[] = [];
  #completion: Event | null = null;
  #copying: Event | null = null;
  #closed: (() => void) | null = null;

  constructor(disk: SimDisk, process: SimProcess, onClosed: () => void) {
    this.#disk = disk;
    this.#process = process;
    this.#onClosed = onClosed;
    process.onEnd(() => this.#cut());
  }

  get(key: Buffer): Buffer | undefined {
    return this.#disk.table.get(key);
  }

  range(from: Buffer, to: Buffer): Iterable<{ readonly key: Buffer; readonly value: Buffer }> {
    return { [Symbol.iterator]: () => this.#disk.table.range(from, to) };
  }

  write(puts: readonly Put[], done: (error?: Error) => void): void {
    if (this.#closed !== null) throw new Error('the table is closed');
    for (const [key] of puts) {
      if (key.length === 0 || key.length > tableKeyBytesMax) throw new RangeError(`a key has 1 to ${tableKeyBytesMax} bytes, not ${key.length}`);
    }
    if (!this.#process.effect()) return;
    this.#waiting.push({ puts: puts.map(([key, value]) => [Buffer.from(key), value === null ? null : Buffer.from(value)] as const), originals: [...puts], done });
    this.#commit();
  }

  copy(name: string, note: (bytes: number) => string, { begun, done }: CopySteps): void {
    if (this.#copying !== null) throw new Error('a copy is being made already');
    if (this.#disk.copies.has(name)) throw new Error(`there is a copy ${name} already`);
    if (!this.#process.effect()) return;
    const { scheduler, faults } = this.#disk;
    // As in LMDB the snapshot is taken a moment later, in another thread, but for what has begun to be written before.
    this.#copying = scheduler.after(this.#disk.durationMs(0), this.#process, () => {
      const { table } = this.#disk;
      const bytes = table.rows.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
      this.#copying = scheduler.after(this.#disk.durationMs(bytes), this.#process, () => {
        this.#copying = null;
        if (!faults.full) this.#disk.copies.set(name, { table, note: note(bytes) });
        this.#disk.trace.record(this.#disk.name, faults.full ? 'copy failed' : 'copied', name);
        if (faults.full) done(Object.assign(new Error('the disk is full'), { code: 'ENOSPC' }));
        else done();
        this.#commit();
      });
      begun();
    });
  }

  close(done: () => void): void {
    if (this.#closed !== null) throw new Error('the table is closed');
    this.#closed = done;
    this.#commit();
  }

  /** Begins the next commit, if none is under way. */
  #commit(): void {
    if (this.#completion !== null) return;
    if (this.#waiting.length === 0) return this.#closeIfAsked();
    this.#committing = this.#waiting;
    this.#waiting = [];
    const { faults, random, scheduler } = this.#disk;
    const fails = faults.full || faults.readOnly || (faults.tableFailureChance > 0 && random.chance(faults.tableFailureChance));
    this.#completion = scheduler.after(this.#disk.durationMs(sizeOf(this.#committing)), null, () => {
      this.#completion = null;
      const batches = this.#committing;
      this.#committing = [];
      if (!fails) this.#apply(batches);
      this.#disk.trace.record(this.#disk.name, fails ? 'commit failed' : 'committed', `${batches.length} batches`);
      this.#report(batches, fails ? new Error('the table could not be written: the disk is full or broken') : null);
      this.#commit();
      if (!fails) this.#disk.committed();
    });
  }

  #apply(batches: readonly Batch[]): void {
    for (const { puts, originals } of batches) {
      if (!puts.every(([key, value], i) => same(key, originals[i]![0]) && same(value, originals[i]![1]))) throw new Error('a buffer was changed while it was written to the table');
      this.#disk.table = this.#disk.table.with(puts);
    }
  }

  #report(batches: readonly Batch[], error: Error | null): void {
    for (const { done } of batches) this.#disk.scheduler.after(0, this.#process, () => (error === null ? done() : done(error)));
  }

  #closeIfAsked(): void {
    const closed = this.#closed;
    if (closed === null || this.#copying !== null) return;
    this.#disk.scheduler.after(0, this.#process, () => {
      this.#onClosed();
      closed();
    });
  }

  /** The process has ended: of the commit under way, the first batches may be there. */
  #cut(): void {
    if (this.#completion === null) return;
    this.#disk.scheduler.cancel(this.#completion);
    const kept = this.#disk.random.below(this.#committing.length + 1);
    this.#disk.trace.record(this.#disk.name, 'commit cut', `${kept} of ${this.#committing.length} batches are there`);
    this.#apply(this.#committing.slice(0, kept));
  }
}

function sizeOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, { puts }) => puts.reduce((bytes, [key, value]) => bytes + key.length + (value?.length ?? 0), sum), 0);
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}
