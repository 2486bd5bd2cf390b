/**
 * A node's doors to the outside: time, chance and network (from `client/wire/environment.ts`), its disk and its log.
 *
 * Two implementations stand behind this interface: the real one beside this file, and the simulated one in
 * `test/sim`, in which disks lose what was not flushed and networks break. No other file of `node/` may touch a
 * clock, a timer, the process, a socket or a file; `test/tidy.test.ts` sees to it.
 */
import type { Connection, Environment } from '../../client/wire/environment.ts';

export interface Runtime extends Environment {
  readonly disk: Disk;
  readonly log: Log;

  /** Accepts connections at this ws:// address. `done` gets an error if the address can't be had. */
  listen(url: string, onConnection: (connection: Connection) => void, done: (error?: Error) => void): Listener;

  /** Stops the node at once: an invariant is broken or the disk can't be trusted, and a wrong vote would be worse. */
  fatal(reason: string, details?: Record<string, unknown>): never;
}

export interface Listener {
  /** Accepts no more. Connections already accepted live on until their owner closes them. */
  close(): void;
}

/** The subset of pino's interface that the node uses. */
export interface Log {
  debug(details: object, event: string): void;
  info(details: object, event: string): void;
  warn(details: object, event: string): void;
  error(details: object, event: string): void;
}

/**
 * One node's disk: log files for the journal, and one ordered table for the data. Reading is synchronous (it happens
 * at start, or hits memory-mapped pages); writing is not, and is durable when `done` is called without an error.
 */
export interface Disk {
  /** The names of the log files, sorted. */
  logs(): string[];
  /** A log file's whole content. */
  readLog(name: string): Buffer;
  /** Opens a log file for writing; creates it with `sizeBytes` zero bytes, durably, if it is not there. */
  openLog(name: string, sizeBytes: number): LogFile;
  /** Renames a log file that is not open, durably: a trimmed segment's blocks serve again under a new name. */
  renameLog(from: string, to: string): void;
  removeLog(name: string): void;
  /** The data table, created if it is not there. At most one is open at a time. */
  openTable(): Table;
  /** The copies of the table that are kept, sorted by name. One that a crash cut is not among them. */
  copies(): KeptCopy[];
  /** Removes a copy; it is gone, durably, when `done` comes without an error. */
  removeCopy(name: string, done: (error?: Error) => void): void;
}

/** A copy of the table, with the text that was written beside it. */
export interface KeptCopy {
  readonly name: string;
  readonly note: string;
}

export interface LogFile {
  /** Writes the chunks one after another from `position` on and makes them durable. At most one write is under way. */
  write(position: number, chunks: readonly Uint8Array[], done: (error?: Error) => void): void;
  close(): void;
}

/** The longest key of a table: what LMDB takes with pages of 4 KiB. Writing a longer one, or an empty one, throws a RangeError. */
export const tableKeyBytesMax = 1_978;

/** A key to write, with its value, or null to remove it. The buffers must not be changed afterwards. */
export type Put = readonly [key: Buffer, value: Buffer | null];

/** What was found in the table can't have been written there. Thrown by whatever reads it, and told of writes that met it. */
export class TableDamaged extends Error {
  override readonly name = 'TableDamaged';
}

/** An ordered key-value store (bytewise order) whose batches are atomic and durable. */
export interface Table {
  /** A value committed before, or undefined. The buffer is the caller's to keep. */
  get(key: Buffer): Buffer | undefined;
  /** Entries with from <= key < to, in order, as they were when the iteration began. */
  range(from: Buffer, to: Buffer): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
  /** Writes all puts or none; durable, and visible to `get`, when `done` comes without an error. In order of calls. */
  write(puts: readonly Put[], done: (error?: Error) => void): void;
  /**
   * Keeps a copy of the whole table under a name that is free, while reads and writes go on. `note` is asked for the text
   * to write beside it when the copy's size is known. At most one is made at a time.
   */
  copy(name: string, note: (bytes: number) => string, steps: CopySteps): void;
  /** Closes when writes and a copy under way have ended. */
  close(done: () => void): void;
}

export interface CopySteps {
  /** What is written from now on is not in the copy; everything written before is. Not called if it fails earlier. */
  begun(): void;
  /** The copy is durable. With an error there is none: `code` is ENOSPC if the disk has no room for it. */
  done(error?: NodeJS.ErrnoException): void;
}
