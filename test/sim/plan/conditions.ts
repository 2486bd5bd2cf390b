/** The weather of a run: how fast its network and its disks are, and how wrong its clocks, when nothing is broken. */
import type { DiskOptions } from '../disk.ts';
import type { Latency } from '../latency.ts';
import type { NetworkOptions } from '../network.ts';
import type { Random } from '../random.ts';
import type { HostOptions } from '../world.ts';

export interface Conditions {
  /** What is left out is as on a good day; so is an unbounded bandwidth, for which JSON has no word. */
  readonly network: Partial<NetworkOptions>;
  readonly disk: Partial<DiskOptions>;
  /** Of each node, in their order. */
  readonly clocks: readonly Required<Pick<HostOptions, 'skewMs' | 'driftPpm'>>[];
  /** Ways from one node to another that are longer than the others by so much. */
  readonly detours: readonly { readonly from: string; readonly to: string; readonly extraMs: number }[];
}

export const goodDay: Conditions = { network: {}, disk: {}, clocks: [], detours: [] };

const latencies: readonly Latency[] = [
  // One room, one building, one continent; and a network that is not what it was sold as.
  { baseMs: 0.1, jitterMs: 0.2, tailChance: 0.001, tailMs: 5 },
  { baseMs: 0.5, jitterMs: 2, tailChance: 0.01, tailMs: 20 },
  { baseMs: 10, jitterMs: 20, tailChance: 0.01, tailMs: 100 },
  { baseMs: 0.1, jitterMs: 30, tailChance: 0.05, tailMs: 300 },
  // A crowded one: what goes to one host is there long before what went to another.
  { baseMs: 0.1, jitterMs: 1, tailChance: 0.3, tailMs: 30 },
];

const flushes: readonly Latency[] = [
  // A drive in the machine, one that spins, one at the other end of a network.
  { baseMs: 0.08, jitterMs: 0.1, tailChance: 0.002, tailMs: 10 },
  { baseMs: 4, jitterMs: 8, tailChance: 0.01, tailMs: 50 },
  { baseMs: 0.5, jitterMs: 2, tailChance: 0.05, tailMs: 200 },
];

export function drawConditions(random: Random, nodes: readonly string[]): Conditions {
  const network = {
    latency: random.pick([latencies[0], latencies[4], ...latencies] as Latency[]),
    turnMs: random.pick([0, 0.05, 0.05, 2]),
    windowBytes: random.pick([1_024 * 1_024, 1_024 * 1_024, 4_096]),
    halfOpenChance: random.pick([0, 0, 0.1, 0.7]),
    ...(random.chance(0.2) && { bytesPerMs: random.pick([200, 5_000]) }),
  };
  const disk = { flush: random.pick([flushes[0], ...flushes] as Latency[]) };
  const skewMs = random.pick([0, 1, 100, 10_000, 10_000]);
  const clocks = nodes.map(() => ({ skewMs: whole(random.between(-1, 1) * skewMs), driftPpm: whole(random.between(-200, 200)) }));
  return { network, disk, clocks, detours: drawDetours(random.fork('detours'), nodes) };
}

/**
 * Where all ways are alike, what two nodes say to a third comes in nearly the order in which it was said, and all replicas see nearly the same order of
 * events. A node far away, or only a route that is longer there than back, ends that.
 */
function drawDetours(random: Random, nodes: readonly string[]): Conditions['detours'] {
  if (!random.chance(0.4)) return [];
  const share = random.pick([0.1, 0.3, 0.3]);
  const mostMs = random.pick([5, 30, 100]);
  return nodes.flatMap((from) => nodes.filter((to) => to !== from && random.chance(share)).map((to) => ({ from, to, extraMs: Math.ceil(random.float() * mostMs) })));
}

/** How much longer than on a good day a conversation takes, about. */
export function slownessOf({ network: { latency } }: Conditions): number {
  return latency === undefined ? 1 : Math.min(slownessMax, Math.max(1, latency.baseMs + latency.jitterMs / 2 + latency.tailChance * latency.tailMs));
}

/** A message seldom takes longer, unless something is broken. */
export function longLatencyMs({ network: { latency }, detours }: Conditions): number {
  const detourMs = Math.max(0, ...detours.map(({ extraMs }) => extraMs));
  return latency === undefined ? detourMs : latency.baseMs + latency.jitterMs + latency.tailMs + detourMs;
}

/** Time in which nothing happens costs steps too, for nodes tick. */
const slownessMax = 5;

/** Never -0, which JSON does not keep. */
function whole(number: number): number {
  return Math.round(number) + 0;
}
