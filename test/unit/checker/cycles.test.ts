import { describe, expect, it } from 'vitest';
import { findCycles, type TransactionNode } from '../../sim/checker/cycles.ts';
import { components, GraphBuilder, type Kinds, RT, RW, WR, WW } from '../../sim/checker/graph.ts';
import { type Interval, linkRealTime } from '../../sim/checker/real-time.ts';
import type { CycleName } from '../../sim/checker/verdict.ts';
import { Random } from './random.ts';

function intervals(random: Random, count: number): Interval[] {
  return Array.from({ length: count }, () => {
    const invokedAt = random.below(count * 2);
    return { invokedAt, completedAt: random.chance(0.2) ? Number.POSITIVE_INFINITY : invokedAt + random.below(8) };
  });
}

const precedes = (a: Interval, b: Interval): boolean => a.completedAt < b.invokedAt;

describe('real time', () => {
  it('is, followed along its edges, the order of the intervals', () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const all = intervals(new Random(seed), 12);
      const reaches = all.map(() => new Set<number>());
      linkRealTime(all, (from, to) => {
        expect(precedes(all[from]!, all[to]!)).toBe(true);
        reaches[from]!.add(to);
      });
      for (const via of all.keys()) {
        for (const from of reaches) if (from.has(via)) for (const to of reaches[via]!) from.add(to);
      }
      const expected = all.map((a) => new Set([...all.keys()].filter((to) => precedes(a, all[to]!))));
      expect(reaches, `seed ${seed}`).toEqual(expected);
    }
  });

  it('needs about as many edges as there are operations and processes', () => {
    const processes = 10;
    const rounds = 500;
    const all = Array.from({ length: processes * rounds }, (_, index) => {
      const invokedAt = Math.floor(index / processes) * 10 + (index % processes) * 0.5;
      return { invokedAt, completedAt: invokedAt + 7 };
    });
    let edges = 0;
    linkRealTime(all, () => (edges += 1));
    expect(edges).toBeLessThanOrEqual(processes * all.length);
  });
});

describe('components', () => {
  it('are found in a path of 200,000 steps that closes', () => {
    const length = 200_000;
    const graph = new GraphBuilder(length + 1);
    for (let node = 0; node < length; node += 1) graph.edge(node, (node + 1) % length, WW);
    graph.edge(0, length, WW);
    const found = components(graph.build(), WW, Array(length + 1).keys());
    expect(found.map((members) => members.length)).toEqual([length]);
  });

  it('are of the kinds and the nodes that are asked for', () => {
    const builder = new GraphBuilder(4);
    builder.edge(0, 1, WW);
    builder.edge(1, 0, WR);
    builder.edge(2, 3, WW);
    builder.edge(3, 2, WW);
    const graph = builder.build();
    const sorted = (found: number[][]): number[][] => found.map((members) => members.sort()).sort();
    expect(sorted(components(graph, WW, [0, 1, 2, 3]))).toEqual([[2, 3]]);
    expect(sorted(components(graph, WW | WR, [0, 1, 2, 3]))).toEqual([[0, 1], [2, 3]]);
    expect(sorted(components(graph, WW | WR, [0, 1, 2]))).toEqual([[0, 1]]);
  });
});

const namesFromWorst: readonly CycleName[] = [
  'G0', 'G1c', 'G-single', 'G2-item', 'G0-realtime', 'G1c-realtime', 'G-single-realtime', 'G2-item-realtime',
];

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: Kinds;
}

/** All cycles that pass no transaction twice, by name, with their least lengths: found by following every path. */
function allCycles(count: number, edges: readonly Edge[]): Map<CycleName, number> {
  const least = new Map<CycleName, number>();
  const follow = (path: readonly number[], kinds: readonly Kinds[]): void => {
    for (const { from, to, kind } of edges) {
      if (from !== path.at(-1) || to < path[0]!) continue;
      if (to === path[0]) {
        const name = nameOf([...kinds, kind]);
        least.set(name, Math.min(path.length, least.get(name) ?? path.length));
      } else if (!path.includes(to)) {
        follow([...path, to], [...kinds, kind]);
      }
    }
  };
  for (let start = 0; start < count; start += 1) follow([start], []);
  return least;
}

function nameOf(kinds: readonly Kinds[]): CycleName {
  const missed = kinds.filter((kind) => kind === RW).length;
  const index = missed >= 2 ? 3 : missed === 1 ? 2 : kinds.includes(WR) ? 1 : 0;
  return namesFromWorst[kinds.includes(RT) ? index + 4 : index]!;
}

describe('cycles', () => {
  it('of random graphs are named by their worst, and are the shortest', () => {
    let cyclic = 0;
    for (let seed = 0; seed < 3_000; seed += 1) {
      const random = new Random(seed);
      const count = 3 + random.below(4);
      const nodes: TransactionNode[] = intervals(random, count).map((interval, id) => ({ id, ...interval }));
      const builder = new GraphBuilder(count);
      const edges: Edge[] = [];
      for (let left = 1 + random.below(7); left > 0; left -= 1) {
        const edge = { from: random.below(count), to: random.below(count), kind: random.pick([WW, WW, WR, RW]) };
        if (edge.from === edge.to) continue;
        edges.push(edge);
        builder.edge(edge.from, edge.to, edge.kind, () => `${edge.from} to ${edge.to}`);
      }
      linkRealTime(nodes, (from, to) => builder.edge(from, to, RT));
      for (const from of nodes) for (const to of nodes) if (precedes(from, to)) edges.push({ from: from.id, to: to.id, kind: RT });

      const expected = allCycles(count, edges);
      const found = findCycles(builder.build(), nodes);
      const worst = namesFromWorst.find((name) => expected.has(name));
      expect(namesFromWorst.find((name) => found.some((cycle) => cycle.name === name)), `seed ${seed}`).toBe(worst);
      if (worst === undefined) continue;
      cyclic += 1;
      const lengths = (name: CycleName): number[] => found.filter((cycle) => cycle.name === name).map(({ transactions }) => transactions.length);
      expect(Math.min(...lengths(worst)), `seed ${seed}`).toBe(expected.get(worst));
      expect(Math.min(...found.map(({ transactions }) => transactions.length)), `seed ${seed}`).toBe(Math.min(...expected.values()));
    }
    expect(cyclic).toBeGreaterThan(500);
  });

  it('through a hub count a step once and tell both halves of its reason', () => {
    const builder = new GraphBuilder(3);
    const hub = builder.hub();
    builder.edge(0, hub, RW, () => 'T10 missed ');
    builder.edge(hub, 1, RW, () => 'T11');
    builder.edge(hub, 2, RW, () => 'T12');
    builder.edge(2, 0, WR, () => 'T10 read T12');
    const nodes = [10, 11, 12].map((id) => ({ id, invokedAt: 0, completedAt: 1 }));
    expect(findCycles(builder.build(), nodes)).toEqual([{ name: 'G-single', transactions: [10, 12], words: 'T10 missed T12; T10 read T12' }]);
  });
});
