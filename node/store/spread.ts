/**
 * How a checkpoint's slices are spread over time.
 *
 * Written one right after the other they have the disk, a processor and much of the event loop for as long as the whole lasts, and at all
 * replicas at once, for their overlays fill alike: then every vote is late. So after each slice the disk is left to the journal for some times
 * as long as the slice took, slow disk or busy processor included, unless the checkpoint falls behind the time or what fills meanwhile: it
 * has to end long before the next one is due (as PostgreSQL paces its checkpoints, by `checkpoint_completion_target`).
 */
import type { Timer } from '../../client/wire/environment.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** A slice takes a tenth of the time: three replicas on one disk then seldom write theirs at the same moment. */
const pausePerSlice = 9;
/** A slice that took seconds was a disk in trouble; to wait for minutes helps nobody. */
const pauseMsMax = 500;
/** The checkpoint has ended when half of what there was until the next one is left, of time and of room. */
const margin = 2;

export class Spread {
  readonly #runtime: Pick<Runtime, 'clock' | 'after'>;
  readonly #intervalMs: number;
  readonly #filled: () => number;
  #isUrgent = false;
  #beganAtMs = 0;
  #sliceBeganAtMs = 0;
  #pause: { readonly timer: Timer; readonly next: () => void } | null = null;

  /** `filled`: which share is used up of the room that there was, when the checkpoint began, until the next one. */
  constructor(runtime: Pick<Runtime, 'clock' | 'after'>, intervalMs: number, filled: () => number) {
    this.#runtime = runtime;
    this.#intervalMs = intervalMs;
    this.#filled = filled;
  }

  /** A checkpoint begins. If it is urgent there are no pauses. */
  begin(isUrgent: boolean): void {
    this.#isUrgent = isUrgent;
    this.#beganAtMs = this.#runtime.clock.monotonicMs();
    this.#sliceBeganAtMs = this.#beganAtMs;
  }

  /** A slice is written, and with it this share of the checkpoint. Runs the action when it is time for the next one. */
  pause(written: number, next: () => void): void {
    const nowMs = this.#runtime.clock.monotonicMs();
    const aheadMs = this.#beganAtMs + (written * this.#intervalMs) / margin - nowMs;
    const pauseMs = Math.min(pauseMsMax, aheadMs, pausePerSlice * (nowMs - this.#sliceBeganAtMs));
    const goOn = (): void => {
      this.#pause = null;
      this.#sliceBeganAtMs = this.#runtime.clock.monotonicMs();
      next();
    };
    if (this.#isUrgent || pauseMs <= 0 || written >= 1 || written < margin * this.#filled()) goOn();
    else this.#pause = { timer: this.#runtime.after(pauseMs, goOn), next: goOn };
  }

  /** Somebody waits for the end of this checkpoint. */
  hurry(): void {
    this.#isUrgent = true;
    const pause = this.#pause;
    this.cancel();
    pause?.next();
  }

  /** There will be no next slice. */
  cancel(): void {
    this.#pause?.timer.cancel();
    this.#pause = null;
  }
}
