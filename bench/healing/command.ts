/**
 * `npm run bench -- healing`: what it costs that replicas become equal again by themselves.
 *
 * Three nodes hold many keys. One of them misses one key, a hundredth of all, the writes of a minute, or loses its disk;
 * measured are the bytes that are exchanged and the time until all replicas are equal to the last version, what callers feel
 * meanwhile, and how long a killed node takes to be back. In the end the nodes must agree and every value must be the
 * one written last.
 */
import type { Command } from 'commander';
import { connect } from '../../client/index.ts';
import { exitOnSignals, LocalCluster } from '../cluster.ts';
import { Load } from '../load/client.ts';
import { whole } from '../options.ts';
import { writeFiles } from '../report/files.ts';
import { dtp } from '../targets/dtp.ts';
import { describeMachine, machine } from '../usage.ts';
import { BareFlush } from './bare-flush.ts';
import { Dataset } from './dataset.ts';
import { heal, loseDisk, missKeys, type Divergence, type Stage } from './divergence.ts';
import { watchForeground, type Foreground } from './foreground.ts';
import { Observer } from './observer.ts';
import { restartAtFullest, type Restart } from './restart.ts';
import { Stalls, watchFlags } from './stalls.ts';
import { divergenceTable, foregroundTable, restartTable } from './tables.ts';

interface Options {
  readonly keys: number;
  readonly valueBytes: number;
  readonly missedSeconds: number;
  readonly rounds: number;
  readonly pauseSeconds: number;
  readonly rate: number;
  readonly restarts: number;
  readonly emptyDisk: boolean;
  readonly out: string;
}

interface Results {
  readonly divergences: Divergence[];
  foreground: Foreground | null;
  restarts: readonly Restart[];
  readonly faults: string[];
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const equalTimeoutMs = 120_000;
/** Of the load that a node misses. */
const missedCallers = 64;
const fullestSeconds = 10;
const foregroundKeysMax = 10_000;
const missedKeysMax = 100_000;

async function onOneCluster(options: Options, results: Results): Promise<void> {
  const { keys, valueBytes } = options;
  const missedKeys = Math.min(missedKeysMax, keys);
  const foregroundKeys = Math.min(foregroundKeysMax, keys);
  const cluster = await LocalCluster.start({ nodeFlags: watchFlags });
  const stalls = new Stalls(cluster);
  const bareFlush = new BareFlush(cluster.directory);
  const address = { target: 'dtp', urls: cluster.urls } as const;
  const session = await dtp.connect(address);
  const db = await connect({ nodes: cluster.urls });
  const stage: Stage = { cluster, observer: new Observer(db), dataset: new Dataset(session, keys, valueBytes), lost: (cluster.nodes.at(-1) as { id: string }).id };
  const loads: Load[] = [];
  const load = async (workload: 'put' | 'transfer', count: number): Promise<Load> => {
    const made = new Load();
    loads.push(made);
    await made.prepare(address, workload, { keys: count, valueBytes, distribution: 'uniform' });
    return made;
  };
  const told = (divergence: Divergence): void => {
    results.divergences.push(divergence);
    const { what, healMs, bytes, bytesExchanged } = divergence;
    say(`${what}: healed ${Math.round(healMs)} ms after the node served${bytesExchanged === null ? '' : `, by ${bytesExchanged} bytes for ${bytes}`}`);
  };
  try {
    const startedAtMs = performance.now();
    await stage.dataset.write();
    say(`${keys} keys of ${valueBytes} bytes were written in ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s`);
    const missed = options.missedSeconds > 0 ? await load('put', missedKeys) : null;
    const foreground = options.rounds > 0 ? await load('transfer', foregroundKeys) : null;
    told(await missKeys(stage, 1));
    told(await missKeys(stage, Math.round(keys / 100)));
    if (missed !== null) {
      let calls = 0;
      told(await heal(stage, `${options.missedSeconds} s of writes`, () => distinct(calls, missedKeys), async () => {
        ({ calls } = await missed.run({ callers: missedCallers, warmUpMs: 0, measureMs: options.missedSeconds * 1_000 }));
      }));
    }
    if (foreground !== null) {
      results.foreground = await watchForeground(stage, foreground, { stalls, bareFlush }, { rounds: options.rounds, pauseMs: options.pauseSeconds * 1_000, perSecond: options.rate, missed: Math.round(keys / 10) }, say);
      say(`\nCallers meanwhile, ${options.rate} transfers/s asked for:\n\n${foregroundTable(results.foreground)}\n`);
    }
    if (options.emptyDisk) say('Emptying a disk ...');
    if (options.emptyDisk) told(await loseDisk(stage, (missed === null ? 0 : missedKeys) + (foreground === null ? 0 : foregroundKeys)));
    say('Comparing all replicas, and reading every value ...');
    await stage.observer.equal(stage.lost, null, equalTimeoutMs);
    for (const each of loads) results.faults.push(...(await each.verify()));
    results.faults.push(...(await stage.dataset.verify()));
  } finally {
    for (const each of loads) await each.stop();
    await session.close();
    await db.close();
    await bareFlush.stop();
    await cluster.stop();
  }
}

/** How many keys so many writes of keys drawn at random meet. */
export function distinct(writes: number, keys: number): number {
  return Math.round(keys * (1 - (1 - 1 / keys) ** writes));
}

async function measure(options: Options): Promise<number> {
  exitOnSignals();
  const here = machine();
  say(`Three nodes on ${describeMachine(here)}.`);
  const results: Results = { divergences: [], foreground: null, restarts: [], faults: [] };
  await onOneCluster(options, results).catch((error: Error) => void results.faults.push(error.message));
  if (options.restarts > 0) {
    say('Filling journals for restarts ...');
    const { restarts, faults } = await restartAtFullest({ times: options.restarts, seconds: fullestSeconds, keys: Math.min(100_000, options.keys), valueBytes: options.valueBytes });
    results.restarts = restarts;
    results.faults.push(...faults);
  }
  const { divergences, restarts, faults } = results;
  if (divergences.length > 0) say(`\n${divergenceTable(divergences)}`);
  if (restarts.length > 0) say(`\nRestarts after SIGKILL, the journal at its largest:\n\n${restartTable(restarts)}`);
  say(faults.length === 0 ? '\nAll replicas agree, and all that was acknowledged is there.' : `\n${faults.length} FAULTS:\n${faults.slice(0, 20).join('\n')}`);
  say(`Written: ${writeFiles(options.out, 'healing', { format: 1, kind: 'healing', machine: here, settings: options, ...results }, null).join(', ')}`);
  return faults.length === 0 ? 0 : 1;
}

export function registerHealing(program: Command): void {
  program.command('healing')
    .description('what it costs that replicas become equal again: bytes and seconds for one key, a hundredth, a minute, an empty disk; what callers feel; restarts')
    .option('--keys <n>', 'held by the cluster', whole(100, 100_000_000), 1_000_000)
    .option('--value-bytes <n>', 'length of a value', whole(32, 400_000), 100)
    .option('--missed-seconds <n>', 'of writes that a node misses; 0 to leave that out', whole(0, 3_600), 60)
    .option('--rounds <n>', 'of windows with and without healing under load; 0 to leave them out', whole(0, 100), 5)
    .option('--pause-seconds <n>', 'between those windows', whole(1, 600), 5)
    .option('--rate <n>', 'transfers a second in those', whole(1, 1_000_000), 500)
    .option('--restarts <n>', 'after SIGKILL with a large journal; 0 to leave them out', whole(0, 100), 5)
    .option('--no-empty-disk', 'leave that out')
    .option('--out <directory>', 'where healing.json is written', 'bench-results')
    .action(async (options: Options) => {
      process.exitCode = await measure(options);
    });
}
