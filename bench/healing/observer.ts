/** What the nodes tell of their healing. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database, NodeStatus } from '../../client/index.ts';

/** The parts of a node's status that matter here. */
interface Told extends NodeStatus {
  readonly digest?: string;
  readonly peers?: readonly { readonly id: string; readonly up: boolean }[];
  readonly lag?: { readonly partitionsBehind: number; readonly keysPulled: number; readonly bytesReceived?: number };
  readonly transactions?: { readonly undecided: number; readonly inFlight: number };
  readonly store?: { readonly overlayBytes: number; readonly backlogBytes: number; readonly replayMs: number; readonly replayedRecords: number; readonly sinceCheckpointMs: number | null; readonly lastCheckpointMs: number };
}

const pollMs = 50;

export type ByNode = Readonly<Record<string, number>>;

export interface Healed {
  /** Of `performance.now()`. */
  readonly atMs: number;
  /** By the node that was away, since it came back. */
  readonly keysPulled: number;
  /** By node, received in messages of the exchange; null where they don't tell. */
  readonly bytes: ByNode | null;
}

export class Observer {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async node(id: string): Promise<Told> {
    return (await this.#all()).find((node) => node.id === id) as Told;
  }

  /** Resolves when no transaction is under way at the nodes that answer, and all that they know of transactions is on their disks. */
  async atRest(timeoutMs: number): Promise<void> {
    await this.#until(timeoutMs, (nodes) => nodes.every(({ reachable, transactions, store }) => !reachable || (transactions !== undefined && transactions.inFlight + transactions.undecided === 0 && store?.backlogBytes === 0)));
  }

  /**
   * Resolves when the others have given the node up. What they write before, they may have asked it to vote on, and those
   * outcomes it is told when it is back: no healing.
   */
  async gone(id: string, timeoutMs: number): Promise<void> {
    await this.#until(timeoutMs, (nodes) => nodes.every((node) => node.id === id ? !node.reachable : node.peers?.every((peer) => peer.id !== id || !peer.up) === true));
  }

  /** Resolves when all nodes reach one another. */
  async whole(timeoutMs: number): Promise<void> {
    await this.#until(timeoutMs, (nodes) => nodes.every(({ reachable, peers }) => reachable && peers?.every(({ up }) => up) === true));
  }

  /** Resolves when all nodes hold the same, to the last version, while nobody writes. `bytesBefore`: what they had told of bytes before. */
  async equal(id: string, bytesBefore: ByNode | null, timeoutMs: number): Promise<Healed> {
    await this.#until(timeoutMs, (nodes) => nodes.every(({ reachable, digest, transactions }) => reachable && digest !== undefined && digest === nodes[0]?.digest && transactions?.undecided === 0));
    const atMs = performance.now();
    // Until they know it themselves, which takes some messages more.
    await this.#until(timeoutMs, (nodes) => nodes.every(({ lag }) => lag?.partitionsBehind === 0));
    const bytes = await this.bytes();
    const { lag } = await this.node(id);
    const between = bytes === null || bytesBefore === null ? null : Object.fromEntries(Object.entries(bytes).map(([node, count]) => [node, count - (bytesBefore[node] ?? 0)]));
    return { atMs, keysPulled: lag?.keysPulled ?? Number.NaN, bytes: between };
  }

  /** Resolves when each node that answers has begun a checkpoint since, and ended it: what was written before is in their tables. */
  async settled(timeoutMs: number): Promise<void> {
    const sinceMs = performance.now();
    await this.#until(timeoutMs, (nodes) => nodes.every(({ reachable, store }) => !reachable || (store !== undefined && store.sinceCheckpointMs !== null && store.sinceCheckpointMs + store.lastCheckpointMs < performance.now() - sinceMs)));
  }

  /** While others write, replicas are never all equal: resolves when the node has pulled that many keys. It is asked as often as it would be otherwise, so that what asking costs is in all windows alike. */
  async pulled(id: string, keys: number, timeoutMs: number, untilMs = 0): Promise<void> {
    const timeoutAtMs = performance.now() + timeoutMs;
    for (;;) {
      const keysPulled = (await this.node(id)).lag?.keysPulled ?? 0;
      if (performance.now() >= untilMs && keysPulled >= keys) return;
      if (performance.now() > timeoutAtMs) throw new Error(`${id} has pulled ${keysPulled} of ${keys} keys in ${timeoutMs} ms`);
      await delay(pollMs);
    }
  }

  /** What each node that answers has received so far of messages by which nodes heal one another. */
  async bytes(): Promise<ByNode | null> {
    const told = (await this.#all()).filter(({ reachable }) => reachable).map(({ id, lag }) => [id, lag?.bytesReceived] as const);
    return told.some(([, bytes]) => bytes === undefined) ? null : Object.fromEntries(told as (readonly [string, number])[]);
  }

  async #until(timeoutMs: number, holds: (nodes: readonly Told[]) => boolean): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    for (;;) {
      const nodes = await this.#all();
      if (holds(nodes)) return;
      if (performance.now() > untilMs) throw new Error(`not within ${timeoutMs} ms: ${JSON.stringify(nodes.map(({ id, reachable, reason, digest, lag, transactions }) => ({ id, reachable, reason, digest, lag, undecided: transactions?.undecided })))}`);
      await delay(pollMs);
    }
  }

  async #all(): Promise<readonly Told[]> {
    return await this.#db.status({ timeoutMs: 2_000 }) as readonly Told[];
  }
}
