/**
 * `npm run bench`, or `npm run bench -- figures`: what databases do on this machine. How many calls a second, how long they take, what they
 * cost in processor time, bytes and flushes, with votes that are durable before they count.
 *
 * All processes share the machine's processors, so rates say as much about the machine as about the software, and machines are
 * not the same from minute to minute. So targets are compared within one run only: in each round every one of them is
 * started, filled, measured and stopped, in turn, and what counts are medians over rounds. What was written is verified
 * after each turn, or the figures don't count.
 */
import { Option, type Command } from 'commander';
import { exitOnSignals } from '../cluster.ts';
import { distributions, type Distribution } from '../load/choosers.ts';
import { whole, wholes, word, words } from '../options.ts';
import { writeFiles } from '../report/files.ts';
import { milliseconds, number } from '../report/table.ts';
import { targets } from '../targets/registry.ts';
import { targetNames, type TargetName } from '../targets/target.ts';
import { describeMachine, machine } from '../usage.ts';
import { definitionOf, definitions, workloadNames, type WorkloadName } from '../workloads/registry.ts';
import { valueBytesMin } from '../workloads/workload.ts';
import { Stand, type Measurement } from './measure.ts';
import { pageOf } from './page.ts';
import type { Report } from './report.ts';
import { summarize } from './summary.ts';
import { figuresTable } from './tables.ts';

interface Options {
  readonly target: readonly TargetName[];
  readonly workload: readonly WorkloadName[];
  readonly callers: readonly number[];
  readonly rate: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly distribution: Distribution;
  readonly clients: number;
  readonly out: string;
  readonly profile: string | undefined;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Of an open loop, where nobody asked for a number: enough that only a stall fills them. */
const openCallers = 1_000;

/** What one turn of one target does: each is measured for the same time. */
function runsOf({ callers, rate }: Options): { readonly callers: number; readonly perSecond?: number }[] {
  return rate.length === 0 ? callers.map((count) => ({ callers: count })) : rate.map((perSecond) => ({ callers: openCallers, perSecond }));
}

class Session {
  readonly measurements: Measurement[] = [];
  readonly faults: string[] = [];
  readonly fills: Report['fills'][number][] = [];
  readonly about = new Map<TargetName, Report['targets'][number]>();
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async turn(name: TargetName, workload: WorkloadName, round: number): Promise<void> {
    const { seconds, keys, valueBytes, distribution, clients, profile, rounds } = this.#options;
    const { title, promise } = targets[name];
    const stand = await Stand.build(name, { clients, profile });
    try {
      const { version, settings } = stand.running;
      this.about.set(name, { name, title, promise, version, settings });
      const filled = await stand.load.prepare(stand.running.address, workload, { keys, valueBytes, distribution });
      this.fills.push({ target: name, workload, round, ...filled });
      for (const run of runsOf(this.#options)) {
        const measured = await stand.measure(workload, round, { ...run, warmUpMs: (seconds * 1_000) / 3, measureMs: seconds * 1_000 });
        this.measurements.push(measured);
        const { perSecond, p50Ms, p99Ms } = measured.result;
        say(`round ${round + 1} of ${rounds}  ${workload.padEnd(9)} ${title.padEnd(12)} ${run.perSecond === undefined ? `${run.callers} callers` : `${run.perSecond}/s asked`}: ${number(perSecond)}/s, p50 ${milliseconds(p50Ms)}, p99 ${milliseconds(p99Ms)}`);
      }
      this.faults.push(...(await stand.load.verify()).map((fault) => `${name}, ${workload}: ${fault}`));
    } finally {
      await stand.tearDown();
    }
  }
}

async function measure(options: Options): Promise<number> {
  exitOnSignals();
  const missing = options.target.flatMap((name) => targets[name].missing() ?? []);
  if (missing.length > 0) {
    say(missing.join('\n'));
    return 1;
  }
  const here = machine();
  say(`${options.clients === 1 ? 'One client process' : `${options.clients} client processes`} and the servers on ${describeMachine(here)}.`);
  const session = new Session(options);
  for (const workload of options.workload) {
    const able = options.target.filter((name) => definitionOf(workload).serverSide !== true || targets[name].hasCounters);
    for (let round = 0; round < options.rounds; round++) for (const name of able) await session.turn(name, workload, round);
  }
  const { faults, fills, measurements, about } = session;
  const figures = summarize(measurements);
  say(`\n${figuresTable(figures, options.rounds)}`);
  say(faults.length === 0 ? '\nAll that was acknowledged is there.' : `\n${faults.length} FAULTS:\n${faults.slice(0, 20).join('\n')}`);
  const report: Report = { format: 1, kind: 'figures', machine: here, settings: { ...options }, targets: [...about.values()], fills, figures, measurements, faults };
  say(`Written: ${writeFiles(options.out, 'figures', report, pageOf(report)).join(', ')}`);
  return faults.length === 0 ? 0 : 1;
}

export function registerFigures(program: Command): void {
  program.command('figures', { isDefault: true })
    .description('calls a second, how long they take, and what they cost (default)')
    .addHelpText('after', `\nWorkloads:\n${workloadNames.map((name) => `  ${name.padEnd(10)} ${definitions[name].meaning}`).join('\n')}\n\nTargets:\n${targetNames.map((name) => `  ${name.padEnd(10)} ${targets[name].title}: ${targets[name].promise}`).join('\n')}`)
    .addOption(new Option('--target <list>', `of ${targetNames.join(', ')}`).argParser(words(targetNames)).default(['dtp'], 'dtp'))
    .addOption(new Option('--workload <list>', `of ${workloadNames.join(', ')}`).argParser(words(workloadNames)).default(['put', 'transfer'], 'put,transfer'))
    .addOption(new Option('--callers <list>', 'how many calls are under way at once, in a closed loop').argParser(wholes(1, 10_000)).default([1, 16, 64, 256], '1,16,64,256'))
    .addOption(new Option('--rate <list>', 'instead: calls a second, in an open loop; latency counts from when a call was due').argParser(wholes(1, 1_000_000)).default([], 'a closed loop'))
    .option('--rounds <n>', 'how often all of that, the targets taking turns', whole(1, 100), 3)
    .option('--seconds <n>', 'measured for each, after a third of that to warm up', whole(1, 3_600), 5)
    .option('--keys <n>', 'of workloads that are not about few hot ones', whole(10, 100_000_000), 10_000)
    .option('--value-bytes <n>', 'length of a value', whole(valueBytesMin, 400_000), 100)
    .option('--distribution <name>', `${distributions.join(' or ')} (constant 0.99), where the workload doesn't say`, word(distributions), 'uniform')
    .option('--clients <n>', "clients' processes, which share the callers", whole(1, 64), 1)
    .option('--out <directory>', 'where figures.json and figures.html are written', 'bench-results')
    .option('--profile <directory>', 'write profiles of the processor time of clients and nodes there')
    .action(async (options: Options) => {
      process.exitCode = await measure(options);
    });
}
