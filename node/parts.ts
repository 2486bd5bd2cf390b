/** The composition root: makes the parts of a node and connects them. */
import type { Session, SessionMessage } from '../client/wire/session.ts';
import type { Loopback } from './cluster/outbox.ts';
import { Peers } from './cluster/peers.ts';
import type { Topology } from './cluster/topology.ts';
import type { Healing, Timing } from './config.ts';
import { Audits } from './heal/audit.ts';
import { Collection } from './heal/collection.ts';
import { Doubt } from './heal/doubt.ts';
import { Exchange } from './heal/exchange.ts';
import type { ExchangeSizes } from './heal/exchange-messages.ts';
import { Founding } from './heal/founding.ts';
import { Pacer } from './heal/pacer.ts';
import { RecoveryPoints } from './heal/recovery-points.ts';
import { Scrub } from './heal/scrub.ts';
import { Vouching } from './heal/vouching.ts';
import type { Runtime } from './runtime/runtime.ts';
import { slotOf } from './store/hash.ts';
import type { Store } from './store/store.ts';
import { Acquaintance } from './txn/acquaintance.ts';
import { BlockedView } from './txn/blocked.ts';
import type { HybridClock } from './txn/clock.ts';
import type { Chronicle } from './txn/chronicle.ts';
import { ClientReads } from './txn/client-reads.ts';
import { Closing } from './txn/closing.ts';
import { Commits } from './txn/commits.ts';
import { Coordinator } from './txn/coordinator.ts';
import { Gate } from './txn/gate.ts';
import { Leading } from './txn/leading.ts';
import type { Ledger } from './txn/ledger.ts';
import { Orphans } from './txn/orphans.ts';
import { Participant } from './txn/participant.ts';
import { Reads } from './txn/reads.ts';
import { Recovery } from './txn/recovery.ts';
import { Resolver } from './txn/resolver.ts';
import { Settling } from './txn/settlement.ts';

export interface Core {
  readonly runtime: Runtime;
  readonly timing: Readonly<Timing>;
  readonly healing: Readonly<Healing>;
  readonly sizes?: ExchangeSizes;
  /** The commit protocol of transactions that name none. */
  readonly defaultProtocol: number;
  readonly topology: Topology;
  readonly clock: HybridClock;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly loopback: Loopback;
  readonly chronicle: Chronicle;
  /** A message of a peer, its shape checked. */
  readonly received: (from: string, session: Session, message: SessionMessage) => void;
  readonly peerUp: (node: string) => void;
  /** What clients are told of this node. */
  readonly status: () => unknown;
  /** A peer knows better who this node is: it has forgotten lives of its own. */
  readonly refused: (by: string | null, above: number, why: string) => void;
}

export interface Parts {
  readonly peers: Peers;
  readonly participant: Participant;
  readonly coordinator: Coordinator;
  readonly commits: Commits;
  readonly leading: Leading;
  readonly reads: Reads;
  readonly clientReads: ClientReads;
  readonly recovery: Recovery;
  readonly orphans: Orphans;
  readonly resolver: Resolver;
  readonly settling: Settling;
  readonly blocked: BlockedView;
  readonly closing: Closing;
  readonly pacer: Pacer;
  readonly exchange: Exchange;
  readonly doubt: Doubt;
  readonly vouching: Vouching;
  readonly collection: Collection;
  readonly scrub: Scrub;
  readonly recoveryPoints: RecoveryPoints;
  readonly audits: Audits;
  /** Compares with all peers now. */
  readonly hurry: () => void;
}

/** Precondition: the store is open. */
export function assemble({ runtime, timing, healing, sizes, defaultProtocol, topology, clock, store, ledger, loopback, chronicle, received, peerUp, refused, status }: Core): Parts {
  const { standing: { life }, incarnation } = store;
  const nowMs = () => runtime.clock.monotonicMs();
  const randomUint32 = () => runtime.randomUint32();
  const during = (work: () => void) => loopback.during(work);
  const defer = (action: () => void) => runtime.defer(action);
  const floorOf = (node: string) => ledger.lives.floorOf(node);
  const peers = new Peers({
    runtime, topology, loopback, life, openedAt: life.openedAt, heartbeatIntervalMs: timing.heartbeatIntervalMs, floorOf, received, refused,
    met: (node, theirs) => acquaintance.met(node, theirs),
    up: (node) => {
      settling.peerUp(node);
      coordinator.peerUp(node);
      recovery.peerUp(node);
      exchange.peerUp(node);
      doubt.peerUp(node);
      peerUp(node);
    },
    down: (node) => {
      // First, so that what the others let go of does not bring forth more of the same.
      commits.peerDown();
      coordinator.peerDown(node);
      reads.peerDown(node);
      gate.forget(node);
      founding.peerDown(node);
      doubt.peerDown(node);
      vouching.peerDown(node);
    },
  });
  const { floors } = ledger.lives;
  const gate = new Gate(topology.self, floors);
  const shared = { ...timing, topology, clock, store, ledger, chronicle, outbox: chronicle.listenTo(peers), nowMs, randomUint32, during, defer, gate, incarnation, log: runtime.log };
  const recovery = new Recovery({ ...shared, roundTimeoutMs: timing.recoveryDelayMs, isHeld: (id) => ledger.holds(id) });
  const coordinator = new Coordinator({
    ...shared,
    wakeAfter: (delayMs) => void runtime.after(delayMs, () => during(() => coordinator.tick())),
    rebirths: { count: () => floors.rebirthCount, has: (member) => floors.rebirths.has(member) },
    recover: (id, epoch, protocolNumber, partitions, onOutcome) => recovery.start({ id, epoch, protocolNumber, partitions }, 'its coordinator can not decide it', onOutcome),
  });
  const reads = new Reads({ ...shared, hedgeMs: timing.fastCommitWaitMs, repair: (member, entries) => exchange.repair(member, entries), outdone: (partition, key) => scrub.suspect(partition, store.tree.leafOf(slotOf(key))) });
  const blocked = new BlockedView({ ...shared, recovery });
  const leading = new Leading(shared);
  const commits = new Commits({ ...shared, coordinator, reads, leading, blocked, defaultProtocol });
  const pacer = new Pacer({ nowMs, after: (delayMs, action) => runtime.after(delayMs, () => during(action)), bytesPerSecondMax: healing.bytesPerSecondMax });
  const exchange = new Exchange({
    ...shared, pacer, intervalMs: timing.healIntervalMs, ...(sizes !== undefined && { sizes }), missedSince: clock.last,
    // Of a doubtful copy it proves nothing that a key is absent.
    collectedOf: (partition) => (store.doubts.isSure(partition) ? store.versions.tombstones.collected(partition) : 0),
    passed: (peer, partition, ordinal, collected) => {
      if (collection.passed(partition, collected)) doubt.passed(peer, partition, ordinal);
      else exchange.hurry(peer);
    },
    vanished: (partition, collected, keys) => collection.vanished(partition, collected, keys),
    missed: (partition, key) => collection.missed(partition, key),
    suspect: (partition, leaf) => scrub.suspect(partition, leaf),
  });
  const clientReads = new ClientReads({ ...shared, reads, blocked, isBehind: (partition) => exchange.isBehind(partition), askedMajority: (wasBehind) => exchange.askedMajority(wasBehind) });
  const collection = new Collection({ ...shared, intervalMs: timing.tombstoneCollectionIntervalMs });
  const scrub = new Scrub({ ...shared, intervalMs: healing.scrubIntervalMs });
  const vouching = new Vouching({ ...shared, nextNumber: () => commits.nextNumber });
  const doubt = new Doubt({ ...shared, hurry: (peer) => exchange.hurry(peer), doubted: (partition) => vouching.doubted(partition) });
  const orphans = new Orphans({ ...shared, recovery, isRunning: (number) => coordinator.isRunning(number) });
  const participant = new Participant({ ...shared, felt: (delayMs) => pacer.felt(delayMs) });
  const resolver = new Resolver({ ...shared, recovery, blocked });
  const settling = new Settling({
    ...shared, recovery, roundTimeoutMs: timing.recoveryDelayMs, wallMs: () => runtime.clock.wallMs(), fatal: (reason, details) => runtime.fatal(reason, details),
  });
  const founding = new Founding(shared);
  const closing = new Closing({ ...shared, heard: (from, position, lives) => acquaintance.heard(from, position, lives) });
  const acquaintance = new Acquaintance({
    ...shared, part: (node) => peers.part(node), tell: (nodes) => closing.tell(nodes), reborn: (node) => coordinator.peerUp(node), refused,
    known: (by, storeId, theirIncarnation) => founding.onKnown(by, storeId, theirIncarnation),
  });
  const hurry = () => topology.view.members.forEach(({ id }) => peers.isUp(id) && exchange.hurry(id));
  const audits = new Audits({ ...shared, pacer, after: (delayMs, action) => runtime.after(delayMs, action), hurry, status });
  const recoveryPoints = new RecoveryPoints({ ...shared, disk: runtime.disk, wallMs: () => runtime.clock.wallMs() });
  // What was turned away meanwhile, only the others can bring.
  store.intake.onRelief = () => during(hurry);
  return { peers, participant, coordinator, commits, leading, reads, clientReads, recovery, orphans, resolver, settling, blocked, closing, pacer, exchange, doubt, vouching, collection, scrub, recoveryPoints, audits, hurry };
}
