/**
 * Coordinators, participants and recoverers together, under random orders of delivery, lost sessions, torn writes and restarts.
 * Safety: everybody tells one outcome of a transaction, and commit timestamps are a serial order in which every read was
 * right. Liveness: when the faults end, everything is decided, unlocked and forgotten.
 */
import { describe, expect, it } from 'vitest';
import { ABORT, formatTxnId, UNDECIDED, type Decision, type Key, type TxnId, type Version } from '../../../client/wire/messages.ts';
import { commitProtocols } from '../../../client/wire/protocols.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Random } from '../../sim/random.ts';
import { bodyOf } from './bodies.ts';
import { Group } from './group.ts';
import { keysIn, viewOf } from './topologies.ts';

interface Txn {
  readonly id: TxnId;
  readonly reads: Readonly<Record<Key, Version>>;
  readonly writes: readonly Key[];
  readonly partitions: readonly number[];
  readonly told: Set<Decision>;
}

class Run {
  readonly random: Random;
  readonly group: Group;
  readonly topology: Topology;
  readonly keys: readonly Key[];
  readonly txns: Txn[] = [];
  /** One alone, or all of them at once. */
  readonly protocols: readonly number[];

  constructor(seed: number) {
    this.random = new Random(`schedule ${seed}`);
    const memberCount = this.random.pick([1, 3, 3, 3, 5]);
    const view = viewOf(memberCount, this.random.pick([1, 2, 3, 3, 3, 5].filter((factor) => factor <= memberCount)), 4);
    this.group = new Group(view, this.random.fork('network'));
    this.topology = new Topology(view, 'n1');
    const all = commitProtocols.map((_name, number) => number);
    this.protocols = this.random.chance(0.5) ? all : [this.random.pick(all)];
    this.keys = [0, 1, 2, 3].flatMap((partition) => keysIn(this.topology, partition, 1 + this.random.below(2)));
  }

  /** What a client asks for that touches these keys, read at some replica. */
  compose(chosen: readonly Key[]): { reads: Record<Key, Version>; writes: Key[]; bytes: Uint8Array } {
    const writes = chosen.filter(() => this.random.chance(0.6));
    const reads = Object.fromEntries(chosen.filter((key) => !writes.includes(key) || this.random.chance(0.6)).map((key) => {
      const replica = this.group.member(this.random.pick(this.topology.groupOf(this.topology.partitionOf(key)).members));
      return [key, replica.store.head(key)?.version ?? 0];
    }));
    const name = `t${this.txns.length}`;
    return { reads, writes, bytes: bodyOf(reads, Object.fromEntries(writes.map((key) => [key, name]))) };
  }

  start(): void {
    const { reads, writes, bytes } = this.compose(this.random.shuffled(this.keys).slice(0, 1 + this.random.below(3)));
    const coordinator = this.group.member(this.random.pick(this.group.names));
    const told = new Set<Decision>();
    const { partitions } = coordinator.ledger.parse(bytes);
    this.txns.push({ id: coordinator.start(bytes, this.random.pick(this.protocols), (decision) => told.add(decision)), reads, writes, partitions, told });
  }

  /** Several that have the same replicas and no key in common, as one. */
  startBatch(): void {
    const group = this.topology.groupOf(this.topology.partitionOf(this.random.pick(this.keys)));
    const keys = this.random.shuffled(this.keys.filter((key) => this.topology.groupOf(this.topology.partitionOf(key)) === group));
    const parts = [];
    while (keys.length > 0) parts.push(this.compose(keys.splice(0, 1 + this.random.below(2))));
    const coordinator = this.group.member(this.random.pick(this.group.names));
    const txns = parts.map(({ reads, writes, bytes }) => ({ reads, writes, partitions: coordinator.ledger.parse(bytes).partitions, told: new Set<Decision>() }));
    const ids = coordinator.startBatch(parts.map(({ bytes }) => bytes), this.random.pick(this.protocols), (decision) => txns.forEach(({ told }) => told.add(decision)));
    txns.forEach((txn, i) => this.txns.push({ ...txn, id: ids[i] as TxnId }));
  }

  /** A client asks any node what became of its transaction. Some clients are wrong about what it touches. */
  ask(txn: Txn): void {
    const partitions = this.random.chance(0.7) ? txn.partitions : [this.random.below(this.topology.view.partitions)];
    this.group.member(this.random.pick(this.group.names)).recover(txn.id, partitions, (decision) => txn.told.add(decision));
  }

  askForAll(): void {
    for (const txn of this.txns) this.ask(txn);
    this.group.calm(20);
  }

  step(faults: boolean): void {
    const { group, random } = this;
    const actions: [weight: number, action: () => void][] = [
      [60, () => void group.deliverOne()],
      [60, () => group.stepOne()],
      [6, () => group.pass(1 + random.below(60))],
      [5, () => this.start()],
      [3, () => this.startBatch()],
      [faults ? 1 : 0, () => group.crash(random.pick(group.names))],
      [faults ? 1 : 0, () => group.disconnect(random.pick(group.names), random.pick(group.names))],
      [4, () => this.connectSome()],
      [2, () => this.txns.length > 0 && this.ask(random.pick(this.txns))],
    ];
    let at = random.below(actions.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, action] of actions) {
      if (at < weight) return action();
      at -= weight;
    }
  }

  connectSome(): void {
    const [a, b] = this.random.shuffled(this.group.names);
    if (a !== undefined && b !== undefined) this.group.connect(a, b);
  }

  outcomeOf({ id, told }: Txn): Decision {
    expect([...told], `outcomes told of ${formatTxnId(id)}`).toHaveLength(1);
    return [...told][0] as Decision;
  }

  /** In the order of commit timestamps, every transaction read the newest version of each key. */
  checkSerialOrder(): void {
    const committed = this.txns.map((txn) => ({ ...txn, at: this.outcomeOf(txn) })).filter(({ at }) => at !== ABORT).sort((a, b) => a.at - b.at);
    const newest = new Map<Key, Version>();
    for (let first = 0; first < committed.length;) {
      const together = committed.filter(({ at }) => at === committed[first]?.at);
      for (const { id, reads } of together) {
        for (const [key, version] of Object.entries(reads)) expect(version, `${formatTxnId(id)} read ${key}`).toBe(newest.get(key) ?? 0);
      }
      for (const { id, at, writes } of together) {
        for (const key of writes) {
          expect(newest.get(key), `${formatTxnId(id)} and another wrote ${key} at one timestamp`).not.toBe(at);
          newest.set(key, at);
        }
      }
      first += together.length;
    }
    this.#checkData(newest);
  }

  /** Every key's newest version is on a majority of its replicas, and no replica has one that was not committed. */
  #checkData(newest: ReadonlyMap<Key, Version>): void {
    const committed = new Set(this.txns.flatMap(({ told, writes }) => writes.flatMap((key) => [...told].map((at) => `${key}@${at}`))));
    for (const key of this.keys) {
      const { members, majority } = this.topology.groupOf(this.topology.partitionOf(key));
      const versions = members.map((name) => this.group.member(name).store.head(key)?.version ?? 0);
      for (const version of versions) if (version > 0) expect(committed.has(`${key}@${version}`), `${key}@${version}`).toBe(true);
      expect(versions.filter((version) => version === (newest.get(key) ?? 0)).length, `replicas of ${key} that are current`).toBeGreaterThanOrEqual(majority);
    }
  }

  checkAtRest(): void {
    for (const [name, { ledger, coordinator, recovery }] of this.group.members) {
      expect({ name, undecided: ledger.undecided.size, locks: ledger.locks.size, running: coordinator.runningCount, recoveries: recovery.activeCount, records: ledger.recordCount })
        .toEqual({ name, undecided: 0, locks: 0, running: 0, recoveries: 0, records: 0 });
    }
  }
}

describe('commit under random schedules', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))('is atomic, durable and serial, and comes to rest (seed %i)', (seed) => {
    const run = new Run(seed);
    for (let i = 0; i < 600; i++) run.step(i < 500);
    run.group.calm(60);
    run.askForAll();
    run.group.numbersAreUsed = true;
    run.group.calm(20);
    run.checkAtRest();
    run.askForAll();
    expect(run.txns.flatMap(({ told }) => [...told]).filter((decision) => decision === UNDECIDED)).toEqual([]);
    run.checkSerialOrder();
  });
});
