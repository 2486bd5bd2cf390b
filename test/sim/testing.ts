/**
 * For tests of programs that use the database: `import { simulate, seeds } from 'dtp-cluster/testing'`.
 *
 * A program that is right when nothing goes wrong has hardly been tested: transactions run again, coordinators die between
 * the question and the answer, outcomes stay unknown. Here a whole cluster, the very code of production, runs inside the
 * test, in one thread under virtual time. All chance comes from one seed, so what fails once fails each time, and ten minutes
 * of timeouts pass in a moment.
 *
 * The one rule: the function awaits nothing but what the simulation gives it (calls of database handles, `sleep`, other
 * promises made of these), and takes time and chance from it too. A real timer, file or socket, `Date.now()` in a decision or
 * `Math.random()` make two runs of one seed differ.
 */
import type { Database } from '../../client/index.ts';
import { SimCluster } from './cluster.ts';
import { unhealed } from './healing.ts';
import { drawConditions, goodDay } from './plan/conditions.ts';
import { nodeIds } from './plan/shape.ts';
import { Random } from './random.ts';
import { StepBoundExceeded } from './scheduler.ts';
import { chaosLevels, type ChaosLevel } from './testing/chaos.ts';
import { TestCluster } from './testing/cluster.ts';
import { Driver } from './testing/driver.ts';
import { messageOf, SimulationFailed, Story } from './testing/failure.ts';
import { World } from './world.ts';

export type { ChaosLevel } from './testing/chaos.ts';
export type { ClientOptions, TestCluster } from './testing/cluster.ts';
export { SimulationFailed } from './testing/failure.ts';
export type { Random } from './random.ts';

export interface SimulateOptions {
  /** Stands for everything that chance decides. By default 1. */
  seed?: string | number | undefined;
  /** 1 to 64; by default 3. */
  nodes?: number | undefined;
  /** Replicas of each key; by default 3, or all nodes if there are fewer. */
  replicationFactor?: number | undefined;
  /** Random faults from the moment at which the function begins, until `cluster.calm()` or its end. By default none; `true` is `normal`. */
  chaos?: boolean | ChaosLevel | undefined;
  /** Simulated milliseconds that the function may take; by default an hour. */
  simulatedMsMax?: number | undefined;
  /** Events of the simulation that it may take: what goes in circles in no time is stopped by this. By default 2,000,000, which is ten or twenty seconds. */
  stepsMax?: number | undefined;
}

/** What the function gets. */
export interface Simulation {
  /** A client's handle, the same class as `connect` gives. */
  readonly db: Database;
  readonly cluster: TestCluster;
  /** Simulated time passes. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Simulated milliseconds since the start. */
  readonly now: () => number;
  /** Chance, by the seed. */
  readonly random: Random;
  /** Puts a line into the trace that a failure is reported with. */
  readonly log: (text: string) => void;
}

export interface SimulationReport<R> {
  readonly seed: string | number;
  /** What the function returned. */
  readonly result: R;
  readonly simulatedMs: number;
  readonly steps: number;
  /** How often each kind of random fault happened. */
  readonly faults: Readonly<Record<string, number>>;
  /** Equal for two runs exactly if everything in them was the same. */
  readonly traceHash: string;
}

/** A start costs as much as the store is laid out for, and here it is for some kilobytes and many restarts. A larger record gets a journal file of its size. */
const smallStore = { journalSegmentBytes: 256 * 1_024, journalBlockBytesMax: 64 * 1_024, headCacheEntries: 1_000 };
/** For the nodes of a new cluster, and for one whose faults are over: some recoveries and exchanges, with the slowest disks and networks. */
const settlingMsMax = 120_000;
const lookIntervalMs = 100;
const notYours = 'This is a fault of dtp-cluster, not of the function; please report it';

/**
 * Starts a cluster and runs the function beside it; then ends all faults and sees the cluster come to rest: every
 * transaction decided, all replicas equal.
 *
 * Rejects with SimulationFailed if the function throws or comes to no end, a node stops itself, or the cluster does not come to
 * rest. With RangeError, before anything is begun, for options that make no sense.
 *
 * @example
 * await simulate({ seed: 42, chaos: true }, async ({ db, cluster }) => {
 *   await db.set('stock', 10);
 *   const shops = await Promise.all([cluster.connect(), cluster.connect()]);
 *   await Promise.all(shops.map((shop) => sell(shop, 'stock', 3)));
 *   await cluster.calm();
 *   assert.equal(await db.get('stock'), 4);
 * });
 */
export async function simulate<R>(options: SimulateOptions, fn: (simulation: Simulation) => R | PromiseLike<R>): Promise<SimulationReport<R>> {
  const { seed, nodes, replicationFactor, chaos, simulatedMsMax, stepsMax } = settingsOf(options);
  if (typeof fn !== 'function') throw new RangeError(`simulate: a function expected, not ${String(fn)}`);
  const random = new Random(`testing/${seed}`);
  const conditions = chaos === null ? goodDay : drawConditions(random.fork('conditions'), nodeIds(nodes));
  const world = new World({ seed: `testing/${seed}`, stepsMax, traceLength: 1_000, network: conditions.network, disk: conditions.disk });
  const story = new Story(world.trace);
  const sim = new SimCluster(world, { nodes, replicationFactor, partitions: 64, timing: {}, store: smallStore }, conditions);
  const onNodeExit = world.onExit;
  world.onExit = (host, exit) => {
    if (sim.ids.includes(host.name)) onNodeExit(host, exit);
  };
  const driver = new Driver(world.scheduler);
  const cluster = new TestCluster(sim, driver, random);
  const fail = (what: string, cause?: unknown): never => {
    throw new SimulationFailed(what, { seed, simulatedMs: world.nowMs, story, cause });
  };

  /** Lets time pass until the condition holds. */
  async function pass(until: () => boolean, withinMs: number, otherwise: () => string): Promise<void> {
    const untilMs = world.nowMs + withinMs;
    const end = await world.run({ until: () => sim.failures.length > 0 || until(), untilMs }).catch((error: unknown) => {
      if (error instanceof StepBoundExceeded) return fail(`no end after ${stepsMax} steps, at ${Math.round(world.nowMs)} simulated ms: does it go in circles? ${openOf(cluster)}`);
      throw error;
    });
    if (sim.failures.length > 0) fail(`${sim.failures.join('; ')}. ${notYours}`);
    if (end !== 'condition') fail(otherwise());
  }

  async function runFunction(): Promise<R> {
    let outcome: { readonly result: R } | { readonly thrown: unknown } | null = null;
    const simulation: Omit<Simulation, 'db'> = {
      cluster,
      sleep: (ms) => driver.sleep(ms),
      now: () => world.nowMs,
      random: random.fork('function'),
      log: (text) => world.trace.record('test', text),
    };
    const work = async (): Promise<R> => {
      const db = await cluster.connect({ connectTimeoutMs: 60_000 });
      story.clear(); // Of the start, if it went well, nobody wants to read.
      if (chaos !== null) cluster.chaos(chaos);
      return fn({ db, ...simulation });
    };
    driver.begin(work).then((result) => (outcome = { result }), (thrown: unknown) => (outcome = { thrown }));
    const settled = (): typeof outcome => outcome;
    await pass(() => settled() !== null, simulatedMsMax, () => `the function came to no end within ${simulatedMsMax} simulated ms. ${openOf(cluster)}`);
    const end = settled();
    if (end !== null && 'result' in end) return end.result;
    return fail(messageOf(end?.thrown), end?.thrown);
  }

  async function comeToRest(): Promise<void> {
    let calm = false;
    let left: string | null = 'not all nodes are up';
    const unrest = (): string => `${settlingMsMax} ms after the end of all faults the cluster has not come to rest: ${left}. ${notYours}`;
    void driver.begin(() => cluster.calm()).then(() => (calm = true));
    await pass(() => calm, settlingMsMax, unrest);
    // Clients that stay could begin something at any time, so some records would have to be kept. Killed rather than closed: what the function left under way
    // does not come back to it as a rejection that nobody waits for.
    for (const client of cluster.clients) world.host(client).crash('the function has ended');
    let looked = 0;
    const resting = (): boolean => {
      // A look costs more than an event.
      if (world.nowMs < looked + lookIntervalMs) return false;
      looked = world.nowMs;
      left = unhealed(sim);
      return left === null;
    };
    await pass(resting, settlingMsMax, unrest);
  }

  for (const node of sim.ids) sim.start(node);
  await pass(() => sim.nodes.size === nodes && [...sim.nodes.values()].every(({ status: { doubtful } }) => doubtful === null), settlingMsMax, () => 'the nodes did not start');
  const result = await runFunction();
  await comeToRest();
  driver.end();
  return { seed, result, simulatedMs: world.nowMs, steps: world.scheduler.steps, faults: cluster.faults, traceHash: world.traceHash() };
}

/**
 * Runs the function for the seeds 1 to `count`, or from another one on, one after another; resolves to what they gave. Rejects with the first
 * failure. With DTP_SEED in the environment only that seed is run.
 *
 * @example
 * await seeds(200, (seed) => simulate({ seed, chaos: true }, twoShopsSell));
 */
export async function seeds<R>(count: number, fn: (seed: number) => R | PromiseLike<R>, { from = 1 }: { from?: number | undefined } = {}): Promise<R[]> {
  const only = process.env['DTP_SEED'];
  if (only !== undefined && only !== '') {
    const seed = Number(only);
    if (!Number.isSafeInteger(seed)) throw new RangeError(`DTP_SEED: a whole number expected, not ${only}`);
    return [await fn(seed)];
  }
  const [first, total] = [whole('from', from, 0, Number.MAX_SAFE_INTEGER), whole('count', count, 1, 1e9)];
  const results: R[] = [];
  for (let seed = first; seed < first + total; seed++) results.push(await fn(seed));
  return results;
}

interface Settings {
  readonly seed: string | number;
  readonly nodes: number;
  readonly replicationFactor: number;
  readonly chaos: ChaosLevel | null;
  readonly simulatedMsMax: number;
  readonly stepsMax: number;
}

function settingsOf({ seed = 1, nodes: wanted, replicationFactor, chaos = false, simulatedMsMax, stepsMax }: SimulateOptions): Settings {
  const nodes = whole('nodes', wanted ?? 3, 1, 64);
  if (typeof chaos !== 'boolean' && !chaosLevels.includes(chaos)) throw new RangeError(`chaos: true, false or one of ${chaosLevels.join(', ')} expected, not ${String(chaos)}`);
  return {
    seed, nodes,
    replicationFactor: whole('replicationFactor', replicationFactor ?? Math.min(3, nodes), 1, nodes),
    chaos: chaos === true ? 'normal' : chaos === false ? null : chaos,
    simulatedMsMax: whole('simulatedMsMax', simulatedMsMax ?? 3_600_000, 1, 1e12),
    stepsMax: whole('stepsMax', stepsMax ?? 2_000_000, 1, 1e12),
  };
}

function whole(name: string, value: unknown, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  throw new RangeError(`${name}: a whole number from ${min} to ${max} expected, not ${String(value)}`);
}

function openOf(cluster: TestCluster): string {
  const open = cluster.openCalls;
  return open.length === 0 ? 'No call of the database is open: does the function wait for something real?' : `Open: ${open.slice(0, 5).join('; ')}${open.length > 5 ? ` and ${open.length - 5} more` : ''}.`;
}
