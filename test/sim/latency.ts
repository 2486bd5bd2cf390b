/** How long something takes: a fixed part, a uniform part, and now and then a long tail, as networks and disks have it. */
import type { Random } from './random.ts';

export interface Latency {
  readonly baseMs: number;
  readonly jitterMs: number;
  /** How often a draw falls into the tail, 0 to 1. */
  readonly tailChance: number;
  /** What the tail adds on average (exponentially distributed). */
  readonly tailMs: number;
}

export function drawLatency(random: Random, { baseMs, jitterMs, tailChance, tailMs }: Latency): number {
  const usual = baseMs + random.float() * jitterMs;
  return tailChance > 0 && random.chance(tailChance) ? usual + random.exponential(tailMs) : usual;
}
