/**
 * A transaction as its function sees it: one attempt's reads and changes.
 *
 * Reads that are begun together, as with `Promise.all`, leave as one message to each node concerned. How attempts
 * are made, sent and repeated is told in transaction-run.ts.
 */
import { noWaiters, type Entry, type Footprint, type Waiter } from './footprint.ts';
import { inspect } from './inspect.ts';
import type { Key } from './keys.ts';
import { DtpError } from './wire/errors.ts';
import type { OperationKind, Value, Version } from './wire/messages.ts';
import { decodeValue, encodeValue } from './wire/values.ts';

/** A value with the version at which it was committed. */
export interface VersionedValue<T> {
  readonly value: T;
  /** A timestamp: larger in every later write of the key. 0 for what the transaction itself has written and not committed yet. */
  readonly version: number;
}

/** Inclusive limits for the result of `add`, of the same kind as what is added. */
export interface Bounds<N extends number | bigint> {
  min?: N | undefined;
  max?: N | undefined;
}

/**
 * What the function of `db.transaction` works with. It is good until the function has returned or thrown.
 *
 * Reads see what the transaction itself has written. A key that was read once keeps its value to the end of the
 * attempt. Changes are collected, and sent when the function has returned.
 *
 * `add`, `min` and `max` are different: they are applied at the commit, to the value of that moment, without a read that
 * could go stale. What they will yield is not known here, so a key that has one pending takes no `get`, `set` or
 * `delete` in the same transaction, nor can they be used on a key that it has already written: `invalid-argument`.
 * Several of them on one key are applied in the order of the calls.
 */
export class Transaction {
  readonly #footprint: Footprint;
  readonly #fetch: (entries: readonly Entry[]) => void;
  /** Keys to be asked for in the next microtask, so that reads begun together travel together. */
  #wanted: Entry[] = [];
  /** Why nothing more can be done with it; null as long as the function runs. An error is made when somebody is to get it. */
  #over: (() => DtpError) | null = null;
  #commit: { readonly name: string | undefined } | null = null;

  /** Made by `db.transaction`. */
  constructor(footprint: Footprint, fetch: (entries: readonly Entry[]) => void) {
    this.#footprint = footprint;
    this.#fetch = fetch;
  }

  /**
   * What nodes, their logs and `db.explain` call this attempt, as 'n1:3:42'; `undefined` until the function has returned and
   * the attempt was sent. Keep `tx` to ask for it later: each attempt has a `tx` of its own.
   */
  get name(): string | undefined {
    return this.#commit?.name;
  }

  /**
   * The value of a key; `undefined` if it is absent or if `undefined` is what was stored (`entry` tells which).
   * `T` is the caller's word, nothing checks it: say `get<Account | undefined>` where the key may be absent.
   */
  get<T = unknown>(key: Key): Promise<T> {
    return this.#load(key, (_version, value) => decodeOrUndefined(value) as T);
  }

  /** The values of several keys, in the order asked, each as `get` gives it; one round trip to each node concerned. */
  async getMany<T = unknown>(keys: readonly Key[]): Promise<T[]> {
    return Promise.all(keys.map((key) => this.get<T>(key)));
  }

  /** The value of a key with its version; `undefined` if the key is absent. */
  entry<T = unknown>(key: Key): Promise<VersionedValue<T> | undefined> {
    return this.#load(key, (version, value) => entryOf<T>(version, value));
  }

  /** Sets a key. The value is encoded at once: changing the object later changes nothing. Throws `value-unsupported`, `value-too-large`, `transaction-too-large`. */
  set(key: Key, value: unknown): void {
    this.#write(key, encodeValue(value));
  }

  /** Deletes a key, if it is there. */
  delete(key: Key): void {
    this.#write(key, null);
  }

  /**
   * Adds to the number or bigint that the key holds at the commit; an absent key counts as zero. If the result would lie
   * outside the bounds, nothing of the transaction is written and it rejects with BoundCrossed; if the value there is
   * not of the same kind as `delta`, with `operand-unsupported`.
   */
  add<N extends number | bigint>(key: Key, delta: N, bounds?: Bounds<N>): void {
    this.#operate('add', key, delta, bounds);
  }

  /** Lowers the key's value to `operand` if it is greater, or absent. */
  min(key: Key, operand: number | bigint): void {
    this.#operate('min', key, operand, undefined);
  }

  /** Raises the key's value to `operand` if it is less, or absent. */
  max(key: Key, operand: number | bigint): void {
    this.#operate('max', key, operand, undefined);
  }

  /** This is how it is sent. @internal */
  sentBy(commit: { readonly name: string | undefined }): void {
    this.#commit = commit;
  }

  /** Takes what a reading brought. @internal */
  arrived(entries: readonly Entry[], versionsAndValues: readonly (Version | Value)[]): void {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      entry.version = versionsAndValues[2 * i] as Version;
      entry.value = versionsAndValues[2 * i + 1] as Value;
      entry.read = 'seen';
    }
    for (const entry of entries) for (const waiter of takeWaiters(entry)) waiter.give(entry.version, entry.value);
  }

  /** The reading of these failed; they may be asked for again. @internal */
  failed(entries: readonly Entry[], error: DtpError): void {
    for (const entry of entries) entry.read = 'unknown';
    for (const entry of entries) for (const waiter of takeWaiters(entry)) waiter.reject(error);
  }

  /** The attempt is over, for this reason: whatever the function still tries fails with it. @internal */
  end(why: () => DtpError): void {
    this.#over = why;
    this.#wanted = [];
    for (const entry of this.#footprint.entries) {
      if (entry.read === 'asked') for (const waiter of takeWaiters(entry)) waiter.abandon(why());
    }
  }

  #reach(key: Key): Entry {
    if (this.#over !== null) throw this.#over();
    return this.#footprint.reach(key);
  }

  #load<R>(key: Key, view: (version: Version, value: Value) => R): Promise<R> {
    let entry: Entry;
    try {
      entry = this.#reach(key);
      if (entry.change?.kind === 'write') return Promise.resolve(view(0, entry.change.value));
      if (entry.change !== null) throw pending(key);
      if (entry.read === 'offered') entry.read = 'seen';
      if (entry.read === 'seen') return Promise.resolve(view(entry.version, entry.value));
    } catch (error) {
      return Promise.reject(error as Error);
    }
    const waiter = new PromisedRead(view);
    if (entry.waiters === noWaiters) entry.waiters = [waiter];
    else entry.waiters.push(waiter);
    if (entry.read === 'unknown') this.#want(entry);
    return waiter.promise;
  }

  #want(entry: Entry): void {
    entry.read = 'asked';
    if (this.#wanted.length === 0) void nextMicrotask.then(() => this.#fetchWanted());
    this.#wanted.push(entry);
  }

  #fetchWanted(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    if (wanted.length > 0) this.#fetch(wanted);
  }

  #write(key: Key, value: Value): void {
    const entry = this.#reach(key);
    if (entry.change?.kind === 'operate') throw pending(key);
    this.#footprint.write(entry, value);
  }

  #operate(kind: OperationKind, key: Key, operand: number | bigint, bounds: Bounds<number | bigint> | undefined): void {
    const entry = this.#reach(key);
    if (entry.change?.kind === 'write') throw new DtpError('invalid-argument', `The key ${inspect(key)} has been written in this transaction: set it to the result instead of using ${kind}.`, { key });
    checkOperand(kind, operand);
    for (const bound of [bounds?.min, bounds?.max]) {
      if (bound === undefined) continue;
      checkOperand(`a bound of ${kind}`, bound);
      if (typeof bound !== typeof operand) throw new DtpError('operand-unsupported', `${kind} takes ${typeof operand} and ${typeof bound} together; they must be of one kind.`);
    }
    this.#footprint.operate(entry, { kind, operand: encodeValue(operand), min: encodeBound(bounds?.min), max: encodeBound(bounds?.max) });
  }
}

/** What is chained to it runs when the code that is running now has run to its next await. */
const nextMicrotask = Promise.resolve();

class PromisedRead<R> implements Waiter {
  readonly promise: Promise<R>;
  readonly #view: (version: Version, value: Value) => R;
  #resolve!: (value: R) => void;
  #reject!: (error: unknown) => void;

  constructor(view: (version: Version, value: Value) => R) {
    this.#view = view;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  give(version: Version, value: Value): void {
    try {
      this.#resolve(this.#view(version, value));
    } catch (error) {
      this.#reject(error); // The bytes are no value: some other client's work.
    }
  }

  reject(error: DtpError): void {
    this.#reject(error);
  }

  abandon(error: DtpError): void {
    // The function has perhaps returned without awaiting it: that is not to end the process as an unhandled rejection.
    this.promise.catch(() => {});
    this.#reject(error);
  }
}

function takeWaiters(entry: Entry): readonly Waiter[] {
  const { waiters } = entry;
  entry.waiters = noWaiters;
  return waiters;
}

export function decodeOrUndefined(value: Value): unknown {
  return value === null ? undefined : decodeValue(value);
}

export function entryOf<T>(version: Version, value: Value): VersionedValue<T> | undefined {
  return value === null ? undefined : { value: decodeValue(value) as T, version };
}

function checkOperand(what: string, operand: unknown): void {
  if (typeof operand === 'bigint' || (typeof operand === 'number' && Number.isFinite(operand))) return;
  throw new DtpError('operand-unsupported', `${what} takes a finite number or a bigint, not ${inspect(operand)}.`);
}

function encodeBound(bound: number | bigint | undefined): Value {
  return bound === undefined ? null : encodeValue(bound);
}

function pending(key: Key): DtpError {
  return new DtpError('invalid-argument', `The key ${inspect(key)} has an operation pending, and only the commit will tell what it yields: no get, set or delete of it in this transaction.`, { key });
}
