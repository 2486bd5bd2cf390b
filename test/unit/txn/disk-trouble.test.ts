/** What a node whose disk takes no writes says to others: what it can answer without one, and NO to all that is new. */
import { describe, expect, it } from 'vitest';
import { Tag, Vote, type Key, type Message, type Prepare } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { bodyOf } from './bodies.ts';
import { a as ownKey, Bench as CommitsBench } from './commits-bench.ts';
import { Bench } from './coordinator-bench.ts';
import { Replica } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const topology = new Topology(viewOf(4), 'n1');
const home = partitionWhere(topology, (members) => members.includes('n1') && members.includes('n2'));
const [a, b, c] = keysIn(topology, home, 3) as [Key, Key, Key];
const bytes = bodyOf({ [b]: 0 }, { [a]: 'x' });
type Name = [node: string, incarnation: number, number: number];
const name = (number: number): Name => ['n2', 1, number];
const prepare = (number: number, body = bytes): Prepare => [Tag.prepare, ...name(number), 7, 100, 0, body];
const unable = (number: number): Message => [Tag.vote, ...name(number), Vote.unable, 0, null, null];

/** A replica whose journal has just refused a write, of the vote on transaction 1. */
function troubled(): Replica {
  const replica = Replica.open(topology);
  replica.runtime.logError = new Error('no space left on device');
  replica.enter((participant) => participant.onPrepare('n2', prepare(1)));
  expect(replica.settle()).toEqual([]);
  expect(replica.store.intake.refusal).not.toBeNull();
  return replica;
}

describe('a replica whose disk takes no writes', () => {
  it('keeps its vote back until it is durable, and then gives it', () => {
    const replica = troubled();
    replica.runtime.advance(60_000);
    expect(replica.settle()).toEqual([]);
    expect(replica.holder(b, true)?.number).toBe(1);
    replica.runtime.logError = null;
    replica.runtime.advance(3_000);
    expect(replica.settle()).toEqual([['n2', [Tag.vote, ...name(1), Vote.ok, 100, null, null]]]);
    expect(replica.crash(0).holder(b, true)?.number).toBe(1);
  });

  it('votes NO at once on what is new, holds nothing of it, and does so again when it hears how that ended', () => {
    const replica = troubled();
    expect(replica.enter((participant) => participant.onPrepare('n2', prepare(2, bodyOf({}, { [c]: 'y' }))))).toEqual([['n2', unable(2)]]);
    expect(replica.enter((participant) => participant.onDecide('n2', [Tag.decide, ...name(2), 150, bodyOf({}, { [c]: 'y' })]))).toEqual([['n2', unable(2)]]);
    // Another node says it: whether a prepare is still on its way, only the coordinator's own session tells.
    expect(replica.enter((participant) => participant.onDecide('n3', [Tag.decide, ...name(3), 150, bodyOf({}, { [c]: 'y' })]))).toEqual([]);
    expect([replica.ledger.recordCount, replica.holder(c, true), replica.text(c)]).toEqual([1, null, undefined]);
  });

  it('promises and accepts nothing, and says what is decided', () => {
    const replica = troubled();
    expect(replica.enter((participant) => {
      participant.onAccept('n2', [Tag.accept, ...name(1), 0, 'n2', 100]);
      participant.onRecover('n3', [Tag.recover, ...name(1), 1, 'n3', 7]);
      participant.onRecover('n3', [Tag.recover, ...name(9), 1, 'n3', 7]);
    })).toEqual([]);
    expect(replica.enter((participant) => participant.onDecide('n2', [Tag.decide, ...name(1), 120, null]))).toEqual([]);
    expect(replica.text(a), 'what is committed is read').toBe('x');
    expect(replica.enter((participant) => participant.onRecover('n3', [Tag.recover, ...name(1), 1, 'n3', 7]))).toEqual([['n3', [Tag.decide, ...name(1), 120, bytes]]]);
    replica.runtime.logError = null;
    replica.runtime.advance(3_000);
    // Vote and acknowledgement, when both are durable.
    expect(replica.settle()).toEqual([['n2', [Tag.vote, ...name(1), Vote.ok, 100, null, null]], ['n2', [Tag.decided, 'n2', 1, [1]]]]);
    expect(replica.crash(0).text(a)).toBe('x');
  });

  it('needs no more memory however much it is told', () => {
    const replica = troubled();
    const before = JSON.stringify([replica.store.stats.overlayBytes, replica.ledger.recordCount, replica.ledger.locks.size]);
    for (let number = 10; number < 2_000; number++) {
      replica.enter((participant) => {
        participant.onPrepare('n2', prepare(number, bodyOf({}, { [c]: 'y'.repeat(1_000) })));
        participant.onAccept('n2', [Tag.accept, ...name(number), 0, 'n2', 100 + number]);
        participant.onDecide('n2', [Tag.decide, ...name(number), 100 + number, bodyOf({}, { [c]: 'y'.repeat(1_000) })]);
        participant.onMarks('n2', 1, [Tag.marks, number, []]);
      });
    }
    expect(JSON.stringify([replica.store.stats.overlayBytes, replica.ledger.recordCount, replica.ledger.locks.size])).toBe(before);
    expect(replica.store.stats.backlogBytes).toBeLessThan(1_000);
  });

  it('takes in the last marks when its disk is back', () => {
    const replica = troubled();
    for (const watermark of [2, 3, 4]) replica.enter((participant) => participant.onMarks('n2', 1, [Tag.marks, watermark, [1]]));
    expect(replica.ledger.isFinished({ node: 'n2', incarnation: 1, number: 3 })).toBe(false);
    replica.runtime.logError = null;
    replica.runtime.advance(3_000);
    const isFinished = (at: Replica): boolean[] => [1, 3, 4].map((number) => at.ledger.isFinished({ node: 'n2', incarnation: 1, number }));
    expect(isFinished(replica)).toEqual([false, true, false]);
    expect(isFinished(replica.crash(0))).toEqual([false, true, false]);
  });

  it('never votes OK on a prepare that waited for room while it turned others away', () => {
    const replica = Replica.open(topology, undefined, { overlayBytesMax: 20_000, checkpointIntervalMs: 600_000 });
    replica.runtime.hangs = true;
    for (let number = 100; !replica.store.full; number++) replica.enter((participant) => participant.onDecide('n2', [Tag.decide, ...name(number), number, bodyOf({}, { [c]: 'y'.repeat(1_000) })]));
    expect(replica.enter((participant) => participant.onPrepare('n2', prepare(5)))).toEqual([]);
    replica.store.flush();
    replica.settle();
    replica.runtime.leap(2_500);
    replica.store.flush();
    expect(replica.enter((participant) => participant.onDecide('n2', [Tag.decide, ...name(5), 900, bytes]))).toEqual([['n2', unable(5)]]);
    replica.runtime.hangs = false;
    replica.runtime.advance(5_000);
    expect(replica.settle().filter(([, message]) => message[0] === Tag.vote)).toEqual([['n2', unable(5)]]);
    expect([replica.store.full, replica.holder(b, true)]).toEqual([false, null]);
  });
});

describe('a coordinator', () => {
  it('does not wait for who is unable: neither for a vote, nor until it has the outcome', () => {
    const bench = new Bench();
    bench.start(1);
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n3', 1, Vote.unable);
    bench.vote('n2', 1, Vote.ok);
    bench.accepted('n1', 1);
    bench.accepted('n2', 1);
    expect(bench.decisions).toEqual([100]);
    expect(bench.coordinator.describe()[0]?.unacknowledged).toEqual(['n1', 'n2']);
    for (const node of ['n1', 'n2']) bench.acknowledge(node, 1);
    expect(bench.coordinator.runningCount).toBe(0);
  });

  it('finishes what an unable replica alone had not acknowledged', () => {
    const bench = new Bench();
    bench.start(1);
    for (const node of ['n1', 'n2', 'n3']) bench.vote(node, 1, Vote.ok);
    for (const node of ['n1', 'n2']) bench.acknowledge(node, 1);
    expect(bench.coordinator.runningCount).toBe(1);
    bench.vote('n3', 1, Vote.unable);
    expect(bench.coordinator.runningCount).toBe(0);
  });
});

describe('a commit', () => {
  it('is refused by a node whose disk takes no writes, which says so; another one may take it', () => {
    const bench = new CommitsBench();
    const client = bench.client();
    bench.replica.runtime.logError = new Error('no space left on device');
    bench.commit(client, 1, { writes: { [ownKey]: 'x' } });
    bench.commit(client, 2, { writes: { [ownKey]: 'y' } });
    expect(client.take()).toContainEqual([Tag.failed, 2, 'unavailable', 'on node n1 the journal can’t be written: no space left on device']);
  });

  it('that a majority is unable to vote on has failed, and was not written', () => {
    const bench = new CommitsBench();
    const client = bench.client();
    bench.commit(client, 1, { writes: { [ownKey]: 'x' } });
    const [prepared] = bench.prepares() as [Prepare];
    for (const node of ['n2', 'n3']) bench.coordinator.onVote(node, [Tag.vote, prepared[1], prepared[2], prepared[3], Vote.unable, 0, null, null]);
    expect(client.take()).toEqual([[Tag.failed, 1, 'unavailable', expect.stringContaining('disks of a majority')]]);
    expect(bench.commits.attemptCount).toBe(0);
  });
});
