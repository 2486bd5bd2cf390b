/** Virtual time and an in-memory network: what happens, happens in order, one event at a time, as fast as it can. */
import type { Connection, Environment } from '../../../client/wire/environment.ts';

interface Event {
  readonly atMs: number;
  action: (() => void) | null;
}

const latencyMs = 0.5;

export class FakeWorld {
  nowMs = 1_000;
  /** Connections that have not closed yet, both ends counted. */
  openEnds = 0;
  readonly #events: Event[] = [];
  readonly #listeners = new Map<string, (connection: Connection) => void>();
  #random = 12_345;

  readonly environment: Environment = {
    clock: { monotonicMs: () => this.nowMs, wallMs: () => 1_700_000_000_000 + this.nowMs },
    randomUint32: () => (this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0),
    after: (delayMs, action) => this.#at(delayMs, action),
    defer: (action) => void this.#at(0, action),
    dial: (url) => {
      const near = new FakeEnd(this);
      const far = new FakeEnd(this);
      near.other = far;
      far.other = near;
      this.#at(latencyMs, () => {
        const listener = this.#listeners.get(url);
        if (listener === undefined) {
          far.cut('never was');
          return near.cut('connection refused');
        }
        listener(far);
        far.opened();
        this.#at(latencyMs, () => near.opened());
      });
      return near;
    },
  };

  listen(url: string, onConnection: (connection: Connection) => void): void {
    this.#listeners.set(url, onConnection);
  }

  stopListening(url: string): void {
    this.#listeners.delete(url);
  }

  /** Timers and events that are still to come. */
  get pendingEvents(): number {
    return this.#events.filter((event) => event.action !== null).length;
  }

  deliver(action: () => void): void {
    this.#at(latencyMs, action);
  }

  /** Lets things happen until the promise has settled, and returns what it settled to. */
  async settle<T>(promise: Promise<T>, withinMs = 120_000): Promise<T> {
    let settled = false;
    promise.then(() => (settled = true), () => (settled = true));
    await this.until(() => settled, withinMs);
    return promise;
  }

  /** As `settle`, for a promise that has to reject. */
  async failure(promise: Promise<unknown>): Promise<unknown> {
    return this.settle(promise.then((value) => { throw new Error(`resolved to ${String(value)}`); }, (error: unknown) => error));
  }

  async until(condition: () => boolean, withinMs = 120_000): Promise<void> {
    const endMs = this.nowMs + withinMs;
    await microtasks();
    while (!condition()) {
      if (!this.#step(endMs)) throw new Error(`it did not come about within ${withinMs} virtual ms`);
      await microtasks();
    }
  }

  async pass(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    await microtasks();
    while (this.#step(endMs)) await microtasks();
    this.nowMs = endMs;
  }

  #at(delayMs: number, action: () => void): { cancel(): void } {
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), action };
    // Behind those of the same instant: first come, first served.
    let i = this.#events.length;
    while (i > 0 && (this.#events[i - 1] as Event).atMs > event.atMs) i--;
    this.#events.splice(i, 0, event);
    return { cancel: () => void (event.action = null) };
  }

  /** The next event, if it comes by then. */
  #step(endMs: number): boolean {
    for (;;) {
      const event = this.#events[0];
      if (event === undefined || event.atMs > endMs) return false;
      this.#events.shift();
      if (event.action === null) continue;
      this.nowMs = Math.max(this.nowMs, event.atMs);
      event.action();
      return true;
    }
  }
}

/** Long enough for every promise that can settle without an event to have settled. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class FakeEnd implements Connection {
  onOpen: () => void = () => {};
  onFrame: (frame: Uint8Array) => void = () => {};
  onClose: (reason: string) => void = () => {};
  readonly bufferedBytes = 0;
  other!: FakeEnd;
  #open = true;
  readonly #world: FakeWorld;
  /** Nothing arrives any more, and nobody is told: the cable is out. */
  silent = false;

  constructor(world: FakeWorld) {
    this.#world = world;
    world.openEnds++;
  }

  opened(): void {
    if (this.#open) this.onOpen();
  }

  send(frame: Uint8Array): void {
    if (!this.#open) return;
    // A copy: the codec packs frames into buffers that it shares among them.
    const copy = Uint8Array.from(frame);
    this.#world.deliver(() => {
      if (this.other.#open && !this.silent) this.other.onFrame(copy);
    });
  }

  close(reason: string): void {
    if (!this.#open) return;
    if (!this.silent) this.#world.deliver(() => this.other.cut(`closed by the peer: ${reason}`));
    this.cut(reason);
  }

  abort(reason: string): void {
    this.close(reason);
  }

  /** This end closes, and only this one. */
  cut(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#world.openEnds--;
    this.#world.deliver(() => this.onClose(reason));
  }
}
