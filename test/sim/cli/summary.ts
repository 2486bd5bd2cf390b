/** What one run tells a process that watches many. */
import type { Outcome } from '../checker/history.ts';
import type { Plan } from '../plan/plan.ts';
import type { Report } from '../run.ts';

export interface Summary {
  readonly seed: string;
  readonly workload: string;
  readonly failures: readonly string[];
  /** Of a failing run. */
  readonly plan: Plan | null;
  readonly operations: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly observations: number;
  readonly injected: Readonly<Record<string, number>>;
  /** How many nodes were given an empty disk because of bit rot. */
  readonly replaced: number;
  readonly virtualMs: number;
  readonly healedMs: number | null;
}

export function summaryOf({ seed, workload, failures, plan, operations, outcomes, observations, injected, replaced, virtualMs, healedMs }: Report): Summary {
  const all = Object.values(operations).reduce((sum, each) => sum + each, 0);
  return { seed, workload, failures, plan: failures.length === 0 ? null : plan, operations: all, outcomes, observations, injected, replaced: replaced.length, virtualMs, healedMs };
}

/** Of a run that never reported. */
export function lostSummary(seed: string, why: string): Summary {
  return { seed, workload: 'unknown', failures: [why], plan: null, operations: 0, outcomes: { ok: 0, failed: 0, unknown: 0 }, observations: 0, injected: {}, replaced: 0, virtualMs: 0, healedMs: null };
}
