/**
 * Deciding a transaction whose coordinator does not: single-decree Paxos over its home group, fed by what a majority of
 * every touched group remembers.
 *
 *   1. `recover(b)` to all replicas: each promises to vote no more and to accept nothing below ballot b, and tells its
 *      vote and what it accepted.
 *   2. With promises from a majority of every group the protocol's rule names the only value that may be chosen.
 *   3. `accept(b, value)` to the home group; a majority of acks decides; `decide` goes to everybody.
 *
 * Any number of recoverers may run at once; higher ballots win, and random pauses end their duels. Whoever is told an
 * outcome on the way adopts it. Whoever is told that the transaction is finished needs no decision any more, only the
 * answer, which a majority of the home group can give.
 *
 * All of that is right only for the groups that the transaction touches. A client that names a transaction may be
 * wrong about them, and others would pay for it. So its word is where to begin; what counts is the record of some
 * replica. If none shows one, a majority of every group there is must have said so.
 */
import { ABORT, formatTxnId, Tag, UNDECIDED, type Accepted, type Decide, type Decision, type Finished, type Promised, type Rejected, type TxnId } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import { membersOf, type Group, type Topology } from '../cluster/topology.ts';
import type { Log } from '../runtime/runtime.ts';
import { parseBody } from './body.ts';
import { protocols } from './protocols/registry.ts';
import type { Witness } from './protocols/protocol.ts';

export interface RecoveryOptions {
  readonly topology: Topology;
  readonly outbox: Outbox;
  readonly nowMs: () => number;
  readonly randomUint32: () => number;
  readonly log: Log;
  /** A ballot that gets no majority within this time is followed by a higher one. */
  readonly roundTimeoutMs: number;
}

/** What a transaction is asked for by name, and everything needed to recover it. */
export interface Lost {
  readonly id: TxnId;
  readonly epoch: number;
  readonly protocolNumber: number;
  /** Those it touched, its home first. */
  readonly partitions: readonly number[];
  /** The partitions are what a client says. */
  readonly claimed?: true;
}

/** A decision; or UNDECIDED, when it is finished but so long ago that the outcome has been forgotten. */
export type OnOutcome = (decision: Decision) => void;

interface Attempt {
  readonly id: TxnId;
  readonly epoch: number;
  readonly protocolNumber: number;
  /** What it touches is known; or it is claimed, and not confirmed by any record yet; or it does not matter, for all groups there are take part. */
  scope: 'known' | 'claimed' | 'everywhere';
  partitions: readonly number[];
  groups: readonly Group[];
  members: readonly string[];
  readonly listeners: OnOutcome[];
  readonly startedAtMs: number;
  phase: 'pausing' | 'promising' | 'accepting';
  round: number;
  highestRoundSeen: number;
  rounds: number;
  /** When the present phase ends unless something happens. */
  untilMs: number;
  witnesses: Map<string, Witness>;
  proposal: Decision;
  acceptedBy: Set<string>;
  /** Those that know it as finished, with what they retain. */
  finishedAt: Map<string, Decision>;
  body: Uint8Array | null;
}

/** Pauses between ballots grow up to this; the first is a small part of it. */
const pauseMsMax = 1_000;
const pauseMsMin = 10;

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #attempts = new Map<string, Attempt>();
  readonly counters = { started: 0, committed: 0, aborted: 0 };

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  get activeCount(): number {
    return this.#attempts.size;
  }

  /** Each recovery under way, as plain data: all that is done about it from now on follows from this, the messages, the time and chance. */
  describe() {
    return [...this.#attempts.values()].map(({ id, scope, partitions, listeners, phase, round, highestRoundSeen, witnesses, proposal, acceptedBy, finishedAt, body }) => ({
      id, scope, partitions, listeners: listeners.length, phase, round, highestRoundSeen, witnesses: [...witnesses.values()], proposal,
      acceptedBy: [...acceptedBy].sort(), finishedAt: [...finishedAt], hasBody: body !== null,
    }));
  }

  isActive(id: TxnId): boolean {
    return this.#attempts.has(formatTxnId(id));
  }

  /** Finds out, and if need be settles, what became of a transaction. A second call for the same one joins the first. */
  start({ id, epoch, protocolNumber, partitions, claimed }: Lost, why: string, onOutcome?: OnOutcome): void {
    const name = formatTxnId(id);
    let attempt = this.#attempts.get(name);
    if (attempt === undefined) {
      const groups = this.#options.topology.groupsOf(partitions);
      attempt = {
        id, epoch, protocolNumber, scope: claimed ? 'claimed' : 'known', partitions, groups, members: membersOf(groups), listeners: [], startedAtMs: this.#options.nowMs(),
        phase: 'pausing', round: 0, highestRoundSeen: 0, rounds: 0, untilMs: 0,
        witnesses: new Map(), proposal: UNDECIDED, acceptedBy: new Set(), finishedAt: new Map(), body: null,
      };
      this.#attempts.set(name, attempt);
      this.counters.started++;
      this.#options.log.info({ txn: name, why }, 'transaction recovery');
      this.#ask(attempt);
    } else if (!claimed) {
      this.#confine(attempt, partitions);
    }
    if (onOutcome !== undefined) attempt.listeners.push(onOutcome);
  }

  onPromise(from: string, message: Promised): void {
    const [, node, incarnation, number, round, proposer, , timestamp, acceptedRound, acceptedProposer, acceptedDecision, body] = message;
    const attempt = this.#current(node, incarnation, number, round, proposer);
    if (attempt === undefined || attempt.phase !== 'promising') return;
    attempt.body ??= body;
    if (body !== null && this.#confine(attempt, parseBody(body, this.#options.topology.partitionOf).partitions)) return;
    const accepted = acceptedRound < 0 ? null : { round: acceptedRound, proposer: acceptedProposer, decision: acceptedDecision };
    attempt.witnesses.set(from, { node: from, timestamp, accepted });
    this.#judge(attempt);
  }

  onAccepted(from: string, [, node, incarnation, number, round, proposer]: Accepted): void {
    const attempt = this.#current(node, incarnation, number, round, proposer);
    if (attempt === undefined || attempt.phase !== 'accepting') return;
    const home = attempt.groups[0] as Group;
    if (home.members.includes(from)) attempt.acceptedBy.add(from);
    if (attempt.acceptedBy.size >= home.majority) this.#decide(attempt, attempt.proposal);
  }

  onRejected([, node, incarnation, number, round, proposer, promisedRound]: Rejected): void {
    const attempt = this.#current(node, incarnation, number, round, proposer);
    if (attempt === undefined) return;
    attempt.highestRoundSeen = Math.max(attempt.highestRoundSeen, promisedRound);
    if (attempt.phase !== 'pausing') this.#pause(attempt);
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
    attempt.finishedAt.set(from, outcome);
    this.#judge(attempt);
  }

  /** The peer is back, perhaps the one that a majority wanted: it is asked what the others have been, or everybody is, soon. */
  peerUp(peer: string): void {
    for (const attempt of this.#attempts.values()) {
      if (!attempt.members.includes(peer)) continue;
      if (attempt.phase === 'pausing') attempt.untilMs = this.#options.nowMs();
      else if (attempt.phase === 'promising' && !attempt.witnesses.has(peer)) this.#askMember(attempt, peer);
      else if (attempt.phase === 'accepting' && !attempt.acceptedBy.has(peer)) this.#proposeTo(attempt, peer);
    }
  }

  tick(): void {
    const now = this.#options.nowMs();
    for (const attempt of [...this.#attempts.values()]) {
      if (now < attempt.untilMs) continue;
      if (attempt.phase === 'pausing') this.#ask(attempt);
      else this.#pause(attempt);
    }
  }

  /** What follows from the answers so far. */
  #judge(attempt: Attempt): void {
    const { scope, groups, witnesses, finishedAt, phase } = attempt;
    const isFinished = finishedAt.size > 0;
    if (!isFinished && phase !== 'promising') return;
    // Of what is finished, a replica that never voted OK knows no more than one that retains no commit: had it been committed, a majority of the home group would know.
    const counts = (member: string) => finishedAt.has(member) || (isFinished ? witnesses.get(member)?.timestamp === 0 : witnesses.has(member));
    const asked = isFinished && scope === 'known' ? groups.slice(0, 1) : groups;
    if (!asked.every(({ members, majority }) => members.filter(counts).length >= majority)) return;
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

  /** What the transaction touches is known from now on. If that is something else than was thought, it begins again, and says so. */
  #confine(attempt: Attempt, partitions: readonly number[]): boolean {
    attempt.scope = 'known';
    const same = partitions[0] === attempt.partitions[0] && partitions.length === attempt.partitions.length && partitions.every((partition) => attempt.partitions.includes(partition));
    if (!same) this.#begin(attempt, partitions);
    return !same;
  }

  #begin(attempt: Attempt, partitions: readonly number[]): void {
    attempt.partitions = partitions;
    attempt.groups = this.#options.topology.groupsOf(partitions);
    attempt.members = membersOf(attempt.groups);
    this.#ask(attempt);
  }

  #current(node: string, incarnation: number, number: number, round: number, proposer: string): Attempt | undefined {
    const attempt = this.#attempts.get(`${node}:${incarnation}:${number}`);
    return attempt !== undefined && attempt.round === round && proposer === this.#options.topology.self ? attempt : undefined;
  }

  #ask(attempt: Attempt): void {
    attempt.phase = 'promising';
    attempt.round = attempt.highestRoundSeen + 1;
    attempt.highestRoundSeen = attempt.round;
    attempt.rounds++;
    attempt.untilMs = this.#options.nowMs() + this.#options.roundTimeoutMs;
    attempt.witnesses = new Map();
    attempt.acceptedBy = new Set();
    for (const member of attempt.members) this.#askMember(attempt, member);
  }

  #askMember({ id: { node, incarnation, number }, round, epoch }: Attempt, member: string): void {
    this.#options.outbox.send(member, [Tag.recover, node, incarnation, number, round, this.#options.topology.self, epoch]);
  }

  #propose(attempt: Attempt): void {
    const protocol = protocols[attempt.protocolNumber];
    const decision = protocol?.recover([...attempt.witnesses.values()], attempt.groups) ?? UNDECIDED;
    if (decision === UNDECIDED) return this.#pause(attempt);
    attempt.phase = 'accepting';
    attempt.proposal = decision;
    for (const member of (attempt.groups[0] as Group).members) this.#proposeTo(attempt, member);
  }

  #proposeTo({ id: { node, incarnation, number }, groups: [home], round, proposal }: Attempt, member: string): void {
    if (home?.members.includes(member)) this.#options.outbox.send(member, [Tag.accept, node, incarnation, number, round, this.#options.topology.self, proposal]);
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
