/** Rounds of collection between three replicas, message by message. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Tag, tagNames, type Key, type Message, type TxnId, type Version } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Collection } from '../../../node/heal/collection.ts';
import { Kind } from '../../../node/store/records.ts';
import { bodyOf, valueOf } from '../txn/bodies.ts';
import { Replica } from '../txn/replica.ts';
import { keysIn, partitionWhere, viewOf } from '../txn/topologies.ts';

const intervalMs = 10_000;
const view = viewOf(3);
const ids = ['n1', 'n2', 'n3'] as const;
type Id = (typeof ids)[number];

interface Side {
  replica: Replica;
  collection: Collection;
}

class Trio {
  readonly sides = new Map<Id, Side>();
  nowMs = 0;
  /** Messages that are lost on their way. */
  loses: (from: Id, to: Id, message: Message) => boolean = () => false;

  constructor() {
    for (const id of ids) this.sides.set(id, this.side(Replica.open(new Topology(view, id))));
  }

  side(replica: Replica): Side {
    const { topology, store, ledger, clock, outbox, loopback } = replica;
    const collection = new Collection({ topology, store, ledger, clock, outbox, log: replica.runtime.log, nowMs: () => this.nowMs, during: (work) => loopback.during(work), intervalMs });
    return { replica, collection };
  }

  at(id: Id): Side {
    return this.sides.get(id) as Side;
  }

  store(id: Id): Replica['store'] {
    return this.at(id).replica.store;
  }

  restart(id: Id): void {
    this.sides.set(id, this.side(this.at(id).replica.crash(0)));
  }

  write(on: readonly Id[], key: Key, version: Version, value: string | null): void {
    for (const id of on) {
      const { store, topology } = this.at(id).replica;
      store.install(topology.partitionOf(key), key, version, value === null ? null : valueOf(value));
    }
  }

  /** Delivers all that is under way, and lets disks finish. */
  deliver(): void {
    for (let busy = true; busy;) {
      busy = false;
      for (const [from, { replica }] of this.sides) {
        for (const [to, message] of replica.settle()) {
          busy = true;
          if (!this.loses(from, to as Id, message)) this.receive(to as Id, from, message);
        }
      }
    }
  }

  receive(at: Id, from: Id, message: Message): void {
    const { collection } = this.at(at);
    switch (message[0]) {
      case Tag.cut: return collection.onCut(from, message);
      case Tag.bar: return collection.onBar(from, message);
      case Tag.barred: return collection.onBarred(from, message);
      case Tag.collect: return collection.onCollect(from, message);
      default: throw new Error(`message ${tagNames.get(message[0])}`);
    }
  }

  /** Lets time pass; `meanwhile` happens between the messages of one instant and those of the next. */
  pass(ms: number, meanwhile: () => void = () => {}): void {
    for (let passed = 0; passed < ms; passed += 500) {
      this.nowMs += 500;
      for (const { replica, collection } of this.sides.values()) {
        replica.runtime.advance(500);
        replica.loopback.during(() => collection.tick());
      }
      this.deliver();
      meanwhile();
    }
  }

  /** So that the next round has been, whatever came of it. */
  round(meanwhile?: () => void): void {
    this.pass(intervalMs + 2_000, meanwhile);
  }

  tombstones(): number[] {
    return ids.map((id) => this.store(id).versions.tombstones.keptTotal);
  }
}

const topology = new Topology(view, 'n1');
const partition = partitionWhere(topology, (_members, each) => topology.preferenceOf(each)[0] === 'n1');
const [a, b, c] = keysIn(topology, partition, 3) as [Key, Key, Key];

let trio: Trio;
beforeEach(() => {
  trio = new Trio();
  // The clock of these replicas begins long before the epoch of timestamps, so that 1,000 is far ahead of it.
  for (const id of ids) trio.at(id).replica.clock.observe(1_000);
});

const deleted = (on: readonly Id[] = ids): void => {
  trio.write(ids, a, 10, 'a');
  trio.write(ids, b, 11, 'b');
  trio.write(on, a, 20, null);
};

describe('tombstones that all replicas have', () => {
  it('go from all of them, and nothing older comes back', () => {
    deleted();
    expect(trio.tombstones()).toEqual([1, 1, 1]);
    trio.round();
    expect(trio.tombstones()).toEqual([0, 0, 0]);
    for (const id of ids) {
      expect(trio.store(id).head(a)).toBeUndefined();
      expect(trio.store(id).entry(b)?.version).toBe(11);
    }
    trio.write(ids, a, 10, 'a');
    trio.write(ids, a, 20, null);
    for (const id of ids) expect(trio.store(id).head(a)).toBeUndefined();
  });

  it('are gone after a restart too, and are not taken in again', () => {
    deleted();
    trio.round();
    trio.pass(2_000);
    for (const id of ids) {
      trio.restart(id);
      expect(trio.store(id).head(a)).toBeUndefined();
      expect(trio.store(id).install(partition, a, 10, valueOf('a'))).toBe(false);
    }
  });

  it('go though the partition is written to all the time', () => {
    deleted();
    let version = trio.at('n1').replica.clock.ahead(60_000);
    let late: [Key, Version] = [b, version];
    // From the cut on, each write reaches one replica before the others.
    trio.round(() => {
      if (trio.store('n3').versions.cuts.at(partition) === 0) return;
      if (late[1] !== version) trio.write(['n2', 'n3'], ...late, 'later');
      late = [version % 2 === 0 ? b : c, version++];
      trio.write(['n1'], ...late, 'later');
    });
    expect(trio.tombstones()).toEqual([0, 0, 0]);
  });

  it('stay if they are younger than the cut', () => {
    deleted();
    const version = trio.at('n1').replica.clock.ahead(60_000);
    trio.write(ids, b, version, null);
    trio.round();
    expect(trio.tombstones()).toEqual([1, 1, 1]);
    expect(trio.store('n2').head(b)?.version).toBe(version);
  });
});

describe('tombstones stay', () => {
  it('where one replica does not have them', () => {
    deleted(['n1', 'n2']);
    trio.round();
    expect(trio.tombstones()).toEqual([1, 1, 0]);
  });

  it('where a replica is not connected', () => {
    deleted();
    trio.at('n1').replica.outbox.down.add('n3');
    trio.round();
    expect(trio.tombstones()).toEqual([1, 1, 1]);
    expect(trio.at('n1').collection.counters.rounds).toBe(0);
  });

  it.each(['cut', 'bar', 'barred'] as const)('where a message %s is lost, until the next round', (name) => {
    deleted();
    trio.loses = (from, to, message) => message[0] === Tag[name] && (from === 'n3' || to === 'n3');
    trio.round();
    expect(trio.tombstones()).toEqual([1, 1, 1]);
    trio.loses = () => false;
    trio.pass(20_000);
    trio.round();
    expect(trio.tombstones()).toEqual([0, 0, 0]);
  });

  it('at the replica that does not hear of it, which takes nothing old from the others', () => {
    deleted();
    trio.loses = (_from, to, message) => message[0] === Tag.collect && to === 'n3';
    trio.round();
    expect(trio.tombstones()).toEqual([0, 0, 1]);
  });

  it('where a replica has begun another life since it was asked to keep account', () => {
    deleted();
    trio.pass(intervalMs + 500);
    expect(trio.store('n2').versions.cuts.at(partition)).toBeGreaterThan(0);
    trio.restart('n2');
    trio.pass(2_000);
    expect(trio.tombstones()[2]).toBe(1);
  });

  it('where a replica has begun another life since it answered', () => {
    deleted();
    trio.loses = (from, _to, message) => message[0] === Tag.barred && from === 'n1';
    trio.pass(intervalMs + 2_000);
    const round = trio.store('n3').versions.cuts.at(partition);
    trio.restart('n3');
    trio.receive('n3', 'n1', [Tag.collect, round, [partition]]);
    expect([trio.store('n3').versions.tombstones.collected(partition), trio.tombstones()[2]]).toEqual([0, 1]);
  });

  it('where a write that was voted for before the bar may still be committed', () => {
    deleted();
    const id: TxnId = { node: 'n2', incarnation: 1, number: 1 };
    const { ledger } = trio.at('n2').replica;
    ledger.enter([Kind.prepared, id.node, id.incarnation, id.number, view.epoch, 3, 50, bodyOf({}, { [c]: 'c' })]);
    trio.round();
    expect(trio.tombstones()).toEqual([1, 1, 1]);
    for (const each of ids) trio.at(each).replica.ledger.enter([Kind.outcome, id.node, id.incarnation, id.number, 50, bodyOf({}, { [c]: 'c' })]);
    trio.pass(20_000);
    expect(trio.tombstones()).toEqual([0, 0, 0]);
  });
});

describe('a replica that has been asked to vote for later writes only', () => {
  it('does so, in its next life too', () => {
    deleted();
    trio.round();
    const body = trio.at('n1').replica.ledger.parse(bodyOf({}, { [c]: 'c' }));
    const votes = ids.map((id) => trio.at(id).replica.ledger.timestampFor(body, 30));
    for (const id of ids) trio.restart(id);
    expect(ids.map((id) => trio.at(id).replica.ledger.timestampFor(body, 30))).toEqual(votes);
    for (const id of ids) expect(trio.at(id).replica.ledger.timestampFor(body, 30)).toBeGreaterThan(trio.store(id).versions.tombstones.collected(partition));
  });

  it('answers when what it answers for would survive a crash', () => {
    deleted();
    let checked = 0;
    trio.loses = (from, _to, message) => {
      if (message[0] !== Tag.barred || checked++ > 0) return false;
      // What was installed was in no journal.
      const again = trio.at(from).replica.crash(0);
      expect(again.store.head(a)?.version).toBe(20);
      expect(again.ledger.readWatermark(partition)).toBeGreaterThan(1_000);
      return true;
    };
    trio.pass(intervalMs + 2_000);
    expect(checked).toBeGreaterThan(0);
  });
});
