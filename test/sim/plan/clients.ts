/** Who works in a run: how much, how often, and by which nodes. */
import type { Random } from '../random.ts';
import { wilful, type Routing } from '../wilful.ts';
import { nodeIds, type ClusterShape } from './shape.ts';

export interface ClientPlan {
  /** From 1; its host is c1, c2, ... and its choices are drawn from a stream of that name. */
  readonly number: number;
  /** It stops after so many. */
  readonly operations: number;
  /** Between two operations, in the mean; taken together after `burst` operations, for operations meet one another only in a crowd. */
  readonly pauseMs: number;
  readonly burst: number;
  /** Operations that it begins in one turn, and waits for together: what comes to a coordinator at once travels in one batch. */
  readonly abreast: number;
  /** Nodes that it can't connect to. Of any group it reaches one at least. */
  readonly turnedAwayBy: readonly string[];
  /** How it chooses coordinators. */
  readonly routing: Routing;
  /** Bytes of values that it keeps, to have transactions read from; 0: none. */
  readonly cacheBytes: number;
}

/** Operations of all clients together: few enough for many seeds, in a time so short that many are under way whenever something happens. */
const operationsMax = [100, 300, 300, 600, 1_500] as const;
const clientCounts = [1, 2, 4, 8, 8, 16] as const;

export function clientName(number: number): string {
  return `c${number}`;
}

export function drawClients(random: Random, { nodes, replicationFactor }: ClusterShape, lengthMs: number): ClientPlan[] {
  const count = random.pick(clientCounts);
  const operations = Math.ceil(random.pick(operationsMax) / count);
  const pauseMs = Math.round(random.pick([0.2, 0.5, 0.9]) * lengthMs / operations);
  const burst = random.pick([1, 5, 25]);
  const abreast = random.fork('abreast').pick([1, 1, 4, 8, 16]);
  // Those who don't reach the same nodes are served by different coordinators, and what they do meets at the replicas only.
  const scattered = random.fork('reach').chance(0.5);
  // So it does where they don't agree who is to coordinate. In some runs some of them do, in some nobody.
  const wilfulShare = random.fork('routing').pick([0, 0, 0, 0.3, 1, 1]);
  const cacheBytes = random.fork('cache').pick([0, 0, 2_000, 1_000_000]);
  return Array.from({ length: count }, (_, i) => {
    const number = i + 1;
    const reach = random.fork(`reach of ${number}`);
    const turnedAwayBy = scattered ? reach.shuffled(nodeIds(nodes)).slice(0, reach.below(replicationFactor)).sort() : [];
    const own = random.fork(`routing of ${number}`);
    const routing = own.chance(wilfulShare) ? own.pick(wilful) : 'led';
    return { number, operations, pauseMs, burst, abreast, turnedAwayBy, routing, cacheBytes };
  });
}
