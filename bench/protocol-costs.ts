/**
 * What one committed transaction costs under each protocol, by design, when nothing fails: messages between nodes, and
 * forced writes (records that some message waits for, until they are on disk).
 *
 * For one group of n replicas. Let o be the replicas other than the coordinator's node: n - 1 if that keeps a replica
 * itself, n if not. What a node says to itself is no message.
 *
 *                 messages                                    forced writes
 *   all           o prepares, o votes, o decides,             n votes
 *                 o acknowledgements
 *   dtp, fast     no more: the votes are the decision         no more
 *   dtp, slow     o proposals to the home group, which are    n acceptances
 *                 n if it is not among them; as many answers
 *   2pc           no more: the coordinator is its own         1 decision in the coordinator's log, and n outcomes,
 *                 acceptor                                    as the client waits for acknowledgements
 *   o2pc          no more                                     1 decision, which makes the coordinator's own vote
 *                                                             durable too: one less, if it casts one
 *   3pc           o pre-commits and o answers                 n pre-commits
 *
 * Outcomes are forced under 2PC alone: under the others they can be learned again from what was forced before, so they wait
 * for the next flush, and so do their acknowledgements. These share messages: one tells all outcomes of a flush. So
 * they are counted by outcome here, and in messages there are at most as many.
 */
import type { CommitProtocol } from '../client/index.ts';

export interface Group {
  readonly replicas: number;
  readonly coordinatorIsReplica: boolean;
}

/** Of one transaction. Messages by tag, as `client/wire/messages.ts` names them. */
export interface Cost {
  readonly prepare: number;
  readonly vote: number;
  readonly accept: number;
  readonly accepted: number;
  readonly decide: number;
  /** Outcomes acknowledged; the messages that say so may be fewer. */
  readonly acknowledged: number;
  readonly forcedWrites: number;
}

/** A commit that follows from the votes alone is fast; one that was proposed to acceptors first is slow. Only DTP has both. */
export type Path = 'fast' | 'slow';

const inProtocol: Readonly<Record<CommitProtocol, (group: Group, path: Path) => { proposals: number; forcedWrites: number }>> = {
  'dtp': (group, path) => (path === 'fast' ? { proposals: 0, forcedWrites: 0 } : { proposals: othersIn(group), forcedWrites: group.replicas }),
  '2pc': ({ replicas }) => ({ proposals: 0, forcedWrites: 1 + replicas }),
  'o2pc': ({ coordinatorIsReplica }) => ({ proposals: 0, forcedWrites: coordinatorIsReplica ? 0 : 1 }),
  '3pc': (group) => ({ proposals: othersIn(group), forcedWrites: group.replicas }),
};

export function costOf(protocol: CommitProtocol, group: Group, path: Path): Cost {
  const others = othersIn(group);
  const { proposals, forcedWrites } = inProtocol[protocol](group, path);
  return { prepare: others, vote: others, accept: proposals, accepted: proposals, decide: others, acknowledged: others, forcedWrites: group.replicas + forcedWrites };
}

/** Messages if no acknowledgement shares one with another. */
export function messagesOf({ prepare, vote, accept, accepted, decide, acknowledged }: Cost): number {
  return prepare + vote + accept + accepted + decide + acknowledged;
}

function othersIn({ replicas, coordinatorIsReplica }: Group): number {
  return replicas - (coordinatorIsReplica ? 1 : 0);
}
