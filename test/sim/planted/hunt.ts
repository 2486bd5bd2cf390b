/** Lets the simulation look for a bug, in a process of its own for each tree. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { SeedReport } from './child.ts';

export interface Seeds {
  readonly first: number;
  readonly count: number;
  /** The classes of faults to have; without, each seed draws its own. */
  readonly faults?: readonly string[] | undefined;
}

export interface Catch {
  readonly seed: number;
  /** How many seeds were run, this one included. */
  readonly seeds: number;
  readonly workload: string;
  /** The first thing that was wrong, in the simulation's words. */
  readonly symptom: string;
}

/** Whatever a run makes is soon garbage; with more room for it a run takes a sixth less. */
const roomForYoungObjects = '--max-semi-space-size=64';

/** A seed takes seconds. One that takes this long will not end. */
const silenceMsMax = 600_000;

/** Runs seeds one after another until one fails; null if none does. `progress` is called after each. */
export async function hunt(tree: string, { first, count, faults }: Seeds, progress: (seeds: number) => void = () => {}): Promise<Catch | null> {
  const child = spawn(process.execPath, [roomForYoungObjects, path.join(tree, 'test/sim/planted/child.js'), String(first), String(count), ...(faults === undefined ? [] : [faults.join(',')])], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  const end = (): void => void child.kill('SIGKILL');
  process.once('exit', end);
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-4_000)));
  let silent = setTimeout(end, silenceMsMax);
  let seeds = 0;
  let caught: Catch | null = null;
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(silent);
    silent = setTimeout(end, silenceMsMax);
    const { seed, workload, failures } = JSON.parse(line) as SeedReport;
    progress(++seeds);
    if (failures.length > 0) caught = { seed, seeds, workload, symptom: failures[0] as string };
  }
  const code = await exited;
  clearTimeout(silent);
  process.off('exit', end);
  if (caught === null && seeds < count) caught = { seed: first + seeds, seeds: seeds + 1, workload: '', symptom: `the process ended with ${code ?? 'a signal'}: ${complaint.trim()}` };
  // A bug that is a slip of the pen rather than a mistake of thought would be caught by anything.
  if (caught !== null && /\b(ReferenceError|SyntaxError|is not a function)\b/.test(caught.symptom)) throw new Error(`the bug in ${tree} does not run: ${caught.symptom}`);
  return caught;
}
