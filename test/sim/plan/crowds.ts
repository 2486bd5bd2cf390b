/** Further clients, whose transactions touch no key of the workload and are begun many at once: see workloads/crowds.ts. */
import type { CommitProtocolName } from '../../../client/wire/protocols.ts';
import type { Random } from '../random.ts';
import { wilful, type Routing } from '../wilful.ts';

export interface CrowdPlan {
  /** From 1; its host is crowd1, crowd2, ... and its choices are drawn from a stream of that name. */
  readonly number: number;
  /** How many are begun at once. */
  readonly size: number;
  /** Between two crowds, in the mean. */
  readonly pauseMs: number;
  /** What all of them commit by: those of different protocols don't travel together. */
  readonly protocol: CommitProtocolName;
  /** How it chooses coordinators. */
  readonly routing: Routing;
}

export function crowdName(number: number): string {
  return `crowd${number}`;
}

/** Where there are two, they mostly go to different coordinators, so that they meet at the replicas. */
export function drawCrowds(random: Random, slowness: number, protocols: readonly CommitProtocolName[]): CrowdPlan[] {
  const count = random.pick([0, 0, 1, 2]);
  return Array.from({ length: count }, (_, i) => ({
    number: i + 1, size: random.pick([4, 8, 16]), pauseMs: Math.ceil(random.pick([20, 50]) * slowness), protocol: random.pick(protocols), routing: count === 1 ? 'led' : random.pick(['led', ...wilful]),
  }));
}
