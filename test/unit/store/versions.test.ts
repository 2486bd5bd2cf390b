import { describe, expect, it } from 'vitest';
import { depthFor, Digests } from '../../../node/store/digests.ts';
import { slotOf } from '../../../node/store/hash.ts';
import type { Key } from '../../../client/wire/messages.ts';
import type { Store } from '../../../node/store/store.ts';
import { openStore, partitionOf, partitions, rowsOf, toValue, type Opened } from './helpers.ts';

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
    runtime.leap(1_000);
    let steps = 0;
    do {
      for (const [i, key] of inPartition(0, 30).entries()) expect(store.head(key)?.version).toBe(i < steps ? 2 : 1);
      if (steps < 30) owner.commit(inPartition(0, 30)[steps++] as Key, 2, 'two');
      expect(Buffer.compare(store.rebuildLeaves(0), store.tree.leaves(0))).toBe(0);
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
    expect(Array.from({ length: partitions }, (_, p) => rowsOf(store, p)).flat().map(([key]) => key).sort()).toEqual([...keys].sort());
  });

  it('with any bit of their row flipped put their partition in doubt, and are not misread', () => {
    const { runtime, store } = openStore();
    store.install(1, 'a', 123_456_789_012_345, Buffer.from('value'));
    runtime.advance(1_000);
    const disk = runtime.crash(0);
    const row = [...disk.table.keys()].find((key) => key.startsWith('d')) as string;
    const bytes = disk.table.get(row) as Buffer;
    const reads = [(again: Store) => again.entry('a'), (again: Store) => again.head('a'), (again: Store) => again.rebuildLeaves(1), (again: Store) => rowsOf(again, 1)];
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      disk.table.set(row, damaged);
      for (const read of reads) {
        const { store: again } = openStore({ ...disk, table: new Map(disk.table) });
        expect(again.doubts.isSure(1)).toBe(true);
        const found = read(again);
        expect(found instanceof Uint8Array ? found.every((byte) => byte === 0) : [undefined, 0].includes((found as { length: number } | undefined)?.length)).toBe(true);
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
      for (let turns = 0; again.store.doubts.damaged.has(2); turns++) {
        expect(turns).toBeLessThan(10);
        again.store.flush();
      }
      expect(Buffer.compare(again.store.tree.leaves(2), again.store.rebuildLeaves(2))).toBe(0);
      again.store.install(2, rotten, 5, toValue(`of ${rotten}`));
      again.store.install(2, keys[3] as Key, 8, null);
      expect(Buffer.compare(again.store.tree.leaves(2), again.store.rebuildLeaves(2))).toBe(0);
      expect(again.store.stats.damagedRows).toBe(1);
      again.runtime.advance(2_000);

      const last = openStore(again.runtime.crash(0)).store;
      expect(Buffer.compare(last.tree.leaves(2), last.rebuildLeaves(2))).toBe(0);
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
      if (slotOf(key) < 32_768) settledInTable(other);
      other.store.install(2, key, 10, toValue(`of ${key}`));
      other.store.install(2, key, 7, toValue('late'));
    }
    expect(other.store.tree.leaves(2).equals(one.store.tree.leaves(2))).toBe(true);
    expect(root(other.store, 2)).toBe(root(one.store, 2));
    for (const { store } of [one, other]) expect(Buffer.compare(store.rebuildLeaves(2), store.tree.leaves(2))).toBe(0);
  });

  it('tell apart other keys, versions, values and tombstones, in the key’s leaf alone', () => {
    const with1 = (key: Key, version: number, text: string | null): Opened['store'] => {
      const { store } = openStore();
      store.install(1, key, version, toValue(text));
      return store;
    };
    const variants = [with1('a', 1, 'x'), with1('a', 2, 'x'), with1('a', 1, 'y'), with1('a', 1, null), with1('a', 1, ''), with1('aa', 1, 'x'), openStore().store];
    expect(new Set(variants.map((store) => root(store, 1))).size).toBe(variants.length);
    const { tree } = variants[0] as Opened['store'];
    for (let level = 1; level <= tree.depth; level++) {
      const changed = Array.from({ length: 16 ** level }, (_, index) => index).filter((index) => !tree.node(1, level, index).equals(openStore().store.tree.node(1, level, index)));
      expect(changed).toEqual([Math.floor((slotOf('a') / 65_536) * 16 ** level)]);
    }
  });

  it('are the same bytes on every machine', () => {
    const { store } = openStore();
    store.install(1, 'a', 1, toValue('x'));
    store.install(1, 'key\xe9', 4_503_599_627_370_497, null);
    expect(root(store, 1)).toBe('72ba83946c932daf514d23c780b95ddf');
    expect(slotOf('a')).toBe(0x550d);
  });
});

describe('the tree of digests', () => {
  it('has 16,384 leaves or more over all partitions, and no more levels than that takes', () => {
    expect([1, 2, 4, 16, 64, 512, 1_024, 16_384].map(depthFor)).toEqual([4, 4, 3, 3, 2, 2, 1, 1]);
  });

  it('has the same leaves at every level that anybody looks at it', () => {
    const digests = new Digests(2, 3);
    for (let i = 0; i < 500; i++) digests.change(i % 2, (i * 7_919) % 4_096, BigInt(i) << 40n, BigInt(i), 0n, 0n);
    for (const partition of [0, 1]) {
      for (let level = 0; level < 3; level++) {
        for (let index = 0; index < 16 ** level; index++) {
          const children = digests.children(partition, level, index);
          expect(children).toHaveLength(256);
          for (let child = 0; child < 16; child += 5) expect(children.subarray(child * 16, child * 16 + 16)).toEqual(digests.node(partition, level + 1, index * 16 + child));
        }
      }
      const copy = new Digests(2, 3);
      for (let branch = 0; branch < 256; branch++) copy.load(partition, branch, digests.branch(partition, branch));
      expect(copy.root(partition)).toEqual(digests.root(partition));
      expect(copy.leaves(partition).equals(digests.leaves(partition))).toBe(true);
    }
    const root = digests.root(0);
    digests.change(0, 4_095, 1n, 0n, 0n, 0n);
    expect(digests.root(0)).not.toEqual(root);
    digests.change(0, 4_095, 0n, 0n, 1n, 0n);
    expect(digests.root(0)).toEqual(root);
  });

  it('tells apart two equal items in one leaf from none', () => {
    const digests = new Digests(1, 1);
    const empty = digests.root(0);
    for (let i = 0; i < 2; i++) digests.change(0, 3, 77n, 78n, 0n, 0n);
    expect(digests.root(0)).not.toEqual(empty);
  });
});

describe('the rows of a leaf', () => {
  it('are those of its slots, from table and overlay, each once and in one order, from wherever one goes on', () => {
    const opened = openStore();
    const { store } = opened;
    const keys = inPartition(3, 120).concat(Array.from({ length: 40 }, (_, i) => `\xff${i}\0c`));
    const expected = new Map<Key, number>();
    for (const [i, key] of keys.entries()) {
      store.install(3, key, i + 1, toValue(i % 5 === 0 ? null : 'x'));
      expected.set(key, i + 1);
      if (i === 90) settledInTable(opened);
    }
    for (const key of keys.slice(0, 30)) {
      store.install(3, key, 1_000, toValue('newer'));
      expected.set(key, 1_000);
    }
    store.install(0, 'elsewhered', 5, toValue('y'));
    const found = new Map<Key, number>();
    for (let leaf = 0; leaf < store.tree.leavesPerPartition; leaf++) {
      const rows = [...store.rows(3, leaf)];
      for (const [i, [key, row]] of rows.entries()) {
        expect(store.tree.leafOf(slotOf(key))).toBe(leaf);
        expect(found.has(key)).toBe(false);
        expect([row.tombstone, row.value === null]).toEqual([store.head(key)?.tombstone, store.head(key)?.tombstone]);
        found.set(key, row.version);
        expect([...store.rows(3, leaf, key)].map(([later]) => later)).toEqual(rows.slice(i + 1).map(([later]) => later));
      }
    }
    expect(found).toEqual(expected);
    settledInTable(opened);
    expect(rowsOf(store, 3).map(([key]) => key)).toEqual([...found.keys()]);
  });
});
