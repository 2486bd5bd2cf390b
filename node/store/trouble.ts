/**
 * How the disk is, as far as its writes tell: each of its parts, the journal and the table, is sound, or failing since some write was
 * refused, or stalled while one takes far too long. It comes back by itself: what failed is written again, with pauses, until
 * the disk takes it.
 */
import type { Clock } from '../../client/wire/environment.ts';
import type { Log } from '../runtime/runtime.ts';

export type DiskPart = 'journal' | 'table';

/**
 * A write that takes longer is waited for no more by those who could do without us: other nodes give up on a vote
 * after as long. A busy disk flushes within tenths of a second.
 */
const stalledAfterMs = 2_000;
/** Between attempts: a write that failed for a passing reason costs little, a disk that stays full is not kept busy. */
const pauseMs = { first: 50, most: 2_000 } as const;

interface Part {
  /** When the write under way began; null if there is none. */
  writingSinceMs: number | null;
  failuresInRow: number;
  failures: number;
  /** Since when it is in trouble; null while it is sound. */
  sinceMs: number | null;
  problem: string;
}

/** As `dtp status` shows it. */
export interface DiskStatus {
  readonly state: 'sound' | 'failing' | 'stalled';
  /** Which part is in trouble, and why, in words; null while all is sound. */
  readonly part: DiskPart | null;
  readonly problem: string | null;
  readonly forMs: number;
  /** The age of the oldest write under way. */
  readonly oldestWriteMs: number;
  readonly oldestTableWriteMs: number;
  /** Writes that the disk refused, of each part, and how often there was trouble. */
  readonly journalFailures: number;
  readonly tableFailures: number;
  readonly troubles: number;
}

export class Trouble {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #parts: Record<DiskPart, Part> = { journal: sound(), table: sound() };
  #troubles = 0;

  /** `changed` is called when a part gets into trouble or out of it. */
  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }, changed: () => void) {
    this.#clock = clock;
    this.#log = log;
    this.#changed = changed;
  }

  /** Why the part takes no writes, in words; null while it does. */
  of(name: DiskPart): string | null {
    const { sinceMs, problem } = this.#parts[name];
    return sinceMs === null ? null : `the ${name} can’t be written: ${problem}`;
  }

  get status(): DiskStatus {
    const { journal, table } = this.#parts;
    const part = journal.sinceMs !== null ? 'journal' : table.sinceMs !== null ? 'table' : null;
    const now = this.#clock.monotonicMs();
    const age = ({ writingSinceMs }: Part): number => (writingSinceMs === null ? 0 : now - writingSinceMs);
    const { failuresInRow, sinceMs, problem } = this.#parts[part ?? 'journal'];
    return {
      state: part === null ? 'sound' : failuresInRow > 0 ? 'failing' : 'stalled',
      part,
      problem: part === null ? null : problem,
      forMs: sinceMs === null ? 0 : Math.round(now - sinceMs),
      oldestWriteMs: Math.round(Math.max(age(journal), age(table))),
      oldestTableWriteMs: Math.round(age(table)),
      journalFailures: journal.failures,
      tableFailures: table.failures,
      troubles: this.#troubles,
    };
  }

  /** A write begins; at most one of a part is under way. */
  began(name: DiskPart): void {
    this.#parts[name].writingSinceMs = this.#clock.monotonicMs();
  }

  /** It is durable. */
  succeeded(name: DiskPart): void {
    const part = this.#parts[name];
    const { sinceMs } = part;
    Object.assign(part, { writingSinceMs: null, failuresInRow: 0, sinceMs: null });
    if (sinceMs === null) return;
    this.#log.info({ part: name, forMs: Math.round(this.#clock.monotonicMs() - sinceMs) }, 'the disk takes writes again');
    this.#changed();
  }

  /** It was refused. Returns the pause, in ms, until it is to be tried again. */
  failed(name: DiskPart, error: unknown): number {
    const part = this.#parts[name];
    part.writingSinceMs = null;
    part.failures++;
    part.failuresInRow++;
    this.#begin(name, error instanceof Error ? error.message : String(error));
    return Math.min(pauseMs.most, pauseMs.first * 2 ** Math.min(part.failuresInRow - 1, 10));
  }

  /** Notices writes that don't come to an end. To be called now and then. */
  tick(): void {
    for (const name of ['journal', 'table'] as const) {
      const { writingSinceMs } = this.#parts[name];
      if (writingSinceMs !== null && this.#clock.monotonicMs() - writingSinceMs >= stalledAfterMs) this.#begin(name, `a write has not ended for more than ${stalledAfterMs} ms`);
    }
  }

  #begin(name: DiskPart, problem: string): void {
    const part = this.#parts[name];
    const isNew = part.sinceMs === null;
    if (part.problem !== problem || isNew) this.#log.warn({ part: name, problem }, 'the disk takes no writes');
    part.problem = problem;
    if (!isNew) return;
    part.sinceMs = this.#clock.monotonicMs();
    this.#troubles++;
    this.#changed();
  }
}

function sound(): Part {
  return { writingSinceMs: null, failuresInRow: 0, failures: 0, sinceMs: null, problem: '' };
}
