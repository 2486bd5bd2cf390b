/**
 * A machine's clock as it is in the world: it runs a little fast or slow (drift), shows another time than the others
 * (skew), and its wall time is set forth or back at any moment (jumps). The monotonic reading only drifts.
 */
import type { Clock } from '../../client/wire/environment.ts';

/** When every simulation begins: 2025-01-01T00:00:00Z. */
const epochMs = 1_735_689_600_000;

export class SimClock implements Clock {
  readonly #virtualMs: () => number;
  /** Local milliseconds per virtual one. */
  #rate = 1;
  #sinceVirtualMs: number;
  #localMs: number;
  #skewMs: number;

  /** `originMs`: what `monotonicMs` shows at first; nobody may rely on its being zero. */
  constructor(virtualMs: () => number, originMs: number, skewMs = 0, driftPpm = 0) {
    this.#virtualMs = virtualMs;
    this.#sinceVirtualMs = virtualMs();
    this.#localMs = originMs;
    this.#skewMs = epochMs + this.#sinceVirtualMs - originMs + skewMs;
    this.drift(driftPpm);
  }

  monotonicMs(): number {
    return this.#localMs + (this.#virtualMs() - this.#sinceVirtualMs) * this.#rate;
  }

  wallMs(): number {
    return Math.floor(this.monotonicMs() + this.#skewMs);
  }

  /** How long the world waits while this clock counts `localMs`. */
  virtualDelayMs(localMs: number): number {
    return localMs / this.#rate;
  }

  /** From now on the clock gains (or loses, below 0) so many microseconds a second. Above -1,000,000. */
  drift(ppm: number): void {
    this.#localMs = this.monotonicMs();
    this.#sinceVirtualMs = this.#virtualMs();
    this.#rate = 1 + ppm / 1e6;
  }

  /** The wall time is set forth (or back, below 0). */
  jump(byMs: number): void {
    this.#skewMs += byMs;
  }
}
