/**
 * Writes a history down while a workload runs.
 *
 * Under virtual time many events share one instant, above all the completion of an operation and the invocation of the next by the same process.
 * They happened in an order nevertheless, the order of the calls here, and a checker that lost it would miss a client's stale read of its own
 * write. So no two events get the same time: a tie is moved on by a step.
 */

import { MalformedHistory, type MicroOperation, type Operation, type Outcome } from './history.ts';

/** A power of two that is still exact beside today's milliseconds since 1970, which doubles carry to 2^-12. */
const tieStep = 2 ** -10;

interface Entry<M extends MicroOperation> {
  readonly id: number;
  readonly process: number;
  readonly invokedAt: number;
  completedAt: number | null;
  outcome: Outcome | 'open';
  operations: readonly M[];
}

export class Recorder<M extends MicroOperation = MicroOperation> {
  readonly #now: () => number;
  readonly #entries: Entry<M>[] = [];
  #lastEventAt = Number.NEGATIVE_INFINITY;

  /** `now`: true time, the same for all processes; where it does not advance, the order of the calls counts. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** An operation is about to be sent: to be called before anything of it can take effect. Returns its id. */
  begin(process: number, operations: readonly M[] = []): number {
    const id = this.#entries.length;
    this.#entries.push({ id, process, invokedAt: this.#tick(), completedAt: null, outcome: 'open', operations });
    return id;
  }

  /**
   * What an open operation tries now. A transaction that runs again after a definite abort has only the micro-operations of its latest run; they
   * are told before its commit is sent, because it may be that no answer ever comes.
   */
  plan(id: number, operations: readonly M[]): void {
    this.#open(id).operations = operations;
  }

  /** It took effect. `operations`: with the answers in place; without, those of `begin` or `plan` stand. */
  ok(id: number, operations?: readonly M[]): void {
    this.#close(id, 'ok', operations);
  }

  /** It definitely has no effect, now or later. */
  fail(id: number, operations?: readonly M[]): void {
    this.#close(id, 'failed', operations);
  }

  /** The client gave up without knowing. */
  unknown(id: number, operations?: readonly M[]): void {
    this.#close(id, 'unknown', operations);
  }

  /** All so far, in order of invocation; what is still open counts as unknown. */
  history(): Operation<M>[] {
    return this.#entries.map((entry) => ({ ...entry, outcome: entry.outcome === 'open' ? 'unknown' : entry.outcome }));
  }

  #close(id: number, outcome: Outcome, operations: readonly M[] | undefined): void {
    const entry = this.#open(id);
    entry.completedAt = this.#tick();
    entry.outcome = outcome;
    if (operations !== undefined) entry.operations = operations;
  }

  #open(id: number): Entry<M> {
    const entry = this.#entries[id];
    if (entry === undefined) throw new MalformedHistory(`T${id} was never begun`);
    if (entry.outcome !== 'open') throw new MalformedHistory(`T${id} was already recorded as ${entry.outcome}`);
    return entry;
  }

  #tick(): number {
    const now = this.#now();
    this.#lastEventAt = now > this.#lastEventAt ? now : this.#lastEventAt + tieStep;
    return this.#lastEventAt;
  }
}
