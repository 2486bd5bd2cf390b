/** What the explorer is asked to do, from its command line. */
import { parseArgs } from 'node:util';
import { commitProtocols, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import { mistakes, type Mistake, type MistakeName } from './mistake.ts';
import { program, shows } from './program.ts';
import { run, type Run, type RunOptions } from './run.ts';
import { conflicts, layouts, scopeOf } from './scope.ts';
import { faultNames } from './world.ts';

export interface Arguments extends RunOptions {
  readonly runs: readonly Run[];
  readonly statesMax: number;
  readonly minutesMax: number;
}

/** One line for whoever typed it. */
export class UsageError extends Error {}

const options = {
  'scope': { type: 'string' },
  'crashes': { type: 'string' },
  'breaks': { type: 'string' },
  'recoveries': { type: 'string' },
  'asks': { type: 'string' },
  'marks': { type: 'string' },
  'delays': { type: 'string' },
  'prompt': { type: 'boolean' },
  'all': { type: 'boolean' },
  'protocol': { type: 'string' },
  'mistake': { type: 'string' },
  'lenient': { type: 'boolean', default: false },
  'max-states': { type: 'string' },
  'minutes': { type: 'string' },
  'help': { type: 'boolean', default: false },
} as const;

const boundNames = ['crashes', 'breaks', 'recoveries', 'asks', 'marks', 'delays', 'prompt', 'all'] as const;
/** As many as a state has room for. */
const faultsMax = 30;
const statesDefault = 100_000_000;
const minutesDefault = 5;

const described = (table: Readonly<Record<string, { says: string }>>): string => Object.entries(table).map(([name, { says }]) => `                      ${name.padEnd(8)} ${says}`).join('\n');

export const usage = `usage: npm run explore -- [options]

  without options: a list of scopes with bounds, some twenty minutes in all

  --scope <layout>/<conflict>   this one alone
                      layouts:
${described(layouts)}
                      conflicts:
${described(conflicts)}
  --crashes <count>   how many nodes crash, at whatever moment; none unless told
  --breaks <count>    how many sessions break
  --recoveries <count>  how many ballots above round 0 are begun early; a transaction that nobody else decides is recovered in any case
  --asks <count>      how often clients ask a node for the outcome
  --marks <count>     how often coordinators tell what may be forgotten
  --delays <count>    only orders with so many delays (see search.ts); all orders unless told
  --prompt            only orders in which a disk flushes at once when no crash can come any more
  --all               leave out no order, not even those that come to the same
  --protocol <names>  one of ${commitProtocols.join(', ')}; or two, separated by a comma, for the first transaction and the second
  --mistake <name>    plant a mistake; without --scope, in the scope that shows it:
${Object.entries(mistakes).map(([name, { says }]) => `                      ${name.padEnd(26)} ${says}`).join('\n')}
  --lenient           what is wrong on a disk is no violation before something comes of it
  --max-states <count>, --minutes <count>   end a search; at ${statesDefault.toLocaleString('en-US')} and ${minutesDefault} unless told

exit codes: 0 nothing is wrong, 1 something is wrong, 64 bad arguments
`;

/** Null: help is wanted. Throws UsageError. */
export function readArguments(words: readonly string[]): Arguments | null {
  const given = parse(words);
  if (given.help) return null;
  const mistake = mistakeOf(given.mistake);
  return {
    mistake,
    strict: !given.lenient,
    runs: runsOf(given),
    statesMax: whole('max-states', given['max-states'], statesDefault),
    minutesMax: whole('minutes', given.minutes, minutesDefault),
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options }).values;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const known = Object.keys(options).map((name) => `--${name}`).join(', ');
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw new UsageError(`unknown option ${/'([^']*)'/.exec(message)?.[1] ?? ''}; there are ${known}`);
    if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') throw new UsageError(`what is ${/'([^']*)'/.exec(message)?.[1] ?? 'that'}? There are ${known}`);
    throw new UsageError(message.split('\n')[0]);
  }
}

function runsOf(given: ReturnType<typeof parse>): readonly Run[] {
  if (given.scope === undefined) {
    const astray = boundNames.find((name) => given[name] !== undefined);
    if (astray !== undefined) throw new UsageError(`--${astray} goes with --scope`);
    const runs = given.mistake === undefined ? program : [shows[given.mistake as MistakeName]];
    return given.protocol === undefined ? runs : runs.map((each) => ({ ...each, protocols: protocolsOf(given.protocol) }));
  }
  try {
    scopeOf(given.scope);
  } catch (error) {
    throw new UsageError((error as RangeError).message);
  }
  const faults = Object.fromEntries(faultNames.map((name) => [name, whole(name, given[name], 0, faultsMax)]));
  const protocols = protocolsOf(given.protocol ?? (given.mistake === undefined ? undefined : mistakes[given.mistake as MistakeName].protocol));
  return [run(given.scope, { ...faults, protocols, delays: given.delays === undefined ? null : whole('delays', given.delays, 0), promptDisk: given.prompt ?? false, reduced: !(given.all ?? false) })];
}

function mistakeOf(name: string | undefined): Mistake | null {
  if (name === undefined) return null;
  if (!Object.hasOwn(mistakes, name)) throw new UsageError(`unknown mistake ${name}; there are ${Object.keys(mistakes).join(', ')}`);
  return mistakes[name as MistakeName];
}

function protocolsOf(given: string | undefined): CommitProtocolName[] {
  const names = (given ?? 'dtp').split(',');
  const unknown = names.find((name) => !(commitProtocols as readonly string[]).includes(name));
  if (unknown !== undefined) throw new UsageError(`unknown protocol ${unknown}; there are ${commitProtocols.join(', ')}`);
  return names as CommitProtocolName[];
}

function whole(option: string, given: string | undefined, otherwise: number, most = Number.MAX_SAFE_INTEGER): number {
  if (given === undefined) return otherwise;
  const number = Number(given);
  if (!/^\d+$/.test(given) || number > most) throw new UsageError(`--${option} takes a whole number${most === Number.MAX_SAFE_INTEGER ? '' : ` up to ${most}`}, not ${given}`);
  return number;
}
