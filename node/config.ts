/**
 * `cluster.config.json`: what may stand in it, what is assumed where it says nothing and why, and what must hold
 * between its values.
 *
 * Every node and the command line read the same file. A mistake in it stops the start, with the place inside the
 * file and what is allowed there: a cluster whose members disagree on its shape is worse than none. Nothing here
 * touches a disk; text goes in, a configuration or the list of all its faults comes out.
 */
import { z } from 'zod';
import { limits } from '../client/wire/limits.ts';
import { commitProtocols, type CommitProtocolName } from '../client/wire/protocols.ts';
import type { Member, View } from '../client/wire/view.ts';

/** How the log is written; its place is the process's standard output. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

const MiB = 1_024 * 1_024;

const found = (input: unknown): string => (input === undefined ? 'it is missing' : `it is ${(JSON.stringify(input) ?? String(input)).slice(0, 60)}`);
const must = (rule: string) => ({ error: (issue: { input?: unknown }) => `must be ${rule}; ${found(issue.input)}` });

/** An object of which every key is known. */
function section<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? `unknown key; known are ${Object.keys(shape).filter((key) => !key.startsWith('$')).join(', ')}` : `must be an object; ${found(issue.input)}`),
  });
}

function whole(min: number, max: number) {
  const rule = must(`a whole number from ${min} to ${max}`);
  return z.int(rule).min(min, rule).max(max, rule);
}

function oneOf<const T extends readonly [string, ...string[]]>(names: T) {
  return z.enum(names, must(`one of ${names.map((name) => `"${name}"`).join(', ')}`));
}

function name(what: string) {
  const rule = must(`${what}: letters, digits and hyphens, a letter or digit first, at most ${limits.nameLengthMax} characters`);
  return z.string(rule).max(limits.nameLengthMax, rule).regex(/^[a-z0-9][a-z0-9-]*$/i, rule);
}

/** Exactly ws://host:port: the text is compared and dialled as it stands. */
const addressPattern = /^ws:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+):([1-9]\d{0,4})$/i;

function isAddress(text: string): boolean {
  const [, host, port] = addressPattern.exec(text) ?? [];
  // A wildcard can be listened on but not dialled, and the other nodes dial this very address.
  return host !== undefined && Number(port) <= 65_535 && host !== '0.0.0.0' && host !== '[::]';
}

const addressRule = must('the address that the other nodes and the clients dial, as "ws://host:port"');

const weightRule = must(`a number from ${limits.memberWeightMin} to ${limits.memberWeightMax}`);

const timing = section({
  /** A tenth of the time in which a dead node shall be noticed ("about a second"), with room for a few lost or late ones. */
  heartbeatIntervalMs: whole(10, 10_000).default(150),
  /** Locks of a coordinator that is connected but silent are recovered after this: longer than a healthy commit under load, shorter than a user's patience. */
  recoveryDelayMs: whole(50, 60_000).default(1_000),
  /** Locks of a coordinator known to be gone: only so long that the replicas' recoveries don't all start at once. */
  orphanRecoveryDelayMs: whole(1, 60_000).default(100),
  /** With a majority of votes there, waiting for the last one saves a round trip if it comes; twice what that has lately taken if it is more. */
  fastCommitWaitMs: whole(0, 10_000).default(5),
  /** How long a transaction that lost to others holds its place in the queue of its keys: some round trips of a client that runs its function again. */
  turnLeaseMs: whole(1, 10_000).default(250),
  /** The step of all coarse timers. Less costs processor time while idle, more blurs the delays above. */
  tickIntervalMs: whole(1, 1_000).default(50),
  /** A group without a majority of votes by then is taken as down and the transaction is aborted: long enough for a flush on a busy disk and a failover. */
  prepareTimeoutMs: whole(50, 60_000).default(2_000),
  /** How long an outcome can be asked for: no client that lost its coordinator asks later than two deadlines after its commit. */
  outcomeRetentionMs: whole(1_000, 86_400_000).default(limits.outcomeRetentionMs),
  /** Replicas compare their digests this often even if nothing went wrong: 16 bytes a partition, so it may be often. */
  healIntervalMs: whole(100, 86_400_000).default(30_000),
  /** What deleted keys leave behind is taken away this often. It costs a checkpoint at each replica and space meanwhile, and nothing else: a minute is seldom enough for the one and often enough for the other. */
  tombstoneCollectionIntervalMs: whole(100, 86_400_000).default(60_000),
});

const store = section({
  /** A trimmed journal frees whole segments: large enough that changing them is rare, small enough that disk use follows the load. A record, which came in one frame, lies in one segment. */
  journalSegmentBytes: whole(limits.frameBytesMax + MiB, 1_024 * MiB).default(16 * MiB),
  /** What one flush writes at most. Beyond a few megabytes a flush takes longer than it saves, and all votes in it wait. */
  journalBlockBytesMax: whole(64 * 1_024, 64 * MiB).default(4 * MiB),
  /** What a restart may have to read of the journal. Rows count, not bytes, some 10 µs each on an idle machine: 100 MiB take a second or two in values of kilobytes, 9 s in values of 100 bytes, and longer where others need the processor. At a quarter of it a checkpoint begins, at its end new work waits. Four overlays, for a key that is written again and again takes room in the journal alone. */
  journalBytesMax: whole(4 * (limits.frameBytesMax + MiB), 65_536 * MiB).default(256 * MiB),
  /** Committed versions not yet in the table, in memory. It bounds the replay after a restart too. The largest transaction fits twice. */
  overlayBytesMax: whole(2 * limits.transactionBytesMax, 16_384 * MiB).default(64 * MiB),
  /** Of keys that are written often only the last version is, and neighbours are written together: the longer the cheaper. One is spread over up to half of it. What a restart replays is bounded by bytes. */
  checkpointIntervalMs: whole(10, 600_000).default(10_000),
  /** Keys per transaction of the table. Transactions of many thousands leave a free list that slows down all later ones. */
  checkpointSliceKeys: whole(1, 1_000).default(500),
  /** Versions kept in memory to check reads against, about 200 bytes each; a look-up in the table costs a hundred times more. */
  headCacheEntries: whole(0, 100_000_000).default(200_000),
});

const healing = section({
  /** Of a node's comparing and catching up with the others, sent and received, when it has nothing else to do; under load it takes less. A quarter of a gigabit link: 100 GB in an hour. */
  bytesPerSecondMax: whole(64 * 1_024, 65_536 * MiB).default(32 * MiB),
  /** Everything on the disk is read again and checked once in this time. A day: damage doesn't wait for years until the other copies are bad too, and of 100 GB it reads a little more than a megabyte a second. */
  scrubIntervalMs: whole(100, 31_536_000_000).default(86_400_000),
});

const node = section({
  id: name('a node id'),
  url: z.string(addressRule).refine(isAddress, addressRule),
  /** Its share of the partitions, relative to the others. */
  weight: z.number(weightRule).min(limits.memberWeightMin, weightRule).max(limits.memberWeightMax, weightRule).default(1),
  /** Replicas of a partition are put in distinct zones while there are enough of them. */
  zone: name('a zone').nullable().default(null),
});

const file = section({
  /** Lets an editor find a schema of this file; without effect. */
  $schema: z.string().optional(),
  /** A node refuses to talk to nodes and clients of another cluster. */
  cluster: name('the name of the cluster'),
  /** Each node keeps its files in the directory of its id below this one; relative to the file. */
  dataDirectory: z.string(must('a path')).min(1, must('a path')).default('data'),
  /** Fixed when the cluster is made. With 1,024 the load of three to some tens of nodes is even within about a tenth. */
  partitions: whole(1, limits.partitionsMax)
    .refine((count) => Number.isInteger(Math.log2(count)), must(`a power of two from 1 to ${limits.partitionsMax}`))
    .default(1_024),
  /** Three survive the loss of one, which is what most people want of replication; five survive two. */
  replicationFactor: whole(1, limits.membersMax).default(3),
  protocol: oneOf(commitProtocols).default('dtp'),
  nodes: z.array(node, must('a list of nodes')).min(1, 'must name at least one node').max(limits.membersMax, `must name at most ${limits.membersMax} nodes`),
  timing: timing.prefault({}),
  store: store.prefault({}),
  healing: healing.prefault({}),
  log: section({
    /** One line per event that an operator would want. `debug` adds what happens to single transactions. */
    level: oneOf(logLevels).default('info'),
  }).prefault({}),
});

export type Timing = z.output<typeof timing>;
export type StoreSettings = z.output<typeof store>;
export type Healing = z.output<typeof healing>;

/** Right for any store that anybody has, and the same on all nodes, so nobody need configure them; but few keys never make a second page. */
export interface Sizes {
  /** Levels of the tree of digests. */
  readonly digestDepth: number;
  readonly leavesPerQuestion: number;
  /** Rows that are told of in one question; and gone through for one answer, and then taken in: either is a few milliseconds of work. */
  readonly rowsPerQuestion: number;
  readonly rowsPerAnswer: number;
  readonly keysPerQuestion: number;
}

export interface ClusterConfig {
  /** The first view of a new cluster. */
  readonly view: View;
  /** As it stands in the file. */
  readonly dataDirectory: string;
  /** The commit protocol of transactions that name none. */
  readonly protocol: CommitProtocolName;
  readonly timing: Readonly<Timing>;
  readonly store: Readonly<StoreSettings>;
  readonly healing: Readonly<Healing>;
  readonly sizes?: Sizes;
  readonly log: { readonly level: LogLevel };
}

/** Something wrong in the file: where, as `nodes[2].id`, or empty for the file as a whole; and what is allowed there. */
export interface ConfigFault {
  readonly path: string;
  readonly message: string;
}

export type ConfigResult = { readonly config: ClusterConfig } | { readonly faults: readonly ConfigFault[] };

/** Reads the text of a `cluster.config.json`. */
export function parseConfig(text: string): ConfigResult {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    return { faults: [{ path: '', message: `is not JSON: ${placeInText(text, (error as Error).message)}` }] };
  }
  return checkConfig(content);
}

/** The same for what the text stands for. */
export function checkConfig(content: unknown): ConfigResult {
  const parsed = file.safeParse(content);
  if (!parsed.success) return { faults: parsed.error.issues.flatMap(faultsOfIssue) };
  const values = parsed.data;
  const faults = faultsBetween(values);
  if (faults.length > 0) return { faults };
  const members: Member[] = values.nodes.map(({ id, url, weight, zone }) => ({ id, url, weight, zone })).sort((a, b) => (a.id < b.id ? -1 : 1));
  const { cluster, partitions, replicationFactor, dataDirectory, protocol, timing, store, healing, log } = values;
  return { config: { view: { epoch: 1, cluster, partitions, replicationFactor, members }, dataDirectory, protocol, timing, store, healing, log } };
}

/** What must hold between values that are each well formed: pairs of (is it wrong, where, what is allowed). */
function faultsBetween({ nodes, replicationFactor, timing, store }: z.output<typeof file>): ConfigFault[] {
  const rules: [wrong: boolean, path: string, message: string][] = [
    [replicationFactor > nodes.length, 'replicationFactor', `must be at most the number of nodes, ${nodes.length}; it is ${replicationFactor}`],
    // A peer is not silent because one or two of its heartbeats are late.
    [timing.recoveryDelayMs < 3 * timing.heartbeatIntervalMs, 'timing.recoveryDelayMs', `must be at least 3 heartbeatIntervalMs, ${3 * timing.heartbeatIntervalMs}; it is ${timing.recoveryDelayMs}`],
    [timing.orphanRecoveryDelayMs > timing.recoveryDelayMs, 'timing.orphanRecoveryDelayMs', `must be at most recoveryDelayMs, ${timing.recoveryDelayMs}; it is ${timing.orphanRecoveryDelayMs}`],
    [timing.tickIntervalMs > timing.heartbeatIntervalMs, 'timing.tickIntervalMs', `must be at most heartbeatIntervalMs, ${timing.heartbeatIntervalMs}, or heartbeats come late; it is ${timing.tickIntervalMs}`],
    // Else no transaction without the votes of all could ever take the slow path in time.
    [timing.fastCommitWaitMs >= timing.prepareTimeoutMs, 'timing.fastCommitWaitMs', `must be less than prepareTimeoutMs, ${timing.prepareTimeoutMs}; it is ${timing.fastCommitWaitMs}`],
    [timing.outcomeRetentionMs <= 2 * limits.deadlineMsMax, 'timing.outcomeRetentionMs', `must be more than ${2 * limits.deadlineMsMax}, twice the longest deadline of a client; it is ${timing.outcomeRetentionMs}`],
    // A checkpoint leaves the segment that is written, and a copy of what is undecided.
    [store.journalBytesMax < 4 * store.journalSegmentBytes, 'store.journalBytesMax', `must be at least 4 journalSegmentBytes, ${4 * store.journalSegmentBytes}; it is ${store.journalBytesMax}`],
    [store.journalBlockBytesMax > store.journalSegmentBytes, 'store.journalBlockBytesMax', `must be at most journalSegmentBytes, ${store.journalSegmentBytes}; it is ${store.journalBlockBytesMax}`],
  ];
  const faults = rules.filter(([wrong]) => wrong).map(([, path, message]) => ({ path, message }));
  return [...faults, ...duplicates(nodes, 'id', (node) => node.id.toLowerCase()), ...duplicates(nodes, 'url', (node) => listener(node.url))];
}

/** Ids that differ in case alone count as equal: some file systems can't hold both directories. */
function duplicates(nodes: readonly { id: string; url: string }[], field: 'id' | 'url', identity: (node: { id: string; url: string }) => string): ConfigFault[] {
  const first = new Map<string, number>();
  const faults: ConfigFault[] = [];
  nodes.forEach((node, index) => {
    const earlier = first.get(identity(node));
    if (earlier === undefined) first.set(identity(node), index);
    else faults.push({ path: `nodes[${index}].${field}`, message: `"${node[field]}" is already used by nodes[${earlier}]` });
  });
  return faults;
}

/** Two addresses with the same listener can't be had by two nodes. */
function listener(url: string): string {
  return url.toLowerCase().replace(/\/\/(localhost|\[::1\]):/, '//127.0.0.1:');
}

function faultsOfIssue(issue: z.core.$ZodIssue): ConfigFault[] {
  const path = z.core.toDotPath(issue.path);
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
  return issue.keys.map((key) => ({ path: z.core.toDotPath([...issue.path, key]), message: issue.message }));
}

/** Line and column of a JSON error, which names a position at best. */
function placeInText(text: string, message: string): string {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined || message.includes('line ')) return message;
  const before = text.slice(0, Number(position)).split('\n');
  return `${message.replace(/ in JSON at position \d+| at position \d+/, '')} at line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}
