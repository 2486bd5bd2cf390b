/**
 * One direction of a connection: what was sent and not yet received, in order.
 *
 * As in a kernel, there are two places to be: the sender's queue, and the flight, which ends in the receiver's buffer
 * and holds no more than the window allows. The receiver's process frees the window by handling what arrived. So
 * whatever keeps it from that (a pause, a slow link, a broken one) shows at the sender as a growing queue.
 */
import type { Link } from './link.ts';
import type { Actor, Scheduler } from './scheduler.ts';

export type Item =
  | { readonly kind: 'opened' }
  | { readonly kind: 'ended'; readonly reason: string }
  /** `original` is the sender's buffer, kept to see whether it was changed under way. */
  | { readonly kind: 'frame'; readonly bytes: Buffer; readonly original: Uint8Array };

export interface PipeOptions {
  readonly link: Link;
  /** The link on which acknowledgements go back. */
  readonly back: Link;
  readonly windowBytes: number;
  readonly receiver: Actor;
  /** False if nobody is there to take it, so that it is never acknowledged. */
  readonly receive: (item: Item) => boolean;
}

export class Pipe {
  readonly #scheduler: Scheduler;
  readonly #options: PipeOptions;
  #queue: Item[] = [];
  #queuedBytes = 0;
  #transmitting = false;
  #flight: Item[] = [];
  #flightBytes = 0;
  #isCut = false;
  #lastArrivalMs = 0;
  /** Arrivals that found the link blocked. */
  #stalled = 0;
  /** Bytes received whose acknowledgement finds its link blocked. */
  #unacknowledgedBytes = 0;

  constructor(scheduler: Scheduler, options: PipeOptions) {
    this.#scheduler = scheduler;
    this.#options = options;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  push(item: Item): void {
    if (this.#isCut) return;
    this.#queue.push(item);
    this.#queuedBytes += sizeOf(item);
    this.#pump();
  }

  /** Drops what has not left the sender. */
  dropQueue(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  /** Drops everything, now and from now on. */
  cut(): void {
    this.#isCut = true;
    this.dropQueue();
    this.#flight = [];
  }

  #pump(): void {
    while (!this.#transmitting && this.#queue.length > 0) {
      const size = sizeOf(this.#queue[0]!);
      if (this.#flightBytes > 0 && this.#flightBytes + size > this.#options.windowBytes) return;
      const durationMs = this.#options.link.transmitMs(size);
      if (durationMs === 0) this.#depart();
      else {
        this.#transmitting = true;
        this.#scheduler.after(durationMs, null, () => {
          this.#transmitting = false;
          this.#depart();
          this.#pump();
        });
      }
    }
  }

  #depart(): void {
    const item = this.#queue.shift();
    if (item === undefined) return;
    this.#queuedBytes -= sizeOf(item);
    this.#flightBytes += sizeOf(item);
    this.#flight.push(item);
    this.#setOut();
  }

  /** One more item will have arrived then; which one, the order of the flight says. */
  #setOut(): void {
    this.#lastArrivalMs = this.#options.link.arrivalMs(this.#lastArrivalMs);
    this.#scheduler.at(this.#lastArrivalMs, this.#options.receiver, () => this.#arrive());
  }

  #arrive(): void {
    if (this.#options.link.blocked) {
      if (this.#stalled++ === 0) this.#options.link.whenFree(() => this.#restart());
      return;
    }
    const item = this.#flight.shift();
    if (item === undefined) return;
    if (item.kind === 'frame' && !item.bytes.equals(item.original)) throw new Error('a frame was changed after it had been sent');
    if (this.#options.receive(item)) this.#acknowledge(sizeOf(item));
  }

  #restart(): void {
    const stalled = this.#stalled;
    this.#stalled = 0;
    for (let i = 0; i < stalled; i++) this.#setOut();
  }

  #acknowledge(bytes: number): void {
    if (bytes === 0) return;
    if (!this.#options.back.blocked) this.#credit(bytes);
    else {
      if (this.#unacknowledgedBytes === 0) this.#options.back.whenFree(() => this.#credit(this.#unacknowledgedBytes));
      this.#unacknowledgedBytes += bytes;
    }
  }

  #credit(bytes: number): void {
    this.#unacknowledgedBytes = 0;
    this.#flightBytes -= bytes;
    this.#pump();
  }
}

function sizeOf(item: Item): number {
  return item.kind === 'frame' ? item.bytes.length : 0;
}
