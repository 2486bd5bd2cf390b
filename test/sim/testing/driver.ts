/** The code of a test, as an actor of the simulation: it goes on in promises, can't be killed, and stands outside of all hosts. */
import type { Actor, Scheduler } from '../scheduler.ts';

export class Driver implements Actor {
  readonly name = 'test';
  readonly usesPromises = true;
  condition: 'running' | 'dead' = 'running';
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Resolves when so many simulated milliseconds have passed. */
  sleep(ms: number): Promise<void> {
    if (!(ms >= 0 && ms < Infinity)) return Promise.reject(new RangeError(`sleep: a number of milliseconds expected, not ${String(ms)}`));
    return new Promise((resolve) => void this.#scheduler.after(ms, this, resolve));
  }

  /** Has the work begun in an event of its own. */
  begin<R>(work: () => R | PromiseLike<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#scheduler.after(0, this, () => {
        new Promise<R>((resolveWork) => resolveWork(work())).then(resolve, reject);
      });
    });
  }

  /** What it had still to do is not done any more. */
  end(): void {
    this.condition = 'dead';
  }

  hold(): void {
    // Only a paused actor's events are held, and this one is never paused.
  }

  failed(error: unknown): void {
    throw error;
  }
}
