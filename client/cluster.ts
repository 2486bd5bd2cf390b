/** The database as a program sees it: `connect`, and what can be done with what it resolves to. */
import type { Key } from './keys.ts';
import { settingsOf, type ConnectOptions, type ConnectOptionsInEnvironment, type OperationOptions, type TransactionOptions, type WriteOptions } from './options.ts';
import { Router, type ClientStats } from './routing.ts';
import { InquiryCall } from './inquiry.ts';
import { keepPoint, pointsInquiry, removePoint, type NodeRecoveryPoints, type RecoveryPoint } from './recovery-points.ts';
import { SettleCall, type Settled } from './settle.ts';
import { heal, Verifier, type Verification, type VerifyOptions } from './verify.ts';
import { GetCall, statusInquiry, WriteCall, type NodeStatus, type Written } from './single.ts';
import { explainInquiry, parseTransaction, recentInquiry, storyOf, summariesOf, type Story, type TransactionSummary } from './story.ts';
import { decodeOrUndefined, entryOf, type Transaction, type VersionedValue } from './transaction.ts';
import { TransactionRun } from './transaction-run.ts';
import type { Call } from './call.ts';
import { realEnvironment } from './wire/real-environment.ts';
import { encodeValue } from './wire/values.ts';

/**
 * Connects to a cluster by the addresses of one or more of its nodes; the others are learned from it.
 *
 * Resolves when a node answers. Nodes that don't are done without, and tried again in the background for as long as the
 * database is open.
 *
 * @throws (rejects with) DtpError: `invalid-argument` or `unknown-protocol` for bad options; `unreachable` if no node answers within
 * `connectTimeoutMs`; `wrong-cluster` or `wrong-version` if all that answer are of another cluster or speak another version.
 *
 * @example
 * const db = await connect({ nodes: ['ws://127.0.0.1:7101'] });
 * await db.set(['account', 'alice'], { balance: 100n, opened: new Date() });
 */
export async function connect(options: ConnectOptions): Promise<Database> {
  const settings = settingsOf(options);
  return new Database(await Router.open(settings, (options as Partial<ConnectOptionsInEnvironment>).environment ?? realEnvironment()));
}

/**
 * A connected cluster. One is enough for a whole process: it holds one session with every node and may be used by any
 * number of callers at once.
 *
 * Every method rejects with a DtpError, whose `code` is one of `errorCodes`. Where `error.definite` is true, nothing was
 * written. TransactionOutcomeUnknown (`outcome-unknown`) is the one exception: no majority answered in time, so it
 * may have been written or not. Common to all: `key-unsupported` and `key-too-large` before anything is sent;
 * `deadline-exceeded`, `unreachable` (no replica is connected) and `unavailable` (no majority is) when the time is up; `overloaded`
 * when more requests are under way than the bounds allow; `cancelled` by the signal; `closed` after `close`.
 */
export class Database {
  readonly #router: Router;

  /** Made by `connect`. */
  constructor(router: Router) {
    this.#router = router;
  }

  /**
   * The value of a key, linearizable: it is at least as new as whatever anybody was told before the call. `undefined` if
   * the key is absent, or if `undefined` is what was stored (`entry` tells which); a stored `null` is `null`. `T` is the
   * caller's word, nothing checks it: say `get<Account | undefined>` where the key may be absent.
   */
  get<T = unknown>(key: Key, options?: OperationOptions): Promise<T> {
    return begin(() => new GetCall(this.#router, key, options, (_version, value) => decodeOrUndefined(value) as T));
  }

  /** The values of several keys, in the order asked, as they were together at one instant: a transaction that only reads. */
  getMany<T = unknown>(keys: readonly Key[], options?: TransactionOptions): Promise<T[]> {
    return this.transaction((tx) => tx.getMany<T>(keys), options);
  }

  /** The value of a key with the version at which it was committed, linearizable; `undefined` if the key is absent. */
  entry<T = unknown>(key: Key, options?: OperationOptions): Promise<VersionedValue<T> | undefined> {
    return begin(() => new GetCall(this.#router, key, options, (version, value) => entryOf<T>(version, value)));
  }

  /**
   * Sets a key, whatever it held. Durable on a majority of its replicas when it resolves, to the version it has got.
   * Rejects also with `value-unsupported` and `value-too-large`, before anything is sent, and with TransactionOutcomeUnknown.
   */
  set(key: Key, value: unknown, options?: WriteOptions): Promise<Written> {
    return begin(() => new WriteCall(this.#router, key, encodeValue(value), options));
  }

  /** Deletes a key, whether it is there or not. Otherwise as `set`. */
  delete(key: Key, options?: WriteOptions): Promise<Written> {
    return begin(() => new WriteCall(this.#router, key, null, options));
  }

  /**
   * Runs the function as a transaction and resolves to what it returns: all of its changes take effect at one instant,
   * at which everything that it read was current, or none does. They are durable when it resolves.
   *
   * The function is run again, from the start, when another transaction got in the way. So it must do nothing to the
   * outside world, and everything that it starts with `tx` it must await. What it reads, while it runs, may not have been
   * current all at once; that is checked at its end.
   *
   * If it throws, nothing is written and the transaction rejects with what it threw - once it is sure that what it
   * read was current, else it runs again.
   *
   * Rejects also with `conflict` after `maxAttempts`; BoundCrossed (`bound-crossed`) and `operand-unsupported` by `tx.add` and its like;
   * `transaction-too-large`; TransactionOutcomeUnknown.
   */
  transaction<R>(fn: (tx: Transaction) => R | PromiseLike<R>, options?: TransactionOptions): Promise<R> {
    return begin(() => new TransactionRun(this.#router, fn, options));
  }

  /** What every node says of itself. Nodes that don't answer within the timeout are told as `reachable: false`. */
  status(options?: OperationOptions): Promise<NodeStatus[]> {
    return begin(() => new InquiryCall(this.#router, options, statusInquiry));
  }

  /**
   * How one recent transaction went: every vote with its reason, every forced write, every round, as all nodes that
   * answer remember it. Its name is what a write resolves to as `transaction`, what `tx.name` says, and what errors carry in
   * their details. A transaction of which nobody remembers anything has a story without events.
   */
  async explain(transaction: string, options?: OperationOptions): Promise<Story> {
    const id = parseTransaction(transaction);
    return storyOf(id, await begin(() => new InquiryCall(this.#router, options, explainInquiry(id))));
  }

  /** The latest transactions that the nodes remember, the newest first; 20 of them unless told otherwise, 500 at most. */
  async recent(count = 20, options?: OperationOptions): Promise<TransactionSummary[]> {
    return summariesOf(await begin(() => new InquiryCall(this.#router, options, recentInquiry(count))), count);
  }

  /**
   * An operator's decision on a transaction that is blocked because its coordinator's node is away (`transactions.blocked` in a
   * node's status; only under the protocols 2pc and o2pc). Resolves to what the transaction is from now on, which is not
   * what was asked for if a majority had accepted something before.
   *
   * If the coordinator had decided otherwise and told its client, that client was told wrongly; its node will stop when it
   * comes back, and must be replaced.
   *
   * Rejects also with `not-blocked`, and what each node knows; `invalid-argument` if it is to be committed and no majority
   * voted for it; `unavailable` if no majority of some replica group is up; TransactionOutcomeUnknown.
   */
  settle(transaction: string, decision: 'commit' | 'abort', options?: OperationOptions): Promise<Settled> {
    return begin(() => new SettleCall(this.#router, transaction, decision, options));
  }

  /**
   * Has a node keep a recovery point: a complete, consistent copy of its data on its own disk, made while it goes on serving.
   * The name is that of a directory: 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first. Resolves when the copy is
   * durable, which takes as long as copying the data does; `timeoutMs` is for each single question on the way, `signal` ends the waiting, not the copying.
   *
   * Rejects also with `point-exists`, `overloaded` while that node makes another one, `disk-full` and `disk-failed`, and with `outcome-unknown` if the node is lost.
   */
  async checkpoint(node: string, name: string, options?: OperationOptions): Promise<RecoveryPoint> {
    return keepPoint(this.#router, node, name, options);
  }

  /** The recovery points of every node. Nodes that don't answer within the timeout are told as `reachable: false`. */
  recoveryPoints(options?: OperationOptions): Promise<NodeRecoveryPoints[]> {
    return begin(() => new InquiryCall(this.#router, options, pointsInquiry));
  }

  /** Removes a recovery point of a node, and resolves to those that it keeps still. Rejects also with `point-unknown`, `disk-failed`, and `outcome-unknown` if the node is lost. */
  async removeRecoveryPoint(node: string, name: string, options?: OperationOptions): Promise<RecoveryPoint[]> {
    return removePoint(this.#router, node, name, options);
  }

  /**
   * Compares all replicas of all partitions, by what is in them: every node reads all of its rows for it, in the background. Writes may go on: what they
   * make different for a moment is no divergence. A node that doesn't answer is told as `reachable: false`, and then `identical` is false.
   */
  verify(options: VerifyOptions = {}): Promise<Verification> {
    return new Verifier(this.#router, options).run();
  }

  /**
   * Has all nodes that answer compare themselves with the others now rather than at their next time, and take what is newer there. Resolves when
   * they have begun.
   */
  heal(options?: OperationOptions): Promise<void> {
    return heal(this.#router, options);
  }

  /** Counts of all writes and transactions through this handle so far. */
  get stats(): ClientStats {
    return { ...this.#router.stats };
  }

  /** Ends everything under way - calls reject with `closed`, commits already sent with TransactionOutcomeUnknown - and all connections. May be called again. */
  close(): Promise<void> {
    return this.#router.close();
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What is wrong with the arguments comes as a rejection, like everything else. */
function begin<R>(make: () => Call<R>): Promise<R> {
  try {
    return make().begin();
  } catch (error) {
    return Promise.reject(error as Error);
  }
}
