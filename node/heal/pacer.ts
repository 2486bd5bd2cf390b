/**
 * How much healing a node does, asked and answered, at any time.
 *
 * Healing must be quick when nobody is waiting for anything else, must not be felt when somebody is, and must never stop. So
 * all of it draws on one bucket of bytes, which fills at a rate that follows what foreground work feels: the time that a vote takes
 * to become durable. That time is compared with the least seen lately: what is above it is queueing, and part of the queue may be
 * ours. While there is more of it than is tolerable, the rate falls by a factor; while there is less, it rises by a step; and with no
 * foreground work at all it doubles until it is at its maximum (additive increase and multiplicative decrease, Chiu and Jain 1989; delay above a base as the
 * sign of a queue as in TCP Vegas, Brakmo and Peterson 1995, and LEDBAT, RFC 6817, from which the history of the base comes).
 *
 * What is felt comes late, and of a hundred calls one must not wait. So while there is foreground work the rate stays far below the maximum, work
 * comes in small pieces, and between two of them the event loop is left to others: its time is shared out like the bytes, for
 * reading rows takes time though few of them may be told, and a process that has just been started takes several times as long for it.
 */
import type { Timer } from '../../client/wire/environment.ts';

export interface PacerOptions {
  readonly nowMs: () => number;
  readonly after: (delayMs: number, action: () => void) => Timer;
  readonly bytesPerSecondMax: number;
}

/** Healing goes on at this rate however busy the node is: 20 GB a day. */
const bytesPerSecondMin = 256 * 1_024;
/** Of the maximum rate, and of the event loop's time, beside foreground work. */
const shareBesideOthers = 1 / 8;
/** The rate is set anew this often. */
const periodMs = 100;
/** The base is the least of so many of the last minutes' spans: work that itself has become slower is forgiven after that. */
const spanMs = 10_000;
const spansKept = 6;
/** Queueing tolerated, at least and as a share of the base. Below a few ms it is the noise of any disk. */
const toleratedMs = 2;
const toleratedShare = 0.5;
const decrease = 0.6;
/** Of the maximum, each period: from least to most beside others in some seconds. */
const increase = 1 / 256;
/** What may be spent at once after a pause. */
const burstMs = 10;
const pieceBytesMin = 8 * 1_024;
const pieceBytesMax = 128 * 1_024;
/** A piece is of so many milliseconds' worth. */
const pieceMs = 4;
/** What waits. Each peer asks one thing at a time, and so do we. */
const waitingMax = 256;

export class Pacer {
  readonly #options: PacerOptions;
  readonly #waiting: (() => void)[] = [];
  #bytesPerSecond: number;
  #tokens: number;
  /** The event loop is left to others until then. */
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  #alarm: Timer | null = null;
  #filledAtMs: number;
  #adaptedAtMs: number;
  #spanBeganAtMs: number;
  /** The least mean delay of a period in each of the last spans, the present one last. */
  #spans: number[] = [Number.POSITIVE_INFINITY];
  #delaySumMs = 0;
  #delays = 0;
  /** There was no foreground work in the last period. At first that is not known. */
  #isAlone = false;
  #isRunning = false;

  constructor(options: PacerOptions) {
    const now = options.nowMs();
    this.#options = options;
    this.#bytesPerSecond = Math.min(bytesPerSecondMin, options.bytesPerSecondMax);
    this.#tokens = this.#burstBytes;
    this.#filledAtMs = now;
    this.#adaptedAtMs = now;
    this.#spanBeganAtMs = now;
  }

  /** What may be spent now. */
  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** How large one piece of work may be: beside foreground work about a millisecond, for it holds up everything else. */
  get pieceBytes(): number {
    return Math.min(pieceBytesMax, Math.max(pieceBytesMin, Math.round((this.#bytesPerSecond * pieceMs) / 1_000)));
  }

  /** Is there something to spend, and nobody before you? */
  get isFree(): boolean {
    this.#fill();
    return this.#waiting.length === 0 && this.#waitMs <= 0;
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

  /** Runs the action, which can't wait; what comes after it waits the longer. */
  work(action: () => void): void {
    if (this.#isRunning) return action();
    this.#isRunning = true;
    this.#timed(action);
    this.#isRunning = false;
    this.#run();
  }

  /** Runs the action as soon as it is its turn and there is something to spend, at once if there is now; in order. False if too much waits: it will not be run. */
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
    while (this.#waitMs <= 0) {
      const action = this.#waiting.shift();
      if (action === undefined) break;
      this.#timed(action);
    }
    this.#isRunning = false;
    if (this.#waiting.length === 0 || this.#alarm !== null) return;
    this.#alarm = this.#options.after(Math.min(Math.max(1, Math.ceil(this.#waitMs)), periodMs), () => {
      this.#alarm = null;
      this.#run();
    });
  }

  #timed(action: () => void): void {
    const { nowMs } = this.#options;
    const beganAtMs = nowMs();
    action();
    this.#restsUntilMs = Math.max(this.#restsUntilMs, beganAtMs) + (nowMs() - beganAtMs) / (this.#isAlone ? 1 : shareBesideOthers);
  }

  /** Until there is something to spend. */
  get #waitMs(): number {
    const debtMs = this.#tokens > 0 ? 0 : (1_000 * (1 - this.#tokens)) / this.#bytesPerSecond;
    return Math.max(debtMs, this.#restsUntilMs - this.#options.nowMs());
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
    this.#isAlone = this.#delays === 0;
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
    const { bytesPerSecondMax } = this.#options;
    return Math.min(bytesPerSecondMax * shareBesideOthers, this.#bytesPerSecond + bytesPerSecondMax * increase);
  }
}
