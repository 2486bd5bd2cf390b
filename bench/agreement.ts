/** Waits until all nodes hold the same, and shows it by what they say of themselves. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database, NodeStatus } from '../client/index.ts';

/** The parts of a node's status that matter here. */
interface Told extends NodeStatus {
  readonly digest?: string;
  readonly lag?: Agreeing & { readonly peers?: readonly (Agreeing & { readonly id: string })[] };
  readonly transactions?: { readonly undecided: number };
}

interface Agreeing {
  readonly partitionsBehind: number;
  readonly lastAgreementMs: number | null;
}

export interface Agreement {
  /** Equal on all nodes. */
  readonly digest: string;
  /** Of `performance.now()`. */
  readonly atMs: number;
}

/**
 * Resolves when every node has compared all of its partitions with every other replica since `quietSinceMs`, from when
 * nothing was written any more, and found no difference; holds no undecided transaction; and all tell the same digest.
 * Rejects with the state of each node if that takes too long. Precondition: every node replicates every partition.
 */
export async function agreement(db: Database, quietSinceMs: number, timeoutMs: number): Promise<Agreement> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const askedAtMs = performance.now();
    const nodes = await db.status({ timeoutMs: 2_000 }) as Told[];
    const [first] = nodes;
    const agreed = nodes.every((node) => node.digest === first?.digest && node.transactions?.undecided === 0 && agreedSince(node, askedAtMs - quietSinceMs));
    if (agreed && first?.digest !== undefined) return { digest: first.digest, atMs: performance.now() };
    if (performance.now() > untilMs) throw new Error(`the replicas do not agree after ${timeoutMs} ms: ${nodes.map(describe).join('; ')}`);
    await delay(20);
  }
}

function agreedSince({ reachable, lag }: Told, ms: number): boolean {
  return reachable && lag !== undefined && isSince(lag, ms);
}

function isSince({ lastAgreementMs, partitionsBehind }: Agreeing, ms: number): boolean {
  return lastAgreementMs !== null && partitionsBehind === 0 && lastAgreementMs < ms;
}

/**
 * Resolves to whether, from now on and in time, this node and each other one found no difference from one another. While others
 * write, no two of them tell the same digest; but each knows when it last agreed with whom.
 */
export async function agreedAgain(db: Database, member: string, timeoutMs: number): Promise<boolean> {
  const sinceMs = performance.now();
  for (; performance.now() - sinceMs < timeoutMs; await delay(50)) {
    const agoMs = performance.now() - sinceMs;
    const nodes = await db.status({ timeoutMs: 1_000 }) as Told[];
    const agreed = ({ id, reachable, lag }: Told): boolean => reachable && (lag?.peers ?? []).every((peer) => (id !== member && peer.id !== member) || isSince(peer, agoMs));
    if (nodes.every(agreed)) return true;
  }
  return false;
}

function describe({ id, reachable, reason, lag, transactions, digest }: Told): string {
  if (!reachable) return `${id} does not answer (${reason})`;
  return `${id} is behind in ${lag?.partitionsBehind} partitions, agreed ${lag?.lastAgreementMs ?? 'never'} ms ago, has ${transactions?.undecided} undecided transactions, digest ${digest}`;
}
