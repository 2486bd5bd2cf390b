/** One search: a scope, its bounds, and how far it came. */
import { protocolNumber, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import { withMistake, type Mistake } from './mistake.ts';
import { scopeOf } from './scope.ts';
import { search, type Bounds, type Report } from './search.ts';
import { shorten } from './shorten.ts';
import { story } from './story.ts';
import { faultNames, World, type Faults } from './world.ts';

export interface Run extends Bounds {
  /** As `scopeOf` takes it. */
  readonly scope: string;
  /** Of the transactions in turn. */
  readonly protocols: readonly CommitProtocolName[];
}

export type Limits = Partial<Faults> & Partial<Pick<Bounds, 'delays' | 'promptDisk' | 'reduced'>> & { readonly protocols?: readonly CommitProtocolName[] };

/** DTP, all orders, and nothing goes wrong, but what is said otherwise. */
export function run(scope: string, { protocols = ['dtp'], crashes = 0, breaks = 0, recoveries = 0, asks = 0, marks = 0, delays = null, promptDisk = false, reduced = true }: Limits = {}): Run {
  return { scope, protocols, faults: { crashes, breaks, recoveries, asks, marks }, delays, promptDisk, reduced };
}

export interface RunOptions {
  readonly mistake: Mistake | null;
  /** Is what is wrong on a disk a violation before anything comes of it? */
  readonly strict: boolean;
}

export interface Finding extends Report {
  /** The violation in as few steps as could be found, line by line. */
  readonly story: string | null;
  /** Different states of each node alone. */
  readonly localStates: readonly number[];
}

/** Searches until all is seen, or something is wrong, or `pause`, which is called every few milliseconds, says that this is enough. */
export async function explore(run: Run, { mistake, strict }: RunOptions, pause: (report: Report) => Promise<'go on' | 'enough'>): Promise<Finding> {
  const world = new World(scopeOf(run.scope), run.protocols.map(protocolNumber), mistake, strict);
  return withMistake(mistake, async () => {
    const searching = search(world, run);
    let step = searching.next();
    while (step.done !== true && (await pause(step.value)) === 'go on') step = searching.next();
    const report = step.value;
    const shortest = report.violation === null ? null : shorten(world, run.faults, report.violation);
    return {
      ...report,
      violation: shortest ?? report.violation,
      story: shortest === null ? null : story(world, run.faults, shortest.actions, shortest.chosen),
      localStates: world.machines.map(({ stateCount }) => stateCount),
    };
  });
}

export function boundsInWords({ faults, delays, promptDisk }: Run): string {
  const parts = faultNames.filter((name) => faults[name] > 0).map((name) => `${faults[name]} ${faults[name] === 1 ? singular[name] : name}`);
  return [...parts, ...(delays === null ? [] : [`${delays} delays`]), ...(promptDisk ? ['prompt disk'] : [])].join(', ') || 'nothing goes wrong';
}

const singular: Readonly<Record<keyof Faults, string>> = { crashes: 'crash', breaks: 'break', recoveries: 'recovery', asks: 'ask', marks: 'mark' };
