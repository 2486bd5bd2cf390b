/**
 * From a state in which nothing is under way: when faults are over and every timer fires now and then, does all come to
 * an end? Sessions open, everything is delivered, and one timer after another fires, until nobody waits for anything.
 * Recoverers that fire one after the other don't duel; that they may, and for how long, is a matter of chance.
 */
import { UNDECIDED } from '../../../client/wire/messages.ts';
import { Fingerprints } from './fingerprints.ts';
import { Act, actOf, firstOf, secondOf, type Action, type State, type World } from './world.ts';

/** Far more than any state ever takes. */
const stepsMax = 500;

export class Settling {
  readonly #world: World;
  /** From these all comes to an end. */
  readonly #good = new Fingerprints();
  /** How many states were begun with. */
  count = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Null if all comes to an end, or what keeps it from that, and the way there. */
  settle(from: State): { fault: string; actions: Action[] } | null {
    let state = this.#world.withoutFaults(from);
    if (this.#good.has(state)) return null;
    this.count++;
    const passed = [state.slice()];
    const mine = new Fingerprints(64);
    mine.add(state);
    const isWell = (): null => {
      for (const each of passed) this.#good.add(each);
      return null;
    };
    const actions: Action[] = [];
    let next: State = state.slice();
    for (let step = 0; step < stepsMax; step++) {
      const code = this.#next(state);
      if (code === null) {
        const fault = this.#endFault(state);
        return fault === null ? isWell() : { fault, actions };
      }
      actions.push(code);
      const fault = this.#world.apply(state, code, next, true);
      if (fault !== null) return { fault, actions };
      [state, next] = [next, state];
      if (actOf(code) === Act.deliver) continue;
      if (this.#good.has(state)) return isWell();
      if (!mine.add(state)) return { fault: `without faults it goes round in circles, and somebody still waits: ${this.#waiting(state)}`, actions };
      passed.push(state.slice());
    }
    return { fault: `after ${stepsMax} steps without faults somebody still waits: ${this.#waiting(state)}`, actions };
  }

  #next(state: State): Action | null {
    const world = this.#world;
    const actions: Action[] = [];
    world.ordinaryActions(state, actions);
    const ordinary = actions.find((code) => actOf(code) !== Act.start);
    if (ordinary !== undefined) return ordinary;
    const timers: Action[] = [];
    world.timerActions(state, timers);
    const expired = timers.find((code) => actOf(code) === Act.expire);
    if (expired !== undefined) return expired;
    const recoveries: Action[] = [];
    world.recoveryActions(state, recoveries);
    const again = recoveries.find((code) => actOf(code) === Act.handOver) ?? recoveries.find((code) => actOf(code) === Act.retry);
    if (again !== undefined) return again;
    // Replicas recover what holds locks of theirs.
    return recoveries.find((code) => actOf(code) === Act.recover && (world.view(state, firstOf(code)).locked & (1 << secondOf(code))) !== 0) ?? null;
  }

  #endFault(state: State): string | null {
    const waiting = this.#waiting(state);
    return waiting === '' ? null : `nothing is left to happen, and somebody still waits: ${waiting}`;
  }

  #waiting(state: State): string {
    const { nodes, plans } = this.#world.scope;
    const waiting = nodes.flatMap((node, i) => (this.#world.view(state, i).idle ? [] : [node]));
    const undecided = plans.flatMap((_plan, i) => (this.#world.decisionOf(state, i) === UNDECIDED && this.#world.isBegun(state, i) ? [`T${i + 1}`] : []));
    return waiting.length === 0 ? '' : `${waiting.join(', ')}${undecided.length > 0 ? `; ${undecided.join(', ')} undecided` : ''}`;
  }
}

