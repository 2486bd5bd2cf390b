/**
 * What crosses a socket: every message as a positional array whose first element is its tag. PROTOCOL.md tells the
 * conversations; this file is their grammar, and the door at which bytes from a socket become trusted shapes.
 *
 * Positional arrays cost a quarter of what maps cost to encode and decode, and any MessagePack library reads them.
 * Keys travel as *binary strings* (one character per byte of the encoded key), values as bytes that only clients
 * (and server-side operations) look into.
 */
import { EventKind, eventStride, type EventRow } from './events.ts';
import { limits } from './limits.ts';
import { commitProtocols } from './protocols.ts';

/** An encoded key, one character (0 to 255) per byte: a string, so that maps can be keyed by it. */
export type Key = string;
/** An encoded value; `null` is a deletion. */
export type Value = Uint8Array | null;
/** The timestamp at which a value was committed; 0 for a key that never had one. */
export type Version = number;
/** Committed at that timestamp, or `ABORT`. */
export type Decision = number;
export const ABORT: Decision = 0;
/** In place of a decision: none is known. */
export const UNDECIDED = -1;

/** A transaction's name: who coordinates it, in which of that node's lives, and which of that life's transactions it is. */
export interface TxnId {
  readonly node: string;
  readonly incarnation: number;
  readonly number: number;
}

/**
 * Reads flat: key, version seen, key, version seen, ... Writes flat: key, value, key, value, ... sorted by partition and key. Between nodes it may be the
 * body of a batch: `others` are the numbers of the transactions of the same coordinator's life that are committed with it, in its name.
 */
export type Body = [reads: (Key | Version)[], writes: (Key | Value)[], others?: number[]];

/** Server-side operations flat: kind, key, operand, min, max; operand and bounds as encoded values, null for none. */
export type Operations = (number | Key | Value)[];
export const operationKinds = ['add', 'min', 'max'] as const;
export type OperationKind = (typeof operationKinds)[number];
/** Fields per operation in `Operations`. */
export const operationStride = 5;

export const Tag = {
  hello: 1, welcome: 2, refuse: 3, ping: 4, pong: 5,

  prepare: 10, vote: 11, accept: 12, accepted: 13, recover: 14, promise: 15, rejected: 16, decide: 17, decided: 18, finished: 19,
  marks: 20, claims: 21, settled: 22,
  vouch: 23, fenced: 24, drained: 25, attest: 26, attested: 27, forgot: 28, batched: 29,

  peek: 30, peeked: 31, confirm: 32, confirmed: 33, declined: 34,

  blocks: 40, roots: 41, compare: 42, differ: 43, descend: 44, children: 45, list: 46, listed: 47, pull: 48, pulled: 49, repair: 50,

  cut: 51, bar: 52, barred: 53, collect: 54,

  get: 60, read: 61, values: 62, commit: 63, committed: 64, aborted: 65, resolve: 66, giveUp: 67, grant: 68, status: 69, statusIs: 70, failed: 71, explain: 72, explained: 73, recent: 74, settle: 75,
  keepPoint: 76, removePoint: 77, listPoints: 78, points: 79,
  audit: 80, audited: 81, auditKeys: 82, auditedKeys: 83, heal: 84, lead: 85,
} as const;
export type Tag = (typeof Tag)[keyof typeof Tag];

/** A replica's vote. Everything but `ok` is a NO, with its reason. */
export const Vote = { none: 0, ok: 1, stale: 2, conflict: 3, wrongView: 4, superseded: 5, unsure: 6, unable: 7 } as const;
export type Vote = (typeof Vote)[keyof typeof Vote];

/** Why a transaction was aborted, as the client is told. */
export const AbortReason = { stale: 1, conflict: 2, timeout: 3, superseded: 4, boundMin: 5, boundMax: 6, operand: 7 } as const;
export type AbortReason = (typeof AbortReason)[keyof typeof AbortReason];

type T = typeof Tag;
type Id = [node: string, incarnation: number, number: number];

/* Session */
/** Of a node: its disk and its life (node/cluster/succession.ts), and where its journal ended when this life began; else nulls and zeros. */
export type Hello = [T['hello'], protocolVersion: number, clusterId: string | null, nodeId: string | null, storeId: string | null, incarnation: number, rebornAt: number, nonce: number, position: number, expectedNodeId: string | null];
export type Welcome = [T['welcome'], protocolVersion: number, clusterId: string, nodeId: string, storeId: string, incarnation: number, rebornAt: number, nonce: number, position: number, view: unknown];
/** `detail`: with `stale-incarnation`, the life that is known; else 0. */
export type Refuse = [T['refuse'], code: string, message: string, detail: number];
export type Ping = [T['ping'], sentAtMs: number];
export type Pong = [T['pong'], sentAtMs: number];

/* Commit, between nodes */
export type Prepare = [T['prepare'], ...Id, epoch: number, timestamp: number, protocol: number, body: Uint8Array];
/** `detail`: the timestamp voted (ok), the version held (stale), the voter's epoch (wrongView), else 0. `key` and `holder` say what was in the way. */
export type VoteMessage = [T['vote'], ...Id, vote: Vote, detail: number, key: Key | null, holder: string | null];
export type Accept = [T['accept'], ...Id, round: number, proposer: string, decision: Decision];
export type Accepted = [T['accepted'], ...Id, round: number, proposer: string];
export type Recover = [T['recover'], ...Id, round: number, proposer: string, epoch: number];
/** `timestamp`, `epoch` and `protocol` go with an ok vote. `acceptedRound` is -1 for none. `body` where the answerer has one. */
export type Promised = [T['promise'], ...Id, round: number, proposer: string, vote: Vote, timestamp: number, epoch: number, protocol: number, acceptedRound: number, acceptedProposer: string, acceptedDecision: Decision, body: Uint8Array | null];
/** A recover or accept refused, for a higher ballot was promised. */
export type Rejected = [T['rejected'], ...Id, round: number, proposer: string, promisedRound: number, promisedProposer: string];
/** The transaction is decided. `body` only for a replica that may hold no record of it. Also the answer of a replica that is asked to vote on, accept or recover what it knows to be decided. */
export type Decide = [T['decide'], ...Id, decision: Decision, body: Uint8Array | null];
/** The outcomes of these transactions of one coordinator are durable here. */
export type Decided = [T['decided'], node: string, incarnation: number, numbers: number[]];
/** Nothing about this transaction can change any more. `outcome`: its commit timestamp; ABORT if the answerer keeps no commit of that name (proof of an abort only from a majority of the home group); UNDECIDED if it has forgotten. */
export type Finished = [T['finished'], ...Id, outcome: Decision];
/** The sender's own transactions: all below `watermark` are decided, and finished too but for `exceptions`. */
export type Marks = [T['marks'], watermark: number, exceptions: number[]];
/** How far the sender's journal has come. Flat, per node: its id, the newest life known of it (disk, incarnation, rebirth, nonce), below which the sender votes no more, and 1 if it holds no undecided record from below that. */
export type Claims = [T['claims'], position: number, claims: (string | number)[]];
/** An operator decided this transaction at the node `by`, in place of its coordinator, at `atMs` of that node's wall clock. Whoever had decided it otherwise must not go on. */
export type Settled = [T['settled'], ...Id, decision: Decision, atMs: number, by: string];

/* Doubt, between nodes */
/** The sender may have forgotten what it knew of these partitions. */
export type Vouch = [T['vouch'], request: number, partitions: number[]];
/** No transaction of the answerer's present life, `incarnation`, with this number or one above it had begun. */
export type Fenced = [T['fenced'], request: number, incarnation: number, number: number];
/** All that the answerer had voted for in these partitions when it was asked is decided and applied, and at most of this timestamp. It is sure of them. */
export type Drained = [T['drained'], request: number, partitions: number[], timestamp: number];
/** In answer to recover or accept: whatever the answerer said about this transaction, it has forgotten, and says nothing more. */
export type Forgot = [T['forgot'], ...Id, round: number, proposer: string];
/** Was the answerer sure of these all the time since it said that they are drained? */
export type Attest = [T['attest'], request: number, partitions: number[]];
/** Of these it was. */
export type Attested = [T['attested'], request: number, partitions: number[]];

/** In answer to recover or accept: this transaction is part of a batch, of that number of the same life, and ends as that does; and what is needed to recover that. */
export type Batched = [T['batched'], ...Id, batch: number, epoch: number, protocol: number, partitions: number[]];

/* Reads, between nodes */
export type Peek = [T['peek'], request: number, epoch: number, keys: Key[], withValues: boolean];
/** Flat: version, value, ... in the order asked; values are null where not asked for. `refusedEpoch` is not 0 when the replica's view is newer: then nothing else counts. */
export type Peeked = [T['peeked'], request: number, refusedEpoch: number, withValues: boolean, versionsAndValues: (Version | Value)[]];
export type Confirm = [T['confirm'], request: number, epoch: number, keys: Key[], versions: Version[]];
/** `staleKey` is null when every version is still the newest here. */
export type Confirmed = [T['confirmed'], request: number, refusedEpoch: number, staleKey: Key | null];
/** In place of `peeked` or `confirmed`: the answerer may have forgotten what it knew of some of these keys, and says nothing about any. */
export type Declined = [T['declined'], request: number];

/* Healing, between nodes */
/** `digests`: for each block 16 bytes, over the roots of those of its partitions that both sides keep. */
export type Blocks = [T['blocks'], request: number, blocks: number[], digests: Uint8Array];
/** Flat: block, 16 bytes for each such partition of it; only those blocks whose digest differs. `isBusy`: the answerer is behind itself and catching up with somebody else. */
export type Roots = [T['roots'], request: number, isBusy: boolean, differing: (number | Uint8Array)[]];
/** `roots`: 16 bytes per partition. */
export type Compare = [T['compare'], request: number, partitions: number[], roots: Uint8Array];
/** Flat: partition, isSure, collected, 6 bytes of each of its root's 16 children, or none if the roots are equal. */
export type Differ = [T['differ'], request: number, partitions: (number | boolean | Uint8Array)[]];
/** `level`: of the nodes, in this partition's tree. */
export type Descend = [T['descend'], request: number, partition: number, level: number, nodes: number[]];
/** 6 bytes of each of the 16 children of each of the nodes. */
export type Children = [T['children'], request: number, digests: Uint8Array];
/**
 * Flat: partition, leaf, above, have; the first and the third are nil where they are as in the leaf before. What is newer than `above` is wanted with its value; if `have` is not nil, of the rest is wanted what is not
 * among its fingerprints (4 bytes each). Only what is behind `after` in the first leaf, and up to `until` in the last. `atMost`: bytes that the asker will take at once, about.
 */
export type List = [T['list'], request: number, leaves: (number | Version | Uint8Array | null)[], after: Key | null, until: Key | null, atMost: number];
/**
 * The first of the leaves, as many as fit. Flat: collected (nil: as in the leaf before), the leaf's digest of 6 bytes, and one bit for each fingerprint of `have`, set if it was met.
 * `news`, flat: key, version, value. `others`, flat: key, version, checksum. `cutAt` is not nil if the last of the leaves was gone through only up to that key.
 */
export type Listed = [T['listed'], request: number, leaves: (number | Uint8Array | null)[], news: (Key | Version | Value)[], others: (Key | Version | number)[], cutAt: Key | null];
export type Pull = [T['pull'], request: number, keys: Key[], atMost: number];
/** Flat: key, version, value. */
export type Pulled = [T['pulled'], request: number, entries: (Key | Version | Value)[]];
/** Committed versions newer than those that the receiver has just told. Flat: key, version, value. */
export type Repair = [T['repair'], entries: (Key | Version | Value)[]];

/* Collection of tombstones, between nodes. `at`, a timestamp, names the round. */
/** Keep account of what these partitions hold up to there. */
export type Cut = [T['cut'], at: number, partitions: number[]];
/** Vote for no write to these partitions up to there any more, and say what you hold up to there. */
export type Bar = [T['bar'], at: number, partitions: number[]];
/** The answer, for those partitions in which nothing up to there is undecided: 16 bytes each, durable. */
export type Barred = [T['barred'], at: number, partitions: number[], digests: Uint8Array];
/** All replicas of these partitions hold the same up to there: their tombstones are not needed. */
export type Collect = [T['collect'], at: number, partitions: number[]];

/* Client */
/** Linearizable reads. */
export type Get = [T['get'], request: number, deadlineMs: number, epoch: number, keys: Key[]];
/** The latest committed values of this one replica; a transaction checks them at commit. */
export type Read = [T['read'], request: number, deadlineMs: number, epoch: number, keys: Key[]];
/** Flat: version, value, in the order asked; the first of what was asked for, as many as fit (`answerBytesTarget`), one at least. The rest is to be asked for again. */
export type Values = [T['values'], request: number, versionsAndValues: (Version | Value)[]];
/** `protocol`: its number, or null for the cluster's default. `lease`: the turn given with an earlier `aborted`, or 0. `wantTurn`: on a conflict, hold my place for a moment. */
export type Commit = [T['commit'], request: number, deadlineMs: number, number: number, epoch: number, protocol: number | null, lease: number, wantTurn: boolean, body: Uint8Array, operations: Operations | null];
/** `version` is the commit timestamp; 0 for a transaction that only read. `isLast`: no other transaction of that version is known to have written one of its keys after it. */
export type Committed = [T['committed'], request: number, version: Version, isLast: boolean];
/** `lease` is not 0 if the caller has its turn now; `fresh` then holds key, version, value of its keys, flat, as many as fit. `value`: what a bound or operand clashed with. */
export type Aborted = [T['aborted'], request: number, reason: AbortReason, key: Key | null, value: Value, lease: number, fresh: (Key | Version | Value)[] | null];
/** What became of this transaction? `partitions`: those it touches, its home first. */
export type Resolve = [T['resolve'], request: number, deadlineMs: number, ...Id, epoch: number, partitions: number[]];
/** The turn is not needed any more. */
export type GiveUp = [T['giveUp'], lease: number];
/** From now on the session's transactions take the numbers first, first + 1, ..., first + count - 1, and none of earlier grants. */
export type Grant = [T['grant'], first: number, count: number];
export type Status = [T['status'], request: number];
export type StatusIs = [T['statusIs'], request: number, status: unknown];
export type Failed = [T['failed'], request: number, code: string, message: string];
/** What does this node know of how this transaction went? */
export type Explain = [T['explain'], request: number, ...Id];
/** Flat: events (events.ts), in the order in which they happened at this node. */
export type Explained = [T['explained'], request: number, events: EventRow[number][]];
/** What became of the latest transactions that this node knows, `count` of them at most? The answer is `explained`, with those events that tell. */
export type Recent = [T['recent'], request: number, count: number];
/** An operator's decision on a transaction that is blocked at this node: to commit it, or to abort it. */
export type Settle = [T['settle'], request: number, deadlineMs: number, ...Id, commit: boolean];
/** Begin to keep a recovery point of this name. It takes as long as copying the data does; the answer does not wait for that. */
export type KeepPoint = [T['keepPoint'], request: number, name: string];
export type RemovePoint = [T['removePoint'], request: number, name: string];
export type ListPoints = [T['listPoints'], request: number];
/** Flat: name, state, when it was begun (ms since 1970), its bytes; if it failed, an error code and what happened. */
export type Points = [T['points'], request: number, points: (string | number | null)[]];
/** Read every row of these partitions, and compute digests from that. */
export type Audit = [T['audit'], request: number, partitions: number[]];
/**
 * Flat: partition, its keys (tombstones too), damaged rows that were met, `AuditFact`s, the timestamp up to which its tombstones have been removed,
 * digests of its ranges of hashes, 16 bytes each. The first of those asked for, as many as were done in a moment, one at least; none if the node keeps no replica of the first.
 */
export type Audited = [T['audited'], request: number, audited: (number | Uint8Array)[]];
/** Bits. `doubtful`: the node doesn't speak for it until it is healed; `misdigested`: its digests were not those of its rows, so that healing would have passed them by. */
export const AuditFact = { doubtful: 1, misdigested: 2 } as const;
/** Which keys are in these ranges (a bit for each, the lowest bit of a byte first)? `after`: continue behind this key. */
export type AuditKeys = [T['auditKeys'], request: number, partition: number, ranges: Uint8Array, after: Key | null];
/** Flat: key, version, checksum, 1 for a tombstone, bytes of the value; in an order that all replicas share. `more`: ask again behind the last key. */
export type AuditedKeys = [T['auditedKeys'], request: number, rows: (Key | number)[], more: boolean];
/** Compare with all peers now. The answer is `statusIs`. */
export type Heal = [T['heal'], request: number];
/** Transactions on these keys contend: they had better meet at the coordinator of this partition (leads.ts). Nobody answers. */
export type Lead = [T['lead'], keys: Key[], partition: number];
/** Of a recovery point. The latest that failed is listed until another one is begun. */
export const PointState = { kept: 0, underWay: 1, failed: 2 } as const;
export type PointState = (typeof PointState)[keyof typeof PointState];

export type Message =
  | Hello | Welcome | Refuse | Ping | Pong
  | Prepare | VoteMessage | Accept | Accepted | Recover | Promised | Rejected | Decide | Decided | Finished | Batched | Marks | Claims | Settled
  | Vouch | Fenced | Drained | Attest | Attested | Forgot
  | Peek | Peeked | Confirm | Confirmed | Declined
  | Blocks | Roots | Compare | Differ | Descend | Children | List | Listed | Pull | Pulled | Repair
  | Cut | Bar | Barred | Collect
  | Get | Read | Values | Commit | Committed | Aborted | Resolve | GiveUp | Grant | Status | StatusIs | Failed | Explain | Explained | Recent | Settle
  | KeepPoint | RemovePoint | ListPoints | Points | Audit | Audited | AuditKeys | AuditedKeys | Heal | Lead;

export type MessageOf<K extends Tag> = Extract<Message, [K, ...unknown[]]>;

/* The grammar, checked against the types above by the compiler. */

type Check<V> = ((value: unknown) => boolean) & { readonly checks?: V };
type Checked<C> = C extends { readonly checks?: infer V } ? Exclude<V, undefined> : never;
type Checks<M extends unknown[]> = M extends [unknown, ...infer Rest] ? { [I in keyof Rest]: Check<Rest[I]> } : never;

const check = <V>(test: (value: unknown) => boolean): Check<V> => test;

const uint = check<number>((v) => Number.isSafeInteger(v) && (v as number) >= 0);
const atLeastMinusOne = check<number>((v) => Number.isSafeInteger(v) && (v as number) >= -1);
const finite = check<number>((v) => typeof v === 'number' && Number.isFinite(v));
const bool = check<boolean>((v) => typeof v === 'boolean');
const name = check<string>((v) => typeof v === 'string' && v.length <= limits.nameLengthMax);
const text = check<string>((v) => typeof v === 'string' && v.length <= 4_096);
const bytes = check<Uint8Array>((v) => v instanceof Uint8Array);
const binaryString = /^[\0-\xff]*$/s;
const key = check<Key>((v) => typeof v === 'string' && v.length <= limits.keyBytesMax && v.length > 0 && binaryString.test(v));
const value = check<Value>((v) => v === null || (v instanceof Uint8Array && v.length <= limits.valueBytesMax));
const anything = check<unknown>(() => true);
const orNull = <V>(inner: Check<V>): Check<V | null> => (v) => v === null || inner(v);
const oneOf = <V extends number>(values: Record<string, V>): Check<V> => {
  const known = new Set<unknown>(Object.values(values));
  return (v) => known.has(v);
};
/** A flat array of repeated groups of fields. */
const flat = <F extends Check<unknown>[]>(...fields: F): Check<Checked<F[number]>[]> => (v) => {
  if (!Array.isArray(v) || v.length % fields.length !== 0) return false;
  for (let i = 0; i < v.length; i++) if (!(fields[i % fields.length] as Check<unknown>)(v[i])) return false;
  return true;
};

/** The same with a bound on the groups of fields. */
const atMost = <V>(groups: number, fieldsPerGroup: number, inner: Check<V[]>): Check<V[]> => (v) => Array.isArray(v) && v.length <= groups * fieldsPerGroup && inner(v);
const keys = atMost(limits.transactionKeysMax, 1, flat(key));

const partitions = atMost(limits.partitionsMax, 1, flat(uint));
const id = [name, uint, uint] as const;
/** Between nodes only protocols that there are. A client that names another one is told so. */
const protocol = check<number>((v) => Number.isSafeInteger(v) && (v as number) >= 0 && (v as number) < commitProtocols.length);
const ballot = [uint, name] as const;
const event = [...id, oneOf(EventKind), uint, finite, orNull(name), uint, atLeastMinusOne, orNull(key), orNull(text)] as const;
const operation = check<number>((v) => v === 0 || v === 1 || v === 2);

const grammar: { readonly [K in Tag]: Checks<MessageOf<K>> } = {
  [Tag.hello]: [uint, orNull(name), orNull(name), orNull(name), uint, uint, uint, uint, orNull(name)],
  [Tag.welcome]: [uint, name, name, name, uint, uint, uint, uint, anything],
  [Tag.refuse]: [text, text, uint],
  [Tag.ping]: [finite],
  [Tag.pong]: [finite],

  [Tag.prepare]: [...id, uint, uint, protocol, bytes],
  [Tag.vote]: [...id, oneOf(Vote), uint, orNull(key), orNull(text)],
  [Tag.accept]: [...id, ...ballot, uint],
  [Tag.accepted]: [...id, ...ballot],
  [Tag.recover]: [...id, ...ballot, uint],
  [Tag.promise]: [...id, ...ballot, oneOf(Vote), uint, uint, protocol, atLeastMinusOne, name, atLeastMinusOne, orNull(bytes)],
  [Tag.rejected]: [...id, ...ballot, ...ballot],
  [Tag.decide]: [...id, uint, orNull(bytes)],
  [Tag.decided]: [name, uint, flat(uint)],
  [Tag.finished]: [...id, atLeastMinusOne],
  [Tag.batched]: [...id, uint, uint, protocol, partitions],
  [Tag.marks]: [uint, flat(uint)],
  [Tag.claims]: [uint, flat(name, name, uint, uint, uint, uint)],
  [Tag.settled]: [...id, uint, uint, name],

  [Tag.vouch]: [uint, partitions],
  [Tag.fenced]: [uint, uint, uint],
  [Tag.drained]: [uint, partitions, uint],
  [Tag.attest]: [uint, partitions],
  [Tag.attested]: [uint, partitions],
  [Tag.forgot]: [...id, ...ballot],

  [Tag.peek]: [uint, uint, keys, bool],
  [Tag.peeked]: [uint, uint, bool, flat(uint, value)],
  [Tag.confirm]: [uint, uint, keys, flat(uint)],
  [Tag.confirmed]: [uint, uint, orNull(key)],
  [Tag.declined]: [uint],

  [Tag.blocks]: [uint, flat(uint), bytes],
  [Tag.roots]: [uint, bool, flat(uint, bytes)],
  [Tag.compare]: [uint, flat(uint), bytes],
  [Tag.differ]: [uint, flat<Check<number | boolean | Uint8Array>[]>(uint, bool, uint, bytes)],
  [Tag.descend]: [uint, uint, uint, flat(uint)],
  [Tag.children]: [uint, bytes],
  [Tag.list]: [uint, flat<Check<number | Uint8Array | null>[]>(orNull(uint), uint, orNull(uint), orNull(bytes)), orNull(key), orNull(key), uint],
  [Tag.listed]: [uint, flat<Check<number | Uint8Array | null>[]>(orNull(uint), bytes, orNull(bytes)), flat(key, uint, value), flat(key, uint, uint), orNull(key)],
  [Tag.pull]: [uint, keys, uint],
  [Tag.pulled]: [uint, flat(key, uint, value)],
  [Tag.repair]: [flat(key, uint, value)],

  [Tag.cut]: [uint, flat(uint)],
  [Tag.bar]: [uint, flat(uint)],
  [Tag.barred]: [uint, flat(uint), bytes],
  [Tag.collect]: [uint, flat(uint)],

  [Tag.get]: [uint, uint, uint, keys],
  [Tag.read]: [uint, uint, uint, keys],
  [Tag.values]: [uint, flat(uint, value)],
  [Tag.commit]: [uint, uint, uint, uint, orNull(uint), uint, bool, bytes, orNull(flat(operation, key, value, value, value))],
  [Tag.committed]: [uint, uint, bool],
  [Tag.aborted]: [uint, oneOf(AbortReason), orNull(key), value, uint, orNull(flat(key, uint, value))],
  [Tag.resolve]: [uint, uint, ...id, uint, partitions],
  [Tag.giveUp]: [uint],
  [Tag.grant]: [uint, uint],
  [Tag.status]: [uint],
  [Tag.statusIs]: [uint, anything],
  [Tag.failed]: [uint, text, text],
  [Tag.explain]: [uint, ...id],
  [Tag.explained]: [uint, atMost(limits.explainedEventsMax, eventStride, flat<Check<EventRow[number]>[]>(...event))],
  [Tag.recent]: [uint, uint],
  [Tag.settle]: [uint, uint, ...id, bool],
  [Tag.keepPoint]: [uint, name],
  [Tag.removePoint]: [uint, name],
  [Tag.listPoints]: [uint],
  [Tag.points]: [uint, flat<Check<string | number | null>[]>(name, oneOf(PointState), uint, uint, orNull(text), orNull(text))],
  [Tag.audit]: [uint, partitions],
  [Tag.audited]: [uint, flat(uint, uint, uint, uint, uint, bytes)],
  [Tag.auditKeys]: [uint, uint, bytes, orNull(key)],
  [Tag.auditedKeys]: [uint, flat(key, uint, uint, uint, uint), bool],
  [Tag.heal]: [uint],
  [Tag.lead]: [keys, uint],
};

const isReads = flat(key, uint);
const isWrites = flat(key, value);
const isNumbers = atMost(limits.transactionKeysMax, 1, flat(uint));

/** The names of the tags, for logs and traces. */
export const tagNames: ReadonlyMap<number, string> = new Map(Object.entries(Tag).map(([tagName, tag]) => [tag, tagName]));

/** What is wrong with a decoded message, or null if it is well formed. */
export function faultOf(message: unknown): string | null {
  if (!Array.isArray(message)) return 'a message that is no array';
  // Only a number may look into the grammar: 'constructor' is in every object.
  if (typeof message[0] !== 'number') return 'a message whose tag is no number';
  const fields = (grammar as Record<number, readonly ((v: unknown) => boolean)[]>)[message[0]];
  if (fields === undefined) return `unknown message tag ${message[0]}`;
  if (message.length !== fields.length + 1) return `${tagNames.get(message[0])} with ${message.length - 1} fields instead of ${fields.length}`;
  for (let i = 0; i < fields.length; i++) {
    if (!(fields[i] as (v: unknown) => boolean)(message[i + 1])) return `${tagNames.get(message[0])} with a bad field ${i + 1}`;
  }
  return null;
}

/** What is wrong with a decoded transaction body, or null. Checks shapes and limits, not whether the keys are ours. */
export function bodyFaultOf(body: unknown): string | null {
  if (!Array.isArray(body) || (body.length !== 2 && body.length !== 3)) return 'a transaction body that is not [reads, writes]';
  if (!isReads(body[0])) return 'a transaction body with bad reads';
  if (!isWrites(body[1])) return 'a transaction body with bad writes';
  if (body.length === 3 && !isNumbers(body[2])) return 'the body of a batch with bad numbers';
  if ((body[0] as unknown[]).length / 2 + (body[1] as unknown[]).length / 2 > 2 * limits.transactionKeysMax) return 'a transaction body with too many keys';
  return null;
}

export function formatTxnId(txn: TxnId): string {
  return `${txn.node}:${txn.incarnation}:${txn.number}`;
}
