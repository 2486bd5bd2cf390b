/** What the coordinator says, forces and waits for under 2PC, O2PC and 3PC. */
import { describe, expect, it } from 'vitest';
import { ABORT, Tag, Vote } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Bench, incarnation } from './coordinator-bench.ts';
import { only } from './scripted-outbox.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const everybody = ['n1', 'n2', 'n3'];
const toAll = (tag: string): string[] => everybody.map((node) => `${tag}>${node}`);

function voted(protocol: '2pc' | 'o2pc' | '3pc', votes: Readonly<Record<string, Vote>>): Bench {
  const bench = new Bench(undefined, protocol);
  bench.start(1);
  expect(bench.outbox.takeNames()).toEqual(toAll('prepare'));
  for (const [node, vote] of Object.entries(votes)) bench.vote(node, 1, vote);
  return bench;
}

const majority = { n2: Vote.ok, n3: Vote.ok };
const refused = { n2: Vote.conflict, n3: Vote.conflict };

describe('under 2pc', () => {
  it('the decision is in the coordinator’s own journal before anybody hears it, and the client hears it when a majority has applied it', () => {
    const bench = voted('2pc', majority);
    expect(bench.outbox.take()).toEqual([['n1', [Tag.accept, 'n1', incarnation, 1, 0, 'n1', 100]]]);
    bench.accepted('n1', 1);
    expect(bench.outbox.takeNames()).toEqual(toAll('decide'));
    bench.acknowledge('n1', 1);
    expect(bench.decisions).toEqual([]);
    bench.acknowledge('n3', 1);
    expect(bench.decisions).toEqual([100]);
    expect(bench.coordinator.runningCount, 'the end is written when all have it').toBe(1);
    bench.acknowledge('n2', 1);
    expect([bench.coordinator.runningCount, bench.decisions]).toEqual([0, [100]]);
  });

  it('an abort is logged and acknowledged too; the client need not wait for that', () => {
    const bench = voted('2pc', refused);
    expect(bench.outbox.take()).toEqual([['n1', [Tag.accept, 'n1', incarnation, 1, 0, 'n1', ABORT]]]);
    expect(bench.decisions).toEqual([]);
    bench.accepted('n1', 1);
    expect([bench.decisions, bench.outbox.takeNames()]).toEqual([[ABORT], ['decide>n1']]);
    expect(bench.coordinator.runningCount).toBe(1);
    bench.acknowledge('n1', 1);
    expect(bench.coordinator.runningCount).toBe(0);
  });

  it.each(['before', 'after'])('a replica that was away when the others were asked counts too, back %s the decision', (when) => {
    const bench = new Bench(undefined, '2pc');
    const back = (): void => {
      bench.outbox.down.delete('n3');
      bench.coordinator.peerUp('n3');
    };
    bench.outbox.down.add('n3');
    bench.start(1);
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n2', 1, Vote.ok);
    bench.outbox.down.add('n2');
    bench.coordinator.peerDown('n2');
    if (when === 'before') back();
    bench.outbox.take();
    bench.accepted('n1', 1);
    if (when === 'after') back();
    expect(bench.outbox.takeNames()).toEqual(['decide>n1', 'decide>n3']);
    bench.acknowledge('n1', 1);
    bench.acknowledge('n3', 1);
    expect([bench.decisions, bench.coordinator.runningCount], 'and the end waits for who voted').toEqual([[100], 1]);
    bench.acknowledge('n2', 1);
    expect([bench.decisions, bench.coordinator.runningCount]).toEqual([[100], 0]);
  });

  it('a coordinator that keeps no replica logs its decision all the same', () => {
    const topology = new Topology(viewOf(4), 'n1');
    const partition = partitionWhere(topology, (members) => !members.includes('n1'));
    const bench = new Bench(topology, '2pc');
    bench.start(1, keysIn(topology, partition, 1));
    bench.outbox.take();
    for (const node of ['n2', 'n3']) bench.vote(node, 1, Vote.ok);
    expect(bench.outbox.take().map(([to]) => to)).toEqual(['n1']);
  });
});

describe('under o2pc', () => {
  it('a commit is logged once, and answered when it is', () => {
    const bench = voted('o2pc', majority);
    expect(bench.outbox.take()).toEqual([['n1', [Tag.accept, 'n1', incarnation, 1, 0, 'n1', 100]]]);
    expect(bench.decisions).toEqual([]);
    bench.accepted('n1', 1);
    expect(bench.decisions).toEqual([100]);
    for (const node of everybody) bench.acknowledge(node, 1);
    expect([bench.coordinator.runningCount, bench.decisions]).toEqual([0, [100]]);
  });

  it('an abort is neither logged nor acknowledged, and who voted NO is not even told', () => {
    const bench = voted('o2pc', refused);
    expect([bench.decisions, bench.outbox.takeNames(), bench.coordinator.runningCount]).toEqual([[ABORT], ['decide>n1'], 0]);
    expect(bench.coordinator.marks(2), 'it is finished as soon as it is decided').toEqual([Tag.marks, 2, []]);
  });

  it('a coordinator whose node is the whole group says nothing to anybody else', () => {
    const topology = new Topology(viewOf(1), 'n1');
    const bench = new Bench(topology, 'o2pc');
    bench.start(1, keysIn(topology, 0, 1));
    bench.vote('n1', 1, Vote.ok);
    bench.accepted('n1', 1);
    bench.acknowledge('n1', 1);
    expect([bench.decisions, bench.outbox.takeNames(), bench.coordinator.runningCount]).toEqual([[100], ['accept>n1', 'decide>n1', 'prepare>n1'], 0]);
  });
});

describe('under 3pc', () => {
  it('a commit is decided when a majority of every group is pre-committed', () => {
    const five = new Topology(viewOf(5), 'n1');
    const first = partitionWhere(five, (members) => members.includes('n1'));
    const firstMembers = five.groupOf(first).members;
    const second = partitionWhere(five, (members) => members.filter((member) => firstMembers.includes(member)).length === 1);
    const secondMembers = five.groupOf(second).members;
    const bench = new Bench(five, '3pc');
    bench.start(1, [...keysIn(five, first, 1), ...keysIn(five, second, 1)]);
    bench.outbox.take();
    const members = [...new Set([...firstMembers, ...secondMembers])];
    for (const node of members) bench.vote(node, 1, Vote.ok);
    expect(only(bench.outbox.take(), Tag.accept).map(([to]) => to).sort()).toEqual([...members].sort());
    for (const node of firstMembers) bench.accepted(node, 1);
    expect(bench.decisions).toEqual([]);
    for (const node of secondMembers) bench.accepted(node, 1);
    expect(bench.decisions).toEqual([100]);
  });

  it('an abort needs no round: nobody can have been pre-committed', () => {
    const bench = voted('3pc', refused);
    expect([bench.decisions, bench.outbox.takeNames()]).toEqual([[ABORT], ['decide>n1']]);
  });

  it('a pre-commit that nobody answers is handed over to the termination protocol', () => {
    const bench = voted('3pc', majority);
    bench.accepted('n1', 1);
    bench.pass(1_000);
    expect([bench.handedOver.map(({ number }) => number), bench.doubts, bench.decisions]).toEqual([[1], [1], []]);
    bench.recovered(100);
    expect(bench.decisions).toEqual([100]);
  });
});
