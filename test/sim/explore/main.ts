/** `npm run explore`: the core of commit in every order of what may happen, for one or two transactions on a few nodes. */
import { setImmediate } from 'node:timers/promises';
import { readArguments, UsageError, usage, type Arguments } from './arguments.ts';
import { boundsInWords, explore, type Finding, type Run } from './run.ts';
import type { Report } from './search.ts';

const exitCodes = { right: 0, wrong: 1, usage: 64 } as const;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** On a terminal one line that changes; elsewhere a line now and then. */
const isTerminal = process.stdout.isTTY === true;
const progressIntervalMs = isTerminal ? 200 : 10_000;

const count = (number: number): string => number.toLocaleString('en-US');
const endInWords = (run: Run, { end }: Report): string => (end === 'violation' ? 'VIOLATION' : end === 'cut' ? 'cut' : run.delays === null && !run.promptDisk ? 'all' : 'all within the bounds');

const headings = ['scope', 'protocol', 'bounds', 'states', 'transitions', 'CPU s', 'seen'] as const;
type Row = readonly string[];

async function exploreOne(run: Run, { statesMax, minutesMax, ...options }: Arguments): Promise<{ row: Row; isRight: boolean }> {
  const startedAtMs = performance.now();
  const seconds = (): number => (performance.now() - startedAtMs) / 1_000;
  const { user, system } = process.cpuUsage();
  const cpuSeconds = (): number => {
    const used = process.cpuUsage();
    return (used.user + used.system - user - system) / 1_000_000;
  };
  const name = `${run.scope} under ${run.protocols.join(' and ')} (${boundsInWords(run)})`;
  let lastSaidAtMs = startedAtMs;
  const finding = await explore(run, options, async ({ states, transitions, deepest }) => {
    await setImmediate(); // so that signals are heard
    if (performance.now() - lastSaidAtMs >= progressIntervalMs) {
      lastSaidAtMs = performance.now();
      const line = `${name}: ${count(states)} states, ${count(transitions)} transitions, at most ${deepest} deep, ${seconds().toFixed(0)} s`;
      if (isTerminal) process.stdout.write(`\r\x1b[2K${line}`);
      else say(`... ${line}`);
    }
    return states < statesMax && seconds() < 60 * minutesMax ? 'go on' : 'enough';
  });
  if (isTerminal) process.stdout.write('\r\x1b[2K');
  const row: Row = [run.scope, run.protocols.join(), boundsInWords(run), count(finding.states), count(finding.transitions), cpuSeconds().toFixed(1), endInWords(run, finding)];
  say(`${name}: ${row[3]} states, ${row[4]} transitions, at most ${finding.deepest} deep, in ${row[5]} s of CPU: ${row[6]}`);
  say(`  states of each node alone: ${finding.localStates.map(count).join(', ')}; of the whole, quiet: ${count(finding.quiet)}, with ${outcomesOf(finding)}`);
  if (finding.violation !== null) say(`${finding.violation.fault}\n${finding.story}`);
  return { row, isRight: finding.violation === null };
}

const outcomesOf = ({ outcomes }: Finding): string => [...outcomes.keys()].sort().join(' | ') || 'no outcome yet';

function table(rows: readonly Row[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_heading, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => row.map((cell, column) => (column >= 3 && column <= 5 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join('  ').trimEnd()).join('\n');
}

async function main(): Promise<keyof typeof exitCodes> {
  const given = readArguments(process.argv.slice(2));
  if (given === null) {
    say(usage);
    return 'right';
  }
  const rows: Row[] = [];
  let isRight = true;
  for (const run of given.runs) {
    const one = await exploreOne(run, given);
    rows.push(one.row);
    isRight = one.isRight;
    if (!isRight) break;
  }
  if (rows.length > 1) say(`\n${table(rows)}`);
  return isRight ? 'right' : 'wrong';
}

try {
  process.exitCode = exitCodes[await main()];
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`explore: ${error.message}\n`);
  process.exitCode = exitCodes.usage;
}
