/** Whether the store takes in new work: at once, when there is room, or not until its disk is well again; and who waits for that. */
import type { Log } from '../runtime/runtime.ts';
import { Room } from './room.ts';
import type { Trouble } from './trouble.ts';

export interface IntakeOptions {
  readonly trouble: Trouble;
  readonly log: Log;
  /** No room is left. */
  readonly isFull: () => boolean;
  readonly defer: (action: () => void) => void;
}

export class Intake {
  readonly room: Room;
  /** Called when work is taken in again that had been refused. */
  onRelief: () => void = () => {};
  readonly #options: IntakeOptions;
  /** What waits until then. */
  readonly #waiting: (() => void)[] = [];
  /** Somebody was told of a refusal, and will be told of its end. */
  #refusing = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.room = new Room(options.isFull, options.defer);
  }

  /** Why no new work may be taken in, however long it would wait, in words; null while it may. The disk takes no journal, or no table and there is no room. */
  get refusal(): string | null {
    const { trouble, isFull } = this.#options;
    const words = trouble.of('journal') ?? (isFull() ? trouble.of('table') : null);
    if (words !== null) this.#refusing = true;
    return words;
  }

  /** Runs the action when there is no refusal, now if there is none. */
  whenAccepting(action: () => void): void {
    if (this.refusal === null) action();
    else this.#waiting.push(action);
  }

  /** There may be room again, or a disk that takes what it is given. */
  relieve(): void {
    this.room.give();
    if (!this.#refusing || this.refusal !== null) return;
    this.#refusing = false;
    this.#options.log.info({}, 'work is taken in again');
    for (const action of this.#waiting.splice(0)) action();
    this.onRelief();
  }
}
