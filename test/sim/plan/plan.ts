/**
 * A run before it is made: everything that is decided in advance, as plain data. A seed stands for one plan; a plan can also be
 * written to a file, edited, and replayed. What it does not fix (how long each message takes, what each client does
 * next) is drawn during the run from streams that the seed names, each from its own, so that what is left out of a plan disturbs
 * the rest as little as can be.
 */
import { commitProtocols, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import { faults } from '../faults/registry.ts';
import type { Injection, Scene } from '../faults/fault.ts';
import { moments } from '../faults/moments.ts';
import { losses } from '../faults/losses.ts';
import { rot } from '../faults/rot.ts';
import { Random } from '../random.ts';
import { workloads } from '../workloads/registry.ts';
import { clientName, drawClients, type ClientPlan } from './clients.ts';
import { drawConditions, longLatencyMs, slownessOf, type Conditions } from './conditions.ts';
import { drawCrowds, type CrowdPlan } from './crowds.ts';
import { drawShape, nodeIds, type ClusterShape } from './shape.ts';

export interface Plan {
  readonly seed: string;
  readonly workload: string;
  readonly shape: ClusterShape;
  readonly conditions: Conditions;
  /** What clients commit by. */
  readonly protocols: readonly CommitProtocolName[];
  readonly clients: readonly ClientPlan[];
  /** Mean pause of a further client, whose transactions touch no key of the workload; null: there is none. */
  readonly passerByPauseMs: number | null;
  readonly crowds: readonly CrowdPlan[];
  /** How long clients work and faults happen; less if all clients are done before. */
  readonly durationMs: number;
  readonly injections: readonly Injection[];
}

/** What is told instead of drawn. */
export interface PlanOptions {
  readonly seed: string | number;
  readonly workload?: string | undefined;
  /** The classes of faults to have, all of them; without, each run draws its own. */
  readonly faults?: readonly string[] | undefined;
  /** What clients commit by. */
  readonly protocols?: readonly CommitProtocolName[] | undefined;
}

/** A run shall have a few injections of each class rather than a hail in which nothing is ever done. */
const injectionsMax = 200;
/** Whatever its length, a run has as many faults as one of the usual length. */
const durationMs = { least: 500, usual: 6_000, most: 8_000 } as const;

/** Throws RangeError with the valid ones for a workload or fault that there is not. */
export function drawPlan({ seed, workload, faults: classes, protocols: named }: PlanOptions): Plan {
  const random = new Random(String(seed));
  const name = workload ?? random.fork('workload').pick(Object.keys(workloads));
  if (!Object.hasOwn(workloads, name)) throw new RangeError(`unknown workload ${name}; there are ${Object.keys(workloads).join(', ')}`);
  const drawn = drawShape(random.fork('shape'));
  const conditions = drawConditions(random.fork('conditions'), nodeIds(drawn.nodes));
  const shape = withPatience(drawn, conditions);
  const lengthMs = Math.round(slownessOf(conditions) * durationMs.least * (durationMs.most / durationMs.least) ** random.fork('duration').float());
  const clients = drawClients(random.fork('clients'), shape, lengthMs);
  const scene = { nodes: nodeIds(shape.nodes), dispensable: drawDispensable(random.fork('dispensable'), shape), clients: clients.map(({ number }) => clientName(number)), moments: drawMoments(random.fork('moments')) };
  const injections = drawInjections(random.fork('faults'), scene, lengthMs, classes);
  // Damage that nobody reads is to be found all the same before the end, or seen to be none; elsewhere a scrub must find nothing.
  const isScrubbed = random.fork('scrub').chance(0.2) || injections.some(({ fault }) => fault.startsWith('rot'));
  // A protocol that waits for its coordinator waits for ever if that has forgotten what it decided.
  const forgetful = new Set([...rot, ...losses].map((fault) => fault.name));
  const fitting: readonly CommitProtocolName[] = injections.some(({ fault }) => forgetful.has(fault)) ? ['dtp', '3pc'] : commitProtocols;
  const wanted = named?.filter((protocol) => fitting.includes(protocol)) ?? [];
  const protocols = wanted.length > 0 ? wanted : drawProtocols(random.fork('protocols'), fitting);
  const passerBy = random.fork('passer-by');
  const passerByPauseMs = passerBy.chance(0.5) ? Math.ceil(passerBy.pick([5, 20]) * slownessOf(conditions)) : null;
  return { seed: String(seed), workload: name, shape: isScrubbed ? { ...shape, healing: { ...shape.healing, scrubIntervalMs: 2_000 } } : shape, conditions, protocols, clients, passerByPauseMs, crowds: drawCrowds(random.fork('crowds'), slownessOf(conditions), protocols), durationMs: lengthMs, injections };
}

/** Nobody configures timeouts that a healthy network of theirs does not keep: with them hardly anything is ever done, and nothing is tested. */
function withPatience(shape: ClusterShape, conditions: Conditions): ClusterShape {
  const { heartbeatIntervalMs = 0, recoveryDelayMs = 0, prepareTimeoutMs = 0 } = shape.timing;
  const latencyMs = longLatencyMs(conditions);
  const heartbeatMs = Math.max(heartbeatIntervalMs, Math.ceil(latencyMs / 3));
  return {
    ...shape,
    timing: { ...shape.timing, heartbeatIntervalMs: heartbeatMs, recoveryDelayMs: Math.max(recoveryDelayMs, 3 * heartbeatMs), prepareTimeoutMs: Math.max(prepareTimeoutMs, Math.ceil(2 * latencyMs)) },
  };
}

/** All of them together leave each group its majority, wherever its replicas are. */
function drawDispensable(random: Random, { nodes, replicationFactor }: ClusterShape): string[] {
  return random.shuffled(nodeIds(nodes)).slice(0, Math.floor((replicationFactor - 1) / 2)).sort();
}

/** One alone, or all beside one another: a mistake in one is seldom met among all. DTP, which others are measured by, is tried most. */
function drawProtocols(random: Random, all: readonly CommitProtocolName[]): readonly CommitProtocolName[] {
  return random.pick([['dtp'], ['dtp'], [random.pick(all)], all, all]);
}

/** A few of them, that they may meet: a cut at an accept, and then a crash at a decide. */
function drawMoments(random: Random): string[] {
  return random.shuffled(moments).slice(0, random.pick([2, 4, moments.length]));
}

/**
 * Swarm testing (Groce et al. 2012): a run has some of the classes, not all. One with few kinds of fault reaches states that
 * one with all of them at once never does.
 */
function drawInjections(random: Random, scene: Scene, lengthMs: number, wanted: readonly string[] | undefined): Injection[] {
  const unknown = wanted?.find((name) => !faults.has(name));
  if (unknown !== undefined) throw new RangeError(`unknown fault ${unknown}; there are ${[...faults.keys()].join(', ')}`);
  const share = random.pick([0, 0.1, 0.1, 0.15, 0.2, 0.2, 0.3, 0.4]);
  const meanLastsMs = lengthMs * random.pick([0.02, 0.1, 0.3]);
  const injections: Injection[] = [];
  for (const fault of faults.values()) {
    const own = random.fork(fault.name);
    if (wanted === undefined ? !own.chance(share * (fault.weight?.(scene) ?? 1)) : !wanted.includes(fault.name)) continue;
    const everyMs = own.between(...fault.everyMs) * (lengthMs / durationMs.usual);
    for (let atMs = own.exponential(everyMs); atMs < lengthMs; atMs += own.exponential(everyMs)) {
      const particulars = fault.draw(own, scene);
      if (particulars === null) break;
      injections.push({ atMs: Math.round(atMs), fault: fault.name, on: [], against: [], amount: 0, moment: '', ...particulars, lastsMs: Math.round(own.exponential(meanLastsMs)) });
    }
  }
  return injections.sort((a, b) => a.atMs - b.atMs).slice(0, injectionsMax);
}
