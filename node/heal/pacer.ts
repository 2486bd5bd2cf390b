/**
 * How much healing a node does, asked and answered, at any time.
 *
 * Healing must be quick when nobody is waiting for anything else, must not be felt when somebody is, and must never stop. So
 * all of it draws on one bucket of bytes, which fills at a rate that follows what foreground work feels: the time that a vote takes
 * to become durable. That time is compared with the least seen lately: what is above it is queueing, and part of the queue may be
 * ours. While there is more of it than is tolerable, the rate falls by a factor; while there is less, it rises by a step; and with no
 * foreground work at all it doubles until it is at its maximum (additive increase and multiplicative decrease, Chiu and Jain 1989; delay above a base as the
 * sign of a queue as in TCP Vegas, Brakmo and Peterson 1995, and LEDBAT, RFC 6817, from which the history of the base comes).
 */
export interface PacerOptions {
  readonly nowMs: () => number;
  readonly bytesPerSecondMax: number;
}

/** Healing goes on at this rate however busy the node is: 20 GB a day. */
const bytesPerSecondMin = 256 * 1_024;
/** The rate is set anew this often. */
const periodMs = 100;
/** The base is the least of so many of the last minutes' spans: work that itself has become slower is forgiven after that. */
const spanMs = 10_000;
const spansKept = 6;
/** Queueing tolerated, at least and as a share of the base. Below a few ms it is the noise of any disk. */
const toleratedMs = 2;
const toleratedShare = 0.5;
const decrease = 0.6;
/** Of the maximum, each period: from least to most in some seconds. */
const increase = 1 / 32;
/** What may be spent at once after a pause. */
const burstMs = 100;
/** What waits. Each peer asks one thing at a time, and so do we. */
const waitingMax = 256;

export class Pacer {
  readonly #options: PacerOptions;
  readonly #waiting: (() => void)[] = [];
  #bytesPerSecond: number;
  #tokens: number;
  #filledAtMs: number;
  #adaptedAtMs: number;
  #spanBeganAtMs: number;
  /** The least mean delay of a period in each of the last spans, the present one last. */
  #spans: number[] = [Number.POSITIVE_INFINITY];
  #delaySumMs = 0;
  #delays = 0;
  #isRunning = false;

  constructor(options: PacerOptions) {
    const now = options.nowMs();
    this.#options = options;
    this.#bytesPerSecond = options.bytesPerSecondMax;
    this.#tokens = this.#burstBytes;
    this.#filledAtMs = now;
    this.#adaptedAtMs = now;
    this.#spanBeganAtMs = now;
  }

  /** What may be spent now. */
  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** How large one piece of work may be: a twentieth of a second's worth, so that many can share what there is. */
  get pieceBytes(): number {
    return Math.min(128 * 1_024, Math.max(16 * 1_024, this.#bytesPerSecond / 20));
  }

  /** Is there something to spend, and nobody before you? */
  get isFree(): boolean {
    this.#fill();
    return this.#waiting.length === 0 && this.#tokens > 0;
  }

  /** Foreground work took so long just now. */
  felt(delayMs: number): void {
    this.#delaySumMs += delayMs;
    this.#delays++;
  }

  /** Bytes were sent or received in healing. More may be spent than there is; then the next work waits the longer. */
  spent(bytes: number): void {
    this.#tokens -= bytes;
  }

  /** Runs the action as soon as there is something to spend, at once if there is now; in order. False if too much waits: it will not be run. */
  whenFree(action: () => void): boolean {
    if (this.#waiting.length >= waitingMax) return false;
    this.#waiting.push(action);
    this.#run();
    return true;
  }

  /** To be called every now and then. */
  tick(): void {
    const now = this.#options.nowMs();
    if (now - this.#adaptedAtMs >= periodMs) this.#adapt(now);
    this.#run();
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#fill();
    while (this.#tokens > 0) {
      const action = this.#waiting.shift();
      if (action === undefined) break;
      action();
    }
    this.#isRunning = false;
  }

  #fill(): void {
    const now = this.#options.nowMs();
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + ((now - this.#filledAtMs) / 1_000) * this.#bytesPerSecond);
    this.#filledAtMs = now;
  }

  get #burstBytes(): number {
    return (this.#bytesPerSecond * burstMs) / 1_000;
  }

  #adapt(now: number): void {
    this.#fill();
    this.#adaptedAtMs = now;
    const { bytesPerSecondMax } = this.#options;
    this.#bytesPerSecond = Math.min(bytesPerSecondMax, Math.max(Math.min(bytesPerSecondMin, bytesPerSecondMax), this.#nextRate(now)));
    this.#delaySumMs = 0;
    this.#delays = 0;
  }

  #nextRate(now: number): number {
    if (this.#delays === 0) return this.#bytesPerSecond * 2;
    const delayMs = this.#delaySumMs / this.#delays;
    if (now - this.#spanBeganAtMs >= spanMs) {
      this.#spanBeganAtMs = now;
      this.#spans = [...this.#spans.slice(1 - spansKept), Number.POSITIVE_INFINITY];
    }
    this.#spans.push(Math.min(this.#spans.pop() as number, delayMs));
    const baseMs = Math.min(...this.#spans);
    if (delayMs > baseMs + Math.max(toleratedMs, toleratedShare * baseMs)) return this.#bytesPerSecond * decrease;
    return this.#bytesPerSecond + this.#options.bytesPerSecondMax * increase;
  }
}
