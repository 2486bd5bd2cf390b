/** What travels together, and what becomes of it, at the node n1. */
import { describe, expect, it } from 'vitest';
import { decodeBody } from '../../../client/wire/codec.ts';
import { ABORT, AbortReason, type Decision, type Key } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Batches, type Part } from '../../../node/txn/batches.ts';
import { parseBody } from '../../../node/txn/body.ts';
import type { CommitProtocol } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';
import type { Refusal, Start } from '../../../node/txn/running.ts';
import { bodyOf } from './bodies.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const three = new Topology(viewOf(3), 'n1');
const five = new Topology(viewOf(5), 'n1');

const noReason: Refusal = { reason: AbortReason.timeout, key: null };

class Bench {
  /** What the coordinator was asked to begin, oldest first. */
  readonly started: Start[] = [];
  readonly #outcomes: [number: number, Decision, Refusal][] = [];
  readonly #doubts: number[] = [];
  readonly #deferred: (() => void)[] = [];
  readonly batches: Batches;
  readonly #topology: typeof three;
  #clock = 100;
  #number = 0;

  constructor(topology = three) {
    this.#topology = topology;
    this.batches = new Batches({
      topology, coordinator: { start: (start) => void this.started.push(start) }, clock: { next: () => ++this.#clock }, incarnation: 1,
      during: (work) => work(), defer: (action) => void this.#deferred.push(action),
    });
  }

  /** Adds one that writes these keys; returns its number. */
  add(keys: readonly Key[], { reads = {}, protocolNumber = 0, deadlineAtMs = 1_000, number = ++this.#number }: { reads?: Record<Key, number>; protocolNumber?: number; deadlineAtMs?: number; number?: number } = {}): number {
    const bytes = bodyOf(reads, Object.fromEntries(keys.map((key) => [key, `of ${key}`])));
    const part: Part = {
      number, protocolNumber, protocol: protocols[protocolNumber] as CommitProtocol, bytes, body: parseBody(bytes, this.#topology.partitionOf), deadlineAtMs,
      onOutcome: (decision, refusal) => void this.#outcomes.push([number, decision, refusal]),
      onDoubt: () => void this.#doubts.push(number),
    };
    this.batches.add(part);
    return number;
  }

  endTurn(): void {
    for (const action of this.#deferred.splice(0)) action();
  }

  /** The numbers of what is begun and was not looked at yet: of each the batch's own first. */
  departures(): number[][] {
    this.endTurn();
    return this.started.slice(this.#seen, (this.#seen = this.started.length)).map(({ number, bytes }) => [number, ...(decodeBody(bytes)[2] ?? [])]);
  }

  #seen = 0;

  takeOutcomes(): typeof this.outcomes {
    return this.#outcomes.splice(0);
  }

  get outcomes(): [number, Decision, Refusal][] {
    return this.#outcomes;
  }

  get doubts(): readonly number[] {
    return this.#doubts;
  }
}

const keys = (count: number): Key[] => keysIn(three, 0, count);

describe('transactions that come in one turn', () => {
  it('are one, in the name of the last, with all that they read and write', () => {
    const bench = new Bench();
    const [a, b, c, d] = keys(4) as [Key, Key, Key, Key];
    bench.add([a], { deadlineAtMs: 500 });
    bench.add([b], { reads: { [c]: 7 }, deadlineAtMs: 900 });
    bench.add([d]);
    expect(bench.started).toEqual([]);
    expect(bench.departures()).toEqual([[3, 1, 2]]);
    const [start] = bench.started as [Start];
    expect(start.body).toMatchObject({ readKeys: [c], readVersions: [7], writeKeys: [a, b, d], others: [1, 2] });
    expect([start.timestamp, start.deadlineAtMs]).toEqual([101, 1_000]);
    start.onOutcome(101, noReason);
    expect(bench.outcomes).toEqual([[1, 101, noReason], [2, 101, noReason], [3, 101, noReason]]);
  });

  it('go by the highest of their numbers, for what is below the watermark is forgotten, and numbers come in any order', () => {
    const bench = new Bench();
    for (const [i, number] of [1_025, 3, 2_049, 2].entries()) bench.add([keys(4)[i] as Key], { number });
    expect(bench.departures()).toEqual([[2_049, 1_025, 3, 2]]);
    bench.started[0]?.onOutcome(101, noReason);
    expect(bench.outcomes.map(([number]) => number)).toEqual([1_025, 3, 2_049, 2]);
  });

  it('are as they came if there is but one', () => {
    const bench = new Bench();
    bench.add(keys(1));
    expect(bench.departures()).toEqual([[1]]);
    expect(bench.started[0]?.body.others).toEqual([]);
  });

  it('are apart if they are of different protocols, touch different replicas or several groups, or are large', () => {
    const bench = new Bench(five);
    const [one, two] = [partitionWhere(five, (members) => members.includes('n1')), partitionWhere(five, (members) => !members.includes('n1'))];
    const [a, b, e, ...many] = keysIn(five, one, 20) as [Key, Key, Key, ...Key[]];
    const [c, d] = keysIn(five, two, 2) as [Key, Key];
    bench.add([a]);
    bench.add([b], { protocolNumber: 1 });
    bench.add([c]);
    bench.add([e, d]);
    bench.add(many);
    expect(bench.departures().sort((x, y) => (x[0] as number) - (y[0] as number))).toEqual([[1], [2], [3], [4], [5]]);
  });
});

describe('transactions that come while two batches are under way', () => {
  it('depart together when one of them is over, be it decided or in doubt', () => {
    const bench = new Bench();
    for (const key of keys(2)) {
      bench.add([key]);
      expect(bench.departures()).toHaveLength(1);
    }
    for (const key of keys(5).slice(2)) bench.add([key]);
    expect(bench.departures()).toEqual([]);
    bench.started[1]?.onOutcome(200, noReason);
    expect(bench.departures()).toEqual([[5, 3, 4]]);
    for (const key of keys(7).slice(5)) bench.add([key]);
    bench.started[0]?.onDoubt();
    expect(bench.departures()).toEqual([[7, 6]]);
    bench.started[0]?.onOutcome(ABORT, noReason);
    bench.add([keys(8)[7] as Key]);
    expect(bench.departures(), 'a batch is over once').toEqual([]);
    expect(bench.doubts).toEqual([1]);
  });

  it('wait no longer than until there are as many as a batch may have', () => {
    const bench = new Bench();
    for (const key of keys(2)) {
      bench.add([key]);
      bench.departures();
    }
    for (const key of keys(66).slice(2)) bench.add([key]);
    expect(bench.departures().map((numbers) => numbers.length)).toEqual([64]);
  });
});

describe('a batch that is aborted', () => {
  it('tells each why: for its own sake, or for the company that it was in; and the next ones are smaller', () => {
    const bench = new Bench();
    const [a, b, c] = keys(3) as [Key, Key, Key];
    bench.add([a]);
    bench.add([b], { reads: { [c]: 3 } });
    bench.endTurn();
    const conflict: Refusal = { reason: AbortReason.stale, key: c };
    bench.started[0]?.onOutcome(ABORT, conflict);
    expect(bench.takeOutcomes()).toEqual([[1, ABORT, { reason: AbortReason.conflict, key: null }], [2, ABORT, conflict]]);
    expect(bench.batches.counters).toEqual({ batches: 1, batched: 2, abortedTogether: 1 });
    for (const key of keys(2)) bench.add([key]);
    bench.endTurn();
    bench.started[1]?.onOutcome(ABORT, noReason);
    expect(bench.takeOutcomes().map(([, , refusal]) => refusal), 'what is nobody’s own is everybody’s').toEqual([noReason, noReason]);
    for (const key of keys(40)) bench.add([key]);
    expect(bench.departures().map((numbers) => numbers.length)).toEqual([2, 2, 16, 16]);
  });
});
