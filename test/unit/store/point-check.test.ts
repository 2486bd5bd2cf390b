import { describe, expect, it } from 'vitest';
import { Tag } from '../../../client/wire/messages.ts';
import { RecoveryPoints } from '../../../node/heal/recovery-points.ts';
import { readFacts } from '../../../node/store/meta.ts';
import { checkPoint } from '../../../node/store/point-check.ts';
import { decodePoint, encodePoint, type Point } from '../../../node/store/point.ts';
import type { StoreError } from '../../../node/store/store-error.ts';
import { identity, openStore, partitionOf } from './helpers.ts';
import { MemoryDisk, MemoryRuntime } from './memory-runtime.ts';

/** The disk that a copy is restored to, and its note. */
function takePoint(): { disk: MemoryDisk; point: Point } {
  const { runtime, store, owner } = openStore();
  for (let i = 1; i <= 40; i++) owner.commit(`key ${i % 30}`, i, i % 7 === 0 ? null : `value ${i}`);
  const points = new RecoveryPoints({ store, disk: runtime.disk, clock: { last: 40 }, wallMs: () => 0, during: (work) => work(), log: runtime.log });
  points.onKeep({ send: () => {} }, [Tag.keepPoint, 1, 'p']);
  runtime.settle();
  const { table, note } = runtime.store.copies.get('p')!;
  const disk = new MemoryDisk();
  disk.table = new Map(table);
  return { disk, point: decodePoint(note) as Point };
}

function check({ disk, point }: ReturnType<typeof takePoint>, who = identity): number | string {
  try {
    return checkPoint(new MemoryRuntime(disk).disk.openTable(), point, who, partitionOf);
  } catch (error) {
    return (error as StoreError).code;
  }
}

describe('a recovery point', () => {
  it('is good as it was taken', () => expect(check(takePoint())).toBe(30));

  it('is refused if a bit of any row has changed', () => {
    const taken = takePoint();
    for (const [key, row] of taken.disk.table) {
      for (let byte = 0; byte < row.length; byte += key.startsWith('g') ? 41 : 1) {
        const rotten = Buffer.from(row);
        rotten[byte]! ^= 1 << (byte % 8);
        taken.disk.table.set(key, rotten);
        // Of the node's own bookkeeping only what is read counts: the rest is forgotten when the node is reborn.
        if (key.startsWith('o') || key === 'mdoubts') continue;
        // A digest that can't be read is made anew from the rows; and what is known of tombstones is forgotten, as the node will be in doubt of all it has.
        expect([key, byte, check(taken)]).toEqual([key, byte, /^[gt]/.test(key) ? 30 : expect.stringMatching(/^corrupt-/)]);
      }
      taken.disk.table.set(key, row);
    }
    expect(check(taken)).toBe(30);
  });

  it('is refused if a row is gone, or one of another moment is in its place', () => {
    const taken = takePoint();
    const [key] = [...taken.disk.table.keys()].filter((each) => each.startsWith('d')) as [string];
    taken.disk.table.delete(key);
    expect(check(taken)).toBe('corrupt-point');
    expect(check({ ...takePoint(), point: { ...taken.point, digest: '0'.repeat(32) } })).toBe('corrupt-point');
    expect(check({ ...takePoint(), disk: new MemoryDisk() })).toBe('corrupt-point');
    // Of a store that is not the one that the note tells of.
    expect(check({ ...takePoint(), point: { ...taken.point, storeId: 'f'.repeat(32) } })).toBe('corrupt-point');
  });

  it('is refused to other nodes and clusters', () => {
    expect(check(takePoint(), { ...identity, node: 'n2' })).toBe('other-node');
    expect(check(takePoint(), { ...identity, cluster: 'd' })).toBe('other-cluster');
  });

  it('has a note that is read back as it was written, or not at all', () => {
    const { disk, point } = takePoint();
    expect(decodePoint(encodePoint(point))).toEqual(expect.objectContaining(point));
    for (const note of ['', 'null', '[]', '{"format":1}', encodePoint(point).replace('"format": 1', '"format": 2'), encodePoint({ ...point, bytes: 1.5 })]) expect(decodePoint(note)).toBeNull();
    expect(readFacts(new MemoryRuntime(disk).disk.openTable(), identity)?.incarnation).toBe(point.incarnation);
  });
});
