/**
 * The data table in LMDB: a copy-on-write B+tree in a memory-mapped file, whose readers see the last commit.
 *
 * Of the many ways in which lmdb-js writes, one promises what a `Table` promises: the puts of one `batch` enter its
 * queue as one block, its writer thread commits only between blocks, and with `overlappingSync` off the promise
 * resolves after the commit's flush. Three things would break the block, so none of them happens here: an exception
 * between the puts (keys are checked before), and `transactionSync` or `putSync` while a batch is under way (they
 * commit what the thread holds at that moment). A put that fails aborts the whole commit, and the promise of every
 * batch in it is rejected with a `commitError` that says why.
 *
 * A commit writes its pages to places that nothing points to, flushes them, then writes the meta page that points to them. One
 * that fails before leaves everything as it was, and the next one writes its pages anew. Where writing the meta page itself
 * fails, nobody knows which of two trees the file holds; LMDB refuses all further ones until the file was opened anew
 * (MDB_PANIC), and the batches of lmdb-js never end then (3.5, tried with a meta page that could not be written).
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { RootDatabase } from 'lmdb';
import { TableDamaged, tableKeyBytesMax } from './runtime.ts';
import type { CopySteps, Put, Table } from './runtime.ts';
import type { TableCopies } from './table-copies.ts';

/**
 * Address space mapped at the start, not memory and not disk. A table that outgrows it is mapped again, twice as
 * large, while readers hold on to the old map; so begin with more than most tables ever need.
 */
const mapSizeBytes = 64 * 1_024 ** 3;

/** `eventTurnBatching` opens a batch of its own for each turn, whose promise nobody else gets: when a commit fails it ends the process as an unhandled rejection. */
const options = { overlappingSync: false, encoding: 'binary', keyEncoding: 'binary', noMemInit: true, eventTurnBatching: false, mapSize: mapSizeBytes } as const;

/**
 * What LMDB says of a file that it can't have written: a page of the wrong type, one that there is not, another format, a tree that is too
 * deep, a page that is too full, a size that can't be, and whatever it calls unexpected. Its pages have no checksums: a bit that has
 * changed may as well end the process, or hide rows (store/damage.ts).
 */
const damageCodes = new Set([-30_796, -30_797, -30_794, -30_793, -30_787, -30_786, -30_781, -30_779]);
/** The transaction met something that it did not expect: one that reads, damage; one that writes, perhaps a disk that took no page of it, but such a disk says so in its own words sooner or later. */
const brokenTransaction = -30_782;
const brokenWritesInRowMax = 5;

export class LmdbTable implements Table {
  readonly #database: RootDatabase<Buffer, Buffer>;
  readonly #file: string;
  readonly #copies: TableCopies;
  readonly #onClosed: () => void;
  #isCopying = false;
  #hasLeaks = false;
  #brokenInRow = 0;
  /** Closes what may not be closed while it is copied. */
  #close: (() => void) | null = null;

  /** Opens the table in this directory. Throws what LMDB throws when it can't. */
  constructor(directory: string, copies: TableCopies, onClosed: () => void) {
    this.#database = reading(() => open<Buffer, Buffer>({ path: directory, ...options }));
    this.#file = join(directory, 'data.mdb');
    this.#copies = copies;
    this.#onClosed = onClosed;
  }

  get(key: Buffer): Buffer | undefined {
    return reading(() => this.#database.get(key));
  }

  * range(from: Buffer, to: Buffer): Iterable<{ readonly key: Buffer; readonly value: Buffer }> {
    try {
      yield* this.#database.getRange({ start: from, end: to });
    } catch (error) {
      throw whileReading(error);
    }
  }

  write(puts: readonly Put[], done: (error?: Error) => void): void {
    for (const [key] of puts) {
      if (key.length === 0 || key.length > tableKeyBytesMax) throw new RangeError(`a key has 1 to ${tableKeyBytesMax} bytes, not ${key.length}`);
    }
    const database = this.#database;
    let previous: Promise<boolean> | null = null;
    const committed = database.batch(() => {
      for (const [key, value] of puts) {
        const put = value === null ? database.remove(key) : database.put(key, value);
        // The puts of a turn share a promise, which is rejected beside the batch's own.
        if (put !== previous) put.catch(() => {});
        previous = put;
      }
    });
    committed.then(
      () => {
        this.#brokenInRow = 0;
        queueMicrotask(done);
      },
      (error: unknown) => reason(error).then((cause) => queueMicrotask(() => done(this.#judge(cause)))),
    );
  }

  #judge(error: Error): Error {
    this.#brokenInRow = codeOf(error.cause) === brokenTransaction ? this.#brokenInRow + 1 : 0;
    return damageCodes.has(codeOf(error.cause)) || this.#brokenInRow > brokenWritesInRowMax ? damage(error.cause as Error) : error;
  }

  /**
   * LMDB's own copy, in threads of its own. The compacting one: it writes a megabyte at a time, where the other one takes the
   * disk for itself for as long as a gigabyte takes (writes beside it waited 0.2 s instead of 0.06, at their 99th percentile).
   * But it counts on the free list, and refuses a table of which pages have leaked.
   */
  copy(name: string, note: (bytes: number) => string, { begun, done }: CopySteps): void {
    const ended = (error?: NodeJS.ErrnoException): void => {
      this.#isCopying = false;
      if (error === undefined) done();
      else done(error);
      this.#close?.();
    };
    this.#copies.make(name, statSync(this.#file).size, note, (into) => this.#backup(into), { begun, done: ended });
    this.#isCopying = true;
  }

  async #backup(into: string): Promise<void> {
    try {
      await this.#database.backup(into, !this.#hasLeaks);
    } catch (error) {
      if (this.#hasLeaks || !String(error).includes('INCOMPATIBLE')) throw error;
      this.#hasLeaks = true;
      throw new Error('LMDB finds that pages of its file have leaked; try again, and they are copied too', { cause: error });
    }
  }

  close(done: () => void): void {
    this.#close = () => {
      void this.#database.close().then(() => {
        this.#onClosed();
        queueMicrotask(done);
      });
    };
    if (!this.#isCopying) this.#close();
  }
}

function codeOf(error: unknown): number {
  return Number((error as { readonly code?: unknown } | undefined)?.code);
}

function damage(error: Error): TableDamaged {
  return new TableDamaged(`LMDB says ${error.message.trimEnd()}`, { cause: error });
}

/** The error, or what it means: of whatever LMDB threw while it read, or where nobody caught it. */
export function whileReading(error: unknown): unknown {
  const code = codeOf(error);
  return damageCodes.has(code) || code === brokenTransaction ? damage(error as Error) : error;
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw whileReading(error);
  }
}

/** The rejection of a batch names no cause: that comes in a second promise, which is rejected with it. */
async function reason(error: unknown): Promise<Error> {
  try {
    if (error instanceof Error && 'commitError' in error) await error.commitError;
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    return new Error(`the table could not be written: ${words}`, { cause });
  }
  return error instanceof Error ? error : new Error(String(error));
}
