/**
 * A simulated disk. It outlives the processes that mount it: what they were told is durable is there when the next
 * one mounts it, and of what was under way at a crash anything may be there that a real disk could have left.
 *
 * A log write that a crash cuts leaves nothing, all, a prefix to the byte, or any subset of its 512-byte sectors, since
 * a drive writes sectors whole but in any order. A table commit leaves all or nothing. Renaming, removing and making
 * a file are durable at once, as the real disk flushes the directory before it returns.
 *
 * Faults come from whoever drives the simulation: `faults` is looked at whenever something begins.
 */
import type { Disk, KeptCopy, LogFile, Table } from '../../node/runtime/runtime.ts';
import { drawLatency } from './latency.ts';
import type { Latency } from './latency.ts';
import { SimLogFile } from './log-file.ts';
import type { SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import { SimTable } from './table.ts';
import { TableImage } from './table-image.ts';
import type { Trace } from './trace.ts';

export interface DiskOptions {
  readonly flush: Latency;
  readonly bytesPerMs: number;
}

/** An NVMe drive, or a virtual one on such. */
export const defaultDisk: DiskOptions = { flush: { baseMs: 0.08, jitterMs: 0.1, tailChance: 0.002, tailMs: 10 }, bytesPerMs: 500_000 };

export interface DiskFaults {
  /** No new blocks: files can't grow, the table can't be written. Preallocated logs still can. */
  full: boolean;
  /** Nothing can be written, made, renamed or removed. What was under way with a directory may have been done all the same. */
  readOnly: boolean;
  /** Everything takes so much longer. */
  delayMs: number;
  /** How often a log write, or a table commit, fails, 0 to 1. */
  logFailureChance: number;
  tableFailureChance: number;
}

/** A disk's content at a moment. */
export interface DiskImage {
  readonly logs: ReadonlyMap<string, Buffer>;
  readonly table: TableImage;
}

export class SimDisk {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly trace: Trace;
  readonly faults: DiskFaults = { full: false, readOnly: false, delayMs: 0, logFailureChance: 0, tableFailureChance: 0 };
  readonly #options: DiskOptions;
  /** Only the open handle of a log changes its bytes. */
  readonly logs = new Map<string, Buffer>();
  table = TableImage.empty;
  /** Something that was durable has changed since: nobody can be held to what stood there. */
  isSpoilt = false;
  /** Bits of it have changed by themselves: it may not know of what it has lost. */
  hasRotted = false;
  readonly copies = new Map<string, { readonly table: TableImage; readonly note: string }>();
  /** What a log write made durable last. */
  lastFlush: { readonly name: string; readonly position: number; readonly bytes: number } | null = null;
  #mountedBy: SimProcess | null = null;
  readonly #commitWatches = new Set<() => void>();

  constructor(name: string, scheduler: Scheduler, random: Random, trace: Trace, options: DiskOptions) {
    this.name = name;
    this.scheduler = scheduler;
    this.random = random;
    this.trace = trace;
    this.#options = options;
  }

  /** The disk as this process uses it, until its end. One process at a time. */
  mount(process: SimProcess): Disk {
    this.#refuseMounted();
    this.#mountedBy = process;
    process.onEnd(() => {
      this.#mountedBy = null;
    });
    return new MountedDisk(this, process);
  }

  /** Calls `seen` whenever something has been written to the table, before its writer hears of it. Gives back what ends that. */
  watchCommits(seen: (end: () => void) => void): () => void {
    const watch = (): void => seen(end);
    const end = (): void => void this.#commitWatches.delete(watch);
    this.#commitWatches.add(watch);
    return end;
  }

  committed(): void {
    for (const watch of [...this.#commitWatches]) watch();
  }

  /** How long it takes to make so many bytes durable. */
  durationMs(bytes: number): number {
    return drawLatency(this.random, this.#options.flush) + bytes / this.#options.bytesPerMs + this.faults.delayMs;
  }

  /** A copy of all that is durable now. */
  image(): DiskImage {
    return { logs: new Map([...this.logs].map(([name, bytes]) => [name, Buffer.from(bytes)])), table: this.table };
  }

  /** Puts an old content back, as restoring a backup does. No process may have it mounted. */
  restore(image: DiskImage): void {
    this.#refuseMounted();
    this.trace.record(this.name, 'restored');
    this.isSpoilt = true;
    this.logs.clear();
    for (const [name, bytes] of image.logs) this.logs.set(name, Buffer.from(bytes));
    this.table = image.table;
  }

  /** Loses everything. No process may have it mounted. */
  wipe(): void {
    this.restore({ logs: new Map(), table: TableImage.empty });
  }

  /** Bit rot: flips one bit of a log. */
  flipLogBit(name: string, byte: number, bit: number): void {
    const bytes = this.logs.get(name);
    if (bytes === undefined || byte >= bytes.length) throw new RangeError(`${this.name} has no byte ${byte} in a log ${name}`);
    this.trace.record(this.name, 'rot', `${name} byte ${byte} bit ${bit}`);
    bytes[byte]! ^= 1 << bit;
    this.isSpoilt = true;
    this.hasRotted = true;
  }

  /** Bit rot: flips one bit of a row's value. Rows are counted in key order. */
  flipTableBit(row: number, byte: number, bit: number): void {
    const value = this.table.rows[row]?.value;
    if (value === undefined || byte >= value.length) throw new RangeError(`${this.name} has no byte ${byte} in a row ${row}`);
    this.trace.record(this.name, 'rot', `row ${row} byte ${byte} bit ${bit}`);
    const rotten = Buffer.from(value);
    rotten[byte]! ^= 1 << bit;
    this.isSpoilt = true;
    this.hasRotted = true;
    this.table = this.table.withValue(row, rotten);
  }

  /** The same in a row's key: it lies somewhere else from now on. Does nothing if there is another row. */
  flipTableKeyBit(row: number, byte: number, bit: number): void {
    const found = this.table.rows[row];
    if (found === undefined || byte >= found.key.length) throw new RangeError(`${this.name} has no byte ${byte} in the key of a row ${row}`);
    const rotten = Buffer.from(found.key);
    rotten[byte]! ^= 1 << bit;
    if (this.table.get(rotten) !== undefined) return;
    this.trace.record(this.name, 'rot', `key of row ${row} byte ${byte} bit ${bit}`);
    this.isSpoilt = true;
    this.hasRotted = true;
    this.table = this.table.with([[found.key, null], [rotten, found.value]]);
  }

  #refuseMounted(): void {
    if (this.#mountedBy !== null) throw new Error(`${this.name} is mounted by ${this.#mountedBy.name}`);
  }
}

class MountedDisk implements Disk {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  readonly #open = new Set<string>();
  #tableIsOpen = false;

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk;
    this.#process = process;
  }

  logs(): string[] {
    return [...this.#disk.logs.keys()].sort();
  }

  readLog(name: string): Buffer {
    return Buffer.from(this.#existing(name));
  }

  openLog(name: string, sizeBytes: number): LogFile {
    this.#refuseOpen(name);
    if (!this.#disk.logs.has(name) && this.#process.condition !== 'dead') this.#disk.logs.set(name, Buffer.alloc(0));
    this.#open.add(name);
    return new SimLogFile(this.#disk, this.#process, name, sizeBytes, () => this.#open.delete(name));
  }

  renameLog(from: string, to: string): void {
    this.#refuseOpen(from);
    this.#refuseOpen(to);
    const bytes = this.#existing(from);
    if (!this.#process.effect()) return;
    this.#changeDirectory('rename', `${from} to ${to}`, () => {
      this.#disk.logs.delete(from);
      this.#disk.logs.set(to, bytes);
      if (this.#disk.lastFlush?.name === from) this.#disk.lastFlush = null;
    });
  }

  removeLog(name: string): void {
    this.#refuseOpen(name);
    this.#existing(name);
    if (!this.#process.effect()) return;
    this.#changeDirectory('remove', name, () => this.#disk.logs.delete(name));
  }

  openTable(): Table {
    if (this.#tableIsOpen) throw new Error('the table is open already');
    this.#tableIsOpen = true;
    return new SimTable(this.#disk, this.#process, () => {
      this.#tableIsOpen = false;
    });
  }

  copies(): KeptCopy[] {
    return [...this.#disk.copies].map(([name, { note }]) => ({ name, note })).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  removeCopy(name: string, done: (error?: Error) => void): void {
    if (!this.#process.effect()) return;
    this.#disk.trace.record(this.#disk.name, 'remove copy', name);
    const isThere = this.#disk.copies.delete(name);
    this.#disk.scheduler.after(this.#disk.durationMs(0), this.#process, () => (isThere ? done() : done(new Error(`there is no copy ${name}`))));
  }

  #changeDirectory(what: string, names: string, change: () => void): void {
    const { faults, random, trace, name } = this.#disk;
    const happens = !faults.readOnly || random.chance(0.3);
    trace.record(name, faults.readOnly ? `${what} refused` : what, names);
    if (happens) change();
    if (faults.readOnly) throw new Error(`${what} ${names}: the file system is read-only`);
  }

  #existing(name: string): Buffer {
    const bytes = this.#disk.logs.get(name);
    if (bytes === undefined) throw new Error(`there is no log file ${name}`);
    return bytes;
  }

  #refuseOpen(name: string): void {
    if (this.#open.has(name)) throw new Error(`the log file ${name} is open`);
  }
}
