/** A client's commit, from its arrival to its answer, at the node n1. */
import { describe, expect, it } from 'vitest';
import { AbortReason, operationKinds, Tag, Vote, type Key, type Message, type Operations, type Prepare } from '../../../client/wire/messages.ts';
import { protocolNumber } from '../../../client/wire/protocols.ts';
import { decodeValue, encodeValue } from '../../../client/wire/values.ts';
import { decodeBody } from '../../../client/wire/codec.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { bodyOf } from './bodies.ts';
import { a, b, Bench, c, home, type Ask, type FakeClient } from './commits-bench.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const add = (key: Key, delta: number, min?: number): Operations => [operationKinds.indexOf('add'), key, encodeValue(delta), min === undefined ? null : encodeValue(min), null];
/** A version above all that there will be: what reads it here is not stale. */
const seen = 2 ** 50;
const numbersOf = (prepares: readonly Prepare[]): number[] => prepares.map((prepare) => prepare[3]);

describe('a commit', () => {
  it('is answered when it is decided, with its timestamp', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.commit(client, 1, { reads: { [b]: 0 }, writes: { [a]: 'x' } });
    const [prepare] = bench.prepares() as [Prepare];
    expect(client.take()).toEqual([]);
    bench.vote(prepare);
    expect(client.take()).toEqual([[Tag.committed, 1, prepare[5], true]]);
    expect([bench.commits.attemptCount, bench.replica.text(a)]).toEqual([0, 'x']);
  });

  it('is of the protocol that it names, or of the cluster’s default', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.commit(client, 1, { writes: { [a]: 'x' }, protocol: 3 });
    bench.commit(client, 2, { writes: { [c]: 'x' }, protocol: null });
    expect(bench.prepares().map((prepare) => prepare[6])).toEqual([3, 2]);
  });

  it('waits for those on the same keys that came before, and for nobody else', () => {
    const bench = new Bench();
    const [one, two, three, four] = [bench.client(), bench.client(), bench.client(), bench.client()];
    bench.commit(one, 1, { writes: { [a]: 'first' } });
    const [first] = bench.prepares() as [Prepare];
    bench.commit(two, 2, { reads: { [a]: seen }, writes: { [a]: 'second' } });
    bench.commit(three, 3, { reads: { [a]: seen }, writes: { [a]: 'third', [b]: 'third' } });
    expect(bench.prepares()).toEqual([]);
    bench.commit(four, 4, { writes: { [c]: 'apart' } });
    expect(bench.prepares()).toHaveLength(1);
    bench.vote(first);
    const [second, ...none] = bench.prepares() as [Prepare];
    expect([decodeBody(second[7])[1][1], none]).toEqual([Uint8Array.from(Buffer.from('second')), []]);
    bench.vote(second);
    expect(bench.prepares()).toHaveLength(1);
    expect([one, two, three].map((client) => client.take().map((message) => message[0]))).toEqual([[Tag.committed], [Tag.committed], []]);
  });

  it('under 2pc is answered when a majority has applied it; until then nobody waits for it, and nothing is kept because of it', () => {
    const bench = new Bench();
    const [one, two, three] = [bench.client(), bench.client(), bench.client()];
    const protocol = protocolNumber('2pc');
    bench.commit(one, 1, { writes: { [a]: 'first' }, protocol });
    const [first] = bench.prepares() as [Prepare];
    bench.commit(two, 2, { writes: { [a]: 'second' }, protocol, deadlineMs: 1_000 });
    bench.vote(first);
    expect([one.take(), bench.replica.text(a)]).toEqual([[], 'first']);
    const [second] = bench.prepares() as [Prepare];
    bench.vote(second);
    bench.commit(three, 3, { writes: { [a]: 'third' }, protocol });
    expect(bench.prepares()).toHaveLength(1);
    expect(bench.coordinator.marks(bench.commits.lowestPending)[1]).toBeGreaterThan(first[3]);
    bench.coordinator.onDecided('n3', [Tag.decided, first[1], first[2], [first[3]]]);
    expect(one.take()).toEqual([[Tag.committed, 1, first[5], true]]);
    bench.pass(1_000);
    expect(two.take().map((message) => message.slice(0, 3))).toEqual([[Tag.failed, 2, 'outcome-unknown']]);
    bench.coordinator.onDecided('n3', [Tag.decided, second[1], second[2], [second[3]]]);
    expect([two.take(), bench.commits.attemptCount]).toEqual([[], 1]);
  });

  it('waits for locks of other coordinators before it asks anybody', () => {
    const bench = new Bench();
    const client = bench.client();
    const unlock = bench.lock(a);
    bench.commit(client, 1, { writes: { [a]: 'x' } });
    expect(bench.prepares()).toEqual([]);
    unlock(60);
    expect(bench.prepares()).toHaveLength(1);
  });

  it('that only reads asks no replica to prepare, and is confirmed by a majority', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.write(a, 60, 'x');
    bench.commit(client, 1, { reads: { [a]: 60, [b]: 0 } });
    bench.answerReads();
    expect([client.take(), bench.prepares()]).toEqual([[[Tag.committed, 1, 0, true]], []]);
    bench.commit(client, 2, { reads: { [a]: 50 } });
    bench.answerReads();
    expect(client.take()).toEqual([[Tag.aborted, 2, AbortReason.stale, a, null, 0, null]]);
  });

  it('past its deadline was not begun, or is of unknown outcome', () => {
    const bench = new Bench();
    const [one, two] = [bench.client(), bench.client()];
    bench.commit(one, 1, { writes: { [a]: 'x' }, deadlineMs: 500 });
    bench.commit(two, 2, { writes: { [a]: 'y' }, deadlineMs: 500 });
    const [running] = bench.prepares() as [Prepare];
    bench.pass(500);
    expect(one.take()).toEqual([[Tag.failed, 1, 'outcome-unknown', expect.any(String)]]);
    expect(two.take()).toEqual([[Tag.aborted, 2, AbortReason.timeout, null, null, 0, null]]);
    bench.vote(running);
    expect([one.take(), two.take(), bench.prepares()], 'answered once').toEqual([[], [], []]);
  });

  it('of a client that is gone is dropped unless the replicas were asked', () => {
    const bench = new Bench();
    const [one, two, three] = [bench.client(), bench.client(), bench.client()];
    bench.commit(one, 1, { writes: { [a]: 'first' } });
    bench.commit(two, 2, { writes: { [a]: 'second' } });
    bench.commit(three, 3, { writes: { [a]: 'third' } });
    const [first] = bench.prepares() as [Prepare];
    bench.commits.clientClosed(one);
    bench.commits.clientClosed(two);
    bench.run();
    expect([bench.prepares(), bench.commits.attemptCount], 'the first is still under way').toEqual([[], 2]);
    bench.vote(first);
    expect([bench.replica.text(a), bench.prepares().length, bench.commits.attemptCount]).toEqual(['first', 1, 1]);
  });

  it('of a client that is gone is not begun when its turn comes, however many of them wait', () => {
    const bench = new Bench();
    const client = bench.client();
    const unlock = bench.lock(a);
    for (let i = 0; i < 3_000; i++) bench.commits.onCommit(client, [Tag.commit, i, 5_000, client.nextNumber(), 7, 0, 0, true, bodyOf({ [a]: 0 }, { [a]: 'x' }), null]);
    client.open = false;
    unlock(60);
    expect([bench.prepares(), bench.commits.attemptCount, client.take()]).toEqual([[], 0, []]);
  });

  const refusals: [code: string, ask: Ask][] = [
    ['number-void', { writes: { [a]: 'x' }, number: 7_777_777 }],
    ['wrong-view', { writes: { [a]: 'x' }, epoch: 6 }],
    ['unknown-protocol', { writes: { [a]: 'x' }, protocol: 99 }],
    ['invalid-argument', {}],
    ['invalid-argument', { writes: { [a]: 'x' }, operations: add(a, 1) }],
  ];
  it.each(refusals)('is refused with %s if it is %j', (code, ask) => {
    const bench = new Bench();
    const client = bench.client();
    bench.commit(client, 1, ask);
    expect(client.take()).toEqual([[Tag.failed, 1, code, expect.any(String)]]);
    expect([bench.prepares(), bench.commits.attemptCount]).toEqual([[], 0]);
  });

  it('without a majority of some group is refused before anything is asked', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.replica.outbox.down.add('n2').add('n3');
    bench.commit(client, 1, { writes: { [a]: 'x' } });
    expect(client.take()).toEqual([[Tag.failed, 1, 'unavailable', expect.stringContaining('n1, n2, n3')]]);
  });

  it('that waits when the majority goes away is given back to its client, who may find it elsewhere; nothing more is begun', () => {
    const bench = new Bench();
    const [one, two, three] = [bench.client(), bench.client(), bench.client()];
    bench.commit(one, 1, { writes: { [a]: 'running' } });
    bench.commit(two, 2, { writes: { [a]: 'waiting' } });
    bench.commit(two, 3, { operations: add(a, 1) });
    const unlock = bench.lock(b);
    bench.commit(three, 4, { writes: { [b]: 'waiting for a lock' } });
    expect(bench.prepares()).toHaveLength(1);
    bench.replica.outbox.down.add('n2');
    bench.commits.peerDown();
    expect([one.take(), two.take(), three.take()]).toEqual([[], [], []]);
    bench.replica.outbox.down.add('n3');
    bench.commits.peerDown();
    bench.commits.peerDown();
    const given = (request: number): unknown => [Tag.failed, request, 'unavailable', expect.stringContaining('n1, n2, n3')];
    expect([one.take(), two.take(), three.take()]).toEqual([[], [given(2), given(3)], [given(4)]]);
    bench.coordinator.peerDown('n2');
    bench.coordinator.peerDown('n3');
    bench.run();
    expect(one.take()).toEqual([[Tag.failed, 1, 'outcome-unknown', expect.any(String)]]);
    bench.replica.outbox.down.clear();
    unlock(60);
    bench.run();
    expect([bench.prepares(), bench.commits.attemptCount]).toEqual([[], 1]);
  });
});

describe('a turn', () => {
  /** A client that lost on key a, with its lease. */
  function loser(bench: Bench): { client: FakeClient; lease: number } {
    const client = bench.client();
    bench.write(a, 60, 'new');
    bench.commit(client, 1, { reads: { [a]: 50 }, writes: { [a]: 'mine' }, wantTurn: true });
    bench.answerReads();
    const [answer] = client.take();
    expect(answer).toEqual([Tag.aborted, 1, AbortReason.stale, a, null, expect.any(Number), [a, 60, expect.any(Uint8Array)]]);
    expect(bench.prepares()).toEqual([]);
    return { client, lease: (answer as Message)[5] as number };
  }

  it('is kept for who lost and wants it, with fresh values; its next attempt goes before all who wait', () => {
    const bench = new Bench();
    const { client, lease } = loser(bench);
    const other = bench.client();
    bench.commit(other, 5, { writes: { [a]: 'other' } });
    expect(bench.prepares()).toEqual([]);
    bench.commit(client, 2, { reads: { [a]: 60 }, writes: { [a]: 'mine' }, lease });
    const [mine] = bench.prepares() as [Prepare];
    bench.vote(mine);
    expect(client.take()).toEqual([[Tag.committed, 2, mine[5], true]]);
    expect(bench.prepares()).toHaveLength(1);
  });

  it.each(['is given up', 'is not used in time', 'is of a client that is gone', 'is used for other keys'])('that %s goes to the next', (how) => {
    const bench = new Bench();
    const { client, lease } = loser(bench);
    const other = bench.client();
    bench.commit(other, 5, { writes: { [a]: 'other' } });
    bench.pass(249);
    expect(bench.prepares()).toEqual([]);
    if (how === 'is given up') bench.commits.onGiveUp(client, lease);
    else if (how === 'is not used in time') bench.pass(1);
    else if (how === 'is used for other keys') bench.commit(client, 2, { writes: { [b]: 'elsewhere' }, lease });
    else bench.commits.clientClosed(client);
    bench.run();
    const prepared = bench.prepares().map((prepare) => decodeBody(prepare[7])[1][0]);
    expect(prepared).toContain(a);
  });

  it('is not given for ever to who comes back with old values each time', () => {
    const bench = new Bench();
    let { client, lease } = loser(bench);
    const other = bench.client();
    bench.commit(other, 99, { writes: { [a]: 'other' } });
    let turns = 1;
    for (; lease !== 0; turns++) {
      expect([bench.prepares(), turns < 100]).toEqual([[], true]);
      bench.commit(client, turns, { reads: { [a]: 50 }, writes: { [a]: 'mine' }, wantTurn: true, lease });
      bench.answerReads();
      lease = (client.take() as Message[])[0]?.[5] as number;
    }
    expect(turns, 'and yet often').toBeGreaterThan(10);
    expect(bench.prepares(), 'the other one goes ahead').toHaveLength(1);
  });

  it('can’t be used by another client, nor twice', () => {
    const bench = new Bench();
    const { client, lease } = loser(bench);
    const other = bench.client();
    bench.commit(other, 5, { reads: { [a]: seen }, writes: { [a]: 'other' }, lease });
    expect(bench.prepares()).toEqual([]);
    bench.commit(client, 2, { reads: { [a]: 60 }, writes: { [a]: 'mine' }, lease });
    const [mine] = bench.prepares() as [Prepare];
    bench.commit(client, 3, { reads: { [a]: seen }, writes: { [a]: 'again' }, lease });
    expect(bench.prepares()).toEqual([]);
    bench.vote(mine);
    const [next] = bench.prepares() as [Prepare];
    expect(decodeBody(next[7])[1]).toEqual([a, Uint8Array.from(Buffer.from('other'))]);
  });

  it('is offered to who lost at the replicas too, and brings this replica up to date', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.commit(client, 1, { reads: { [a]: 0 }, writes: { [a]: 'mine' }, wantTurn: true });
    const [prepare] = bench.prepares() as [Prepare];
    bench.vote(prepare, Vote.stale, 90);
    bench.answerReads({ [a]: [90, encodeValue('newer')] });
    expect(client.take()).toEqual([[Tag.aborted, 1, AbortReason.stale, a, null, expect.any(Number), [a, 90, encodeValue('newer')]]]);
    expect(bench.replica.store.head(a)?.version).toBe(90);
  });
});

describe('operations', () => {
  const valueIn = (prepare: Prepare, key: Key): unknown => {
    const writes = decodeBody(prepare[7])[1];
    return decodeValue(writes[writes.indexOf(key) + 1] as Uint8Array);
  };

  it('are applied to the values of the moment at which it is their turn', () => {
    const bench = new Bench();
    const [one, two] = [bench.client(), bench.client()];
    bench.commit(one, 1, { operations: add(a, 5) });
    bench.commit(two, 2, { operations: add(a, 7) });
    const [first] = bench.prepares() as [Prepare];
    expect([valueIn(first, a), decodeBody(first[7])[0]]).toEqual([5, [a, 0]]);
    bench.vote(first);
    const [second] = bench.prepares() as [Prepare];
    expect([valueIn(second, a), decodeBody(second[7])[0]]).toEqual([12, [a, first[5]]]);
  });

  it('that would cross a bound are refused once a majority confirms the value', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.replica.store.install(home, a, 60, encodeValue(3));
    bench.commit(client, 1, { operations: add(a, -5, 0) });
    expect(client.take()).toEqual([]);
    bench.answerReads();
    expect(client.take()).toEqual([[Tag.aborted, 1, AbortReason.boundMin, a, encodeValue(3), 0, null]]);
  });

  it('that would cross a bound of an old value are tried again with the new one', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.replica.store.install(home, a, 60, encodeValue(3));
    bench.commit(client, 1, { operations: add(a, -5, 0) });
    bench.answerReads({ [a]: [70, encodeValue(10)] });
    expect(client.take()).toEqual([[Tag.aborted, 1, AbortReason.stale, a, null, 0, null]]);
    bench.commit(client, 2, { operations: add(a, -5, 0) });
    expect(bench.prepares().map((prepare) => valueIn(prepare, a))).toEqual([5]);
  });

  it('on a key that the client has read are judged by the version they were computed from, if this replica lags', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.replica.store.install(home, a, 60, encodeValue(3));
    // The client read 10 at version 80 from another replica, and then asked to add 1.
    bench.commit(client, 1, { reads: { [a]: 80 }, operations: add(a, 1) });
    const [prepare] = bench.prepares() as [Prepare];
    expect([valueIn(prepare, a), decodeBody(prepare[7])[0]], 'or an update is lost').toEqual([4, [a, 60]]);
  });

  it('on a key that the client has read are judged by what it saw, if that is older', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.replica.store.install(home, a, 60, encodeValue(3));
    bench.commit(client, 1, { reads: { [a]: 50 }, operations: add(a, 1) });
    bench.answerReads();
    expect([bench.prepares(), client.take()]).toEqual([[], [[Tag.aborted, 1, AbortReason.stale, a, null, 0, null]]]);
  });
});

describe('operations on a key that is kept elsewhere', () => {
  const four = new Topology(viewOf(4), 'n1');
  const [far] = keysIn(four, partitionWhere(four, (members) => !members.includes('n1')), 1) as [Key];

  it.each([[80, 80], [60, 60]])('and that the client saw at version %i are applied to what a majority has, and judged at %i', (seen, judged) => {
    const bench = new Bench(four);
    bench.commit(bench.client(), 1, { reads: { [far]: seen }, operations: add(far, 1) });
    bench.answerReads({ [far]: [80, encodeValue(10)] });
    const [prepare] = bench.prepares() as [Prepare];
    const [reads, writes] = decodeBody(prepare[7]);
    expect([reads, decodeValue(writes[1] as Uint8Array)]).toEqual([[far, judged], 11]);
  });
});

describe('transaction numbers', () => {
  it('that a client drew before it heard of more are good', () => {
    const bench = new Bench();
    const client = bench.client();
    const drawn = Array.from({ length: 1_024 }, () => client.nextNumber());
    drawn.forEach((number, i) => bench.commits.onCommit(client, [Tag.commit, i, 5_000, number, 7, 0, 0, false, bodyOf({}, { [a]: 'x' }), null]));
    expect([client.take(), bench.commits.attemptCount]).toEqual([[], 1_024]);
    expect(client.nextNumber()).toBeGreaterThan(drawn.at(-1) as number);
  });

  it('hold the watermark back until used, and no longer than others need thousands', () => {
    const bench = new Bench();
    const [idle, busy] = [bench.client(), bench.client()];
    const held = bench.commits.lowestPending;
    let committed = 0;
    for (; bench.commits.lowestPending === held; committed++) {
      expect(committed).toBeLessThan(20_000);
      bench.commit(busy, committed, { writes: {}, epoch: 6 });
      if (committed % 1_000 === 0) bench.pass(50);
    }
    expect(busy.received.length).toBe(committed);
    bench.commit(idle, 1, { writes: { [a]: 'x' } });
    expect(bench.prepares(), 'the idle one has new numbers').toHaveLength(1);
  });

  it('that are waiting or running hold it back too', () => {
    const bench = new Bench();
    const client = bench.client();
    bench.commit(client, 1, { writes: { [a]: 'x' } });
    bench.commit(client, 2, { writes: { [a]: 'y' } });
    const [first] = bench.prepares() as [Prepare];
    expect(bench.commits.lowestPending).toBe(first[3]);
    bench.vote(first);
    const [second] = bench.prepares() as [Prepare];
    expect([bench.commits.lowestPending, numbersOf([second])]).toEqual([second[3], [first[3] + 1]]);
    bench.vote(second);
    expect(bench.commits.lowestPending).toBe(second[3] + 1);
    // One with a lower number waits for one with a higher.
    bench.commit(bench.client(), 3, { writes: { [a]: 'running' } });
    bench.commit(client, 4, { writes: { [a]: 'waiting' } });
    expect(bench.commits.lowestPending).toBe(second[3] + 1);
  });
});
