/**
 * One life of one node: the real coordinator with its batches, participant, ledger with its locks, and recovery, wired as a node wires them,
 * over the smallest store. Whatever happens to it is an event; what it says is gathered for the explorer to deliver.
 *
 * Time stands still but in the events of timers, and leaps in them: an attempt is waited for not at all, some time, or
 * for ever. Chance always says 0: all it would choose here is how long a pause lasts, and that is the explorer's choice.
 */
import { formatTxnId, Tag, UNDECIDED, Vote, type Decision, type Message, type TxnId } from '../../../client/wire/messages.ts';
import { Loopback, type Outbox } from '../../../node/cluster/outbox.ts';
import type { Topology } from '../../../node/cluster/topology.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { Batches } from '../../../node/txn/batches.ts';
import { HybridClock } from '../../../node/txn/clock.ts';
import { Coordinator } from '../../../node/txn/coordinator.ts';
import { Ledger } from '../../../node/txn/ledger.ts';
import { Participant } from '../../../node/txn/participant.ts';
import type { CommitProtocol } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';
import { Recovery } from '../../../node/txn/recovery.ts';
import type { Start } from '../../../node/txn/running.ts';
import { MemoryStore } from './journal.ts';
import type { Mistake } from './mistake.ts';
import type { Bodies, Plan, Scope } from './scope.ts';

export type LifeEvent =
  | { readonly kind: 'deliver'; readonly from: number; readonly incarnation: number; readonly message: Message }
  | { readonly kind: 'flush' }
  | { readonly kind: 'wait' | 'expire' | 'handOver' | 'retry' }
  | { readonly kind: 'start'; readonly batch: number; readonly body: number }
  | { readonly kind: 'recover' | 'ask'; readonly plan: number; readonly incarnation: number }
  | { readonly kind: 'up'; readonly peer: number; readonly incarnation: number }
  | { readonly kind: 'down'; readonly peer: number }
  | { readonly kind: 'marks'; readonly lowestPending: number };

/** What somebody learned, for sure, of a transaction. */
export interface Fact {
  readonly plan: number;
  readonly decision: Decision;
}

export interface Happening {
  readonly scope: Scope;
  readonly bodies: Bodies;
  /** Of the batches in turn. */
  readonly protocolNumbers: readonly number[];
  readonly mistake: Mistake | null;
}

const timing = { fastCommitWaitMs: 10, prepareTimeoutMs: 1_000, recoveryDelayMs: 100_000, roundTimeoutMs: 10_000 };
/** By each of these timers something has been waited for: longer than that takes, not as long as the next one takes. */
const leaps = { wait: timing.prepareTimeoutMs - 1, expire: timing.prepareTimeoutMs, handOver: 10 * timing.recoveryDelayMs, retry: 100 * timing.recoveryDelayMs };
/** The first moment of the clock's own epoch, so that timestamps count from 1. */
const wallMs = 1_735_689_600_000;

const diskOf = (node: string): string => `disk of ${node}`;

/** All have met in their first lives. */
export const firstJournal = ({ nodes }: Scope): JournalRecord[] => nodes.map((node) => [Kind.floor, node, diskOf(node), 1]);

/** A ledger with its store and clock, as a restart makes them of a journal. */
export function restore(topology: Topology, journal: readonly JournalRecord[], nowMs: () => number, mistake: Mistake | null, hearing: () => Message | null = () => null): { store: MemoryStore; ledger: Ledger; clock: HybridClock } {
  const store = new MemoryStore(journal, mistake?.hasty !== true);
  const clock = new HybridClock({ monotonicMs: nowMs, wallMs: () => wallMs });
  const ledger = new Ledger({ topology, store, clock, nowMs, outcomeRetentionMs: Number.MAX_SAFE_INTEGER });
  mistake?.spoils?.(ledger, hearing);
  for (const record of journal) ledger.replay(record);
  return { store, ledger, clock };
}

export class Life {
  readonly incarnation: number;
  readonly topology: Topology;
  readonly store: MemoryStore;
  readonly ledger: Ledger;
  readonly clock: HybridClock;
  readonly coordinator: Coordinator;
  readonly recovery: Recovery;
  readonly up = new Set<string>();
  /** The plans that were begun in this life. */
  readonly begun = new Set<number>();
  /** What was said since the last look, and to whom; what it said to itself has been heard already. */
  said: (readonly [to: string, message: Message])[] = [];
  facts: Fact[] = [];
  /** Bit by plan: somebody waits here for what a recovery finds out about it. */
  askedFor = 0;
  /** Promises to others that its disk doesn't keep yet. */
  hollow: string[] = [];
  readonly mistake: Mistake | null;
  readonly #happening: Happening;
  readonly #participant: Participant;
  readonly #batches: Batches;
  readonly #loopback: Loopback;
  readonly #deferred: (() => void)[] = [];
  #nowMs = 0;
  #hearing: Message | null = null;
  #retries = 0;

  constructor(happening: Happening, self: number, incarnation: number, journal: readonly JournalRecord[]) {
    const topology = happening.scope.topologies[self] as Topology;
    const nowMs = (): number => this.#nowMs;
    const { store, ledger, clock } = restore(topology, journal, nowMs, happening.mistake, () => this.#hearing);
    this.#happening = happening;
    this.mistake = happening.mistake;
    this.incarnation = incarnation;
    this.topology = topology;
    this.store = store;
    this.ledger = ledger;
    this.clock = clock;
    this.#loopback = new Loopback((message) => this.#handle(topology.self, incarnation, message));
    const outbox: Outbox = { send: (to, message) => this.#send(to, message), isUp: (node) => node === topology.self || this.up.has(node) };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const shared = {
      ...timing, topology, store, ledger, clock, outbox, nowMs, incarnation, log, randomUint32: () => 0,
      during: (work: () => void) => this.#loopback.during(work),
      defer: (action: () => void) => void this.#deferred.push(action),
    };
    this.recovery = new Recovery({ ...shared, isHeld: (id) => ledger.holds(id) });
    this.coordinator = new Coordinator({
      ...shared,
      recover: (id, epoch, protocolNumber, partitions, onOutcome) => this.recovery.start({ id, epoch, protocolNumber, partitions }, 'handed over', onOutcome),
    });
    this.#participant = new Participant(shared);
    this.#batches = new Batches({ ...shared, coordinator: { start: (start) => this.#depart(start) } });
  }

  /** A node makes its new life durable before it listens. */
  rise(): void {
    const { self } = this.topology;
    this.ledger.enterDurably([Kind.floor, self, diskOf(self), this.incarnation]);
    this.store.flush();
    this.store.endTurn();
  }

  handle(event: LifeEvent): void {
    if (event.kind === 'flush') this.store.flush();
    else this.#loopback.during(() => this.#enter(event));
    while (this.#deferred.length > 0) this.#deferred.shift()!();
    this.store.endTurn();
  }

  /** The transaction's name, if it is begun; a plan's number is its own in all lives of its coordinator. */
  idOf(plan: number, incarnation: number): TxnId {
    const { nodes, plans } = this.#happening.scope;
    return { node: nodes[(plans[plan] as Plan).coordinator] as string, incarnation, number: plan + 1 };
  }

  #enter(event: Exclude<LifeEvent, { kind: 'flush' }>): void {
    const { nodes } = this.#happening.scope;
    switch (event.kind) {
      case 'deliver':
        return this.#handle(nodes[event.from] as string, event.incarnation, event.message);
      case 'start':
        return this.#start(event.batch, event.body);
      case 'recover':
      case 'ask':
        return this.#recover(event.plan, event.incarnation, event.kind === 'ask');
      case 'up': {
        const peer = nodes[event.peer] as string;
        if ((this.ledger.lives.floorOf(peer)?.incarnation ?? 0) < event.incarnation) this.ledger.enterDurably([Kind.floor, peer, diskOf(peer), event.incarnation]);
        this.up.add(peer);
        this.coordinator.peerUp(peer);
        return this.recovery.peerUp(peer);
      }
      case 'down': {
        const peer = nodes[event.peer] as string;
        this.up.delete(peer);
        return this.coordinator.peerDown(peer);
      }
      case 'marks': {
        const marks = this.coordinator.marks(event.lowestPending);
        for (const node of nodes) this.#send(node, marks);
        return;
      }
      case 'retry':
        // A ballot under way is given up in one look at the watch, and the next one begun in another.
        this.#at(leaps.retry * ++this.#retries, () => {
          this.recovery.tick();
          this.recovery.tick();
        });
        return;
      default:
        this.#at(leaps[event.kind], () => this.coordinator.tick());
    }
  }

  #at(nowMs: number, work: () => void): void {
    this.#nowMs = nowMs;
    work();
    this.#nowMs = 0;
  }

  /** What is added in one turn departs together at its end. */
  #start(batch: number, body: number): void {
    const { bodies } = this.#happening;
    const protocolNumber = this.#protocolOf(batch);
    for (const { plan, versions, bytes } of bodies.parts(body)) {
      this.begun.add(plan);
      for (const version of versions) this.clock.observe(version);
      this.#batches.add({
        number: plan + 1, protocolNumber, protocol: protocols[protocolNumber] as CommitProtocol,
        bytes, body: this.ledger.parse(bytes), deadlineAtMs: Number.POSITIVE_INFINITY,
        onOutcome: (decision) => void this.facts.push({ plan, decision }),
        onDoubt: () => {},
      });
    }
  }

  /** As the coordinator is told to. States must not depend on where the bytes lie. */
  #depart(start: Start): void {
    if (start.body.others.length === 0) return this.coordinator.start(start);
    const bytes = this.#happening.bodies.same(start.bytes);
    this.coordinator.start({ ...start, bytes, body: this.ledger.parse(bytes) });
  }

  #protocolOf(batch: number): number {
    const { protocolNumbers } = this.#happening;
    return protocolNumbers[batch % protocolNumbers.length] as number;
  }

  /**
   * For locks that nobody takes away, which are those of a batch as a whole; or because a client asks, who lost its coordinator, does not know the protocol, and is
   * wrong about the groups. Of a part but a client asks.
   */
  #recover(plan: number, incarnation: number, isAsked: boolean): void {
    const { plans, batches } = this.#happening.scope;
    const { batch } = plans[plan] as Plan;
    const mates = batches[batch] as readonly number[];
    const touchedBy = (some: readonly number[]): number[] => {
      const all = some.map((each) => plans[each] as Plan);
      return [...new Set([...all.flatMap(({ writes }) => writes), ...all.flatMap(({ reads }) => reads)].map(this.topology.partitionOf))];
    };
    const isPart = mates.at(-1) !== plan;
    const what = isAsked ? { protocolNumber: null, partitions: touchedBy([plan]).slice(-1) } : isPart ? { protocolNumber: null, partitions: touchedBy([plan]) } : { protocolNumber: this.#protocolOf(batch), partitions: touchedBy(mates) };
    this.askedFor |= 1 << plan;
    this.recovery.start({ id: this.idOf(plan, incarnation), epoch: this.topology.epoch, ...what }, 'explored', (decision) => {
      this.askedFor &= ~(1 << plan);
      if (decision !== UNDECIDED) this.facts.push({ plan, decision });
    });
  }

  #send(to: string, meant: Message): boolean {
    if (to !== this.topology.self && !this.up.has(to)) return false;
    const message = this.#happening.mistake?.utters?.(meant) ?? meant;
    if (!this.#isBacked(to, message)) this.hollow.push(`${this.topology.self} sends ${to} ${JSON.stringify(message)}, which is not on its disk`);
    this.said.push([to, message]);
    if (to === this.topology.self) this.#loopback.push(message);
    return true;
  }

  /** What others build on must be on the disk: OK votes, promises, acceptances, and that an outcome is known. */
  #isBacked(to: string, message: Message): boolean {
    const { durable } = this.store;
    const has = (kind: JournalRecord[0], { node, incarnation, number }: TxnId, ...fields: readonly unknown[]): boolean => durable.some((record) => (
      record[0] === kind && record[1] === node && record[2] === incarnation && record[3] === number && fields.every((field, i) => record[4 + i] === field)));
    switch (message[0]) {
      case Tag.vote:
        return message[4] !== Vote.ok || this.#waitsForDecision(to, idIn(message)) || durable.some((record) => record[0] === Kind.prepared && record[1] === message[1] && record[2] === message[2] && record[3] === message[3] && record[6] === message[5]);
      case Tag.promise:
        return has(Kind.promised, idIn(message), message[4], message[5]);
      case Tag.accepted:
        return has(Kind.accepted, idIn(message), message[4], message[5]);
      case Tag.decided:
        return message[3].every((number) => {
          const id = { node: message[1], incarnation: message[2], number };
          return has(Kind.outcome, id) || this.ledger.isFinished(id);
        });
      default:
        return true;
    }
  }

  /** Is this the coordinator's vote for itself, which its decision will make durable? */
  #waitsForDecision(to: string, { node, number }: TxnId): boolean {
    return to === this.topology.self && node === to && protocols[this.#protocolOf(this.#happening.scope.plans[number - 1]!.batch)]!.ownVoteWaitsForDecision;
  }

  #handle(from: string, incarnation: number, message: Message): void {
    this.#hearing = message;
    this.#heed(from, incarnation, message);
    this.#hearing = null;
  }

  /** As a node's table of messages has it. */
  #heed(from: string, incarnation: number, message: Message): void {
    switch (message[0]) {
      case Tag.prepare:
        return this.#participant.onPrepare(from, message);
      case Tag.vote:
        return this.coordinator.onVote(from, message);
      case Tag.accept:
        return this.#participant.onAccept(from, message);
      case Tag.accepted:
        return (message[4] === 0 ? this.coordinator : this.recovery).onAccepted(from, message);
      case Tag.recover:
        return this.#participant.onRecover(from, message);
      case Tag.promise:
        return this.recovery.onPromise(from, message);
      case Tag.batched:
        return this.recovery.onBatched(message);
      case Tag.rejected:
        return (message[4] === 0 ? this.coordinator : this.recovery).onRejected(message);
      case Tag.decide:
        this.#participant.onDecide(from, message);
        this.coordinator.onDecide(message);
        return this.recovery.onDecide(message);
      case Tag.decided:
        return this.coordinator.onDecided(from, message);
      case Tag.finished:
        return this.recovery.onFinished(from, message);
      case Tag.marks:
        return this.#participant.onMarks(from, incarnation, message);
      default:
        throw new Error(`nobody here hears ${JSON.stringify(message)} of ${from} about ${formatTxnId({ node: from, incarnation, number: 0 })}`);
    }
  }
}

const idIn = ([, node, incarnation, number]: [number, string, number, number, ...unknown[]]): TxnId => ({ node, incarnation, number });
