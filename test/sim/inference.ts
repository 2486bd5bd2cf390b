/**
 * What follows from what a node was told: when may it propose this, and when say that it is decided?
 *
 * These are the rules of the commit protocols as one states them, written for whoever watches from outside: not "given these
 * answers, what next?", as in a node, but "given all that it was told, is there any way to come to this?". What a node tells
 * itself nobody else hears. So each rule asks whether anything that the node may have remembered by itself makes it right, and a
 * word counts as broken only if nothing does.
 *
 * (A single-decree Paxos whose free choice is not free but follows from the votes: Lamport's "Fast Paxos", 2006, has the
 * argument. What a majority of *each* group must show is from Gray and Lamport's "Consensus on Transaction Commit", 2006.)
 */
import { ABORT, type Decision } from '../../client/wire/messages.ts';
import type { CommitProtocolName } from '../../client/wire/protocols.ts';

export interface Ballot {
  readonly round: number;
  readonly proposer: string;
}

export interface Acceptance extends Ballot {
  /** Null: it may be any. */
  readonly decision: Decision | null;
}

/** What somebody told whoever recovers. */
export interface Promised {
  readonly node: string;
  /** The timestamp of its OK vote; 0 for none. */
  readonly vote: number;
  readonly accepted: Acceptance | null;
}

/** What a node may answer to its own question; as far as others know. */
export interface OwnWord {
  readonly node: string;
  /** Null: it may have voted OK at any timestamp, or not. */
  readonly vote: number | null;
  /** It may have accepted one of these. */
  readonly offers: readonly Acceptance[];
  /** It has accepted this; null: perhaps nothing. */
  readonly accepted: Ballot | null;
}

/** What is known of a transaction from the moment of its prepare. */
export interface Terms {
  readonly protocol: CommitProtocolName;
  readonly coordinator: string;
  /** The replica groups that it touches, its home first. */
  readonly groups: readonly (readonly string[])[];
}

/** Whose word counts for a protocol, beside the home group's: that of all groups, or that of the coordinator's node alone. */
const wordsThatCount: Record<CommitProtocolName, { readonly promises: 'groups' | 'coordinator'; readonly acceptances: 'groups' | 'coordinator' | 'home' }> = {
  dtp: { promises: 'groups', acceptances: 'home' },
  '3pc': { promises: 'groups', acceptances: 'groups' },
  '2pc': { promises: 'coordinator', acceptances: 'coordinator' },
  o2pc: { promises: 'coordinator', acceptances: 'coordinator' },
};

export const isBelow = (a: Ballot, b: Ballot): boolean => a.round < b.round || (a.round === b.round && a.proposer < b.proposer);

/** Are there majorities of all of these groups among them? */
export function isMajority(groups: readonly (readonly string[])[], has: (member: string) => boolean): boolean {
  return groups.every((group) => 2 * group.filter(has).length > group.length);
}

/**
 * May a recoverer propose this? `told`: the promises of others for its ballot, in the order in which it was told. It need not have waited for
 * the last of them. `own` is null if its own word doesn't count: it is no replica.
 */
export function mayRecover(terms: Terms, decision: Decision, told: readonly Promised[], own: OwnWord | null): boolean {
  for (let count = 0; count <= told.length; count++) {
    const heard = told.slice(0, count);
    for (const mine of own === null ? [null] : [null, own]) {
      const has = (member: string): boolean => member === mine?.node || heard.some(({ node }) => node === member);
      if (isHeard(terms, has) && followsFrom(terms, decision, heard, mine)) return true;
      // Whoever has no record of it can't know its protocol. No group can commit of which a majority has no vote, and never will.
      if (decision === ABORT && isMajority(terms.groups, has) && heard.every(({ vote, accepted }) => vote === 0 && (accepted?.decision ?? ABORT) === ABORT)) return true;
    }
  }
  return false;
}

function followsFrom(terms: Terms, decision: Decision, heard: readonly Promised[], own: OwnWord | null): boolean {
  let highest: Acceptance | null = null;
  for (const { accepted } of heard) if (accepted !== null && (highest === null || isBelow(highest, accepted))) highest = accepted;
  for (const offer of own?.offers ?? []) {
    const counts = (highest === null || isBelow(highest, offer)) && (own?.accepted == null || !isBelow(offer, own.accepted));
    if (counts && (offer.decision === null || offer.decision === decision)) return true;
  }
  if (own?.accepted != null && (highest === null || isBelow(highest, own.accepted))) return false;
  if (highest !== null) return highest.decision === decision;
  return terms.protocol === 'dtp' ? followsFromVotes(terms, decision, heard, own) : decision === ABORT;
}

/** As all who could have committed it at once voted OK, majorities of OK are proof that it may have been; anything less, that it was not. */
function followsFromVotes({ groups }: Terms, decision: Decision, heard: readonly Promised[], own: OwnWord | null): boolean {
  const ok = heard.filter(({ vote }) => vote !== 0);
  const highest = Math.max(0, ...ok.map(({ vote }) => vote));
  const isOk = (member: string): boolean => ok.some(({ node }) => node === member);
  const withOwn = (member: string): boolean => member === own?.node || isOk(member);
  const follows = (all: boolean, timestamp: number): boolean => (all ? decision === timestamp : decision === ABORT);
  if (own === null || own.vote === 0) return follows(isMajority(groups, isOk), highest);
  if (own.vote !== null) return follows(isMajority(groups, withOwn), Math.max(highest, own.vote));
  return follows(isMajority(groups, isOk), highest) || (isMajority(groups, withOwn) ? decision !== ABORT && decision >= highest : decision === ABORT);
}

/**
 * May a coordinator propose a commit at this timestamp, or decide it where its own word is enough? `told`: by member, the timestamp of its OK vote, 0 for a
 * refusal. One that came after its voter was lost does not count, so the timestamp need not be above all of them.
 */
export function mayProposeCommit({ coordinator, groups }: Terms, timestamp: number, told: ReadonlyMap<string, number>): boolean {
  const isReplica = groups.some((group) => group.includes(coordinator));
  const isOk = (member: string): boolean => member === coordinator || isBetween(told.get(member) ?? 0, timestamp);
  return isMajority(groups, isOk) && (isReplica || [...told.values()].includes(timestamp));
}

const isBetween = (vote: number, timestamp: number): boolean => vote > 0 && vote <= timestamp;

/** May a coordinator say that this is decided, though no acceptor was asked to keep it? */
export function mayDecideAlone(terms: Terms, decision: Decision, told: ReadonlyMap<string, number>, proposed: Decision | null): boolean {
  const { protocol, coordinator, groups } = terms;
  // Of what it has proposed it may learn in another way that it is decided.
  if (proposed !== null && (proposed !== decision || decision === ABORT || protocol !== 'dtp')) return false;
  if (protocol === '2pc' || protocol === 'o2pc') return decision === ABORT || mayProposeCommit(terms, decision, told);
  if (protocol === '3pc') return decision === ABORT;
  if (decision !== ABORT) return groups.every((group) => group.every((member) => member === coordinator || told.get(member) === decision));
  return groups.some((group) => isMajority([group], (member) => member === coordinator || told.get(member) === 0));
}

/** Have enough accepted what was proposed? `isKnown`: some replica has shown a record of it to whoever proposed. */
export function isAccepted(terms: Terms, isKnown: boolean, has: (member: string) => boolean): boolean {
  const { protocol, coordinator, groups } = terms;
  const { acceptances } = wordsThatCount[protocol];
  return isMajority(isKnown && acceptances === 'groups' ? groups : groups.slice(0, 1), has) && (!isKnown || acceptances !== 'coordinator' || has(coordinator));
}

/** Have enough promised to a recoverer? */
export function isHeard({ protocol, coordinator, groups }: Terms, has: (member: string) => boolean): boolean {
  return wordsThatCount[protocol].promises === 'groups' ? isMajority(groups, has) : has(coordinator) && isMajority(groups.slice(0, 1), has);
}
