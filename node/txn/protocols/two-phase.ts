/**
 * 2PC: two-phase commit (Gray, "Notes on Data Base Operating Systems", 1978), in its presumed-nothing form, with replica
 * groups as participants.
 *
 *   coordinator   begin ── prepare ──► votes ── force decision to its log ── decide ──► acknowledged: answer, end
 *   participant           force vote, hold locks ─────────────────────── force outcome, release ──┘
 *
 * A group counts as prepared when a majority of it has voted OK. The decision, whichever it is, is the coordinator's
 * and lies in the coordinator's journal before anybody hears of it. The client is answered when a majority of each group
 * has the outcome on disk, so that an answered commit does not hang on one machine.
 *
 * A replica that voted OK may neither commit nor abort by itself. If the coordinator is lost before it told its decision,
 * the replica asks it, asks the others whether they heard, and is blocked, locks and all, until one of them answers.
 * The coordinator's node answers in its next life from its journal: a logged decision stands, and what is not logged was
 * not decided and is aborted.
 */
import { acceptedOrAbort, coordinatorAlone, majorityNext, type CommitProtocol } from './protocol.ts';

export const twoPhase: CommitProtocol = {
  name: '2pc',
  acceptors: coordinatorAlone,
  witnesses: coordinatorAlone,
  next: majorityNext((decision) => ({ kind: 'propose', decision })),
  recover: acceptedOrAbort,
  answers: 'when applied',
  presumesAbort: false,
  ownVoteWaitsForDecision: false,
};
