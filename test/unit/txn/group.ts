/**
 * Some nodes, wired as a node wires its parts, on disks in memory, with a network that delivers one message at a time in an
 * order that the test picks: each session in order, at most once, whatever is under way lost when it breaks.
 */
import { decodeBody, encodeBody } from '../../../client/wire/codec.ts';
import { Tag, type Decision, type Message, type TxnId } from '../../../client/wire/messages.ts';
import { Loopback, type Outbox } from '../../../node/cluster/outbox.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import type { View } from '../../../client/wire/view.ts';
import { Kind } from '../../../node/store/records.ts';
import { Store } from '../../../node/store/store.ts';
import { HybridClock } from '../../../node/txn/clock.ts';
import { Closing } from '../../../node/txn/closing.ts';
import { Coordinator } from '../../../node/txn/coordinator.ts';
import { Ledger } from '../../../node/txn/ledger.ts';
import { Orphans } from '../../../node/txn/orphans.ts';
import { Participant } from '../../../node/txn/participant.ts';
import type { CommitProtocol } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';
import { Recovery } from '../../../node/txn/recovery.ts';
import type { Random } from '../../sim/random.ts';
import { MemoryDisk, MemoryRuntime } from '../store/memory-runtime.ts';
import { retentionMs, smallStore } from './replica.ts';

const timing = { fastCommitWaitMs: 20, prepareTimeoutMs: 200, recoveryDelayMs: 150, orphanRecoveryDelayMs: 50, roundTimeoutMs: 150 };

/** One life of a node. */
export class Member {
  readonly group: Group;
  readonly topology: Topology;
  readonly runtime: MemoryRuntime;
  readonly clock: HybridClock;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly loopback: Loopback;
  readonly participant: Participant;
  readonly coordinator: Coordinator;
  readonly recovery: Recovery;
  readonly orphans: Orphans;
  readonly closing: Closing;
  lastNumber = 0;
  #lowestPending = 1;

  constructor(group: Group, view: View, self: string, disk: MemoryDisk) {
    this.group = group;
    const topology = new Topology(view, self);
    const runtime = new MemoryRuntime(disk);
    const clock = new HybridClock({ monotonicMs: () => group.nowMs, wallMs: () => group.nowMs });
    const nowMs = (): number => group.nowMs;
    const store = new Store(runtime, smallStore, { cluster: view.cluster, node: self, partitions: view.partitions, placement: 'as the test has it' }, topology.partitionOf);
    runtime.idle = () => store.flush();
    const ledger = new Ledger({ topology, store, clock, nowMs, outcomeRetentionMs: retentionMs });
    this.loopback = new Loopback((message) => this.#handle(self, message));
    store.open(ledger, (suffix, value) => ledger.restore(suffix, value), () => {});
    runtime.settle();
    const outbox: Outbox = {
      send: (to, message) => (to === self ? (this.loopback.push(message), true) : group.send(self, to, message)),
      isUp: (node) => node === self || group.isUp(self, node),
    };
    const during = (work: () => void): void => this.loopback.during(work);
    const shared = {
      ...timing, topology, store, ledger, clock, outbox, during, nowMs, incarnation: store.incarnation, log: runtime.log,
      defer: (action: () => void) => runtime.defer(action),
      randomUint32: () => group.random.uint32(),
    };
    const recovery = new Recovery({ ...shared, isHeld: (id) => ledger.holds(id) });
    const coordinator = new Coordinator({
      ...shared,
      recover: (id, epoch, protocolNumber, partitions, onOutcome) => recovery.start({ id, epoch, protocolNumber, partitions }, 'handed over', onOutcome),
    });
    this.topology = topology;
    this.runtime = runtime;
    this.clock = clock;
    this.store = store;
    this.ledger = ledger;
    this.participant = new Participant(shared);
    this.coordinator = coordinator;
    this.recovery = recovery;
    this.orphans = new Orphans({ ...shared, recovery, isRunning: (number) => coordinator.isRunning(number) });
    this.closing = new Closing(shared);
    ledger.enterDurably([Kind.floor, self, store.storeId, store.incarnation]);
  }

  /** Coordinates transactions under a protocol, as one batch; `known` gets their outcome, if this life lasts long enough. Returns their names. */
  startBatch(bodies: readonly Uint8Array[], protocolNumber: number, known: (decision: Decision) => void): TxnId[] {
    const ids = bodies.map(() => ({ node: this.topology.self, incarnation: this.store.incarnation, number: ++this.lastNumber }));
    const others = ids.slice(0, -1);
    const parts = bodies.map((bytes) => decodeBody(bytes));
    this.#start(ids.at(-1) as TxnId, encodeBody([parts.flatMap(([reads]) => reads), parts.flatMap(([, writes]) => writes), others.map(({ number }) => number)]), protocolNumber, known);
    return ids;
  }

  /** Coordinates a transaction under a protocol; `known` gets its outcome, if this life lasts long enough. */
  start(bytes: Uint8Array, protocolNumber: number, known: (decision: Decision) => void): TxnId {
    const id = { node: this.topology.self, incarnation: this.store.incarnation, number: ++this.lastNumber };
    this.#start(id, bytes, protocolNumber, known);
    return id;
  }

  #start(id: TxnId, bytes: Uint8Array, protocolNumber: number, known: (decision: Decision) => void): void {
    const { clock } = this;
    const body = this.ledger.parse(bytes);
    for (const version of body.readVersions) clock.observe(version);
    this.loopback.during(() => this.coordinator.start({
      number: id.number, timestamp: clock.next(), protocolNumber, protocol: protocols[protocolNumber] as CommitProtocol, bytes, body, deadlineAtMs: this.group.nowMs + 10_000,
      onOutcome: known,
      onDoubt: () => {},
    }));
  }

  recover(id: TxnId, partitions: readonly number[], known: (decision: Decision) => void): void {
    this.loopback.during(() => this.recovery.start({ id, epoch: this.topology.epoch, protocolNumber: null, partitions }, 'a client asks', known));
  }

  receive(from: string, message: Message): void {
    this.loopback.during(() => this.#handle(from, message));
  }

  tick(): void {
    this.loopback.during(() => {
      this.coordinator.tick();
      this.recovery.tick();
      this.orphans.tick();
      // Clients use their numbers when they like: some lower one may be unused for a while.
      if (this.group.numbersAreUsed) this.#lowestPending = this.lastNumber + 1;
      else if (this.group.random.chance(0.1)) this.#lowestPending += this.group.random.below(this.lastNumber + 2 - this.#lowestPending);
      const marks = this.coordinator.marks(this.#lowestPending);
      for (const { id } of this.topology.view.members) {
        if (id === this.topology.self) this.loopback.push(marks);
        else this.group.send(this.topology.self, id, marks);
      }
      this.closing.tick();
    });
  }

  met(peer: Member): void {
    const { self } = peer.topology;
    this.loopback.during(() => {
      if ((this.ledger.lives.floorOf(self)?.incarnation ?? 0) < peer.store.incarnation) this.ledger.enterDurably([Kind.floor, self, peer.store.storeId, peer.store.incarnation]);
      this.coordinator.peerUp(self);
      this.recovery.peerUp(self);
    });
  }

  lost(peer: string): void {
    this.loopback.during(() => this.coordinator.peerDown(peer));
  }

  #handle(from: string, message: Message): void {
    const { participant, coordinator, recovery } = this;
    switch (message[0]) {
      case Tag.prepare: return participant.onPrepare(from, message);
      case Tag.vote: return coordinator.onVote(from, message);
      case Tag.accept: return participant.onAccept(from, message);
      case Tag.accepted: return (message[4] === 0 ? coordinator : recovery).onAccepted(from, message);
      case Tag.recover: return participant.onRecover(from, message);
      case Tag.promise: return recovery.onPromise(from, message);
      case Tag.batched: return recovery.onBatched(message);
      case Tag.rejected: return (message[4] === 0 ? coordinator : recovery).onRejected(message);
      case Tag.decide:
        participant.onDecide(from, message);
        coordinator.onDecide(message);
        return recovery.onDecide(message);
      case Tag.decided: return coordinator.onDecided(from, message);
      case Tag.finished: return recovery.onFinished(from, message);
      case Tag.marks: return participant.onMarks(from, this.group.incarnationOf(from), message);
      case Tag.claims: return this.closing.onClaims(from, message);
      default: throw new Error(`message ${message[0]}`);
    }
  }
}

export class Group {
  readonly random: Random;
  readonly members = new Map<string, Member>();
  readonly #view: View;
  /** What is under way, by 'from>to'; only while the session is up. */
  readonly #lines = new Map<string, Message[]>();
  nowMs = 1_000;
  /** Are there none that some client might still use? */
  numbersAreUsed = false;

  constructor(view: View, random: Random) {
    this.#view = view;
    this.random = random;
    for (const { id } of view.members) this.members.set(id, new Member(this, view, id, new MemoryDisk()));
    for (const a of view.members) for (const b of view.members) if (a.id < b.id) this.connect(a.id, b.id);
  }

  get names(): readonly string[] {
    return this.#view.members.map(({ id }) => id);
  }

  member(name: string): Member {
    return this.members.get(name) as Member;
  }

  incarnationOf(name: string): number {
    return this.member(name).store.incarnation;
  }

  isUp(a: string, b: string): boolean {
    return this.#lines.has(`${a}>${b}`);
  }

  send(from: string, to: string, message: Message): boolean {
    const line = this.#lines.get(`${from}>${to}`);
    line?.push(message);
    return line !== undefined;
  }

  connect(a: string, b: string): void {
    if (this.isUp(a, b)) return;
    this.#lines.set(`${a}>${b}`, []);
    this.#lines.set(`${b}>${a}`, []);
    this.member(a).met(this.member(b));
    this.member(b).met(this.member(a));
  }

  /** Breaks the session of two nodes; what is under way is lost. */
  disconnect(a: string, b: string): void {
    if (!this.#lines.delete(`${a}>${b}`) || !this.#lines.delete(`${b}>${a}`)) return;
    this.member(a).lost(b);
    this.member(b).lost(a);
  }

  /** Ends a node's life in the middle of anything, and begins the next one, which knows nobody yet. */
  crash(name: string): void {
    const disk = this.member(name).runtime.crash(this.random.float());
    for (const other of this.names) {
      if (!this.#lines.delete(`${name}>${other}`) || !this.#lines.delete(`${other}>${name}`)) continue;
      this.member(other).lost(name);
    }
    this.members.set(name, new Member(this, this.#view, name, disk));
  }

  /** Delivers the next message of some session. False if nothing is under way. */
  deliverOne(): boolean {
    const waiting = [...this.#lines].filter(([, line]) => line.length > 0);
    if (waiting.length === 0) return false;
    const [route, line] = this.random.pick(waiting);
    const [from, to] = route.split('>') as [string, string];
    this.member(to).receive(from, line.shift() as Message);
    return true;
  }

  /** Delivers all that is under way from one node to another, and lets that one's disk finish. */
  deliver(from: string, to: string): void {
    for (const message of this.#lines.get(`${from}>${to}`)?.splice(0) ?? []) this.member(to).receive(from, message);
    this.member(to).runtime.settle();
  }

  /** One thing that some disk or event loop has to do. */
  stepOne(): void {
    this.member(this.random.pick(this.names)).runtime.step();
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const member of this.members.values()) {
      member.runtime.leap(ms);
      member.tick();
    }
  }

  /** Everybody is connected, everything is delivered and written, time goes on. */
  calm(rounds: number): void {
    for (const a of this.names) for (const b of this.names) if (a !== b) this.connect(a, b);
    for (let i = 0; i < rounds; i++) {
      this.pass(25);
      for (let more = true; more; more = this.deliverOne()) for (const member of this.members.values()) member.runtime.settle();
    }
  }
}
