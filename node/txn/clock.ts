/**
 * A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): timestamps that follow the wall clock when it
 * behaves, and causality always. One integer below 2^53: milliseconds since 2025 times 4,096, plus a counter that may
 * carry into the milliseconds. It lasts until 2094.
 *
 * Timestamps are proposals. Replicas raise them above every version they must follow, so a clock that jumps costs
 * nothing but, at worst, an extra round trip.
 */
import type { Clock } from '../../client/wire/environment.ts';

const epochMs = 1_735_689_600_000; // 2025-01-01T00:00:00Z
export const ticksPerMs = 4_096;
/** A minute: far more than clocks that are kept at all differ by. */
const claimLeadMax = 60_000 * ticksPerMs;

export class HybridClock {
  readonly #clock: Clock;
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A timestamp above all that this clock gave or saw before. */
  next(): number {
    this.#last = Math.max(this.#last + 1, this.#wall());
    return this.#last;
  }

  /** What this clock will give in so many milliseconds, if it isn't hurried. */
  ahead(ms: number): number {
    return this.next() + ms * ticksPerMs;
  }

  /** Takes note of a timestamp from elsewhere. */
  observe(timestamp: number): void {
    if (timestamp > this.#last) this.#last = timestamp;
  }

  /**
   * Takes note of a version that a client says it read. It may have made it up, and a clock that believed everything would
   * take all others along, to the end of time in the end; so it counts only as far as clocks may reasonably differ.
   * Nothing is lost by the rest: the replicas that hold the version raise the timestamp above it.
   */
  observeClaim(timestamp: number): void {
    if (timestamp <= this.#wall() + claimLeadMax) this.observe(timestamp);
  }

  /** The largest timestamp given or seen. */
  get last(): number {
    return this.#last;
  }

  #wall(): number {
    return (Math.floor(this.#clock.wallMs()) - epochMs) * ticksPerMs;
  }
}
