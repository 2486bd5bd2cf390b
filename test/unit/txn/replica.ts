/** One replica on a disk in memory: store, ledger and participant, with an outbox that is read by the test. */
import type { Key, Message, TxnId } from '../../../client/wire/messages.ts';
import { Loopback } from '../../../node/cluster/outbox.ts';
import type { Topology } from '../../../node/cluster/topology.ts';
import { Store, type StoreOptions } from '../../../node/store/store.ts';
import { HybridClock } from '../../../node/txn/clock.ts';
import { Ledger } from '../../../node/txn/ledger.ts';
import { Participant } from '../../../node/txn/participant.ts';
import { MemoryDisk, MemoryRuntime } from '../store/memory-runtime.ts';
import { ScriptedOutbox } from './scripted-outbox.ts';

/** Journal files of one page, so that a few records fill one and every checkpoint has something to carry. */
export const smallStore: StoreOptions = {
  journalSegmentBytes: 4_096,
  journalBlockBytesMax: 1_024,
  overlayBytesMax: 1_000_000,
  journalBytesMax: 100_000_000,
  checkpointIntervalMs: 1_000,
  checkpointSliceKeys: 5,
  headCacheEntries: 20,
};

export const retentionMs = 150_000;

export class Replica {
  readonly topology: Topology;
  readonly runtime: MemoryRuntime;
  readonly clock: HybridClock;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly outbox = new ScriptedOutbox();
  /** What this node says to itself goes to its outbox like the rest. */
  readonly loopback = new Loopback(() => {});
  readonly participant: Participant;

  private constructor(topology: Topology, disk: MemoryDisk, options: Partial<StoreOptions>) {
    const runtime = new MemoryRuntime(disk);
    const clock = new HybridClock(runtime.clock);
    const { view, self } = topology;
    const identity = { cluster: view.cluster, node: self, partitions: view.partitions, placement: 'as the test has it' };
    const store = new Store(runtime, { ...smallStore, ...options }, identity, topology.partitionOf);
    runtime.idle = () => store.flush();
    const ledger = new Ledger({ topology, store, clock, nowMs: () => runtime.clock.monotonicMs(), outcomeRetentionMs: retentionMs });
    this.topology = topology;
    this.runtime = runtime;
    this.clock = clock;
    this.store = store;
    this.ledger = ledger;
    this.participant = new Participant({ topology, store, ledger, clock, outbox: this.outbox, during: (work) => this.loopback.during(work), defer: (action) => runtime.defer(action) });
  }

  static open(topology: Topology, disk = new MemoryDisk(), options: Partial<StoreOptions> = {}): Replica {
    const replica = new Replica(topology, disk, options);
    let outcome: Error | 'ready' | null = null;
    replica.store.open(replica.ledger, (suffix, value) => replica.ledger.restore(suffix, value), (error) => (outcome = error ?? 'ready'));
    replica.runtime.settle();
    if (outcome !== 'ready') throw outcome ?? new Error('the store never got ready');
    if (replica.store.standing.isUnfounded) replica.store.standing.found();
    replica.runtime.settle();
    return replica;
  }

  /** Ends this life, with `share` of the journal write under way on the disk, and begins the next one. */
  crash(share: number, options: Partial<StoreOptions> = {}): Replica {
    return Replica.open(this.topology, this.runtime.crash(share), options);
  }

  /** Handles what the test does as an entrance from outside, and gives what was said before anything reached the disk. */
  enter(work: (participant: Participant) => void): (readonly [to: string, message: Message])[] {
    this.loopback.during(() => work(this.participant));
    return this.outbox.take();
  }

  /** Lets the disk finish, and gives what was said thereupon. */
  settle(): (readonly [to: string, message: Message])[] {
    this.runtime.settle();
    return this.outbox.take();
  }

  text(key: Key): string | null | undefined {
    const entry = this.store.entry(key);
    return entry?.value == null ? entry?.value : Buffer.from(entry.value).toString();
  }

  holder(key: Key, exclusive: boolean): TxnId | null {
    return this.ledger.locks.holderOf(key, exclusive)?.id ?? null;
  }
}
