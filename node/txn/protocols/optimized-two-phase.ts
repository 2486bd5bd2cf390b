/**
 * O2PC: two-phase commit with the savings of R* (Mohan, Lindsay and Obermarck, "Transaction Management in the R* Distributed
 * Database Management System", TODS 1986). It blocks as 2PC does; it forces and waits for less.
 *
 * - Unsolicited vote: there is no round that asks whether a participant can; the work travels with the prepare and the
 *   vote is its answer. (Here all protocols do that, as a transaction's writes are sent at its commit.)
 * - Presumed abort: an abort is neither forced to the coordinator's log nor acknowledged, and whoever voted NO is not even
 *   told. A coordinator that knows nothing of a transaction says that it was aborted, and is right.
 * - One forced record for two: the coordinator's own vote is not flushed by itself. Its decision stands behind it in the same
 *   journal, so that one flush makes both durable, or neither.
 * - The client is answered as soon as that record is durable: one round trip.
 * - One-phase commit: where the coordinator's node is the whole group, that one record is all there is: no message and one
 *   forced write.
 * - Read-only transactions prepare nothing and force nothing: they are checked in one round of reads. (R* also lets a
 *   participant that only read drop out of a writing transaction after its vote. It may do so because all locks were
 *   taken before the first vote; here the vote takes them, and one released before the last one was taken would let a
 *   write in between.)
 */
import { acceptedOrAbort, coordinatorAlone, majorityNext, type CommitProtocol } from './protocol.ts';

export const optimizedTwoPhase: CommitProtocol = {
  name: 'o2pc',
  acceptors: coordinatorAlone,
  witnesses: coordinatorAlone,
  next: majorityNext((decision) => ({ kind: 'decide', decision })),
  recover: acceptedOrAbort,
  answers: 'when decided',
  presumesAbort: true,
  ownVoteWaitsForDecision: true,
};
