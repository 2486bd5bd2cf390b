/** One target with its clients' processes, and what is measured of them. */
import { Load } from '../load/client.ts';
import type { Run } from '../load/process.ts';
import type { LoopResult } from '../load/recorder.ts';
import { targets } from '../targets/registry.ts';
import type { Running, TargetName } from '../targets/target.ts';
import { diskUse, processorMs, type DiskUse } from '../usage.ts';
import type { WorkloadName } from '../workloads/registry.ts';
import type { WorkloadOptions } from '../workloads/workload.ts';

export interface Measurement {
  readonly target: TargetName;
  readonly workload: WorkloadName;
  readonly callers: number;
  /** The rate of an open loop; null: a closed one. */
  readonly rate: number | null;
  readonly round: number;
  readonly result: LoopResult;
  /** Share of one processor, by process. */
  readonly processorShare: Readonly<Record<string, number>>;
  /** Over all processes. */
  readonly processorUsPerCall: number;
  /** Of the disk, whoever asked for them. */
  readonly writtenBytesPerCall: number;
  readonly flushesPerCall: number;
}

interface Reading {
  readonly atMs: number;
  /** By process. */
  readonly processorMs: Readonly<Record<string, number>>;
  readonly disk: DiskUse;
}

export interface StandOptions extends Omit<WorkloadOptions, 'writer'> {
  readonly clients: number;
  /** A directory for profiles of the processes that are Node.js. */
  readonly profile?: string | undefined;
}

export class Stand {
  readonly running: Running;
  readonly load: Load;
  readonly #target: TargetName;

  static async build(target: TargetName, { clients, profile }: Pick<StandOptions, 'clients' | 'profile'>): Promise<Stand> {
    const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    return new Stand(target, await targets[target].start({ flags }), new Load({ clients, flags }));
  }

  private constructor(target: TargetName, running: Running, load: Load) {
    this.#target = target;
    this.running = running;
    this.load = load;
  }

  async tearDown(): Promise<void> {
    await this.load.stop();
    await this.running.stop();
  }

  async measure(workload: WorkloadName, round: number, run: Run): Promise<Measurement> {
    let from = this.#read();
    const result = await this.load.run(run, () => (from = this.#read()));
    const to = this.#read();
    const tookMs = to.atMs - from.atMs;
    const used = Object.entries(to.processorMs).map(([name, ms]) => [name, ms - (from.processorMs[name] ?? 0)] as const);
    return {
      target: this.#target, workload, callers: run.callers, rate: run.perSecond ?? null, round, result,
      processorShare: Object.fromEntries(used.map(([name, ms]) => [name, ms / tookMs])),
      processorUsPerCall: (used.reduce((sum, [, ms]) => sum + ms, 0) * 1_000) / result.calls,
      writtenBytesPerCall: (to.disk.writtenBytes - from.disk.writtenBytes) / result.calls,
      flushesPerCall: (to.disk.flushes - from.disk.flushes) / result.calls,
    };
  }

  #read(): Reading {
    const processes = Object.entries({ ...this.load.processes, ...this.running.processes });
    return { atMs: performance.now(), processorMs: Object.fromEntries(processes.map(([name, pid]) => [name, processorMs(pid)])), disk: diskUse() };
  }
}
