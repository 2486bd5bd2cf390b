/**
 * `npm run sim:planted`: plants each bug of the catalogue in a copy of the tree and runs seeds until one fails. A bug that
 * isn't caught is a hole in the simulation.
 */
import os from 'node:os';
import { faultsOf } from '../cli/arguments.ts';
import { namesIn, parseOptions, UsageError, wholeNumber, wrapped } from '../cli/options.ts';
import type { PlantedBug } from './bug.ts';
import { catalogue } from './catalogue.ts';
import { hunt, type Catch } from './hunt.ts';
import { Trees } from './tree.ts';

interface Options {
  readonly bugs: readonly PlantedBug[];
  readonly seeds: number;
  readonly from: number;
  readonly jobs: number;
  readonly faults: readonly string[] | undefined;
}

const exitCodes = { passed: 0, failed: 1, usage: 64, interrupted: 130 } as const;
const seedsDefault = 2_000;

const options = {
  'bug': { type: 'string', multiple: true },
  'seeds': { type: 'string' },
  'from': { type: 'string' },
  'fault': { type: 'string', multiple: true },
  'jobs': { type: 'string' },
  'help': { type: 'boolean', default: false },
} as const;

const usage = `usage: npm run sim:planted -- [options]

  --bug <names>     plant these bugs, separated by commas; all of them unless told:
${wrapped(catalogue.map(({ name }) => name), 100).map((line) => `                      ${line}`).join('\n')}
  --seeds <count>   give a bug up after so many seeds, ${seedsDefault} unless told
  --from <number>   the first of them, 1 unless told
  --fault <names>   have these classes of faults and no others, as in npm run sim
  --jobs <count>    bugs to hunt at once, one for each core unless told

exit codes: ${exitCodes.passed} all were caught, ${exitCodes.failed} some were not, ${exitCodes.usage} bad arguments`;

/** Null: help is wanted. Throws UsageError. */
function readOptions(words: readonly string[]): Options | null {
  const { help, bug, seeds, from, fault, jobs } = parseOptions(words, options);
  if (help) return null;
  const wanted = namesIn(bug);
  const unknown = wanted?.find((name) => !catalogue.some((known) => known.name === name));
  if (unknown !== undefined) throw new UsageError(`there is no planted bug ${unknown}; there are ${catalogue.map(({ name }) => name).join(', ')}`);
  return {
    bugs: catalogue.filter(({ name }) => wanted?.includes(name) ?? true), faults: faultsOf(fault),
    seeds: wholeNumber('seeds', seeds, 1, seedsDefault), from: wholeNumber('from', from, 0, 1), jobs: wholeNumber('jobs', jobs, 1, os.availableParallelism()),
  };
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const oneLine = (text: string, length: number): string => text.replace(/\s+/g, ' ').slice(0, length);

function row(bug: string, seed: string, seeds: string, symptom: string): string {
  return `${bug.padEnd(36)} ${seed.padStart(7)} ${seeds.padStart(6)}  ${symptom}`;
}

/** Plants and hunts one bug. A seed that fails without it, too, has found a bug of ours and says nothing about this one. */
async function examine(trees: Trees, bug: PlantedBug, { seeds, from, faults }: Pick<Options, 'seeds' | 'from' | 'faults'>): Promise<Catch | null> {
  const tree = trees.plant(bug);
  for (let first = from; first < from + seeds;) {
    const before = first - from;
    const caught = await hunt(tree, { first, count: seeds - before, faults }, (done) => {
      if ((before + done) % 100 === 0) say(`  ${bug.name}: not yet after ${before + done} seeds`);
    });
    if (caught === null) return null;
    const genuine = await hunt(trees.bare, { first: caught.seed, count: 1, faults });
    if (genuine === null) return { ...caught, seeds: before + caught.seeds };
    say(`  seed ${caught.seed} fails without ${bug.name}, too: ${oneLine(genuine.symptom, 80)}; see npm run sim -- --seed ${caught.seed} --trace`);
    first = caught.seed + 1;
  }
  return null;
}

/** Removes the trees however it ends. */
async function huntAll({ bugs, jobs, ...seeds }: Options): Promise<number> {
  const trees = new Trees();
  process.once('exit', () => trees.remove());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(exitCodes.interrupted));
  say(row('bug', 'seed', 'seeds', 'symptom'));
  const waiting = [...bugs];
  const missed: string[] = [];
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const caught = await examine(trees, bug, seeds);
      if (caught === null) missed.push(bug.name);
      say(caught === null ? row(bug.name, '-', String(seeds.seeds), 'NOT CAUGHT') : row(bug.name, String(caught.seed), String(caught.seeds), `${caught.workload}: ${oneLine(caught.symptom, 110)}`));
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  say(`${bugs.length - missed.length} of ${bugs.length} planted bugs caught${missed.length === 0 ? '' : `; not ${missed.join(', ')}`}`);
  return missed.length === 0 ? exitCodes.passed : exitCodes.failed;
}

async function main(): Promise<number> {
  try {
    const wanted = readOptions(process.argv.slice(2));
    if (wanted !== null) return await huntAll(wanted);
    say(usage);
    return exitCodes.passed;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return exitCodes.usage;
  }
}

process.exitCode = await main();
