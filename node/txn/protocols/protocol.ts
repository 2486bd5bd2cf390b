/**
 * What a commit protocol is: a pure rule, "given these votes and this much time, what next?", a second one for those who
 * find a transaction without its coordinator, and whose word counts in either case.
 *
 * Prepare, locks, votes by group, ballots, apply and digests are shared by all protocols, so all of them can run in one
 * cluster at once, on the same keys. Coordinator and recovery do what the rule says and never ask which one it is.
 *
 * What sets the protocols apart is who keeps a decision (Gray and Lamport, "Consensus on Transaction Commit", 2006: even
 * two-phase commit is their Paxos Commit, with the coordinator as the only acceptor):
 *
 *   acceptors   a decision that was proposed stands when a majority of each of these groups has made it durable
 *   witnesses   nobody else may decide without having heard a majority of each of these
 *
 * Whatever the acceptors may have accepted, or the votes may have decided without them, the witnesses must show.
 */
import { ABORT, UNDECIDED, type Decision } from '../../../client/wire/messages.ts';
import type { Group } from '../../cluster/topology.ts';
import { compareBallots } from '../ballot.ts';

/** The votes of one replica group. `size - ok - no - absent` replicas may still vote. */
export interface Tally {
  readonly size: number;
  readonly majority: number;
  readonly ok: number;
  readonly no: number;
  /** Never sent the prepare, or cut off since: they cannot vote any more. */
  readonly absent: number;
}

/** How long the votes have been awaited: not long yet; longer than votes that are close to each other differ; past the deadline. */
export type Patience = 'fresh' | 'waited' | 'expired';

export interface Progress {
  readonly groups: readonly Tally[];
  /** Do all OK votes so far name the same timestamp? */
  readonly sameTimestamp: boolean;
  /** The largest timestamp among the OK votes. */
  readonly maxTimestamp: number;
  readonly patience: Patience;
  /** What the coordinator has proposed at round 0; UNDECIDED for nothing yet. It proposes at most once. */
  readonly proposed: Decision;
  /** Have the acceptors made that proposal durable? */
  readonly proposalAccepted: boolean;
}

export type Step =
  | { readonly kind: 'wait' }
  /** Ask the acceptors to make this decision durable in round 0. */
  | { readonly kind: 'propose'; readonly decision: Decision }
  /** The transaction is decided: tell the replicas, and the client. */
  | { readonly kind: 'decide'; readonly decision: Decision };

export const wait: Step = { kind: 'wait' };

/** What a recoverer heard from one node that promised its ballot. */
export interface Witness {
  readonly node: string;
  /** The timestamp of its OK vote; 0 if it never voted OK, and now never will. */
  readonly timestamp: number;
  readonly accepted: { readonly round: number; readonly proposer: string; readonly decision: Decision } | null;
}

export interface CommitProtocol {
  readonly name: string;
  /** Given the coordinator's node, and the groups that the transaction touches, its home first. */
  acceptors(coordinator: string, groups: readonly Group[]): readonly Group[];
  witnesses(coordinator: string, groups: readonly Group[]): readonly Group[];
  /** What the coordinator does next. Pure. */
  next(progress: Progress): Step;
  /** What a recoverer must propose, once it has heard a majority of each group of witnesses. Pure. */
  recover(heard: readonly Witness[], groups: readonly Group[]): Decision;
  /** A client hears of its commit when that is decided, or when a majority of each touched group has applied it. */
  readonly answers: 'when decided' | 'when applied';
  /** An abort leaves no trace: who has nothing of a transaction, and no commit of it, takes it for aborted. So it is neither proposed nor acknowledged. */
  readonly presumesAbort: boolean;
  /** The coordinator's node does not flush its own vote: the decision behind it in the same journal makes both durable at once. */
  readonly ownVoteWaitsForDecision: boolean;
}

/** Of what was accepted, that of the highest ballot; null if nothing was. */
export function highestAccepted(heard: readonly Witness[]): Decision | null {
  let highest: Witness['accepted'] = null;
  for (const { accepted } of heard) if (accepted !== null && (highest === null || compareBallots(accepted, highest) > 0)) highest = accepted;
  return highest?.decision ?? null;
}

/** Is there a majority of each group among those for whom `counts` is true? */
export function isQuorum(groups: readonly Group[], counts: (member: string) => boolean): boolean {
  for (const { members, majority } of groups) {
    let count = 0;
    for (const member of members) if (counts(member)) count++;
    if (count < majority) return false;
  }
  return true;
}

/** For protocols whose decisions are always proposed first: majorities vote OK, or can't any more. */
export function majorityNext(abort: (decision: Decision) => Step): CommitProtocol['next'] {
  return ({ groups, maxTimestamp, patience, proposed, proposalAccepted }) => {
    if (proposed !== UNDECIDED) return proposalAccepted ? { kind: 'decide', decision: proposed } : wait;
    let all = true;
    let possible = true;
    for (const { size, majority, ok, no, absent } of groups) {
      if (ok < majority) all = false;
      if (size - no - absent < majority) possible = false;
    }
    if (all) return { kind: 'propose', decision: maxTimestamp };
    return !possible || patience === 'expired' ? abort(ABORT) : wait;
  };
}

/** Where nothing was accepted, nothing can have been decided but an abort. */
export const acceptedOrAbort: CommitProtocol['recover'] = (heard) => highestAccepted(heard) ?? ABORT;

/** The coordinator's node by itself: what it doesn't know, nobody does. */
export const coordinatorAlone: CommitProtocol['acceptors'] = (coordinator) => [{ members: [coordinator], majority: 1 }];
