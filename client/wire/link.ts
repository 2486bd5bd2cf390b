/**
 * A link: keeps a session to one address alive, for as long as it is wanted.
 *
 * A lost session is dialed again after an exponential backoff with full jitter: a random time up to a bound that doubles
 * with each failure in a row. The jitter keeps all clients of a restarted node from coming back in step. Only a session
 * that lasted ends the row; one that breaks at once is a failure like any other.
 *
 * Some refusals won't go away by themselves: the address belongs to another cluster, or the versions differ. Somebody
 * may put it right, so the link keeps trying, but slowly, and says why.
 */
import type { Environment, Timer } from './environment.ts';
import type { ErrorCode } from './errors.ts';
import type { Hello, Refuse, Welcome } from './messages.ts';
import { Session, sessionDefaults } from './session.ts';
import type { SessionEnd, SessionMessage, SessionOptions } from './session.ts';

export interface LinkOptions extends SessionOptions {
  /** The bound of the delay after the first failure in a row. */
  readonly backoffBaseMs: number;
  /** The bound never exceeds this. */
  readonly backoffMaxMs: number;
  /** After a refusal that needs somebody to change something: between half of this and all of it. */
  readonly refusedDelayMs: number;
  /** A session that was open for this long ends a row of failures. */
  readonly settledAfterMs: number;
}

export const linkDefaults: LinkOptions = {
  ...sessionDefaults,
  backoffBaseMs: 50,
  // A restarted node is found again within seconds, and 64 nodes that dial a dead one cost it nothing worth mentioning.
  backoffMaxMs: 2_000,
  refusedDelayMs: 30_000,
  settledAfterMs: 5_000,
};

export interface LinkHandlers {
  /** Whether the peer that answers is the one meant; null if so. */
  judge(welcome: Welcome): Refuse | null;
  up(link: Link, session: Session): void;
  received(session: Session, message: SessionMessage): void;
  /** The session that was up is over; the link dials again by itself. */
  down(link: Link, end: SessionEnd): void;
  /** An attempt came to nothing; there will be another. */
  failed(link: Link, end: SessionEnd): void;
}

/** Refusals that the same attempt will meet again until somebody changes a configuration or a version. */
const lasting: ReadonlySet<ErrorCode | null> = new Set<ErrorCode>(['wrong-cluster', 'wrong-node', 'wrong-version', 'bad-message']);

export class Link {
  readonly url: string;
  readonly #environment: Environment;
  readonly #hello: () => Hello;
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;

  /** The session under way, open or not yet. */
  #current: Session | null = null;
  #openedAtMs = 0;
  #failuresInRow = 0;
  #retry: Timer | null = null;
  #lastFailure: SessionEnd | null = null;
  #closed = false;

  /** Dials at once. `hello` is asked anew for each attempt. */
  constructor(environment: Environment, url: string, hello: () => Hello, options: LinkOptions, handlers: LinkHandlers) {
    this.url = url;
    this.#environment = environment;
    this.#hello = hello;
    this.#options = options;
    this.#handlers = handlers;
    this.#dial();
  }

  /** The open session, if there is one. */
  get session(): Session | null {
    return this.#current !== null && this.#current.open ? this.#current : null;
  }

  /** Why the last session ended or the last attempt failed; null as long as all went well. */
  get lastFailure(): SessionEnd | null {
    return this.#lastFailure;
  }

  /** Dials now if the link waits to: for somebody who learnt that the peer is back. */
  hurry(): void {
    if (this.#retry === null) return;
    this.#retry.cancel();
    this.#dial();
  }

  /** Closes the session and dials no more. No handler is called after this. */
  close(reason: string): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#retry = null;
    const session = this.#current;
    this.#current = null;
    session?.close(reason);
  }

  #dial(): void {
    this.#retry = null;
    this.#current = Session.dial(this.#environment, this.url, this.#hello(), this.#options, {
      judge: (welcome) => this.#handlers.judge(welcome),
      opened: (session) => {
        this.#openedAtMs = this.#environment.clock.monotonicMs();
        this.#handlers.up(this, session);
      },
      received: (session, message) => this.#handlers.received(session, message),
      closed: (session, end) => this.#onClosed(session, end),
    });
  }

  #onClosed(session: Session, end: SessionEnd): void {
    if (this.#closed) return;
    this.#current = null;
    this.#lastFailure = end;
    const lastedMs = session.wasOpen ? this.#environment.clock.monotonicMs() - this.#openedAtMs : 0;
    this.#failuresInRow = lastedMs >= this.#options.settledAfterMs ? 1 : this.#failuresInRow + 1;
    this.#retry = this.#environment.after(this.#delayMs(end), () => this.#dial());
    if (session.wasOpen) this.#handlers.down(this, end);
    else this.#handlers.failed(this, end);
  }

  #delayMs(end: SessionEnd): number {
    const chance = this.#environment.randomUint32() / 2 ** 32;
    if (lasting.has(end.code)) return this.#options.refusedDelayMs * (0.5 + chance / 2);
    // Never nothing: a dial that fails at once must not be repeated at the same instant.
    return Math.max(1, chance * Math.min(this.#options.backoffMaxMs, this.#options.backoffBaseMs * 2 ** (this.#failuresInRow - 1)));
  }
}
