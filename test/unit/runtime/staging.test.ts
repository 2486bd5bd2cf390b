import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Table } from '../../../node/runtime/runtime.ts';
import { RealDisk } from '../../../node/runtime/real-disk.ts';
import { findPoint, isInterrupted, Staging } from '../../../node/runtime/staging.ts';
import { temporaryDirectory } from './bench.ts';

let temporary: ReturnType<typeof temporaryDirectory>;
let directory: string;
beforeEach(() => {
  temporary = temporaryDirectory();
  directory = join(temporary.path, 'n1');
});
afterEach(() => temporary.remove());

const key = (text: string): Buffer => Buffer.from(text);
const closed = (table: Table): Promise<void> => new Promise((done) => table.close(done));

/** The node's table says "later"; its recovery point `p`, "earlier". */
async function prepare(): Promise<string> {
  const table = new RealDisk(directory).openTable();
  const write = (value: string): Promise<void> => new Promise((resolve, reject) => table.write([[key('k'), key(value)]], (error) => (error === undefined ? resolve() : reject(error))));
  await write('earlier');
  await new Promise<void>((resolve, reject) => table.copy('p', () => 'note', { begun: () => {}, done: (error) => (error === undefined ? resolve() : reject(error)) }));
  await write('later');
  await closed(table);
  writeFileSync(join(directory, 'journal', 'old.log'), 'x');
  return findPoint(directory, 'p');
}

async function valueThere(): Promise<string | undefined> {
  const table = new RealDisk(directory).openTable();
  const value = table.get(key('k'))?.toString();
  await closed(table);
  return value;
}

describe('staging a recovery point', () => {
  it('finds it by its name, or where a path says', async () => {
    const point = await prepare();
    expect(point).toBe(join(directory, 'recovery-points', 'p'));
    expect(findPoint(directory, point)).toBe(point);
    expect(() => new Staging(directory, findPoint(directory, 'q'))).toThrow('ENOENT');
  });

  it('changes nothing until it is put in place; then what was there is moved aside', async () => {
    const staging = new Staging(directory, await prepare());
    const table = staging.disk.openTable();
    expect([staging.note, table.get(key('k'))?.toString()]).toEqual(['note', 'earlier']);
    await closed(table);
    expect(await valueThere()).toBe('later');
    const aside = staging.swap('now');
    expect(aside).toBe(join(directory, 'replaced-now'));
    expect(await valueThere()).toBe('earlier');
    expect(readdirSync(join(directory, 'journal'))).toEqual([]);
    expect(readdirSync(aside as string).sort()).toEqual(['data', 'journal']);
    expect(readFileSync(join(aside as string, 'journal', 'old.log'), 'utf8')).toBe('x');
    expect(readdirSync(directory).sort()).toEqual(['data', 'journal', 'recovery-points', 'replaced-now']);
  });

  it('can be given up', async () => {
    new Staging(directory, await prepare()).discard();
    expect([await valueThere(), isInterrupted(directory), existsSync(join(directory, '.restoring'))]).toEqual(['later', false, false]);
  });

  it('is seen when it was cut between two moves, and can be begun again', async () => {
    const point = await prepare();
    new Staging(directory, point);
    expect(isInterrupted(directory)).toBe(false);
    mkdirSync(join(directory, 'replaced-first'));
    renameSync(join(directory, 'data'), join(directory, 'replaced-first', 'data'));
    expect(isInterrupted(directory)).toBe(true);
    expect(new Staging(directory, point).swap('second')).toBe(join(directory, 'replaced-second'));
    expect([await valueThere(), isInterrupted(directory)]).toEqual(['earlier', false]);
  });

  it('is for a node without data too', async () => {
    const point = await prepare();
    const other = join(temporary.path, 'empty');
    mkdirSync(other);
    expect(new Staging(other, point).swap('now')).toBeNull();
    directory = other;
    expect(await valueThere()).toBe('earlier');
  });
});
