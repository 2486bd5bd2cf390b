/** The client's process (load.ts) as its parent sees it. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CommitProtocol } from '../client/index.ts';
import type { LoopResult } from './closed-loop.ts';
import type { LoadCommand, LoadReport } from './load.ts';
import type { WorkloadName } from './workloads.ts';

export interface RunOptions {
  readonly callers: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** By default the cluster's. */
  readonly protocol?: CommitProtocol | undefined;
}

export class LoadProcess {
  readonly #child: ChildProcess;
  #heard: (report: LoadReport) => void = () => {};
  #failed: (error: Error) => void = () => {};

  constructor(flags: readonly string[] = []) {
    this.#child = fork(fileURLToPath(new URL('./load.js', import.meta.url)), { execArgv: [...flags] });
    this.#child.on('message', (report: LoadReport) => this.#heard(report));
    this.#child.on('exit', (code, signal) => this.#failed(new Error(`the client's process ended (${signal ?? `exit code ${code}`})`)));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Connects and fills the keys. */
  async prepare(urls: readonly string[], workload: WorkloadName): Promise<void> {
    await this.#ask({ kind: 'prepare', urls, workload }, 'prepared');
  }

  /** `measuring` is called when the warm-up is over. */
  async run(options: RunOptions, measuring: () => void): Promise<LoopResult> {
    return (await this.#ask({ kind: 'run', ...options }, 'measured', measuring)).result;
  }

  /** Everything that is wrong with what is there. */
  async verify(): Promise<readonly string[]> {
    return (await this.#ask({ kind: 'verify' }, 'verified')).faults;
  }

  async stop(): Promise<void> {
    this.#failed = () => {};
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }

  #ask<K extends LoadReport['kind']>(command: LoadCommand, answer: K, measuring: () => void = () => {}): Promise<LoadReport & { kind: K }> {
    return new Promise((resolve, reject) => {
      this.#failed = reject;
      this.#heard = (report) => {
        if (report.kind === 'measuring') measuring();
        if (report.kind === answer) resolve(report as LoadReport & { kind: K });
      };
      this.#child.send(command);
    });
  }
}
