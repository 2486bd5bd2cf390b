/** What `dtp status` shows of what the nodes tell: two tables for all of them, and a line for whatever an operator should know of. */
import type { NodeStatus } from '../index.ts';
import { table, type Terminal } from './terminal.ts';

export const columnsHelp = `
Columns:
  state                up; healing: it has forgotten something and learns it again from the others, and takes no part in
                       votes and reads of those partitions until then; disk: its table takes no writes, and it goes on
                       while there is room beside it; no votes: its disk takes no writes; down
  life                 counts its starts, from a number that its disk began with; it jumps when the disk was lost, or restored
  primary, replica     partitions that it is the first replica of, and another replica of
  behind               partitions in which it was last seen to differ from another replica
  doubtful             partitions for which it does not speak until it is healed
  agreed               how long ago all its partitions were last seen equal to all other replicas'; it grows while one is away
  in flight, in doubt  transactions that it coordinates or holds locks of; those without a reachable majority
  blocked              transactions that wait for nodes that are away; the first are listed below the tables
  locks, records       keys locked there; transactions remembered there
  tombstones           deleted keys that it remembers still, until all replicas are known to have heard of it`;

type Paint = Pick<Terminal, 'paint'>;

interface Column {
  readonly title: string;
  readonly cell: (node: NodeStatus, terminal: Paint) => string | number;
}

const at = (title: string, ...path: string[]): Column => ({ title, cell: (node) => cell(dig(node, path)) });

const nodeColumns: readonly Column[] = [
  at('node', 'id'), at('address', 'url'),
  { title: 'state', cell: (node, { paint }) => paint(...stateOf(node)) },
  at('life', 'incarnation'),
  { title: 'uptime', cell: (node) => duration(dig(node, ['uptimeMs'])) },
  at('primary', 'partitions', 'primary'), at('replica', 'partitions', 'replica'), at('behind', 'lag', 'partitionsBehind'),
  { title: 'doubtful', cell: (node) => (dig(node, ['doubtful']) === null ? 0 : cell(dig(node, ['doubtful', 'partitions']))) },
  { title: 'agreed', cell: (node) => ago(dig(node, ['lag', 'lastAgreementMs'])) },
];

const transactionColumns: readonly Column[] = [
  at('node', 'id'), at('in flight', 'transactions', 'inFlight'), at('in doubt', 'transactions', 'inDoubt'), at('blocked', 'transactions', 'blocked', 'count'),
  at('locks', 'transactions', 'locks'), at('records', 'transactions', 'records'), at('tombstones', 'tombstones', 'kept'),
];

function stateOf(node: NodeStatus): ['red' | 'yellow' | 'green', string] {
  if (!node.reachable) return ['red', 'down'];
  if (troubleOf(node) !== null) return isRefusing(node) ? ['red', 'no votes'] : ['yellow', 'disk'];
  return typeof dig(node, ['doubtful', 'partitions']) === 'number' ? ['yellow', 'healing'] : ['green', 'up'];
}

/** Each in its own words, in order of how much they matter. */
const remarks: readonly ((nodes: readonly NodeStatus[]) => string[])[] = [
  (nodes) => nodes.filter(({ reachable }) => !reachable).map(({ id, reason }) => `${id} does not answer: ${reason ?? 'no reason is known'}`),
  (nodes) => nodes.flatMap((node) => (troubleOf(node) === null ? [] : [`${node.id} ${isRefusing(node) ? 'takes no part in votes' : 'goes on as long as its memory and its journal have room'}: ${troubleOf(node)}`])),
  (nodes) => nodes.flatMap((node) => downPeers(node).map((peer) => `${node.id} has no connection to ${peer}`)),
  describeEpochs,
  (nodes) => nodes.flatMap(describeDoubts),
  describeBlocked,
];

export function describeStatus(nodes: readonly NodeStatus[], terminal: Paint): string[] {
  const answering = nodes.filter(({ reachable }) => reachable);
  const rows = (columns: readonly Column[], of: readonly NodeStatus[]): string[] =>
    table(columns.map(({ title }) => title), of.map((node) => columns.map((column) => column.cell(node, terminal))), (text) => terminal.paint('bold', text));
  const lines = rows(nodeColumns, nodes);
  if (answering.length > 0) lines.push('', ...rows(transactionColumns, answering));
  const said = remarks.flatMap((remark) => remark(nodes));
  return said.length === 0 ? lines : [...lines, '', ...said.map((line) => terminal.paint('yellow', line))];
}

/** Why a node's disk takes no writes; null if it does, or nothing is known. */
function troubleOf(node: NodeStatus): string | null {
  const state = dig(node, ['disk', 'state']);
  if (state === undefined || state === 'sound') return null;
  const forMs = duration(dig(node, ['disk', 'forMs']));
  return `its ${cell(dig(node, ['disk', 'part']))} can’t be written${forMs === '' ? '' : ` for ${forMs}`}: ${cell(dig(node, ['disk', 'problem']))}`;
}

/** Does it turn new work away? With a table alone that fails it has room for some more. */
function isRefusing(node: NodeStatus): boolean {
  return dig(node, ['disk', 'refusal']) !== null;
}

/** All members of a cluster have one view, but for a moment. */
function describeEpochs(nodes: readonly NodeStatus[]): string[] {
  const epochs = new Map<unknown, string[]>();
  for (const node of nodes) {
    const epoch = dig(node, ['epoch']);
    if (epoch !== undefined) epochs.set(epoch, [...(epochs.get(epoch) ?? []), node.id]);
  }
  return epochs.size < 2 ? [] : [`The nodes have different views: ${[...epochs].map(([epoch, ids]) => `${ids.join(', ')} that of epoch ${String(epoch)}`).join('; ')}`];
}

/** A node that may have forgotten something, and what it does not speak for until others have told it again. */
export function describeDoubts(node: NodeStatus): string[] {
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
