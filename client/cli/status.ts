/** `dtp status`: what every node says of itself, side by side. */
import type { Command } from 'commander';
import type { NodeStatus } from '../index.ts';
import { untilComplete, withConnectionOptions, withDatabase } from './connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { exitCodes } from './exit-codes.ts';
import { table } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/** A node that takes longer to tell of itself counts as silent. */
const answerMs = 1_000;

const help = `
Columns:
  state                up; failing or stalled: it runs, but its disk refuses writes, or does not end them
  primary, replica     partitions that it is the first replica of, and another replica of
  life                 how often it has been started
  in flight, in doubt  transactions that it coordinates or holds locks of; those without a reachable majority
  blocked              transactions that wait for nodes that are away; the first are listed below the table
  locks, records       keys locked there; transactions remembered there
  behind               partitions in which it was last seen to differ from another replica
  agreed               how long ago all its partitions were last seen equal to the other replicas'`;

export function registerStatus(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const command = program
    .command('status')
    .summary('show the nodes, and how they are')
    .description('Show every node: its part of the data, the transactions under way, and how far it lags behind. Ends with 1 if a node does not answer.')
    .addHelpText('after', help);
  withConnectionOptions(command).action(async (options: ConnectionOptions) => finish(await status(options, terminal)));
}

async function status(options: ConnectionOptions, terminal: Terminal): Promise<number> {
  const nodes = await withDatabase(options, (db) => untilComplete(() => db.status({ timeoutMs: answerMs }), (all) => all.every((node) => node.reachable)));
  const answering = nodes.filter((node) => node.reachable);
  if (options.json === true) terminal.out(JSON.stringify({ nodes }));
  else for (const line of describeStatus(nodes, terminal)) terminal.out(line);
  return answering.length === nodes.length ? exitCodes.done : exitCodes.absent;
}

export function describeStatus(nodes: readonly NodeStatus[], { paint }: Pick<Terminal, 'paint'>): string[] {
  const rows = nodes.map((node) => {
    const at = (...path: string[]): string | number => cell(dig(node, path));
    const state = !node.reachable ? paint('red', 'down') : isUnwell(node) ? paint('yellow', String(dig(node, ['disk', 'state']))) : paint('green', 'up');
    return [
      node.id, node.url, state, at('epoch'), at('incarnation'), duration(dig(node, ['uptimeMs'])), at('partitions', 'primary'), at('partitions', 'replica'),
      at('transactions', 'inFlight'), at('transactions', 'inDoubt'), at('transactions', 'blocked', 'count'), at('transactions', 'locks'), at('transactions', 'records'),
      at('lag', 'partitionsBehind'), ago(dig(node, ['lag', 'lastAgreementMs'])),
    ];
  });
  const head = ['node', 'address', 'state', 'epoch', 'life', 'uptime', 'primary', 'replica', 'in flight', 'in doubt', 'blocked', 'locks', 'records', 'behind', 'agreed'];
  const lines = table(head, rows, (text) => paint('bold', text));
  const silent = nodes.filter((node) => !node.reachable).map(({ id, reason }) => paint('yellow', `${id} does not answer: ${reason ?? 'no reason is known'}`));
  const apart = nodes.flatMap((node) => downPeers(node).map((peer) => paint('yellow', `${node.id} has no connection to ${peer}`)));
  const remarks = [...silent, ...apart, ...nodes.flatMap(describeDisk).map((line) => paint('yellow', line)), ...nodes.flatMap(describeDoubts).map((line) => paint('yellow', line)), ...describeBlocked(nodes).map((line) => paint('yellow', line))];
  return [...lines, ...(remarks.length === 0 ? [] : ['', ...remarks])];
}

/** Its disk refuses writes, or doesn't end them. */
function isUnwell(node: NodeStatus): boolean {
  const state = dig(node, ['disk', 'state']);
  return typeof state === 'string' && state !== 'sound';
}

function describeDisk(node: NodeStatus): string[] {
  if (!isUnwell(node)) return [];
  const [part, problem, forMs, refusal] = ['part', 'problem', 'forMs', 'refusal'].map((name) => dig(node, ['disk', name]));
  const consequence = typeof refusal === 'string' ? 'It gives no votes, answers reads' : 'It votes as long as what it can’t write there fits its memory';
  return [`the ${String(part)} of ${node.id} can’t be written, for ${duration(forMs)}: ${String(problem)}. ${consequence}, and goes on by itself when its disk does`];
}

/** A node that may have forgotten something, and what it does not speak for until others have told it again. */
function describeDoubts(node: NodeStatus): string[] {
  const partitions = dig(node, ['doubtful', 'partitions']);
  if (typeof partitions !== 'number') return [];
  const since = dig(node, ['doubtful', 'since']);
  const sinceText = typeof since === 'number' ? ` since ${new Date(since).toISOString()}` : '';
  return [`${node.id} is in doubt about ${partitions} ${partitions === 1 ? 'partition' : 'partitions'}${sinceText}: ${String(dig(node, ['doubtful', 'why']))}. It does not vote or answer there until it has learned from the other replicas what it lacks`];
}

const blockedShownMax = 5;

/** Each blocked transaction once, however many nodes wait for it: those that wait longest, and how many more there are at least, as no node tells of all. */
function describeBlocked(nodes: readonly NodeStatus[]): string[] {
  const lines = new Map<string, string>();
  for (const node of nodes) {
    const first = dig(node, ['transactions', 'blocked', 'first']);
    for (const blocked of Array.isArray(first) ? first : []) {
      const { transaction, protocol, waitsFor, sinceMs, keys } = blocked as Record<string, unknown>;
      const away = Array.isArray(waitsFor) ? waitsFor.join(', ') : '';
      const coordinator = String(transaction).slice(0, String(transaction).indexOf(':'));
      const wayOut = away === coordinator ? `; if ${away} never comes back: dtp resolve ${String(transaction)} --commit or --abort` : '';
      if (!lines.has(String(transaction))) lines.set(String(transaction), `${String(transaction)} (${String(protocol)}) is blocked and locks ${String(keys)} keys of ${node.id}: it has been waiting for ${away} for ${duration(sinceMs)}${wayOut}`);
    }
  }
  const shown = [...lines.values()].slice(0, blockedShownMax);
  const counts = nodes.map((node) => Number(dig(node, ['transactions', 'blocked', 'count']) ?? 0));
  const unseen = Math.max(lines.size, ...counts) - shown.length;
  return unseen > 0 ? [...shown, `${unseen} or more others are blocked too`] : shown;
}

/** Peers that a node is not connected to. */
function downPeers(node: NodeStatus): string[] {
  const peers = dig(node, ['peers']);
  if (!Array.isArray(peers)) return [];
  return peers.filter((peer) => dig(peer, ['up']) === false).map((peer) => String(dig(peer, ['id'])));
}

/** Nodes of another version may tell other things: what is not there is left empty. */
function dig(value: unknown, path: readonly string[]): unknown {
  return path.reduce((inner, name) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined), value);
}

function cell(value: unknown): string | number {
  return typeof value === 'number' ? value : value === undefined || value === null ? '' : String(value);
}

const units: readonly (readonly [ms: number, name: string])[] = [[86_400_000, 'd'], [3_600_000, 'h'], [60_000, 'min'], [1_000, 's']];

/** In the largest unit of which there are at least two. */
export function duration(ms: unknown): string {
  if (typeof ms !== 'number' || !(ms >= 0)) return '';
  const [unitMs, name] = units.find(([each]) => ms >= 2 * each) ?? [1_000, 's'];
  return name === 's' ? `${(ms / unitMs).toFixed(ms < 10_000 ? 1 : 0)} s` : `${Math.floor(ms / unitMs)} ${name}`;
}

function ago(ms: unknown): string {
  const text = duration(ms);
  return text === '' ? '' : `${text} ago`;
}
