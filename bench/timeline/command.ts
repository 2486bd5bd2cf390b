/** `npm run bench -- timeline`: what clients see, by tenths of a second, when members are killed, frozen, and come back. */
import { Option, type Command } from 'commander';
import { exitOnSignals } from '../cluster.ts';
import { whole, word, words } from '../options.ts';
import { writeFiles } from '../report/files.ts';
import { table } from '../report/table.ts';
import { targets } from '../targets/registry.ts';
import { targetNames, type TargetName } from '../targets/target.ts';
import { describeMachine, machine } from '../usage.ts';
import { workloadNames, type WorkloadName } from '../workloads/registry.ts';
import { faultHead, faultRows, timelinePage } from './page.ts';
import { runTimeline, type Timeline } from './run.ts';

interface Options {
  readonly target: readonly TargetName[];
  readonly workload: WorkloadName;
  readonly rate: number;
  readonly keys: number;
  readonly rounds: number;
  readonly calmSeconds: number;
  readonly awaySeconds: number;
  readonly out: string;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function measure(options: Options): Promise<number> {
  exitOnSignals();
  const missing = options.target.flatMap((name) => targets[name].missing() ?? []);
  if (missing.length > 0) {
    say(missing.join('\n'));
    return 1;
  }
  const here = machine();
  const load = `${options.workload}, ${options.rate} calls a second in an open loop, ${options.keys} keys`;
  say(`On ${describeMachine(here)}: ${load}.`);
  const timelines: Timeline[] = [];
  for (const name of options.target) {
    say(`${targets[name].title}:`);
    timelines.push(await runTimeline(name, { workload: options.workload, perSecond: options.rate, keys: options.keys, valueBytes: 100, calmMs: options.calmSeconds * 1_000, awayMs: options.awaySeconds * 1_000, rounds: options.rounds }, say));
  }
  say(`\n${table([faultHead, ...timelines.flatMap(faultRows)])}`);
  const wrong = timelines.flatMap((timeline) => timeline.wrong.map((fault) => `${timeline.target}: ${fault}`));
  say(wrong.length === 0 ? '\nAll that was acknowledged is there.' : `\n${wrong.length} FAULTS:\n${wrong.slice(0, 20).join('\n')}`);
  const report = { format: 1, kind: 'timeline', machine: here, settings: options, timelines };
  say(`Written: ${writeFiles(options.out, 'timeline', report, timelinePage(timelines, here, load)).join(', ')}`);
  return wrong.length === 0 ? 0 : 1;
}

export function registerTimeline(program: Command): void {
  program.command('timeline')
    .description('throughput and 99th percentile by tenths of a second while members are killed, frozen and come back')
    .addOption(new Option('--target <list>', `of ${targetNames.join(', ')}`).argParser(words(targetNames)).default(['dtp'], 'dtp'))
    .option('--workload <name>', `one of ${workloadNames.join(', ')}`, word(workloadNames), 'put')
    .option('--rate <n>', 'calls a second', whole(1, 1_000_000), 500)
    .option('--keys <n>', 'held', whole(10, 100_000_000), 10_000)
    .option('--rounds <n>', 'how often each member is killed, and frozen', whole(1, 100), 1)
    .option('--calm-seconds <n>', 'before and after', whole(1, 600), 3)
    .option('--away-seconds <n>', 'for which a member is away', whole(1, 600), 3)
    .option('--out <directory>', 'where timeline.json and timeline.html are written', 'bench-results')
    .action(async (options: Options) => {
      process.exitCode = await measure(options);
    });
}
