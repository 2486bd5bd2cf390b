/**
 * Virtual time. Everything that will happen is an event in one queue; running the simulation is taking the earliest,
 * setting the clock to its time, and doing it. An hour without events costs nothing, and nothing happens in between.
 *
 * An event belongs to an actor (a process) or to nobody (the network, a disk). This is the one place that decides
 * whether an actor's event runs: never once it is dead, later if it is paused. So no callback of a process can run
 * after its crash, whoever kept a reference to it.
 *
 * Code that uses promises (the client library, and tests that await it) goes on in microtasks, which have to run
 * before the next event. Only the JavaScript engine can empty that queue, and it does when a macrotask ends: so after
 * each event of an actor that uses promises the loop goes on in a new macrotask (setImmediate). This is deterministic:
 * microtasks run in the order in which they were queued, and until the queue is empty, and nothing else runs between
 * the two macrotasks that touches the simulation - as long as the code awaits only promises that the simulation
 * itself resolves, and no real timer, file, socket or garbage collection (FinalizationRegistry). Nodes use callbacks
 * and don't pay for this.
 */
import { EventQueue } from './event-queue.ts';

export interface Actor {
  readonly name: string;
  readonly condition: 'running' | 'paused' | 'dead';
  /** True if its code goes on in microtasks. */
  readonly usesPromises: boolean;
  /** Keeps an event that came due while the actor is paused. */
  hold(event: Event): void;
  /** Its code threw. Throws again if that is a bug rather than a way to end. */
  failed(error: unknown): void;
}

export interface Event {
  readonly atMs: number;
  readonly sequence: number;
  readonly actor: Actor | null;
  readonly action: () => void;
  cancelled: boolean;
  queued: boolean;
}

export interface RunOptions {
  /** Stops before the first event later than this, with the clock there. */
  untilMs?: number;
  /** Looked at before each event; stops when it is true. */
  until?: () => boolean;
}

/** Why a run ended: the condition held, the time was reached, or nothing was left to happen. */
export type RunEnd = 'condition' | 'time' | 'idle';

/** The simulation took more steps than allowed: it is likely to run in circles. */
export class StepBoundExceeded extends Error {
  constructor(steps: number, story: string) {
    super(`no end after ${steps} steps; the last ones:\n${story}`);
    this.name = 'StepBoundExceeded';
  }
}

/** After so many events the loop lets the real world have a turn, or a test runner would think that it hangs. */
const eventsPerMacrotask = 20_000;

export class Scheduler {
  readonly #queue = new EventQueue<Event>();
  readonly #stepsMax: number;
  readonly #story: () => string;
  #nowMs = 0;
  #sequence = 0;
  #steps = 0;
  #running = false;

  /** `stepsMax` bounds the events of the scheduler's whole life; `story` tells the last ones for the error. */
  constructor(stepsMax: number, story: () => string) {
    this.#stepsMax = stepsMax;
    this.#story = story;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events done so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Has `action` done as the actor's event, `delayMs` (0 or more) from now. Without a delay: after all that is due now. */
  after(delayMs: number, actor: Actor | null, action: () => void): Event {
    return this.at(this.#nowMs + delayMs, actor, action);
  }

  /** The same at a given time, which has not passed. */
  at(atMs: number, actor: Actor | null, action: () => void): Event {
    if (!(atMs >= this.#nowMs && atMs < Infinity)) throw new RangeError(`an event at ${atMs} ms, when it is ${this.#nowMs} ms`);
    const event = { atMs, sequence: this.#sequence++, actor, action, cancelled: false, queued: true };
    this.#queue.push(event);
    return event;
  }

  /** Events that were held back are due now: before all else, since they keep their old places in the order. */
  release(events: readonly Event[]): void {
    for (const event of events) {
      if (event.cancelled) continue;
      event.queued = true;
      this.#queue.push(event);
    }
  }

  cancel(event: Event): void {
    if (event.cancelled) return;
    event.cancelled = true;
    if (event.queued) this.#queue.noteCancelled();
  }

  /** Rejects with what an event threw, or with `StepBoundExceeded`. One run at a time. */
  run({ untilMs = Infinity, until = never }: RunOptions): Promise<RunEnd> {
    if (this.#running) throw new Error('the simulation is running already');
    this.#running = true;
    return new Promise<RunEnd>((resolve, reject) => {
      const turn = (): void => {
        try {
          const end = this.#turn(untilMs, until);
          if (end === null) setImmediate(turn);
          else resolve(end);
        } catch (error) {
          reject(error);
        }
      };
      setImmediate(turn);
    }).finally(() => {
      this.#running = false;
    });
  }

  /** Runs events up to the next one after which microtasks may be waiting (null), or to the end. */
  #turn(untilMs: number, until: () => boolean): RunEnd | null {
    for (let count = 0; count < eventsPerMacrotask; count++) {
      if (until()) return 'condition';
      const event = this.#queue.peek();
      if (event === undefined || event.atMs > untilMs) {
        if (untilMs < Infinity) this.#nowMs = Math.max(this.#nowMs, untilMs);
        return event === undefined ? 'idle' : 'time';
      }
      this.#queue.pop();
      event.queued = false;
      if (event.cancelled) continue;
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      if (++this.#steps > this.#stepsMax) throw new StepBoundExceeded(this.#stepsMax, this.#story());
      if (this.#fire(event)) return null;
    }
    return null;
  }

  /** True if the actor's microtasks have to run before anything else does. */
  #fire(event: Event): boolean {
    const actor = event.actor;
    if (actor === null) {
      event.action();
      return false;
    }
    if (actor.condition === 'dead') return false;
    if (actor.condition === 'paused') {
      actor.hold(event);
      return false;
    }
    try {
      event.action();
    } catch (error) {
      actor.failed(error);
    }
    return actor.usesPromises;
  }
}

function never(): boolean {
  return false;
}
