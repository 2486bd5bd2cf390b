/** `dtp checkpoint`: nodes keep copies of their data, made while they serve. */
import type { Command } from 'commander';
import { DtpError } from '../index.ts';
import type { Database, NodeRecoveryPoints, RecoveryPoint } from '../index.ts';
import { untilComplete, withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { endingOf, exitCodes, InputError } from './exit-codes.ts';
import { size, table } from './terminal.ts';
import type { Terminal } from './terminal.ts';

interface CheckpointOptions extends ConnectionOptions {
  readonly node?: string;
  readonly all?: boolean;
  readonly list?: boolean;
  readonly remove?: boolean;
}

const help = `
A recovery point is a complete copy of a node's data as of one moment, in the directory recovery-points/<name> beside that
data. The node goes on serving meanwhile. Copy the directory elsewhere to have it survive the disk; dtp restore starts a
node from one. A point of one node is enough: a restored node gets what it lacks from the others.

Examples:
  dtp checkpoint --node n1                          named after the time
  dtp checkpoint before-upgrade --all
  dtp checkpoint --list
  dtp checkpoint before-upgrade --all --remove`;

export function registerCheckpoint(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('checkpoint')
    .summary('keep a recovery point of a node, or of all')
    .description('Have a node keep a recovery point: a consistent copy of all its data, taken while it serves.')
    .argument('[name]', 'letters, digits, dots, hyphens, underscores (default: the time)')
    .option('--node <id>', 'of this node')
    .option('--all', 'of every node')
    .option('--list', 'show the recovery points that there are')
    .option('--remove', 'remove the one of that name')
    .addHelpText('after', help);
  withConnectionOptions(command).action(async (name: string | undefined, options: CheckpointOptions) => finish(await checkpoint(name, options, terminal)));
}

async function checkpoint(name: string | undefined, options: CheckpointOptions, terminal: Terminal): Promise<number> {
  const { node, all = false, list = false, remove = false } = options;
  if (list && remove) throw new InputError('say either --list or --remove', 'usage');
  if (list && name !== undefined) throw new InputError('--list shows all recovery points: give no name', 'usage');
  if (remove && name === undefined) throw new InputError('say the name of the recovery point to remove', 'usage');
  if (node !== undefined && all) throw new InputError('say either --node or --all', 'usage');
  if (node === undefined && !all && !list) throw new InputError('say which node: --node <id>, or --all', 'usage');
  return withDatabase(options, async (db) => {
    const members = await untilComplete(() => db.recoveryPoints(), (answers) => answers.every(({ reachable }) => reachable));
    if (node !== undefined && !members.some(({ id }) => id === node)) throw new InputError(`there is no node ${node}; there are ${members.map(({ id }) => id).join(', ')}`);
    const chosen = members.filter(({ id }) => node === undefined || id === node);
    if (list) return show(chosen, options, terminal);
    const common = name ?? nameOfNow();
    const codes = await Promise.all(chosen.map(({ id }) => act(db, id, common, remove, options, terminal)));
    return Math.max(...codes);
  });
}

/** One node's part. Every node is tried, whatever becomes of the others; the worst ending is the command's. */
async function act(db: Database, node: string, name: string, remove: boolean, { json }: CheckpointOptions, terminal: Terminal): Promise<number> {
  const startedMs = performance.now();
  try {
    if (remove) {
      await db.removeRecoveryPoint(node, name);
      terminal.out(json === true ? JSON.stringify({ node, name, removed: true }) : `${node}: recovery point ${name} is removed`);
    } else {
      const point = await db.checkpoint(node, name);
      const tookMs = Math.round(performance.now() - startedMs);
      terminal.out(json === true ? JSON.stringify({ node, ...point, tookMs }) : `${node}: recovery point ${name} is kept, ${size(point.bytes)} in ${(tookMs / 1_000).toFixed(1)} s`);
    }
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof DtpError)) throw error;
    const { code, message, advice } = error;
    if (json === true) {
      terminal.note(JSON.stringify({ error: { node, code, message, advice } }));
    } else {
      terminal.note(`${node}: ${message}`);
      terminal.note(advice);
    }
    return exitCodes[endingOf(code)];
  }
}

function show(nodes: readonly NodeRecoveryPoints[], { json }: CheckpointOptions, terminal: Terminal): number {
  const rows = nodes.flatMap(({ id, points, underWay }) => [...points.map((point) => row(id, point)), ...(underWay === null ? [] : [[id, underWay, 'being made', '']])]);
  if (json === true) terminal.out(JSON.stringify({ nodes }));
  else if (rows.length === 0) terminal.out('There are no recovery points.');
  else for (const line of table(['node', 'name', 'taken', 'size'], rows, (text) => terminal.paint('bold', text))) terminal.out(line);
  const silent = nodes.filter(({ reachable }) => !reachable);
  if (json !== true) for (const { id, reason } of silent) terminal.note(terminal.paint('yellow', `${id} does not answer: ${reason ?? 'no reason is known'}`));
  return silent.length === 0 ? exitCodes.done : exitCodes.absent;
}

/** So that names sort as the points were taken. */
function nameOfNow(): string {
  return new Date().toISOString().replaceAll(':', '-').replace(/\.\d+Z$/, 'Z');
}

function row(node: string, { name, takenAt, bytes }: RecoveryPoint): string[] {
  return [node, name, takenAt.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC'), size(bytes)];
}
