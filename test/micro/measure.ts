/** How long a small piece of work takes, so often repeated that a clock can tell. */

export interface Micro {
  readonly part: string;
  readonly unit: 'ns' | 'per second';
  /** The median of the runs, and the quartiles. */
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
}

const runs = 7;
const warmUpMs = 100;
const runMs = 100;

export function microOf(part: string, unit: Micro['unit'], values: readonly number[]): Micro {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number;
  return { part, unit, median: at(0.5), lower: at(0.25), upper: at(0.75) };
}

/** `work` gets a number that grows from call to call; what it returns is kept, so that no compiler leaves the work out. */
export function timed(part: string, work: (i: number) => unknown): Micro {
  let i = 0;
  let kept: unknown;
  const run = (forMs: number): number => {
    const startedAtMs = performance.now();
    const first = i;
    do {
      for (let end = i + 100; i < end; i++) kept = work(i);
    } while (performance.now() - startedAtMs < forMs);
    return ((performance.now() - startedAtMs) * 1e6) / (i - first);
  };
  run(warmUpMs);
  const micro = microOf(part, 'ns', Array.from({ length: runs }, () => run(runMs)));
  if (kept === timed) throw new Error('impossible');
  return micro;
}
