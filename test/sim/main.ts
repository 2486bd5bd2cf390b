/** `npm run sim`: many seeds in several processes, or one seed with its story, or what is left of one that fails. */
import { readArguments, usage, type Arguments } from './cli/arguments.ts';
import { failureInWords, replayOf } from './cli/failure.ts';
import { readPlan, writePlan } from './cli/plan-file.ts';
import { UsageError } from './cli/options.ts';
import { Pool } from './cli/pool.ts';
import type { Summary } from './cli/summary.ts';
import { Tally } from './cli/tally.ts';
import { drawPlan, type Plan } from './plan/plan.ts';
import { count, planInWords } from './plan/words.ts';
import { runPlan } from './run.ts';
import { kindsOf, shrink } from './shrink.ts';

const exitCodes = { passed: 0, failed: 1, usage: 64, interrupted: 130 } as const;
type Ending = keyof typeof exitCodes;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** On a terminal one line that changes; elsewhere a line now and then. */
const progressIntervalMs = process.stdout.isTTY === true ? 200 : 10_000;

function showProgress(line: string): void {
  if (process.stdout.isTTY === true) process.stdout.write(`\r\x1b[2K${line}`);
  else say(line);
}

function clearProgress(): void {
  if (process.stdout.isTTY === true) process.stdout.write('\r\x1b[2K');
}

/** Runs all seeds that were asked for. */
async function judge({ subject, workload, faults, protocols, jobs, keepGoing }: Arguments): Promise<Ending> {
  if (subject.kind === 'plan') return judgeOne(readPlan(subject.file));
  const seeds = subject.kind === 'seeds' ? subject.seeds : Array.from({ length: subject.count }, (_, i) => String(subject.from + i));
  const tally = new Tally(seeds.length, () => performance.now());
  const failed = new Map<string, Summary>();
  const onSummary = (summary: Summary): void => {
    tally.add(summary);
    clearProgress();
    if (summary.failures.length > 0) {
      failed.set(summary.seed, summary);
      if (keepGoing) say(failureInWords(summary.seed, summary.failures, summary.plan, flagsOf({ workload, faults, protocols })).join('\n'));
    } else if (subject.kind === 'seeds') {
      say(`seed ${summary.seed} does not fail (${summary.workload}, ${count(summary.operations, 'operation')}). If it did once, that is mended, or the simulation has changed since.`);
    }
  };
  const pool = new Pool({ jobs: Math.min(jobs, seeds.length), plans: seeds.map((seed) => ({ seed, workload, faults, protocols })), onSummary, keepGoing });
  let interrupted = false;
  process.once('SIGINT', () => {
    interrupted = true;
    pool.stop();
  });
  const ticker = setInterval(() => showProgress(tally.progress), progressIntervalMs);
  await pool.run();
  clearInterval(ticker);
  clearProgress();
  const first = seeds.find((seed) => failed.has(seed));
  if (first !== undefined && !keepGoing) {
    const { failures, plan } = failed.get(first) as Summary;
    say(failureInWords(first, failures, plan, flagsOf({ workload, faults, protocols })).join('\n'));
  }
  say(tally.lines.join('\n'));
  if (first !== undefined) say(`first failing seed: ${first}; run it again: ${replayOf(first, flagsOf({ workload, faults, protocols }))}`);
  return interrupted ? 'interrupted' : tally.failed > 0 ? 'failed' : 'passed';
}

async function judgeOne(plan: Plan): Promise<Ending> {
  const { failures } = await runPlan(plan);
  if (failures.length === 0) say('the plan does not fail. If it did once, that is mended, or the simulation has changed since.');
  for (const failure of failures) say(failure);
  return failures.length === 0 ? 'passed' : 'failed';
}

function flagsOf({ workload, faults, protocols }: Pick<Arguments, 'workload' | 'faults' | 'protocols'>): string {
  return [
    ...(workload === undefined ? [] : [` --workload ${workload}`]),
    ...(faults === undefined ? [] : [` --fault ${faults.join(',') || 'none'}`]),
    ...(protocols === undefined ? [] : [` --protocol ${protocols.join(',')}`]),
  ].join('');
}

function planOf({ subject, workload, faults, protocols }: Arguments): Plan {
  if (subject.kind === 'plan') return readPlan(subject.file);
  return drawPlan({ seed: subject.kind === 'seeds' ? subject.seeds[0] as string : subject.from, workload, faults, protocols });
}

/** The plan, all that happened, and the verdict. */
async function trace(args: Arguments): Promise<Ending> {
  const plan = planOf(args);
  const { failures, story, traceHash } = await runPlan(plan, { traced: true });
  say(`seed ${plan.seed}`);
  say(planInWords(plan).join('\n'));
  say(story());
  say(`trace ${traceHash}`);
  say(failures.length === 0 ? `seed ${plan.seed} does not fail` : failures.map((failure) => `FAILED ${failure}`).join('\n'));
  return failures.length === 0 ? 'passed' : 'failed';
}

async function reduce(args: Arguments): Promise<Ending> {
  const plan = planOf(args);
  const { failures, operations } = await runPlan(plan);
  if (failures.length === 0) {
    say(`seed ${plan.seed} does not fail, so there is nothing to shrink`);
    return 'passed';
  }
  const kinds = kindsOf(failures);
  say(`shrinking a failure of kind ${[...kinds].join(', ')}`);
  // What a client did not come to do is not part of it.
  const begun = { ...plan, clients: plan.clients.map((client) => ({ ...client, operations: operations[client.number] ?? 0 })) };
  let runs = 0;
  const smallest = await shrink(begun, async (candidate) => {
    const { failures: others } = await runPlan(candidate);
    const fails = [...kindsOf(others)].some((kind) => kinds.has(kind));
    runs++;
    if (fails) showProgress(`${count(runs, 'run')}: ${count(candidate.injections.length, 'injection')}, ${count(candidate.clients.length, 'client')}, ${count(candidate.clients.reduce((sum, each) => sum + each.operations, 0), 'operation')}, ${candidate.durationMs} ms`);
    return fails;
  });
  clearProgress();
  const file = writePlan(smallest);
  say(`the smallest plan found in ${count(runs, 'run')}, with the seed ${smallest.seed}:`);
  say(planInWords(smallest).map((line) => `  ${line}`).join('\n'));
  const { failures: left } = await runPlan(smallest);
  say(left.map((failure) => `FAILED ${failure}`).join('\n'));
  say(`replay it:  npm run sim -- --plan ${file} --trace`);
  return 'failed';
}

const tasks = { judge, trace, shrink: reduce } as const;

async function main(): Promise<Ending> {
  try {
    const args = readArguments(process.argv.slice(2));
    if (args !== null) return await tasks[args.task](args);
    say(usage.trimEnd());
    return 'passed';
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 'usage';
  }
}

// A story that is piped into something shorter than itself.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});
process.exitCode = exitCodes[await main()];
