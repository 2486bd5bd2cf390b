/**
 * 3PC: three-phase commit (Skeen, "Nonblocking Commit Protocols", SIGMOD 1981) with a termination protocol by quorum (Skeen, "A
 * Quorum-Based Commit Protocol", 1982), without which a partition splits the decision.
 *
 *   phase        message                     a state    without a word from the coordinator for too long
 *   can-commit   prepare, vote               wait       the coordinator aborts: nobody can be pre-committed yet
 *                                            ready      a replica starts the termination protocol
 *   pre-commit   accept in round 0, accepted pre-       the coordinator hands over to the termination protocol
 *                                            committed  a replica starts it
 *   do-commit    decide, decided             committed  -
 *
 * Nobody commits while anybody may be undecided whether all could: between the votes and the decision lies a round that
 * makes "all groups can commit" known, durably, to a majority of every group. That is the coordinator's proposal with
 * all touched groups as acceptors. The termination protocol hears a majority of every group: one that was pre-committed
 * shows it, and then the transaction is committed; otherwise it can't have been, and nobody that promised to take
 * part in the termination lets the coordinator go on.
 *
 * A pre-commit is an acceptance in round 0, so it never outranks what a later termination chose: a terminator that
 * aborted without having seen it is followed by all later ones (without ballots two partitions in turn could come to two
 * outcomes).
 */
import { acceptedOrAbort, majorityNext, type CommitProtocol } from './protocol.ts';

export const threePhase: CommitProtocol = {
  name: '3pc',
  acceptors: (_coordinator, groups) => groups,
  witnesses: (_coordinator, groups) => groups,
  // While nothing is proposed nobody can ever find a pre-commit, so nobody can come to anything but an abort.
  next: majorityNext((decision) => ({ kind: 'decide', decision })),
  recover: acceptedOrAbort,
  answers: 'when decided',
  presumesAbort: false,
  ownVoteWaitsForDecision: false,
};
