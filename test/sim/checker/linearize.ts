/**
 * Is there an order of these calls, true to real time, in which each does what it was seen to do?
 *
 * Linearizability of one object, decided by search (the problem is NP-complete, but calls overlap little). Wing & Gong: take any call that no other
 * call must precede, let it act on the state, go on with the rest, and go back when stuck. Lowe: remember each configuration (which calls have been
 * linearized, and the state) and never search one twice; and linearize just in time, only what the next return needs.
 *
 * Completed calls are kept in order of their returns. The first that is not linearized sets the *horizon*, its return: what was invoked up to there
 * may come next, and nothing else may. It is tried first itself, then those that overlap it. Calls that never returned are tried last, for only
 * another call's answer can ask for them. Linearized calls leave their list and come back on backtracking (dancing links).
 *
 * All calls before the horizon's own are linearized, so a configuration is that call's place, the few linearized beyond it, the linearized
 * ones of those that never returned, and the state.
 *
 * Two arguments of exchange spare most of the search:
 * - A call that never changes the state, and can come next, may as well do so: whatever order there is, moving it to the front leaves it one.
 *   So such a *read* is taken at once, and nothing else is ever tried in its place.
 * - Of two candidates that act alike, the one that must return first may as well be the first of the two.
 *
 * References: Wing & Gong, "Testing and Verifying Concurrent Objects", JPDC 1993; Lowe, "Testing for linearizability", CCPE 2017.
 */

export interface Call {
  readonly invokedAt: number;
  /** Infinity: it never returned, so it may be linearized at any time from its invocation, or never. */
  readonly returnedAt: number;
}

/** The sequential object. Its states are integers from 0 on; calls are meant by their position. */
export interface Machine {
  readonly initialState: number;
  /** The state after the call, or `impossible` where it can't have acted on `state`. */
  readonly step: (state: number, call: number) => number;
  /** Whether the call leaves every state as it is. */
  readonly isRead: (call: number) => boolean;
  /** Equal for calls that act alike on every state, save that one may have returned and another not. */
  readonly kindOf: (call: number) => number;
}

export const impossible = -1;

/** In place of a call's position. */
const endMark = -1;

export interface Linearization {
  /** undecided: `configurationsMax` was reached. */
  readonly outcome: 'linearizable' | 'stuck' | 'undecided';
  /** Positions of the calls in the order found; if there is none for all, in the one that gets furthest. */
  readonly order: readonly number[];
  /** The state after it. */
  readonly state: number;
  /** If stuck: the call that has no place after `order`, and the others that might have come next. */
  readonly stuckAt: number | undefined;
  readonly candidates: readonly number[];
}

/** Each takes about a hundred bytes and fifty microseconds. */
export const configurationsMaxDefault = 100_000;

export function linearize(calls: readonly Call[], machine: Machine, configurationsMax = configurationsMaxDefault): Linearization {
  return new Search(calls, machine).run(configurationsMax);
}

class Search {
  readonly #machine: Machine;
  /**
   * From here on calls are meant by *place*: the completed by return, an end mark, those that never returned by invocation, an end mark.
   * Each part is a ring of the calls not yet linearized, closed by its end mark.
   */
  readonly #callAt: readonly number[];
  readonly #completedEnd: number;
  readonly #pendingEnd: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #invokedAt: Float64Array;
  readonly #returnedAt: Float64Array;
  /** The least invocation from a place on: once it is beyond the horizon, so are all completed calls from there. */
  readonly #leastInvokedFrom: Float64Array;
  readonly #kind: Int32Array;
  readonly #isRead: readonly boolean[];

  readonly #isDone: Uint8Array;
  readonly #chosen: number[] = [];
  readonly #stateBefore: number[] = [];
  readonly #visited = new Set<string>();
  #state: number;
  #completedLeft: number;
  #best: Linearization;
  #bestLeft = Number.POSITIVE_INFINITY;

  constructor(calls: readonly Call[], machine: Machine) {
    const positions = [...calls.keys()];
    const hasReturned = (call: number): boolean => calls[call]!.returnedAt !== Number.POSITIVE_INFINITY;
    const completed = positions.filter(hasReturned).sort((a, b) => calls[a]!.returnedAt - calls[b]!.returnedAt);
    const pending = positions.filter((call) => !hasReturned(call)).sort((a, b) => calls[a]!.invokedAt - calls[b]!.invokedAt);
    this.#machine = machine;
    this.#callAt = [...completed, endMark, ...pending, endMark];
    this.#completedEnd = completed.length;
    this.#pendingEnd = this.#callAt.length - 1;
    this.#next = Int32Array.from(this.#callAt, (_, place) => place + 1);
    this.#previous = Int32Array.from(this.#callAt, (_, place) => place - 1);
    for (const [first, end] of [[0, this.#completedEnd], [this.#completedEnd + 1, this.#pendingEnd]] as const) {
      this.#next[end] = first;
      this.#previous[first] = end;
    }
    this.#invokedAt = Float64Array.from(this.#callAt, (call) => calls[call]?.invokedAt ?? Number.POSITIVE_INFINITY);
    this.#returnedAt = Float64Array.from(this.#callAt, (call) => calls[call]?.returnedAt ?? Number.POSITIVE_INFINITY);
    this.#leastInvokedFrom = this.#invokedAt.slice();
    for (let place = this.#completedEnd - 1; place >= 0; place -= 1) {
      this.#leastInvokedFrom[place] = Math.min(this.#invokedAt[place]!, this.#leastInvokedFrom[place + 1]!);
    }
    this.#kind = Int32Array.from(this.#callAt, (call) => (call === endMark ? -1 : machine.kindOf(call)));
    this.#isRead = this.#callAt.map((call) => call !== endMark && machine.isRead(call));
    this.#isDone = new Uint8Array(this.#callAt.length);
    this.#state = machine.initialState;
    this.#completedLeft = completed.length;
    this.#best = { outcome: 'stuck', order: [], state: this.#state, stuckAt: undefined, candidates: [] };
  }

  run(configurationsMax: number): Linearization {
    this.#takeReads();
    let candidate = this.#candidateFrom(this.#first);
    while (this.#completedLeft > 0) {
      if (candidate === this.#pendingEnd) {
        this.#keepIfBest();
        const undone = this.#undoChoice();
        if (undone === undefined) return this.#best;
        candidate = this.#candidateFrom(this.#next[undone]!);
        continue;
      }
      const after = this.#step(candidate);
      if (after === impossible || this.#hasTwinBefore(candidate)) {
        candidate = this.#candidateFrom(this.#next[candidate]!);
        continue;
      }
      this.#choose(candidate, after);
      this.#takeReads();
      if (this.#completedLeft === 0) break;
      // A configuration that nothing can follow is not worth remembering; one that is known has led nowhere.
      candidate = this.#leadsOn() && this.#isNew() ? this.#candidateFrom(this.#first) : this.#pendingEnd;
      if (this.#visited.size > configurationsMax) return { ...this.#best, outcome: 'undecided' };
    }
    return { outcome: 'linearizable', order: this.#order(), state: this.#state, stuckAt: undefined, candidates: [] };
  }

  /** The completed call that must be linearized by its return; completedEnd: all are. */
  get #first(): number {
    return this.#next[this.#completedEnd]!;
  }

  #step(place: number): number {
    return this.#machine.step(this.#state, this.#callAt[place]!);
  }

  /** The first candidate from `place` on, the end mark of the completed leading on to the pending; pendingEnd: there is none. */
  #candidateFrom(place: number): number {
    const horizon = this.#returnedAt[this.#first]!;
    let candidate = place;
    for (; candidate < this.#completedEnd && this.#leastInvokedFrom[candidate]! <= horizon; candidate = this.#next[candidate]!) {
      if (this.#invokedAt[candidate]! <= horizon) return candidate;
    }
    if (candidate <= this.#completedEnd) candidate = this.#next[this.#pendingEnd]!;
    return this.#invokedAt[candidate]! <= horizon ? candidate : this.#pendingEnd;
  }

  #hasTwinBefore(place: number): boolean {
    let other = this.#candidateFrom(this.#first);
    while (this.#kind[other] !== this.#kind[place]) other = this.#candidateFrom(this.#next[other]!);
    return other !== place;
  }

  #takeReads(): void {
    let place = this.#candidateFrom(this.#first);
    while (this.#completedLeft > 0 && place !== this.#pendingEnd) {
      const after = this.#isRead[place] ? this.#step(place) : impossible;
      if (after === impossible) {
        place = this.#candidateFrom(this.#next[place]!);
      } else {
        this.#choose(place, after);
        place = this.#candidateFrom(this.#first);
      }
    }
  }

  #leadsOn(): boolean {
    let place = this.#candidateFrom(this.#first);
    while (place !== this.#pendingEnd && this.#step(place) === impossible) place = this.#candidateFrom(this.#next[place]!);
    return place !== this.#pendingEnd;
  }

  #choose(place: number, after: number): void {
    this.#chosen.push(place);
    this.#stateBefore.push(this.#state);
    this.#state = after;
    this.#next[this.#previous[place]!] = this.#next[place]!;
    this.#previous[this.#next[place]!] = this.#previous[place]!;
    this.#isDone[place] = 1;
    if (place < this.#completedEnd) this.#completedLeft -= 1;
  }

  /** Takes back the last choice, with the reads that followed from it. Returns its place; undefined: there was none left. */
  #undoChoice(): number | undefined {
    let place: number | undefined;
    do {
      place = this.#chosen.pop();
      if (place === undefined) return undefined;
      this.#state = this.#stateBefore.pop()!;
      this.#next[this.#previous[place]!] = place;
      this.#previous[this.#next[place]!] = place;
      this.#isDone[place] = 0;
      if (place < this.#completedEnd) this.#completedLeft += 1;
    } while (this.#isRead[place]);
    return place;
  }

  #isNew(): boolean {
    const first = this.#first;
    const horizon = this.#returnedAt[first]!;
    let configuration = `${first}:${this.#state}`;
    for (let place = first + 1; this.#leastInvokedFrom[place]! <= horizon; place += 1) {
      if (this.#isDone[place] === 1) configuration += `,${place}`;
    }
    for (let place = this.#completedEnd + 1; this.#invokedAt[place]! <= horizon; place += 1) {
      if (this.#isDone[place] === 1) configuration += `,${place}`;
    }
    const known = this.#visited.size;
    return this.#visited.add(configuration).size > known;
  }

  #order(): number[] {
    return this.#chosen.map((place) => this.#callAt[place]!);
  }

  #keepIfBest(): void {
    if (this.#completedLeft >= this.#bestLeft) return;
    this.#bestLeft = this.#completedLeft;
    const candidates: number[] = [];
    for (let place = this.#candidateFrom(this.#first); place !== this.#pendingEnd; place = this.#candidateFrom(this.#next[place]!)) {
      if (place !== this.#first) candidates.push(this.#callAt[place]!);
    }
    this.#best = { outcome: 'stuck', order: this.#order(), state: this.#state, stuckAt: this.#callAt[this.#first]!, candidates };
  }
}
