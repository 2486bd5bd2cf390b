/** Rows of a store's own that are not found any more, or only as they once were. */
import { describe, expect, it } from 'vitest';
import { caught } from './caught.ts';
import { closeStore, openStore, toValue } from './helpers.ts';
import type { MemoryDisk } from './memory-runtime.ts';

/** A disk on which there is a row of every kind, at two times. */
function disks(): { before: ReadonlyMap<string, Buffer>; disk: MemoryDisk } {
  const opened = openStore();
  const { store, owner, runtime } = opened;
  owner.changes = [['a/b', Buffer.from('1')], ['c', Buffer.from('1')]];
  for (const [i, key] of ['a1', 'b1', 'c2'].entries()) store.install(key.charCodeAt(1) % 4, key, 5, toValue(i === 1 ? null : 'x'));
  store.doubts.doubt([3], 'of a test');
  runtime.advance(2_000);
  const before = new Map(runtime.store.table);
  owner.changes = [['a/b', Buffer.from('2')], ['d', Buffer.from('2')], ['c', null]];
  store.install(1, 'a1', 9, toValue('y'));
  runtime.advance(2_000);
  return { before, disk: closeStore(opened) };
}

const copy = (disk: MemoryDisk): MemoryDisk => ({ ...disk, logs: new Map(disk.logs), table: new Map(disk.table) });

describe('a table', () => {
  it('that has all of its rows opens, again and again', () => {
    const { disk } = disks();
    const first = openStore(copy(disk));
    expect([...first.owner.state].sort()).toEqual([['a/b', '2'], ['d', '2']]);
    openStore(closeStore(openStore(first.runtime.crash(0))));
  });

  it('of which any row that is no data is missing is found damaged', () => {
    const { disk } = disks();
    const names = [...disk.table.keys()].filter((name) => !name.startsWith('d'));
    expect(new Set(names.map((name) => name[0]))).toEqual(new Set(['g', 'm', 'o', 't']));
    for (const name of names) {
      const damaged = copy(disk);
      damaged.table.delete(name);
      expect([name, caught(() => openStore(damaged))]).toEqual([name, expect.objectContaining({ code: 'corrupt-table', message: expect.stringContaining('Move its data directory away') })]);
    }
  });

  it('of which a row of what it remembers is an older one is found damaged', () => {
    const { before, disk } = disks();
    let older = 0;
    for (const [name, row] of disk.table) {
      const was = before.get(name);
      if (!/^[mo]/.test(name) || was === undefined || was.equals(row)) continue;
      older++;
      const damaged = copy(disk);
      damaged.table.set(name, was);
      expect([name, caught(() => openStore(damaged)).code]).toEqual([name, 'corrupt-table']);
    }
    expect(older).toBe(2);
  });

  it('of which a write was refused at first opens all the same', () => {
    const opened = openStore();
    opened.owner.changes = [['a', Buffer.from('1')]];
    opened.runtime.tableError = new Error('no room');
    opened.store.install(1, 'a1', 9, toValue('y'));
    opened.runtime.advance(3_000);
    opened.runtime.tableError = null;
    opened.runtime.advance(5_000);
    expect([...openStore(opened.runtime.crash(0)).owner.state]).toEqual([['a', '1']]);
  });
});
