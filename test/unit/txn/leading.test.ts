/** How coordinators and clients learn where transactions that contend had better meet. */
import { describe, expect, it } from 'vitest';
import { Tag, Vote, type Key, type Lead, type Message, type Prepare } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { parseBody } from '../../../node/txn/body.ts';
import { Leading } from '../../../node/txn/leading.ts';
import { bodyOf } from './bodies.ts';
import { Bench } from './commits-bench.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

/** More nodes than replicas, so that not all transactions have one coordinator anyway. */
const view = viewOf(5, 3, 64);
const topologies = new Map(view.members.map(({ id }) => [id, new Topology(view, id)]));
const { partitionOf, coordinatorsOf } = { partitionOf: topologies.get('n1')!.partitionOf, coordinatorsOf: (partition: number) => topologies.get('n1')!.coordinatorsOf(partition) };
/** One key of each partition. */
const keys = Array.from({ length: view.partitions }, (_, partition) => keysIn(topologies.get('n1')!, partition, 1)[0] as Key);

/** What three coordinators know of leads; what they tell each other arrives at once. */
class Coordinators {
  nowMs = 0;
  readonly down = new Set<string>();
  /** Keys of the transactions that replicas know, by name. */
  readonly bodies = new Map<string, readonly Key[]>();
  readonly told: [to: string, message: Lead][] = [];
  readonly #parts: Map<string, Leading>;

  constructor() {
    this.#parts = new Map([...topologies].map(([id, topology]) => [id, new Leading({
      topology,
      nowMs: () => this.nowMs,
      outbox: { isUp: (node) => !this.down.has(node), send: (to, message) => this.#send(to, message as Lead) },
      ledger: {
        find: ({ node, number }) => ({ body: bodyOf({}, Object.fromEntries((this.bodies.get(`${node}:${number}`) ?? []).map((key) => [key, 'x']))) }) as never,
        parse: (body) => parseBody(body, topology.partitionOf),
      },
    })]));
  }

  of(node: string): Leading {
    return this.#parts.get(node) as Leading;
  }

  #send(to: string, message: Lead): boolean {
    this.told.push([to, message]);
    this.of(to).onLead(message);
    return true;
  }

  /** A transaction on `ours` at the node finds the key in the hands of one of another's on `theirs`, often enough to count. */
  meet(node: string, ours: readonly Key[], other: string, theirs: readonly Key[], key: Key, times = 3): void {
    this.bodies.set(`${other}:1`, theirs);
    for (let i = 0; i < times; i++) this.of(node).met(key, ours, `${other}:17:1`);
  }

  /** Where a client is sent that comes to this node with these keys, and what it is told. */
  arrive(node: string, touched: readonly Key[]): { readonly goTo: string | null; readonly told: readonly Message[] } {
    const told: Message[] = [];
    const goTo = this.of(node).arrived({ send: (message) => void told.push(message) }, touched);
    return { goTo, told };
  }
}

/** Keys of which the first is placed first, and which different nodes coordinate. */
const low = partitionOf(keys[0] as Key);
const apart = keys.findIndex((_, partition) => coordinatorsOf(partition)[0] !== coordinatorsOf(low)[0]);
const [first, second] = [keys[low] as Key, keys[apart] as Key];
const [firstNode, secondNode] = [coordinatorsOf(low)[0] as string, coordinatorsOf(apart)[0] as string];
const third = view.members.map(({ id }) => id).find((id) => id !== firstNode && id !== secondNode) as string;

describe('coordinators whose transactions contend', () => {
  it('take a few meetings at a key for an accident, and those of their own transactions for none', () => {
    const nodes = new Coordinators();
    nodes.meet(secondNode, [second], firstNode, [second], second, 2);
    nodes.meet(secondNode, [second], secondNode, [second], second, 10);
    nodes.nowMs += 1_000;
    nodes.meet(secondNode, [second], firstNode, [second], second, 2);
    expect([nodes.told, nodes.of(secondNode).counters]).toEqual([[], { met: 4, led: 0 }]);
    expect(nodes.arrive(firstNode, [second])).toEqual({ goTo: null, told: [] });
  });

  it('both know then which partition leads the key, and send clients there that come to another node', () => {
    const nodes = new Coordinators();
    nodes.meet(firstNode, [second, keys[5] as Key], secondNode, [second, keys[6] as Key], second);
    expect(nodes.told).toEqual([[secondNode, [Tag.lead, [second], apart]]]);
    expect(nodes.arrive(secondNode, [second])).toEqual({ goTo: null, told: [] });
    expect(nodes.arrive(firstNode, [keys[6] as Key, second])).toEqual({ goTo: secondNode, told: [[Tag.lead, [second], apart]] });
    expect(nodes.arrive(firstNode, [keys[6] as Key]), 'no key at which anybody met').toEqual({ goTo: null, told: [] });
    expect(nodes.of(firstNode).counters.led).toBe(1);
  });

  it('bring all keys together that share transactions, at the least of their partitions', () => {
    const nodes = new Coordinators();
    nodes.meet(secondNode, [second, first], firstNode, [second], second);
    expect(nodes.arrive(firstNode, [second, first]).goTo, 'one contended key alone').toBe(secondNode);
    nodes.meet(firstNode, [first], secondNode, [second, first], first);
    expect(nodes.told.at(-1)).toEqual([secondNode, [Tag.lead, [first, second], low]]);
    expect(nodes.arrive(secondNode, [second])).toEqual({ goTo: firstNode, told: [[Tag.lead, [second], low]] });
    // Whoever hears of it later, from whomever, comes to the same.
    nodes.meet(third, [second], secondNode, [second], second);
    nodes.meet(third, [second], firstNode, [second, first], first);
    expect([nodes.arrive(third, [second]).goTo, nodes.arrive(firstNode, [second, first]).goTo]).toEqual([firstNode, null]);
  });

  it('send nobody to a node that is away: the next replica leads', () => {
    const nodes = new Coordinators();
    nodes.meet(firstNode, [second], secondNode, [second], second);
    nodes.down.add(secondNode);
    const next = coordinatorsOf(apart)[1] as string;
    expect(nodes.arrive(next, [second])).toEqual({ goTo: null, told: [] });
    expect(nodes.arrive(firstNode, [second]).goTo).toBe(next === firstNode ? null : next);
    nodes.down.clear();
    expect(nodes.arrive(firstNode, [second]).goTo).toBe(secondNode);
  });

  it('believe nobody who names a partition that there is not', () => {
    const nodes = new Coordinators();
    nodes.of('n1').onLead([Tag.lead, [first], view.partitions]);
    expect(nodes.arrive('n1', [first])).toEqual({ goTo: null, told: [] });
  });
});

describe('a commit', () => {
  const [a] = keys as [Key];
  const leadsTo = (bench: Bench): readonly Message[] => bench.takeTold();

  it('that waits for another coordinator’s lock has met it', () => {
    const bench = new Bench();
    const client = bench.client();
    for (let i = 1; i <= 3; i++) {
      const unlock = bench.lock(a);
      bench.commit(client, i, { writes: { [a]: 'x' } });
      unlock(0);
      for (const prepare of bench.prepares()) bench.vote(prepare);
    }
    expect(bench.leading.counters.met).toBe(3);
    expect(leadsTo(bench)).toEqual([[Tag.lead, [a], 0]]);
  });

  it('that is turned down for another coordinator’s sake has met it', () => {
    const bench = new Bench();
    const client = bench.client();
    for (let i = 1; i <= 3; i++) {
      bench.commit(client, i, { writes: { [a]: 'x' } });
      const [prepare] = bench.prepares() as [Prepare];
      for (const node of ['n2', 'n3']) bench.coordinator.onVote(node, [Tag.vote, prepare[1], prepare[2], prepare[3], Vote.conflict, 0, a, 'n9:1:4']);
      bench.run();
      bench.answerReads();
    }
    expect(bench.leading.counters.met).toBe(3);
    expect(leadsTo(bench)).toEqual([[Tag.lead, [a], 0]]);
  });

  it('goes its way wherever its likes had better go, and its client is told', () => {
    const topology = topologies.get('n1') as Topology;
    const bench = new Bench(topology);
    const client = bench.client();
    // The bench plays n2 and n3.
    const key = keys[partitionWhere(topology, (members) => members.every((node) => ['n1', 'n2', 'n3'].includes(node)))] as Key;
    const elsewhere = keys.findIndex((_, partition) => coordinatorsOf(partition)[0] !== 'n1');
    bench.leading.onLead([Tag.lead, [key], elsewhere]);
    bench.commit(client, 1, { writes: { [key]: 'x' } });
    const [prepare] = bench.prepares() as [Prepare];
    bench.vote(prepare);
    expect(client.take()).toEqual([[Tag.lead, [key], elsewhere], [Tag.committed, 1, prepare[5], true]]);
  });
});
