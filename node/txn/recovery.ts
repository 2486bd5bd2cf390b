/**
 * Deciding a transaction whose coordinator does not: single-decree Paxos among the acceptors that its protocol names, fed
 * by what the protocol's witnesses remember.
 *
 *   1. `recover(b)` to all replicas and witnesses: each promises to vote no more and to accept nothing below ballot b, and
 *      tells its vote and what it accepted.
 *   2. With promises from a majority of the witnesses the protocol's rule names the only value that may be chosen.
 *   3. `accept(b, value)` to the acceptors; a majority of acks decides; `decide` goes to everybody.
 *
 * Where the witnesses or acceptors can't be reached the transaction is *blocked*: there is no further ballot until one of
 * those comes back that might know more, or an operator decides (settlement.ts). The others are asked under the old one,
 * which costs no promise: they may hear the outcome from a node that is away for us and not for them.
 *
 * The home group is always among both, also where the protocol needs nobody but the coordinator's node: so whoever
 * recovers a transaction when that node is back meets what an operator has decided meanwhile.
 *
 * Any number of recoverers may run at once; higher ballots win, and random pauses end their duels. Whoever is told an
 * outcome on the way adopts it. Whoever is told that the transaction is finished needs no decision any more, only the
 * answer, which a majority of the home group can give.
 *
 * All of that is right only for the protocol of the transaction, and the groups that it touches. A client that names a
 * transaction may be wrong about the groups, and others would pay for it; the protocol it can't even know. So its word is
 * where to begin; what counts is the record of some replica. If none shows one, a majority of every group there is must
 * have said so: then no group can ever vote for it, and under every protocol it is aborted.
 */
import { EventKind } from '../../client/wire/events.ts';
import { ABORT, formatTxnId, Tag, UNDECIDED, Vote, type Accepted, type Batched, type Decide, type Decision, type Finished, type Forgot, type Promised, type Rejected, type TxnId } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import { membersOf, type Topology } from '../cluster/topology.ts';
import { invariant } from '../invariant.ts';
import type { Log } from '../runtime/runtime.ts';
import { aim, newAttempt, type Attempt, type Blocked, type Lost, type OnOutcome, type Reserved } from './attempt.ts';
import { parseBody } from './body.ts';
import type { Chronicle } from './chronicle.ts';
import { protocols } from './protocols/registry.ts';
import { highestAccepted, isQuorum, type CommitProtocol } from './protocols/protocol.ts';

export interface RecoveryOptions {
  readonly topology: Topology;
  readonly outbox: Outbox;
  readonly nowMs: () => number;
  readonly randomUint32: () => number;
  readonly log: Log;
  /** A ballot that gets no majority within this time, for the first or the second of its questions, is followed by a higher one. */
  readonly roundTimeoutMs: number;
  /** Has this node voted OK on it, and not heard what became of it? */
  readonly isHeld: (id: TxnId) => boolean;
  /** Where what happens is noted for whoever asks how a transaction went; nothing depends on it. */
  readonly chronicle?: Chronicle;
}

/** Pauses between ballots grow up to this; the first is a small part of it. */
const pauseMsMax = 1_000;
const pauseMsMin = 10;
/** Where a ballot has less time than this, each gets more than the one before: on ways that are slower than anybody thought, one comes to its end. */
const enoughTimeMs = 1_000;
/** Who is blocked asks those who are there again, once a second at first and in the end this seldom; who comes back is asked at once. */
const blockedAskMsMax = 15_000;

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #attempts = new Map<string, Attempt>();
  readonly counters = { started: 0, committed: 0, aborted: 0, blocked: 0 };

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  get activeCount(): number {
    return this.#attempts.size;
  }

  /** Each recovery under way, as plain data: all that is done about it from now on follows from this, the messages, the time and chance. */
  describe() {
    return [...this.#attempts.values()].map(({ id, protocol, scope, partitions, listeners, phase, round, highestRoundSeen, witnesses, proposal, acceptedBy, forgotBy, finishedAt, body }) => ({
      id, protocol: protocol?.name ?? null, scope, partitions, listeners: listeners.length, phase, round, highestRoundSeen, witnesses: [...witnesses.values()], proposal,
      acceptedBy: [...acceptedBy].sort(), forgotBy: [...forgotBy].sort(), finishedAt: [...finishedAt], hasBody: body !== null,
    }));
  }

  /** Is it being recovered, and by more than a client's word? */
  isActive(id: TxnId): boolean {
    return this.#attempts.get(formatTxnId(id))?.scope === 'known';
  }

  /** Those that nobody here can decide before some node is back. */
  get blocked(): Blocked[] {
    return [...this.#attempts.values()].flatMap((attempt) => (attempt.blockedSinceMs === null ? [] : [this.#describeBlocked(attempt, attempt.blockedSinceMs)]));
  }

  blockedAt(id: TxnId): Blocked | null {
    const attempt = this.#attempts.get(formatTxnId(id));
    return attempt === undefined || attempt.blockedSinceMs === null ? null : this.#describeBlocked(attempt, attempt.blockedSinceMs);
  }

  /** Null if it is not being recovered here. */
  reserveRound(id: TxnId, above: number): Reserved | null {
    const attempt = this.#attempts.get(formatTxnId(id));
    if (attempt === undefined) return null;
    attempt.highestRoundSeen = Math.max(attempt.highestRoundSeen, above) + 1;
    const { highestRoundSeen: round, epoch, protocol, scope, groups, members, forgotBy } = attempt;
    return { round, epoch, protocol: scope === 'known' ? protocol : null, groups, members, forgotBy };
  }

  /** Finds out, and if need be settles, what became of a transaction. A second call for the same one joins the first. */
  start({ id, epoch, protocolNumber, partitions }: Lost, why: string, onOutcome?: OnOutcome): void {
    const name = formatTxnId(id);
    const protocol = protocolNumber === null ? null : (protocols[protocolNumber] as CommitProtocol);
    let attempt = this.#attempts.get(name);
    if (attempt === undefined) {
      attempt = newAttempt({ id, epoch, protocol, partitions }, this.#options.nowMs());
      this.#attempts.set(name, attempt);
      this.counters.started++;
      this.#options.chronicle?.note(EventKind.recovering, id.node, id.incarnation, id.number, 0, null, 0, 0, null, why);
      this.#options.log.info({ txn: name, protocol: protocol?.name, why }, 'transaction recovery');
      this.#begin(attempt, partitions);
    } else if (protocol !== null) {
      this.#confine(attempt, epoch, protocol, partitions);
    }
    if (onOutcome !== undefined) attempt.listeners.push(onOutcome);
  }

  onPromise(from: string, message: Promised): void {
    const [, node, incarnation, number, round, proposer, vote, timestamp, epoch, protocolNumber, acceptedRound, acceptedProposer, acceptedDecision, body] = message;
    const attempt = this.#current(node, incarnation, number, round, proposer);
    if (attempt === undefined || attempt.phase !== 'promising') return;
    attempt.body ??= body;
    if (vote === Vote.ok && body !== null && this.#confine(attempt, epoch, protocols[protocolNumber] as CommitProtocol, parseBody(body, this.#options.topology.partitionOf).partitions)) return;
    const accepted = acceptedRound < 0 ? null : { round: acceptedRound, proposer: acceptedProposer, decision: acceptedDecision };
    attempt.witnesses.set(from, { node: from, timestamp, accepted });
    attempt.forgotBy.delete(from);
    this.#judge(attempt);
  }

  onAccepted(from: string, [, node, incarnation, number, round, proposer]: Accepted): void {
    const attempt = this.#current(node, incarnation, number, round, proposer);
    if (attempt === undefined || attempt.phase !== 'accepting') return;
    attempt.acceptedBy.add(from);
    if (isQuorum(attempt.accepting, (member) => attempt.acceptedBy.has(member))) this.#decide(attempt, attempt.proposal);
  }

  onRejected([, node, incarnation, number, round, proposer, promisedRound]: Rejected): void {
    const attempt = this.#current(node, incarnation, number, round, proposer);
    if (attempt === undefined) return;
    attempt.highestRoundSeen = Math.max(attempt.highestRoundSeen, promisedRound);
    if (attempt.phase !== 'pausing') this.#pause(attempt);
  }

  /** It is there, and as good as away: what it said is lost. */
  onForgot(from: string, [, node, incarnation, number]: Forgot): void {
    this.#attempts.get(`${node}:${incarnation}:${number}`)?.forgotBy.add(from);
  }

  /** It ends as the batch does that it is part of. Those who have no vote of the batch may have promised never to have one, so nobody decides on it alone. */
  onBatched([, node, incarnation, number, batch, epoch, protocolNumber, partitions]: Batched): void {
    const attempt = this.#attempts.get(`${node}:${incarnation}:${number}`);
    if (attempt === undefined) return;
    this.#attempts.delete(formatTxnId(attempt.id));
    this.#options.chronicle?.note(EventKind.batched, node, incarnation, number, 0, null, batch);
    this.start({ id: { node, incarnation, number: batch }, epoch, protocolNumber, partitions }, 'a part of it is asked for', (decision) => attempt.listeners.forEach((listener) => listener(decision)));
  }

  /** An outcome, from whoever knows it. */
  onDecide([, node, incarnation, number, decision, body]: Decide): void {
    const attempt = this.#attempts.get(`${node}:${incarnation}:${number}`);
    if (attempt === undefined) return;
    attempt.body ??= body;
    this.#decide(attempt, decision);
  }

  onFinished(from: string, [, node, incarnation, number, outcome]: Finished): void {
    const attempt = this.#attempts.get(`${node}:${incarnation}:${number}`);
    if (attempt === undefined) return;
    if (outcome > ABORT) return this.#end(attempt, outcome);
    // A commit is finished when all who were sent the prepare have acknowledged it. We were, and have not: it was an abort, of which nobody waits for us to hear.
    if (this.#options.isHeld(attempt.id)) return this.#decide(attempt, ABORT);
    attempt.finishedAt.set(from, outcome);
    this.#judge(attempt);
  }

  /** The peer is back, perhaps the one that a majority wanted: it is asked what the others have been, or everybody is, soon. */
  peerUp(peer: string): void {
    for (const attempt of this.#attempts.values()) {
      if (!attempt.members.includes(peer)) continue;
      if (attempt.phase === 'pausing') this.#ask(attempt);
      else if (attempt.phase === 'promising' && !attempt.witnesses.has(peer)) this.#askMember(attempt, peer);
      else if (attempt.phase === 'accepting' && !attempt.acceptedBy.has(peer)) this.#proposeTo(attempt, peer);
    }
  }

  tick(): void {
    const now = this.#options.nowMs();
    for (const attempt of [...this.#attempts.values()]) {
      if (now < attempt.untilMs) continue;
      if (attempt.phase !== 'pausing') this.#pause(attempt);
      else if (!this.#isBlocked(attempt)) this.#ask(attempt);
      else {
        // The longer it waits, the less likely that one of those who are there has heard since.
        const blockedMs = now - (attempt.blockedSinceMs ?? now);
        attempt.untilMs = now + Math.min(blockedAskMsMax, Math.max(pauseMsMax, blockedMs / 4));
        for (const member of attempt.members) this.#askMember(attempt, member);
      }
    }
  }

  /** Another ballot would come to nothing, and each promise costs a write. */
  #isBlocked(attempt: Attempt): boolean {
    const waitsFor = this.#waitsFor(attempt);
    if (waitsFor.length === 0) {
      attempt.blockedSinceMs = null;
    } else if (attempt.blockedSinceMs === null) {
      attempt.blockedSinceMs = this.#options.nowMs();
      this.counters.blocked++;
      const { node, incarnation, number } = attempt.id;
      for (const member of waitsFor) this.#options.chronicle?.note(EventKind.blocked, node, incarnation, number, 0, member);
      this.#options.log.warn({ txn: formatTxnId(attempt.id), protocol: attempt.protocol?.name, waitsFor }, 'transaction blocked');
    }
    return waitsFor.length > 0;
  }

  #waitsFor({ witnessing, accepting, forgotBy }: Attempt): string[] {
    const isUp = (member: string): boolean => this.#options.outbox.isUp(member) && !forgotBy.has(member);
    const short = [...witnessing, ...accepting].filter((group) => !isQuorum([group], isUp));
    return membersOf(short).filter((member) => !isUp(member));
  }

  #describeBlocked(attempt: Attempt, sinceMs: number): Blocked {
    return { id: attempt.id, protocol: attempt.protocol?.name ?? 'unknown', waitsFor: this.#waitsFor(attempt), sinceMs };
  }

  /** What follows from the answers so far. */
  #judge(attempt: Attempt): void {
    const { scope, groups, witnessing, witnesses, finishedAt, phase } = attempt;
    const isFinished = finishedAt.size > 0;
    if (!isFinished && phase !== 'promising') return;
    // Of what is finished, a replica that never voted OK knows no more than one that retains no commit: had it been committed, a majority of the home group would know.
    const counts = (member: string) => finishedAt.has(member) || (isFinished ? witnesses.get(member)?.timestamp === 0 : witnesses.has(member));
    if (!isQuorum(isFinished && scope === 'known' ? groups.slice(0, 1) : witnessing, counts)) return;
    if (scope === 'claimed') this.#widen(attempt);
    else if (!isFinished) this.#propose(attempt);
    else this.#end(attempt, [...finishedAt.values()].includes(UNDECIDED) ? UNDECIDED : ABORT);
  }

  /** No replica of the groups that a client named has a record of it: those of all others are asked too. */
  #widen(attempt: Attempt): void {
    const { topology } = this.#options;
    attempt.scope = 'everywhere';
    const everywhere = topology.withAllGroups(attempt.partitions);
    if (everywhere.length === attempt.partitions.length) return this.#judge(attempt);
    this.#begin(attempt, everywhere);
  }

  /** Protocol and partitions are known from now on. If they are something else than was thought, it begins again, and says so. */
  #confine(attempt: Attempt, epoch: number, protocol: CommitProtocol, partitions: readonly number[]): boolean {
    const wasKnown = attempt.scope === 'known';
    invariant(!wasKnown || attempt.protocol === protocol, `${formatTxnId(attempt.id)} is of two protocols`);
    attempt.scope = 'known';
    attempt.epoch = epoch;
    attempt.protocol = protocol;
    const same = partitions[0] === attempt.partitions[0] && partitions.length === attempt.partitions.length && partitions.every((partition) => attempt.partitions.includes(partition));
    if (wasKnown && same) return false;
    const asked = same && attempt.phase === 'promising' ? attempt.members : [];
    aim(attempt, this.#options.topology, partitions);
    if (attempt.members.every((member) => asked.includes(member))) return false;
    this.#ask(attempt);
    return true;
  }

  #begin(attempt: Attempt, partitions: readonly number[]): void {
    aim(attempt, this.#options.topology, partitions);
    this.#ask(attempt);
  }

  #current(node: string, incarnation: number, number: number, round: number, proposer: string): Attempt | undefined {
    const attempt = this.#attempts.get(`${node}:${incarnation}:${number}`);
    return attempt !== undefined && attempt.round === round && proposer === this.#options.topology.self ? attempt : undefined;
  }

  #ask(attempt: Attempt): void {
    attempt.phase = 'promising';
    if (this.#waitsFor(attempt).length === 0) attempt.blockedSinceMs = null;
    attempt.round = attempt.highestRoundSeen + 1;
    attempt.highestRoundSeen = attempt.round;
    attempt.rounds++;
    this.#giveTime(attempt);
    attempt.witnesses = new Map();
    attempt.acceptedBy = new Set();
    for (const member of attempt.members) this.#askMember(attempt, member);
  }

  #giveTime(attempt: Attempt): void {
    const { nowMs, roundTimeoutMs } = this.#options;
    attempt.untilMs = nowMs() + Math.max(roundTimeoutMs, Math.min(enoughTimeMs, roundTimeoutMs * attempt.rounds));
  }

  #askMember({ id: { node, incarnation, number }, round, epoch }: Attempt, member: string): void {
    this.#options.outbox.send(member, [Tag.recover, node, incarnation, number, round, this.#options.topology.self, epoch]);
  }

  #propose(attempt: Attempt): void {
    const heard = [...attempt.witnesses.values()];
    attempt.phase = 'accepting';
    this.#giveTime(attempt);
    attempt.proposal = attempt.protocol?.recover(heard, attempt.groups) ?? highestAccepted(heard) ?? ABORT;
    for (const member of membersOf(attempt.accepting)) this.#proposeTo(attempt, member);
  }

  #proposeTo({ id: { node, incarnation, number }, accepting, round, proposal }: Attempt, member: string): void {
    if (accepting.some(({ members }) => members.includes(member))) this.#options.outbox.send(member, [Tag.accept, node, incarnation, number, round, this.#options.topology.self, proposal]);
  }

  /** Lets the others go first for a random while; longer the more often it went wrong. */
  #pause(attempt: Attempt): void {
    attempt.phase = 'pausing';
    const most = Math.min(pauseMsMax, pauseMsMin * 2 ** Math.min(attempt.rounds, 10));
    attempt.untilMs = this.#options.nowMs() + (this.#options.randomUint32() / 2 ** 32) * most;
  }

  /** Spreads the outcome to all replicas; those whose OK vote we saw have the writes already. */
  #decide(attempt: Attempt, decision: Decision): void {
    const { node, incarnation, number } = attempt.id;
    for (const member of attempt.members) {
      const hasRecord = decision === ABORT || (attempt.witnesses.get(member)?.timestamp ?? 0) !== 0;
      this.#options.outbox.send(member, [Tag.decide, node, incarnation, number, decision, hasRecord ? null : attempt.body]);
    }
    this.#end(attempt, decision);
  }

  #end(attempt: Attempt, decision: Decision): void {
    const name = formatTxnId(attempt.id);
    this.#attempts.delete(name);
    this.#options.chronicle?.note(EventKind.recovered, attempt.id.node, attempt.id.incarnation, attempt.id.number, 0, null, attempt.rounds, decision);
    if (decision > ABORT) this.counters.committed++;
    else this.counters.aborted++;
    const tookMs = Math.round(this.#options.nowMs() - attempt.startedAtMs);
    this.#options.log.info({ txn: name, outcome: outcomeName(decision), rounds: attempt.rounds, tookMs }, 'transaction recovered');
    for (const listener of attempt.listeners) listener(decision);
  }
}

function outcomeName(decision: Decision): string {
  return decision === UNDECIDED ? 'forgotten' : decision === ABORT ? 'aborted' : 'committed';
}
