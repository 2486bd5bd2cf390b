/**
 * `npm run bench -- protocols`: the four commit protocols side by side.
 *
 * In turns on three real nodes: what each costs in time, messages and forced writes (protocol-turns.ts), the latter two
 * compared with the design (protocol-costs.ts). In a simulated cluster: what others meet when a coordinator is killed
 * at each step of a transaction (coordinator-loss.ts). As tables, as JSON, and as a plot.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import type { CommitProtocol } from '../client/index.ts';
import { exitOnSignals } from './cluster.ts';
import { loseCoordinator, steps, type Loss } from './coordinator-loss.ts';
import { whole, wholes, word } from './options.ts';
import type { Group } from './protocol-costs.ts';
import { plotOf } from './protocol-plot.ts';
import { lossTable, turnTable } from './protocol-tables.ts';
import { summarize, summarizeLosses, type LossSummary, type TurnSummary } from './protocol-summary.ts';
import { takeTurns, type Turn } from './protocol-turns.ts';
import { describeMachine, machine } from './usage.ts';
import type { WorkloadName } from './workloads/registry.ts';

const protocols: readonly CommitProtocol[] = ['dtp', '2pc', 'o2pc', '3pc'];
const reference: CommitProtocol = 'dtp';
/** Three nodes, three replicas: whoever coordinates keeps one. */
const group: Group = { replicas: 3, coordinatorIsReplica: true };
/** The coordinator is started again after this, or it isn't while others are watched. */
const backAfterMs = 5_000;
const watchedMs = 20_000;

interface Options {
  readonly workload: WorkloadName;
  readonly callers: readonly number[];
  readonly turns: number;
  readonly seconds: number;
  readonly seeds: number;
  readonly out: string;
}

export interface LossRow {
  readonly step: string;
  readonly protocol: CommitProtocol;
  readonly back: LossSummary;
  readonly gone: LossSummary;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function runTurns({ workload, callers, turns: rounds, seconds }: Options): Promise<{ turns: readonly Turn[]; summaries: readonly TurnSummary[]; faults: readonly string[] }> {
  if (rounds === 0) return { turns: [], summaries: [], faults: [] };
  const { turns, faults } = await takeTurns({ protocols, workload, callers, rounds, seconds, say });
  return { turns, summaries: callers.flatMap((count) => protocols.map((protocol) => summarize(turns, protocol, count, reference, group))), faults };
}

async function runLosses(seeds: number): Promise<LossRow[]> {
  if (seeds === 0) return [];
  const rows: LossRow[] = [];
  for (const step of steps) {
    say(`coordinator killed, ${step.name}: ${2 * seeds * protocols.length} simulated clusters ...`);
    for (const protocol of protocols) {
      const all = async (after: number | null): Promise<LossSummary> => {
        const losses: Loss[] = [];
        for (let seed = 1; seed <= seeds; seed++) losses.push(await loseCoordinator({ protocol, step, seed, backAfterMs: after, watchedMs }));
        return summarizeLosses(losses);
      };
      rows.push({ step: step.name, protocol, back: await all(backAfterMs), gone: await all(null) });
    }
  }
  return rows;
}

async function compare(options: Options): Promise<number> {
  exitOnSignals();
  const here = machine();
  say(`On ${describeMachine(here)}.`);
  mkdirSync(options.out, { recursive: true });
  const losses = await runLosses(options.seeds);
  const { turns, summaries, faults } = await runTurns(options);
  if (summaries.length > 0) say(`\nThree nodes as processes, workload ${options.workload}; median of ${options.turns} turns of ${options.seconds} s; ratios are within a round (in parentheses their quartiles).\n\n${turnTable(summaries)}`);
  if (losses.length > 0) {
    say(`\nThe coordinator is killed at a step of a transaction, in a simulated cluster under virtual time: how long other clients could not read and write its keys. Median of ${options.seeds} seeds.\n`);
    say(`${lossTable(losses, { backAfterMs, watchedMs })}\n\n${steps.map(({ name, meaning }) => `${name}: ${meaning}`).join('\n')}`);
  }
  const differing = summaries.filter(({ differences, counted }) => differences.length > 0 && counted.aborts === 0).map(({ protocol, callers, differences }) => `${protocol} with ${callers} callers is not as designed: ${differences.join(', ')}`);
  const wrong = [...faults, ...differing];
  say(wrong.length === 0 ? '\nAll that was acknowledged is there.' : `\n${wrong.length} FAULTS:\n${wrong.slice(0, 20).join('\n')}`);
  const files = { json: path.join(options.out, 'protocols.json'), svg: path.join(options.out, 'protocols.svg') };
  writeFileSync(files.json, `${JSON.stringify({ machine: here, options, group, summaries, losses: { backAfterMs, watchedMs, steps, rows: losses }, turns, faults: wrong }, null, 2)}\n`);
  writeFileSync(files.svg, plotOf(summaries, losses, { backAfterMs, watchedMs }));
  say(`Written: ${files.json}, ${files.svg}`);
  return wrong.length === 0 ? 0 : 1;
}

export function registerProtocols(program: Command): void {
  program.command('protocols')
    .description('the commit protocols side by side: rates, latencies, messages and forced writes in turns on one cluster; and what others meet when a coordinator is killed at each step')
    .option('--workload <name>', 'put (writes of single keys), transfer (two-key transactions) or hot (the same on ten keys)', word(['put', 'transfer', 'hot']), 'put')
    .addOption(new Option('--callers <list>', 'how many calls are under way at once').argParser(wholes(1, 10_000)).default([1, 64], '1,64'))
    .option('--turns <n>', 'of each protocol with each number of callers; 0 to leave the real cluster out', whole(0, 1_000), 5)
    .option('--seconds <n>', 'measured in each turn, after a third of that to warm up', whole(1, 3_600), 3)
    .option('--seeds <n>', 'simulated losses of each kind; 0 to leave them out', whole(0, 10_000), 10)
    .option('--out <directory>', 'where protocols.json and protocols.svg are written', 'bench-results')
    .action(async (options: Options) => {
      process.exitCode = await compare(options);
    });
}
