/**
 * What became of a transaction that is long over? A client asks that which has lost its coordinator, and has come back late. By then those who knew have been restarted perhaps, and
 * the transaction's record is gone: what is left are the outcomes that replicas retain for a while.
 */
import { encodeKey, type Key } from '../../client/keys.ts';
import type { Answer, Peer } from '../../client/peer.ts';
import type { Router } from '../../client/routing.ts';
import { parseTransaction } from '../../client/story.ts';
import { Tag } from '../../client/wire/messages.ts';

/** A transaction that is known to be committed. */
export interface Committed {
  /** As `tx.name` has it. */
  readonly name: string;
  readonly written: readonly Key[];
  readonly read: readonly Key[];
}

const deadlineMs = 1_000;

/** Asks one of the live nodes. Throws if the answer is that it was aborted; that it is not known is no wrong answer. */
export async function askLate(router: Router, pick: (nodes: readonly Peer[]) => Peer, { name, written, read }: Committed): Promise<void> {
  const { node, incarnation, number } = parseTransaction(name);
  const partitionsOf = (keys: readonly Key[]): number[] => keys.map((key) => router.partitionOf(encodeKey(key))).sort((a, b) => a - b);
  const partitions = [...new Set([...partitionsOf(written), ...partitionsOf(read)])];
  const live = router.liveNodes(partitions[0] as number, node);
  if (live.length === 0) return;
  const peer = pick(live);
  const answer = await new Promise<Answer | null>((resolve) => {
    const request = peer.expect({ answered: resolve, lost: () => resolve(null) });
    peer.send([Tag.resolve, request, deadlineMs, node, incarnation, number, router.epoch, partitions]);
  });
  if (answer?.[0] === Tag.aborted) throw new Error(`${peer.id} says that ${name} was aborted, which is committed`);
}
