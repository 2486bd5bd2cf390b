/** One end of a simulated connection, as its process sees it. The contract is that of `Connection`. */
import type { Connection } from '../../client/wire/environment.ts';
import type { Link } from './link.ts';
import { Pipe } from './pipe.ts';
import type { Item } from './pipe.ts';
import type { SimProcess } from './process.ts';
import type { Event, Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** How long a peer may take to answer a dial or a close before the connection is cut. */
export const handshakeTimeoutMs = 5_000;

type State = 'connecting' | 'open' | 'closing' | 'closed';

export interface ConnectionOptions {
  readonly process: SimProcess;
  /** The host at the other end. */
  readonly remoteHost: string;
  /** For the trace. */
  readonly name: string;
  /** Links to the other end and back. */
  readonly link: Link;
  readonly back: Link;
  readonly windowBytes: number;
  /** Called when this end has closed. */
  readonly onClosed: (connection: SimConnection) => void;
  /** Called before a frame is sent, or handled. */
  readonly onFrame: (direction: 'send' | 'receive', frame: Uint8Array) => void;
  readonly onSent: (frame: Uint8Array) => void;
  readonly onReceived: (frame: Uint8Array) => void;
  /** Whether the news that this end is gone gets lost. */
  readonly newsIsLost: () => boolean;
}

export class SimConnection implements Connection {
  onOpen: () => void = nothing;
  onFrame: (frame: Uint8Array) => void = nothing;
  onClose: (reason: string) => void = nothing;

  readonly process: SimProcess;
  readonly remoteHost: string;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #options: ConnectionOptions;
  #state: State = 'connecting';
  #peer: SimConnection | null = null;
  #outgoing: Pipe | null = null;
  #early: Uint8Array[] = [];
  /** Why its owner ended it, if it did. */
  #reason: string | null = null;
  #timeout: Event | null = null;

  constructor(scheduler: Scheduler, trace: Trace, options: ConnectionOptions) {
    this.#scheduler = scheduler;
    this.#trace = trace;
    this.#options = options;
    this.process = options.process;
    this.remoteHost = options.remoteHost;
  }

  get state(): State {
    return this.#state;
  }

  /** Gives up if nothing is heard. */
  awaitAnswer(): void {
    this.#timeout = this.#scheduler.after(handshakeTimeoutMs, this.process, () => {
      this.vanish();
      this.finish(`no answer within ${handshakeTimeoutMs} ms`);
    });
  }

  /** The two ends find each other. What is sent from here on flows. */
  join(peer: SimConnection): void {
    this.#peer = peer;
    const { link, back, windowBytes } = this.#options;
    this.#outgoing = new Pipe(this.#scheduler, { link, back, windowBytes, receiver: peer.process, receive: (item) => peer.#receive(item) });
  }

  /** The accepting end: tells the other one, then opens itself in a turn of its own. */
  welcome(): void {
    this.#outgoing!.push({ kind: 'opened' });
    this.#scheduler.after(0, this.process, () => this.#opened());
  }

  send(frame: Uint8Array): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#options.onFrame('send', frame);
    if (!this.process.effect()) return;
    this.#options.onSent(frame);
    if (this.#state === 'open') this.#transmit(frame);
    else this.#early.push(frame);
  }

  get bufferedBytes(): number {
    if (this.#state === 'closed') return 0;
    return this.#early.reduce((sum, frame) => sum + frame.byteLength, this.#outgoing?.queuedBytes ?? 0);
  }

  close(reason: string): void {
    if (this.#state === 'connecting') return this.abort(reason);
    if (this.#state !== 'open' || !this.process.effect()) return;
    this.#state = 'closing';
    this.#reason = reason;
    this.#outgoing!.push({ kind: 'ended', reason });
    this.awaitAnswer();
  }

  abort(reason: string): void {
    if (this.#state === 'closed' || !this.process.effect()) return;
    this.#state = 'closing';
    this.#reason ??= reason;
    this.vanish();
    this.#scheduler.after(0, this.process, () => this.finish(reason));
  }

  /** This end is gone, without a word of its own: the kernel tells the peer, if the news gets through. */
  vanish(): void {
    this.#early = [];
    this.#outgoing?.dropQueue();
    const peer = this.#peer;
    if (peer === null) return;
    if (this.#options.newsIsLost()) this.#trace.record(this.#options.name, 'half-open', `${peer.process.name} does not learn that it ended`);
    else this.#options.link.carry(peer.process, () => peer.finish('the connection was reset by the peer'));
  }

  /** Nothing that is or will be on the way from here arrives. */
  lose(): void {
    this.#outgoing?.cut();
  }

  /** The end of this end. Its owner hears of it once. */
  finish(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#early = [];
    this.#outgoing?.dropQueue();
    if (this.#timeout !== null) this.#scheduler.cancel(this.#timeout);
    const cause = this.#reason ?? reason;
    this.#trace.record(this.#options.name, 'closed', cause);
    this.#options.onClosed(this);
    if (this.process.condition !== 'dead') this.onClose(cause);
  }

  #opened(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    if (this.#timeout !== null) this.#scheduler.cancel(this.#timeout);
    const early = this.#early;
    this.#early = [];
    for (const frame of early) this.#transmit(frame);
    this.#trace.record(this.#options.name, 'open');
    this.onOpen();
  }

  #transmit(frame: Uint8Array): void {
    const bytes = Buffer.from(frame);
    this.#trace.record(this.#options.name, 'send', bytes);
    this.#outgoing!.push({ kind: 'frame', bytes, original: frame });
  }

  /** False if this end is gone: what arrives is not taken any more. */
  #receive(item: Item): boolean {
    if (this.#state === 'closed') return false;
    if (item.kind === 'opened') this.#opened();
    else if (item.kind === 'ended') {
      const peer = this.#peer!;
      this.#options.link.carry(peer.process, () => peer.finish('closed'));
      this.finish(`closed by the peer: ${item.reason}`);
    } else if (this.#state === 'open') {
      this.#trace.record(this.#options.name, 'receive', item.bytes);
      this.#options.onFrame('receive', item.bytes);
      if (this.process.condition !== 'dead') this.#options.onReceived(item.bytes);
      this.onFrame(item.bytes);
    }
    return true;
  }
}

function nothing(): void {}
