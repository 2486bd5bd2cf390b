/** The scrub of one replica, on a table in which something has changed. */
import { describe, expect, it } from 'vitest';
import type { Key } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Scrub } from '../../../node/heal/scrub.ts';
import { slotOf } from '../../../node/store/hash.ts';
import { valueOf } from '../txn/bodies.ts';
import { Replica } from '../txn/replica.ts';
import { keysIn, partitionWhere, viewOf } from '../txn/topologies.ts';

const topology = new Topology(viewOf(4), 'n1');
const here = partitionWhere(topology, (members) => members.includes('n1'));
const other = partitionWhere(topology, (members, partition) => members.includes('n1') && partition > here);
const keys = [...keysIn(topology, here, 40), ...keysIn(topology, other, 40)];
const intervalMs = 10_000;

class Bench {
  replica = Replica.open(topology);
  nowMs = 0;
  scrub!: Scrub;
  readonly errors: object[] = [];

  constructor() {
    const { store } = this.replica;
    for (const key of keys) store.install(topology.partitionOf(key), key, 5, key.endsWith('1') ? null : valueOf(key));
    this.replica.runtime.advance(2_000);
    this.begin();
  }

  begin(): void {
    const { store } = this.replica;
    this.scrub = new Scrub({ topology, store, nowMs: () => this.nowMs, log: { error: (details) => void this.errors.push(details) }, intervalMs });
  }

  restart(): void {
    this.replica = this.replica.crash(0);
    this.begin();
  }

  pass(): void {
    for (let passed = 0; passed <= intervalMs; passed += 100) {
      this.scrub.tick();
      this.replica.settle();
      this.nowMs += 100;
    }
  }

  /** The name of the row that begins and ends like this. */
  rowOf(kind: string, key: Key): string {
    return [...this.replica.runtime.store.table.keys()].find((name) => name.startsWith(kind) && name.endsWith(key)) as string;
  }

  flip(name: string, byte: number): void {
    const { table } = this.replica.runtime.store;
    table.set(name, Buffer.from((table.get(name) as Buffer).map((each, i) => (i === byte ? each ^ 4 : each))));
  }

  /** What is in doubt; all digests must be those of what is left. */
  get doubtful(): number[] {
    const { store } = this.replica;
    for (const partition of [here, other]) expect(store.tree.leaves(partition).equals(Buffer.from(store.rebuildLeaves(partition)))).toBe(true);
    return [here, other].filter((partition) => !store.doubts.isSure(partition));
  }
}

describe('a scrub', () => {
  it('reads everything once in its time, and finds nothing where there is nothing', () => {
    const bench = new Bench();
    bench.pass();
    expect(bench.scrub.counters).toMatchObject({ passes: 1, rows: keys.length, damagedBranches: 0 });
    expect([bench.doubtful, bench.errors]).toEqual([[], []]);
  });

  it('is not misled by what is not in the table yet, or on its way there', () => {
    const bench = new Bench();
    for (let version = 10; version < 30; version++) {
      for (const key of keys.slice(version % 7)) bench.replica.store.install(topology.partitionOf(key), key, version, version % 3 === 0 ? null : valueOf('x'));
      const { runtime } = bench.replica;
      if (version % 4 === 0) runtime.advance(1_000);
      for (let i = 0; i < version % 5; i++) runtime.step();
      bench.nowMs += 2_000;
      bench.scrub.tick();
    }
    bench.pass();
    expect([bench.scrub.counters.damagedBranches, bench.doubtful]).toEqual([0, []]);
  });

  it.each([0, 2, 6, 14])('finds a row whose byte %i has changed, and takes it out', (byte) => {
    const bench = new Bench();
    const key = keys[0] as Key;
    bench.flip(bench.rowOf('d', key), byte);
    bench.pass();
    expect([bench.doubtful, bench.errors.length]).toEqual([[here], 1]);
    expect([bench.replica.store.head(key), bench.rowOf('d', key)]).toEqual([undefined, undefined]);
    expect(bench.replica.store.install(here, key, 5, valueOf(key))).toBe(true);
  });

  it.each(['a byte of its key', 'its slot', 'its partition'])('finds a row that lies elsewhere, for %s has changed, and asks for it again', (what) => {
    const bench = new Bench();
    const key = keys[2] as Key;
    const { table } = bench.replica.runtime.store;
    const name = bench.rowOf('d', key);
    const bytes = Buffer.from(name, 'latin1');
    const at = what === 'its partition' ? 2 : what === 'its slot' ? 4 : bytes.length - 1;
    bytes.writeUInt8((bytes[at] as number) ^ 1, at);
    table.set(bytes.toString('latin1'), table.get(name) as Buffer);
    table.delete(name);
    bench.pass();
    expect(bench.doubtful).toContain(here);
    expect(bench.replica.store.head(key)).toBeUndefined();
    expect(bench.replica.store.install(here, key, 5, valueOf(key)), 'it was remembered as being there').toBe(true);
  });

  it('finds that a row is missing, and forgets up to when its partition’s tombstones were collected', () => {
    const bench = new Bench();
    const key = keys[2] as Key;
    bench.replica.store.versions.collect(here, 100);
    bench.replica.runtime.advance(2_000);
    bench.replica.runtime.store.table.delete(bench.rowOf('d', key));
    bench.restart();
    expect(bench.replica.store.versions.tombstones.collected(here)).toBe(100);
    bench.pass();
    expect([bench.doubtful, bench.replica.store.versions.tombstones.collected(here)]).toEqual([[here], 0]);
    bench.restart();
    expect([bench.doubtful, bench.replica.store.versions.tombstones.collected(here)]).toEqual([[here], 0]);
    expect(bench.replica.store.install(here, key, 5, valueOf(key))).toBe(true);
  });
});

describe('what others have newer', () => {
  it('has the branch of that key read at once, and a row that is missing there is found out', () => {
    const bench = new Bench();
    const [hidden, other] = keys as [Key, Key];
    const { store, runtime } = bench.replica;
    bench.scrub.suspect(here, store.tree.leafOf(slotOf(other)));
    bench.scrub.tick();
    expect([bench.doubtful, bench.errors]).toEqual([[], []]);
    runtime.store.table.delete(bench.rowOf('d', hidden));
    bench.restart();
    expect(bench.replica.store.head(hidden)).toBeUndefined();
    bench.replica.store.install(here, hidden, 9, valueOf('newer'));
    bench.scrub.suspect(here, store.tree.leafOf(slotOf(hidden)));
    bench.scrub.tick();
    bench.replica.settle();
    expect([bench.doubtful, bench.errors.length]).toEqual([[here], 1]);
    expect(bench.replica.store.head(hidden)?.version).toBe(9);
  });

  it('is bounded, a few branches each time, and never of partitions that are kept elsewhere', () => {
    const bench = new Bench();
    const elsewhere = partitionWhere(topology, (members) => !members.includes('n1'));
    for (let leaf = 0; leaf < bench.replica.store.tree.leavesPerPartition; leaf++) for (const partition of [here, elsewhere]) bench.scrub.suspect(partition, leaf);
    for (let ticks = 0; ticks < 1_000; ticks++) bench.scrub.tick();
    expect(bench.scrub.counters).toMatchObject({ passes: 0, rows: keys.length / 2 });
  });
});

describe('a store that opens', () => {
  it('makes a row of digests anew that has changed', () => {
    const bench = new Bench();
    const before = bench.replica.store.root(here);
    bench.flip(bench.rowOf('g', ''), 9);
    bench.restart();
    expect([bench.doubtful, bench.replica.store.root(here)]).toEqual([[], before]);
    bench.restart();
    bench.pass();
    expect([bench.doubtful, bench.errors]).toEqual([[], []]);
  });

  it('doubts a partition whose record of its tombstones has changed', () => {
    const bench = new Bench();
    bench.flip(bench.rowOf('t', ''), 9);
    bench.restart();
    expect(bench.doubtful).toHaveLength(1);
    bench.restart();
    expect(bench.doubtful).toHaveLength(1);
  });
});
