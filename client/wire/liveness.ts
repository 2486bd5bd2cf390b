/**
 * Is the peer alive? A phi-accrual failure detector (Hayashibara, Défago, Yared and Katayama 2004).
 *
 * A fixed timeout is wrong twice: too short for a peer that is slow today, too long for one that always answers at
 * once. Here the intervals between heartbeats are learnt, and what is asked is how surprising the present silence is:
 * phi = -log10 of the chance that a living peer stays silent for so long. Phi 8 is wrong once in 10^8 silences, if
 * intervals are normally distributed. As they are not, two allowances are made, as in Akka: the deviation has a floor
 * (perfectly regular heartbeats would make any delay a death), and an acceptable pause is added to the mean
 * (collections, disk stalls and the scheduler stop healthy processes for some hundreds of milliseconds).
 *
 * With the defaults, heartbeats each 150 ms: a peer that stops dead is suspected 0.9 s after its last sign of life; one
 * whose heartbeats come each 600 ms is let be, and once that is learnt it may be silent for 1.5 to 2.5 s.
 */
export interface LivenessOptions {
  /** The interval expected before anything is learnt. */
  readonly heartbeatIntervalMs: number;
  /** A silence this much longer than the mean interval is no surprise yet. */
  readonly acceptablePauseMs: number;
  /** The least standard deviation of the interval that is believed. */
  readonly deviationFloorMs: number;
  /** Intervals that are remembered: at 150 ms each, a slow spell is forgotten after 10 s. */
  readonly windowSize: number;
}

export const livenessDefaults: LivenessOptions = { heartbeatIntervalMs: 150, acceptablePauseMs: 500, deviationFloorMs: 50, windowSize: 64 };

export class Liveness {
  readonly #options: LivenessOptions;
  readonly #intervals: Float64Array;
  /** Of all intervals so far, those forgotten included. */
  #count = 0;
  #lastHeardMs: number;
  #lastHeartbeatMs: number;

  /** Starts with the peer heard from at `nowMs`, and two made-up intervals that say: about the expected one. */
  constructor(options: LivenessOptions, nowMs: number) {
    this.#options = options;
    this.#intervals = new Float64Array(options.windowSize);
    this.#lastHeardMs = this.#lastHeartbeatMs = nowMs;
    this.#learn(options.heartbeatIntervalMs * 0.75);
    this.#learn(options.heartbeatIntervalMs * 1.25);
  }

  /** A sign of life that says nothing of the peer's rhythm: any frame. */
  heard(nowMs: number): void {
    this.#lastHeardMs = nowMs;
  }

  /** A heartbeat: a sign of life from whose interval the rhythm is learnt. */
  heartbeat(nowMs: number): void {
    this.#learn(nowMs - this.#lastHeartbeatMs);
    this.#lastHeardMs = this.#lastHeartbeatMs = nowMs;
  }

  /**
   * This process itself was stopped for so long. What the peer sent meanwhile could not be heard, so that time does not
   * count as its silence, nor into its rhythm.
   */
  excuse(pauseMs: number): void {
    this.#lastHeardMs += pauseMs;
    this.#lastHeartbeatMs += pauseMs;
  }

  silenceMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#lastHeardMs);
  }

  /** How surprising the silence is: 0 not at all, 1 once in ten silences of a living peer, 8 once in 10^8. */
  phi(nowMs: number): number {
    const size = Math.min(this.#count, this.#intervals.length);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += this.#intervals[i]!;
    const mean = sum / size;
    let squares = 0;
    for (let i = 0; i < size; i++) squares += (this.#intervals[i]! - mean) ** 2;
    const deviation = Math.max(Math.sqrt(squares / size), this.#options.deviationFloorMs);
    return surprise((this.silenceMs(nowMs) - mean - this.#options.acceptablePauseMs) / deviation);
  }

  #learn(intervalMs: number): void {
    this.#intervals[this.#count++ % this.#intervals.length] = Math.max(0, intervalMs);
  }
}

/**
 * -log10 of the chance that a normal variable exceeds its mean by `y` deviations, by the logistic approximation that Akka
 * uses too: within a tenth of the chance up to three deviations, and a little surer than it should be beyond (8 at 5.2).
 */
function surprise(y: number): number {
  const e = Math.exp(-y * (1.5976 + 0.070566 * y * y));
  // Beyond the reach of exp the chance is 0; a finite phi keeps comparisons and logs sane.
  return e === 0 ? phiMax : Math.min(phiMax, y > 0 ? -Math.log10(e / (1 + e)) : -Math.log10(1 - 1 / (1 + e)));
}

const phiMax = 300;
