/** What a store does about rows that are not as they were: a little in each turn, and nothing half. */
import { describe, expect, it } from 'vitest';
import type { Key } from '../../../client/wire/messages.ts';
import { openStore, toValue, type Opened } from './helpers.ts';

const partition = 2;
const keys = Array.from({ length: 3_000 }, (_, i): Key => `${i}f`);
const [rotten, lost, covered] = [keys[17], keys[1_700], keys[2_900]] as [Key, Key, Key];

/** A row of one partition is damaged, another is gone, a third is damaged and about to be replaced. Some are tombstones. */
function damaged(): Opened {
  const opened = openStore();
  for (const [i, key] of keys.entries()) opened.store.install(partition, key, 5, toValue(i % 10 === 7 ? null : `of ${key}`));
  opened.store.versions.collect(partition, 3);
  opened.runtime.advance(2_000);
  const disk = opened.runtime.crash(0);
  const nameOf = (key: Key): string => [...disk.table.keys()].find((name) => name.startsWith('d') && name.slice(5) === key) as string;
  disk.table.set(nameOf(rotten), Buffer.from('rotten'));
  disk.table.set(nameOf(covered), Buffer.from('rotten too'));
  disk.table.delete(nameOf(lost));
  const again = openStore(disk);
  again.store.install(partition, covered, 9, toValue('newer'));
  return again;
}

const isConsistent = ({ store }: Opened): boolean => Buffer.compare(store.tree.leaves(partition), store.rebuildLeaves(partition)) === 0;

function mend(opened: Opened): number {
  let turns = 0;
  for (; opened.store.doubts.damaged.size > 0; turns++) opened.store.flush();
  opened.runtime.settle();
  return turns;
}

describe('a partition with damage', () => {
  it('is in doubt at once, mended in several turns, and then told to whoever gathers evidence', () => {
    const opened = damaged();
    const { store } = opened;
    let told = 0;
    expect(store.entry(rotten)).toBeUndefined();
    store.doubts.onDoubt = () => told++;
    expect([store.doubts.isSure(partition), [...store.doubts.damaged], store.versions.tombstones.collected(partition)]).toEqual([false, [partition], 0]);
    expect(mend(opened)).toBeGreaterThan(2);
    expect([told, isConsistent(opened), store.doubts.isSure(partition)]).toEqual([1, true, false]);
    expect([rotten, lost].map((key) => store.head(key))).toEqual([undefined, undefined]);
    expect(store.versions.tombstones.kept(partition)).toBe(keys.filter((key, i) => i % 10 === 7 && ![rotten, lost, covered].includes(key)).length);
    for (const key of [rotten, lost]) expect(store.install(partition, key, 5, toValue(`of ${key}`))).toBe(true);
    expect(isConsistent(opened)).toBe(true);
  });

  it('counts its tombstones right whatever is written meanwhile', () => {
    const opened = damaged();
    const { store } = opened;
    store.entry(rotten);
    for (let i = 0; store.doubts.damaged.size > 0; i++) {
      for (const [n, key] of keys.slice(i * 100, i * 100 + 60).entries()) store.install(partition, key, 20 + i, toValue(n % 2 === 0 ? null : 'x'));
      if (i % 2 === 1) opened.runtime.advance(500);
      store.flush();
    }
    const rows = [...store.rows(partition, null)];
    expect([isConsistent(opened), store.versions.tombstones.kept(partition)]).toEqual([true, rows.filter(([, { tombstone }]) => tombstone).length]);
    opened.runtime.advance(2_000);
    const last = openStore(opened.runtime.crash(0));
    expect([isConsistent(last), last.store.versions.tombstones.kept(partition)]).toEqual([true, rows.filter(([, { tombstone }]) => tombstone).length]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('is mended to its end after a crash in between (%i steps)', (steps) => {
    const opened = damaged();
    opened.store.entry(rotten);
    for (let i = 0; i < steps; i++) opened.runtime.step();
    const again = openStore(opened.runtime.crash(0));
    again.store.entry(rotten);
    expect([again.store.doubts.isSure(partition), [...again.store.doubts.damaged], again.store.versions.tombstones.collected(partition)]).toEqual([false, [partition], 0]);
    mend(again);
    expect([isConsistent(again), again.store.head(lost)]).toEqual([true, undefined]);
    again.runtime.advance(2_000);
    const last = openStore(again.runtime.crash(0));
    expect([last.store.doubts.isSure(partition), [...last.store.doubts.damaged], isConsistent(last)]).toEqual([false, [], true]);
  });

  it('is gone through anew if more damage is found behind its back', () => {
    const opened = damaged();
    const { store } = opened;
    store.entry(rotten);
    store.flush();
    store.doubt(partition, 'of a test');
    expect(mend(opened)).toBeGreaterThan(2);
    expect(isConsistent(opened)).toBe(true);
  });
});

describe('a table whose tree is damaged', () => {
  const hide = ({ runtime }: Opened, key: Key): void => void runtime.store.hidden.add([...runtime.store.table.keys()].find((name) => name.startsWith('d') && name.slice(5) === key) as string);

  it('stops the node when what was taken out is there still, and says how to replace it', () => {
    const opened = damaged();
    expect(opened.store.entry(rotten)).toBeUndefined();
    hide(opened, rotten);
    opened.store.flush();
    expect(() => opened.runtime.settle()).toThrow(/the data table is damaged: a row that (was removed from it is still there|is there is not found by its key, or comes twice)\. Move its data directory away.*"code":"corrupt-table"/);
  });

  it('stops the node when a row that is there is not found by its key, twice', () => {
    const opened = damaged();
    hide(opened, keys[40] as Key);
    const branches = opened.store.tree.leavesPerPartition / 16;
    for (let branch = 0; branch < branches; branch++) opened.store.check(partition, branch);
    expect(opened.store.doubts.isSure(partition)).toBe(false);
    expect(() => mend(opened)).toThrow(/the data table is damaged: a row that is there is not found by its key, or comes twice\. Move its data directory away.*"code":"corrupt-table"/);
  });

  it('stops the node when what was mended is damaged again and again', () => {
    const opened = damaged();
    const { table } = opened.runtime.store;
    const again = (): void => {
      opened.store.doubt(partition, 'rows were missing');
      mend(opened);
    };
    again();
    for (let i = 0; i < 4; i++) {
      // Where nothing is found that does not count.
      again();
      table.delete([...table.keys()].find((name) => name.startsWith('d') && name.slice(5) === keys[100 + i]) as string);
      again();
    }
    expect(() => opened.store.doubt(partition, 'rows were missing')).toThrow(/a partition was mended 5 times, and again rows were missing\. Move its data directory away.*"code":"corrupt-table"/);
  });
});
