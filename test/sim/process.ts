/**
 * A process of the simulation: one incarnation of a node or a client, from its start to its end.
 *
 * It can end at any moment, also in the middle of a handler, between two effects. A dead process keeps running to the
 * end of the handler that it died in, for JavaScript can't be stopped, but as a ghost: every door to the outside asks
 * `effect` first, and is shut. So whatever a handler does after its process died might as well not have been done.
 * Afterwards the scheduler drops all its events, so no callback of an old incarnation ever runs beside the new one.
 *
 * A pause is what SIGSTOP or a long garbage collection does: the world goes on, clocks go on, bytes and completions
 * pile up in the kernel; then all of it arrives at once, as if nothing had happened.
 */
import type { Actor, Event, Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** How a process ended. */
export type Exit =
  | { readonly kind: 'crashed'; readonly reason: string }
  | { readonly kind: 'stopped'; readonly reason: string }
  | { readonly kind: 'fatal'; readonly reason: string; readonly details: Record<string, unknown> };

/** Thrown by `fatal` to leave the handler that called it. Not an Error: nothing is wrong with the simulation. */
export class ProcessEnded {
  readonly process: SimProcess;

  constructor(process: SimProcess) {
    this.process = process;
  }
}

export interface ProcessOptions {
  /** The machine it runs on. */
  readonly host: string;
  /** Which of the host's processes it is, from 1. */
  readonly generation: number;
  readonly usesPromises: boolean;
}

export class SimProcess implements Actor {
  readonly name: string;
  readonly host: string;
  readonly generation: number;
  readonly usesPromises: boolean;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #atEnd: ((exit: Exit) => void)[] = [];
  #condition: 'running' | 'paused' | 'dead' = 'running';
  #exit: Exit | null = null;
  #held: Event[] = [];
  #resumption: Event | null = null;
  /** In milliseconds of virtual time: the turn that the last pause interrupted, and when that was over. */
  #interruptedMs = 0;
  #resumedAtMs = -1;
  #effects = 0;
  #effectsLeft = Infinity;

  constructor(scheduler: Scheduler, trace: Trace, { host, generation, usesPromises }: ProcessOptions) {
    this.#scheduler = scheduler;
    this.#trace = trace;
    this.name = `${host}#${generation}`;
    this.host = host;
    this.generation = generation;
    this.usesPromises = usesPromises;
  }

  get condition(): 'running' | 'paused' | 'dead' {
    return this.#condition;
  }

  /** How it ended, or null. */
  get exit(): Exit | null {
    return this.#exit;
  }

  /** When the turn of work began that it is in. A pause in its midst does not end it: what had been waiting is done at once when that is over. */
  get turnMs(): number {
    return this.#resumedAtMs === this.#scheduler.nowMs ? this.#interruptedMs : this.#scheduler.nowMs;
  }

  /** Effects on the outside so far: frames sent, writes begun, timers set. */
  get effects(): number {
    return this.#effects;
  }

  /** True if the effect that is about to be had may be had. */
  effect(): boolean {
    if (this.#condition === 'dead') return false;
    this.#effects++;
    if (this.#effectsLeft-- > 0) return true;
    this.crash('killed between two effects');
    return false;
  }

  /** Lets it have so many more effects on the outside; it crashes in place of the next one. */
  crashAfter(effects: number): void {
    this.#effectsLeft = effects;
  }

  /** Kills it now: whatever it had under way is cut where it stands. */
  crash(reason = 'killed'): void {
    this.end({ kind: 'crashed', reason });
  }

  /** For the doors: `action` is called once, when the process has ended. */
  onEnd(action: (exit: Exit) => void): void {
    this.#atEnd.push(action);
  }

  end(exit: Exit): void {
    if (this.#condition === 'dead') return;
    this.#condition = 'dead';
    this.#exit = exit;
    this.#held = [];
    if (this.#resumption !== null) this.#scheduler.cancel(this.#resumption);
    this.#trace.record(this.name, exit.kind, exit.reason);
    for (const action of this.#atEnd) action(exit);
  }

  /** Stops it for so long; a pause during a pause prolongs it if it ends later. */
  pause(forMs: number): void {
    if (this.#condition === 'dead') return;
    const endMs = this.#scheduler.nowMs + forMs;
    if (this.#resumption !== null) {
      if (this.#resumption.atMs >= endMs) return;
      this.#scheduler.cancel(this.#resumption);
    }
    if (this.#condition === 'running') this.#interruptedMs = this.turnMs;
    this.#condition = 'paused';
    this.#trace.record(this.name, 'paused', `for ${forMs} ms`);
    this.#resumption = this.#scheduler.after(forMs, null, () => this.#resume());
  }

  hold(event: Event): void {
    this.#held.push(event);
  }

  failed(error: unknown): void {
    // After its end a process may throw what it likes: it acts on a world that doesn't answer any more.
    if (this.#condition === 'dead') return;
    this.#trace.record(this.name, 'threw', String(error));
    throw error;
  }

  #resume(): void {
    this.#condition = 'running';
    this.#resumption = null;
    this.#resumedAtMs = this.#scheduler.nowMs;
    this.#trace.record(this.name, 'resumed', `${this.#held.length} events waited`);
    const held = this.#held;
    this.#held = [];
    this.#scheduler.release(held);
  }
}
