import { describe, expect, it } from 'vitest';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { closeStore, openStore, partitionOf, write } from './helpers.ts';

const keys = Array.from({ length: 100 }, (_, i) => `key${i}`);

describe('a checkpoint', () => {
  it('moves the overlay to the table in sorted slices of bounded size', () => {
    const { store, owner, runtime } = openStore();
    for (const key of keys) owner.commit(key, 1, `value of ${key}`);
    runtime.batches.length = 0;
    runtime.advance(1_000);
    expect(store.stats).toMatchObject({ checkpoints: 1, checkpointKeys: 100, overlayBytes: 0 });
    expect(runtime.batches).toHaveLength(20);
    // Each row may bring the digests of a branch of its own, and all of them the account of rows.
    expect(Math.max(...runtime.batches)).toBeLessThanOrEqual(2 * smallSlice + 3);
    for (const key of keys) expect(store.entry(key)?.value?.toString()).toBe(`value of ${key}`);
    expect([...runtime.store.table.keys()].filter((key) => key.startsWith('d'))).toHaveLength(100);
  });

  it('is not taken while there is nothing to do', () => {
    const { store, owner, runtime } = openStore();
    runtime.advance(10_000);
    expect(store.stats.checkpoints).toBe(0);
    owner.commit('a', 1, 'x');
    runtime.advance(10_000);
    expect(store.stats.checkpoints).toBe(1);
    const { runtime: second, store: again } = openStore(runtime.crash(0));
    second.advance(10_000);
    expect(again.stats.checkpoints).toBe(1);
  });

  it('keeps the owner’s state, cut into batches, and asks for it in the turn in which the overlay is frozen', () => {
    const opened = openStore();
    const { store, owner, runtime } = opened;
    owner.commit('a', 1, 'x');
    owner.changes = Array.from({ length: 60 }, (_, i) => [`s${i}`, Buffer.from(String(i))]);
    runtime.batches.length = 0;
    runtime.advance(1_000);
    expect(runtime.batches.length).toBeGreaterThan(5);
    expect(Math.max(...runtime.batches)).toBeLessThanOrEqual(2 * smallSlice + 2);
    owner.changes = [['s0', null], ['s1', Buffer.from('one')]];
    owner.commit('a', 2, 'y');
    runtime.advance(1_000);
    const { owner: again } = openStore(runtime.crash(0));
    expect(again.state.size).toBe(59);
    expect(again.state.get('s1')).toBe('one');
    expect(store.stats.checkpoints).toBe(2);
  });

  it('writes nothing to the table before the records it came from are durable', () => {
    const { owner, runtime } = openStore();
    owner.commit('a', 1, 'x');
    runtime.settle();
    owner.commit('a', 2, 'y');
    owner.store.flush();
    runtime.step();
    expect(runtime.writing).toBe(true);
    const before = JSON.stringify([...runtime.store.table]);
    runtime.leap(1_000);
    const disk = runtime.crash(0.6);
    expect(JSON.stringify([...disk.table])).toBe(before);
  });

  it('never begins within a call of the owner, who may be in the middle of a transaction’s effects', () => {
    const { store, owner, runtime } = openStore(undefined, { overlayBytesMax: 20_000 });
    let asked = 0;
    owner.persist = () => {
      asked++;
      return [];
    };
    for (let version = 1; store.stats.overlayBytes < 15_000; version++) owner.commit(`key${version}`, version, 'v'.repeat(100));
    expect(asked).toBe(0);
    runtime.step();
    expect(asked).toBe(1);
  });

  it('comes early when the overlay is half full, and the store is full at its bound', () => {
    const { store, owner, runtime } = openStore(undefined, { overlayBytesMax: 20_000, journalSegmentBytes: 1_000_000 });
    const ran: number[] = [];
    let version = 0;
    while (!store.full) owner.commit(`key${++version}`, version, 'v'.repeat(100));
    expect(version).toBeGreaterThan(10);
    expect(version).toBeLessThan(100);
    for (let i = 0; i < 1_000; i++) store.whenRoom(() => ran.push(i));
    expect(ran).toEqual([]);
    while (runtime.step()) if (ran.length > 0 && ran.length < 1_000) expect(store.full).toBe(false);
    expect(ran).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
    expect(store.stats.checkpoints).toBe(1);
    expect(store.full).toBe(false);
    store.whenRoom(() => ran.push(-1));
    expect(ran.at(-1)).toBe(-1);
  });

  it('lets those who wait in only as long as there is room', () => {
    const { store, owner, runtime } = openStore(undefined, { overlayBytesMax: 20_000, journalSegmentBytes: 1_000_000 });
    let version = 0;
    let most = 0;
    const enter = (): void => {
      expect(store.full).toBe(false);
      owner.commit(`key${++version}`, version, 'v'.repeat(100));
      most = Math.max(most, store.stats.overlayBytes);
    };
    for (let i = 0; i < 2_000; i++) store.whenRoom(enter);
    expect(version).toBeLessThan(100);
    runtime.settle();
    expect(version).toBe(2_000);
    expect(most).toBeLessThan(21_000);
    expect(store.stats.checkpoints).toBeGreaterThan(10);
  });

  it('is full too while the journal has too much to write', () => {
    const { store, runtime } = openStore(undefined, { overlayBytesMax: 20_000, journalSegmentBytes: 1_000_000 });
    const records: number[] = [];
    for (let number = 0; number < 300; number++) {
      store.append([Kind.prepared, 'n2', 1, number, 1, 0, 5, Buffer.alloc(100)]);
      if (records.length === 0 && store.full) records.push(number);
    }
    expect(records[0]).toBeGreaterThan(50);
    let entered = false;
    store.whenRoom(() => (entered = true));
    expect(entered).toBe(false);
    runtime.settle();
    expect(entered).toBe(true);
    expect(store.full).toBe(false);
    expect(store.stats.checkpoints).toBe(0);
  });
});

describe('trimming', () => {
  it('keeps disk use bounded under endless overwrites, and every record that is carried', () => {
    const { store, owner, runtime } = openStore();
    const carried: JournalRecord[] = [[Kind.prepared, 'n9', 1, 77, 1, 0, 5, Buffer.from('undecided')]];
    store.append(carried[0] as JournalRecord);
    owner.carried = carried;
    let most = 0;
    for (let round = 1; round <= 300; round++) {
      for (let i = 0; i < 20; i++) owner.commit(keys[(round * 7 + i) % 100] as string, round * 100 + i, `round ${round}`);
      runtime.advance(200);
      most = Math.max(most, runtime.store.logs.size);
      expect(store.stats.journalSegments).toBe(runtime.store.logs.size);
    }
    expect(store.segment).toBeGreaterThan(50);
    expect(most).toBeLessThan(12);
    const before = keys.map((key) => [key, store.head(key)?.version]);
    const again = openStore(runtime.crash(0));
    expect(again.owner.replayed).toContainEqual(carried[0]);
    expect(keys.map((key) => [key, again.store.head(key)?.version])).toEqual(before);
    for (const call of owner.carryCalls) expect(call).toBeGreaterThan(1);
  });

  it('keeps but a few files for later, however many a burst of records took', () => {
    const { store, owner, runtime } = openStore();
    for (let version = 1; version <= 1_500; version++) {
      owner.commit('a', version, 'x');
      runtime.step();
    }
    expect(runtime.store.logs.size).toBeGreaterThan(10);
    runtime.advance(1_000);
    expect(runtime.store.logs.size).toBe(5);
    expect(store.stats.journalSegments).toBe(5);
  });

  it('happens in an idle store with closed segments, and then no more', () => {
    const { store, runtime } = openStore();
    for (let number = 0; number < 400; number++) {
      store.append([Kind.floor, 'n2', 'a store', number]);
      runtime.step();
    }
    runtime.advance(5_000);
    expect(store.stats.checkpoints).toBe(1);
    const again = openStore(runtime.crash(0));
    expect(again.owner.replayed.length).toBeLessThan(100);
    again.runtime.advance(5_000);
    expect(again.store.stats.checkpoints).toBe(1);
    const third = openStore(again.runtime.crash(0));
    expect(third.owner.replayed).toEqual([]);
    third.runtime.advance(5_000);
    expect(third.store.stats.checkpoints).toBe(0);
  });

  it('carries again on the first checkpoint after a restart what was carried before', () => {
    let disk = openStore().runtime.crash(0);
    const pending: JournalRecord = [Kind.prepared, 'n9', 1, 77, 1, 0, 5, Buffer.from('undecided')];
    for (let life = 0; life < 6; life++) {
      const { store, owner, runtime } = openStore(disk);
      if (life === 0) store.append(pending);
      else expect(owner.replayed).toContainEqual(pending);
      owner.carried = [pending];
      runtime.advance(life % 2 === 0 ? 3_000 : 0);
      disk = runtime.crash(0);
    }
  });

  it('takes files of another size out of use', () => {
    const { owner, runtime } = openStore();
    for (let round = 0; round < 20; round++) {
      for (const key of keys) owner.commit(key, round + 1, 'x'.repeat(50));
      runtime.advance(1_000);
    }
    expect(runtime.store.logs.size).toBeGreaterThan(2);
    const again = openStore(closeStore({ runtime, owner, store: owner.store }), { journalSegmentBytes: 8_192 });
    for (let round = 20; round < 40; round++) {
      for (const key of keys) again.owner.commit(key, round + 1, 'x'.repeat(50));
      again.runtime.advance(1_000);
    }
    expect(new Set([...again.runtime.store.logs.values()].map((file) => file.length))).toEqual(new Set([8_192]));
    expect(again.runtime.store.logs.size).toBeLessThan(12);
  });
});

describe('closing', () => {
  it('takes a last checkpoint, so that little is left to replay', () => {
    const opened = openStore();
    for (const key of keys) {
      opened.owner.commit(key, 1, 'x');
      opened.runtime.settle();
    }
    const again = openStore(closeStore(opened));
    expect(again.owner.replayed.length).toBeLessThan(100);
    expect(again.store.stats.overlayBytes).toBe(0);
    for (const key of keys) expect(again.store.head(key)?.version).toBe(1);
  });

  it('waits for the checkpoint under way, then takes another for what came since', () => {
    const opened = openStore();
    const { owner, runtime } = opened;
    for (const key of keys) owner.commit(key, 1, 'x');
    runtime.leap(1_000);
    for (let i = 0; i < 5; i++) runtime.step();
    for (const key of keys) owner.commit(key, 2, 'y');
    let told = false;
    owner.store.whenDurable(() => (told = true));
    const again = openStore(closeStore(opened));
    expect(told).toBe(true);
    for (const key of keys) expect(again.store.head(key)?.version).toBe(2);
    expect(again.store.stats.overlayBytes).toBe(0);
  });

  it('writes what is appended until the last moment', () => {
    const opened = openStore();
    const { store, owner, runtime } = opened;
    owner.commit('a', 1, 'x');
    let closed = false;
    let told = 0;
    store.close(() => (closed = true));
    for (let number = 1; number <= 3; number++) {
      store.append([Kind.floor, 'n2', 'a store', number]);
      store.whenDurable(() => told++);
      runtime.step();
    }
    expect(closed).toBe(false);
    runtime.settle();
    expect([closed, told]).toEqual([true, 3]);
    expect(openStore(runtime.store).owner.replayed.slice(-3).map((record) => record[3])).toEqual([1, 2, 3]);
  });

  it('of a store that is not open is done at once, and so is closing twice', () => {
    const opened = openStore();
    closeStore(opened);
    closeStore(opened);
    expect(() => opened.store.append(write('a', 1, 'x'))).toThrow('closed');
    expect(partitionOf('a')).toBe(1);
  });
});

const smallSlice = 5;
