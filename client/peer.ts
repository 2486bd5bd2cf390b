/**
 * One node as the client sees it: the session with it, if there is one, the requests that it has yet to answer, and the
 * transaction numbers that it granted.
 *
 * All three live and die with the session. When it ends, nobody knows which of its requests arrived; each is told so
 * and goes on by itself, elsewhere.
 */
import { limits } from './wire/limits.ts';
import { Tag, type Aborted, type Committed, type Explained, type Failed, type Audited, type AuditedKeys, type Message, type Points, type StatusIs, type Values } from './wire/messages.ts';
import type { Session, SessionMessage } from './wire/session.ts';

export type Answer = Values | Committed | Aborted | StatusIs | Explained | Points | Audited | AuditedKeys | Failed;

/** A request under way. Exactly one of the two is called, once, unless it is forgotten first. */
export interface Exchange {
  answered(answer: Answer): void;
  /** The session ended before the answer: the request may have arrived, or not. */
  lost(): void;
}

/** Something that waits to be numbered. Exactly one of the two is called, once, unless it stops waiting first. */
export interface NumberSeeker {
  numbered(number: number): void;
  lost(): void;
}

/** Half of what a session's queue may hold: what is sent beyond it gets `overloaded` here, so that the session itself never breaks for it. */
const queueBytesMax = limits.sessionQueueBytesMax / 2;
/** By then what a node does most is compiled, and it has caught up with an absence of a minute or so. */
const justBackMs = 5_000;

export class Peer {
  readonly id: string;
  #session: Session | null = null;
  /** Why there is no session; empty while there is one, or while the first is being opened. */
  downReason = '';
  #wasUp = false;
  /** When the present session began, if it is not the first one. */
  #backSinceMs = Number.NEGATIVE_INFINITY;

  #exchanges = new Map<number, Exchange>();
  /** Never reused within a session, and not across sessions either, so that traces are easy to read. */
  #nextRequest = 1;

  #nextNumber = 0;
  #endOfNumbers = 0;
  #seekers = new Set<NumberSeeker>();

  constructor(id: string) {
    this.id = id;
  }

  /** The session, if messages can be sent. */
  get session(): Session | null {
    return this.#session?.open === true ? this.#session : null;
  }

  /** As many requests are under way as may be, or as many bytes wait. */
  get full(): boolean {
    return this.#exchanges.size >= limits.sessionRequestsMax || (this.#session?.queuedBytes ?? 0) > queueBytesMax;
  }

  up(session: Session, nowMs: number): void {
    this.#backSinceMs = this.#wasUp ? nowMs : Number.NEGATIVE_INFINITY;
    this.#wasUp = true;
    this.#session = session;
    this.downReason = '';
  }

  /**
   * It was lost, and has been back for a moment only. A process that has just been started compiles its code while it runs, and catches up with what it missed: others, if
   * there are any, answer sooner.
   */
  isJustBack(nowMs: number): boolean {
    return nowMs - this.#backSinceMs < justBackMs;
  }

  down(reason: string): void {
    this.#session = null;
    this.downReason = reason;
    this.#nextNumber = this.#endOfNumbers = 0;
    const exchanges = this.#exchanges;
    const seekers = this.#seekers;
    this.#exchanges = new Map();
    this.#seekers = new Set();
    for (const exchange of exchanges.values()) exchange.lost();
    for (const seeker of seekers) seeker.lost();
  }

  /** Makes room for an answer; what it returns is the request's id. */
  expect(exchange: Exchange): number {
    const request = this.#nextRequest++;
    this.#exchanges.set(request, exchange);
    return request;
  }

  /** The answer is not wanted any more. */
  forget(request: number): void {
    this.#exchanges.delete(request);
  }

  send(message: Message): void {
    this.#session?.send(message);
  }

  /** Gives the seeker the next transaction number, now or when the node grants more. */
  seekNumber(seeker: NumberSeeker): void {
    if (this.#nextNumber < this.#endOfNumbers) seeker.numbered(this.#nextNumber++);
    else this.#seekers.add(seeker);
  }

  stopSeeking(seeker: NumberSeeker): void {
    this.#seekers.delete(seeker);
  }

  /** Takes a message of the present session. */
  received(message: SessionMessage): void {
    switch (message[0]) {
      case Tag.values:
      case Tag.committed:
      case Tag.aborted:
      case Tag.statusIs:
      case Tag.explained:
      case Tag.points:
      case Tag.audited:
      case Tag.auditedKeys:
      case Tag.failed: {
        const exchange = this.#exchanges.get(message[1]);
        if (exchange !== undefined) {
          this.#exchanges.delete(message[1]);
          exchange.answered(message);
        } else if (message[0] === Tag.aborted && message[5] !== 0) {
          // Too late for whom it was meant: others wait for that turn.
          this.send([Tag.giveUp, message[5]]);
        }
        break;
      }
      case Tag.grant:
        this.#granted(message[1], message[2]);
        break;
      default:
        this.#session?.abort(`a node sent a client message ${message[0]}, which is not for clients`);
    }
  }

  #granted(first: number, count: number): void {
    this.#nextNumber = first;
    this.#endOfNumbers = first + count;
    for (const seeker of this.#seekers) {
      if (this.#nextNumber === this.#endOfNumbers) break;
      this.#seekers.delete(seeker);
      seeker.numbered(this.#nextNumber++);
    }
  }
}
