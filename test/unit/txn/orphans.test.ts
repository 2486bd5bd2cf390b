import { describe, expect, it } from 'vitest';
import { ABORT, type Key } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind } from '../../../node/store/records.ts';
import { Orphans } from '../../../node/txn/orphans.ts';
import { Recovery } from '../../../node/txn/recovery.ts';
import { bodyOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const recoveryDelayMs = 1_000;
const orphanRecoveryDelayMs = 100;
const incarnation = 5;

class Bench {
  readonly replica: Replica;
  readonly recovery: Recovery;
  readonly orphans: Orphans;
  /** Own transactions in the coordinator's hands. */
  readonly running = new Set<number>();
  random = 1;

  constructor(self: string) {
    const topology = new Topology(viewOf(4), self);
    this.replica = Replica.open(topology);
    const { ledger, outbox, runtime } = this.replica;
    const shared = { topology, ledger, outbox, nowMs: () => runtime.clock.monotonicMs(), randomUint32: () => this.random, log: runtime.log };
    this.recovery = new Recovery({ ...shared, roundTimeoutMs: 1_000, isHeld: (id) => ledger.find(id)?.state === 'prepared' });
    this.orphans = new Orphans({ ...shared, recovery: this.recovery, incarnation, isRunning: (number) => this.running.has(number), recoveryDelayMs, orphanRecoveryDelayMs });
  }

  /** Holds a lock in the partition for a transaction of this name. */
  prepare(partition: number, node: string, life: number, number = 1): void {
    const [key] = keysIn(this.replica.topology, partition, 1) as [Key];
    this.replica.ledger.enter([Kind.prepared, node, life, number, 7, 0, 50, bodyOf({}, { [key]: 'x' })]);
  }

  /** How long it takes until the transaction is recovered, in steps of 10 ms; null if it never is. */
  delay(): number | null {
    for (let ms = 0; ms <= 5_000; ms += 10) {
      this.orphans.tick();
      if (this.recovery.activeCount > 0) return ms;
      this.replica.runtime.advance(10);
    }
    return null;
  }
}

/** A partition of n1, n2 and n3, so that n4 may coordinate without being a replica. */
const home = partitionWhere(new Topology(viewOf(4), 'n1'), (members) => members.join() === 'n1,n2,n3');

describe('locks that nobody seems to release', () => {
  it.each([['n1', 100], ['n2', 200], ['n3', 300]] as const)('of a coordinator that is gone are recovered by %s after %i ms: the replicas take turns', (self, expected) => {
    const bench = new Bench(self);
    bench.replica.outbox.down.add('n4');
    bench.prepare(home, 'n4', 1);
    expect(bench.delay()).toBe(expected);
  });

  it.each([['n1', 1_000], ['n2', 1_500], ['n3', 2_000]] as const)('of a coordinator that is there are left to it, by %s for %i ms', (self, expected) => {
    const bench = new Bench(self);
    bench.prepare(home, 'n4', 1);
    expect(bench.delay()).toBe(expected);
  });

  it('of a coordinator’s former life are orphaned, though it is there', () => {
    const bench = new Bench('n1');
    bench.replica.ledger.enterDurably([Kind.floor, 'n4', 'disk', 2]);
    bench.prepare(home, 'n4', 1);
    expect(bench.delay()).toBe(100);
  });

  it('are recovered sooner by a replica whose predecessors are away', () => {
    const bench = new Bench('n3');
    bench.replica.outbox.down.add('n4').add('n1').add('n2');
    bench.prepare(home, 'n4', 1);
    expect(bench.delay()).toBe(100);
  });

  it('of an own transaction are the coordinator’s business while it runs, and no longer', () => {
    const bench = new Bench('n1');
    bench.prepare(home, 'n1', incarnation, 3);
    bench.running.add(3);
    expect(bench.delay()).toBe(null);
    bench.running.clear();
    expect(bench.delay()).toBe(0);
  });

  it('of an own former life are orphaned', () => {
    const bench = new Bench('n1');
    bench.prepare(home, 'n1', incarnation - 1, 3);
    bench.running.add(3);
    expect(bench.delay()).toBe(100);
  });

  it('are recovered though a client asks for them in a group that is not theirs, and away', () => {
    const bench = new Bench('n1');
    const { replica: { topology, outbox }, recovery } = bench;
    const wrong = partitionWhere(topology, (members) => !members.includes('n1'));
    outbox.down.add('n4').add('n2');
    bench.prepare(home, 'n4', 1);
    recovery.start({ id: { node: 'n4', incarnation: 1, number: 1 }, epoch: 7, protocolNumber: null, partitions: [wrong] }, 'a client asks');
    outbox.take();
    bench.replica.runtime.advance(200);
    bench.orphans.tick();
    expect(outbox.takeNames()).toEqual(['recover>n1', 'recover>n3']);
    bench.orphans.tick();
    expect(outbox.takeNames()).toEqual([]);
  });

  it('are looked at again when chance was against it, and left alone when they are being recovered or decided', () => {
    const bench = new Bench('n1');
    bench.replica.outbox.down.add('n4');
    bench.prepare(home, 'n4', 1);
    bench.random = 2;
    expect(bench.delay()).toBe(null);
    bench.random = 1;
    expect(bench.delay()).toBe(0);
    bench.orphans.tick();
    expect(bench.recovery.counters.started).toBe(1);
    const decided = new Bench('n1');
    decided.prepare(home, 'n4', 1);
    decided.replica.ledger.enter([Kind.outcome, 'n4', 1, 1, ABORT, null]);
    expect(decided.delay()).toBe(null);
  });
});
