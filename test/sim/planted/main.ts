/**
 * `npm run sim:planted -- [--bug name] [--seeds 2000] [--from 1] [--jobs 2]`: plants each bug of the catalogue in a copy of
 * the tree and runs seeds until one fails. A bug that isn't caught is a hole in the simulation.
 */
import type { PlantedBug } from './bug.ts';
import { catalogue } from './catalogue.ts';
import { hunt, type Catch } from './hunt.ts';
import { Trees } from './tree.ts';

interface Options {
  readonly bugs: readonly PlantedBug[];
  readonly seeds: number;
  readonly from: number;
  readonly jobs: number;
}

class Usage extends Error {}

const whole = (text: string | undefined, option: string): number => {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Usage(`${option} takes a whole number above 0, not ${text ?? 'nothing'}`);
  return number;
};

function parseOptions(args: readonly string[]): Options {
  let options: Options = { bugs: catalogue, seeds: 2_000, from: 1, jobs: 2 };
  for (let i = 0; i < args.length; i += 2) {
    const [option, value] = [args[i] as string, args[i + 1]];
    if (option === '--bug') {
      const bugs = catalogue.filter(({ name }) => name === value);
      if (bugs.length === 0) throw new Usage(`there is no planted bug ${value ?? ''}; there are ${catalogue.map(({ name }) => name).join(', ')}`);
      options = { ...options, bugs };
    } else if (option === '--seeds' || option === '--from' || option === '--jobs') options = { ...options, [option.slice(2)]: whole(value, option) };
    else throw new Usage(`unknown option ${option}; there are --bug, --seeds, --from, --jobs`);
  }
  return options;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const oneLine = (text: string, length: number): string => text.replace(/\s+/g, ' ').slice(0, length);

function row(bug: string, seed: string, seeds: string, symptom: string): string {
  return `${bug.padEnd(36)} ${seed.padStart(7)} ${seeds.padStart(6)}  ${symptom}`;
}

/** Plants and hunts one bug. A seed that fails without it, too, has found a bug of ours and says nothing about this one. */
async function examine(trees: Trees, bug: PlantedBug, { seeds, from }: Options): Promise<Catch | null> {
  const tree = trees.plant(bug);
  for (let first = from; first < from + seeds;) {
    const before = first - from;
    const caught = await hunt(tree, { first, count: seeds - before }, (done) => {
      if ((before + done) % 100 === 0) say(`  ${bug.name}: not yet after ${before + done} seeds`);
    });
    if (caught === null) return null;
    const genuine = await hunt(trees.bare, { first: caught.seed, count: 1 });
    if (genuine === null) return { ...caught, seeds: before + caught.seeds };
    say(`  seed ${caught.seed} fails without ${bug.name}, too: ${oneLine(genuine.symptom, 80)}; see npm run sim -- --seed ${caught.seed} --trace`);
    first = caught.seed + 1;
  }
  return null;
}

async function main(options: Options): Promise<number> {
  const trees = new Trees();
  process.once('exit', () => trees.remove());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  say(row('bug', 'seed', 'seeds', 'symptom'));
  const waiting = [...options.bugs];
  const missed: string[] = [];
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const caught = await examine(trees, bug, options);
      if (caught === null) missed.push(bug.name);
      say(caught === null ? row(bug.name, '-', String(options.seeds), 'NOT CAUGHT') : row(bug.name, String(caught.seed), String(caught.seeds), `${caught.workload}: ${oneLine(caught.symptom, 110)}`));
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  say(`${options.bugs.length - missed.length} of ${options.bugs.length} planted bugs caught${missed.length === 0 ? '' : `; not ${missed.join(', ')}`}`);
  return missed.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`${error instanceof Usage ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = error instanceof Usage ? 2 : 1;
}
