/**
 * A node: its parts, and which part each message is for. Nothing is decided here.
 *
 * Every entrance from outside (a message, a timer, a session that opens or ends, a finished write) runs inside
 * `loopback.during`, so that what a part says to its own node is handled when that part is done.
 */
import { DtpError } from '../client/wire/errors.ts';
import { limits } from '../client/wire/limits.ts';
import { ABORT, formatTxnId, Tag, type Hello, type Message, type MessageOf } from '../client/wire/messages.ts';
import { protocolNumber } from '../client/wire/protocols.ts';
import { refusal, Session, sessionDefaults, type SessionEnd, type SessionMessage } from '../client/wire/session.ts';
import type { Timer } from '../client/wire/environment.ts';
import { Loopback } from './cluster/outbox.ts';
import { placementInWords, Topology } from './cluster/topology.ts';
import type { ClusterConfig } from './config.ts';
import { assemble, type Parts } from './parts.ts';
import type { Listener, Runtime } from './runtime/runtime.ts';
import { Kind } from './store/records.ts';
import { Store } from './store/store.ts';
import { bodyOf, parseBody } from './txn/body.ts';
import { Chronicle } from './txn/chronicle.ts';
import { HybridClock } from './txn/clock.ts';
import { Ledger } from './txn/ledger.ts';

/** Marks are told this often; more often frees memory sooner and costs a little more journal. */
const marksIntervalMs = 100;
const closingIntervalMs = 1_000;
/** Nothing that a node does takes so long; and peers may take longer to notice. */
const standstillMsMin = 750;

type PeerHandlers = { readonly [K in Tag]?: (from: string, message: MessageOf<K>, incarnation: number) => void };
type ClientHandlers = { readonly [K in Tag]?: (client: Session, message: MessageOf<K>) => void };

export class Node {
  readonly #runtime: Runtime;
  readonly #config: ClusterConfig;
  readonly #topology: Topology;
  readonly #clock: HybridClock;
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #loopback: Loopback;
  readonly #chronicle: Chronicle;
  readonly #clients = new Set<Session>();
  readonly #startedAtMs: number;
  /** Called when the node has stopped because its disk has forgotten what others know of it. Another node on the same disk goes on in its place. */
  onLost: () => void = () => {};
  #parts: Parts | null = null;
  #listener: Listener | null = null;
  #timer: Timer | null = null;
  #stopping = false;
  #ticks = 0;
  #tickedAtMs = 0;
  /** What was last told of our transactions; told again when it changes, or when somebody may have missed it. */
  #lastMarks = '';

  constructor(runtime: Runtime, config: ClusterConfig, id: string) {
    this.#runtime = runtime;
    this.#config = config;
    this.#startedAtMs = this.#nowMs();
    this.#topology = new Topology(config.view, id);
    this.#clock = new HybridClock(runtime.clock);
    this.#store = new Store(runtime, { ...config.store, digestDepth: config.sizes?.digestDepth }, { cluster: config.view.cluster, node: id, partitions: config.view.partitions, placement: placementInWords(config.view) }, this.#topology.partitionOf);
    this.#ledger = new Ledger({ topology: this.#topology, store: this.#store, clock: this.#clock, nowMs: this.#nowMs, outcomeRetentionMs: config.timing.outcomeRetentionMs });
    this.#chronicle = new Chronicle(id, runtime.clock);
    this.#loopback = new Loopback((message) => this.#handle(id, this.#store.incarnation, message));
  }

  /** Opens the store, then listens. Throws StoreError if the data directory is not this node's or is damaged. */
  start(ready: (error?: Error) => void): void {
    this.#store.open(this.#ledger, (suffix, value) => this.#ledger.restore(suffix, value), (error) => {
      if (error !== undefined) return ready(error);
      this.#loopback.during(() => this.#begin(ready));
    });
  }

  /** Takes leave of everybody, writes what there is, and closes the disk. */
  stop(done: () => void): void {
    this.#stopping = true;
    this.#timer?.cancel();
    this.#listener?.close();
    for (const client of this.#clients) client.close('the node stops');
    this.#parts?.peers.stop();
    this.#runtime.log.info({}, 'stopping');
    // What was sent leaves at the end of this turn.
    this.#runtime.defer(() => this.#store.close(done));
  }

  /** Others know a life of this node that it does not remember: it falls silent, and begins anew as what it is. */
  #lose(by: string | null, above: number, why: string): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#runtime.log.error({ by, above, why }, 'this node has forgotten what it did: it begins anew');
    this.#store.standing.lose({ above, why: 'its disk was lost, or is an older one' }, () => this.stop(() => this.onLost()));
  }

  /** What `dtp status` shows. */
  get status(): Record<string, unknown> {
    const { coordinator, participant, commits, leading, recovery, blocked, peers, exchange, collection, scrub, reads } = this.#parts as Parts;
    return {
      id: this.#topology.self,
      incarnation: this.#store.incarnation,
      epoch: this.#topology.epoch,
      /** Its disk is not a new one any more, of which the others have still to say that nothing was there before. */
      founded: !this.#store.standing.isUnfounded,
      uptimeMs: Math.round(this.#nowMs() - this.#startedAtMs),
      partitions: { total: this.#topology.view.partitions, ...this.#topology.partitionCounts },
      transactions: {
        inFlight: commits.attemptCount,
        inDoubt: coordinator.inDoubtCount + recovery.activeCount,
        locks: this.#ledger.locks.size,
        records: this.#ledger.recordCount,
        undecided: this.#ledger.undecided.size,
        unacknowledged: coordinator.runningCount - coordinator.undecidedCount,
        reads: reads.pendingCount,
        ...coordinator.counters,
        ...participant.counters,
        recoveries: { ...recovery.counters },
        commits: { ...commits.counters, ...commits.batches, ...leading.counters },
        blocked: blocked.status,
        settlements: this.#settlements,
      },
      /** Partitions for which this node does not speak before it has heard from the others what it may have forgotten; null for none. */
      doubtful: this.#store.doubts.status,
      clients: this.#clients.size,
      peers: peers.status,
      ...peers.counters,
      messages: peers.sent,
      lag: { ...exchange.lag, ...exchange.counters, peers: exchange.agreements },
      tombstones: { kept: this.#store.versions.tombstones.keptTotal, collected: collection.counters.tombstonesCollected, rounds: collection.counters.rounds },
      scrub: { ...scrub.counters },
      /** Equal on nodes that replicate the same partitions and hold the same versions. */
      digest: Buffer.from(this.#store.digest()).toString('hex'),
      store: this.#store.stats,
      disk: { ...this.#store.trouble.status, refusal: this.#store.intake.refusal },
    };
  }

  /** This node's digest of each partition it keeps, for comparing replicas. */
  digests(): Map<number, string> {
    const digests = new Map<number, string>();
    for (let partition = 0; partition < this.#topology.view.partitions; partition++) {
      if (this.#topology.isMine(partition)) digests.set(partition, Buffer.from(this.#store.root(partition)).toString('hex'));
    }
    return digests;
  }

  readonly #nowMs = (): number => this.#runtime.clock.monotonicMs();

  #begin(ready: (error?: Error) => void): void {
    const { replayedRecords, replayedBytes, replayMs } = this.#store.stats;
    this.#runtime.log.info({ storeId: this.#store.storeId, incarnation: this.#store.incarnation, replayedRecords, replayedBytes, replayMs: Math.round(replayMs), undecided: this.#ledger.undecided.size }, 'store open');
    const { storeId, incarnation, rebornAt, nonce } = this.#store.standing.life;
    this.#ledger.enterDurably([Kind.floor, this.#topology.self, storeId, incarnation, rebornAt, nonce]);
    this.#parts = assemble({
      runtime: this.#runtime, timing: this.#config.timing, healing: this.#config.healing, ...(this.#config.sizes !== undefined && { sizes: this.#config.sizes }), defaultProtocol: protocolNumber(this.#config.protocol), topology: this.#topology, clock: this.#clock, store: this.#store, ledger: this.#ledger, loopback: this.#loopback, chronicle: this.#chronicle,
      received: (from, session, message) => this.#receive(from, session, message),
      peerUp: () => (this.#lastMarks = ''),
      status: () => this.status,
      refused: (by, above, why) => this.#lose(by, above, why),
    });
    const { url } = this.#topology.view.members.find(({ id }) => id === this.#topology.self) ?? { url: '' };
    this.#listener = this.#runtime.listen(url, (connection) => this.#accept(connection), (error) => {
      if (error !== undefined) return ready(error);
      this.#loopback.during(() => (this.#parts as Parts).peers.start());
      this.#tick();
      this.#runtime.log.info({ url, epoch: this.#topology.epoch, ...this.#topology.partitionCounts }, 'ready');
      ready();
    });
  }

  readonly #fromPeers: PeerHandlers = {
    [Tag.prepare]: (from, message) => this.#part.participant.onPrepare(from, message),
    [Tag.vote]: (from, message) => this.#part.coordinator.onVote(from, message),
    [Tag.accept]: (from, message) => {
      if (!this.#part.settling.isAgainst(from, message)) this.#part.participant.onAccept(from, message);
    },
    [Tag.accepted]: (from, message) => this.#decidersOf(message[4]).forEach((part) => part.onAccepted(from, message)),
    [Tag.recover]: (from, message) => this.#part.participant.onRecover(from, message),
    [Tag.promise]: (from, message) => {
      this.#part.recovery.onPromise(from, message);
      this.#part.settling.onPromise(from, message);
    },
    [Tag.rejected]: (_from, message) => this.#decidersOf(message[4]).forEach((part) => part.onRejected(message)),
    [Tag.decide]: (from, message) => {
      if (this.#part.settling.isAgainst(from, message)) return;
      this.#part.participant.onDecide(from, message);
      this.#part.coordinator.onDecide(message);
      this.#part.recovery.onDecide(message);
      this.#part.settling.onDecide(message);
    },
    [Tag.decided]: (from, message) => this.#part.coordinator.onDecided(from, message),
    [Tag.finished]: (from, message) => {
      this.#part.recovery.onFinished(from, message);
      this.#part.settling.onFinished(from, message);
    },
    [Tag.batched]: (_from, message) => this.#part.recovery.onBatched(message),
    [Tag.marks]: (from, message, incarnation) => this.#part.participant.onMarks(from, incarnation, message),
    [Tag.claims]: (from, message) => this.#part.closing.onClaims(from, message),
    [Tag.settled]: (_from, message) => this.#part.settling.onSettled(message),
    [Tag.vouch]: (from, message) => this.#part.vouching.onVouch(from, message),
    [Tag.fenced]: (from, message) => this.#part.doubt.onFenced(from, message),
    [Tag.drained]: (from, message) => this.#part.doubt.onDrained(from, message),
    [Tag.attest]: (from, message) => this.#part.vouching.onAttest(from, message),
    [Tag.attested]: (from, message) => this.#part.doubt.onAttested(from, message),
    [Tag.forgot]: (from, message) => this.#part.recovery.onForgot(from, message),
    [Tag.peek]: (from, message) => this.#part.reads.onPeek(from, message),
    [Tag.peeked]: (from, message) => this.#part.reads.onPeeked(from, message),
    [Tag.confirm]: (from, message) => this.#part.reads.onConfirm(from, message),
    [Tag.confirmed]: (from, message) => this.#part.reads.onConfirmed(from, message),
    [Tag.declined]: (from, message) => this.#part.reads.onDeclined(from, message),
    [Tag.blocks]: (from, message) => this.#part.exchange.onQuestion(from, message),
    [Tag.roots]: (from, message) => this.#part.exchange.onAnswer(from, message),
    [Tag.compare]: (from, message) => this.#part.exchange.onQuestion(from, message),
    [Tag.differ]: (from, message) => this.#part.exchange.onAnswer(from, message),
    [Tag.descend]: (from, message) => this.#part.exchange.onQuestion(from, message),
    [Tag.children]: (from, message) => this.#part.exchange.onAnswer(from, message),
    [Tag.list]: (from, message) => this.#part.exchange.onQuestion(from, message),
    [Tag.listed]: (from, message) => this.#part.exchange.onAnswer(from, message),
    [Tag.pull]: (from, message) => this.#part.exchange.onQuestion(from, message),
    [Tag.pulled]: (from, message) => this.#part.exchange.onAnswer(from, message),
    [Tag.repair]: (from, message) => this.#part.exchange.onRepair(from, message),
    [Tag.cut]: (from, message) => this.#part.collection.onCut(from, message),
    [Tag.bar]: (from, message) => this.#part.collection.onBar(from, message),
    [Tag.barred]: (from, message) => this.#part.collection.onBarred(from, message),
    [Tag.collect]: (from, message) => this.#part.collection.onCollect(from, message),
    [Tag.lead]: (_from, message) => this.#part.leading.onLead(message),
  };

  readonly #fromClients: ClientHandlers = {
    [Tag.get]: (client, message) => this.#part.clientReads.onGet(client, message),
    [Tag.read]: (client, message) => this.#part.clientReads.onRead(client, message),
    [Tag.commit]: (client, message) => this.#part.commits.onCommit(client, message),
    [Tag.giveUp]: (client, [, lease]) => this.#part.commits.onGiveUp(client, lease),
    [Tag.resolve]: (client, message) => this.#part.resolver.onResolve(client, message),
    [Tag.settle]: (client, message) => this.#part.settling.onSettle(client, message),
    [Tag.status]: (client, [, request]) => client.send([Tag.statusIs, request, this.status]),
    [Tag.explain]: (client, [, request, node, incarnation, number]) => client.send([Tag.explained, request, this.#chronicle.of({ node, incarnation, number })]),
    [Tag.audit]: (client, message) => this.#part.audits.onAudit(client, message),
    [Tag.auditKeys]: (client, message) => this.#part.audits.onAuditKeys(client, message),
    [Tag.heal]: (client, message) => this.#part.audits.onHeal(client, message),
    [Tag.keepPoint]: (client, message) => this.#part.recoveryPoints.onKeep(client, message),
    [Tag.removePoint]: (client, message) => this.#part.recoveryPoints.onRemove(client, message),
    [Tag.listPoints]: (client, message) => this.#part.recoveryPoints.onList(client, message),
    [Tag.recent]: (client, [, request, count]) => client.send([Tag.explained, request, this.#chronicle.recent(Math.min(count, limits.recentTransactionsMax))]),
  };

  /** Round 0 is the coordinator's. */
  #decidersOf(round: number): readonly Pick<Parts['recovery'], 'onAccepted' | 'onRejected'>[] {
    return round === 0 ? [this.#part.coordinator] : [this.#part.recovery, this.#part.settling];
  }

  /** What operators decided, the newest first. */
  get #settlements(): object[] {
    return [...this.#ledger.settlements].reverse().map(({ id, decision, atMs, node }) => ({ transaction: formatTxnId(id), outcome: decision === ABORT ? 'aborted' : 'committed', version: decision, at: atMs, node }));
  }

  get #part(): Parts {
    return this.#parts as Parts;
  }

  #accept(connection: Parameters<typeof Session.accept>[1]): void {
    const options = { ...sessionDefaults, heartbeatIntervalMs: this.#config.timing.heartbeatIntervalMs };
    const judge = (hello: Hello) => (this.#stopping ? refusal('not-ready', 'the node stops') : this.#part.peers.judge(hello));
    Session.accept(this.#runtime, connection, judge, options, {
      opened: (session) => this.#loopback.during(() => {
        if (session.peer.role === 'node') return this.#part.peers.opened(session);
        this.#clients.add(session);
        this.#part.commits.clientOpened(session);
      }),
      received: (session, message) => this.#loopback.during(() => this.#receive(session.peer.nodeId, session, message)),
      closed: (session, end) => this.#loopback.during(() => this.#closed(session, end)),
    });
  }

  #closed(session: Session, end: SessionEnd): void {
    if (end.code !== null && end.code !== 'unreachable') this.#runtime.log.warn({ peer: session.wasOpen ? session.peer.nodeId : null, code: end.code, why: end.message }, 'session refused');
    if (!session.wasOpen) return this.#parts?.peers.ended(null, end);
    if (session.peer.role === 'node') return this.#part.peers.closed(session, end);
    this.#clients.delete(session);
    this.#part.commits.clientClosed(session);
  }

  /** The door for what is inside a message's bytes; its shape was checked when it was decoded. `from` is null for a client. */
  #receive(from: string | null, session: Session, message: SessionMessage): void {
    if (this.#stopping) return;
    const fault = this.#bodyFault(message) ?? (handles(from === null ? this.#fromClients : this.#fromPeers, message) ? null : `message ${message[0]} is not for a node to hear from a ${session.peer.role}`);
    if (fault !== null) {
      this.#runtime.log.warn({ peer: from, why: fault }, 'message refused');
      session.refuse('bad-message', fault);
    } else if (from === null) {
      (this.#fromClients[message[0]] as (client: Session, message: Message) => void)(session, message);
    } else {
      this.#handle(from, session.peer.incarnation, message);
    }
  }

  #handle(from: string, incarnation: number, message: Message): void {
    this.#chronicle.heard(from, message);
    (this.#fromPeers[message[0]] as (from: string, message: Message, incarnation: number) => void)(from, message, incarnation);
  }

  #bodyFault(message: SessionMessage): string | null {
    const body = bodyOf(message);
    if (body === null) return null;
    try {
      const { partitions, others } = parseBody(body, this.#topology.partitionOf);
      if (others.length > 0 && message[0] === Tag.commit) return 'a batch from a client';
      return partitions.length === 0 && message[0] !== Tag.commit ? 'a transaction that touches nothing' : null;
    } catch (error) {
      if (error instanceof DtpError) return error.message;
      throw error;
    }
  }

  #tick(): void {
    const { tickIntervalMs } = this.#config.timing;
    this.#timer = this.#runtime.after(tickIntervalMs, () => this.#tick());
    this.#loopback.during(() => {
      this.#noticeStandstill();
      for (const part of [this.#part.coordinator, this.#part.recovery, this.#part.orphans, this.#part.reads, this.#part.commits, this.#part.resolver, this.#part.settling, this.#part.vouching, this.#part.doubt, this.#part.pacer, this.#part.exchange, this.#part.collection, this.#part.scrub]) part.tick();
      this.#store.flush();
      this.#ticks++;
      if (this.#ticks % Math.ceil(marksIntervalMs / tickIntervalMs) === 0) this.#tellMarks();
      if (this.#ticks % Math.ceil(closingIntervalMs / tickIntervalMs) === 0 && this.#store.intake.refusal === null) this.#part.closing.tick();
    });
  }

  /** The process, or its machine, had stopped: nobody may have noticed, and what was said meanwhile may be lost. */
  #noticeStandstill(): void {
    const standstillMs = this.#nowMs() - this.#tickedAtMs;
    this.#tickedAtMs += standstillMs;
    if (standstillMs < standstillMsMin || this.#ticks === 0) return;
    this.#runtime.log.warn({ standstillMs: Math.round(standstillMs) }, 'this node stood still');
    this.#part.hurry();
  }

  #tellMarks(): void {
    const { coordinator, commits, peers } = this.#part;
    const marks = coordinator.marks(commits.lowestPending);
    const text = marks.join();
    if (text === this.#lastMarks) return;
    this.#lastMarks = text;
    for (const { id } of this.#topology.view.members) peers.send(id, marks);
  }
}

function handles(handlers: PeerHandlers | ClientHandlers, message: Message): boolean {
  return handlers[message[0]] !== undefined;
}
