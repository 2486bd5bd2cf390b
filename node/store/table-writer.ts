/**
 * Writes to the table, one batch after another, each as often as it takes until the disk has it: what the table shall hold is
 * nowhere forgotten before. Their order is kept, for a later batch may say of a digest what an earlier one's rows made it.
 */
import type { Timer } from '../../client/wire/environment.ts';
import { TableDamaged, type Put, type Runtime, type Table } from '../runtime/runtime.ts';
import { damagedTable } from './store-error.ts';
import type { Trouble } from './trouble.ts';

/**
 * A table whose batch was refused may have to be opened anew before it takes any other, which then never ends (lmdb-table.ts). It can't
 * be told from a disk that hangs, so the disk is given time first.
 */
const stuckAfterMs = 60_000;

interface Batch {
  readonly puts: readonly Put[];
  readonly done: () => void;
}

export class TableWriter {
  readonly #runtime: Runtime;
  readonly #table: Table;
  readonly #trouble: Trouble;
  /** The first is under way, or waits to be tried again. */
  readonly #batches: Batch[] = [];
  #retry: Timer | null = null;
  #closed = false;
  /** Why the first batch was refused when it was tried last. */
  #failure: Error | null = null;

  constructor(runtime: Runtime, table: Table, trouble: Trouble) {
    this.#runtime = runtime;
    this.#table = table;
    this.#trouble = trouble;
  }

  write(puts: readonly Put[], done: () => void): void {
    this.#batches.push({ puts, done });
    if (this.#batches.length === 1) this.#attempt();
  }

  /** Gives up what is not written. */
  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
  }

  /** To be called now and then. */
  tick(): void {
    if (this.#failure === null || this.#closed || this.#trouble.status.oldestTableWriteMs < stuckAfterMs) return;
    this.#runtime.fatal('the data table takes no more writes until the node is started again; nothing that was acknowledged is lost', { error: this.#failure.message });
  }

  #attempt(): void {
    const [{ puts, done }] = this.#batches as [Batch];
    this.#trouble.began('table');
    this.#table.write(puts, (error) => {
      if (this.#closed) return;
      if (error !== undefined) return this.#failed(error);
      this.#failure = null;
      this.#trouble.succeeded('table');
      this.#batches.shift();
      if (this.#batches.length > 0) this.#attempt();
      done();
    });
  }

  #failed(error: Error): void {
    if (error instanceof TableDamaged) this.#runtime.fatal(damagedTable(error.message), { code: 'corrupt-table' });
    this.#failure = error;
    this.#retry = this.#runtime.after(this.#trouble.failed('table', error), () => this.#attempt());
  }
}
