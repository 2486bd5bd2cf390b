/** Counterexamples of a depth-first search are long. Whatever can be left out is. */
import type { Violation } from './search.ts';
import { Settling } from './settle.ts';
import type { Action, Faults, State, World } from './world.ts';

/** The same violation, or another, by fewer actions. */
export function shorten(world: World, faults: Faults, violation: Violation): Violation {
  let best = violation;
  const replay = (actions: readonly Action[]): Violation | null => {
    let state = world.initial(faults);
    const done: Action[] = [];
    for (const code of actions) {
      if (!mayHappen(world, state, code)) continue;
      const next = state.slice();
      done.push(code);
      const fault = world.apply(state, code, next);
      if (fault !== null) return { fault, actions: done, chosen: done.length };
      state = next;
    }
    const trouble = new Settling(world).settle(state);
    return trouble === null ? null : { fault: trouble.fault, actions: [...done, ...trouble.actions], chosen: done.length };
  };
  for (let size = best.chosen >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < best.chosen;) {
      const chosen = best.actions.slice(0, best.chosen);
      const shorter = replay([...chosen.slice(0, at), ...chosen.slice(at + size)]);
      if (shorter === null || shorter.chosen >= best.chosen) at += size;
      else best = shorter;
    }
  }
  return best;
}

function mayHappen(world: World, state: State, code: Action): boolean {
  const actions: Action[] = [];
  world.ordinaryActions(state, actions);
  world.timerActions(state, actions);
  world.faultActions(state, actions);
  return actions.includes(code);
}
