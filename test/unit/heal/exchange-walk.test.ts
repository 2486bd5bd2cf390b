/** What a walk finds, and what it says of it. */
import { describe, expect, it } from 'vitest';
import { Tag, type Key } from '../../../client/wire/messages.ts';
import { valueOf } from '../txn/bodies.ts';
import { keysIn, viewOf } from '../txn/topologies.ts';
import { Pair } from './pair.ts';

describe('an exchange of replicas that differ', () => {
  it('in one key, however deep the tree, asks for the nodes above it and for nothing else', () => {
    for (const partitions of [1, 8, 64, 1_024]) {
      const pair = new Pair(viewOf(2, 2, partitions));
      for (let i = 0; i < 300; i++) for (const side of [pair.a, pair.b]) side.write(`k${i}`, 10);
      pair.b.write('k7', 20);
      pair.connect();
      pair.heal();
      const { depth } = pair.a.replica.store.tree;
      const perWalk = pair.saidWith(Tag.descend).length / pair.saidWith(Tag.list).length;
      expect(perWalk).toBe(depth - 1);
      for (const [, , , , nodes] of pair.saidWith(Tag.descend)) expect(nodes).toHaveLength(1);
      for (const [, , leaves] of pair.saidWith(Tag.list)) expect(leaves).toHaveLength(4);
    }
  });

  it('in old versions, finds them by fingerprints when the newest tell nothing', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    const { topology } = pair.a.replica;
    const keys = keysIn(topology, 5, 400);
    // The newest version of every leaf is the same on both sides.
    for (const [i, key] of keys.entries()) for (const side of [pair.a, pair.b]) if (side === pair.b || i % 50 !== 7) side.write(key, i % 50 === 7 ? 10 : 1_000 + i);
    for (const [i, key] of keys.entries()) if (i % 50 === 9) pair.a.write(key, 5_000, { deleted: true });
    for (const [i, key] of keys.entries()) if (i % 50 === 9) pair.b.write(key, 4_000);
    pair.connect();
    pair.heal();
    expect(new Set(pair.carried).size).toBeLessThanOrEqual(16);
    expect(pair.carried.length).toBeLessThanOrEqual(16);
    for (const [i, key] of keys.entries()) if (i % 50 === 9) expect([pair.b.replica.text(key), pair.a.replica.store.head(key)?.version]).toEqual([null, 5_000]);
  });

  it('in the value of one version sees it, says so and goes on', () => {
    const pair = new Pair(viewOf(2, 2, 4));
    for (let i = 0; i < 50; i++) for (const side of [pair.a, pair.b]) side.write(`k${i}`, 10 + i);
    const { topology } = pair.a.replica;
    pair.a.replica.store.install(topology.partitionOf('x'), 'x', 5, valueOf('one'));
    pair.b.replica.store.install(topology.partitionOf('x'), 'x', 5, valueOf('other'));
    pair.b.write('y', 100);
    pair.connect();
    pair.run(20_000);
    expect(pair.a.replica.text('y')).toBe('y@100...');
    for (const side of [pair.a, pair.b]) {
      expect(side.exchange.counters.sameVersionDiffers).toBeGreaterThan(0);
      expect(side.errors[0]).toMatchObject({ key: '78', version: 5 });
      expect(side.exchange.lag.partitionsBehind).toBe(1);
    }
    expect([pair.a.replica.text('x'), pair.b.replica.text('x')]).toEqual(['one', 'other']);
    const rounds = pair.a.exchange.counters.exchanges;
    pair.run(300_000);
    expect(pair.a.exchange.counters.exchanges - rounds, 'ever more seldom').toBeLessThan(25);
  });

  it('in a third of what is old, in leaves whose newest is the same, finds all of it', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    const keys = keysIn(pair.a.replica.topology, 5, 600);
    for (const [i, key] of keys.entries()) for (const side of [pair.a, pair.b]) side.write(key, side === pair.a && i % 3 === 1 ? 1 + i : 10_000 + i);
    for (const side of [pair.a, pair.b]) for (const key of keys.slice(0, 100)) side.write(key, 1e6);
    pair.connect();
    pair.heal();
    expect(new Set(pair.carried).size, 'nothing comes twice').toBe(pair.carried.length);
  });
});

describe('a pass', () => {
  it('is told once for each partition that differed, with the ordinal of its exchange and what the peer says of it', () => {
    const pair = new Pair(viewOf(2, 2, 16));
    const { topology } = pair.a.replica;
    pair.b.collected = 77;
    for (const partition of [1, 2, 3]) for (const key of keysIn(topology, partition, 20)) pair.b.write(key, 10);
    pair.connect();
    pair.heal();
    pair.run(1_000);
    const told = pair.a.passes.filter(({ partition }) => partition <= 3).sort((x, y) => x.partition - y.partition);
    expect(told.map(({ partition, collected }) => [partition, collected])).toEqual([[1, 77], [2, 77], [3, 77]]);
    expect(new Set(told.map(({ ordinal }) => ordinal)).size).toBe(1);
    expect(pair.a.replica.store.head(keysIn(topology, 2, 20)[19] as Key)?.version).toBe(10);
  });

  it('comes for a partition in doubt though it looks equal, and soon', () => {
    const pair = new Pair(viewOf(2, 2, 16));
    pair.connect();
    pair.run(1_000);
    expect(pair.a.passes).toEqual([]);
    pair.a.replica.store.doubts.doubt([4], 'a test');
    const before = pair.a.exchange.hurry('n2');
    pair.run(100);
    expect(pair.a.passes).toEqual([{ partition: 4, ordinal: expect.any(Number), collected: 0 }]);
    expect(pair.a.passes[0]?.ordinal).toBeGreaterThan(before);
  });

  it('names the keys of which the peer has no trace, as far as that means anything', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    const { topology } = pair.a.replica;
    const keys = keysIn(topology, 5, 200);
    for (const [i, key] of keys.entries()) pair.a.write(key, 1 + i, { deleted: i % 2 === 0 });
    for (const [i, key] of keys.entries()) if (i % 10 !== 0) pair.b.write(key, 1 + i + (i % 10 === 1 ? 500 : 0), { deleted: i % 2 === 0 });
    pair.b.collected = 150;
    pair.connect();
    pair.run(5_000);
    const ghosts = new Set(pair.a.vanished.flatMap(({ keys: named }) => named));
    const absent = keys.filter((_, i) => i % 10 === 0);
    // Nothing that it has, in whatever version, and nothing that is too new to have been collected.
    for (const ghost of ghosts) expect([absent.includes(ghost), keys.indexOf(ghost) < 150]).toEqual([true, true]);
    expect(ghosts.size).toBe(15);
    expect(pair.b.vanished).toEqual([]);
    expect(pair.a.vanished.every(({ partition, collected }) => partition === 5 && collected === 150)).toBe(true);
  });
});

describe('a node that was away', () => {
  it('asks for what is newer than all it had, without telling what it has, whatever was written since it is back', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    const { topology } = pair.a.replica;
    const keys = keysIn(topology, 5, 200);
    for (const [i, key] of keys.entries()) for (const side of [pair.a, pair.b]) side.write(key, 10 + i);
    for (const key of keys.slice(0, 50)) pair.b.write(key, 2_000);
    pair.a.missedSince = 1_000;
    pair.a.begin();
    // In every leaf it has something newer than all that it missed.
    for (const key of keys.slice(50, 100)) for (const side of [pair.a, pair.b]) side.write(key, 3_000);
    pair.connect();
    pair.heal();
    expect(pair.carried.filter((key) => keys.indexOf(key) < 50), 'each key came once').toHaveLength(50);
    expect(pair.said.every((message) => message[0] !== Tag.list || message[2].every((field, i) => i % 4 !== 3 || field === null)), 'no fingerprints were told').toBe(true);
    expect(pair.saidWith(Tag.pull)).toEqual([]);
  });

  it('goes by what it has as soon as it has caught up', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    const keys = keysIn(pair.a.replica.topology, 5, 200);
    for (const key of keys) for (const side of [pair.a, pair.b]) side.write(key, 2_000);
    pair.a.missedSince = 1_000;
    pair.a.begin();
    pair.b.write('k1', 3_000);
    pair.connect();
    pair.heal();
    pair.run(2_000);
    const before = pair.carried.length;
    pair.b.write(keys[7] as Key, 4_000);
    pair.a.exchange.hurry('n2');
    pair.heal();
    expect(pair.carried.slice(before)).toEqual([keys[7]]);
  });
});
