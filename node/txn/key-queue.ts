/**
 * The coordinator's queue: transactions on the same keys wait their turn here instead of aborting one another at the replicas.
 * A transaction has its turn when nobody has it who conflicts with it at one of its keys; readers share.
 *
 * First come, first served, strictly, would waste most of what the keys could bear: who is first at one key and waits for
 * another would keep that one idle, and those behind it theirs. So whoever may go at once goes, also past others that wait -
 * but nobody is passed by more than so many: from then on all who conflict with it and came later wait until it has had its
 * turn. On ten keys, with transactions of two, that doubles what goes on at once, and the longest wait gets shorter.
 *
 * The first of all who wait is passed by nobody for ever and waits for nobody but those whose turn it is, so nobody waits in a
 * circle. This is a courtesy among transactions that happen to meet in one process. Safety never depends on it.
 */
import type { Key } from '../../client/wire/messages.ts';

export interface Place {
  /** Each key once. */
  readonly keys: readonly Key[];
  /** Parallel to `keys`. */
  readonly exclusive: readonly boolean[];
  /** Called when the place has its turn: during `enter`, or later when somebody leaves. */
  onTurn: () => void;
}

/** So often one who waits is passed. */
export const passedMax = 16;
/** How many of those who wait for a key are looked at when somebody leaves it; the others have these before them. */
export const lookedAtMax = 32;

interface Guest {
  readonly place: Place;
  /** In order of arrival. */
  readonly order: number;
  hasTurn: boolean;
  passed: number;
}

interface Waiter {
  readonly guest: Guest;
  readonly exclusive: boolean;
}

interface Line {
  /** Those whose turn it is: one, or readers. */
  using: number;
  exclusive: boolean;
  /** In order of arrival. */
  readonly waiting: Waiter[];
}

export class KeyQueue {
  readonly #lines = new Map<Key, Line>();
  readonly #guests = new Map<Place, Guest>();
  #lastOrder = 0;
  /** Whose turn it is and who does not know yet; null while nobody is being told. */
  #ready: Guest[] | null = null;

  /** Returns the first of its keys at which others come before it; null if it has its turn. */
  enter(place: Place): Key | null {
    const guest: Guest = { place, order: ++this.#lastOrder, hasTurn: false, passed: 0 };
    this.#guests.set(place, guest);
    place.keys.forEach((key, i) => this.#lineOf(key).waiting.push({ guest, exclusive: place.exclusive[i] as boolean }));
    const obstacle = this.#obstacleOf(guest);
    if (obstacle !== null) return obstacle;
    this.#giveTurn(guest);
    place.onTurn();
    return null;
  }

  leave(place: Place): void {
    const guest = this.#guests.get(place);
    if (guest === undefined) return;
    this.#guests.delete(place);
    for (const key of place.keys) {
      const line = this.#lines.get(key) as Line;
      if (guest.hasTurn) line.using--;
      else removeFrom(line, guest);
      if (line.using === 0 && line.waiting.length === 0) this.#lines.delete(key);
    }
    const ready = this.#ready ?? [];
    this.#giveTurns(place.keys, ready);
    // Whoever gets the turn may leave at once, and so may the next: told one within the other, a long queue would exhaust the stack.
    if (this.#ready !== null) return;
    this.#ready = ready;
    for (const next of ready) if (this.#guests.get(next.place) === next) next.place.onTurn();
    this.#ready = null;
  }

  /** To all who wait for one of these keys, and for nobody any more; the first first. */
  #giveTurns(keys: readonly Key[], ready: Guest[]): void {
    const candidates = new Set<Guest>();
    for (const key of keys) {
      const line = this.#lines.get(key);
      if (line === undefined || (line.using > 0 && line.exclusive)) continue;
      for (let i = 0; i < line.waiting.length && i < lookedAtMax; i++) candidates.add((line.waiting[i] as Waiter).guest);
    }
    for (const guest of [...candidates].sort((a, b) => a.order - b.order)) {
      if (this.#obstacleOf(guest) !== null) continue;
      this.#giveTurn(guest);
      ready.push(guest);
    }
  }

  /** The first of its keys that it may not have now; null if there is none. */
  #obstacleOf(guest: Guest): Key | null {
    const { keys, exclusive } = guest.place;
    for (let i = 0; i < keys.length; i++) {
      const { using, exclusive: isUsedAlone, waiting } = this.#lines.get(keys[i] as Key) as Line;
      if (using > 0 && (isUsedAlone || exclusive[i] === true)) return keys[i] as Key;
      for (let w = 0; waiting[w]?.guest !== guest; w++) {
        const before = waiting[w] as Waiter;
        if (w === lookedAtMax || (before.guest.passed >= passedMax && (before.exclusive || exclusive[i] === true))) return keys[i] as Key;
      }
    }
    return null;
  }

  #giveTurn(guest: Guest): void {
    guest.hasTurn = true;
    const { keys, exclusive } = guest.place;
    for (let i = 0; i < keys.length; i++) {
      const line = this.#lines.get(keys[i] as Key) as Line;
      line.using++;
      line.exclusive = exclusive[i] as boolean;
      const before = removeFrom(line, guest);
      for (let w = 0; w < before; w++) {
        const waiter = line.waiting[w] as Waiter;
        if (waiter.exclusive || line.exclusive) waiter.guest.passed++;
      }
    }
  }

  #lineOf(key: Key): Line {
    let line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, (line = { using: 0, exclusive: false, waiting: [] }));
    return line;
  }
}

/** Returns how many came before. */
function removeFrom({ waiting }: Line, guest: Guest): number {
  const before = waiting.findIndex((waiter) => waiter.guest === guest);
  waiting.splice(before, 1);
  return before;
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
