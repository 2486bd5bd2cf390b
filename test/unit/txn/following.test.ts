/** Operations and blind writes that follow one another on a key before the first of them is committed, at the node n1. */
import { describe, expect, it } from 'vitest';
import { decodeBody } from '../../../client/wire/codec.ts';
import { AbortReason, operationKinds, Tag, Vote, type Key, type Operations, type Prepare } from '../../../client/wire/messages.ts';
import { decodeValue, encodeValue } from '../../../client/wire/values.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { a, b, Bench, c, type FakeClient } from './commits-bench.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const three = new Topology(viewOf(3), 'n1');
const add = (key: Key, delta: number, min?: number): Operations => [operationKinds.indexOf('add'), key, encodeValue(delta), min === undefined ? null : encodeValue(min), null];

describe('operations and blind writes on one key', () => {
  const valuesIn = ([, , , , , , , bytes]: Prepare): Record<Key, unknown> => {
    const [, writes] = decodeBody(bytes);
    return Object.fromEntries(Array.from({ length: writes.length / 2 }, (_, i) => [writes[2 * i], decodeValue(writes[2 * i + 1] as Uint8Array)]));
  };

  /** Keeps the replicas busy with two others, so that what comes now waits. */
  function busy(): { bench: Bench; under: Prepare[] } {
    const bench = new Bench();
    bench.commit(bench.client(), 1, { writes: { [keysIn(three, 5, 1)[0] as Key]: 'x' } });
    bench.commit(bench.client(), 2, { writes: { [keysIn(three, 6, 1)[0] as Key]: 'x' } });
    return { bench, under: bench.prepares() };
  }

  it('follow one another within a commit, and each has its answer', () => {
    const { bench, under } = busy();
    const clients = [1, 2, 3, 4].map(() => bench.client());
    bench.commit(clients[0] as FakeClient, 3, { operations: [...add(a, 5), ...add(b, 1)] });
    bench.commit(clients[1] as FakeClient, 4, { operations: add(a, 7) });
    bench.commit(clients[2] as FakeClient, 5, { operations: [...add(b, 10), ...add(a, -1)] });
    bench.commit(clients[3] as FakeClient, 6, { operations: add(c, 1) });
    expect(bench.prepares()).toEqual([]);
    bench.vote(under[0] as Prepare);
    const [batch, ...none] = bench.prepares() as [Prepare];
    expect([valuesIn(batch), decodeBody(batch[7])[0], none]).toEqual([{ [a]: 11, [b]: 11, [c]: 1 }, [a, 0, b, 0, c, 0], []]);
    bench.vote(batch);
    const isLast = { 3: false, 4: false, 5: true, 6: true };
    expect(clients.map((client) => client.take()), 'and knows whether what it wrote was left').toEqual(Object.entries(isLast).map(([request, last]) => [[Tag.committed, Number(request), batch[5], last]]));
    expect(bench.commits.attemptCount).toBe(1);
  });

  it('are waited for by what reads one of the keys by itself', () => {
    const { bench, under } = busy();
    bench.commit(bench.client(), 3, { operations: add(a, 5) });
    bench.commit(bench.client(), 4, { reads: { [a]: 0 }, writes: { [b]: 'x' } });
    bench.commit(bench.client(), 5, { operations: add(a, 1), protocol: 1 });
    bench.vote(under[0] as Prepare);
    const [batch, ...none] = bench.prepares() as [Prepare];
    expect([valuesIn(batch), none]).toEqual([{ [a]: 5 }, []]);
    bench.vote(batch);
    expect(bench.commits.counters.requests).toBe(5);
    expect(bench.prepares().map((prepare) => [prepare[6], valuesIn(prepare)]), 'the one that read is told that it was too late; the one of another protocol goes on').toEqual([[1, { [a]: 6 }]]);
  });

  it('fail at a bound only by what is committed', () => {
    const { bench, under } = busy();
    const client = bench.client();
    bench.commit(bench.client(), 3, { operations: add(a, 5) });
    bench.commit(client, 4, { operations: add(a, -6, 0) });
    bench.vote(under[0] as Prepare);
    const [batch] = bench.prepares() as [Prepare];
    expect(client.take()).toEqual([]);
    bench.vote(batch, Vote.conflict);
    bench.answerReads();
    expect(client.take().map((message) => message.slice(0, 4)), 'the five were never there').toEqual([[Tag.aborted, 4, AbortReason.boundMin, a]]);
  });

  it('don’t if they touch several groups or many keys: those wait, and travel alone', () => {
    const five = new Topology(viewOf(5), 'n1');
    const mine = partitionWhere(five, (members) => members.includes('n1'));
    const other = partitionWhere(five, (members) => members.includes('n1') && five.groupOf(mine).members.join() !== members.join());
    const [first, second, third, ...many] = keysIn(five, mine, 20) as [Key, Key, Key, ...Key[]];
    const [elsewhere] = keysIn(five, other, 1) as [Key];
    for (const operations of [[...add(third, 1), ...add(elsewhere, 1)], [...add(third, 1), ...many.flatMap((key) => add(key, 1))]]) {
      const bench = new Bench(five);
      bench.commit(bench.client(), 1, { writes: { [first]: 'x' } });
      bench.commit(bench.client(), 2, { writes: { [second]: 'x' } });
      bench.commit(bench.client(), 3, { operations: add(third, 1) });
      bench.commit(bench.client(), 4, { operations });
      expect([bench.commits.attemptCount, bench.coordinator.runningCount], 'two are under way, and two wait').toEqual([4, 2]);
    }
  });
});
