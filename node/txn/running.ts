/** What a coordinator is asked to do, and what it remembers of that until every replica has the outcome. */
import { AbortReason, Vote, type Decision, type Key, type TxnId } from '../../client/wire/messages.ts';
import type { Group } from '../cluster/topology.ts';
import type { ParsedBody } from './body.ts';
import type { CommitProtocol, Patience } from './protocols/protocol.ts';

/** Why a transaction was aborted, as far as the votes told. */
export interface Refusal {
  readonly reason: AbortReason | Inability;
  readonly key: Key | null;
  /** The name of the transaction that holds the key. */
  readonly holder?: string | null;
}

export interface Start {
  readonly number: number;
  readonly timestamp: number;
  readonly protocolNumber: number;
  readonly protocol: CommitProtocol;
  readonly bytes: Uint8Array;
  readonly body: ParsedBody;
  /** Monotonic milliseconds after which the caller has given up. */
  readonly deadlineAtMs: number;
  /** Called once, when the client may hear of the decision. */
  readonly onOutcome: (decision: Decision, refusal: Refusal) => void;
  /** Called at most once, before, when a commit is decided but has to be applied before the client hears of it. Nobody else need wait for that. */
  readonly onApplying?: () => void;
  /** Called at most once, when the decision is not this coordinator's any more: others may come to it sooner. */
  readonly onDoubt: () => void;
}

/** The vote of a member that can't vote. */
export const absent = -1;
export type MemberVote = Vote | typeof absent;

/** A transaction that this node coordinates, with all that has happened to it so far. */
export interface Running {
  readonly start: Start;
  readonly id: TxnId;
  readonly epoch: number;
  readonly groups: readonly Group[];
  /** A majority of each must accept what is proposed. */
  readonly acceptors: readonly Group[];
  readonly tallies: { size: number; majority: number; ok: number; no: number; absent: number }[];
  readonly members: readonly string[];
  readonly votes: MemberVote[];
  readonly startedAtMs: number;
  /** How often some node was known to have been reborn then. */
  readonly rebirths: number;
  /** Members that were sent the prepare and have not acknowledged the outcome. */
  readonly unacknowledged: Set<string>;
  /** All members that have acknowledged it, also those who were away when the others were asked. */
  readonly acknowledged: string[];
  phase: 'voting' | 'proposing' | 'handedOver' | 'decided';
  patience: Patience;
  sameTimestamp: boolean;
  maxTimestamp: number;
  proposed: Decision;
  proposedAtMs: number;
  readonly acceptedBy: string[];
  outcome: Decision;
  refusal: Refusal;
  /** It is decided, and the client is yet to be told. */
  isAnswerDue: boolean;
}

/** What keeps replicas from voting OK, whatever they are asked; running the transaction again does not change it. In words for the client. */
export const inabilities = {
  unable: 'the disks of a majority of replicas take no writes (see dtp status)',
  unsure: 'too few replicas could vote: some are not sure of their copies, and must be told again first what they may have forgotten (see dtp status)',
} as const;
export type Inability = keyof typeof inabilities;

export const refusalReasons: { readonly [V in Vote]?: Refusal['reason'] } = { [Vote.stale]: AbortReason.stale, [Vote.conflict]: AbortReason.conflict, [Vote.unable]: 'unable', [Vote.unsure]: 'unsure' };

export function isNo(vote: MemberVote): boolean {
  return vote !== Vote.ok && vote !== Vote.none && vote !== absent;
}
