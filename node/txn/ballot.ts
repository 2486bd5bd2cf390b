/** A ballot of the single-decree Paxos that decides one transaction. Round 0 belongs to the transaction's coordinator alone. */
export interface Ballot {
  readonly round: number;
  readonly proposer: string;
}

export const noBallot: Ballot = { round: 0, proposer: '' };

/** Negative, zero or positive, as `a` is below, equal to or above `b`. */
export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.round !== b.round) return a.round - b.round;
  return a.proposer < b.proposer ? -1 : a.proposer > b.proposer ? 1 : 0;
}
