/**
 * A transaction from the call to its end: a function that reads and writes, run until it fits between everybody else's.
 *
 * An attempt reads the latest committed values, each from one replica, and collects its changes; then it is sent as a
 * whole, with the versions that it read. If one of them is not current any more, nothing is written and the function
 * runs again. A function that runs long and often loses would lose for ever; therefore an attempt that was turned down
 * may be given its turn: the coordinator holds the others back for a moment and sends fresh values along, and the next
 * attempt, which finds them here without asking, commits.
 */
import { Call, type Obstacle } from './call.ts';
import { Commit, type Committer, type Turn } from './commit.ts';
import { Footprint, type Entry } from './footprint.ts';
import { inspect } from './inspect.ts';
import type { Key } from './keys.ts';
import { invalid, maxAttemptsOf, protocolOf, type TransactionOptions } from './options.ts';
import { Reading, type Reader } from './reading.ts';
import { backoffMs } from './retry.ts';
import type { Router } from './routing.ts';
import { decodeOrUndefined, Transaction } from './transaction.ts';
import type { Timer } from './wire/environment.ts';
import { BoundCrossed, DtpError } from './wire/errors.ts';
import { AbortReason, Tag, type Aborted, type Value, type Version } from './wire/messages.ts';

/**
 * Where a run is. `running`: the function is. `committing`: its changes are. `checking`: it threw, and whether what it read
 * was true is being asked. `pausing`: before the next attempt.
 */
type Phase =
  | { at: 'running' }
  | { at: 'committing'; commit: Commit }
  | { at: 'checking'; commit: Commit; thrown: unknown }
  | { at: 'pausing'; timer: Timer }
  | { at: 'over' };

/** A transaction from the call to its end, over all its attempts. */
export class TransactionRun<R> extends Call<R> implements Committer, Reader<Entry> {
  readonly #run: (tx: Transaction) => R | PromiseLike<R>;
  readonly #maxAttempts: number;
  readonly #protocol: number | null;
  #attempts = 0;
  #phase: Phase = { at: 'over' };
  #footprint!: Footprint;
  #transaction!: Transaction;
  #result: R | undefined;
  #turn: Turn | null = null;
  /** What stood in the way the last time, if a node named it. */
  #contendedKey: Key | undefined;
  #readings: Reading<Entry>[] = [];

  constructor(router: Router, run: (tx: Transaction) => R | PromiseLike<R>, options: TransactionOptions | undefined) {
    super(router, options);
    if (typeof run !== 'function') throw invalid('fn', 'a function', run);
    this.#run = run;
    this.#maxAttempts = maxAttemptsOf(options?.maxAttempts, router.settings.maxAttempts);
    this.#protocol = protocolOf(options?.protocol, router.settings.protocol);
  }

  protected start(): void {
    this.#attempt(null);
  }

  protected get inFlight(): boolean {
    return this.#phase.at === 'committing' && this.#phase.commit.inFlight;
  }

  protected get obstacle(): Obstacle | null {
    if (this.#phase.at === 'committing') return this.#phase.commit.obstacle;
    for (const { obstacle } of this.#readings) if (obstacle !== null) return obstacle;
    return null;
  }

  protected details(): Record<string, unknown> {
    const transaction = this.#attempts === 0 ? undefined : this.#transaction.name;
    return { attempts: this.#attempts, ...(this.#contendedKey !== undefined && { key: this.#contendedKey }), ...(transaction !== undefined && { transaction }) };
  }

  protected override stopped(error: DtpError): void {
    // Only whether the function's own error may be shown was still being asked: better shown than replaced.
    if (this.#phase.at === 'checking') return this.fail(this.#phase.thrown);
    if (this.#phase.at === 'running') this.#transaction.end(() => error);
    this.fail(error);
  }

  protected release(): void {
    this.#abandonReadings();
    if (this.#phase.at === 'committing' || this.#phase.at === 'checking') this.#phase.commit.abandon();
    if (this.#phase.at === 'pausing') this.#phase.timer.cancel();
    this.#phase = { at: 'over' };
    this.#giveUpTurn();
  }

  /** `fresh`: what came with the turn; null at first, when what is cached will do. */
  #attempt(fresh: readonly (string | Version | Value)[] | null): void {
    this.#attempts++;
    this.router.countAttempt(this.#attempts);
    this.#phase = { at: 'running' };
    this.#footprint = new Footprint(this.router.partitionOf, this.router.cache, fresh);
    const transaction = new Transaction(this.#footprint, (entries) => Reading.start(this.router, Tag.read, this, entries));
    this.#transaction = transaction;
    const isCurrent = (): boolean => this.#phase.at === 'running' && this.#transaction === transaction;
    this.#runFunction(transaction).then(
      (result) => {
        if (isCurrent()) this.#returned(result);
      },
      (error: unknown) => {
        if (isCurrent()) this.#threw(error);
      },
    );
  }

  #runFunction(transaction: Transaction): Promise<R> {
    try {
      return Promise.resolve(this.#run(transaction));
    } catch (error) {
      return Promise.reject(error as Error); // A function that isn't async.
    }
  }

  #returned(result: R): void {
    this.#endAttempt();
    if (!this.#footprint.hasChanges && !this.#footprint.hasReads) return this.succeed(result);
    this.#result = result;
    const commit = this.#commit('all');
    this.#phase = { at: 'committing', commit };
    commit.start();
  }

  /**
   * The function gave up. Perhaps because of what it read, and what it read may never have been true at any one instant:
   * so that is asked first, and if it wasn't, the function gets another try.
   */
  #threw(thrown: unknown): void {
    this.#endAttempt();
    if (!this.#footprint.hasReads || thrown instanceof DtpError) return this.fail(thrown);
    const commit = this.#commit('reads');
    this.#phase = { at: 'checking', commit, thrown };
    commit.start();
  }

  #commit(what: 'all' | 'reads'): Commit {
    const order = this.#footprint.order(what);
    const turn = this.#turn?.serves(order) === true ? this.#turn : null;
    if (turn === null) this.#giveUpTurn();
    this.#turn = null;
    const commit = new Commit(this.router, this, order, this.#protocol, order.reads.length > 0, turn);
    this.#transaction.sentBy(commit);
    if (what === 'all') this.#footprint.forgetChanged();
    return commit;
  }

  committed(version: Version, isLast: boolean): void {
    if (isLast && this.#phase.at === 'committing') this.#footprint.learnWritten(version);
    if (this.#phase.at === 'checking') this.fail(this.#phase.thrown);
    else this.succeed(this.#result as R);
  }

  aborted([, , reason, key, value, , fresh]: Aborted, turn: Turn | null): void {
    const phase = this.#phase;
    this.#turn = turn;
    this.#contendedKey = this.#footprint.nameOf(key);
    if (reason === AbortReason.stale) this.#footprint.unlearn(key);
    if (reason === AbortReason.boundMin || reason === AbortReason.boundMax) {
      const bound = reason === AbortReason.boundMin ? 'min' : 'max';
      return this.#failOverValue(value, (found) => new BoundCrossed(`The operation on ${inspect(this.#contendedKey)} would take it past its ${bound}; it is ${inspect(found)}.`, { key: this.#contendedKey, value: found as number | bigint | undefined, bound }));
    }
    if (reason === AbortReason.operand) {
      return this.#failOverValue(value, (found) => new DtpError('operand-unsupported', `The value of ${inspect(this.#contendedKey)} is ${inspect(found)}, which does not go with the operation's operand.`, { key: this.#contendedKey, value: found }));
    }
    if (this.#attempts >= this.#maxAttempts) {
      if (phase.at === 'checking') return this.fail(phase.thrown);
      return this.fail(new DtpError('conflict', `Other transactions got in the way ${this.#attempts} times${this.#contendedKey === undefined ? '' : `, the last time at ${inspect(this.#contendedKey)}`}.`, this.details()));
    }
    if (turn !== null) return this.#attempt(fresh ?? []);
    this.#phase = { at: 'pausing', timer: this.router.later(backoffMs(this.router.environment, this.#attempts), () => this.#attempt([])) };
  }

  commitFails(error: DtpError): void {
    this.fail(this.#phase.at === 'checking' ? this.#phase.thrown : error);
  }

  readingBegins(reading: Reading<Entry>): void {
    this.#readings.push(reading);
  }

  readingArrives(reading: Reading<Entry>, versionsAndValues: readonly (Version | Value)[]): void {
    this.#drop(reading);
    this.#transaction.arrived(reading.items, versionsAndValues);
  }

  readingFails(reading: Reading<Entry>, error: DtpError): void {
    this.#drop(reading);
    this.#transaction.failed(reading.items, error);
  }

  #endAttempt(): void {
    this.#transaction.end(functionHasEnded);
    this.#abandonReadings();
  }

  #abandonReadings(): void {
    for (const reading of this.#readings) reading.abandon();
    this.#readings = [];
  }

  #drop(reading: Reading<Entry>): void {
    this.#readings.splice(this.#readings.indexOf(reading), 1);
  }

  #giveUpTurn(): void {
    this.#turn?.giveUp();
    this.#turn = null;
  }

  #failOverValue(value: Value, errorFor: (found: unknown) => DtpError): void {
    try {
      this.fail(errorFor(decodeOrUndefined(value)));
    } catch (error) {
      this.fail(error);
    }
  }
}

function functionHasEnded(): DtpError {
  return new DtpError('invalid-argument', 'The transaction’s function has ended, and its transaction with it. Await everything inside the function.');
}
