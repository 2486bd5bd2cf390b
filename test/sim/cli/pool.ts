/**
 * Runs seeds in several processes. Processes rather than threads: one that runs out of memory, or never comes back from a
 * handler, takes nothing with it, and it is known at which seed.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PlanOptions } from '../plan/plan.ts';
import { lostSummary, type Summary } from './summary.ts';

/** A seed takes seconds; steps are bounded, so this long it takes only if one step never ends. */
const silenceMsMax = 600_000;

const workerFile = fileURLToPath(new URL('./worker.js', import.meta.url));

export interface PoolOptions {
  readonly jobs: number;
  readonly plans: readonly PlanOptions[];
  /** Called for each run as it ends, in any order. */
  readonly onSummary: (summary: Summary) => void;
  /** After a failure nothing is begun that comes behind it. */
  readonly keepGoing: boolean;
}

/** Resolves when all is done, or at a failure, when all that comes before it is done: so the first failing seed is the same whatever the machine. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #workers = new Set<ChildProcess>();
  readonly #running = new Map<ChildProcess, number>();
  #next = 0;
  /** Nothing from here on is begun any more. */
  #end: number;
  #done: () => void = () => {};

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#end = options.plans.length;
  }

  run(): Promise<void> {
    return new Promise((resolve) => {
      this.#done = resolve;
      for (let i = 0; i < this.#options.jobs; i++) this.#feed(this.#hire());
    });
  }

  /** Ends everything now; `run` resolves. */
  stop(): void {
    this.#end = 0;
    for (const worker of [...this.#workers]) this.#dismiss(worker);
  }

  #hire(): ChildProcess {
    const worker = fork(workerFile, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#workers.add(worker);
    worker.once('exit', (code, signal) => this.#lost(worker, `the process that ran it ended with ${signal ?? `exit code ${code}`}`));
    return worker;
  }

  #feed(worker: ChildProcess): void {
    if (this.#next >= this.#end) return this.#dismiss(worker);
    const place = this.#next++;
    this.#running.set(worker, place);
    const watchdog = setTimeout(() => this.#lost(worker, `hang: no end after ${silenceMsMax / 1_000} s, so one step of it never ends`), silenceMsMax).unref();
    worker.once('message', (summary: Summary) => {
      clearTimeout(watchdog);
      this.#running.delete(worker);
      this.#take(place, summary);
      this.#feed(worker);
    });
    worker.send(this.#options.plans[place] as PlanOptions);
  }

  #take(place: number, summary: Summary): void {
    if (summary.failures.length > 0 && !this.#options.keepGoing) {
      this.#end = Math.min(this.#end, place);
      // Only what comes before may still change which is the first to fail.
      for (const [worker, other] of this.#running) if (other > place) this.#dismiss(worker);
    }
    this.#options.onSummary(summary);
  }

  #lost(worker: ChildProcess, why: string): void {
    const place = this.#running.get(worker);
    if (!this.#workers.has(worker)) return;
    this.#dismiss(worker);
    if (place === undefined) return;
    this.#take(place, lostSummary(String((this.#options.plans[place] as PlanOptions).seed), why));
    if (this.#next < this.#end) this.#feed(this.#hire());
  }

  #dismiss(worker: ChildProcess): void {
    if (!this.#workers.delete(worker)) return;
    this.#running.delete(worker);
    worker.kill('SIGKILL');
    if (this.#workers.size === 0) this.#done();
  }
}
