/** One run: builds the cluster of a plan, lets its clients and its faults meet, heals everything, and judges. */
import { DtpError } from '../../client/wire/errors.ts';
import type { Outcome } from './checker/history.ts';
import { undisturbedMs, type Client } from './client.ts';
import { SimCluster, type MakeNode } from './cluster.ts';
import { differencesOnDisk, unhealed } from './healing.ts';
import { Nemesis } from './nemesis.ts';
import { clientName, type ClientPlan } from './plan/clients.ts';
import { crowdName } from './plan/crowds.ts';
import { drawPlan, type Plan, type PlanOptions } from './plan/plan.ts';
import { Random } from './random.ts';
import { StepBoundExceeded } from './scheduler.ts';
import { printBytes } from './story/print.ts';
import { World } from './world.ts';
import { crowd } from './workloads/crowds.ts';
import { passerBy } from './workloads/passers-by.ts';
import type { Workload } from './workloads/workload.ts';
import { workloads } from './workloads/registry.ts';

/** How a run is made and watched; none of it is part of what happens in it. */
export interface Watching {
  /** Keeps the whole trace with every detail, for telling the story; otherwise its end, for reporting a livelock. */
  readonly traced?: boolean;
  /** For planting a mistake in a node. */
  readonly makeNode?: MakeNode;
}

export type RunOptions = PlanOptions & Watching;

export interface Report {
  readonly seed: string;
  readonly workload: string;
  readonly plan: Plan;
  /** What is wrong, in words, each of which begins with the name of its kind; none: the run is good. */
  readonly failures: readonly string[];
  /** Answers of the database that the verdict rests on. */
  readonly observations: number;
  /** Operations that each client of the plan began. */
  readonly operations: Readonly<Record<number, number>>;
  /** How those ended; the rest was cut off by the death of its client. */
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** How often each class of faults happened. */
  readonly injected: Readonly<Record<string, number>>;
  readonly virtualMs: number;
  /** Nodes that were given an empty disk, as theirs had changed. */
  readonly replaced: readonly string[];
  /** From the end of the faults until all was well; null if it was not. */
  readonly healedMs: number | null;
  readonly steps: number;
  /** Equal for runs that were the same to the last byte. */
  readonly traceHash: string;
  /** The last lines of the trace. */
  readonly story: (lines?: number) => string;
}

const startMsMax = 10 * undisturbedMs;
/** After the faults, clients give up what they wait for within their timeout. */
const farewellMsMax = 2 * undisturbedMs;
/** After the faults, how long healing may take: some recoveries with pauses between ballots, and a few exchanges. */
const healingMsMax = 120_000;
/** Events of one run; the longest that ends takes less than a tenth of them. */
const stepsMax = 5_000_000;
const lookMs = 50;
const verificationsMax = 20;
const verificationPauseMs = 2_000;
const differencesMax = 10;

/** Runs a seed: one plan, drawn from it. Throws RangeError for a workload or fault that there is not. */
export function runSeed({ traced, makeNode, ...options }: RunOptions): Promise<Report> {
  return runPlan(drawPlan(options), { ...(traced !== undefined && { traced }), ...(makeNode !== undefined && { makeNode }) });
}

/** Runs a plan as it is. */
export async function runPlan(plan: Plan, watching: Watching = {}): Promise<Report> {
  const run = new Run(plan, watching);
  await run.make();
  return run.report();
}

class Run {
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #world: World;
  readonly #cluster: SimCluster;
  readonly #nemesis: Nemesis;
  readonly #workload: Workload;
  readonly #operations: Record<number, number> = {};
  readonly #failures: string[] = [];
  /** When the faults end, if the clients have not ended before. */
  #endMs = 0;
  #healedMs: number | null = null;
  #observations = 0;

  constructor(plan: Plan, { traced = false, makeNode }: Watching) {
    const { seed, shape, conditions, injections, workload } = plan;
    this.#plan = plan;
    this.#random = new Random(seed);
    this.#world = new World({ seed, network: conditions.network, disk: conditions.disk, stepsMax, traceLength: traced ? 1_000_000 : 300, verbose: traced, print: printBytes });
    this.#cluster = new SimCluster(this.#world, shape, conditions, makeNode);
    this.#nemesis = new Nemesis(this.#cluster, injections);
    const make = workloads[workload];
    if (make === undefined) throw new RangeError(`unknown workload ${workload}; there are ${Object.keys(workloads).join(', ')}`);
    this.#workload = make(this.#random.fork('choices'), () => this.#world.nowMs);
  }

  async make(): Promise<void> {
    try {
      await this.#setUp();
      await this.#disturb();
      await this.#heal();
      await this.#compareDisks();
    } catch (error) {
      if (!(error instanceof AlreadyFailed)) this.#failures.push(inWords(error));
    }
    this.#judge();
  }

  report(): Report {
    const { seed, workload } = this.#plan;
    return {
      seed, workload, plan: this.#plan, failures: [...this.#cluster.failures, ...this.#failures], observations: this.#observations, operations: this.#operations, outcomes: this.#cluster.outcomes,
      injected: this.#nemesis.injected, replaced: [...this.#cluster.replaced], virtualMs: this.#world.nowMs, healedMs: this.#healedMs, steps: this.#world.scheduler.steps, traceHash: this.#world.traceHash(),
      story: (lines) => this.#world.story(lines),
    };
  }

  async #setUp(): Promise<void> {
    for (const id of this.#cluster.ids) this.#cluster.start(id);
    this.#cluster.addClient('setup', { random: this.#random.fork('setup'), hasty: false }, (client) => this.#begin(client));
    await this.#until(() => this.#cluster.clientsDone, startMsMax, () => 'no-start: the first writes come to no end');
  }

  /** The first writes are blind and nobody is there yet, so they may be made again: on the slowest networks most attempts come too late. */
  async #begin(client: Client): Promise<void> {
    for (;;) {
      try {
        return await this.#workload.setUp(client);
      } catch (error) {
        if (!(error instanceof DtpError)) throw error;
      }
    }
  }

  async #disturb(): Promise<void> {
    this.#nemesis.start();
    this.#endMs = this.#world.nowMs + this.#plan.durationMs;
    for (const client of this.#plan.clients) {
      for (const node of client.turnedAwayBy) this.#world.network.refuse(node, clientName(client.number));
      this.#cluster.addClient(clientName(client.number), { random: this.#random.fork(clientName(client.number)), hasty: true, protocols: this.#plan.protocols, routing: client.routing, cacheBytes: client.cacheBytes }, (context) => this.#work(client, context));
    }
    const { durationMs, passerByPauseMs, protocols, crowds } = this.#plan;
    if (passerByPauseMs !== null) {
      this.#cluster.addClient('passer-by', { random: this.#random.fork('passer-by'), hasty: true, protocols }, (client) => this.#accompany(client, passerByPauseMs, passerBy(client)));
    }
    for (const { number, size, pauseMs, protocol, routing } of crowds) {
      const name = crowdName(number);
      this.#cluster.addClient(name, { random: this.#random.fork(name), hasty: true, protocols: [protocol], routing }, (client) => this.#accompany(client, pauseMs, crowd(client, size)));
    }
    await this.#until(() => this.#cluster.clientsDone || this.#world.nowMs >= this.#endMs, durationMs, () => '');
    this.#nemesis.stop();
    this.#cluster.over = true;
  }

  async #work({ number, operations, pauseMs, burst, abreast }: ClientPlan, client: Client): Promise<void> {
    const counts = this.#operations;
    counts[number] ??= 0;
    while (!client.over() && counts[number] < operations) {
      const begun = Math.min(abreast, operations - counts[number]);
      counts[number] += begun;
      await Promise.all(Array.from({ length: begun }, () => this.#workload.act(client)));
      const pause = client.random.exponential(client.random.chance(1 / burst) ? pauseMs * burst * begun : 1);
      // Nobody sleeps past the end: a client that is not done then counts as stuck.
      await client.sleep(Math.max(0, Math.min(pause, this.#endMs - this.#world.nowMs)));
    }
  }

  /** Does something now and then while the clients of the workload are at work. */
  async #accompany(client: Client, pauseMs: number, act: () => Promise<void>): Promise<void> {
    while (!client.over() && this.#plan.clients.some(({ number }) => this.#cluster.isWorking(clientName(number)))) {
      await act();
      await client.sleep(Math.max(0, Math.min(client.random.exponential(pauseMs), this.#endMs - this.#world.nowMs)));
    }
  }

  async #heal(): Promise<void> {
    const fromMs = this.#world.nowMs;
    await this.#until(() => this.#cluster.clientsDone, farewellMsMax, () => 'clients-stuck: clients come to no end');
    await this.#until(() => unhealed(this.#cluster) === null, healingMsMax, () => `not-healed: ${healingMsMax} ms after the faults, ${unhealed(this.#cluster)}`);
    this.#healedMs = this.#world.nowMs - fromMs;
    this.#cluster.over = false;
    this.#cluster.addClient('reader', { random: this.#random.fork('reader'), hasty: false }, async (client) => {
      await this.#workload.finish(client);
      await this.#verify(client);
    });
    await this.#until(() => this.#cluster.clientsDone, farewellMsMax, () => 'reads-stuck: the last reads come to no end');
  }

  /** What an operator does in the end. Damage that nobody has read so far is found now, and mended. */
  async #verify({ db, sleep }: Client): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const { identical, nodes, divergent } = await db.verify();
      if (identical) return;
      if (attempt === verificationsMax) throw new Failure(`not-identical: verification still finds ${JSON.stringify({ nodes, divergent }).slice(0, 1_000)}`);
      await db.heal();
      await sleep(verificationPauseMs);
    }
  }

  async #compareDisks(): Promise<void> {
    this.#cluster.stop();
    await this.#until(() => this.#cluster.ids.every((id) => !this.#cluster.isRunning(id)), farewellMsMax, () => 'no-stop: a node does not stop when it is asked to');
    this.#failures.push(...differencesOnDisk(this.#cluster).slice(0, differencesMax));
  }

  #judge(): void {
    try {
      const { failures, observations } = this.#workload.check();
      this.#failures.push(...failures);
      this.#observations = observations;
    } catch (error) {
      this.#failures.push(inWords(error));
    }
  }

  /** Lets time pass until the condition holds, and looks now and then, as some conditions cost more than an event. */
  async #until(condition: () => boolean, withinMs: number, otherwise: () => string): Promise<void> {
    const untilMs = this.#world.nowMs + withinMs;
    while (!condition()) {
      if (this.#cluster.failures.length > 0) throw new AlreadyFailed();
      if (this.#world.nowMs >= untilMs) throw new Failure(otherwise());
      await this.#world.runFor(Math.min(lookMs, untilMs - this.#world.nowMs));
    }
  }
}

/** The run need not go on: why is known already. */
class AlreadyFailed {}

/** The cluster did not do what it must; the message begins with the name of what. */
class Failure extends Error {}

function inWords(error: unknown): string {
  if (error instanceof Failure) return error.message;
  if (error instanceof StepBoundExceeded) return `livelock: ${error.message}`;
  return `exception: ${error instanceof Error ? error.stack : String(error)}`;
}
