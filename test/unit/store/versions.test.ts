import { describe, expect, it } from 'vitest';
import { leafOf } from '../../../node/store/hash.ts';
import type { Key } from '../../../client/wire/messages.ts';
import type { Store } from '../../../node/store/store.ts';
import { openStore, partitionOf, partitions, toValue, type Opened } from './helpers.ts';

const value = (store: Opened['store'], key: Key): string | null | undefined => {
  const entry = store.entry(key);
  return entry === undefined ? undefined : (entry.value === null ? null : Buffer.from(entry.value).toString());
};

const inPartition = (partition: number, count: number): Key[] =>
  Array.from({ length: count }, (_, i) => `${String((i * 7_919) % 1_000).padStart(4, '0')}${'dabc'[partition] as string}`);

const settledInTable = ({ runtime }: Opened): void => runtime.advance(1_000);

describe('versions', () => {
  it.each(['overlay', 'table', 'both'])('installs only what is newer, against %s', (where) => {
    const opened = openStore();
    const { store } = opened;
    const install = (version: number, text: string | null): boolean => store.install(partitionOf('k'), 'k', version, toValue(text));
    expect(store.head('k')).toBe(undefined);
    expect(store.entry('k')).toBe(undefined);
    expect(install(5, 'five')).toBe(true);
    if (where !== 'overlay') settledInTable(opened);
    const digest = Buffer.from(store.root(partitionOf('k')));
    expect(install(5, 'another five')).toBe(false);
    expect(install(4, null)).toBe(false);
    expect(value(store, 'k')).toBe('five');
    expect(Buffer.from(store.root(partitionOf('k')))).toEqual(digest);
    expect(install(6, null)).toBe(true);
    if (where === 'table') settledInTable(opened);
    expect(store.head('k')).toMatchObject({ version: 6, tombstone: true });
    expect(value(store, 'k')).toBe(null);
    expect(install(6, null)).toBe(false);
    expect(install(7, '')).toBe(true);
    expect(value(store, 'k')).toBe('');
    expect(store.head('k')).toMatchObject({ version: 7, tombstone: false });
  });

  it('are found while their checkpoint is under way, whichever generation they are in', () => {
    const { store, owner, runtime } = openStore();
    for (const key of inPartition(0, 30)) owner.commit(key, 1, 'one');
    runtime.settle();
    runtime.skip(1_000);
    let steps = 0;
    do {
      for (const [i, key] of inPartition(0, 30).entries()) expect(store.head(key)?.version).toBe(i < steps ? 2 : 1);
      if (steps < 30) owner.commit(inPartition(0, 30)[steps++] as Key, 2, 'two');
      expect(store.rebuildLeaves(0)).toEqual(store.leaves(0));
    } while (runtime.step());
    expect(store.stats.checkpoints).toBe(1);
  });

  it('keep keys and values with every byte', () => {
    const opened = openStore();
    const keys = Array.from({ length: 256 }, (_, byte) => `\0${String.fromCharCode(byte)}\xff${String.fromCharCode(255 - byte)}`);
    for (const key of keys) opened.store.install(partitionOf(key), key, 9, Buffer.from(key, 'latin1'));
    settledInTable(opened);
    const { store } = openStore(opened.runtime.crash(0));
    for (const key of keys) expect(Buffer.from(store.entry(key)?.value as Uint8Array).toString('latin1')).toBe(key);
    expect(Array.from({ length: partitions }, (_, p) => store.list(p, 0xffff, null, 1_000).entries).flat().map(([key]) => key).sort()).toEqual([...keys].sort());
  });

  it('with any bit of their row flipped put their partition in doubt, and are not misread', () => {
    const { runtime, store } = openStore();
    store.install(1, 'a', 123_456_789_012_345, Buffer.from('value'));
    runtime.advance(1_000);
    const disk = runtime.crash(0);
    const row = [...disk.table.keys()].find((key) => key.startsWith('d')) as string;
    const bytes = disk.table.get(row) as Buffer;
    const reads = [(again: Store) => again.entry('a'), (again: Store) => again.head('a'), (again: Store) => again.rebuildLeaves(1), (again: Store) => again.list(1, 0xffff, null, 9)];
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      disk.table.set(row, damaged);
      for (const read of reads) {
        const { store: again } = openStore({ ...disk, table: new Map(disk.table) });
        expect(again.doubts.isSure(1)).toBe(true);
        expect([undefined, Buffer.alloc(256), { entries: [], more: false }]).toContainEqual(read(again));
        expect([0, 1, 2, 3].map((partition) => again.doubts.isSure(partition))).toEqual([true, false, true, true]);
        expect(again.doubts.status).toMatchObject({ partitions: 1, why: 'a row of the data table was damaged' });
      }
    }
    disk.table.set(row, bytes.subarray(0, 7));
    const { store: cut } = openStore(disk);
    expect([cut.head('a'), cut.doubts.isSure(1)]).toEqual([undefined, false]);
  });

  it('that are damaged are taken out of table and digests, whatever else is under way', () => {
    for (const before of [[], ['overlay'], ['frozen'], ['overlay', 'frozen']]) {
      const keys = inPartition(2, 12);
      const [rotten, other] = keys as [Key, Key];
      const opened = openStore();
      for (const key of keys) opened.store.install(2, key, 5, toValue(`of ${key}`));
      opened.runtime.advance(1_000);
      const disk = opened.runtime.crash(0);
      const row = [...disk.table.keys()].find((key) => key.startsWith('d') && key.endsWith(rotten)) as string;
      disk.table.set(row, Buffer.from('rotten'));

      const again = openStore(disk);
      if (before.includes('frozen')) {
        for (const key of [other, 'frozen2']) again.store.install(2, key, 6, toValue('frozen'));
        again.runtime.advance(999);
      }
      if (before.includes('overlay')) again.store.install(2, keys[2] as Key, 7, toValue('active'));
      expect(again.store.entry(rotten)).toBeUndefined();
      expect(again.store.leaves(2)).toEqual(again.store.rebuildLeaves(2));
      again.store.install(2, rotten, 5, toValue(`of ${rotten}`));
      again.store.install(2, keys[3] as Key, 8, null);
      expect(again.store.leaves(2)).toEqual(again.store.rebuildLeaves(2));
      expect(again.store.stats.damagedRows).toBe(1);
      again.runtime.advance(2_000);

      const last = openStore(again.runtime.crash(0)).store;
      expect(last.leaves(2)).toEqual(last.rebuildLeaves(2));
      expect(last.entry(rotten)).toMatchObject({ version: 5 });
      expect([last.doubts.isSure(2), last.stats.damagedRows]).toEqual([false, 0]);
    }
  });
});

describe('digests', () => {
  const root = (store: Opened['store'], partition: number): string => Buffer.from(store.root(partition)).toString('hex');

  it('do not depend on order, on intermediate versions or on where the versions lie', () => {
    const keys = inPartition(2, 40);
    const one = openStore();
    for (const key of keys) one.store.install(2, key, 10, toValue(`of ${key}`));
    const other = openStore();
    for (const key of [...keys].reverse()) {
      other.store.install(2, key, 3, toValue('old'));
      if (leafOf(key) < 8) settledInTable(other);
      other.store.install(2, key, 10, toValue(`of ${key}`));
      other.store.install(2, key, 7, toValue('late'));
    }
    expect(other.store.leaves(2)).toEqual(one.store.leaves(2));
    expect(root(other.store, 2)).toBe(root(one.store, 2));
    expect(other.store.rebuildLeaves(2)).toEqual(one.store.rebuildLeaves(2));
    expect(one.store.rebuildLeaves(2)).toEqual(one.store.leaves(2));
  });

  it('tell apart other keys, versions, values and tombstones, in the key’s leaf alone', () => {
    const with1 = (key: Key, version: number, text: string | null): Opened['store'] => {
      const { store } = openStore();
      store.install(1, key, version, toValue(text));
      return store;
    };
    const variants = [with1('a', 1, 'x'), with1('a', 2, 'x'), with1('a', 1, 'y'), with1('a', 1, null), with1('a', 1, ''), with1('aa', 1, 'x'), openStore().store];
    expect(new Set(variants.map((store) => root(store, 1))).size).toBe(variants.length);
    const leaves = Buffer.from((variants[0] as Opened['store']).leaves(1));
    for (let leaf = 0; leaf < 16; leaf++) expect(leaves.subarray(leaf * 16, leaf * 16 + 16).equals(Buffer.alloc(16))).toBe(leaf !== leafOf('a'));
  });

  it('are the same bytes on every machine', () => {
    const { store } = openStore();
    store.install(1, 'a', 1, toValue('x'));
    store.install(1, 'key\xe9', 4_503_599_627_370_497, null);
    expect(root(store, 1)).toBe('6eb74cd3263a8a29819a4e08e98a755c');
    expect(leafOf('a')).toBe(5);
  });
});

describe('list', () => {
  it('pages through table and overlay in key order, with leaf masks', () => {
    const opened = openStore();
    const { store } = opened;
    const keys = inPartition(3, 60);
    for (const [i, key] of keys.entries()) {
      store.install(3, key, i + 1, toValue(i % 5 === 0 ? null : 'x'));
      if (i === 30) settledInTable(opened);
    }
    for (const key of keys.slice(0, 10)) store.install(3, key, 1_000, toValue('newer'));
    store.install(0, 'elsewhered', 5, toValue('y'));
    for (const mask of [0xffff, 0x00ff, 0x8001, 0]) {
      const expected = keys.map((key, i): [Key, number] => [key, i < 10 ? 1_000 : i + 1])
        .filter(([key]) => ((mask >> leafOf(key)) & 1) === 1).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const limit of [1, 7, 60, 1_000]) {
        const found: [Key, number][] = [];
        let after: Key | null = null;
        for (let more = true; more;) {
          const page = store.list(3, mask, after, limit);
          expect(page.entries.length).toBeLessThanOrEqual(limit);
          expect(page.more).toBe(found.length + page.entries.length < expected.length);
          found.push(...page.entries);
          more = page.more;
          after = page.entries.at(-1)?.[0] ?? after;
        }
        expect(found).toEqual(expected);
      }
    }
  });
});
