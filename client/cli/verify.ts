/** `dtp verify`: are all replicas identical? And if not, mend them. */
import { clearLine, cursorTo } from 'node:readline';
import type { Command } from 'commander';
import type { Database, NodeVerification, PartitionDivergence, Verification } from '../index.ts';
import { untilComplete, withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes, InputError } from './exit-codes.ts';
import { readable, size, table } from './terminal.ts';
import type { Terminal } from './terminal.ts';

interface VerifyCommandOptions extends ConnectionOptions {
  readonly repair?: boolean;
  readonly dryRun?: boolean;
  readonly partitions?: boolean;
}

const help = `
Every node reads all of its data and checks it; what replicas hold is then compared, key by key where they differ. The
cluster goes on serving, and writes that are under way are no divergence: only what is still so a second later counts.

Columns:
  missing, older   keys that others have, or have a newer version of: what healing mends
  different        keys with another value of the same version: that must never happen, and healing does not mend it
  damaged          rows that were not as they had been written; they were taken out of service
  doubtful         partitions for which the node does not speak until it is healed
  to pull          keys and values that the node has to get from others

Ends with 0 only if all replicas of all partitions were compared and are identical; with 6 if they are not, and with 1
if a node did not answer.`;

export function registerVerify(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('verify')
    .summary('compare all replicas, and mend them')
    .description('Compare all replicas of all partitions now.')
    .option('--repair', 'have the nodes heal at once, and wait until they are identical')
    .option('--dry-run', 'say what --repair would do, and do nothing')
    .option('--partitions', 'list each partition that differs, with some of its keys')
    .addHelpText('after', help);
  withConnectionOptions(command).action(async (options: VerifyCommandOptions) => finish(await verify(options, terminal)));
}

async function verify(options: VerifyCommandOptions, terminal: Terminal): Promise<number> {
  if (options.repair === true && options.dryRun === true) throw new InputError('say either --repair or --dry-run', 'usage');
  return withDatabase(options, async (db) => {
    await untilComplete(() => db.status(), (nodes) => nodes.every(({ reachable }) => reachable));
    const bar = new Bar(terminal, options.json === true);
    const startedMs = performance.now();
    const found = await db.verify({ onProgress: (read, of) => bar.show('reading', read, of) });
    bar.clear();
    if (options.json === true) terminal.out(JSON.stringify(found, null, 0));
    else for (const line of describe(found, Math.round(performance.now() - startedMs), options, terminal)) terminal.out(line);
    if (options.repair !== true || found.divergent.length === 0) return codeOf(found);
    const repaired = await repair(db, found, bar);
    bar.clear();
    if (options.json === true) terminal.out(JSON.stringify(repaired));
    else for (const line of describeRepair(repaired, options, terminal)) terminal.out(line);
    return codeOf({ ...repaired, identical: repaired.identical && found.nodes.every(({ reachable }) => reachable) });
  });
}

function codeOf({ identical, divergent }: Verification): number {
  return identical ? exitCodes.done : divergent.length > 0 ? exitCodes.diverged : exitCodes.absent;
}

/** A repair that comes no further for this long is given up. */
const standstillMsMax = 30_000;
const againMs = 500;

/** Has the nodes heal until they are identical, or come no further. Resolves to what is left. */
async function repair(db: Database, found: Verification, bar: Bar): Promise<Verification> {
  const all = workOf(found);
  let left = found;
  let least = all;
  for (let sinceMs = performance.now(); performance.now() - sinceMs < standstillMsMax; ) {
    const partitions = left.divergent.map(({ partition }) => partition);
    await db.heal();
    await new Promise((resume) => setTimeout(resume, againMs));
    left = await db.verify({ partitions });
    const work = workOf(left);
    bar.show('healing', all - work, all);
    if (left.divergent.every(isBeyondRepair)) break;
    if (work < least) sinceMs = performance.now();
    least = Math.min(least, work);
  }
  return left;
}

function workOf({ nodes }: Verification): number {
  return nodes.reduce((sum, { missing, older, doubtful, misdigested }) => sum + missing + older + doubtful + misdigested, 0);
}

/** Nothing is left there that healing could mend. */
function isBeyondRepair({ replicas, doubtful, misdigested }: PartitionDivergence): boolean {
  return doubtful.length + misdigested.length === 0 && Object.values(replicas).every(({ missing, older }) => missing + older === 0);
}

export function describe(found: Verification, tookMs: number, { dryRun, partitions }: Pick<VerifyCommandOptions, 'dryRun' | 'partitions'>, { paint, colors }: Pick<Terminal, 'paint' | 'colors'>): string[] {
  const { nodes, divergent, identical } = found;
  const head = ['node', 'partitions', 'keys', 'missing', 'older', 'different', 'damaged', 'doubtful', 'to pull'];
  const rows = nodes.map(({ id, partitions: count, keys, missing, older, different, damaged, doubtful, bytes }) => [id, count, keys, missing, older, different, damaged, doubtful, size(bytes)]);
  const lines = [...table(head, rows, (text) => paint('bold', text)), ''];
  for (const { id, reason } of nodes.filter(({ reachable }) => !reachable)) lines.push(paint('yellow', `${id} could not be compared: ${reason ?? 'no reason is known'}`));
  for (const { id, misdigested } of nodes) if (misdigested > 0) lines.push(paint('yellow', `${id} has wrong digests of ${misdigested} partitions: their rows had changed without them`));
  if (partitions === true) lines.push(...divergent.flatMap((each) => describePartition(each, colors)));
  const took = `${(tookMs / 1_000).toFixed(1)} s`;
  if (identical) lines.push(paint('green', `All replicas are identical (${took}).`));
  else if (divergent.length === 0) lines.push(paint('yellow', `The replicas that could be compared are identical (${took}).`));
  else lines.push(paint('red', `Replicas differ in ${divergent.length} partitions (${took}).`), ...whatNext(nodes, dryRun === true, partitions === true));
  return lines;
}

function whatNext(nodes: readonly NodeVerification[], isDryRun: boolean, isDetailed: boolean): string[] {
  if (!isDryRun) return ['The nodes heal this by themselves; dtp verify --repair has them do it now and waits for it.', ...(isDetailed ? [] : ['dtp verify --partitions lists the partitions, with some of their keys.'])];
  return nodes.filter(({ missing, older }) => missing + older > 0).map(({ id, missing, older, bytes }) => `--repair would have ${id} pull ${missing + older} keys, ${size(bytes)}.`);
}

function describePartition({ partition, replicas, doubtful, misdigested, examples }: PartitionDivergence, colors: boolean): string[] {
  const counts = Object.entries(replicas).map(([id, { missing, older, different }]) => {
    const faults = [[missing, 'missing'], [older, 'older'], [different, 'different']] as const;
    return `${id} ${faults.filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}`).join(', ')}`;
  });
  const states = [...misdigested.map((id) => `${id} had wrong digests`), ...doubtful.map((id) => `${id} is doubtful`)];
  return [
    `partition ${partition}: ${[...counts, ...states].join(', ')}`,
    ...examples.map(({ key, versions }) => `  ${readable(key, { colors })}: ${Object.entries(versions).map(([id, version]) => `${id} ${version === 0 ? 'none' : version}`).join(', ')}`),
  ];
}

function describeRepair(left: Verification, options: VerifyCommandOptions, terminal: Terminal): string[] {
  if (left.divergent.length === 0) return [terminal.paint('green', 'Repaired: all of these partitions are identical now.')];
  return [
    terminal.paint('red', `${left.divergent.length} partitions still differ.`),
    ...left.divergent.slice(0, options.partitions === true ? undefined : 10).flatMap((each) => describePartition(each, terminal.colors)),
    ...(left.divergent.every(isBeyondRepair) ? ['Of these keys there are several values of one version. Write them anew, or replace the node whose values are wrong.'] : ['Healing came no further: dtp status shows which nodes are away or in trouble.']),
  ];
}

const barWidth = 30;

/** One line that is drawn over itself, where a person looks on. */
class Bar {
  readonly #isShown: boolean;

  constructor({ colors }: Pick<Terminal, 'colors'>, isQuiet: boolean) {
    this.#isShown = colors && process.stderr.isTTY === true && !isQuiet;
  }

  show(what: string, done: number, of: number): void {
    if (!this.#isShown) return;
    const share = of === 0 ? 1 : done / of;
    const filled = Math.round(share * barWidth);
    cursorTo(process.stderr, 0);
    process.stderr.write(`${what} ${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${Math.floor(share * 100)} %`);
    clearLine(process.stderr, 1);
  }

  clear(): void {
    if (!this.#isShown) return;
    cursorTo(process.stderr, 0);
    clearLine(process.stderr, 0);
  }
}
