/**
 * How a transaction went, from what the nodes remember of it.
 *
 * Each node keeps a bounded number of events in memory, the latest of all its transactions: so a story is of a recent
 * transaction, it misses what nodes that were restarted or don't answer knew, and nothing but curiosity may rest on it.
 */
import type { Inquiry } from './inquiry.ts';
import { decodeKey, type EncodedKey, type Key } from './keys.ts';
import { boundedInteger, invalid } from './options.ts';
import { inOrder, type NodeEvents } from './story-order.ts';
import { errorCodes } from './wire/errors.ts';
import { EventKind, eventStride, type EventRow } from './wire/events.ts';
import { limits } from './wire/limits.ts';
import { ABORT, AbortReason, formatTxnId, Tag, tagNames, UNDECIDED, Vote, type TxnId } from './wire/messages.ts';
import { commitProtocols, type CommitProtocolName } from './wire/protocols.ts';

/**
 * What happened. `sent` and `received` are messages between nodes, `unsent` one for which there was no session; `forced`: the record behind
 * a message reached the disk, and the message waited for it; `lost`: a voter's connection broke; `handedOver`: the coordinator could
 * decide no more; `queued`: it waits for a key; `confirming`: what a transaction read that writes nothing is checked; `led`: its client is told of
 * another coordinator, where transactions on the same keys meet; `batched`: it is committed together with others, in the name of one of them.
 */
export type StoryWhat = keyof typeof EventKind;
export type StoryMessage = 'prepare' | 'vote' | 'accept' | 'accepted' | 'recover' | 'promise' | 'rejected' | 'decide' | 'decided' | 'finished' | 'batched';
export type StoryVote = keyof typeof Vote;
export type StoryDecision = 'commit' | 'abort' | 'undecided';

/** One thing that happened at one node. Beside the first three, a field is there where it says something. */
export interface StoryEvent {
  /** Milliseconds since 1970, with fractions; the node's clock, set right where it contradicts the messages. */
  readonly atMs: number;
  readonly node: string;
  readonly what: StoryWhat;
  /** Which message was sent or received, or waited for a forced write. */
  readonly message?: StoryMessage;
  /** The other node: receiver, sender, the one that is lost or waited for. */
  readonly peer?: string;
  readonly protocol?: CommitProtocolName;
  readonly vote?: StoryVote;
  /** Voted or proposed. */
  readonly timestamp?: number;
  /** What was in the way, or is waited for; and the transaction that holds it, by its name. */
  readonly key?: Key;
  readonly holder?: string;
  /** The ballot: 0 is the coordinator's own. */
  readonly round?: number;
  readonly decision?: StoryDecision;
  /** At which it was committed. */
  readonly version?: number;
  /** `decided`: on the votes alone, or after a proposal was made durable. */
  readonly fast?: boolean;
  /** `answered`: what the client was told. */
  readonly answer?: 'committed' | 'aborted' | 'failed';
  /** Why it was aborted, failed or recovered. */
  readonly reason?: string;
  /** `promise`: whether it had voted OK. */
  readonly voted?: boolean;
  /** `rejected`: what ballot was promised already, and to whom. */
  readonly promised?: { readonly round: number; readonly to: string };
  /** `recovered`: how many ballots it took. */
  readonly rounds?: number;
  /** `batched`: the transaction, by its name, in whose name this one is committed, and whose story tells how. */
  readonly batch?: string;
  /** `settled`: what the operator asked for; `decision` is what it came to. */
  readonly wished?: string;
}

/** A transaction in one line. */
export interface TransactionSummary {
  readonly transaction: string;
  readonly protocol?: CommitProtocolName;
  readonly outcome: 'committed' | 'aborted' | 'undecided';
  /** At which it was committed; 0 for one that only read. */
  readonly version?: number;
  /** Why it was aborted, or what keeps it undecided, and the key in the way. */
  readonly reason?: string;
  readonly key?: Key;
  /** When its first event was; and how long its client waited. */
  readonly atMs?: number;
  readonly tookMs?: number;
}

export interface Story extends TransactionSummary {
  /** In an order in which no effect comes before its cause; empty if nothing is known of it. */
  readonly events: readonly StoryEvent[];
  /** Who was asked; `silent`: why a node did not answer; `clockAheadMs`: by how much its clock differs from the coordinator's, as far as messages prove it. */
  readonly nodes: readonly { readonly node: string; readonly silent?: string; readonly clockAheadMs: number }[];
}

/** What a node told, or why it told nothing. */
export interface Told {
  readonly node: string;
  readonly rows: readonly EventRow[];
  readonly silent?: string;
}

/** @throws DtpError `invalid-argument` if it is no name of a transaction. */
export function parseTransaction(name: string): TxnId {
  const [, node, incarnation, number] = /^(.{1,64}):(\d{1,15}):(\d{1,15})$/.exec(typeof name === 'string' ? name : '') ?? [];
  if (node === undefined) throw invalid('transaction', 'the name of a transaction as n1:3:42 (coordinator, its life, number)', name);
  return { node, incarnation: Number(incarnation), number: Number(number) };
}

export const explainInquiry = ({ node, incarnation, number }: TxnId): Inquiry<Told> => inquiryFor((request) => [Tag.explain, request, node, incarnation, number]);

/** @throws DtpError `invalid-argument` */
export function recentInquiry(count: number): Inquiry<Told> {
  boundedInteger('count', count, limits.recentTransactionsMax);
  return inquiryFor((request) => [Tag.recent, request, count]);
}

const inquiryFor = (message: Inquiry<Told>['message']): Inquiry<Told> => ({
  message,
  answered: ({ id }, answer) => ({ node: id, rows: answer[0] === Tag.explained ? rowsIn(answer[2]) : [] }),
  silent: ({ id }, reason) => ({ node: id, rows: [], silent: reason }),
});

function rowsIn(flat: readonly EventRow[number][]): EventRow[] {
  const rows: EventRow[] = [];
  for (let at = 0; at < flat.length; at += eventStride) rows.push(flat.slice(at, at + eventStride) as EventRow);
  return rows;
}

export function storyOf(id: TxnId, told: readonly Told[]): Story {
  const { events, aheadMs } = inOrder(id.node, eventsOf(told));
  const nodes = told.map(({ node, silent }) => ({ node, ...(silent !== undefined && { silent }), clockAheadMs: aheadMs.get(node) ?? 0 }));
  return { ...summaryOf(formatTxnId(id), events), events, nodes };
}

/** The latest `count` transactions, the newest first. */
export function summariesOf(told: readonly Told[], count: number): TransactionSummary[] {
  const byName = new Map<string, { id: TxnId; told: Map<string, EventRow[]> }>();
  for (const { node, rows } of told) {
    for (const row of rows) {
      const id = { node: row[0], incarnation: row[1], number: row[2] };
      const name = formatTxnId(id);
      let known = byName.get(name);
      if (known === undefined) byName.set(name, (known = { id, told: new Map() }));
      const own = known.told.get(node);
      if (own === undefined) known.told.set(node, [row]);
      else own.push(row);
    }
  }
  const summaries = [...byName].map(([name, { id, told: rows }]) => summaryOf(name, inOrder(id.node, eventsOf([...rows].map(([node, own]) => ({ node, rows: own })))).events));
  return summaries.sort((a, b) => (b.atMs ?? 0) - (a.atMs ?? 0)).slice(0, count);
}

function eventsOf(told: readonly Told[]): NodeEvents[] {
  return told.map(({ node, rows }) => ({ node, events: rows.map((row) => eventOf(node, row)) }));
}

function summaryOf(transaction: string, events: readonly StoryEvent[]): TransactionSummary {
  const protocol = events.find((event) => event.protocol !== undefined)?.protocol;
  const answered = events.find(({ what }) => what === 'answered');
  const requested = events.find(({ what }) => what === 'requested');
  const decided = events.find(({ what, decision }) => (what === 'decided' || what === 'applied' || what === 'recovered') && decision !== 'undecided');
  const committed = answered?.answer === 'committed' || decided?.decision === 'commit';
  const turnedDown = answered?.answer === 'aborted' || (answered?.answer === 'failed' && errorCodes[answered.reason as keyof typeof errorCodes]?.definite === true);
  const outcome = committed ? 'committed' : decided?.decision === 'abort' || turnedDown ? 'aborted' : 'undecided';
  const blocked = events.filter(({ what }) => what === 'blocked').map(({ peer }) => peer);
  const reason = outcome === 'aborted' ? answered?.reason : outcome === 'undecided' && blocked.length > 0 ? `blocked: waits for ${[...new Set(blocked)].join(', ')}` : undefined;
  const version = committed ? decided?.version ?? answered?.version : undefined;
  return {
    transaction, outcome,
    ...(protocol !== undefined && { protocol }),
    ...(version !== undefined && { version }),
    ...(reason !== undefined && { reason }),
    ...(outcome === 'aborted' && answered?.key !== undefined && { key: answered.key }),
    ...(events[0] !== undefined && { atMs: events[0].atMs }),
    ...(answered !== undefined && requested !== undefined && { tookMs: answered.atMs - requested.atMs }),
  };
}

type Details = Omit<StoryEvent, 'atMs' | 'node' | 'what'>;

const nameIn = <N extends string>(names: Readonly<Record<N, number>>, wanted: number): N | undefined => (Object.keys(names) as N[]).find((name) => names[name] === wanted);

function eventOf(node: string, row: EventRow): StoryEvent {
  const [coordinator, incarnation, , kind, about, atMs, peer, first, second, key, text] = row;
  const what = nameIn(EventKind, kind) as StoryWhat;
  const isMessage = kind === EventKind.sent || kind === EventKind.unsent || kind === EventKind.received || kind === EventKind.forced;
  return {
    atMs, node, what,
    ...(peer !== null && { peer }),
    ...(key !== null && { key: readableKey(key) }),
    ...(isMessage ? { message: tagNames.get(about) as StoryMessage, ...messageDetails[about as keyof typeof messageDetails]?.(first, second, text) } : otherDetails[what]?.(first, second, text, about)),
    ...((kind === EventKind.batched || (isMessage && about === Tag.batched)) && { batch: formatTxnId({ node: coordinator, incarnation, number: first }) }),
  };
}

const decisionOf = (decision: number): Details => (decision === UNDECIDED ? { decision: 'undecided' } : decision === ABORT ? { decision: 'abort' } : { decision: 'commit', version: decision });

const messageDetails: { readonly [tag: number]: (first: number, second: number, text: string | null) => Details } = {
  [Tag.prepare]: (first, second) => ({ ...protocolIn(first), timestamp: second }),
  [Tag.vote]: (first, second, text) => ({
    vote: nameIn(Vote, first) ?? 'none',
    ...(first === Vote.ok && { timestamp: second }),
    ...(first === Vote.stale && { version: second }),
    ...(text !== null && { holder: text }),
  }),
  [Tag.accept]: (first, second) => ({ round: first, ...decisionOf(second) }),
  [Tag.accepted]: (first) => ({ round: first }),
  [Tag.recover]: (first) => ({ round: first }),
  [Tag.promise]: (first, second, text) => ({ round: first, voted: text !== null, ...(second !== UNDECIDED && decisionOf(second)) }),
  [Tag.rejected]: (first, second, text) => ({ round: first, promised: { round: second, to: text ?? '' } }),
  [Tag.decide]: (_first, second) => decisionOf(second),
  [Tag.finished]: (_first, second) => decisionOf(second),
};

const otherDetails: { readonly [what in StoryWhat]?: (first: number, second: number, text: string | null, about: number) => Details } = {
  requested: (first) => protocolIn(first),
  queued: (_first, _second, text) => (text === null ? {} : { holder: text }),
  decided: (first, second) => ({ fast: first === 1, ...decisionOf(second) }),
  applied: (_first, second) => decisionOf(second),
  recovering: (_first, _second, text) => (text === null ? {} : { reason: text }),
  recovered: (first, second) => ({ rounds: first, ...decisionOf(second) }),
  settled: (_first, second, text) => ({ ...decisionOf(second), ...(text !== null && { wished: text }) }),
  answered: (first, second, text, about) => {
    if (about === Tag.committed) return { answer: 'committed', version: second };
    if (about === Tag.aborted) return { answer: 'aborted', reason: nameIn(AbortReason, first) ?? 'unknown' };
    return { answer: 'failed', reason: text ?? 'unknown' };
  },
};

function protocolIn(number: number): Details {
  const protocol = commitProtocols[number];
  return protocol === undefined ? {} : { protocol };
}

/** Nodes take any bytes for a key; what no client of this kind wrote is shown as it is. */
function readableKey(encoded: EncodedKey): Key {
  try {
    return decodeKey(encoded);
  } catch {
    return encoded;
  }
}
