/** What a recovery knows and where it stands: of which transaction, whom it asks, in which ballot, and what it heard. */
import { UNDECIDED, type Decision, type TxnId } from '../../client/wire/messages.ts';
import { membersOf, type Group, type Topology } from '../cluster/topology.ts';
import type { CommitProtocol, Witness } from './protocols/protocol.ts';

/** What a transaction is asked for by name, and everything needed to recover it. */
export interface Lost {
  readonly id: TxnId;
  readonly epoch: number;
  /** Null if only a client named it: then its epoch and partitions are what the client says. */
  readonly protocolNumber: number | null;
  /** Those it touched, its home first. */
  readonly partitions: readonly number[];
}

/** A transaction that waits for nodes that are away. */
export interface Blocked {
  readonly id: TxnId;
  readonly protocol: string;
  /** The members that are away of those groups of which too many are. */
  readonly waitsFor: readonly string[];
  /** Monotonic milliseconds. */
  readonly sinceMs: number;
}

/** A ballot of this node for a recovery under way, which the recovery itself will not use; and what it knows. */
export interface Reserved {
  readonly round: number;
  readonly epoch: number;
  /** Null while no replica has shown a record of the transaction. */
  readonly protocol: CommitProtocol | null;
  /** Those that have forgotten what they said about it. */
  readonly forgotBy: ReadonlySet<string>;
  /** Those it touches, its home first. */
  readonly groups: readonly Group[];
  readonly members: readonly string[];
}

/** A decision; or UNDECIDED, when it is finished but so long ago that the outcome has been forgotten. */
export type OnOutcome = (decision: Decision) => void;

/** A recovery under way. */
export interface Attempt {
  readonly id: TxnId;
  epoch: number;
  protocol: CommitProtocol | null;
  /** Protocol and partitions are known; or it is claimed, and not confirmed by any record yet; or it does not matter, for all groups there are take part. */
  scope: 'known' | 'claimed' | 'everywhere';
  partitions: readonly number[];
  groups: readonly Group[];
  /** A majority of each of these must be heard, and of each of those must accept. */
  witnessing: readonly Group[];
  accepting: readonly Group[];
  /** All who are asked and told: the replicas, and whoever else is among the above. */
  members: readonly string[];
  readonly listeners: OnOutcome[];
  readonly startedAtMs: number;
  phase: 'pausing' | 'promising' | 'accepting';
  round: number;
  highestRoundSeen: number;
  rounds: number;
  /** When the present phase ends unless something happens. */
  untilMs: number;
  /** Since when it has been waiting for nodes that are away; null if it is not. */
  blockedSinceMs: number | null;
  witnesses: Map<string, Witness>;
  proposal: Decision;
  acceptedBy: Set<string>;
  /** Those that have forgotten what they said about it, and don't help. */
  readonly forgotBy: Set<string>;
  /** Those that know it as finished, with what they retain. */
  finishedAt: Map<string, Decision>;
  body: Uint8Array | null;
}

export function newAttempt({ id, epoch, protocol, partitions }: Pick<Attempt, 'id' | 'epoch' | 'protocol' | 'partitions'>, nowMs: number): Attempt {
  return {
    id, epoch, protocol, scope: protocol === null ? 'claimed' : 'known', partitions, groups: [], witnessing: [], accepting: [], members: [],
    listeners: [], startedAtMs: nowMs,
    phase: 'pausing', round: 0, highestRoundSeen: 0, rounds: 0, untilMs: 0, blockedSinceMs: null,
    witnesses: new Map(), proposal: UNDECIDED, acceptedBy: new Set(), forgotBy: new Set(), finishedAt: new Map(), body: null,
  };
}

/** Whom it asks from now on, given what the transaction touches and its protocol, as far as that is known. */
export function aim(attempt: Attempt, topology: Topology, partitions: readonly number[]): void {
  const { protocol, id } = attempt;
  const groups = topology.groupsOf(partitions);
  attempt.partitions = partitions;
  attempt.groups = groups;
  attempt.witnessing = withHome(protocol?.witnesses(id.node, groups) ?? groups, groups);
  attempt.accepting = withHome(protocol?.acceptors(id.node, groups) ?? [], groups);
  attempt.members = membersOf([...groups, ...attempt.witnessing, ...attempt.accepting]);
}

/** All recoveries meet in the home group, of whatever protocol: there lies what an operator decided. */
function withHome(asked: readonly Group[], groups: readonly Group[]): readonly Group[] {
  const home = groups.slice(0, 1);
  return home.every((group) => asked.includes(group)) ? asked : [...asked, ...home];
}
