/** A table whose file is not as it was written. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RealDisk } from '../../../node/runtime/real-disk.ts';
import { TableDamaged, type Put, type Table } from '../../../node/runtime/runtime.ts';
import { temporaryDirectory } from './bench.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const pageBytes = 4_096;
const flagsAt = 18;
const key = (i: number): Buffer => Buffer.from(`key ${String(i).padStart(5, '0')}`);

const write = (table: Table, puts: readonly Put[]): Promise<Error | undefined> => new Promise((resolve) => table.write(puts, resolve));
const close = (table: Table): Promise<void> => new Promise((resolve) => table.close(resolve));

/** A table of some pages, none of which is of any type any more. */
async function damaged(): Promise<Table> {
  const table = new RealDisk(directory.path).openTable();
  await write(table, Array.from({ length: 300 }, (_, i): Put => [key(i), Buffer.alloc(200, i)]));
  await close(table);
  const file = join(directory.path, 'data', 'data.mdb');
  const bytes = readFileSync(file);
  for (let page = 2; page < bytes.length / pageBytes; page++) bytes.writeUInt16LE(0, page * pageBytes + flagsAt);
  writeFileSync(file, bytes);
  return new RealDisk(directory.path).openTable();
}

describe('a table with a page that LMDB can’t have written', () => {
  it('says so to whoever reads, and to whoever writes', async () => {
    const table = await damaged();
    expect(() => table.get(key(7))).toThrow(TableDamaged);
    expect(() => [...table.range(key(0), key(9))]).toThrow(TableDamaged);
    expect(await write(table, [[key(7), Buffer.from('x')]])).toBeInstanceOf(TableDamaged);
    await close(table);
  });
});
