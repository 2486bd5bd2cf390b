/**
 * How calls follow one another.
 *
 * In a closed loop each of a number of callers makes one call after another, the next when the one before is done. So the
 * rate follows from the latency, and a server that stalls is asked less meanwhile: percentiles are those of what
 * callers met who wait their turn, not of arrivals that don't wait (Schroeder, Wierman and Harchol-Balter, "Open Versus
 * Closed", 2006). For the same reason the longest call is told beside the percentiles: a stall of a second is one call a caller.
 *
 * In an open loop calls are due at a fixed rate, whether those before are done or not, and the time of each counts from
 * when it was due, so that no stall is left out ("coordinated omission", Tene). They are due in bursts, a millisecond
 * apart, which is what timers can do: finer steps would count the timer's lateness as the server's. Calls that were due
 * and never begun, for too many were under way, are told as errors, `overdue`.
 */
import { Recorder, type LoopResult } from './recorder.ts';

export interface LoopOptions {
  /** Of an open loop: how many calls may be under way at once. Those beyond wait, and their time runs. */
  readonly callers: number;
  /** Makes it an open loop. */
  readonly perSecond?: number | undefined;
  readonly warmUpMs: number;
  /** Resolves when it has been measured for long enough. */
  readonly enough: () => Promise<void>;
  /** Keep what happened in each tenth of a second too. */
  readonly slots?: boolean | undefined;
  /** One call, to the number of attempts that it took. Its rejection is counted by the error's code. */
  readonly call: () => Promise<number>;
  /** The warm-up is over. */
  readonly measuring: () => void;
}

const pauseAfterErrorMs = 1;
const delay = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

export async function runLoop(options: LoopOptions): Promise<LoopResult> {
  const loop = new Loop(options);
  const running = options.perSecond === undefined ? loop.closed() : loop.open(options.perSecond);
  await delay(options.warmUpMs);
  const startedAtMs = loop.measure();
  options.measuring();
  await options.enough();
  const tookMs = performance.now() - startedAtMs;
  loop.end();
  await running;
  return loop.result(tookMs);
}

class Loop {
  readonly #options: LoopOptions;
  readonly #recorder: Recorder;
  #phase: 'warming' | 'measuring' | 'over' = 'warming';
  #startedAtMs = Number.POSITIVE_INFINITY;
  #endedAtMs = Number.POSITIVE_INFINITY;
  #retries = 0;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#recorder = new Recorder({ slots: options.slots ?? false });
  }

  measure(): number {
    this.#phase = 'measuring';
    return (this.#startedAtMs = performance.now());
  }

  end(): void {
    this.#phase = 'over';
    this.#endedAtMs = performance.now();
  }

  result(tookMs: number): LoopResult {
    return this.#recorder.result(tookMs, this.#retries);
  }

  async closed(): Promise<void> {
    const caller = async (): Promise<void> => {
      let succeededAtMs = performance.now();
      while (this.#phase !== 'over') succeededAtMs = await this.#call(performance.now(), () => succeededAtMs) ?? succeededAtMs;
    };
    await Promise.all(Array.from({ length: this.#options.callers }, caller));
  }

  async open(perSecond: number): Promise<void> {
    const schedule = new Schedule(perSecond, performance.now());
    let succeededAtMs = performance.now();
    let underWay = 0;
    let wake = (): void => {};
    const begin = async (dueAtMs: number): Promise<void> => {
      underWay++;
      succeededAtMs = Math.max(succeededAtMs, await this.#call(dueAtMs, () => succeededAtMs) ?? 0);
      underWay--;
      wake();
    };
    while (this.#phase !== 'over') {
      while (underWay < this.#options.callers && schedule.nextAtMs <= performance.now()) void begin(schedule.take());
      const full = underWay >= this.#options.callers;
      await new Promise<void>((resolve) => {
        wake = full ? resolve : () => {};
        // When all places are taken, the end must be seen too.
        setTimeout(resolve, full ? 100 : Math.max(0, schedule.nextAtMs - performance.now()));
      });
    }
    while (schedule.nextAtMs < this.#endedAtMs) {
      if (underWay < this.#options.callers) void begin(schedule.take());
      else if (schedule.take() >= this.#startedAtMs) this.#recorder.failed('overdue');
    }
    while (underWay > 0) await new Promise<void>((resolve) => (wake = resolve));
  }

  /** When it succeeded, or null. `since` says when the success before was. */
  async #call(fromMs: number, since: () => number): Promise<number | null> {
    let code: string | null = null;
    let attempts = 1;
    try {
      attempts = await this.#options.call();
    } catch (error) {
      code = (error as { code?: string | number }).code?.toString() ?? String(error);
      // Errors that come at once must let others run.
      await delay(pauseAfterErrorMs);
    }
    const nowMs = performance.now();
    // What began before the measurement or ended after it belongs to neither; but of what was due in it nothing is left out, however late it ends.
    const inTime = this.#options.perSecond === undefined ? this.#phase === 'measuring' : fromMs < this.#endedAtMs;
    const counts = inTime && fromMs >= this.#startedAtMs;
    if (counts && code !== null) this.#recorder.failed(code);
    if (counts && code === null) {
      this.#recorder.succeeded(nowMs - fromMs, nowMs - Math.max(since(), this.#startedAtMs));
      this.#retries += attempts - 1;
    }
    return code === null ? nowMs : null;
  }
}

/** When calls are due: so many a second, in bursts on whole milliseconds from the start. */
export class Schedule {
  readonly #perSecond: number;
  readonly #startMs: number;
  #taken = 0;

  constructor(perSecond: number, startMs: number) {
    this.#perSecond = perSecond;
    this.#startMs = startMs;
  }

  get nextAtMs(): number {
    return this.#startMs + Math.floor((this.#taken * 1_000) / this.#perSecond);
  }

  /** When the next one was or will be due; from then on it is the one after. */
  take(): number {
    const dueAtMs = this.nextAtMs;
    this.#taken++;
    return dueAtMs;
  }
}
