/**
 * A table that keeps account of what it holds beside the data: how many rows, and what they add up to, in one row more.
 *
 * A row whose bits have changed shows itself by its checksum. One that is missing, because the tree has changed by which the table finds
 * it, does not: it looks as if it had never been there. Of data the digests tell. But of what a node remembers of transactions, a missing row
 * is a vote or a floor forgotten, and an old one in its place, of a page that was given up, is no better.
 *
 * Rows of digests and tombstones count by their keys alone: what is in them can be made anew, and a node that finds them damaged goes on.
 */
import type { CopySteps, Put, Table } from '../runtime/runtime.ts';
import { checksumOfRow } from './hash.ts';
import { bookkeepingPut, bookkeepingValue, dataBounds, isMemory, metaKey } from './rows.ts';
import { replaceNode, StoreError } from './store-error.ts';

const inventoryKey = metaKey('inventory');
const nothing = new Uint8Array(0);
const bounds = [[Buffer.from([0]), dataBounds[0]], [dataBounds[1], Buffer.from([0xff])]] as const;

interface Account {
  readonly rows: number;
  readonly sum: number;
}

export class InventoriedTable implements Table {
  readonly #table: Table;
  /** What each row adds. */
  readonly #shares = new Map<string, number>();
  #sum = 0;
  #written: Account = { rows: 0, sum: 0 };

  /** Reads all rows that are no data. */
  constructor(table: Table) {
    this.#table = table;
    for (const [from, to] of bounds) for (const { key, value } of table.range(from, to)) this.#note(key, value);
  }

  /** Throws StoreError 'corrupt-table' unless the rows are those that were written. To be asked when it is known that the table is of the present format. */
  check(): void {
    const row = this.#table.get(inventoryKey);
    if (row !== undefined) this.#written = JSON.parse(bookkeepingValue(inventoryKey, row).toString()) as Account;
    const { rows, sum } = this.#written;
    if (this.#shares.size === rows && this.#sum === sum) return;
    const difference = this.#shares.size === rows ? 'some of them are older ones' : `${rows} were written`;
    throw new StoreError('corrupt-table', `the data table has ${this.#shares.size} rows of bookkeeping, and ${difference}. ${replaceNode}`, { found: this.#shares.size, written: rows });
  }

  get(key: Buffer): Buffer | undefined {
    return this.#table.get(key);
  }

  range(from: Buffer, to: Buffer): Iterable<{ readonly key: Buffer; readonly value: Buffer }> {
    return this.#table.range(from, to);
  }

  /** Batches come in order, and one that was refused comes again before any other, so what they leave is known when they are given. */
  write(puts: readonly Put[], done: (error?: Error) => void): void {
    for (const [key, value] of puts) if (key[0] !== dataBounds[0][0]) this.#note(key, value);
    const account = { rows: this.#shares.size, sum: this.#sum };
    if (account.rows === this.#written.rows && account.sum === this.#written.sum) return this.#table.write(puts, done);
    this.#table.write([...puts, bookkeepingPut(inventoryKey, Buffer.from(JSON.stringify(account)))], (error) => {
      if (error === undefined) this.#written = account;
      done(error);
    });
  }

  copy(name: string, note: (bytes: number) => string, steps: CopySteps): void {
    this.#table.copy(name, note, steps);
  }

  close(done: () => void): void {
    this.#table.close(done);
  }

  #note(key: Buffer, row: Buffer | null): void {
    if (key.equals(inventoryKey)) return;
    const name = key.toString('latin1');
    const before = this.#shares.get(name) ?? 0;
    if (row === null) this.#shares.delete(name);
    // A row too short for a checksum is found damaged by whoever reads it.
    else if (before === 0 || isMemory(key)) this.#shares.set(name, 1 + (isMemory(key) && row.length >= 4 ? row.readUInt32LE(0) : checksumOfRow(key, nothing)));
    this.#sum += (this.#shares.get(name) ?? 0) - before;
  }
}
