/** Runs seeds in a tree of its own until one fails, and tells of each in a line of JSON: `child.js <first seed> <count> [classes of faults]`. */
import { runSeed } from '../run.ts';

export interface SeedReport {
  readonly seed: number;
  readonly workload: string;
  /** What is wrong, shortened; none: the run is good. */
  readonly failures: readonly string[];
}

const failuresMax = 5;
const failureLengthMax = 600;

const [first, count] = process.argv.slice(2, 4).map(Number) as [number, number];
const faults = process.argv[4]?.split(',').filter((name) => name !== '');
for (let i = 0; i < count; i++) {
  const seed = first + i;
  const { workload, failures } = await runSeed({ seed: String(seed), faults });
  const report: SeedReport = { seed, workload, failures: failures.slice(0, failuresMax).map((failure) => failure.slice(0, failureLengthMax)) };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (failures.length > 0) break;
}
