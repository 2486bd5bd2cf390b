/** Time by hand and connections in memory, for tests of sessions and links. Everything happens in `settle` and `advance`. */
import type { Connection, Environment, Timer } from '../../../client/wire/environment.ts';

export class FakeEnvironment implements Environment {
  nowMs = 1_000;
  readonly clock = { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs };
  /** What `randomUint32` answers: the middle of its range, until told otherwise. */
  random = 2 ** 31;
  /** What a dialed address does: by default nobody listens. */
  listener: ((remote: FakeConnection, url: string) => void) | null = null;
  readonly dialed: FakeConnection[] = [];
  /** How often something was deferred. */
  defers = 0;

  #timers: { dueMs: number; action: () => void }[] = [];
  #events: (() => void)[] = [];
  #deferred: (() => void)[] = [];

  /** Timers that are still to fire. */
  get timers(): number {
    return this.#timers.length;
  }

  randomUint32(): number {
    return this.random;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { dueMs: this.nowMs + delayMs, action };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  defer(action: () => void): void {
    this.defers++;
    this.#deferred.push(action);
  }

  /** An input from outside: a turn of its own. */
  event(action: () => void): void {
    this.#events.push(action);
  }

  dial(url: string): FakeConnection {
    const [local, remote] = this.pair();
    this.dialed.push(local);
    if (this.listener === null) {
      this.event(() => local.broken('connection refused'));
    } else {
      this.listener(remote, url);
      this.event(() => local.opened());
      this.event(() => remote.opened());
    }
    return local;
  }

  pair(): [FakeConnection, FakeConnection] {
    const [a, b] = [new FakeConnection(this), new FakeConnection(this)];
    a.other = b;
    b.other = a;
    return [a, b];
  }

  /** Runs turns until nothing is waiting. */
  settle(): void {
    for (let turns = 0; turns < 100_000; turns++) {
      const event = this.#events.shift();
      event?.();
      const deferred = this.#deferred;
      this.#deferred = [];
      for (const action of deferred) action();
      if (event === undefined && deferred.length === 0) return;
    }
    throw new Error('never settles');
  }

  /** Lets time pass, with all that happens meanwhile. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    this.settle();
    for (;;) {
      const timer = this.#nextTimer(untilMs);
      if (timer === undefined) break;
      this.nowMs = Math.max(this.nowMs, timer.dueMs);
      timer.action();
      this.settle();
    }
    this.nowMs = untilMs;
  }

  /** This process stands still: time passes, and nothing happens until the next turn. Then the timers that are due come first. */
  stall(ms: number): void {
    this.nowMs += ms;
  }

  #nextTimer(untilMs: number): { action: () => void; dueMs: number } | undefined {
    const [first] = this.#timers.filter((timer) => timer.dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs);
    if (first !== undefined) this.#timers = this.#timers.filter((timer) => timer !== first);
    return first;
  }
}

export class FakeConnection implements Connection {
  onOpen = (): void => {};
  onFrame = (_frame: Uint8Array): void => {};
  onClose = (_reason: string): void => {};
  bufferedBytes = 0;
  /** Every frame that was sent from this end. */
  readonly sent: Uint8Array[] = [];
  other: FakeConnection | null = null;
  /** While set, frames for this end wait here: its process is stopped, or the network is. */
  held: Uint8Array[] | null = null;

  #state: 'opening' | 'open' | 'closed' = 'opening';
  readonly #environment: FakeEnvironment;

  constructor(environment: FakeEnvironment) {
    this.#environment = environment;
  }

  opened(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.onOpen();
  }

  send(frame: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.sent.push(frame);
    this.#environment.event(() => this.other?.deliver(frame));
  }

  deliver(frame: Uint8Array): void {
    if (this.held !== null) this.held.push(frame);
    else if (this.#state !== 'closed') this.onFrame(frame);
  }

  hold(): void {
    this.held = [];
  }

  /** What was held arrives, each frame in a turn of its own. */
  release(): void {
    const frames = this.held ?? [];
    this.held = null;
    for (const frame of frames) this.#environment.event(() => this.deliver(frame));
  }

  close(reason: string): void {
    this.#end(reason);
  }

  abort(reason: string): void {
    this.#end(reason);
  }

  /** The connection breaks at this end. */
  broken(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.onClose(reason);
  }

  #end(reason: string): void {
    if (this.#state === 'closed') return;
    this.#environment.event(() => this.broken(reason));
    this.#environment.event(() => this.other?.broken(`closed by the peer: ${reason}`));
  }
}
