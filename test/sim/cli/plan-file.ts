/** Plans in files: written when one has been shrunk, read to be replayed. */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { faults } from '../faults/registry.ts';
import type { Plan } from '../plan/plan.ts';
import { workloads } from '../workloads/registry.ts';
import { namedProtocol } from './arguments.ts';
import { UsageError } from './options.ts';

/** Returns where it is. */
export function writePlan(plan: Plan): string {
  const file = path.join(os.tmpdir(), `dtp-cluster-plan-${plan.seed.replace(/[^\w-]/g, '_')}.json`);
  writeFileSync(file, `${JSON.stringify(plan, null, 1)}\n`);
  return file;
}

/** Checks what a person may have got wrong, the names; the rest was written by `writePlan`. Throws UsageError. */
export function readPlan(file: string): Plan {
  let plan: Plan;
  try {
    plan = JSON.parse(readFileSync(file, 'utf8')) as Plan;
  } catch (error) {
    throw new UsageError(`${file}: can't be read as a plan: ${(error as Error).message}`);
  }
  for (const field of ['seed', 'workload', 'shape', 'conditions', 'protocols', 'clients', 'passerByPauseMs', 'crowds', 'durationMs', 'injections'] as const) {
    if (plan?.[field] === undefined) throw new UsageError(`${file}: a plan has a field ${field}`);
  }
  if (!Object.hasOwn(workloads, plan.workload)) throw new UsageError(`${file}: unknown workload ${plan.workload}; there are ${Object.keys(workloads).join(', ')}`);
  for (const name of plan.protocols) namedProtocol(name);
  const unknown = plan.injections.find(({ fault }) => !faults.has(fault));
  if (unknown !== undefined) throw new UsageError(`${file}: unknown fault ${unknown.fault}; there are ${[...faults.keys()].join(', ')}`);
  return plan;
}
