/** What callers may ask for, its defaults with their reasons, and its limits. */
import { inspect } from './inspect.ts';
import type { Environment } from './wire/environment.ts';
import { DtpError } from './wire/errors.ts';
import { limits } from './wire/limits.ts';
import { protocolNumber, type CommitProtocolName } from './wire/protocols.ts';

/** How long, and until when, one operation is tried. */
export interface OperationOptions {
  /**
   * Milliseconds from the call until it is given up, retries included; 1 to 60,000. By default that of `connect`.
   * Overrun by up to 25 ms: deadlines are looked at that often.
   */
  timeoutMs?: number | undefined;
  /** Gives the operation up: it then rejects with `cancelled`, its `cause` the signal's reason. A commit that was already sent rejects with TransactionOutcomeUnknown instead. */
  signal?: AbortSignal | undefined;
}

export interface WriteOptions extends OperationOptions {
  /** The commit protocol of this write. By default that of `connect`. */
  protocol?: CommitProtocolName | undefined;
}

export interface TransactionOptions extends WriteOptions {
  /** How often the function may be run, the first time included; at least 1. By default that of `connect`. */
  maxAttempts?: number | undefined;
}

export interface ConnectOptions {
  /** Addresses of one or more nodes, as `ws://host:port`. One is enough: the others are learned from the cluster. Name several, so that one may be down. */
  nodes: readonly string[];
  /** The cluster's id, where another one answering at these addresses must not be taken for it. By default whichever answers. */
  cluster?: string | undefined;
  /** Milliseconds until `connect` rejects if no node answers; by default 5,000. */
  connectTimeoutMs?: number | undefined;
  /** The default for each operation; by default 10,000: long enough to outlast the loss of a node (about a second) several times. */
  timeoutMs?: number | undefined;
  /** The default for each transaction; by default 100: contention is bounded by the deadline, this stops a function that can never commit. */
  maxAttempts?: number | undefined;
  /** The default commit protocol; by default the cluster's, as its configuration says. */
  protocol?: CommitProtocolName | undefined;
  /**
   * Bytes of keys and values, about, that are remembered from reads and writes, so that a transaction need not ask for what this client knows; by default 16 MiB, and 0
   * remembers nothing. Whatever a transaction reads is checked when it commits, so what its first try sees may be older, and what it commits on never is.
   */
  cacheBytes?: number | undefined;
}

/** `connect`'s options with a world of one's own: for simulation. */
export interface ConnectOptionsInEnvironment extends ConnectOptions {
  environment: Environment;
}

/** The options of `connect`, checked and complete. */
export interface Settings {
  readonly nodes: readonly string[];
  readonly cluster: string | null;
  readonly connectTimeoutMs: number;
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  /** Its number; null: the cluster's default. */
  readonly protocol: number | null;
  readonly cacheBytes: number;
}

const connectOptionNames: Record<keyof ConnectOptionsInEnvironment, true> = { nodes: true, cluster: true, connectTimeoutMs: true, timeoutMs: true, maxAttempts: true, protocol: true, cacheBytes: true, environment: true };
const operationOptionNames: Record<keyof TransactionOptions, true> = { timeoutMs: true, signal: true, protocol: true, maxAttempts: true };

/** An option that is mistyped would be one that is silently not heeded. */
function refuseUnknown(options: unknown, known: object, what: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw invalid(what, 'an object', options);
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (unknown !== undefined) throw new DtpError('invalid-argument', `${what}: there is no option ${unknown}; there are ${Object.keys(known).filter((name) => name !== 'environment').join(', ')}.`, { argument: unknown, value: (options as Record<string, unknown>)[unknown] });
}

/** @throws DtpError `invalid-argument` for an option that no operation has. */
export function checkOperationOptions(options: OperationOptions | undefined): void {
  if (options !== undefined) refuseUnknown(options, operationOptionNames, 'the options of the operation');
}

/** @throws DtpError `invalid-argument` or `unknown-protocol`. */
export function settingsOf(options: ConnectOptions): Settings {
  refuseUnknown(options, connectOptionNames, 'the options of connect');
  const { nodes, cluster } = options;
  if (!Array.isArray(nodes) || nodes.length === 0) throw invalid('nodes', 'an array of at least one address, as ws://host:port', nodes);
  if (nodes.length > limits.membersMax) throw invalid('nodes', `at most ${limits.membersMax} addresses`, `${nodes.length} of them`);
  for (const url of nodes as unknown[]) if (!isNodeUrl(url)) throw invalid('nodes', 'addresses as ws://host:port', url);
  if (cluster !== undefined && (typeof cluster !== 'string' || cluster.length === 0 || cluster.length > limits.nameLengthMax)) {
    throw invalid('cluster', `a cluster's id of 1 to ${limits.nameLengthMax} characters`, cluster);
  }
  return {
    nodes: [...new Set(nodes as string[])],
    cluster: cluster ?? null,
    connectTimeoutMs: boundedInteger('connectTimeoutMs', options.connectTimeoutMs ?? 5_000, limits.deadlineMsMax),
    timeoutMs: timeoutMsOf(options.timeoutMs, 10_000),
    maxAttempts: maxAttemptsOf(options.maxAttempts, 100),
    protocol: protocolOf(options.protocol, null),
    cacheBytes: options.cacheBytes === 0 ? 0 : boundedInteger('cacheBytes', options.cacheBytes ?? 16 * 1_024 * 1_024, Number.MAX_SAFE_INTEGER),
  };
}

export function timeoutMsOf(given: number | undefined, otherwise: number): number {
  return given === undefined ? otherwise : boundedInteger('timeoutMs', given, limits.deadlineMsMax);
}

export function maxAttemptsOf(given: number | undefined, otherwise: number): number {
  return given === undefined ? otherwise : boundedInteger('maxAttempts', given, Number.MAX_SAFE_INTEGER);
}

export function protocolOf(given: CommitProtocolName | undefined, otherwise: number | null): number | null {
  return given === undefined ? otherwise : protocolNumber(given);
}

export function boundedInteger(name: string, value: unknown, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max) return value as number;
  throw invalid(name, `a whole number from 1 to ${max}`, value);
}

function isNodeUrl(url: unknown): url is string {
  if (typeof url !== 'string' || !URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return (protocol === 'ws:' || protocol === 'wss:') && hostname !== '';
}

export function invalid(name: string, allowed: string, value: unknown): DtpError {
  return new DtpError('invalid-argument', `${name}: ${allowed} expected, not ${inspect(value)}.`, { argument: name, value });
}
