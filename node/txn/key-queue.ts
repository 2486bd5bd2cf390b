/**
 * The coordinator's queue: transactions on the same keys wait their turn here, in order of arrival, instead of aborting one
 * another at the replicas. First come, first served per key; readers share. A transaction enters all its queues in one
 * step, so the order is the same in each of them and nobody can wait in a circle.
 *
 * This is a courtesy among transactions that happen to meet in one process. Safety never depends on it.
 */
import type { Key } from '../../client/wire/messages.ts';

export interface Place {
  /** Each key once. */
  readonly keys: readonly Key[];
  /** Parallel to `keys`. */
  readonly exclusive: readonly boolean[];
  /** Called when the place is at the head of all its queues: during `enter`, or later when somebody leaves. */
  onTurn: () => void;
}

interface Waiter {
  readonly place: Place;
  readonly exclusive: boolean;
  granted: boolean;
}

export class KeyQueue {
  readonly #queues = new Map<Key, Waiter[]>();
  /** How many queues a place is not at the head of yet. */
  readonly #missing = new Map<Place, number>();
  /** Whose turn it is and who does not know yet; null while nobody is being told. */
  #ready: Place[] | null = null;

  /** Returns the first of its keys at which others come before it; null if there is none. */
  enter(place: Place): Key | null {
    let missing = 0;
    let behind: Key | null = null;
    for (let i = 0; i < place.keys.length; i++) {
      const key = place.keys[i] as Key;
      const exclusive = place.exclusive[i] as boolean;
      let queue = this.#queues.get(key);
      if (queue === undefined) this.#queues.set(key, (queue = []));
      const granted = queue.length === 0 || (!exclusive && queue.every((waiter) => !waiter.exclusive));
      queue.push({ place, exclusive, granted });
      if (granted) continue;
      behind ??= key;
      missing++;
    }
    this.#missing.set(place, missing);
    if (missing === 0) place.onTurn();
    return behind;
  }

  leave(place: Place): void {
    if (!this.#missing.delete(place)) return;
    const ready = this.#ready ?? [];
    for (const key of place.keys) {
      const queue = this.#queues.get(key) as Waiter[];
      queue.splice(queue.findIndex((waiter) => waiter.place === place), 1);
      if (queue.length === 0) this.#queues.delete(key);
      else this.#grant(queue, ready);
    }
    // Whoever gets the turn may leave at once, and so may the next: told one within the other, a long queue would exhaust the stack.
    if (this.#ready !== null) return;
    this.#ready = ready;
    for (const next of ready) if (this.#missing.get(next) === 0) next.onTurn();
    this.#ready = null;
  }

  /** Lets the first in, and with a reader all readers right behind it. */
  #grant(queue: readonly Waiter[], ready: Place[]): void {
    for (const waiter of queue) {
      if (waiter.exclusive && waiter !== queue[0]) return;
      if (!waiter.granted) {
        waiter.granted = true;
        const missing = (this.#missing.get(waiter.place) as number) - 1;
        this.#missing.set(waiter.place, missing);
        if (missing === 0) ready.push(waiter.place);
      }
      if (waiter.exclusive) return;
    }
  }
}

/** A place for reads and writes; a key that is both is exclusive. */
export function placeFor(readKeys: Iterable<Key>, writeKeys: Iterable<Key>, onTurn: () => void): Place {
  const modes = new Map<Key, boolean>();
  for (const key of readKeys) modes.set(key, false);
  for (const key of writeKeys) modes.set(key, true);
  return { keys: [...modes.keys()], exclusive: [...modes.values()], onTurn };
}

/** Does holding `held` entitle to all that `wanted` asks for? */
export function covers(held: Place, wanted: Place): boolean {
  return wanted.keys.every((key, i) => {
    const at = held.keys.indexOf(key);
    return at >= 0 && (held.exclusive[at] === true || wanted.exclusive[i] === false);
  });
}
