/**
 * An operator's way out, for a transaction that waits for a coordinator whose node never returns.
 *
 * It is a recovery in which an operator stands in for that node:
 *
 *   1. `recover(b)` to all replicas of all touched groups; a majority of each must promise. Whoever knows the outcome ends it there.
 *   2. What was accepted under the highest ballot is chosen, whatever the operator wished. Else the operator's wish, but
 *      COMMIT only where a majority of each group voted OK, at the largest of their timestamps.
 *   3. `accept(b)` to the home group, a majority of which settles it. As recoveries meet in the home group too, all who
 *      come later come to the same.
 *   4. It is recorded here; only then told to all nodes (`settled`), to the replicas (`decide`), and to the operator.
 *
 * What no replica can know is whether the coordinator had decided, and told its client, before it was lost. So each node
 * keeps what operators decided and tells it at the beginning of every session, before anything else; whoever finds that
 * it had decided otherwise stops for good. Its data is not that of the others, and hiding it would be worse.
 */
import type { ErrorCode } from '../../client/wire/errors.ts';
import { EventKind } from '../../client/wire/events.ts';
import { limits } from '../../client/wire/limits.ts';
import { ABORT, AbortReason, formatTxnId, Tag, UNDECIDED, type Accept, type Accepted, type Decide, type Decision, type Finished, type Promised, type Rejected, type Settle, type Settled, type TxnId } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Group, Topology } from '../cluster/topology.ts';
import type { Log } from '../runtime/runtime.ts';
import { Kind } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { Chronicle } from './chronicle.ts';
import type { Client } from './commit-attempt.ts';
import type { Ledger } from './ledger.ts';
import { highestAccepted, isQuorum, type Witness } from './protocols/protocol.ts';
import { protocols } from './protocols/registry.ts';
import type { Recovery } from './recovery.ts';
import type { Settlement } from './settlements.ts';

export interface SettlingOptions {
  readonly topology: Topology;
  readonly store: Pick<Store, 'whenDurable'>;
  readonly ledger: Ledger;
  readonly outbox: Outbox;
  readonly recovery: Pick<Recovery, 'blocked' | 'blockedAt' | 'isActive' | 'reserveRound'>;
  readonly chronicle: Pick<Chronicle, 'note'>;
  readonly incarnation: number;
  readonly during: (work: () => void) => void;
  readonly nowMs: () => number;
  readonly wallMs: () => number;
  readonly log: Log;
  readonly fatal: (reason: string, details: Record<string, unknown>) => never;
  /** A ballot that is not answered within this time is followed by a higher one. */
  readonly roundTimeoutMs: number;
}

interface Course {
  readonly id: TxnId;
  readonly wish: 'commit' | 'abort';
  readonly client: Client;
  readonly request: number;
  readonly deadlineAtMs: number;
  groups: readonly Group[];
  phase: 'promising' | 'accepting' | 'recording';
  round: number;
  highestRoundSeen: number;
  roundUntilMs: number;
  asked: readonly string[];
  heard: Map<string, Witness>;
  acceptedBy: Set<string>;
  proposal: Decision;
  body: Uint8Array | null;
}

type Refusal = readonly [code: ErrorCode, message: string];

export class Settling {
  readonly #options: SettlingOptions;
  readonly #courses = new Map<string, Course>();

  constructor(options: SettlingOptions) {
    this.#options = options;
  }

  onSettle(client: Client, [, request, deadlineMs, node, incarnation, number, commit]: Settle): void {
    const { nowMs, ledger } = this.#options;
    const named = { node, incarnation, number };
    // A part of a batch ends as the batch does.
    const id = ledger.find(named)?.id ?? named;
    const course: Course = {
      id, wish: commit ? 'commit' : 'abort', client, request, deadlineAtMs: nowMs() + Math.min(deadlineMs, limits.deadlineMsMax),
      groups: [], phase: 'promising', round: 0, highestRoundSeen: 0, roundUntilMs: 0, asked: [], heard: new Map(), acceptedBy: new Set(), proposal: UNDECIDED, body: null,
    };
    if (this.#courses.has(formatTxnId(id))) return this.#refuse(course, ['overloaded', 'another decision on it is under way here']);
    const refusal = this.#objectionTo(id);
    if (refusal !== null) return this.#refuse(course, refusal);
    this.#courses.set(formatTxnId(id), course);
    this.#ask(course);
  }

  onPromise(from: string, [, node, incarnation, number, round, proposer, , timestamp, , , acceptedRound, acceptedProposer, acceptedDecision, body]: Promised): void {
    const course = this.#current(node, incarnation, number, round, proposer, 'promising');
    if (course === undefined) return;
    course.body ??= body;
    course.heard.set(from, { node: from, timestamp, accepted: acceptedRound < 0 ? null : { round: acceptedRound, proposer: acceptedProposer, decision: acceptedDecision } });
    // All who can be heard are: one of them may know the outcome, or have the OK vote that is missing.
    if (course.asked.every((member) => course.heard.has(member))) this.#judge(course);
  }

  onAccepted(from: string, [, node, incarnation, number, round, proposer]: Accepted): void {
    const course = this.#current(node, incarnation, number, round, proposer, 'accepting');
    if (course === undefined) return;
    course.acceptedBy.add(from);
    if (isQuorum(course.groups.slice(0, 1), (member) => course.acceptedBy.has(member))) this.#record(course);
  }

  onRejected([, node, incarnation, number, round, proposer, promisedRound]: Rejected): void {
    const course = this.#courses.get(`${node}:${incarnation}:${number}`);
    if (course === undefined || course.round !== round || proposer !== this.#options.topology.self || course.phase === 'recording') return;
    course.highestRoundSeen = Math.max(course.highestRoundSeen, promisedRound);
    course.roundUntilMs = 0;
  }

  /** Somebody knew. */
  onDecide([, node, incarnation, number, decision]: Decide): void {
    const course = this.#courses.get(`${node}:${incarnation}:${number}`);
    if (course !== undefined && course.phase !== 'recording') this.#refuse(course, ['not-blocked', `it is ${inWords(decision)}`]);
  }

  onFinished(from: string, [, node, incarnation, number, outcome]: Finished): void {
    const course = this.#courses.get(`${node}:${incarnation}:${number}`);
    if (course !== undefined && course.phase !== 'recording') this.#refuse(course, ['not-blocked', `node ${from} knows it as finished: ${inWords(outcome)}`]);
  }

  /** Before anything else is said to this peer: what operators decided. */
  peerUp(peer: string): void {
    for (const settlement of this.#options.ledger.settlements) this.#tell(peer, settlement);
  }

  onSettled([, node, incarnation, number, decision, atMs, by]: Settled): void {
    const { ledger, log, wallMs } = this.#options;
    const id = { node, incarnation, number };
    if (ledger.settlements.find(id) !== undefined) return;
    const own = this.#ownDecision(id);
    if (own !== UNDECIDED && own !== decision) this.#stop(id, own, decision, `${Math.round((wallMs() - atMs) / 1_000)} s ago, by way of node ${by}, an operator decided that it is ${inWords(decision)}`);
    ledger.enter([Kind.settled, node, incarnation, number, decision, atMs, by]);
    log.warn({ txn: formatTxnId(id), outcome: inWords(decision), by }, 'transaction settled by an operator');
  }

  /** Is this against what an operator decided? Then the sender hears of that and stops, and nobody else follows it. */
  isAgainst(from: string, message: Decide | Accept): boolean {
    const { topology, ledger } = this.#options;
    if (from === topology.self) return false;
    const id = { node: message[1], incarnation: message[2], number: message[3] };
    const decision = message[0] === Tag.decide ? message[4] : message[6];
    const settlement = ledger.settlements.find(id);
    if (settlement !== undefined) return settlement.decision !== decision;
    if (id.node !== topology.self) return false;
    const record = ledger.find(id);
    if (record?.accepted?.ballot.round !== 0 || record.accepted.decision === decision || record.body === null) return false;
    // Where our acceptance was all it took, it was decided; only an operator can have come to something else.
    const acceptors = protocols[record.protocol]?.acceptors(topology.self, topology.groupsOf(ledger.parse(record.body).partitions)) ?? [];
    if (isQuorum(acceptors, (member) => member === topology.self)) this.#stop(id, record.accepted.decision, decision, `node ${from} says that it is ${inWords(decision)}, which only an operator can have decided`);
    return false;
  }

  tick(): void {
    const now = this.#options.nowMs();
    for (const course of [...this.#courses.values()]) {
      const { phase, deadlineAtMs, roundUntilMs } = course;
      if (phase === 'recording') continue;
      if (now >= deadlineAtMs) {
        if (phase === 'accepting') this.#refuse(course, ['outcome-unknown', 'the home group did not answer in time: the decision may stand or not. Ask again']);
        else this.#refuse(course, ['unavailable', 'no majority of every replica group answered in time']);
      } else if (now >= roundUntilMs) {
        if (phase === 'promising' && isQuorum(course.groups, (member) => course.heard.has(member))) this.#judge(course);
        else this.#ask(course);
      }
    }
  }

  /** Why no decision of an operator is wanted, or possible; null if it is. */
  #objectionTo(id: TxnId): Refusal | null {
    const { ledger, outbox, recovery } = this.#options;
    const record = ledger.find(id);
    if (record !== undefined && record.outcome !== UNDECIDED) return ['not-blocked', `it is ${inWords(record.outcome)}`];
    if (ledger.isFinished(id)) return ['not-blocked', `it is finished: ${inWords(ledger.outcomeOfFinished(id))}`];
    if (recovery.blockedAt(id) !== null) return null;
    if (recovery.isActive(id)) return ['not-blocked', 'it is undecided, and its recovery is under way'];
    if (record === undefined) return ['not-blocked', 'this node has no record of it'];
    return ['not-blocked', `it is undecided, and its coordinator ${id.node} is ${outbox.isUp(id.node) ? 'up' : 'away; its recovery begins in a moment'}`];
  }

  #ask(course: Course): void {
    const { recovery, outbox, topology, nowMs, roundTimeoutMs } = this.#options;
    const { id } = course;
    const reserved = recovery.reserveRound(id, course.highestRoundSeen);
    if (reserved === null) return this.#refuse(course, this.#objectionTo(id) ?? ['not-blocked', 'its recovery has ended']);
    const { round, epoch, protocol, groups, members, forgotBy } = reserved;
    const isUp = (member: string): boolean => outbox.isUp(member) && !forgotBy.has(member);
    const short = groups.find((group) => !isQuorum([group], isUp));
    if (short !== undefined) return this.#refuse(course, ['unavailable', `of the replicas ${short.members.join(', ')} only ${short.members.filter(isUp).join(', ')} are connected: also an operator needs a majority`]);
    if (protocol === null) return this.#refuse(course, ['not-blocked', 'no record of it has been seen here']);
    // Whom nobody stands in the way of deciding by the protocol, no operator may overrule.
    if (isQuorum(protocol.witnesses(id.node, groups), isUp)) return this.#refuse(course, ['not-blocked', `all that ${protocol.name} needs to decide it are up`]);
    Object.assign(course, { groups, round, phase: 'promising', highestRoundSeen: round, roundUntilMs: nowMs() + roundTimeoutMs, heard: new Map(), acceptedBy: new Set() });
    course.asked = members.filter((member) => outbox.send(member, [Tag.recover, id.node, id.incarnation, id.number, round, topology.self, epoch]));
  }

  #judge(course: Course): void {
    const { topology, outbox, nowMs, roundTimeoutMs } = this.#options;
    const { id, groups, round } = course;
    const heard = [...course.heard.values()];
    if (!isQuorum(groups, (member) => course.heard.has(member))) return;
    const proposal = highestAccepted(heard) ?? this.#wished(course, heard);
    if (proposal === null) return;
    Object.assign(course, { phase: 'accepting', proposal, roundUntilMs: nowMs() + roundTimeoutMs });
    for (const member of groups[0]?.members ?? []) outbox.send(member, [Tag.accept, id.node, id.incarnation, id.number, round, topology.self, proposal]);
  }

  /** Null if it has been refused. */
  #wished(course: Course, heard: readonly Witness[]): Decision | null {
    if (course.wish === 'abort') return ABORT;
    const ok = heard.filter(({ timestamp }) => timestamp !== 0);
    for (const { members, majority } of course.groups) {
      const count = ok.filter(({ node }) => members.includes(node)).length;
      if (count >= majority) continue;
      this.#refuse(course, ['invalid-argument', `it can't be committed: of the replicas ${members.join(', ')} ${count} voted OK, and ${majority} would be needed. It can be aborted`]);
      return null;
    }
    return Math.max(...ok.map(({ timestamp }) => timestamp));
  }

  #record(course: Course): void {
    const { ledger, store, topology, chronicle, during, wallMs, log } = this.#options;
    const { id: { node, incarnation, number }, proposal } = course;
    course.phase = 'recording';
    const atMs = Math.round(wallMs());
    ledger.enter([Kind.settled, node, incarnation, number, proposal, atMs, topology.self]);
    chronicle.note(EventKind.settled, node, incarnation, number, 0, null, 0, proposal, null, course.wish);
    log.warn({ txn: formatTxnId(course.id), outcome: inWords(proposal), wished: course.wish }, 'transaction settled by an operator');
    store.whenDurable(() => during(() => this.#conclude(course, { id: course.id, decision: proposal, atMs, node: topology.self })));
  }

  #conclude(course: Course, settlement: Settlement): void {
    const { topology, outbox } = this.#options;
    const { id: { node, incarnation, number }, client, request, proposal, body } = course;
    this.#courses.delete(formatTxnId(course.id));
    for (const member of topology.view.members) if (member.id !== topology.self) this.#tell(member.id, settlement);
    // To ourselves: the recovery that waits here spreads it.
    outbox.send(topology.self, [Tag.decide, node, incarnation, number, proposal, body]);
    client.send(proposal === ABORT ? [Tag.aborted, request, AbortReason.superseded, null, null, 0, null] : [Tag.committed, request, proposal, false]);
  }

  #tell(peer: string, { id, decision, atMs, node }: Settlement): void {
    const { ledger, outbox } = this.#options;
    outbox.send(peer, [Tag.settled, id.node, id.incarnation, id.number, decision, atMs, node]);
    const record = ledger.find(id);
    if (record?.outcome === decision) outbox.send(peer, [Tag.decide, id.node, id.incarnation, id.number, decision, record.body]);
  }

  /** What this node took for decided, as coordinator or by hearsay; UNDECIDED for nothing. */
  #ownDecision(id: TxnId): Decision {
    const { topology, ledger, incarnation } = this.#options;
    const record = ledger.find(id);
    if (record !== undefined && record.outcome !== UNDECIDED) return record.outcome;
    if (id.node !== topology.self) return UNDECIDED;
    if (record?.accepted?.ballot.round === 0) return record.accepted.decision;
    // A commit is finished when all who voted know it, and then nobody is blocked: this one was aborted, in this very life.
    return record === undefined && id.incarnation === incarnation && ledger.isFinished(id) ? ledger.outcomeOfFinished(id) : UNDECIDED;
  }

  #stop(id: TxnId, own: Decision, other: Decision, event: string): never {
    const txn = formatTxnId(id);
    return this.#options.fatal(
      `transaction ${txn} is ${inWords(own)} here, and a client may have been told so; but ${event}. The data of this node differs from that of the others, so it must not serve as its former self: ` +
      'keep its data directory for a post-mortem and let a new node, with a new id and an empty directory, take its place.',
      { txn, here: own, elsewhere: other },
    );
  }

  #current(node: string, incarnation: number, number: number, round: number, proposer: string, phase: Course['phase']): Course | undefined {
    const course = this.#courses.get(`${node}:${incarnation}:${number}`);
    return course !== undefined && course.round === round && proposer === this.#options.topology.self && course.phase === phase ? course : undefined;
  }

  #refuse(course: Course, [code, why]: Refusal): void {
    const name = formatTxnId(course.id);
    if (this.#courses.get(name) === course) this.#courses.delete(name);
    course.client.send([Tag.failed, course.request, code, `${name}: ${why}.`]);
  }
}

function inWords(decision: Decision): string {
  return decision === UNDECIDED ? 'decided, and how has been forgotten' : decision === ABORT ? 'aborted' : `committed at ${decision}`;
}
