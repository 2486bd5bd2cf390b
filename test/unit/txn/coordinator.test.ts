/** The coordinator alone: the test plays the replicas, the network and the clock. */
import { describe, expect, it } from 'vitest';
import { ABORT, AbortReason, Tag, UNDECIDED, Vote } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Bench, incarnation } from './coordinator-bench.ts';
import { only } from './scripted-outbox.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

/** A view in which n1 keeps no replica of some partition. */
function partitionsOfOthers(): { topology: Topology; partition: number } {
  const topology = new Topology(viewOf(4), 'n1');
  return { topology, partition: partitionWhere(topology, (members) => !members.includes('n1')) };
}

const toAll = (tag: string): string[] => ['n1', 'n2', 'n3'].map((node) => `${tag}>${node}`);

describe('a transaction', () => {
  it('asks every replica of every group once, itself included', () => {
    const bench = new Bench();
    const bytes = bench.start(1);
    expect(bench.outbox.take()).toEqual(['n1', 'n2', 'n3'].map((node) => [node, [Tag.prepare, 'n1', incarnation, 1, 7, 100, 0, bytes]]));
    bench.pass(5_000);
    expect(bench.outbox.takeNames(), 'no second prepare, ever').toEqual(toAll('accept'));
  });

  it('is committed in one round trip if all voted OK at one timestamp', () => {
    const bench = new Bench();
    bench.start(1);
    bench.outbox.take();
    bench.vote('n2', 1, Vote.ok, 105);
    bench.vote('n3', 1, Vote.ok, 105);
    expect([bench.outbox.take(), bench.outcomes]).toEqual([[], []]);
    bench.vote('n1', 1, Vote.ok, 105);
    expect(bench.decisions).toEqual([105]);
    expect(bench.outbox.take()).toEqual(['n1', 'n2', 'n3'].map((node) => [node, [Tag.decide, 'n1', incarnation, 1, 105, null]]));
    expect(bench.coordinator.counters).toMatchObject({ fastCommits: 1, slowCommits: 0 });
  });

  it('is committed in two, at the largest timestamp, if they differ: at once, for nothing else can come', () => {
    const bench = new Bench();
    bench.start(1);
    bench.outbox.take();
    bench.vote('n1', 1, Vote.ok, 105);
    bench.vote('n2', 1, Vote.ok, 107);
    bench.vote('n3', 1, Vote.ok, 106);
    expect(only(bench.outbox.take(), Tag.accept)).toEqual(['n1', 'n2', 'n3'].map((node) => [node, [Tag.accept, 'n1', incarnation, 1, 0, 'n1', 107]]));
    bench.accepted('n3', 1);
    expect(bench.decisions).toEqual([]);
    bench.accepted('n1', 1);
    expect(bench.decisions).toEqual([107]);
    expect(bench.coordinator.counters).toMatchObject({ fastCommits: 0, slowCommits: 1 });
    bench.accepted('n2', 1);
    expect(bench.decisions, 'once').toEqual([107]);
  });

  it('is aborted in one round trip by a majority of NO; who voted NO need not be told', () => {
    const bench = new Bench();
    bench.start(1);
    bench.outbox.take();
    bench.vote('n1', 1, Vote.conflict, 0, 'a');
    bench.vote('n2', 1, Vote.stale, 120, 'b');
    expect(bench.outcomes).toEqual([[1, ABORT, { reason: AbortReason.stale, key: 'b', holder: null }]]);
    expect(bench.outbox.takeNames()).toEqual(['decide>n3']);
    expect(bench.coordinator.runningCount, 'n3 has the prepare').toBe(1);
    bench.acknowledge('n3', 1);
    expect(bench.coordinator.runningCount).toBe(0);
  });

  it.each([Vote.stale, Vote.conflict, Vote.wrongView, Vote.superseded])('is not aborted by one NO of three (reason %i): the others’ votes could be recovered into a commit', (no) => {
    const bench = new Bench();
    bench.start(1);
    bench.vote('n2', 1, no);
    bench.pass(100);
    expect(bench.outcomes).toEqual([]);
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    bench.accepted('n1', 1);
    bench.accepted('n3', 1);
    expect(bench.decisions).toEqual([100]);
  });

  it('past its deadline is aborted through the home group, and not committed by votes that come then', () => {
    const bench = new Bench();
    bench.start(1, undefined, 500);
    bench.outbox.take();
    bench.vote('n1', 1, Vote.ok);
    bench.pass(500);
    expect(only(bench.outbox.take(), Tag.accept).map(([to, message]) => [to, message[6]])).toEqual([['n1', ABORT], ['n2', ABORT], ['n3', ABORT]]);
    bench.vote('n2', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    expect(bench.outcomes).toEqual([]);
    bench.accepted('n2', 1);
    bench.accepted('n3', 1);
    expect(bench.outcomes).toEqual([[1, ABORT, { reason: AbortReason.timeout, key: null }]]);
    expect(bench.outbox.takeNames()).toEqual(toAll('decide'));
  });

  it('counts a vote once, from a replica that was asked, and of its own life only', () => {
    const bench = new Bench();
    bench.start(1);
    bench.vote('n2', 1, Vote.ok);
    bench.vote('n2', 1, Vote.ok);
    bench.vote('n2', 1, Vote.conflict);
    bench.vote('n9', 1, Vote.ok);
    bench.coordinator.onVote('n3', [Tag.vote, 'n1', incarnation - 1, 1, Vote.ok, 100, null, null]);
    bench.coordinator.onVote('n3', [Tag.vote, 'n2', incarnation, 1, Vote.ok, 100, null, null]);
    bench.vote('n1', 1, Vote.ok);
    expect(bench.outcomes).toEqual([]);
    bench.vote('n3', 1, Vote.ok);
    expect(bench.decisions).toEqual([100]);
  });
});

describe('a transaction of two groups', () => {
  const five = new Topology(viewOf(5), 'n1');
  const first = partitionWhere(five, (members) => members.includes('n1'));
  const { members: firstMembers, majority } = five.groupOf(first);
  const second = partitionWhere(five, (members) => members.filter((member) => firstMembers.includes(member)).length === 1);
  const secondMembers = five.groupOf(second).members;
  const keys = [...keysIn(five, first, 1), ...keysIn(five, second, 1)];
  const everybody = [...new Set([...firstMembers, ...secondMembers])];
  const shared = firstMembers.find((member) => secondMembers.includes(member)) as string;

  it('asks each replica once, and counts one vote for all its groups', () => {
    const bench = new Bench(five);
    bench.start(1, keys);
    expect(bench.outbox.takeNames()).toEqual(everybody.map((node) => `prepare>${node}`).sort());
    for (const node of everybody.filter((other) => other !== shared)) bench.vote(node, 1, Vote.ok);
    expect(bench.outcomes).toEqual([]);
    bench.vote(shared, 1, Vote.ok);
    expect(bench.decisions).toEqual([100]);
  });

  it('is not committed without a majority of each', () => {
    const bench = new Bench(five);
    bench.start(1, keys);
    for (const node of firstMembers) bench.vote(node, 1, Vote.ok);
    bench.pass(100);
    expect(bench.outcomes).toEqual([]);
    expect(only(bench.outbox.take(), Tag.accept)).toEqual([]);
    const others = secondMembers.filter((node) => node !== shared);
    bench.vote(others[0] as string, 1, Vote.ok);
    expect(only(bench.outbox.take(), Tag.accept).map(([to]) => to)).toEqual(firstMembers);
  });

  it('has its proposal accepted by the home group alone', () => {
    const bench = new Bench(five);
    bench.start(1, keys);
    bench.pass(2_000);
    for (const node of secondMembers.filter((other) => other !== shared)) bench.accepted(node, 1);
    expect(bench.outcomes).toEqual([]);
    for (const node of firstMembers.slice(0, majority)) bench.accepted(node, 1);
    expect(bench.decisions).toEqual([ABORT]);
  });

  it('is aborted by a majority of NO in either', () => {
    const bench = new Bench(five);
    bench.start(1, keys);
    for (const node of secondMembers.slice(0, 2)) bench.vote(node, 1, Vote.conflict);
    expect(bench.decisions).toEqual([ABORT]);
  });
});

describe('replicas that are away', () => {
  it('are not waited for if they were at the start, nor for their acknowledgement', () => {
    const bench = new Bench();
    bench.outbox.down.add('n2');
    bench.start(1);
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    expect(bench.outbox.takeNames()).toEqual(['accept>n1', 'accept>n3', 'prepare>n1', 'prepare>n3']);
    bench.accepted('n1', 1);
    bench.accepted('n3', 1);
    expect(bench.decisions).toEqual([100]);
    bench.acknowledge('n1', 1);
    bench.acknowledge('n3', 1);
    expect(bench.coordinator.runningCount).toBe(0);
  });

  it('can vote no more once their session broke, even if a vote still comes', () => {
    const bench = new Bench();
    bench.start(1);
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    bench.outbox.take();
    bench.coordinator.peerDown('n2');
    expect(bench.outbox.takeNames()).toEqual(toAll('accept'));
    bench.vote('n2', 1, Vote.ok);
    expect(bench.outcomes).toEqual([]);
  });

  it('that voted before their session broke have voted', () => {
    const bench = new Bench();
    bench.start(1);
    bench.vote('n2', 1, Vote.ok);
    bench.coordinator.peerDown('n2');
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    expect(bench.decisions).toEqual([100]);
  });

  it('when they are a majority: the transaction can only be given up, and is handed over at once, for nobody is there to hear that', () => {
    const bench = new Bench();
    bench.outbox.down.add('n2').add('n3');
    bench.start(1);
    expect(bench.coordinator.isRunning(1)).toBe(true);
    expect([bench.handedOver, bench.doubts]).toEqual([[], []]);
    bench.vote('n1', 1, Vote.ok);
    expect([bench.handedOver, bench.doubts]).toEqual([[{ number: 1, partitions: [0] }], [1]]);
    expect([bench.outcomes, bench.coordinator.isRunning(1), bench.coordinator.inDoubtCount]).toEqual([[], false, 1]);
    bench.accepted('n1', 1);
    bench.pass(10_000);
    expect([bench.handedOver.length, bench.doubts], 'once').toEqual([1, [1]]);
  });

  it('hear the outcome when they are back, until they have acknowledged it', () => {
    const bench = new Bench();
    const bytes = bench.start(1);
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    bench.coordinator.peerDown('n2');
    bench.outbox.down.add('n2');
    bench.accepted('n1', 1);
    bench.accepted('n3', 1);
    bench.acknowledge('n1', 1);
    bench.acknowledge('n3', 1);
    bench.outbox.take();
    bench.outbox.down.clear();
    bench.coordinator.peerUp('n3');
    expect(bench.outbox.take()).toEqual([]);
    bench.coordinator.peerUp('n2');
    expect(bench.outbox.take()).toEqual([['n2', [Tag.decide, 'n1', incarnation, 1, 100, bytes]]]);
    bench.acknowledge('n2', 1);
    bench.coordinator.peerUp('n2');
    expect([bench.outbox.take(), bench.coordinator.runningCount]).toEqual([[], 0]);
  });

  it('keep nobody busy with what only they have not acknowledged', () => {
    const bench = new Bench();
    for (const number of [1, 2]) {
      bench.start(number);
      for (const node of ['n1', 'n2', 'n3']) bench.vote(node, number, Vote.ok);
    }
    bench.acknowledge('n1', 1, 2);
    bench.acknowledge('n3', 1);
    expect(bench.coordinator.busyCount).toBe(2);
    bench.outbox.down.add('n2');
    bench.coordinator.peerDown('n2');
    expect([bench.coordinator.busyCount, bench.coordinator.runningCount], 'n3 has yet to acknowledge one').toEqual([1, 2]);
    bench.outbox.down.clear();
    bench.coordinator.peerUp('n2');
    expect(bench.coordinator.busyCount).toBe(2);
    bench.acknowledge('n2', 1, 2);
    bench.acknowledge('n3', 2);
    expect(bench.coordinator.busyCount).toBe(0);
  });
});

describe('a transaction out of the coordinator’s hands', () => {
  it.each(['refused', 'unanswered'])('is handed over when its proposal is %s, and learns its outcome from whoever knows it', (how) => {
    const bench = new Bench();
    bench.start(1);
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n2', 1, Vote.ok);
    bench.pass(100);
    bench.accepted('n1', 1);
    bench.pass(how === 'refused' ? 0 : 999);
    expect([bench.handedOver, bench.doubts]).toEqual([[], []]);
    if (how === 'refused') bench.coordinator.onRejected([Tag.rejected, 'n1', incarnation, 1, 0, 'n1', 1, 'n3']);
    else bench.pass(1);
    expect(bench.doubts, 'whoever waits for it may ask elsewhere').toEqual([1]);
    expect(bench.handedOver).toEqual([{ number: 1, partitions: [0] }]);
    bench.accepted('n2', 1);
    bench.accepted('n3', 1);
    bench.vote('n3', 1, Vote.ok);
    expect(bench.outcomes, 'a refused proposal is dead, whoever still accepts it').toEqual([]);
    bench.outbox.take();
    bench.coordinator.onDecide([Tag.decide, 'n1', incarnation, 1, ABORT, null]);
    bench.coordinator.onDecide([Tag.decide, 'n1', incarnation, 1, ABORT, null]);
    expect(bench.decisions).toEqual([ABORT]);
    expect(bench.outbox.takeNames()).toEqual(toAll('decide'));
    for (const node of ['n1', 'n2', 'n3']) bench.acknowledge(node, 1);
    expect([bench.coordinator.runningCount, bench.coordinator.undecidedCount, bench.coordinator.counters.handedOver]).toEqual([0, 0, 1]);
  });

  it('hears its outcome from the recovery itself, for it may be no replica of anything in it', () => {
    const four = partitionsOfOthers();
    const bench = new Bench(four.topology);
    bench.start(1, keysIn(four.topology, four.partition, 1));
    expect(bench.outbox.takeNames()).toEqual(['prepare>n2', 'prepare>n3', 'prepare>n4']);
    bench.pass(2_000);
    bench.pass(1_000);
    bench.recovered(UNDECIDED);
    expect(bench.decisions, 'not knowing is no outcome').toEqual([]);
    bench.recovered(130);
    bench.coordinator.onDecide([Tag.decide, 'n1', incarnation, 1, 130, null]);
    expect(bench.decisions).toEqual([130]);
    for (const node of ['n2', 'n3', 'n4']) bench.acknowledge(node, 1);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, []]);
  });

  it('may be decided by others while votes are still being awaited', () => {
    const bench = new Bench();
    bench.start(1);
    bench.vote('n1', 1, Vote.ok);
    bench.coordinator.onDecide([Tag.decide, 'n1', incarnation, 1, 130, null]);
    expect(bench.decisions).toEqual([130]);
    bench.vote('n2', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    expect(bench.decisions).toEqual([130]);
  });
});

describe('marks', () => {
  const decide = (bench: Bench, number: number): void => {
    for (const node of ['n1', 'n2', 'n3']) bench.vote(node, number, Vote.ok);
  };

  it('stay below what is undecided and what may still be started, and except what is not acknowledged', () => {
    const bench = new Bench();
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, []]);
    for (const number of [3, 5, 8]) bench.start(number);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 3, []]);
    decide(bench, 3);
    decide(bench, 8);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 5, [3]]);
    expect(bench.coordinator.marks(2)).toEqual([Tag.marks, 2, []]);
    decide(bench, 5);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, [3, 5, 8]]);
    for (const node of ['n1', 'n2']) bench.acknowledge(node, 3, 5, 8);
    bench.acknowledge('n3', 5);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, [3, 8]]);
    bench.coordinator.onDecided('n3', [Tag.decided, 'n1', incarnation + 1, [3, 8]]);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, [3, 8]]);
    bench.acknowledge('n3', 3, 8);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, []]);
  });

  it('stay below all parts of a batch that is undecided', () => {
    const bench = new Bench();
    bench.start(8, undefined, undefined, [5, 3]);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 3, []]);
    decide(bench, 8);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, [8]]);
  });

  it('stay below what was handed over until its outcome is known', () => {
    const bench = new Bench();
    bench.start(3);
    bench.pass(2_000);
    bench.coordinator.onRejected([Tag.rejected, 'n1', incarnation, 3, 0, 'n1', 1, 'n2']);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 3, []]);
    bench.coordinator.onDecide([Tag.decide, 'n1', incarnation, 3, ABORT, null]);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, [3]]);
  });

  it('count the acknowledgement of an outcome that a recoverer of this very node told first', () => {
    const bench = new Bench();
    bench.start(3);
    bench.acknowledge('n2', 3);
    bench.coordinator.onDecide([Tag.decide, 'n1', incarnation, 3, ABORT, null]);
    bench.acknowledge('n1', 3);
    bench.acknowledge('n3', 3);
    expect(bench.coordinator.marks(50)).toEqual([Tag.marks, 50, []]);
  });
});
