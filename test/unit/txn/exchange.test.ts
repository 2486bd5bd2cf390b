/** Anti-entropy between the stores of two replicas, message by message. */
import { describe, expect, it } from 'vitest';
import { limits } from '../../../client/wire/limits.ts';
import { Tag, tagNames, type Key, type Message, type Version } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Exchange } from '../../../node/heal/exchange.ts';
import type { StoreOptions } from '../../../node/store/store.ts';
import { Random } from '../../sim/random.ts';
import { valueOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const intervalMs = 30_000;
const roomy: Partial<StoreOptions> = { overlayBytesMax: 256_000_000, checkpointIntervalMs: 1e9 };

class Side {
  readonly replica: Replica;
  readonly exchange: Exchange;

  constructor(topology: Topology, nowMs: () => number, options: Partial<StoreOptions>) {
    this.replica = Replica.open(topology, undefined, options);
    const { store, outbox, loopback } = this.replica;
    this.exchange = new Exchange({ topology, store, outbox, nowMs, during: (work) => loopback.during(work), intervalMs });
  }

  /** Takes in a committed version. The value follows from key and version, as in a cluster. */
  write(key: Key, version: Version, { deleted = false, bytes = 8 } = {}): void {
    const { store, topology } = this.replica;
    store.install(topology.partitionOf(key), key, version, deleted ? null : valueOf(`${key}@${version}`.padEnd(bytes, '.')));
  }

  receive(from: string, message: Message): void {
    const { exchange } = this;
    switch (message[0]) {
      case Tag.roots: return exchange.onRoots(from, message);
      case Tag.differ: return exchange.onDiffer(from, message);
      case Tag.list: return exchange.onList(from, message);
      case Tag.listed: return exchange.onListed(from, message);
      case Tag.pull: return exchange.onPull(from, message);
      case Tag.pulled: return exchange.onPulled(from, message);
      default: throw new Error(`message ${tagNames.get(message[0])}`);
    }
  }
}

/** n1 and n2, with whatever is between them. */
class Pair {
  readonly a: Side;
  readonly b: Side;
  nowMs = 1_000;
  /** Everything that was said, in order. */
  readonly said: Message[] = [];

  constructor(view = viewOf(2), options: Partial<StoreOptions> = {}) {
    const side = (self: string): Side => new Side(new Topology(view, self), () => this.nowMs, { ...roomy, ...options });
    this.a = side('n1');
    this.b = side('n2');
  }

  connect(): void {
    this.a.exchange.peerUp('n2');
    this.b.exchange.peerUp('n1');
  }

  /** Takes what is waiting to be sent by one side, without delivering it. */
  take(side: Side): Message[] {
    const messages = side.replica.outbox.take().map(([, message]) => message);
    this.said.push(...messages);
    return messages;
  }

  /** Delivers until nothing is under way; tells how many messages that were. */
  deliver(): number {
    let count = 0;
    for (let before = -1; before !== count;) {
      before = count;
      for (const message of this.take(this.a)) count += (this.b.receive('n1', message), 1);
      for (const message of this.take(this.b)) count += (this.a.receive('n2', message), 1);
    }
    return count;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.a.exchange.tick();
    this.b.exchange.tick();
  }

  get areEqual(): boolean {
    const { topology } = this.a.replica;
    for (let partition = 0; partition < topology.view.partitions; partition++) {
      if (Buffer.compare(this.a.replica.store.root(partition), this.b.replica.store.root(partition)) !== 0) return false;
    }
    return true;
  }

  /** Lets time pass until both are equal; tells how long it took. */
  heal(withinMs = 60_000): number {
    const began = this.nowMs;
    while (!this.areEqual) {
      expect(this.nowMs - began, 'ms without becoming equal').toBeLessThan(withinMs);
      this.pass(25);
      this.deliver();
    }
    return this.nowMs - began;
  }
}

const sizeOf = (message: Message): number => message.flat(2).reduce((sum: number, part) => sum + (part instanceof Uint8Array || typeof part === 'string' ? part.length : 9), 0);

describe('an exchange', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))('makes both sides equal: the newest of either, deletions too (seed %i)', (seed) => {
    const random = new Random(`exchange ${seed}`);
    const pair = new Pair();
    const expected = new Map<Key, { version: Version; deleted: boolean }>();
    for (let i = 0; i < 300; i++) {
      const key = `k${random.below(120)}`;
      const version = 1 + random.below(1_000);
      const deleted = version % 5 === 0;
      for (const side of [pair.a, pair.b]) if (random.chance(0.6)) side.write(key, version, { deleted });
      const held = Math.max(...[pair.a, pair.b].map(({ replica }) => replica.store.head(key)?.version ?? 0));
      if (held > 0) expected.set(key, { version: held, deleted: held % 5 === 0 });
    }
    pair.connect();
    pair.heal();
    for (const { replica } of [pair.a, pair.b]) {
      for (const [key, { version, deleted }] of expected) {
        expect([key, replica.store.head(key)?.version, replica.text(key)]).toEqual([key, version, deleted ? null : `${key}@${version}`.padEnd(8, '.')]);
      }
    }
  });

  it('carries what the other side lacks and nothing else', () => {
    const pair = new Pair();
    for (let i = 0; i < 500; i++) for (const side of [pair.a, pair.b]) side.write(`k${i}`, 10);
    pair.b.write('k7', 20);
    pair.b.write('k8', 20, { deleted: true });
    pair.a.write('k9', 20);
    pair.connect();
    pair.heal();
    const pulled = pair.said.filter((message) => message[0] === Tag.pulled).flatMap((message) => message[2].filter((_, i) => i % 3 === 0));
    expect(pulled.sort()).toEqual(['k7', 'k8', 'k9']);
    expect([pair.a.exchange.counters.keysPulled, pair.b.exchange.counters.keysPulled]).toEqual([2, 1]);
  });

  it('of equal sides is two messages each way, and comes again after the interval', () => {
    const pair = new Pair();
    for (const side of [pair.a, pair.b]) side.write('k1', 10);
    pair.connect();
    pair.pass(0);
    expect(pair.deliver()).toBe(4);
    pair.pass(intervalMs - 1);
    expect(pair.deliver()).toBe(0);
    pair.pass(1);
    expect(pair.deliver()).toBe(4);
    expect(pair.a.exchange.lag).toEqual({ partitionsBehind: 0, lastAgreementMs: 0 });
    pair.pass(500);
    expect(pair.a.exchange.lag).toEqual({ partitionsBehind: 0, lastAgreementMs: 500 });
  });

  it('tells how far behind a replica is until all is equal', () => {
    const pair = new Pair(viewOf(2, 2, 16));
    expect(pair.a.exchange.lag).toEqual({ partitionsBehind: 0, lastAgreementMs: null });
    const { topology } = pair.a.replica;
    for (const partition of [1, 2, 3]) pair.b.write(keysIn(topology, partition, 1)[0] as Key, 10);
    pair.connect();
    pair.pass(0);
    pair.deliver();
    expect(pair.a.exchange.lag).toEqual({ partitionsBehind: 3, lastAgreementMs: null });
    pair.heal();
    for (let i = 0; i < 100; i++) {
      pair.pass(25);
      pair.deliver();
    }
    expect(pair.a.exchange.lag).toMatchObject({ partitionsBehind: 0, lastAgreementMs: expect.any(Number) });
  });

  it('goes through more differing partitions than one answer holds', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    for (let i = 0; i < 4_000; i++) pair.b.write(`k${i}`, 10);
    pair.connect();
    pair.heal();
    for (const message of pair.said) if (message[0] === Tag.differ) expect(message[2].length / 2).toBeLessThanOrEqual(256);
  });

  it('goes through a long partition in bounded pieces', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    for (let i = 0; i < 5_000; i++) pair.b.write(`k${i}`, 10);
    pair.connect();
    pair.heal();
    const listed = pair.said.filter((message) => message[0] === Tag.listed).map((message) => message[2].length / 2);
    expect(listed.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...listed)).toBeLessThanOrEqual(1_024);
    for (const message of pair.said) if (message[0] === Tag.pull) expect(message[2].length).toBeLessThanOrEqual(256);
    expect(pair.a.exchange.counters.keysPulled).toBe(5_000);
  });

  it('carries the largest values, in messages far below the largest frame', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    for (let i = 0; i < 12; i++) pair.b.write(`k${i}`, 10, { bytes: i % 3 === 0 ? limits.valueBytesMax : 100_000 });
    pair.connect();
    pair.heal();
    expect(pair.a.exchange.counters.keysPulled).toBe(12);
    expect(pair.said.filter((message) => message[0] === Tag.roots), 'one comparison each: what did not fit one answer is asked for at once').toHaveLength(2);
    expect(Math.max(...pair.said.map(sizeOf))).toBeLessThan(limits.frameBytesMax / 8);
  });

  it('goes on while both sides change, and ends equal', () => {
    const pair = new Pair();
    const random = new Random('moving');
    pair.connect();
    for (let version = 1; version <= 400; version++) {
      const key = `k${random.below(50)}`;
      // A commit reaches one side now, the other one perhaps never.
      random.pick([pair.a, pair.b]).write(key, version, { deleted: version % 7 === 0 });
      pair.pass(20);
      if (random.chance(0.7)) pair.deliver();
    }
    pair.heal();
  });

  it('cut off at any point leaves both sides valid, and begins again with the next session', () => {
    for (let cut = 0; cut < 12; cut++) {
      const pair = new Pair(viewOf(2, 2, 4));
      for (let i = 0; i < 40; i++) pair[i % 2 === 0 ? 'a' : 'b'].write(`k${i}`, 10 + i);
      pair.connect();
      pair.pass(0);
      const queue: [Side, string, Message][] = [];
      const collect = (): void => {
        for (const message of pair.take(pair.a)) queue.push([pair.b, 'n1', message]);
        for (const message of pair.take(pair.b)) queue.push([pair.a, 'n2', message]);
      };
      collect();
      for (let i = 0; i < cut && queue.length > 0; i++) {
        const [side, from, message] = queue.shift() as [Side, string, Message];
        side.receive(from, message);
        collect();
      }
      // The rest is lost with the session.
      pair.connect();
      pair.heal();
    }
  });

  it('that hears nothing is begun again', () => {
    const pair = new Pair();
    pair.b.write('k1', 10);
    pair.connect();
    pair.pass(0);
    pair.take(pair.a);
    pair.take(pair.b);
    pair.pass(4_999);
    expect(pair.deliver()).toBe(0);
    expect(pair.heal()).toBeLessThan(100);
  });
});

/** Runs an exchange up to the first pull of n1, which is not delivered; gives its request number. */
function pullOf(pair: Pair): number {
  for (let i = 0; i < 10; i++) {
    for (const message of pair.take(pair.a)) {
      if (message[0] === Tag.pull) return message[1];
      pair.b.receive('n1', message);
    }
    for (const message of pair.take(pair.b)) pair.a.receive('n2', message);
  }
  throw new Error('n1 pulls nothing');
}

describe('what comes from a peer', () => {
  it('never replaces anything newer, whatever its answer says', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    pair.b.write('k1', 10);
    pair.b.write('k2', 10);
    pair.connect();
    pair.pass(0);
    // While the answer to its pull is under way, n1 hears of a later commit.
    const request = pullOf(pair);
    pair.a.write('k1', 30);
    pair.a.receive('n2', [Tag.pulled, request, ['k1', 10, valueOf('old'), 'k2', 10, valueOf('k2@10...')]]);
    expect([pair.a.replica.store.head('k1')?.version, pair.a.replica.text('k2')]).toEqual([30, 'k2@10...']);
  });

  it('is ignored if it is no answer to the present question', () => {
    const pair = new Pair(viewOf(2, 2, 1));
    pair.connect();
    pair.pass(0);
    const [asked] = pair.take(pair.a);
    for (const request of [0, 1, 2, 99]) {
      pair.a.receive('n2', [Tag.pulled, request, ['k1', 10, valueOf('unasked')]]);
      pair.a.receive('n2', [Tag.listed, request, ['k1', 10], false]);
      pair.a.receive('n9', [Tag.differ, request, [0, new Uint8Array(256).fill(1)]]);
    }
    const present = asked?.[1] as number;
    for (const request of [present - 1, present + 1]) pair.a.receive('n2', [Tag.differ, request, [0, new Uint8Array(256).fill(1)]]);
    expect(pair.a.replica.store.head('k1')).toBe(undefined);
    expect(pair.take(pair.a)).toEqual([]);
    pair.a.receive('n2', [Tag.differ, present, [0, new Uint8Array(256).fill(1)]]);
    expect(pair.take(pair.a).map((message) => message[0])).toEqual([Tag.list]);
  });

  it('is taken only for partitions that are kept here, and answered only from those', () => {
    const view = viewOf(4, 2, 64);
    const pair = new Pair(view);
    const { topology } = pair.a.replica;
    const away = partitionWhere(topology, (members) => !members.includes('n1'));
    const shared = partitionWhere(topology, (members) => members.join() === 'n1,n2');
    const [far] = keysIn(topology, away, 1) as [Key];
    pair.a.receive('n2', [Tag.roots, 5, [away, shared, 9_999], new Uint8Array(48).fill(1)]);
    pair.a.receive('n2', [Tag.list, 6, away, 0xffff, null]);
    pair.a.receive('n2', [Tag.pull, 7, [far]]);
    const answers = pair.take(pair.a);
    expect(answers.map((message) => message[0] === Tag.differ ? message[2].filter((_, i) => i % 2 === 0) : message.slice(1))).toEqual([[shared], [6, [], false], [7, []]]);
    const [near] = keysIn(topology, shared, 1) as [Key];
    pair.b.write(near, 10);
    pair.connect();
    pair.pass(0);
    pair.a.receive('n2', [Tag.pulled, pullOf(pair), [far, 10, valueOf('far'), near, 10, valueOf('near')]]);
    expect([pair.a.replica.store.head(far), pair.a.replica.text(near)]).toEqual([undefined, 'near']);
  });

  it('waits for room before it asks for more', () => {
    const pair = new Pair(viewOf(2, 2, 1), { overlayBytesMax: 600_000, checkpointIntervalMs: 500 });
    for (let i = 0; i < 40; i++) pair.b.write(`k${i}`, 10, { bytes: 100_000 });
    let most = 0;
    pair.b.replica.runtime.advance(5_000);
    pair.connect();
    for (let i = 0; i < 2_000 && !pair.areEqual; i++) {
      pair.pass(25);
      pair.deliver();
      most = Math.max(most, pair.a.replica.store.stats.overlayBytes);
      pair.a.replica.runtime.advance(25);
    }
    expect(pair.areEqual).toBe(true);
    expect(most).toBeLessThan(1_100_000);
  });
});
