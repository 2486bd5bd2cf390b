/** When a checkpoint is taken, and what waits for the end of one. */
import type { Timer } from '../../client/wire/environment.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { takeCheckpoint, type CheckpointParts } from './checkpoint.ts';
import { Spread } from './spread.ts';
import type { JournalOwner, Rest, StoreOptions } from './types.ts';

export interface CheckpointsEnvironment {
  readonly runtime: Runtime;
  readonly options: StoreOptions;
  readonly owner: JournalOwner;
  readonly parts: Pick<CheckpointParts, 'versions' | 'journal' | 'doubts' | 'write'>;
  /** Of the store, for whoever gets hold of what is in the table. */
  readonly identity: () => Rest['identity'];
  /** One has ended: there is room again. */
  ended(): void;
}

type AtRest = (rest: Rest, resume: () => void) => void;

export class Checkpoints {
  readonly #environment: CheckpointsEnvironment;
  readonly #spread: Spread;
  /** `new`, `held`: none may begin. */
  #state: 'new' | 'none' | 'asked' | 'running' | 'held' = 'new';
  /** None but a last one may begin. */
  #isEnding = false;
  /** Records were appended since the last one began, so the owner's state may have changed. */
  #appended = false;
  #timer: Timer | null = null;
  /** Instead of going on after the one that is running. */
  #onEnd: (() => void) | null = null;
  /** At the end of the next one that begins, one after another. */
  #whenAtRest: AtRest[] = [];
  /** Bytes of journal written when the records carried by the last one were. */
  #carriedAtBytes = 0;
  #beganAtMs = 0;
  #endedAtMs: number | null = null;
  #checkpoints = 0;
  #checkpointKeys = 0;
  #lastCheckpointMs = 0;

  constructor(environment: CheckpointsEnvironment) {
    this.#environment = environment;
    const { runtime, options: { checkpointIntervalMs } } = environment;
    this.#spread = new Spread(runtime, checkpointIntervalMs, () => this.#filled);
  }

  /** Once the store is open. */
  begin(): void {
    this.#state = 'none';
    this.#rest();
  }

  /** The owner's state may have changed. */
  appended(): void {
    this.#appended = true;
  }

  /** To be called when something was taken in, and now and then. */
  look(): void {
    if (this.#filled >= 1) this.#ask();
  }

  /** See `Store.atRest`. */
  atRest(action: AtRest): void {
    this.#whenAtRest.push(action);
    this.#spread.hurry();
    this.#ask();
  }

  /** Takes a last one if there is anything to be taken, and none any more. */
  finish(done: () => void): void {
    this.#isEnding = true;
    this.#timer?.cancel();
    const last = (): void => {
      if (!this.#isDue) return done();
      this.#onEnd = done;
      this.#take();
    };
    if (this.#state !== 'running' && this.#state !== 'held') return last();
    this.#onEnd = last;
    this.#spread.hurry();
  }

  /** Gives up the one that is running. */
  stop(): void {
    this.#isEnding = true;
    this.#timer?.cancel();
    this.#spread.cancel();
  }

  get stats(): { readonly checkpoints: number; readonly checkpointKeys: number; readonly lastCheckpointMs: number; readonly sinceCheckpointMs: number | null } {
    const sinceCheckpointMs = this.#endedAtMs === null ? null : Math.round(this.#nowMs - this.#endedAtMs);
    return { checkpoints: this.#checkpoints, checkpointKeys: this.#checkpointKeys, lastCheckpointMs: this.#lastCheckpointMs, sinceCheckpointMs };
  }

  get #nowMs(): number {
    return this.#environment.runtime.clock.monotonicMs();
  }

  /** Is there anything that one would change? */
  get #isDue(): boolean {
    const { versions, journal, doubts } = this.#environment.parts;
    return this.#appended || !versions.overlay.isActiveEmpty || journal.oldest < journal.segment || doubts.changed;
  }

  /** Which share is used up of what may fill until the next one: half of the overlay, for while that half is written the other one fills; a quarter of the journal's bound. */
  get #filled(): number {
    const { options: { overlayBytesMax, journalBytesMax }, parts: { versions, journal } } = this.#environment;
    return Math.max((versions.overlay.activeBytes * 2) / overlayBytesMax, ((journal.bytesWritten - this.#carriedAtBytes) * 4) / journalBytesMax);
  }

  /** For the end of the turn: right now the owner may be in the middle of a record's effects. */
  #ask(): void {
    if (this.#state !== 'none' || this.#isEnding) return;
    this.#state = 'asked';
    this.#environment.runtime.defer(() => {
      if (this.#state === 'asked' && !this.#isEnding) this.#take();
    });
  }

  #take(): void {
    const { parts, options, owner, ended } = this.#environment;
    this.#beganAtMs = this.#nowMs;
    this.#state = 'running';
    this.#appended = false;
    this.#timer?.cancel();
    const whenAtRest = this.#whenAtRest.splice(0);
    this.#spread.begin(this.#isEnding || whenAtRest.length > 0);
    const pause = (written: number, next: () => void): void => this.#spread.pause(written, next);
    takeCheckpoint({ ...parts, sliceKeys: options.checkpointSliceKeys, pause }, owner, (rows) => {
      this.#checkpoints++;
      this.#checkpointKeys += rows;
      this.#endedAtMs = this.#nowMs;
      this.#lastCheckpointMs = this.#endedAtMs - this.#beganAtMs;
      this.#hold(whenAtRest);
      ended();
    });
    parts.journal.whenDurable(() => (this.#carriedAtBytes = parts.journal.bytesWritten));
  }

  #hold([first, ...others]: readonly AtRest[]): void {
    if (this.#onEnd !== null || first === undefined) return this.#goOn();
    this.#state = 'held';
    const { parts: { versions }, identity } = this.#environment;
    first({ table: versions.table, identity: identity(), digest: versions.tableDigests.whole() }, () => this.#hold(others));
  }

  /** One has ended, and nobody holds the next one. */
  #goOn(): void {
    this.#state = 'none';
    const next = this.#onEnd;
    this.#onEnd = null;
    if (next !== null) next();
    else this.#rest();
  }

  /** Until the next one, which comes at once if the overlay filled up meanwhile; else an interval after the last one began, if that did not take most of it. */
  #rest(): void {
    if (this.#filled >= 1 || this.#whenAtRest.length > 0) return this.#ask();
    const { runtime, options: { checkpointIntervalMs } } = this.#environment;
    this.#timer = runtime.after(checkpointIntervalMs - Math.min(this.#lastCheckpointMs, checkpointIntervalMs / 2), () => (this.#isDue ? this.#take() : this.#rest()));
  }
}
