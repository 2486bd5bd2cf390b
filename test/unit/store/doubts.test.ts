import { describe, expect, it } from 'vitest';
import { markLost, readFacts } from '../../../node/store/meta.ts';
import { caught } from './caught.ts';
import { closeStore, identity, openStore, partitions, partitionOf, toValue } from './helpers.ts';

const sure = ({ store }: ReturnType<typeof openStore>): boolean[] => Array.from({ length: partitions }, (_, partition) => store.doubts.isSure(partition));

describe('doubts', () => {
  it('count at once, are durable with the next checkpoint, and end there too', () => {
    const opened = openStore();
    expect([sure(opened), opened.store.doubts.status]).toEqual([[true, true, true, true], null]);
    opened.store.doubts.doubt([1, 3], 'of a test');
    expect([sure(opened), opened.store.doubts.status]).toEqual([[true, false, true, false], { partitions: 2, since: 0, why: 'of a test' }]);
    opened.runtime.advance(1_000);
    const again = openStore(opened.runtime.crash(0));
    expect([sure(again), again.store.doubts.status]).toEqual([[true, false, true, false], { partitions: 2, since: 0, why: 'of a test' }]);
    again.store.doubts.trust(3);
    again.store.doubts.trust(0);
    expect(sure(again)).toEqual([true, false, true, true]);
    const stillDoubtful = openStore({ ...again.runtime.store, logs: new Map(again.runtime.store.logs), table: new Map(again.runtime.store.table) });
    expect(sure(stillDoubtful)).toEqual([true, false, true, false]);
    again.store.doubts.trust(1);
    const last = openStore(closeStore(again));
    expect([sure(last), last.store.doubts.status]).toEqual([[true, true, true, true], null]);
  });

  it('are not given up on the disk before the rows are there on which trust rests', () => {
    for (let batches = 0; batches < 6; batches++) {
      const opened = openStore();
      opened.store.doubts.doubt([2], 'of a test');
      opened.runtime.advance(1_000);
      for (const text of 'abcdefghijk') opened.store.install(partitionOf(`${text}2`), `${text}2`, 7, toValue(text));
      opened.store.doubts.trust(2);
      const before = opened.runtime.batches.length;
      opened.runtime.advance(999);
      for (let i = 0; i < 1_000 && opened.runtime.batches.length < before + batches; i++) {
        opened.runtime.advance(opened.runtime.step() ? 0 : 1);
      }
      const again = openStore(opened.runtime.crash(0));
      if (again.store.doubts.isSure(2)) expect([...'abcdefghijk'].filter((text) => again.store.head(`${text}2`) === undefined)).toEqual([]);
    }
  });

  it('are on the disk as soon as the damaged row is gone from it, whatever a checkpoint is about to write', () => {
    const opened = openStore();
    opened.store.doubts.doubt([3], 'of a test');
    for (const text of 'abcdefghijk') opened.store.install(2, `${text}2`, 7, toValue(text));
    const disk = closeStore(opened);
    const [name, row] = [...disk.table].find(([key]) => key.endsWith('a2')) as [string, Buffer];
    disk.table.set(name, Buffer.from(row.map((byte, i) => (i === row.length - 1 ? byte ^ 1 : byte))));
    for (let steps = 0; steps < 12; steps++) {
      const again = openStore({ ...disk, logs: new Map(disk.logs), table: new Map(disk.table) });
      again.store.doubts.trust(3);
      again.store.install(partitionOf('z1'), 'z1', 9, toValue('z'));
      again.runtime.advance(1_000);
      for (let i = 0; i < steps % 4; i++) again.runtime.step();
      expect([again.store.head('a2'), again.store.doubts.isSure(2)]).toEqual([undefined, false]);
      for (let i = 0; i < steps; i++) again.runtime.step();
      const last = openStore(again.runtime.crash(0));
      if (last.store.head('a2') === undefined) expect(last.store.doubts.isSure(2)).toBe(false);
    }
  });

  it('tell whoever gathers evidence that it must begin again, also where there was doubt already', () => {
    const { store } = openStore();
    const told: number[] = [];
    store.doubts.onDoubt = (partition) => told.push(partition);
    store.doubts.doubt([1], 'of a test');
    store.doubts.doubt([1, 2], 'of a test');
    expect(told).toEqual([1, 1, 2]);
  });

  it('with a damaged row keep the store from opening', () => {
    const opened = openStore();
    opened.store.doubts.doubt([1], 'of a test');
    const disk = closeStore(opened);
    const row = disk.table.get('mdoubts') as Buffer;
    for (let bit = 0; bit < row.length * 8; bit++) {
      const damaged = Buffer.from(row);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      disk.table.set('mdoubts', damaged);
      expect(caught(() => openStore(disk)).code).toBe('corrupt-table');
    }
  });
});

describe('a store that is marked as lost', () => {
  it('says so, durably, and why', () => {
    const opened = openStore();
    opened.store.install(1, 'a', 1, toValue('x'));
    closeStore(opened);
    let done: Error | undefined | null = null;
    markLost(opened.runtime.disk, { above: 7, why: 'of a test' }, (error) => (done = error));
    opened.runtime.settle();
    expect(done).toBeUndefined();
    const table = opened.runtime.disk.openTable();
    expect(readFacts(table, identity)).toMatchObject({ incarnation: opened.store.incarnation, lost: { above: 7, why: 'of a test' } });
  });

  it('reports that the mark could not be written', () => {
    const opened = openStore();
    closeStore(opened);
    opened.runtime.tableError = new Error('no room');
    let done: Error | undefined | null = null;
    markLost(opened.runtime.disk, { above: 7, why: 'of a test' }, (error) => (done = error));
    opened.runtime.settle();
    expect(done).toMatchObject({ message: 'no room' });
  });
});
