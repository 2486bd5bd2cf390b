/**
 * The database handle of production, which tells the trace what is asked of it: a failure is understood by the calls that
 * led to it, and by which of them the client had to repeat.
 */
import { Database, DtpError, type Key, type OperationOptions, type Transaction, type TransactionOptions, type VersionedValue, type WriteOptions, type Written } from '../../../client/index.ts';
import { inspect } from '../../../client/inspect.ts';
import type { Router } from '../../../client/routing.ts';

/** Takes down what a client did, and knows what it still waits for. */
export class Calls {
  readonly #record: (what: string, detail: string) => void;
  readonly #client: string;
  readonly #open = new Map<number, string>();
  #count = 0;

  constructor(client: string, record: (what: string, detail: string) => void) {
    this.#client = client;
    this.#record = record;
  }

  /** Calls that have not ended, in words. */
  get open(): string[] {
    return [...this.#open].map(([number, what]) => `${this.#client} #${number} ${what}`);
  }

  begin(what: string): number {
    const number = ++this.#count;
    this.#open.set(number, what);
    this.#record(`#${number}`, what);
    return number;
  }

  note(number: number, what: string): void {
    this.#record(`#${number}`, what);
  }

  end(number: number, outcome: string): void {
    this.#open.delete(number);
    this.#record(`#${number}`, outcome);
  }
}

export class TracedDatabase extends Database {
  readonly #calls: Calls;

  constructor(router: Router, calls: Calls) {
    super(router);
    this.#calls = calls;
  }

  override get<T = unknown>(key: Key, options?: OperationOptions): Promise<T> {
    return this.#told(`get ${inspect(key)}`, () => super.get<T>(key, options));
  }

  override entry<T = unknown>(key: Key, options?: OperationOptions): Promise<VersionedValue<T> | undefined> {
    return this.#told(`entry ${inspect(key)}`, () => super.entry<T>(key, options));
  }

  override set(key: Key, value: unknown, options?: WriteOptions): Promise<Written> {
    return this.#told(`set ${inspect(key)} ${inspect(value)}`, () => super.set(key, value, options));
  }

  override delete(key: Key, options?: WriteOptions): Promise<Written> {
    return this.#told(`delete ${inspect(key)}`, () => super.delete(key, options));
  }

  override transaction<R>(fn: (tx: Transaction) => R | PromiseLike<R>, options?: TransactionOptions): Promise<R> {
    if (typeof fn !== 'function') return super.transaction(fn, options);
    let runs = 0;
    return this.#told('transaction', (number) => super.transaction((tx) => {
      runs++;
      if (runs > 1) this.#calls.note(number, `runs again, for the ${runs}. time`);
      overhear(tx, (what) => this.#calls.note(number, what));
      return fn(tx);
    }, options));
  }

  async #told<R>(what: string, call: (number: number) => Promise<R>): Promise<R> {
    const number = this.#calls.begin(what);
    try {
      const result = await call(number);
      this.#calls.end(number, result === undefined ? 'done' : `gives ${inspect(result)}`);
      return result;
    } catch (error) {
      const name = error instanceof DtpError ? `${error.code}: ` : '';
      this.#calls.end(number, `fails: ${name}${error instanceof Error ? error.message : inspect(error)}`);
      throw error;
    }
  }
}

/** Tells of each read and change that the transaction's function makes. */
function overhear(tx: Transaction, tell: (what: string) => void): void {
  const told = <A extends unknown[], R>(name: string, method: (...args: A) => R) => (...args: A): R => {
    tell(`tx.${name} ${args.map(inspect).join(' ')}`);
    return method.apply(tx, args);
  };
  // Types of generic methods don't survive a wrapper; what is called stays the same.
  tx.get = told('get', tx.get) as Transaction['get'];
  tx.entry = told('entry', tx.entry) as Transaction['entry'];
  tx.set = told('set', tx.set);
  tx.delete = told('delete', tx.delete);
  tx.add = told('add', tx.add) as Transaction['add'];
  tx.min = told('min', tx.min);
  tx.max = told('max', tx.max);
}
