/** Anti-entropy between the stores of two replicas, message by message. */
import { describe, expect, it } from 'vitest';
import { limits } from '../../../client/wire/limits.ts';
import { Tag, type Key, type Message, type Version } from '../../../client/wire/messages.ts';
import { slotOf } from '../../../node/store/hash.ts';
import { Random } from '../../sim/random.ts';
import { valueOf } from '../txn/bodies.ts';
import { keysIn, partitionWhere, viewOf } from '../txn/topologies.ts';
import { intervalMs, Pair, type Side } from './pair.ts';

const sizeOf = (message: Message): number => message.flat(2).reduce((sum: number, part) => sum + (part instanceof Uint8Array || typeof part === 'string' ? part.length : 9), 0);

describe('an exchange', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))('makes both sides equal: the newest of either, deletions too (seed %i)', (seed) => {
    const random = new Random(`exchange ${seed}`);
    // A key or none to a leaf, or many.
    const pair = new Pair(viewOf(2, 2, seed % 2 === 0 ? 16 : 1_024));
    const keys = seed % 2 === 0 ? Array.from({ length: 120 }, (_, i) => `k${i}`) : keysIn(pair.a.replica.topology, 3, 120);
    const expected = new Map<Key, { version: Version; deleted: boolean }>();
    for (let i = 0; i < 300; i++) {
      const key = random.pick(keys);
      const version = 1 + random.below(1_000);
      const deleted = version % 5 === 0;
      for (const side of [pair.a, pair.b]) if (random.chance(0.6)) side.write(key, version, { deleted });
      const held = Math.max(...[pair.a, pair.b].map(({ replica }) => replica.store.head(key)?.version ?? 0));
      if (held > 0) expected.set(key, { version: held, deleted: held % 5 === 0 });
    }
    pair.connect();
    pair.heal();
    for (const { replica } of [pair.a, pair.b]) {
      for (const [key, { version, deleted }] of expected) {
        expect([key, replica.store.head(key)?.version, replica.text(key)]).toEqual([key, version, deleted ? null : `${key}@${version}`.padEnd(8, '.')]);
      }
    }
  });

  it('carries what the other side lacks and nothing else', () => {
    const pair = new Pair();
    for (let i = 0; i < 500; i++) for (const side of [pair.a, pair.b]) side.write(`k${i}`, 10);
    pair.b.write('k7', 20);
    pair.b.write('k8', 20, { deleted: true });
    pair.a.write('k9', 20);
    pair.connect();
    pair.heal();
    expect(pair.carried.sort()).toEqual(['k7', 'k8', 'k9']);
    expect([pair.a.exchange.counters.keysPulled, pair.b.exchange.counters.keysPulled]).toEqual([2, 1]);
  });

  it('of equal sides is a question and an answer for both, and comes again after the interval', () => {
    const pair = new Pair();
    for (const side of [pair.a, pair.b]) side.write('k1', 10);
    pair.connect();
    pair.pass(0);
    expect(pair.deliver()).toBe(2);
    pair.pass(intervalMs - 1);
    expect(pair.deliver()).toBe(0);
    pair.pass(1);
    expect(pair.deliver()).toBeGreaterThan(0);
    for (const { exchange } of [pair.a, pair.b]) expect(exchange.lag).toEqual({ partitionsBehind: 0, lastAgreementMs: 0, partitionsLeft: 0 });
    pair.pass(500);
    expect(pair.a.exchange.lag).toEqual({ partitionsBehind: 0, lastAgreementMs: 500, partitionsLeft: 0 });
    expect(pair.a.exchange.agreements).toEqual([{ id: 'n2', lastAgreementMs: 500, partitionsBehind: 0 }]);
  });

  it('tells how far behind a replica is until all is equal', () => {
    const pair = new Pair(viewOf(2, 2, 16));
    expect(pair.a.exchange.lag).toEqual({ partitionsBehind: 0, lastAgreementMs: null, partitionsLeft: 0 });
    const { topology } = pair.a.replica;
    for (const partition of [1, 2, 3]) pair.b.write(keysIn(topology, partition, 1)[0] as Key, 10);
    pair.connect();
    // The one that dialled last begins: it sees the difference, and that it is not the one that lacks anything.
    pair.pass(0);
    pair.deliver();
    expect(pair.b.exchange.lag).toEqual({ partitionsBehind: 3, lastAgreementMs: null, partitionsLeft: 0 });
    pair.heal();
    pair.run(2_500);
    for (const { exchange } of [pair.a, pair.b]) expect(exchange.lag).toMatchObject({ partitionsBehind: 0, lastAgreementMs: expect.any(Number) });
  });

  it('knows of which partitions it may have missed something, from when it is not alone any more until they were gone through', () => {
    const pair = new Pair(viewOf(2, 2, 64));
    const { topology } = pair.a.replica;
    const behind = (side: Side): number => Array.from({ length: 64 }, (_, partition) => partition).filter((partition) => side.exchange.isBehind(partition)).length;
    for (let partition = 0; partition < 64; partition++) pair.b.write(keysIn(topology, partition, 1)[0] as Key, 10);
    expect(behind(pair.a)).toBe(0);
    pair.connect();
    expect(behind(pair.a)).toBe(64);
    pair.heal();
    pair.run(2_500);
    expect([behind(pair.a), behind(pair.b)]).toEqual([0, 0]);
    pair.connect();
    expect(behind(pair.a)).toBe(64);
    for (const isNews of [...Array<boolean>(99).fill(false), true, ...Array<boolean>(99).fill(false)]) pair.a.exchange.askedMajority(isNews);
    expect(behind(pair.a)).toBe(64);
    pair.a.exchange.askedMajority(false);
    expect(behind(pair.a), 'a hundred reads in a row found nothing newer').toBe(0);
    const amongThree = new Pair(viewOf(3, 3, 64));
    amongThree.connect();
    expect(behind(amongThree.a), 'n3 was there all the time').toBe(0);
  });

  it('goes through many differing partitions, a bounded number at a time', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    for (let i = 0; i < 4_000; i++) pair.b.write(`k${i}`, 10);
    pair.connect();
    pair.heal();
    expect(pair.a.exchange.counters.keysPulled).toBe(4_000);
    for (const [, , partitions] of pair.saidWith(Tag.compare)) expect(partitions.length).toBeLessThanOrEqual(64);
  });

  it('goes through a long partition in bounded pieces', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    for (let i = 0; i < 5_000; i++) pair.b.write(`k${i}`, 10);
    pair.connect();
    pair.heal();
    for (const [, , leaves] of pair.saidWith(Tag.list)) expect(leaves.length / 4).toBeLessThanOrEqual(256);
    for (const [, , , news] of pair.saidWith(Tag.listed)) expect(news.length / 3).toBeLessThanOrEqual(512);
    expect(pair.a.exchange.counters.keysPulled).toBe(5_000);
    expect(pair.carried.length, 'each key came once').toBe(5_000);
  });

  it('carries the largest values, in messages far below the largest frame', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    for (let i = 0; i < 12; i++) pair.b.write(`k${i}`, 10, { bytes: i % 3 === 0 ? limits.valueBytesMax : 100_000 });
    pair.connect();
    pair.heal();
    expect(pair.a.exchange.counters.keysPulled).toBe(12);
    expect(Math.max(...pair.said.map(sizeOf))).toBeLessThan(limits.frameBytesMax / 8);
  });

  it('leaves nothing to fingerprints where the asker is in doubt, for two that are alike would hide what it lacks', () => {
    const pair = new Pair({ ...viewOf(2), partitions: 1 });
    const keys = Array.from({ length: 4_000 }, (_, i) => `k${i}`);
    keys.forEach((key, i) => {
      pair.b.write(key, 10 + i);
      if (i % 5 !== 0) pair.a.write(key, 10 + i);
    });
    const { store } = pair.a.replica;
    store.doubts.doubt([0], 'of a test');
    pair.a.exchange.peerUp('n2');
    pair.run(5_000);
    expect(pair.a.passes[0]?.ordinal).toBe(1);
    expect(keys.filter((key) => store.head(key) === undefined)).toEqual([]);
    const told = pair.saidWith(Tag.list).flatMap(([, , leaves]) => leaves.filter((_, i) => i % 4 === 3)).filter((have) => have !== null);
    expect(told.length).toBeGreaterThan(10);
    expect(told.every((have) => (have as Uint8Array).length === 0)).toBe(true);
  });

  it('goes on while both sides change, and ends equal', () => {
    const pair = new Pair();
    const random = new Random('moving');
    pair.connect();
    for (let version = 1; version <= 400; version++) {
      const key = `k${random.below(50)}`;
      // A commit reaches one side now, the other one perhaps never.
      random.pick([pair.a, pair.b]).write(key, version, { deleted: version % 7 === 0 });
      pair.pass(20);
      if (random.chance(0.7)) pair.deliver();
    }
    pair.heal();
  });

  it('cut off at any point leaves both sides valid, and begins again with the next session', () => {
    for (let cut = 0; cut < 12; cut++) {
      const pair = new Pair(viewOf(2, 2, 4));
      for (let i = 0; i < 40; i++) pair[i % 2 === 0 ? 'a' : 'b'].write(`k${i}`, 10 + i);
      pair.connect();
      pair.pass(0);
      const queue: [Side, string, Message][] = [];
      const collect = (): void => {
        for (const message of pair.take(pair.a)) queue.push([pair.b, 'n1', message]);
        for (const message of pair.take(pair.b)) queue.push([pair.a, 'n2', message]);
      };
      collect();
      for (let i = 0; i < cut && queue.length > 0; i++) {
        const [side, from, message] = queue.shift() as [Side, string, Message];
        side.receive(from, message);
        collect();
      }
      // The rest is lost with the session.
      pair.connect();
      pair.heal();
    }
  });

  it('that hears nothing is begun again', () => {
    const pair = new Pair();
    pair.a.write('k1', 10);
    pair.connect();
    pair.pass(0);
    pair.take(pair.b);
    pair.pass(4_999);
    pair.take(pair.a);
    expect(pair.take(pair.b)).toEqual([]);
    expect(pair.heal()).toBeLessThan(500);
  });
});

/** Runs an exchange up to the first answer of n1 that holds values, which is not delivered. */
function answerOf(pair: Pair): Extract<Message, readonly [typeof Tag.listed, ...unknown[]]> {
  for (let i = 0; i < 20; i++) {
    for (const message of pair.take(pair.b)) pair.a.receive('n2', message);
    for (const message of pair.take(pair.a)) {
      if (message[0] === Tag.listed && message[3].length > 0) return message;
      pair.b.receive('n1', message);
    }
  }
  throw new Error('n1 has nothing to tell');
}

describe('what comes from a peer', () => {
  it('never replaces anything newer, whatever its answer says', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    pair.a.write('k1', 10);
    pair.connect();
    pair.pass(0);
    const [tag, request, leaves] = answerOf(pair);
    // While the answer is under way, n2 hears of a later commit.
    pair.b.write('k1', 30);
    pair.b.receive('n1', [tag, request, leaves, ['k1', 10, valueOf('old'), 'k2', 10, valueOf('k2@10...')], [], null]);
    expect([pair.b.replica.store.head('k1')?.version, pair.b.replica.text('k2')]).toEqual([30, 'k2@10...']);
  });

  it('is ignored if it is no answer to the present question', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    pair.connect();
    pair.pass(0);
    const asked = pair.take(pair.b);
    expect(asked.map((message) => message[0])).toEqual([Tag.blocks]);
    const present = asked[0]?.[1] as number;
    const roots = (request: number): Message => [Tag.roots, request, false, [0, new Uint8Array(16).fill(1)]];
    for (const request of [0, present, present + 1]) {
      pair.b.receive('n1', [Tag.pulled, request, ['k1', 10, valueOf('unasked')]]);
      pair.b.receive('n1', [Tag.listed, request, [0, new Uint8Array(16), null], ['k1', 10, valueOf('unasked')], [], null]);
      pair.b.receive('n1', [Tag.differ, request, [0, 0, new Uint8Array(96).fill(1)]]);
      pair.b.receive('n9', roots(request));
    }
    for (const request of [present - 1, present + 1]) pair.b.receive('n1', roots(request));
    expect(pair.b.replica.store.head('k1')).toBe(undefined);
    expect(pair.take(pair.b)).toEqual([]);
    pair.b.receive('n1', roots(present));
    expect(pair.take(pair.b).map((message) => message[0])).toEqual([Tag.compare]);
  });

  it('is taken only for partitions that are kept here, and answered only from those', () => {
    const view = viewOf(4, 2, 64);
    const pair = new Pair(view);
    const { topology } = pair.a.replica;
    const away = partitionWhere(topology, (members) => !members.includes('n1'));
    const shared = partitionWhere(topology, (members) => members.join() === 'n1,n2');
    const [far] = keysIn(topology, away, 1) as [Key];
    pair.a.receive('n2', [Tag.compare, 5, [away, shared, 9_999], new Uint8Array(48).fill(1)]);
    pair.a.receive('n2', [Tag.descend, 6, away, 1, [0]]);
    pair.a.receive('n2', [Tag.list, 7, [away, 0, 0, null, shared, 70_000, 0, null], null, null, 8_192]);
    pair.a.receive('n2', [Tag.pull, 8, [far], 8_192]);
    const [compared, children, listed, pulled] = pair.take(pair.a);
    expect((compared?.[2] as unknown[])[0]).toBe(shared);
    expect(compared?.[2]).toHaveLength(4);
    expect(children?.[2]).toHaveLength(0);
    expect(listed?.slice(2)).toEqual([[0, new Uint8Array(0), null, null, new Uint8Array(0), null], [], [], null]);
    expect(pulled?.[2]).toEqual([]);

    const [near] = keysIn(topology, shared, 1) as [Key];
    pair.a.write(near, 10);
    pair.connect();
    pair.pass(0);
    const [tag, request, leaves] = answerOf(pair);
    const foreign = keysIn(topology, partitionWhere(topology, (members) => !members.includes('n2')), 1)[0] as Key;
    pair.b.receive('n1', [tag, request, leaves, [foreign, 10, valueOf('foreign'), near, 10, valueOf('near')], [], null]);
    expect([pair.b.replica.store.head(foreign), pair.b.replica.text(near)]).toEqual([undefined, 'near']);
  });

  it('waits for room before it asks for more', () => {
    const pair = new Pair(viewOf(2, 2, 1), { overlayBytesMax: 600_000, checkpointIntervalMs: 500 });
    for (let i = 0; i < 40; i++) pair.b.write(`k${i}`, 10, { bytes: 100_000 });
    let most = 0;
    pair.b.replica.runtime.advance(5_000);
    pair.connect();
    for (let i = 0; i < 2_000 && !pair.areEqual; i++) {
      pair.pass(25);
      pair.deliver();
      most = Math.max(most, pair.a.replica.store.stats.overlayBytes);
      pair.a.replica.runtime.advance(25);
    }
    expect(pair.areEqual).toBe(true);
    expect(most).toBeLessThan(1_100_000);
  });
});

describe('between a node and many', () => {
  it('what is under way is bounded by the pace, asked and answered', () => {
    const pair = new Pair(viewOf(2, 2, 16), {}, 400_000);
    for (let i = 0; i < 3_000; i++) pair.b.write(`k${i}`, 10, { bytes: 1_000 });
    pair.connect();
    pair.run(2_000);
    const carried = pair.carried.length;
    expect(carried).toBeGreaterThan(400);
    expect(carried).toBeLessThan(1_100);
    expect(pair.heal()).toBeLessThan(10_000);
  });

  it('a peer that restarts in the middle is gone on with', () => {
    const pair = new Pair(viewOf(2, 2, 16), {}, 2_000_000);
    for (let i = 0; i < 3_000; i++) pair.b.write(`k${i}`, 10, { bytes: 1_000 });
    pair.connect();
    for (const side of [pair.b, pair.a, pair.b]) {
      pair.run(500);
      expect(pair.areEqual).toBe(false);
      side.begin();
      pair.take(pair.a);
      pair.take(pair.b);
      pair.connect();
    }
    pair.heal();
    expect(pair.carried.length).toBeLessThan(3_600);
  });
});

describe('who is asked', () => {
  it.each(['asks', 'is asked'])('knows that both agree, also if a write was under way to the one that %s', (which) => {
    const pair = new Pair(viewOf(2, 2, 64));
    pair.connect();
    pair.run(1_000);
    const ages = (): (number | null)[] => [pair.a, pair.b].map(({ exchange }) => exchange.lag.lastAgreementMs);
    pair.nowMs += 500;
    const [early, late] = which === 'asks' ? [pair.b, pair.a] : [pair.a, pair.b];
    early.write('k1', 20);
    pair.a.exchange.hurry('n2');
    pair.a.tick();
    for (const message of pair.take(pair.a)) pair.b.receive('n1', message);
    late.write('k1', 20);
    expect(ages().every((age) => age !== null && age >= 500)).toBe(true);
    pair.deliver();
    expect(ages()).toEqual([0, 0]);
  });
});

describe('a partition in doubt', () => {
  it('is compared once in an exchange, also where it is alone in its block', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    for (let i = 0; i < 40; i++) pair.b.write(`k${i}`, 10);
    pair.a.replica.store.doubts.doubt([0], 'of a test');
    pair.a.exchange.peerUp('n2');
    // Something is new whenever it is asked.
    for (let i = 0; i < 400; i++) {
      for (const message of pair.take(pair.a)) pair.b.receive('n1', message);
      pair.b.write(`k${i % 40}`, 20 + i);
      for (const message of pair.take(pair.b)) pair.a.receive('n2', message);
      pair.pass(1);
    }
    expect(pair.a.exchange.counters.exchanges).toBeGreaterThan(2);
    expect(pair.saidWith(Tag.compare)).toHaveLength(pair.a.exchange.counters.exchanges);
  });
});

describe('a leaf that differs, in which the other side has nothing newer', () => {
  it('is told, for something of ours may be hidden that its digest is of', () => {
    const pair = new Pair();
    for (const side of [pair.a, pair.b]) side.write('k1', 10);
    const { store, topology, runtime } = pair.a.replica;
    // In the table, and then hidden there: what is written next takes the place of nothing.
    store.atRest(() => {});
    runtime.settle();
    runtime.store.table.delete([...runtime.store.table.keys()].find((name) => name.startsWith('d') && name.endsWith('k1')) as string);
    for (let i = 0; i < 10_001; i++) store.head(`other ${i}`);
    for (const side of [pair.a, pair.b]) side.write('k1', 20);
    pair.connect();
    pair.run(10_000);
    const partition = topology.partitionOf('k1');
    expect([...new Set(pair.a.suspects.map(({ partition: at, leaf }) => `${at} ${leaf}`))]).toEqual([`${partition} ${store.tree.leafOf(slotOf('k1'))}`]);
  });
});

describe('a repair', () => {
  it('is taken in if it is newer, counted, and left alone by who has no room', () => {
    const pair = new Pair(viewOf(2, 2, 4));
    pair.connect();
    pair.a.write('k1', 10);
    pair.a.write('k2', 30);
    pair.b.exchange.repair('n1', ['k1', 20, valueOf('new'), 'k2', 20, valueOf('old'), 'k3', 20, null]);
    pair.deliver();
    expect([pair.a.replica.text('k1'), pair.a.replica.store.head('k2')?.version, pair.a.replica.text('k3')]).toEqual(['new', 30, null]);
    expect([pair.a.exchange.counters.keysRepaired, pair.b.exchange.counters.repairsSent]).toEqual([2, 3]);
    expect(pair.a.suspects, 'of what was newer').toHaveLength(2);
    pair.b.pacer.spent(1e9);
    pair.b.exchange.repair('n1', ['k1', 40, valueOf('newer')]);
    expect(pair.take(pair.b)).toEqual([]);
  });
});
