/**
 * Judges small histories by trying every order: slow, and too simple to be wrong.
 *
 * A history is right if some of its transactions, all that are ok and any of those whose outcome is unknown, can be put in an order that
 * real time allows and in which each sees what it saw.
 */

import type { MicroOperation, Operation, Scalar, Element } from '../../sim/checker/history.ts';

type State = ReadonlyMap<string, Scalar | readonly Element[]>;

export function isStrictlySerializable(history: readonly Operation[], initial: State = new Map()): boolean {
  const possible = history.filter(({ outcome }) => outcome !== 'failed');
  const search = (left: readonly Operation[], state: State): boolean => {
    const mustCome = left.filter(({ outcome }) => outcome === 'ok');
    if (mustCome.length === 0) return true;
    return left.some((next) => {
      if (mustCome.some((other) => other.completedAt! < next.invokedAt)) return false;
      const after = applied(next, state);
      return after !== undefined && search(left.filter((other) => other !== next), after);
    });
  };
  return search(possible, initial);
}

function applied({ operations }: Operation, before: State): State | undefined {
  const state = new Map(before);
  return operations.every((micro) => act(micro, state)) ? state : undefined;
}

/** Whether it can have seen what it saw. */
function act(micro: MicroOperation, state: Map<string, Scalar | readonly Element[]>): boolean {
  const now = state.get(micro.key);
  const elements = Array.isArray(now) ? now : [];
  switch (micro.type) {
    case 'append':
      state.set(micro.key, [...elements, micro.element]);
      return true;
    case 'read-list':
      return micro.list === undefined || JSON.stringify(micro.list) === JSON.stringify(elements);
    case 'read':
      return micro.value === undefined || micro.value === (now ?? null);
    case 'write':
      state.set(micro.key, micro.value);
      return true;
    case 'compare-and-set': {
      const swaps = (now ?? null) === micro.expected;
      if (swaps) state.set(micro.key, micro.value);
      return micro.swapped === undefined || micro.swapped === swaps;
    }
    case 'add':
      state.set(micro.key, Number(now ?? 0) + micro.delta);
      return true;
  }
}
