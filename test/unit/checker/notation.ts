/** Short words for histories written by hand. */

import type {
  AddToCounter, AppendElement, CompareAndSet, Element, MicroOperation, Operation, Outcome, ReadList, ReadRegister, Scalar, WriteRegister,
} from '../../sim/checker/history.ts';

export const append = (key: string, element: Element): AppendElement => ({ type: 'append', key, element });
export const list = (key: string, ...elements: Element[]): ReadList => ({ type: 'read-list', key, list: elements });
export const get = (key: string, value: Scalar): ReadRegister => ({ type: 'read', key, value });
export const set = (key: string, value: Scalar): WriteRegister => ({ type: 'write', key, value });
export const add = (key: string, delta = 1): AddToCounter => ({ type: 'add', key, delta });
export const compareAndSet = (key: string, expected: Scalar, value: Scalar, swapped?: boolean): CompareAndSet => (
  { type: 'compare-and-set', key, expected, value, ...(swapped === undefined ? {} : { swapped }) }
);

const operation = <M extends MicroOperation[]>(
  id: number, invokedAt: number, completedAt: number | null, outcome: Outcome, operations: M,
): Operation<M[number]> => ({ id, process: id, invokedAt, completedAt, outcome, operations });

export const ok = <M extends MicroOperation[]>(id: number, invokedAt: number, completedAt: number, ...operations: M): Operation<M[number]> => (
  operation(id, invokedAt, completedAt, 'ok', operations)
);
export const failed = <M extends MicroOperation[]>(id: number, invokedAt: number, completedAt: number, ...operations: M): Operation<M[number]> => (
  operation(id, invokedAt, completedAt, 'failed', operations)
);
export const unknown = <M extends MicroOperation[]>(id: number, invokedAt: number, ...operations: M): Operation<M[number]> => (
  operation(id, invokedAt, null, 'unknown', operations)
);
