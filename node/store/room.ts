/** The actions that wait until the store has room again, in order. How many may wait is for those who wait to bound. */

/** Each may start a transaction, so only so many are run before other input gets its turn. */
const actionsPerTurn = 256;

export class Room {
  readonly #isFull: () => boolean;
  readonly #defer: (action: () => void) => void;
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;

  constructor(isFull: () => boolean, defer: (action: () => void) => void) {
    this.#isFull = isFull;
    this.#defer = defer;
  }

  /** Runs the action now if there is room and nobody is before it. */
  wait(action: () => void): void {
    if (this.#waiting.length === 0 && !this.#isFull()) action();
    else this.#waiting.push(action);
  }

  /** There may be room: runs those who wait until it is gone. */
  give(): void {
    if (this.#waiting.length === 0) return;
    for (let i = 0; i < actionsPerTurn && this.#waiting.length > 0 && !this.#isFull(); i++) (this.#waiting.shift() as () => void)();
    if (this.#waiting.length === 0 || this.#isFull() || this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(() => {
      this.#scheduled = false;
      this.give();
    });
  }
}
