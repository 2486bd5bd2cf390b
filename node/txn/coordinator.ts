/**
 * The coordinator of this node's own transactions, from prepare until every replica has the outcome.
 *
 * It sends `prepare` once to every replica of every touched partition, counts votes by group, and does what the
 * transaction's protocol says. It proposes at most one value, at round 0. When its proposal is refused or goes
 * unanswered it lets go: from then on the transaction is a recoverer's, and the outcome is learned like anybody else's.
 */
import { EventKind } from '../../client/wire/events.ts';
import { ABORT, AbortReason, Tag, UNDECIDED, Vote, type Accepted, type Decide, type Decided, type Decision, type Marks, type Rejected, type TxnId, type VoteMessage } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import { membersOf, type Group, type Topology } from '../cluster/topology.ts';
import type { Chronicle } from './chronicle.ts';
import { isQuorum, wait } from './protocols/protocol.ts';
import { absent, isNo, refusalReasons, type MemberVote, type Running, type Start } from './running.ts';

export interface CoordinatorOptions {
  readonly topology: Topology;
  readonly outbox: Outbox;
  readonly nowMs: () => number;
  readonly incarnation: number;
  /** How long to wait for the last votes once majorities are there; longer if votes have been taking longer. */
  readonly fastCommitWaitMs: number;
  /** After this long without a decision the coordinator proposes to abort. */
  readonly prepareTimeoutMs: number;
  /** How long a proposal may go unanswered before the transaction is recovered instead. */
  readonly recoveryDelayMs: number;
  /** Has `tick` called then, besides regularly; patience is shorter than that is regular. */
  readonly wakeAfter?: (delayMs: number) => void;
  /** Hands a transaction over to be recovered. */
  readonly recover: (id: TxnId, epoch: number, protocol: number, partitions: readonly number[], onOutcome: (decision: Decision) => void) => void;
  /** How often some node is known to have been reborn, and whether this one ever was: it has no record of what it voted on before. None, unless told. */
  readonly rebirths?: { count(): number; has(member: string): boolean };
  /** Where what happens is noted for whoever asks how a transaction went; nothing depends on it. */
  readonly chronicle?: Chronicle;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  /** Undecided ones, and decided ones whose outcome some replica has not acknowledged. */
  readonly #running = new Map<number, Running>();
  /** Smoothed time from prepare to fast commit. */
  #fastCommitMs = 0;
  #undecided = 0;
  /** `tick` will be called by itself. */
  #waking = false;
  /** Decided ones that nobody works on, for only replicas which are away have not acknowledged them. Counted whenever one comes or goes. */
  #stranded = 0;
  readonly counters = { fastCommits: 0, slowCommits: 0, fastAborts: 0, slowAborts: 0, handedOver: 0 };

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  get undecidedCount(): number {
    return this.#undecided;
  }

  /** Undecided, and out of the coordinator's own hands. */
  get inDoubtCount(): number {
    let count = 0;
    for (const running of this.#running.values()) if (running.phase === 'handedOver' || running.phase === 'proposing') count++;
    return count;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** Those that some node which is there has work with. */
  get busyCount(): number {
    return this.#running.size - this.#stranded;
  }

  /** Each transaction that is not finished, as plain data: all that is done about it from now on follows from this, the messages and the time. */
  describe() {
    return [...this.#running.values()].map(({ start: { number }, phase, patience, votes, sameTimestamp, maxTimestamp, proposed, acceptedBy, outcome, isAnswerDue, acknowledged, unacknowledged }) => (
      { number, phase, patience, votes: [...votes], sameTimestamp, maxTimestamp, proposed, acceptedBy: [...acceptedBy].sort(), outcome, isAnswerDue, acknowledged: [...acknowledged].sort(), unacknowledged: [...unacknowledged].sort() }
    ));
  }

  isRunning(number: number): boolean {
    const running = this.#running.get(number);
    return running !== undefined && running.phase !== 'decided' && running.phase !== 'handedOver';
  }

  start(start: Start): void {
    const { topology, outbox, nowMs, incarnation } = this.#options;
    const groups = topology.groupsOf(start.body.partitions);
    const members = membersOf(groups);
    const running: Running = {
      start,
      id: { node: topology.self, incarnation, number: start.number },
      epoch: topology.epoch,
      groups,
      acceptors: start.protocol.acceptors(topology.self, groups),
      tallies: groups.map(({ members: { length }, majority }) => ({ size: length, majority, ok: 0, no: 0, absent: 0 })),
      members,
      votes: members.map(() => Vote.none),
      startedAtMs: nowMs(),
      rebirths: this.#options.rebirths?.count() ?? 0,
      unacknowledged: new Set(),
      acknowledged: [],
      phase: 'voting', patience: 'fresh', sameTimestamp: true, maxTimestamp: 0,
      proposed: UNDECIDED, proposedAtMs: 0, acceptedBy: [], outcome: UNDECIDED, isAnswerDue: false,
      refusal: { reason: AbortReason.timeout, key: null },
    };
    this.#running.set(start.number, running);
    this.#undecided++;
    for (let i = 0; i < members.length; i++) {
      const member = members[i] as string;
      const sent = outbox.send(member, [Tag.prepare, running.id.node, incarnation, start.number, running.epoch, start.timestamp, start.protocolNumber, start.bytes]);
      if (sent) running.unacknowledged.add(member);
      else this.#count(running, i, absent, 0);
    }
    this.#advance(running);
  }

  onVote(from: string, [, node, incarnation, number, vote, detail, key, holder]: VoteMessage): void {
    const running = this.#mine(node, incarnation, number);
    if (running === undefined) return;
    // It has nothing of the transaction, however that ends, and its disk may be away for long.
    if (vote === Vote.unable) running.unacknowledged.delete(from);
    if (running.phase === 'decided') return void (running.unacknowledged.size === 0 && this.#finish(running));
    const member = running.members.indexOf(from);
    if (member < 0 || running.votes[member] !== Vote.none) return;
    this.#count(running, member, vote, detail);
    const reason = refusalReasons[vote] ?? AbortReason.superseded;
    // What a client can do something about comes before what a replica is unable to.
    if (vote !== Vote.ok && (typeof reason !== 'string' || running.refusal.reason === AbortReason.timeout)) running.refusal = { reason, key, holder };
    this.#advance(running);
  }

  /** An acceptor made our round-0 proposal durable. */
  onAccepted(from: string, [, node, incarnation, number]: Accepted): void {
    const running = this.#mine(node, incarnation, number);
    if (running === undefined || running.phase !== 'proposing') return;
    running.acceptedBy.push(from);
    this.#advance(running);
  }

  /** Somebody else has taken a higher ballot: our proposal can't win any more. */
  onRejected([, node, incarnation, number]: Rejected): void {
    const running = this.#mine(node, incarnation, number);
    if (running?.phase === 'proposing') this.#handOver(running);
  }

  /** Somebody says what became of our transaction. */
  onDecide([, node, incarnation, number, decision]: Decide): void {
    const running = this.#mine(node, incarnation, number);
    if (running !== undefined) this.#learn(running, decision);
  }

  onDecided(from: string, [, node, incarnation, numbers]: Decided): void {
    for (const number of numbers) {
      const running = this.#mine(node, incarnation, number);
      if (running === undefined) continue;
      running.unacknowledged.delete(from);
      if (!running.acknowledged.includes(from)) running.acknowledged.push(from);
      if (running.phase !== 'decided') continue;
      if (running.isAnswerDue && isQuorum(running.groups, (member) => running.acknowledged.includes(member))) this.#answer(running);
      if (running.unacknowledged.size === 0) this.#finish(running);
    }
  }

  /** What the peer may have missed while it was away: outcomes of what it was asked to vote on, and those that a client waits for it to apply. */
  peerUp(peer: string): void {
    for (const running of this.#running.values()) {
      if (running.phase !== 'decided') continue;
      const { unacknowledged, acknowledged, members, isAnswerDue } = running;
      const isAwaited = isAnswerDue && members.includes(peer) && !acknowledged.includes(peer);
      if (isAwaited || unacknowledged.has(peer)) this.#tell(running, peer);
    }
    this.#countStranded();
  }

  /** The peer can't vote any more on what it has not voted on. */
  peerDown(peer: string): void {
    for (const running of [...this.#running.values()]) {
      const member = running.members.indexOf(peer);
      if (running.phase !== 'voting' || member < 0 || running.votes[member] !== Vote.none) continue;
      this.#options.chronicle?.note(EventKind.lost, running.id.node, running.id.incarnation, running.id.number, 0, peer);
      this.#count(running, member, absent, 0);
      this.#advance(running);
    }
    this.#countStranded();
  }

  /** For how long the last votes are waited for. */
  get #patienceMs(): number {
    return Math.max(this.#options.fastCommitWaitMs, 2 * this.#fastCommitMs);
  }

  tick(): void {
    this.#waking = false;
    const now = this.#options.nowMs();
    const waitMs = this.#patienceMs;
    for (const running of [...this.#running.values()]) {
      if (running.phase === 'voting') {
        const ageMs = now - running.startedAtMs;
        const expired = ageMs >= this.#options.prepareTimeoutMs || now >= running.start.deadlineAtMs;
        const patience = expired ? 'expired' : ageMs >= waitMs ? 'waited' : 'fresh';
        if (patience === 'fresh') this.#wakeFor(running);
        if (patience === running.patience) continue;
        running.patience = patience;
        this.#advance(running);
      } else if (running.phase === 'proposing' && now - running.proposedAtMs >= this.#options.recoveryDelayMs) {
        this.#handOver(running);
      }
    }
  }

  /** What to tell of our transactions, given that none with a number below `lowestPending` will be started any more. */
  marks(lowestPending: number): Marks {
    let watermark = lowestPending;
    for (const running of this.#running.values()) if (running.phase !== 'decided') watermark = Math.min(watermark, running.start.number, ...running.start.body.others);
    const exceptions: number[] = [];
    for (const running of this.#running.values()) if (running.phase === 'decided' && running.start.number < watermark) exceptions.push(running.start.number);
    return [Tag.marks, watermark, exceptions];
  }

  #countStranded(): void {
    const { outbox } = this.#options;
    this.#stranded = 0;
    for (const { phase, unacknowledged } of this.#running.values()) if (phase === 'decided' && ![...unacknowledged].some((member) => outbox.isUp(member))) this.#stranded++;
  }

  #mine(node: string, incarnation: number, number: number): Running | undefined {
    if (node !== this.#options.topology.self || incarnation !== this.#options.incarnation) return undefined;
    return this.#running.get(number);
  }

  #count(running: Running, member: number, vote: MemberVote, timestamp: number): void {
    running.votes[member] = vote;
    if (vote === Vote.ok) {
      if (running.maxTimestamp !== 0 && running.maxTimestamp !== timestamp) running.sameTimestamp = false;
      running.maxTimestamp = Math.max(running.maxTimestamp, timestamp);
    }
    const name = running.members[member] as string;
    for (let g = 0; g < running.groups.length; g++) {
      if (!(running.groups[g] as Group).members.includes(name)) continue;
      const tally = running.tallies[g] as Running['tallies'][number];
      if (vote === Vote.ok) tally.ok++;
      else if (vote === absent) tally.absent++;
      else tally.no++;
    }
  }

  /** Does what the protocol says, given all that has happened so far. */
  #advance(running: Running): void {
    if (running.phase === 'decided' || running.phase === 'handedOver') return;
    const step = running.start.protocol.next({
      groups: running.tallies,
      sameTimestamp: running.sameTimestamp,
      maxTimestamp: running.maxTimestamp,
      patience: running.patience,
      proposed: running.proposed,
      proposalAccepted: running.phase === 'proposing' && isQuorum(running.acceptors, (member) => running.acceptedBy.includes(member)),
    });
    if (step === wait) return this.#wakeFor(running);
    if (step.kind === 'propose') this.#propose(running, step.decision);
    if (step.kind === 'decide') this.#decide(running, step.decision);
  }

  /** Some have voted, others are slow: looks again as soon as they are not waited for any more. */
  #wakeFor(running: Running): void {
    const { wakeAfter, nowMs } = this.#options;
    if (wakeAfter === undefined || this.#waking || running.patience !== 'fresh' || running.votes.every((vote) => vote === Vote.none)) return;
    this.#waking = true;
    wakeAfter(Math.max(0, running.startedAtMs + this.#patienceMs - nowMs()));
  }

  #propose(running: Running, decision: Decision): void {
    running.phase = 'proposing';
    running.proposed = decision;
    running.proposedAtMs = this.#options.nowMs();
    const { node, incarnation, number } = running.id;
    const asked = membersOf(running.acceptors).filter((member) => this.#options.outbox.send(member, [Tag.accept, node, incarnation, number, 0, node, decision]));
    if (!isQuorum(running.acceptors, (member) => asked.includes(member))) this.#handOver(running);
  }

  #handOver(running: Running): void {
    running.phase = 'handedOver';
    this.counters.handedOver++;
    this.#options.chronicle?.note(EventKind.handedOver, running.id.node, running.id.incarnation, running.id.number);
    running.start.onDoubt();
    this.#options.recover(running.id, running.epoch, running.start.protocolNumber, running.start.body.partitions, (decision) => this.#learn(running, decision));
  }

  /** The outcome came from elsewhere. A coordinator need not be a replica, so it may hear it from its own recovery alone. */
  #learn(running: Running, decision: Decision): void {
    if (running.phase !== 'decided' && decision !== UNDECIDED) this.#decide(running, decision);
  }

  #decide(running: Running, decision: Decision): void {
    this.#note(running, decision);
    running.phase = 'decided';
    running.outcome = decision;
    this.#undecided--;
    for (let i = 0; i < running.members.length; i++) {
      const member = running.members[i] as string;
      // Who voted NO to what is aborted has nothing to undo and nothing to remember.
      if (decision === ABORT && isNo(running.votes[i] as MemberVote)) running.unacknowledged.delete(member);
      else this.#tell(running, member);
    }
    const { protocol } = running.start;
    // Who hears nothing of a presumed abort will hear that it is finished.
    if (decision === ABORT && protocol.presumesAbort) running.unacknowledged.clear();
    running.isAnswerDue = true;
    if (decision === ABORT || protocol.answers === 'when decided') this.#answer(running);
    else running.start.onApplying?.();
    if (running.unacknowledged.size === 0) this.#finish(running);
  }

  /** All who were asked have the outcome. */
  #finish(running: Running): void {
    this.#running.delete(running.start.number);
    this.#answer(running);
  }

  #answer(running: Running): void {
    if (!running.isAnswerDue) return;
    running.isAnswerDue = false;
    running.start.onOutcome(running.outcome, running.refusal);
  }

  #tell(running: Running, member: string): void {
    const { node, incarnation, number } = running.id;
    const { rebirths } = this.#options;
    const hasForgotten = rebirths !== undefined && rebirths.count() !== running.rebirths && rebirths.has(member);
    const hasRecord = running.votes[running.members.indexOf(member)] === Vote.ok && !hasForgotten;
    this.#options.outbox.send(member, [Tag.decide, node, incarnation, number, running.outcome, hasRecord || running.outcome === ABORT ? null : running.start.bytes]);
  }

  #note(running: Running, decision: Decision): void {
    const { counters } = this;
    const fast = running.phase === 'voting';
    this.#options.chronicle?.note(EventKind.decided, running.id.node, running.id.incarnation, running.id.number, 0, null, fast ? 1 : 0, decision);
    if (decision === ABORT) counters[fast ? 'fastAborts' : 'slowAborts']++;
    else counters[fast ? 'fastCommits' : 'slowCommits']++;
    if (fast && decision !== ABORT) this.#fastCommitMs += (this.#options.nowMs() - running.startedAtMs - this.#fastCommitMs) / 16;
  }
}
