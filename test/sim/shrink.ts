/**
 * Makes a failing plan smaller while it still fails in the same way: leaves out whole classes of faults, then single
 * injections, clients, operations, and what is peculiar about the settings. What is left is what the failure needs, or nearly.
 *
 * This is delta debugging (Zeller & Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over a plan. Each step is tried
 * by a run; steps are repeated until none helps any more.
 */
import type { Plan } from './plan/plan.ts';
import { goodDay } from './plan/conditions.ts';

/** Runs a plan and says whether it fails as the first one did. */
export type StillFails = (plan: Plan) => Promise<boolean>;

/** A round of steps takes tens of runs, and there are a few rounds; more than this would only polish. */
const runsMaxDefault = 600;

export async function shrink(failing: Plan, stillFails: StillFails, runsMax = runsMaxDefault): Promise<Plan> {
  let runs = 0;
  let smallest = failing;
  /** Takes the candidate if it fails too. */
  const attempt = async (candidate: Plan): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs++;
    const fails = await stillFails(candidate);
    if (fails) smallest = candidate;
    return fails;
  };
  for (let before: Plan | null = null; before !== smallest;) {
    before = smallest;
    await dropClasses(() => smallest, attempt);
    await dropParts(() => smallest.injections, (injections) => attempt({ ...smallest, injections }));
    if (smallest.clients.length > 1) await dropParts(() => smallest.clients, (clients) => (clients.length > 0 ? attempt({ ...smallest, clients }) : Promise.resolve(false)));
    if (smallest.protocols.length > 1) await dropParts(() => smallest.protocols, (protocols) => (protocols.length > 0 ? attempt({ ...smallest, protocols }) : Promise.resolve(false)));
    await fewerOperations(() => smallest, attempt);
    await shorter(() => smallest, attempt);
    await plainer(() => smallest, attempt);
  }
  return smallest;
}

type Attempt = (candidate: Plan) => Promise<boolean>;

async function dropClasses(plan: () => Plan, attempt: Attempt): Promise<void> {
  if (plan().injections.length === 0 || await attempt({ ...plan(), injections: [] })) return;
  for (const fault of new Set(plan().injections.map((injection) => injection.fault))) {
    await attempt({ ...plan(), injections: plan().injections.filter((injection) => injection.fault !== fault) });
  }
}

/** Leaves out ever smaller pieces of a list. */
async function dropParts<T>(items: () => readonly T[], attempt: (left: readonly T[]) => Promise<boolean>): Promise<void> {
  for (let size = Math.ceil(items().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < items().length;) {
      const left = [...items().slice(0, from), ...items().slice(from + size)];
      if (!await attempt(left)) from += size;
    }
  }
}

/** Of each client: halves what it does as long as that goes, then takes one away after the other. */
async function fewerOperations(plan: () => Plan, attempt: Attempt): Promise<void> {
  for (const { number } of plan().clients) {
    const operations = (): number => plan().clients.find((client) => client.number === number)?.operations ?? 0;
    const cutTo = (left: number): Promise<boolean> => attempt({ ...plan(), clients: plan().clients.map((client) => (client.number === number ? { ...client, operations: left } : client)) });
    for (let by = Math.ceil(operations() / 2); by >= 1; by = by === 1 ? 0 : Math.ceil(by / 2)) {
      while (operations() > by && await cutTo(operations() - by));
    }
  }
}

async function shorter(plan: () => Plan, attempt: Attempt): Promise<void> {
  for (let part = 0.5; part < 0.95; part += 0.2) {
    while (plan().durationMs > 100 && await attempt(until(plan(), Math.round(plan().durationMs * part))));
  }
}

function until(plan: Plan, durationMs: number): Plan {
  return { ...plan, durationMs, injections: plan.injections.filter(({ atMs }) => atMs < durationMs) };
}

/** What is usual needs no telling. */
async function plainer(plan: () => Plan, attempt: Attempt): Promise<void> {
  const { shape, conditions } = plan();
  for (const part of Object.keys(goodDay) as (keyof typeof goodDay)[]) {
    if (Object.keys(conditions[part]).length > 0) await attempt({ ...plan(), conditions: { ...plan().conditions, [part]: goodDay[part] } });
  }
  if (plan().passerByPauseMs !== null) await attempt({ ...plan(), passerByPauseMs: null });
  await dropParts(() => plan().crowds, (crowds) => attempt({ ...plan(), crowds }));
  if (plan().clients.some(({ turnedAwayBy }) => turnedAwayBy.length > 0)) await attempt({ ...plan(), clients: plan().clients.map((client) => ({ ...client, turnedAwayBy: [] })) });
  if (plan().clients.some(({ routing }) => routing !== 'led')) await attempt({ ...plan(), clients: plan().clients.map((client) => ({ ...client, routing: 'led' })) });
  if (plan().clients.some(({ cacheBytes }) => cacheBytes > 0)) await attempt({ ...plan(), clients: plan().clients.map((client) => ({ ...client, cacheBytes: 0 })) });
  if (shape.partitions > 1) await attempt({ ...plan(), shape: { ...plan().shape, partitions: 1 } });
  for (const part of ['timing', 'store'] as const) {
    for (const name of Object.keys(shape[part])) {
      const settings = Object.fromEntries(Object.entries(plan().shape[part]).filter(([other]) => other !== name));
      await attempt({ ...plan(), shape: { ...plan().shape, [part]: settings } });
    }
  }
}

/** What a failure is called: two runs fail in the same way if they share one of these. */
export function kindsOf(failures: readonly string[]): Set<string> {
  return new Set(failures.map((failure) => failure.slice(0, Math.max(0, failure.indexOf(':')))));
}
