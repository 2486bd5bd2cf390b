/** A client's process (process.ts), and several of them, as their parent sees them. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Address } from '../targets/target.ts';
import type { WorkloadName } from '../workloads/registry.ts';
import type { WorkloadOptions } from '../workloads/workload.ts';
import type { LoadCommand, LoadReport, Run } from './process.ts';
import { mergeResults, type LoopResult } from './recorder.ts';

class LoadProcess {
  readonly #child: ChildProcess;
  #heard: (report: LoadReport) => void = () => {};
  #failed: (error: Error) => void = () => {};

  constructor(flags: readonly string[]) {
    // Evidence holds maps, which JSON would lose.
    this.#child = fork(fileURLToPath(new URL('./process.js', import.meta.url)), { execArgv: [...flags], serialization: 'advanced' });
    this.#child.on('message', (report: LoadReport) => this.#heard(report));
    this.#child.on('exit', (code, signal) => this.#failed(new Error(`a client's process ended (${signal ?? `exit code ${code}`})`)));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  finish(): void {
    this.#child.send({ kind: 'finish' } satisfies LoadCommand);
  }

  ask<K extends LoadReport['kind']>(command: LoadCommand, answer: K, measuring: () => void = () => {}): Promise<LoadReport & { kind: K }> {
    return new Promise((resolve, reject) => {
      this.#failed = reject;
      this.#heard = (report) => {
        if (report.kind === 'measuring') measuring();
        if (report.kind === 'failed') reject(new Error(`a client's process failed: ${report.reason}`));
        if (report.kind === answer) resolve(report as LoadReport & { kind: K });
      };
      this.#child.send(command);
    });
  }

  async stop(): Promise<void> {
    this.#failed = () => {};
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }
}

export interface LoadOptions {
  /** How many processes; one, unless told. */
  readonly clients?: number | undefined;
  /** Of their Node.js. */
  readonly flags?: readonly string[] | undefined;
}

/** All clients of one target: they do the same at the same time. */
export class Load {
  readonly #processes: readonly LoadProcess[];

  constructor({ clients = 1, flags = [] }: LoadOptions = {}) {
    this.#processes = Array.from({ length: clients }, () => new LoadProcess(flags));
  }

  /** By name. */
  get processes(): Record<string, number> {
    return Object.fromEntries(this.#processes.map(({ pid }, i) => [this.#processes.length === 1 ? 'client' : `client ${i + 1}`, pid]));
  }

  /** Connects, and fills the keys by one of them. Resolves to how many there were in how long. */
  async prepare(address: Address, workload: WorkloadName, options: Omit<WorkloadOptions, 'writer'>): Promise<{ readonly entries: number; readonly tookMs: number }> {
    const [first, ...others] = this.#processes.map((process, writer) => () => process.ask({ kind: 'prepare', address, workload, options: { ...options, writer }, fills: writer === 0 }, 'prepared'));
    const filled = await (first as () => Promise<LoadReport & { kind: 'prepared' }>)();
    await Promise.all(others.map((ask) => ask()));
    return filled;
  }

  /** Callers, and the rate of an open loop, are shared out among the processes. `measuring` is called when all have warmed up. */
  async run(run: Run, measuring: () => void = () => {}): Promise<LoopResult> {
    let warming = this.#processes.length;
    const count = this.#processes.length;
    const results = await Promise.all(this.#processes.map((process, i) => {
      const callers = Math.floor(run.callers / count) + (i < run.callers % count ? 1 : 0);
      const share = { ...run, callers, perSecond: run.perSecond === undefined ? undefined : run.perSecond / count };
      return process.ask({ kind: 'run', run: share }, 'measured', () => void (--warming === 0 && measuring()));
    }));
    return mergeResults(results.map(({ result }) => result));
  }

  /** Ends a run that was to go on until told. */
  finish(): void {
    for (const process of this.#processes) process.finish();
  }

  /** Everything that is wrong with what is there. */
  async verify(): Promise<readonly string[]> {
    const evidence = await Promise.all(this.#processes.map(async (process) => (await process.ask({ kind: 'testify' }, 'testified')).evidence));
    return (await (this.#processes[0] as LoadProcess).ask({ kind: 'verify', evidence }, 'verified')).faults;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop()));
  }
}
