/**
 * The numbers of this life's transactions. Clients draw them from ranges granted to their sessions, so that a client
 * knows its transaction's name before the coordinator does: if the coordinator dies, it can ask anybody.
 *
 * A session is granted more before it has used up what it has, and until it begins with them, its old numbers count: some
 * may be under way. Within a session they come in ascending order.
 *
 * A number that was granted and not used holds the watermark back. Therefore a session that lags, be it slow or idle,
 * loses its numbers and gets new ones, and so does one that ended: a commit under a void number is refused.
 */
const rangeSize = 1_024;
/** A range is void after this many transactions of all sessions: so many, and no more, are remembered because of one that is slow. */
const lagMax = 16 * rangeSize;

interface Range {
  next: number;
  readonly end: number;
  /** How many numbers had been taken when it was granted. */
  readonly takenBefore: number;
}

export class Numbers<Holder> {
  /** In order of their numbers; none is empty. */
  readonly #ranges = new Map<Holder, Range[]>();
  #next = 1;
  #taken = 0;

  /** The lowest number that was never granted. */
  get next(): number {
    return this.#next;
  }

  /** A further range for this holder. */
  grant(holder: Holder): { first: number; count: number } {
    const range = { next: this.#next, end: this.#next + rangeSize, takenBefore: this.#taken };
    this.#next = range.end;
    const ranges = this.#ranges.get(holder);
    if (ranges === undefined) this.#ranges.set(holder, [range]);
    else ranges.push(range);
    return { first: range.next, count: rangeSize };
  }

  /** Uses a number. False if it was never granted to this holder, or is void or used. Those below that it skips are void. */
  take(holder: Holder, number: number): boolean {
    const ranges = this.#ranges.get(holder) ?? [];
    const at = ranges.findIndex(({ next, end }) => number >= next && number < end);
    const range = ranges[at];
    if (range === undefined) return false;
    range.next = number + 1;
    ranges.splice(0, range.next < range.end ? at : at + 1);
    this.#taken++;
    return true;
  }

  /** Should this holder get a further range now, because it has few numbers left? */
  wants(holder: Holder): boolean {
    const ranges = this.#ranges.get(holder);
    return ranges !== undefined && ranges.reduce((left, { next, end }) => left + end - next, 0) < rangeSize / 2;
  }

  /** Takes their numbers from those that hold the watermark back, and says who they are: they should get new ones. */
  revokeLagging(): Holder[] {
    const lagging: Holder[] = [];
    for (const [holder, [first]] of this.#ranges) if (first !== undefined && this.#taken - first.takenBefore > lagMax) lagging.push(holder);
    for (const holder of lagging) this.revoke(holder);
    return lagging;
  }

  revoke(holder: Holder): void {
    this.#ranges.delete(holder);
  }

  /** All numbers below this one are used or void. */
  get lowestUnused(): number {
    let lowest = this.#next;
    for (const [first] of this.#ranges.values()) if (first !== undefined) lowest = Math.min(lowest, first.next);
    return lowest;
  }
}
