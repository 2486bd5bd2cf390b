import { describe, expect, it } from 'vitest';
import { Kind } from '../../../node/store/records.ts';
import { nextLife } from '../../../node/store/rebirth.ts';
import { Store, StoreError } from '../../../node/store/store.ts';
import { caught } from './caught.ts';
import { closeStore, identity, openStore, Owner, partitionOf, smallOptions } from './helpers.ts';
import { MemoryRuntime } from './memory-runtime.ts';

describe('opening a store', () => {
  it('keeps its id and counts its starts', () => {
    const first = openStore();
    expect(first.store.storeId).toMatch(/^[0-9a-f]{32}$/);
    const { incarnation } = first.store;
    const second = openStore(first.runtime.crash(0));
    expect(second.store.storeId).toBe(first.store.storeId);
    expect(second.store.incarnation).toBe(incarnation + 1);
    const third = openStore(closeStore(second));
    expect(third.store.incarnation).toBe(incarnation + 2);
  });

  it('begins its lives at a number that no lost disk in its place is likely to have begun at', () => {
    const life = (drawn: number) => nextLife(null, () => drawn, 0);
    expect(life(5).incarnation).not.toBe(life(6).incarnation);
    expect(life(0).incarnation).toBeGreaterThan(0);
  });

  it.each([
    ['other-cluster', { cluster: 'elsewhere' }, /cluster "c", and "elsewhere" was expected/],
    ['other-node', { node: 'n2' }, /node "n1", and "n2" was expected/],
    ['other-partitions', { partitions: 8 }, /partition count 4, and 8 was expected/],
    ['other-placement', { placement: '1 replica on n1, n2' }, /placement "1 replica on n1", and "1 replica on n1, n2" was expected/],
  ])('refuses a data directory of %s and touches nothing', (code, who, message) => {
    const disk = closeStore(openStore());
    const before = JSON.stringify([[...disk.table], [...disk.logs]]);
    const error = caught(() => openStore(disk, {}, who));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('Nothing was touched');
    expect(JSON.stringify([[...disk.table], [...disk.logs]])).toBe(before);
  });

  it('refuses a journal whose table is gone', () => {
    const opened = openStore();
    opened.owner.commit('a', 1, 'x');
    opened.runtime.settle();
    const disk = opened.runtime.crash(0);
    disk.table.clear();
    expect(caught(() => openStore(disk)).code).toBe('corrupt-table');
  });

  it('refuses a table whose journal is gone', () => {
    const opened = openStore();
    opened.owner.commit('a', 1, 'x');
    opened.runtime.settle();
    const disk = openStore(opened.runtime.crash(0)).runtime.crash(0);
    disk.logs.clear();
    expect(caught(() => openStore(disk)).code).toBe('corrupt-journal');
  });

  it('refuses bookkeeping that it cannot read', () => {
    const disk = closeStore(openStore());
    disk.table.set('mincarnation', Buffer.from('{"incarnation":"often"}'));
    expect(caught(() => openStore(disk)).code).toBe('corrupt-table');
    disk.table.set('mincarnation', Buffer.from('{"incar'));
    expect(caught(() => openStore(disk)).code).toBe('corrupt-table');
  });

  it('reports a table that takes no writes', () => {
    const runtime = new MemoryRuntime();
    runtime.tableError = new Error('disk full');
    const store = new Store(runtime, smallOptions, identity, partitionOf);
    runtime.idle = () => store.flush();
    let outcome: Error | undefined;
    store.open(new Owner(store), () => {}, (error) => (outcome = error));
    expect(outcome).toBe(undefined);
    runtime.settle();
    expect(outcome).toBeInstanceOf(StoreError);
    expect(outcome?.message).toContain('disk full');
  });

  it('gives the owner its state and its records back, each with the segment it lies in', () => {
    const { owner, store, runtime } = openStore();
    owner.changes = [['a/b', Buffer.from('1')], ['c', Buffer.from('2')]];
    store.append([Kind.closed, 'n2', 1]);
    runtime.advance(1_000);
    for (let number = 0; number < 200; number++) {
      store.append([Kind.floor, 'n2', 'a store', number]);
      store.flush();
      runtime.step();
    }
    runtime.settle();
    const last = store.segment;
    expect(last).toBeGreaterThan(2);
    const again = openStore(runtime.crash(0)).owner;
    expect([...again.state]).toEqual([['a/b', '1'], ['c', '2']]);
    expect(again.replayed).toEqual([[Kind.closed, 'n2', 1], ...Array.from({ length: 200 }, (_, number) => [Kind.floor, 'n2', 'a store', number])]);
    expect(again.replayedIn[0]).toBe(1);
    expect(again.replayedIn.at(-1)).toBe(last);
    expect(again.store.segment).toBe(last + 1);
  });
});
