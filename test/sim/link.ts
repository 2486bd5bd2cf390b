/**
 * One direction between two hosts: how long things take on it, how much fits through, and whether anything does.
 *
 * What meets a blocked link isn't lost: TCP sends it again until it gets through or someone gives the connection up.
 * So it waits here and sets out anew when the link is free.
 */
import { drawLatency } from './latency.ts';
import type { Latency } from './latency.ts';
import type { Random } from './random.ts';
import type { Actor, Scheduler } from './scheduler.ts';

export interface LinkOptions {
  readonly latency: Latency;
  /** Infinity for a link that is never the bottleneck. */
  readonly bytesPerMs: number;
  /** Arrivals come at multiples of this, as a busy event loop sees them: several at once. 0 for none of that. */
  readonly turnMs: number;
}

export class Link {
  readonly from: string;
  readonly to: string;
  latency: Latency;
  bytesPerMs: number;
  turnMs: number;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  #blocked = false;
  #waiting: (() => void)[] = [];
  /** When what was put on the link so far has left. */
  #freeAtMs = 0;

  constructor(scheduler: Scheduler, random: Random, from: string, to: string, { latency, bytesPerMs, turnMs }: LinkOptions) {
    this.from = from;
    this.to = to;
    this.latency = latency;
    this.bytesPerMs = bytesPerMs;
    this.turnMs = turnMs;
    this.#scheduler = scheduler;
    this.#random = random;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  set blocked(blocked: boolean) {
    this.#blocked = blocked;
    if (blocked) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const action of waiting) action();
  }

  /** Once, when the link is next freed. */
  whenFree(action: () => void): void {
    this.#waiting.push(action);
  }

  /** When something that sets out now arrives, but not before `earliestMs`. */
  arrivalMs(earliestMs: number): number {
    const arrival = Math.max(earliestMs, this.#scheduler.nowMs + drawLatency(this.#random, this.latency));
    return this.turnMs > 0 ? Math.ceil(arrival / this.turnMs) * this.turnMs : arrival;
  }

  /** Has a signal arrive (at the actor, if one is given), however long the link is blocked. */
  carry(actor: Actor | null, action: () => void): void {
    this.#scheduler.at(this.arrivalMs(0), actor, () => {
      if (this.#blocked) this.whenFree(() => this.carry(actor, action));
      else action();
    });
  }

  /** Takes so many bytes up, behind those already on their way; returns how long until the last of them has left. */
  transmitMs(bytes: number): number {
    if (this.bytesPerMs === Infinity) return 0;
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#scheduler.nowMs) + bytes / this.bytesPerMs;
    return this.#freeAtMs - this.#scheduler.nowMs;
  }
}
