/** Waits until all nodes hold the same, and shows it by what they say of themselves. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database, NodeStatus } from '../client/index.ts';

/** The parts of a node's status that matter here. */
interface Told extends NodeStatus {
  readonly digest?: string;
  readonly lag?: { readonly partitionsBehind: number; readonly lastAgreementMs: number | null };
  readonly transactions?: { readonly undecided: number };
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
    const agreed = nodes.every((node) => node.digest === first?.digest && agreedSince(node, askedAtMs - quietSinceMs));
    if (agreed && first?.digest !== undefined) return { digest: first.digest, atMs: performance.now() };
    if (performance.now() > untilMs) throw new Error(`the replicas do not agree after ${timeoutMs} ms: ${nodes.map(describe).join('; ')}`);
    await delay(20);
  }
}

function agreedSince({ reachable, lag, transactions }: Told, quietMs: number): boolean {
  if (!reachable || lag === undefined || lag.lastAgreementMs === null || transactions === undefined) return false;
  return lag.partitionsBehind === 0 && lag.lastAgreementMs < quietMs && transactions.undecided === 0;
}

function describe({ id, reachable, reason, lag, transactions, digest }: Told): string {
  if (!reachable) return `${id} does not answer (${reason})`;
  return `${id} is behind in ${lag?.partitionsBehind} partitions, agreed ${lag?.lastAgreementMs ?? 'never'} ms ago, has ${transactions?.undecided} undecided transactions, digest ${digest}`;
}
