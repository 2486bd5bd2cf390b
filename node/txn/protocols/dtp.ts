/**
 * DTP: one round trip when all replicas agree, and no living coordinator needed to finish.
 *
 * The votes themselves are the decision. If every replica of every group voted OK with one timestamp, then whichever
 * majorities a recoverer may ask will show nothing but OK votes, and it must choose the same: so the coordinator may
 * answer at once (*fast commit*). If only majorities voted OK, the coordinator first makes its decision durable at a majority
 * of the home group (*slow commit*), as a round-0 proposal of single-decree Paxos that a recoverer is bound to find. A
 * majority of NO votes in some group proves that nobody can ever choose COMMIT (*fast abort*); one NO, whatever its
 * reason, proves nothing of the kind. From the moment the coordinator proposes ABORT it may not commit any more.
 *
 * The fast path is Fast Paxos with unanimous quorums (Lamport 2006), applied to commit as in Gray and Lamport's "Consensus
 * on Transaction Commit" (2006) and TAPIR (Zhang et al., SOSP 2015), with recovery by any replica.
 */
import { ABORT, UNDECIDED, type Decision } from '../../../client/wire/messages.ts';
import type { Group } from '../../cluster/topology.ts';
import { highestAccepted, wait, type CommitProtocol, type Progress, type Step, type Witness } from './protocol.ts';

function next({ groups, sameTimestamp, maxTimestamp, patience, proposed, proposalAccepted }: Progress): Step {
  const unanimous = sameTimestamp && groups.every(({ size, ok }) => ok === size);
  // The votes that were not waited for may come after all, and say by themselves what was proposed.
  if (proposed !== UNDECIDED) return proposalAccepted || (unanimous && proposed === maxTimestamp) ? { kind: 'decide', decision: proposed } : wait;

  let majorities = true;
  let majoritiesPossible = true;
  let open = false; // may a vote still come?
  for (const { size, majority, ok, no, absent } of groups) {
    if (no >= majority) return { kind: 'decide', decision: ABORT };
    const silent = size - ok - no - absent;
    if (ok < majority) majorities = false;
    if (ok + silent < majority) majoritiesPossible = false;
    if (silent > 0) open = true;
  }
  if (unanimous) return { kind: 'decide', decision: maxTimestamp };
  if (!open) return { kind: 'propose', decision: majorities ? maxTimestamp : ABORT };
  if (majorities && patience !== 'fresh') return { kind: 'propose', decision: maxTimestamp };
  if (patience === 'expired' || (!majoritiesPossible && patience === 'waited')) return { kind: 'propose', decision: ABORT };
  return wait;
}

function recover(heard: readonly Witness[], groups: readonly Group[]): Decision {
  const accepted = highestAccepted(heard);
  if (accepted !== null) return accepted;

  let timestamp = 0;
  for (const { members, majority } of groups) {
    const ok = heard.filter((witness) => witness.timestamp !== 0 && members.includes(witness.node));
    if (ok.length < majority) return ABORT;
    for (const witness of ok) timestamp = Math.max(timestamp, witness.timestamp);
  }
  return timestamp;
}

export const dtp: CommitProtocol = {
  name: 'dtp',
  acceptors: (_coordinator, groups) => groups.slice(0, 1),
  witnesses: (_coordinator, groups) => groups,
  next,
  recover,
  answers: 'when decided',
  presumesAbort: false,
  ownVoteWaitsForDecision: false,
};
