/**
 * A node's data directory: `journal/` holds the log files, `data/` the table, `recovery-points/` the copies of it that are kept.
 *
 * Whatever changes a directory (create, rename, remove) is followed by a flush of that directory: without it a power
 * loss may bring the old names back, and the journal would replay a segment that was trimmed long ago.
 */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { LmdbTable } from './lmdb-table.ts';
import { RealLogFile, syncDirectory } from './log-file.ts';
import type { Disk, KeptCopy, LogFile, Table } from './runtime.ts';
import { TableCopies } from './table-copies.ts';

export class RealDisk implements Disk {
  readonly #journal: string;
  readonly #data: string;
  readonly #copies: TableCopies;
  readonly #open = new Set<string>();
  #tableIsOpen = false;

  /** Makes the directory if need be. Throws what the file system throws. */
  constructor(directory: string) {
    this.#journal = join(directory, 'journal');
    this.#data = join(directory, 'data');
    makeDirectory(this.#journal);
    makeDirectory(this.#data);
    this.#copies = new TableCopies(join(directory, 'recovery-points'));
  }

  logs(): string[] {
    return fs.readdirSync(this.#journal).sort();
  }

  readLog(name: string): Buffer {
    return fs.readFileSync(this.#path(name));
  }

  openLog(name: string, sizeBytes: number): LogFile {
    this.#refuseOpen(name);
    this.#open.add(name);
    return new RealLogFile(this.#path(name), sizeBytes, () => this.#open.delete(name));
  }

  renameLog(from: string, to: string): void {
    this.#refuseOpen(from);
    this.#refuseOpen(to);
    fs.renameSync(this.#path(from), this.#path(to));
    syncDirectory(this.#journal);
  }

  removeLog(name: string): void {
    this.#refuseOpen(name);
    fs.rmSync(this.#path(name));
    syncDirectory(this.#journal);
  }

  openTable(): Table {
    if (this.#tableIsOpen) throw new Error('the table is open already');
    this.#tableIsOpen = true;
    const table = new LmdbTable(this.#data, this.#copies, () => {
      this.#tableIsOpen = false;
    });
    syncDirectory(this.#data);
    return table;
  }

  copies(): KeptCopy[] {
    return this.#copies.list();
  }

  removeCopy(name: string, done: (error?: Error) => void): void {
    this.#copies.remove(name, done);
  }

  #refuseOpen(name: string): void {
    if (this.#open.has(name)) throw new Error(`the log file ${name} is open`);
  }

  #path(name: string): string {
    const path = join(this.#journal, name);
    if (dirname(path) !== this.#journal) throw new Error(`${name} is no log file's name`);
    return path;
  }
}

function makeDirectory(directory: string): void {
  if (fs.existsSync(directory)) return;
  makeDirectory(dirname(directory));
  fs.mkdirSync(directory);
  syncDirectory(dirname(directory));
}
