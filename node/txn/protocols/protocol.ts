/**
 * What a commit protocol is: a pure rule, "given these votes and this much time, what next?", and a second one for those
 * who find a transaction without its coordinator.
 *
 * The coordinator does what the rule says and never asks which protocol it runs. Prepare, locks, votes by group, apply
 * and digests are shared by all protocols, so all of them can run in one cluster at once.
 */
import type { Decision } from '../../../client/wire/messages.ts';

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
  /** Has a majority of the acceptors made that proposal durable? */
  readonly proposalAccepted: boolean;
}

export type Step =
  | { readonly kind: 'wait' }
  /** Ask the acceptors to make this decision durable in round 0. */
  | { readonly kind: 'propose'; readonly decision: Decision }
  /** The transaction is decided: answer the client, tell the replicas. */
  | { readonly kind: 'decide'; readonly decision: Decision };

export const wait: Step = { kind: 'wait' };

/** What a recoverer heard from one replica that promised its ballot. */
export interface Witness {
  readonly node: string;
  /** The timestamp of its OK vote; 0 if it never voted OK, and now never will. */
  readonly timestamp: number;
  readonly accepted: { readonly round: number; readonly proposer: string; readonly decision: Decision } | null;
}

export interface RecoveryGroup {
  readonly members: readonly string[];
  readonly majority: number;
}

export interface CommitProtocol {
  readonly name: string;
  /** What the coordinator does next. Pure. */
  next(progress: Progress): Step;
  /**
   * What a recoverer must propose, once a majority of every group has promised its ballot. Pure.
   * UNDECIDED: nobody but the coordinator can decide this transaction.
   */
  recover(witnesses: readonly Witness[], groups: readonly RecoveryGroup[]): Decision;
}
