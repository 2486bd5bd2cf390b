/**
 * `npm run explore`: the core of commit in every order of what may happen, for two transactions on a few nodes.
 *
 * Without options a list of scopes with bounds that each take a minute or so; with `--scope` that one alone. Prints the
 * states seen, and whether these are all there are or what cut the search.
 */
import { parseArgs } from 'node:util';
import { DtpError } from '../../../client/wire/errors.ts';
import { protocolNumber } from '../../../client/wire/protocols.ts';
import { mistakes, withMistake, type Mistake } from './mistake.ts';
import { conflicts, layouts, scopeOf } from './scope.ts';
import { search, type Bounds, type Report } from './search.ts';
import { shorten } from './shorten.ts';
import { story } from './story.ts';
import { faultNames, World, type Faults } from './world.ts';

interface Run {
  readonly scope: string;
  readonly faults: Faults;
  readonly delays: number | null;
  readonly promptDisk: boolean;
}

/** The name of the scope; crashes, breaks, recoveries and marks; delays, if they are bounded; and is the disk prompt? */
const program: readonly (readonly [scope: string, faults: readonly [number, number, number, number], delays: number | null, promptDisk: boolean])[] = [
  ['one/update', [2, 0, 1, 1], null, false],
  ['two/alone', [1, 1, 2, 0], null, false],
  ['two/update', [0, 0, 1, 0], null, false],
  ['two/update', [1, 0, 0, 0], null, false],
  ['three/alone', [1, 1, 0, 0], null, false],
  ['three/alone', [0, 0, 1, 0], null, false],
  ['three/alone', [0, 0, 0, 2], null, false],
  ['three/update', [0, 0, 0, 0], null, false],
  ['three/blind', [0, 0, 0, 0], null, false],
  ['three/skew', [0, 0, 0, 0], null, false],
  ['chain/alone', [1, 0, 1, 0], null, true],
  ['chain/update', [0, 0, 0, 0], null, false],
  ['overlap/alone', [1, 0, 0, 0], null, false],
  ['overlap/update', [0, 0, 0, 0], null, true],
  ['three/update', [1, 0, 1, 0], 2, true],
  ['three/near', [0, 0, 1, 0], 3, true],
  ['three/blind', [0, 1, 1, 0], 2, true],
  ['guest/update', [1, 0, 1, 0], 1, true],
  ['overlap/update', [1, 0, 1, 0], 1, true],
  ['overlap/skew', [0, 1, 1, 0], 1, true],
];

const usage = `Options:
  --scope <layout/conflict>  ${Object.entries(layouts).map(([name, { says }]) => `${name}: ${says}`).join('; ')}
                             ${Object.entries(conflicts).map(([name, { says }]) => `${name}: ${says}`).join('; ')}
  --crashes, --breaks, --recoveries, --marks <n>  how often nodes crash, sessions break, ballots above round 0 are begun, and coordinators tell what may be forgotten
  --delays <n>      bound the orders by delays; without it, all orders
  --prompt          a journal is flushed at once where no crash can come any more
  --protocol <name> the commit protocol (dtp)
  --mistake <name>  plant a mistake: ${Object.keys(mistakes).join(', ')}
  --max-states <n>, --minutes <n>  end a search (100 million, 5 minutes)`;

class Usage extends Error {}

function options() {
  try {
    return parseArgs({
      options: {
        scope: { type: 'string' }, crashes: { type: 'string' }, breaks: { type: 'string' }, recoveries: { type: 'string' }, marks: { type: 'string' }, delays: { type: 'string' },
        prompt: { type: 'boolean', default: false }, protocol: { type: 'string', default: 'dtp' }, mistake: { type: 'string' },
        'max-states': { type: 'string', default: '100000000' }, minutes: { type: 'string', default: '5' }, help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Usage(`${(error as Error).message}\n${usage}`);
  }
}

function count(text: string | undefined, name: string, otherwise: number): number {
  const number = Number(text ?? otherwise);
  if (!Number.isFinite(number) || number < 0) throw new Usage(`--${name} takes a number from 0 on, not ${text}`);
  return number;
}

function mistakeOf(name: string | undefined): Mistake | null {
  if (name === undefined) return null;
  const mistake = (mistakes as Readonly<Record<string, Mistake>>)[name];
  if (mistake === undefined) throw new Usage(`there is no mistake ${name}; there are ${Object.keys(mistakes).join(', ')}`);
  return mistake;
}

const round = (number: number): string => number.toLocaleString('en-US');

function boundsInWords({ faults, delays, promptDisk }: Run): string {
  const parts = faultNames.filter((name) => faults[name] > 0).map((name) => `${name} ${faults[name]}`);
  return [...parts, delays === null ? 'all orders' : `delays ${delays}`, ...(promptDisk ? ['prompt disk'] : [])].join(', ');
}

const ends: Readonly<Record<Report['end'], string>> = {
  exhausted: 'these are all', statesMax: 'cut by --max-states', isOver: 'cut by --minutes', violation: 'VIOLATION',
};

function explore(run: Run, number: number, mistake: Mistake | null, limits: { statesMax: number; minutes: number }): boolean {
  const world = new World(scopeOf(run.scope), number, mistake);
  const startedAt = performance.now();
  const seconds = (): string => ((performance.now() - startedAt) / 1_000).toFixed(1);
  let lastSaidAt = startedAt;
  const bounds: Bounds = {
    ...run, statesMax: limits.statesMax,
    isOver: () => performance.now() - startedAt > limits.minutes * 60_000,
    progress: ({ states, transitions, deepest }) => {
      if (performance.now() - lastSaidAt < 10_000) return;
      lastSaidAt = performance.now();
      console.log(`  ... ${round(states)} states, ${round(transitions)} transitions, depth ${deepest}, ${seconds()} s`);
    },
  };
  const report = withMistake(mistake, number, () => search(world, bounds));
  const local = world.machines.map(({ stateCount }) => round(stateCount)).join(' + ');
  console.log(`${run.scope} (${boundsInWords(run)}): ${round(report.states)} states, ${round(report.transitions)} transitions, depth ${report.deepest}, ${seconds()} s; ${
    run.delays === null || report.end !== 'exhausted' ? ends[report.end] : `all within ${run.delays} delays`}`);
  console.log(`  local states ${local}; ${round(report.quiet)} quiet states settled; outcomes: ${[...report.outcomes.keys()].sort().join(' | ')}`);
  if (report.violation === null) return true;
  const { violation } = report;
  withMistake(mistake, number, () => {
    const { fault, actions, chosen } = shorten(world, run.faults, violation);
    console.log(`${fault}\n${story(world, run.faults, actions, chosen)}`);
  });
  return false;
}

function main(): boolean {
  const given = options();
  if (given.help) {
    console.log(usage);
    return true;
  }
  const limits = { statesMax: count(given['max-states'], 'max-states', 0), minutes: count(given.minutes, 'minutes', 0) };
  const number = protocolNumber(given.protocol);
  const mistake = mistakeOf(given.mistake);
  const faults = Object.fromEntries(faultNames.map((name) => [name, count(given[name], name, 0)])) as unknown as Faults;
  const runs: Run[] = given.scope === undefined
    ? program.map(([scope, [crashes, breaks, recoveries, marks], delays, promptDisk]) => ({ scope, faults: { crashes, breaks, recoveries, marks }, delays, promptDisk }))
    : [{ scope: given.scope, faults, delays: given.delays === undefined ? null : count(given.delays, 'delays', 0), promptDisk: given.prompt }];
  return runs.every((run) => explore(run, number, mistake, limits));
}

try {
  process.exitCode = main() ? 0 : 1;
} catch (error) {
  if (!(error instanceof Usage || error instanceof RangeError || error instanceof DtpError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
