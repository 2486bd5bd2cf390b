/**
 * A call of the user's: one promise, one deadline, perhaps an AbortSignal.
 *
 * Deadlines need no timer each: the router looks over all calls a few dozen times a second. Whatever ends a call early -
 * its deadline, its signal, the closing of the database - the caller is told the same way how far it had come: whether
 * certainly nothing was written, or nobody knows.
 */
import { checkOperationOptions, invalid, timeoutMsOf, type OperationOptions } from './options.ts';
import { errorOf } from './retry.ts';
import type { Router } from './routing.ts';
import { DtpError, TransactionOutcomeUnknown } from './wire/errors.ts';
import type { Failed } from './wire/messages.ts';

/** What keeps a request from getting on: nobody to send it to, or what a node said when it turned it down. */
export type Obstacle = 'unreachable' | Failed;

/** Why a call may end early, and the event in words. */
const stops = {
  'deadline-exceeded': 'the deadline of % ms passed',
  'cancelled': 'the AbortSignal fired',
  'closed': 'the database handle was closed',
} as const;
type Stop = keyof typeof stops;

export abstract class Call<R> {
  readonly router: Router;
  readonly timeoutMs: number;
  readonly deadlineAtMs: number;
  readonly promise: Promise<R>;
  #resolve!: (value: R) => void;
  #reject!: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  #onAbort: (() => void) | null = null;
  #settled = false;

  constructor(router: Router, options: OperationOptions | undefined) {
    this.router = router;
    checkOperationOptions(options);
    this.timeoutMs = timeoutMsOf(options?.timeoutMs, router.settings.timeoutMs);
    this.deadlineAtMs = router.nowMs() + this.timeoutMs;
    this.#signal = options?.signal;
    if (this.#signal !== undefined && typeof this.#signal.addEventListener !== 'function') throw invalid('signal', 'an AbortSignal', this.#signal);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Sends the first messages. */
  protected abstract start(): void;
  /** A commit was sent and its outcome is not known: nobody can say that nothing was written. */
  protected abstract get inFlight(): boolean;
  /** What it is waiting to get past, if anything. */
  protected abstract get obstacle(): Obstacle | null;
  /** Forgets all that is under way: the call is over. */
  protected abstract release(): void;
  /** What the errors of this call tell beside their own. */
  protected abstract details(): Record<string, unknown>;

  get settled(): boolean {
    return this.#settled;
  }

  begin(): Promise<R> {
    if (this.router.closed) {
      this.#end('closed', undefined);
    } else if (this.#signal?.aborted === true) {
      this.#end('cancelled', this.#signal.reason);
    } else {
      if (this.#signal !== undefined) {
        this.#onAbort = () => this.#end('cancelled', this.#signal?.reason);
        this.#signal.addEventListener('abort', this.#onAbort, { once: true });
      }
      this.router.enter(this);
      this.start();
    }
    return this.promise;
  }

  protected succeed(value: R): void {
    if (this.#settle()) this.#resolve(value);
  }

  protected fail(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  expire(): void {
    this.#end('deadline-exceeded', undefined);
  }

  closeDown(): void {
    this.#end('closed', undefined);
  }

  #end(why: Stop, cause: unknown): void {
    if (!this.#settled) this.stopped(this.#errorFor(why, cause));
  }

  /** The call has to end now, for this reason. */
  protected stopped(error: DtpError): void {
    this.fail(error);
  }

  #errorFor(why: Stop, cause: unknown): DtpError {
    const options = cause === undefined ? undefined : { cause };
    const details = { timeoutMs: this.timeoutMs, ...this.details() };
    const event = stops[why].replace('%', String(this.timeoutMs));
    if (this.inFlight) {
      return new TransactionOutcomeUnknown(`The commit was sent, and ${event} before its outcome was known: it may have taken effect or not.`, details, options);
    }
    const { obstacle } = this;
    if (why !== 'deadline-exceeded' || obstacle === null) return new DtpError(why, `Nothing was written: ${event}.`, details, options);
    if (obstacle === 'unreachable') return new DtpError(obstacle, `No replica could be reached until ${event}: ${this.router.describeNodes()}.`, details, options);
    const { code, message } = errorOf(obstacle);
    return new DtpError(code, `${message} (So it was until ${event}.)`, details, options);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    if (this.#onAbort !== null) this.#signal?.removeEventListener('abort', this.#onAbort);
    this.router.leave(this);
    this.release();
    return true;
  }
}
