/**
 * `npm run bench`, or `npm run bench -- figures`: first figures of a cluster of three nodes on this machine, from one client process, with votes that are
 * durable before they count. How many calls a second, how long they take, what they cost in processor time and flushes,
 * and for how long a client stands still when a node is lost.
 *
 * Four processes share the machine's processors, so rates say as much about the machine as about the software; processor
 * time per call varies less. What was written is verified after each workload, or the figures don't count.
 */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { connect, type Database } from '../client/index.ts';
import type { LoopResult } from './closed-loop.ts';
import { exitOnSignals, LocalCluster } from './cluster.ts';
import { processorMs } from './cpu.ts';
import { LoadProcess } from './load-process.ts';
import { whole, wholes, words } from './options.ts';
import { milliseconds, number, table } from './table.ts';
import { workloadNames, type WorkloadName } from './workloads.ts';

/** Long enough before and after a loss to see what it did. */
const pauseCallers = 16;
const pauseRunMs = 5_000;
const lossAtMs = 1_500;
const frozenMs = 2_000;

interface Options {
  readonly workload: readonly WorkloadName[];
  readonly callers: readonly number[];
  readonly seconds: number;
  readonly pauses: number;
  readonly json: string | undefined;
  readonly profile: string | undefined;
}

interface Figures {
  readonly workload: WorkloadName;
  readonly callers: number;
  readonly result: LoopResult;
  readonly flushesPerSecond: number;
  /** Share of one processor, by process. */
  readonly processorShare: Readonly<Record<string, number>>;
  /** Over all processes. */
  readonly processorUsPerCall: number;
}

interface Pause {
  readonly loss: 'killed' | 'frozen';
  readonly node: string;
  readonly longestPauseMs: number;
  readonly longestCallMs: number;
  readonly errors: Readonly<Record<string, number>>;
}

/** What the processes had used, and the nodes flushed, at one instant. */
interface Reading {
  readonly atMs: number;
  readonly processorMs: Readonly<Record<string, number>>;
  readonly flushes: number;
}

/** A running cluster with a client's process. */
class Stand {
  readonly cluster: LocalCluster;
  readonly load: LoadProcess;
  readonly #observer: Database;

  static async build(options: Options): Promise<Stand> {
    const { profile } = options;
    const cluster = await LocalCluster.start({ nodeFlags: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`] });
    return new Stand(cluster, new LoadProcess(), await connect({ nodes: cluster.urls }));
  }

  private constructor(cluster: LocalCluster, load: LoadProcess, observer: Database) {
    this.cluster = cluster;
    this.load = load;
    this.#observer = observer;
  }

  async tearDown(): Promise<void> {
    await this.load.stop();
    await this.#observer.close();
    await this.cluster.stop();
  }

  async measure(workload: WorkloadName, callers: number, seconds: number): Promise<Figures> {
    let before: Promise<Reading> | null = null;
    const result = await this.load.run({ callers, warmUpMs: (seconds * 1_000) / 3, measureMs: seconds * 1_000 }, () => (before = this.#read()));
    const [from, to] = [await (before ?? this.#read()), await this.#read()];
    const tookMs = to.atMs - from.atMs;
    const used = Object.entries(to.processorMs).map(([name, ms]) => [name, ms - (from.processorMs[name] ?? 0)] as const);
    return {
      workload, callers, result,
      flushesPerSecond: ((to.flushes - from.flushes) / tookMs) * 1_000,
      processorShare: Object.fromEntries(used.map(([name, ms]) => [name, ms / tookMs])),
      processorUsPerCall: (used.reduce((sum, [, ms]) => sum + ms, 0) * 1_000) / result.calls,
    };
  }

  /** The longest that a caller stands still when this node is lost in the middle of it. Ends with the node back. */
  async lose(node: string, loss: Pause['loss']): Promise<Pause> {
    let back: Promise<void> = Promise.resolve();
    const result = await this.load.run({ callers: pauseCallers, warmUpMs: 1_000, measureMs: pauseRunMs }, () => (back = this.#loseAndBringBack(node, loss)));
    await back;
    // Until everybody is connected with it again, so that the next loss meets a whole cluster.
    await this.#whole();
    return { loss, node, longestPauseMs: result.longestPauseMs, longestCallMs: result.longestMs, errors: result.errors };
  }

  async #loseAndBringBack(node: string, loss: Pause['loss']): Promise<void> {
    await delay(lossAtMs);
    if (loss === 'killed') await this.cluster.kill(node);
    else this.cluster.pause(node);
    await delay(frozenMs);
    if (loss === 'killed') await this.cluster.start(node);
    else this.cluster.resume(node);
  }

  async #whole(): Promise<void> {
    const untilMs = performance.now() + 30_000;
    while (performance.now() < untilMs) {
      const nodes = await this.#observer.status({ timeoutMs: 1_000 });
      if (nodes.every(({ reachable, peers }) => reachable && (peers as { up: boolean }[]).every(({ up }) => up))) return void (await delay(1_000));
      await delay(100);
    }
    throw new Error('the cluster did not become whole again within 30 s');
  }

  async #read(): Promise<Reading> {
    const { nodes } = this.cluster;
    const processes = { client: this.load.pid, ...Object.fromEntries(nodes.map(({ id, pid }) => [id, pid])) };
    const used = Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, processorMs(pid)]));
    const atMs = performance.now();
    const flushes = (await this.#observer.status()).map(({ store }) => (store as { flushes: number } | undefined)?.flushes ?? 0);
    return { atMs, processorMs: used, flushes: flushes.reduce((sum, count) => sum + count, 0) / flushes.length };
  }
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const percent = (share: number): string => `${Math.round(share * 100)} %`;

function figuresTable(figures: readonly Figures[]): string {
  const head = ['workload', 'callers', 'calls/s', 'p50', 'p99', 'longest', 'flushes/s', 'client', 'n1', 'n2', 'n3', 'CPU/call', 'errors'];
  return table([head, ...figures.map(({ workload, callers, result, flushesPerSecond, processorShare, processorUsPerCall }) => [
    workload, number(callers), number(result.perSecond), milliseconds(result.p50Ms), milliseconds(result.p99Ms), milliseconds(result.longestMs), number(flushesPerSecond),
    ...['client', 'n1', 'n2', 'n3'].map((name) => percent(processorShare[name] ?? 0)), `${number(processorUsPerCall)} µs`, describeErrors(result.errors),
  ])]);
}

function pausesTable(pauses: readonly Pause[]): string {
  return table([['node lost', '', 'longest pause of a caller', 'longest call', 'errors'], ...pauses.map(({ loss, node, longestPauseMs, longestCallMs, errors }) => [node, loss, milliseconds(longestPauseMs), milliseconds(longestCallMs), describeErrors(errors)])]);
}

function describeErrors(errors: Readonly<Record<string, number>>): string {
  return Object.entries(errors).map(([code, count]) => `${count} ${code}`).join(', ') || '–';
}

/** Builds a stand, works with it, and takes it down whatever happens. */
async function withStand<T>(options: Options, work: (stand: Stand) => Promise<T>): Promise<T> {
  const stand = await Stand.build(options);
  try {
    return await work(stand);
  } finally {
    await stand.tearDown();
  }
}

async function measure(options: Options): Promise<number> {
  exitOnSignals();
  const machine = { processors: os.cpus().length, model: os.cpus()[0]?.model ?? '', node: process.version, loadBefore: os.loadavg()[0] ?? 0 };
  say(`Three nodes and one client process on ${machine.processors} processors (${machine.model}), Node.js ${machine.node}; load before: ${machine.loadBefore.toFixed(1)}`);
  const faults: string[] = [];
  const figures: Figures[] = [];
  for (const workload of options.workload) {
    await withStand(options, async (stand) => {
      await stand.load.prepare(stand.cluster.urls, workload);
      for (const callers of options.callers) {
        say(`measuring ${workload} with ${callers} callers for ${options.seconds} s ...`);
        figures.push(await stand.measure(workload, callers, options.seconds));
      }
      faults.push(...(await stand.load.verify()).map((fault) => `${workload}: ${fault}`));
    });
  }
  const pauses: Pause[] = [];
  if (options.pauses > 0) {
    await withStand(options, async (stand) => {
      await stand.load.prepare(stand.cluster.urls, 'set');
      for (let turn = 0; turn < options.pauses; turn++) {
        for (const loss of ['killed', 'frozen'] as const) {
          for (const { id } of stand.cluster.nodes) {
            say(`measuring the pause when ${id} is ${loss} ...`);
            pauses.push(await stand.lose(id, loss));
          }
        }
      }
      faults.push(...(await stand.load.verify()).map((fault) => `pauses: ${fault}`));
    });
  }
  say(`\n${figuresTable(figures)}`);
  if (pauses.length > 0) say(`\n${pausesTable(pauses)}`);
  say(faults.length === 0 ? '\nAll that was acknowledged is there.' : `\n${faults.length} FAULTS:\n${faults.slice(0, 20).join('\n')}`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ machine, figures, pauses, faults }, null, 2)}\n`);
  return faults.length === 0 ? 0 : 1;
}

export function registerFigures(program: Command): void {
  program.command('figures', { isDefault: true })
    .description('calls a second, how long they take, what they cost, and for how long a client stands still when a node is lost (default)')
    .addOption(new Option('--workload <list>', 'of set (writes of single keys), transfer (two-key transactions), hot (the same on ten keys), get (linearizable reads)').argParser(words(workloadNames)).default(['set', 'transfer'], 'set,transfer'))
    .addOption(new Option('--callers <list>', 'how many calls are under way at once').argParser(wholes(1, 10_000)).default([1, 16, 64, 256], '1,16,64,256'))
    .option('--seconds <n>', 'measured for each, after a third of that to warm up', whole(1, 3_600), 5)
    .option('--pauses <n>', 'how often each node is killed, and frozen, to see how long clients stand still; 0 to leave that out', whole(0, 100), 1)
    .option('--json <file>', 'write all figures there')
    .option('--profile <directory>', "write profiles of the nodes' processor time there")
    .action(async (options: Options) => {
      process.exitCode = await measure(options);
    });
}
