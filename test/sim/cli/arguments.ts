/** What the simulation is asked to do, from its command line. */
import os from 'node:os';
import { commitProtocols, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import { faults } from '../faults/registry.ts';
import { workloads } from '../workloads/registry.ts';
import { namesIn, parseOptions, UsageError, wholeNumber, wrapped } from './options.ts';

export interface Arguments {
  /** What to run: so many seeds from one on, the seeds named, or the plan in a file. */
  readonly subject: { readonly kind: 'range'; readonly from: number; readonly count: number } | { readonly kind: 'seeds'; readonly seeds: readonly string[] } | { readonly kind: 'plan'; readonly file: string };
  readonly workload: string | undefined;
  readonly faults: readonly string[] | undefined;
  readonly protocols: readonly CommitProtocolName[] | undefined;
  readonly jobs: number;
  readonly keepGoing: boolean;
  readonly task: 'judge' | 'trace' | 'shrink';
}

const options = {
  'seeds': { type: 'string' },
  'from': { type: 'string' },
  'seed': { type: 'string', multiple: true },
  'plan': { type: 'string' },
  'workload': { type: 'string' },
  'fault': { type: 'string', multiple: true },
  'protocol': { type: 'string', multiple: true },
  'jobs': { type: 'string' },
  'keep-going': { type: 'boolean', default: false },
  'trace': { type: 'boolean', default: false },
  'shrink': { type: 'boolean', default: false },
  'help': { type: 'boolean', default: false },
} as const;

const seedsDefault = 100;

export const usage = `usage: npm run sim -- [options]

  --seeds <count>     run so many seeds, ${seedsDefault} unless told
  --from <number>     the first of them, 1 unless told
  --seed <seed>       run this seed; may be repeated
  --plan <file>       run the plan in this file, as --shrink writes it
  --workload <name>   one of ${Object.keys(workloads).join(', ')}; unless told each seed has its own
  --fault <names>     have these classes of faults and no others, separated by commas; of
${wrapped([...faults.keys()], 84).map((line) => `                      ${line}`).join('\n')}
                      or none
  --protocol <names>  commit by these, separated by commas; of ${commitProtocols.join(', ')}; unless told each seed has its own
  --jobs <count>      processes to run seeds in, one for each core unless told
  --keep-going        go on after a failure
  --trace             tell the whole story of one seed or plan
  --shrink            find the smallest plan that fails as this seed or plan does

exit codes: 0 nothing failed, 1 something failed, 64 bad arguments
`;

/** Null: help is wanted. Throws UsageError. */
export function readArguments(words: readonly string[]): Arguments | null {
  const values = parseOptions(words, options);
  if (values.help) return null;
  if (values.trace && values.shrink) throw new UsageError('--trace or --shrink, not both');
  const { workload } = values;
  if (workload !== undefined && !Object.hasOwn(workloads, workload)) throw new UsageError(`unknown workload ${workload}; there are ${Object.keys(workloads).join(', ')}`);
  const wanted = faultsOf(values.fault);
  const protocols = namesIn(values.protocol)?.map(namedProtocol);
  const subject = subjectOf(values);
  const task = values.trace ? 'trace' : values.shrink ? 'shrink' : 'judge';
  const isOne = subject.kind === 'plan' || (subject.kind === 'seeds' && subject.seeds.length === 1);
  if (task !== 'judge' && !isOne) throw new UsageError(`--${task} is for one --seed or --plan`);
  if (subject.kind === 'plan' && (workload !== undefined || wanted !== undefined || protocols !== undefined)) throw new UsageError('--plan says all: no --workload, --fault or --protocol beside it');
  return { subject, workload, faults: wanted, protocols, jobs: wholeNumber('jobs', values.jobs, 1, os.availableParallelism()), keepGoing: values['keep-going'], task };
}

function subjectOf({ seed, seeds, from, plan }: ReturnType<typeof parseOptions<typeof options>>): Arguments['subject'] {
  const given = [seed, plan, seeds ?? from].filter((value) => value !== undefined);
  if (given.length > 1) throw new UsageError('one of --seeds (with --from), --seed and --plan');
  if (plan !== undefined) return { kind: 'plan', file: plan };
  if (seed !== undefined) return { kind: 'seeds', seeds: seed };
  return { kind: 'range', from: wholeNumber('from', from, 0, 1), count: wholeNumber('seeds', seeds, 1, seedsDefault) };
}

/** Throws UsageError. */
export function namedProtocol(name: string): CommitProtocolName {
  const known = commitProtocols.find((protocol) => protocol === name);
  if (known === undefined) throw new UsageError(`unknown commit protocol ${name}; there are ${commitProtocols.join(', ')}`);
  return known;
}

/** The classes of faults that are asked for; undefined: none are named. Throws UsageError. */
export function faultsOf(given: readonly string[] | undefined): string[] | undefined {
  const names = namesIn(given);
  if (names?.join() === 'none') return [];
  const unknown = names?.find((name) => !faults.has(name));
  if (unknown !== undefined) throw new UsageError(`unknown fault ${unknown}; there are ${[...faults.keys()].join(', ')}, or none`);
  return names;
}
