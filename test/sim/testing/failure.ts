/** How a simulation that failed is reported: what went wrong, by which seed it comes again, and what led to it. */
import type { Entry, Trace } from '../trace.ts';

/** So much of the story is in the message; all that is kept of it is in `trace`. */
const linesInMessage = 40;

/** What `simulate` rejects with. The error of the function, if it was one, is the `cause`. */
export class SimulationFailed extends Error {
  /** The same seed with the same options and the same function fails in the same way. */
  readonly seed: string | number;
  /** Simulated milliseconds from the start of the cluster to the failure. */
  readonly simulatedMs: number;
  /** What happened up to then, a line each: calls of clients, faults, starts and ends of nodes, what these logged. */
  readonly trace: string;

  constructor(what: string, { seed, simulatedMs, story, cause }: { seed: string | number; simulatedMs: number; story: Story; cause?: unknown }) {
    const lines = story.lines();
    const last = lines.slice(-linesInMessage);
    const replay = `It happens again with seed: ${JSON.stringify(seed)} and the same options; where seeds() runs it, with DTP_SEED=${seed} in the environment.`;
    const told = last.length === 0 ? '' : `\nThe last of what happened (simulated ms, where, what):\n${last.join('\n')}`;
    super(`seed ${seed}: ${what}\n${replay}${told}`, cause === undefined ? undefined : { cause });
    this.name = 'SimulationFailed';
    this.seed = seed;
    this.simulatedMs = simulatedMs;
    this.trace = lines.join('\n');
  }
}

/** More than anybody reads. */
const entriesKept = 10_000;

/**
 * The entries of a trace that are worth telling: not what single connections and disks did, for frames and flushes outnumber everything else a
 * hundred to one, and would push the story out of any bounded trace.
 */
export class Story {
  #entries: Entry[] = [];

  constructor(trace: Trace) {
    trace.onEntry = (entry) => {
      if (/[>/]/.test(entry.where)) return;
      this.#entries.push(entry);
      if (this.#entries.length >= 2 * entriesKept) this.#entries = this.#entries.slice(-entriesKept);
    };
  }

  /** Forgets what was told so far. */
  clear(): void {
    this.#entries = [];
  }

  lines(): string[] {
    return this.#entries.slice(-entriesKept).map(lineOf);
  }
}

function lineOf({ atMs, where, what, detail }: Entry): string {
  const words = typeof detail === 'string' ? detail : `${detail.length} bytes`;
  return `${atMs.toFixed(3).padStart(12)} ${where.padEnd(6)} ${what} ${words}`.trimEnd();
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
