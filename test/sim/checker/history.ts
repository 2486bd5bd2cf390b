/**
 * What clients saw, and nothing else.
 *
 * A history is the whole input of every checker: which operations were called, when, and what came back. It is plain data that goes through JSON
 * and back unchanged, so a failing run can be kept as a file and judged again without the cluster that made it.
 *
 * Real time is what makes a history more than a set of transactions: an operation that completed before another was invoked must come before it.
 * So times order *events*; their unit is of no importance. Equal times leave two events unordered, which only makes a checker more lenient.
 *
 * An operation has three outcomes, not two. One whose answer never came may have taken effect, may take effect after the history ends, or never:
 * no checker may hold either against the system.
 *
 * Reference: Herlihy & Wing, "Linearizability", TOPLAS 1990 (histories, invocation and response, pending operations).
 */

export type Key = string;
/** What lists are made of. An element is appended to a key at most once in a history: that is how a read tells who wrote what. */
export type Element = number | string;
/** What a register holds; null: it is absent (never written, or deleted). */
export type Scalar = string | number | boolean | null;

export interface AppendElement {
  readonly type: 'append';
  readonly key: Key;
  readonly element: Element;
}

/** `list` is missing where the answer never came; an absent key reads as the empty list. */
export interface ReadList {
  readonly type: 'read-list';
  readonly key: Key;
  readonly list?: readonly Element[];
}

/** `value` is missing where the answer never came. */
export interface ReadRegister {
  readonly type: 'read';
  readonly key: Key;
  readonly value?: Scalar;
}

/** To write null is to delete. */
export interface WriteRegister {
  readonly type: 'write';
  readonly key: Key;
  readonly value: Scalar;
}

/** Writes `value` where the register holds `expected`. `swapped`, whether it did, is missing where the answer never came. */
export interface CompareAndSet {
  readonly type: 'compare-and-set';
  readonly key: Key;
  readonly expected: Scalar;
  readonly value: Scalar;
  readonly swapped?: boolean;
}

/** An increment of a counter (absent counts as 0); `delta` is above 0. */
export interface AddToCounter {
  readonly type: 'add';
  readonly key: Key;
  readonly delta: number;
}

export type ListOperation = AppendElement | ReadList;
export type RegisterOperation = ReadRegister | WriteRegister | CompareAndSet;
export type CounterOperation = ReadRegister | AddToCounter;
export type MicroOperation = ListOperation | RegisterOperation | AddToCounter;

/** ok: it took effect between its two times. failed: it never has an effect. unknown: perhaps done, at any time after its invocation, or never. */
export type Outcome = 'ok' | 'failed' | 'unknown';

/** One transaction (or single operation) of one process, its micro-operations in program order. */
export interface Operation<M extends MicroOperation = MicroOperation> {
  readonly id: number;
  readonly process: number;
  readonly invokedAt: number;
  /** When the answer came, or the client gave up; null when neither happened. Only that of an `ok` operation is evidence. */
  readonly completedAt: number | null;
  readonly outcome: Outcome;
  readonly operations: readonly M[];
}

export type History<M extends MicroOperation = MicroOperation> = readonly Operation<M>[];

/** The history itself is unusable, which is a mistake of the workload and says nothing about the system under test. */
export class MalformedHistory extends Error {
  override readonly name = 'MalformedHistory';
}

/** Throws MalformedHistory unless ids are unique, times are numbers, and what is ok has completed, not before it was invoked. */
export function assertWellFormed(history: History): void {
  const ids = new Set<number>();
  for (const { id, invokedAt, completedAt, outcome } of history) {
    if (ids.has(id)) throw new MalformedHistory(`T${id} is there twice`);
    ids.add(id);
    if (!Number.isFinite(invokedAt)) throw new MalformedHistory(`T${id} was invoked at ${invokedAt}`);
    if (completedAt === null) {
      if (outcome === 'ok') throw new MalformedHistory(`T${id} is ok but never completed`);
    } else if (!(completedAt >= invokedAt)) {
      throw new MalformedHistory(`T${id} was invoked at ${invokedAt} and completed at ${completedAt}`);
    }
  }
}
