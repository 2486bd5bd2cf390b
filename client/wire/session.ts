/**
 * A session: one conversation between two process incarnations over one connection. Messages arrive in order, at most
 * once; when it breaks, any suffix of what was sent is lost, and nothing sent in it is delivered in a later one.
 *
 * It begins with a greeting, one message each way in a frame of its own: the dialer's hello, then a welcome, or a
 * refusal with a code and words. Before that is done the peer is unknown, so frames are short and nothing is kept.
 *
 * Everything sent in a turn of the event loop leaves as one frame at the turn's end. What waits for a peer that does
 * not take it is bounded; beyond the bound the session is aborted, for a message silently dropped would break the
 * order that both sides count on.
 *
 * Each side sends heartbeats, and breaks the session when it must take the other for dead (heartbeat.ts).
 *
 * `closed` is called exactly once and never within a call to the session: a sender need not expect to lose its peer
 * between two sends.
 */
import { decodeFrame, decodeGreeting, encodeFrame, encodeFrames, estimatedBytes } from './codec.ts';
import type { Connection, Environment, Timer } from './environment.ts';
import { DtpError, isErrorCode } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { Heartbeat } from './heartbeat.ts';
import type { HeartbeatOptions } from './heartbeat.ts';
import { limits } from './limits.ts';
import { livenessDefaults } from './liveness.ts';
import { Tag } from './messages.ts';
import type { Hello, Message, Ping, Pong, Refuse, Welcome } from './messages.ts';

/** Of hello and welcome; peers of different versions part at the greeting. */
export const protocolVersion = 1;

export interface SessionOptions extends HeartbeatOptions {
  /** From dialing, or accepting, to the end of the greeting. */
  readonly greetingTimeoutMs: number;
  /** Bytes that may wait for the peer, here and in the connection. */
  readonly queueBytesMax: number;
}

export const sessionDefaults: SessionOptions = {
  ...livenessDefaults,
  // Longer than a busy machine takes to start a process's event loop; a dead address is usually refused at once.
  greetingTimeoutMs: 3_000,
  suspicionThreshold: 8,
  queueBytesMax: limits.sessionQueueBytesMax,
};

/** Who is at the other end. A client has no ids, and its incarnation is 0. */
export interface Peer {
  readonly role: 'client' | 'node';
  readonly nodeId: string | null;
  readonly storeId: string | null;
  readonly incarnation: number;
  readonly rebornAt: number;
  readonly nonce: number;
}

/** Why a session ended. No code: the connection broke, this side closed without a fault, or the peer's code is not known here. */
export interface SessionEnd {
  readonly code: ErrorCode | null;
  readonly message: string;
  /** What the peer added to its refusal. */
  readonly detail?: number;
}

export interface SessionHandlers {
  /** The greeting is done; messages may be sent from now on. */
  opened(session: Session): void;
  /** A message, other than those that the session itself lives on. What it throws is thrown on, to the transport. */
  received(session: Session, message: SessionMessage): void;
  /** Once, also if it never opened; nothing follows. */
  closed(session: Session, end: SessionEnd): void;
}

export interface DialHandlers extends SessionHandlers {
  /** Whether this is the peer that was meant; null if so. */
  judge(welcome: Welcome): Refuse | null;
}

/** What is left of the messages above the session. */
export type SessionMessage = Exclude<Message, Hello | Welcome | Refuse | Ping | Pong>;

type State = 'connecting' | 'greeting' | 'open' | 'closed';

export class Session {
  #state: State;
  readonly #environment: Environment;
  readonly #connection: Connection;
  readonly #options: SessionOptions;
  readonly #handlers: SessionHandlers;
  /** What to do with the greeting that this side waits for. */
  readonly #greet: (greeting: Hello | Welcome | Refuse) => void;

  #peer: Peer | null = null;
  #welcome: Welcome | null = null;
  readonly #greetingTimeout: Timer;
  /** From `opened` on. */
  #heartbeat: Heartbeat | null = null;

  #queue: Message[] = [];
  #queueBytes = 0;

  /** Opens a session. What becomes of it is told to the handlers, never before this call returns. */
  static dial(environment: Environment, url: string, hello: Hello, options: SessionOptions, handlers: DialHandlers): Session {
    const connection = environment.dial(url);
    const session = new Session('connecting', environment, connection, options, handlers, (greeting) => {
      if (greeting[0] === Tag.hello) return session.#refuse(refusal('bad-message', 'a hello in answer to a hello'));
      if (greeting[0] === Tag.refuse) return session.#refused(greeting);
      const objection = handlers.judge(greeting);
      if (objection !== null) return session.#refuse(objection);
      session.#open({ role: 'node', nodeId: greeting[3], storeId: greeting[4], incarnation: greeting[5], rebornAt: greeting[6], nonce: greeting[7] }, greeting);
    });
    connection.onOpen = () => {
      if (session.#state !== 'connecting') return;
      session.#state = 'greeting';
      connection.send(encodeFrame([hello]));
    };
    return session;
  }

  /**
   * Takes up a session that a peer has dialed; to be called in the turn in which the connection appeared. `judge` answers
   * its hello, whose version is ours and whose shape is right; whether cluster and node are is for it to say.
   */
  static accept(environment: Environment, connection: Connection, judge: (hello: Hello) => Welcome | Refuse, options: SessionOptions, handlers: SessionHandlers): Session {
    const session = new Session('greeting', environment, connection, options, handlers, (greeting) => {
      if (greeting[0] === Tag.refuse) return session.#refused(greeting);
      if (greeting[0] === Tag.welcome) return session.#refuse(refusal('bad-message', 'a welcome in place of a hello'));
      const [, , , nodeId, storeId, incarnation, rebornAt, nonce] = greeting;
      if ((nodeId === null) !== (storeId === null)) return session.#refuse(refusal('bad-message', 'a hello with only one of node id and store id'));
      const answer = judge(greeting);
      if (answer[0] === Tag.refuse) return session.#refuse(answer);
      connection.send(encodeFrame([answer]));
      session.#open({ role: nodeId === null ? 'client' : 'node', nodeId, storeId, incarnation, rebornAt, nonce }, answer);
    });
    return session;
  }

  private constructor(
    state: State,
    environment: Environment,
    connection: Connection,
    options: SessionOptions,
    handlers: SessionHandlers,
    greet: (greeting: Hello | Welcome | Refuse) => void,
  ) {
    this.#state = state;
    this.#environment = environment;
    this.#connection = connection;
    this.#options = options;
    this.#handlers = handlers;
    this.#greet = greet;
    this.#greetingTimeout = environment.after(options.greetingTimeoutMs, () => {
      this.#end({ code: 'unreachable', message: `no greeting within ${options.greetingTimeoutMs} ms` }, 'abort');
    });
    connection.onOpen = () => {};
    connection.onFrame = (frame) => this.#onFrame(frame);
    connection.onClose = (reason) => this.#onClose(reason);
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /** Whether the greeting was ever done. */
  get wasOpen(): boolean {
    return this.#peer !== null;
  }

  /** Known from `opened` on. */
  get peer(): Peer {
    if (this.#peer === null) throw new Error('a session whose greeting is not done has no peer yet');
    return this.#peer;
  }

  /** The welcome that opened the session, received by the dialer or sent by the other. Known from `opened` on. */
  get welcome(): Welcome {
    if (this.#welcome === null) throw new Error('a session whose greeting is not done has no welcome yet');
    return this.#welcome;
  }

  /** Smoothed; 0 until the first answer to a heartbeat. */
  get roundTripMs(): number {
    return this.#heartbeat?.roundTripMs ?? 0;
  }

  /** Bytes that wait for the peer, about. */
  get queuedBytes(): number {
    return this.#queueBytes + this.#connection.bufferedBytes;
  }

  /** How sure it is that the peer is dead (liveness.ts). */
  phi(): number {
    return this.#heartbeat?.phi ?? 0;
  }

  /**
   * Queues a message; it leaves at the end of the turn. Lost, as in a break, if the session is not open.
   *
   * @throws Error if no frame can hold it.
   */
  send(message: Message): void {
    if (this.#state !== 'open') return;
    const bytes = estimatedBytes(message);
    if (bytes > limits.frameBytesMax) throw new Error(`a message of ${bytes} bytes, more than ${limits.frameBytesMax}`);
    if (this.#queue.length === 0) this.#environment.defer(this.#flush);
    this.#queue.push(message);
    this.#queueBytes += bytes;
    if (this.queuedBytes > this.#options.queueBytesMax) {
      this.#end({ code: 'overloaded', message: `too slow: ${this.queuedBytes} bytes wait for the peer` }, 'abort');
    }
  }

  /** Ends the session because of what the peer said, and tells it why. */
  refuse(code: ErrorCode, message: string, detail = 0): void {
    this.#refuse(refusal(code, message, detail));
  }

  /** Sends what is queued, then closes. */
  close(reason: string): void {
    this.#end({ code: null, message: reason }, 'close');
  }

  /** Closes at once; what is queued is lost. */
  abort(reason: string): void {
    this.#end({ code: null, message: reason }, 'abort');
  }

  #onFrame(frame: Uint8Array): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'open' || this.#heartbeat === null) return this.#onGreeting(frame);
    const nowMs = this.#environment.clock.monotonicMs();
    this.#heartbeat.heard(nowMs);
    const messages = this.#decode(decodeFrame, frame);
    if (messages === null) return;
    let answered = false;
    for (const message of messages) {
      switch (message[0]) {
        case Tag.ping:
          this.send([Tag.pong, message[1]]);
          break;
        case Tag.pong:
          this.#heartbeat.measure(message[1], nowMs);
          answered = true;
          break;
        case Tag.refuse:
          return this.#refused(message);
        case Tag.hello:
        case Tag.welcome:
          return this.#refuse(refusal('bad-message', 'a second greeting'));
        default:
          this.#handlers.received(this, message);
          // The handler may have closed the session; the rest is then as good as lost.
          if (!this.open) return;
      }
    }
    if (answered) this.#heartbeat.answered(nowMs);
  }

  #onGreeting(frame: Uint8Array): void {
    const greeting = this.#decode(decodeOwnGreeting, frame);
    if (greeting !== null) this.#greet(greeting);
  }

  /** What the frame holds; null if it was bad, which ends the session. */
  #decode<T>(decode: (frame: Uint8Array) => T, frame: Uint8Array): T | null {
    try {
      return decode(frame);
    } catch (error) {
      if (!(error instanceof DtpError)) throw error;
      this.#refuse(refusal(error.code, error.message));
      return null;
    }
  }

  #open(peer: Peer, welcome: Welcome): void {
    this.#state = 'open';
    this.#peer = peer;
    this.#welcome = welcome;
    this.#greetingTimeout.cancel();
    const beat = (nowMs: number): void => this.send([Tag.ping, nowMs]);
    const suspect = (why: string): void => this.#end({ code: 'unreachable', message: why }, 'abort');
    this.#heartbeat = new Heartbeat(this.#environment, this.#options, beat, suspect);
    this.#heartbeat.start();
    this.#handlers.opened(this);
  }

  readonly #flush = (): void => {
    if (this.#queue.length === 0) return;
    const messages = this.#queue;
    this.#queue = [];
    this.#queueBytes = 0;
    for (const frame of encodeFrames(messages)) this.#connection.send(frame);
  };

  /** Ends the session because of what the peer sent, and tells it so if it still listens. */
  #refuse(objection: Refuse): void {
    if (this.#state === 'closed') return;
    this.#flush();
    this.#connection.send(encodeFrame([objection]));
    this.#end({ code: codeOf(objection), message: objection[2] }, 'close');
  }

  #refused(objection: Refuse): void {
    this.#end({ code: codeOf(objection), message: `the peer refused: ${objection[2]}`, ...(objection[3] > 0 && { detail: objection[3] }) }, 'close');
  }

  #end(end: SessionEnd, how: 'close' | 'abort'): void {
    if (this.#state === 'closed') return;
    if (how === 'close') this.#flush();
    this.#finish();
    this.#environment.defer(() => this.#handlers.closed(this, end));
    this.#connection[how](end.message);
  }

  #onClose(reason: string): void {
    if (this.#state === 'closed') return;
    const code = this.#state === 'open' ? null : 'unreachable';
    this.#finish();
    this.#handlers.closed(this, { code, message: reason });
  }

  #finish(): void {
    this.#state = 'closed';
    this.#greetingTimeout.cancel();
    this.#heartbeat?.stop();
    this.#queue = [];
    this.#queueBytes = 0;
  }
}

export function refusal(code: ErrorCode, message: string, detail = 0): Refuse {
  return [Tag.refuse, code, message, detail];
}

/** The code of a refusal, if this version knows it. */
function codeOf(objection: Refuse): ErrorCode | null {
  return isErrorCode(objection[1]) ? objection[1] : null;
}

function decodeOwnGreeting(frame: Uint8Array): Hello | Welcome | Refuse {
  return decodeGreeting(frame, protocolVersion);
}
