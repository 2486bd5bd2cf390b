/** A transaction's story as people read it: who did what, when, with whom, in sections as a commit has them. */
import type { Story, StoryEvent, TransactionSummary } from '../index.ts';
import { formatKey } from './keys.ts';
import { table } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/** Nodes read their wall clocks to the millisecond, so two good ones may differ by this much. */
const clockNoiseMs = 2;

type Paint = Pick<Terminal, 'paint'>;

/** One line for each event; what a node sends to several others at once is one. */
export function describeStory(story: Story, { paint }: Paint): string[] {
  const lines: { section: string; cells: [time: string, node: string, peers: string, what: string] }[] = [];
  let before: StoryEvent | undefined;
  for (const event of story.events) {
    const last = lines.at(-1);
    if (last !== undefined && before !== undefined && isMore(before, event)) last.cells[2] += `, ${event.peer}`;
    else lines.push({ section: sectionOf(event), cells: [(event.atMs - (story.atMs ?? 0)).toFixed(2), event.node, peerOf(event), wordsFor(event)] });
    before = event;
  }
  const width = (column: number): number => Math.max(0, ...lines.map(({ cells }) => (cells[column] as string).length));
  const [timeWidth, nodeWidth, peersWidth] = [width(0), width(1), width(2)];
  const begun = new Set<string>();
  const text = lines.flatMap(({ section, cells: [time, node, peers, what] }) => {
    const line = `  ${time.padStart(timeWidth)}  ${node.padEnd(nodeWidth)}  ${peers.padEnd(peersWidth)}  ${what}`;
    if (begun.has(section)) return [line];
    begun.add(section);
    return ['', paint('bold', section), line];
  });
  return [...headOf(story), ...text, ...notesOn(story).map((note) => paint('yellow', note))];
}

export function describeSummaries(summaries: readonly TransactionSummary[], { paint }: Paint): string[] {
  const rows = summaries.map(({ transaction, atMs, protocol, outcome, tookMs, reason, key }) => [
    transaction, atMs === undefined ? '' : timeOf(atMs), protocol ?? '', outcome, tookMs === undefined ? '' : `${tookMs.toFixed(1)} ms`,
    `${reason ?? ''}${key === undefined ? '' : ` at ${formatKey(key)}`}`,
  ]);
  return table(['transaction', 'when', 'protocol', 'outcome', 'took', 'why'], rows, (text) => paint('bold', text));
}

function headOf({ transaction, protocol, outcome, version, reason, key, atMs, tookMs }: Story): string[] {
  const how = outcome === 'committed' ? (version === 0 ? ', it only read' : version === undefined ? '' : ` at ${version}`) : reason === undefined ? '' : `, ${reason}${key === undefined ? '' : ` at ${formatKey(key)}`}`;
  return [
    `${transaction}${protocol === undefined ? '' : ` (${protocol})`} is ${outcome}${how}`,
    `It began at ${timeOf(atMs ?? 0)}${tookMs === undefined ? '' : ` and kept its client waiting for ${tookMs.toFixed(2)} ms`}. Times below are in ms from then.`,
  ];
}

function notesOn({ nodes }: Story): string[] {
  const silent = nodes.filter((node) => node.silent !== undefined).map(({ node, silent }) => `${node} does not answer (${silent}): what it knew is missing here.`);
  const apart = nodes.filter(({ clockAheadMs }) => Math.abs(clockAheadMs) >= clockNoiseMs).map(({ node, clockAheadMs }) => (
    `The clock of ${node} is ${Math.abs(clockAheadMs).toFixed(2)} ms ${clockAheadMs > 0 ? 'ahead' : 'behind'}, as the messages show; its times are set right.`));
  return silent.length + apart.length === 0 ? [] : ['', ...silent, ...apart];
}

/** The same message to one more node. */
function isMore(before: StoryEvent, event: StoryEvent): boolean {
  return event.what === before.what && (event.what === 'sent' || event.what === 'unsent') && event.node === before.node && sectionOf(event) === sectionOf(before) && wordsFor(event) === wordsFor(before);
}

function sectionOf({ what, message, round, node, batch }: StoryEvent): string {
  if (batch !== undefined) return what === 'batched' && batch.startsWith(`${node}:`) ? 'Request' : 'Recovery';
  if (what === 'requested' || what === 'queued' || what === 'confirming' || what === 'led') return 'Request';
  if (what === 'recovering' || what === 'blocked' || what === 'settled') return 'Recovery';
  if (what === 'lost' || message === 'prepare' || message === 'vote') return 'Votes';
  if (round !== undefined) return round === 0 ? 'Proposal' : `Recovery, round ${round}`;
  return 'Outcome';
}

const arrows: { readonly [what in StoryEvent['what']]?: string } = { sent: '→', unsent: '↛', received: '←' };

function peerOf({ what, peer }: StoryEvent): string {
  const arrow = arrows[what];
  return arrow === undefined || peer === undefined ? '' : `${arrow} ${peer}`;
}

function wordsFor(event: StoryEvent): string {
  return others[event.what]?.(event) ?? (event.what === 'forced' ? `forced write: ${aboutMessage(event)}` : event.what === 'unsent' ? `${aboutMessage(event)}: not sent, no connection` : aboutMessage(event));
}

const others: { readonly [what in StoryEvent['what']]?: (event: StoryEvent) => string } = {
  requested: ({ protocol }) => `a client asks to commit${protocol === undefined ? '' : `, under ${protocol}`}`,
  queued: ({ key, holder }) => `waits for key ${keyOf(key)}, ${holder === undefined ? 'behind others in line' : `which ${holder} holds`}`,
  led: ({ peer }) => `tells the client to send the like of it to ${peer}, where others on the same keys meet`,
  batched: ({ batch }) => `is committed together with others or not at all, in the name of ${batch}, whose story tells how`,
  confirming: () => 'asks a majority whether what was read is current',
  lost: ({ peer }) => `loses its connection to ${peer}, which can’t vote any more`,
  decided: ({ decision, version, fast }) => `decides to ${decision}${at(version)}, ${fast === true ? 'on the votes alone' : 'as was proposed'}`,
  handedOver: () => 'can’t decide it any more, and leaves it to recovery',
  answered: ({ answer, reason, key, version }) => `answers the client: ${answer}${version === 0 ? '' : at(version)}${reason === undefined ? '' : `, ${reason}`}${key === undefined ? '' : `, key ${keyOf(key)}`}`,
  applied: ({ decision }) => (decision === 'commit' ? 'applies the writes, releases the locks' : 'drops the writes, releases the locks'),
  recovering: ({ reason }) => `begins to recover it: ${reason}`,
  blocked: ({ peer }) => `is blocked: waits for ${peer}`,
  settled: ({ decision, version, wished }) => `an operator decides: ${decision}${at(version)}${wished === decision ? '' : `, as was accepted before, and not ${wished}`}`,
  recovered: ({ decision, version, rounds }) => `has recovered it: ${decision}${at(version)}, after ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`,
};

function aboutMessage({ what, message, vote, timestamp, version, key, holder, round, decision, voted, promised, batch }: StoryEvent): string {
  switch (message) {
    case 'prepare':
      return `prepare${at(timestamp)}`;
    case 'vote':
      if (vote === 'ok') return `vote OK${at(timestamp)}`;
      if (vote === 'stale') return `vote NO: stale, key ${keyOf(key)} is of ${version}`;
      if (vote === 'conflict') return `vote NO: conflict, key ${keyOf(key)} is held by ${holder}`;
      if (vote === 'unsure') return 'vote NO: it may have forgotten what it knew there';
      if (vote === 'unable') return 'vote NO: its disk takes no writes';
      return vote === 'wrongView' ? 'vote NO: its view is another' : 'vote NO: superseded by a recovery';
    case 'accept':
      return `accept ${decision}${at(version)}, round ${round}`;
    case 'accepted':
      return `${what === 'forced' ? 'acceptance' : 'accepted'}, round ${round}`;
    case 'recover':
      return `recover, round ${round}`;
    case 'promise':
      return `promise for round ${round}: ${voted === true ? 'had voted OK' : 'had not voted OK'}, had accepted ${decision === undefined ? 'nothing' : `${decision}${at(version)}`}`;
    case 'rejected':
      return `round ${round} rejected: round ${promised?.round} was promised to ${promised?.to}`;
    case 'decide':
      return `decide: ${decision}${at(version)}`;
    case 'decided':
      return what === 'forced' ? 'outcome' : 'outcome on disk';
    case 'finished':
      return `finished long ago: ${decision}`;
    case 'batched':
      return `it is part of ${batch}`;
    default:
      return String(message);
  }
}

const at = (version: number | undefined): string => (version === undefined ? '' : ` at ${version}`);
const keyOf = (key: StoryEvent['key']): string => (key === undefined ? '?' : formatKey(key));

/** To the millisecond, in the time of whoever looks on. */
function timeOf(atMs: number): string {
  const date = new Date(atMs);
  const two = (part: number): string => String(part).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
