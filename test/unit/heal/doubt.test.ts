/** What makes a doubtful node sure again, and what does not: n1 in doubt, the test plays the others. */
import { describe, expect, it } from 'vitest';
import { Tag, type Drained, type Message } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Doubt } from '../../../node/heal/doubt.ts';
import { Replica } from '../txn/replica.ts';
import { partitionWhere, viewOf } from '../txn/topologies.ts';

class Bench {
  readonly topology: Topology;
  readonly replica: Replica;
  readonly doubt: Doubt;
  readonly hurried: string[] = [];
  ordinal = 0;

  constructor(nodes = 3, replicationFactor = 3) {
    this.topology = new Topology({ ...viewOf(nodes), replicationFactor }, 'n1');
    this.replica = Replica.open(this.topology);
    const { store, clock, ledger, outbox, loopback } = this.replica;
    this.doubt = new Doubt({
      topology: this.topology, store, clock, ledger, outbox, during: (work) => loopback.during(work), doubted: () => {},
      hurry: (peer) => (this.hurried.push(peer), this.ordinal),
    });
  }

  said(): (readonly [string, Message])[] {
    return this.replica.settle();
  }

  /** The conversation with one peer about one partition, up to the exchange's end; gives what is asked thereupon. */
  talk(peer: string, partition: number, timestamp = 50): (readonly [string, Message])[] {
    this.doubt.peerUp(peer);
    const [[, [, request]]] = this.said() as [[string, [number, number, number[]]]];
    this.doubt.onDrained(peer, [Tag.drained, request, [partition], timestamp]);
    this.doubt.passed(peer, partition, ++this.ordinal);
    this.doubt.tick();
    return this.said().filter(([to]) => to === peer);
  }

  attest(peer: string, partition: number): void {
    const [[, [, request]]] = this.talk(peer, partition) as [[string, [number, number, number[]]]];
    this.doubt.onAttested(peer, [Tag.attested, request, [partition]]);
    this.replica.settle();
  }

  isSure(partition: number): boolean {
    return this.replica.store.doubts.isSure(partition);
  }
}

describe('a doubtful partition', () => {
  it.each([[3, 3, 2], [5, 5, 3], [4, 3, 2], [2, 2, 1]])('of %i nodes, %i of which keep it, is sure with the evidence of %i others and no sooner', (nodes, replicationFactor, needed) => {
    const bench = new Bench(nodes, replicationFactor);
    const partition = partitionWhere(bench.topology, (members) => members.includes('n1'));
    bench.replica.store.doubts.doubt([partition], 'of a test');
    const others = bench.topology.groupOf(partition).members.filter((member) => member !== 'n1');
    for (const [i, peer] of others.slice(0, needed).entries()) {
      expect(bench.isSure(partition)).toBe(false);
      bench.attest(peer, partition);
      if (i === 0 && needed > 1) {
        bench.doubt.onAttested(peer, [Tag.attested, 1, [partition]]);
        bench.doubt.peerUp(peer);
        expect(bench.said()).toEqual([]);
      }
    }
    expect(bench.isSure(partition)).toBe(true);
  });

  it('of which there is one copy stays doubtful', () => {
    const bench = new Bench(3, 1);
    const partition = partitionWhere(bench.topology, (members) => members.includes('n1'));
    bench.replica.store.doubts.doubt([partition], 'of a test');
    for (const peer of ['n2', 'n3']) bench.doubt.peerUp(peer);
    bench.doubt.tick();
    expect([bench.said(), bench.isSure(partition)]).toEqual([[], false]);
  });

  it('takes an exchange for evidence only if it began after the peer was drained, and in this session', () => {
    const bench = new Bench();
    bench.replica.store.doubts.doubt([3], 'of a test');
    bench.doubt.peerUp('n2');
    const [[, [, request]]] = bench.said() as [[string, [number, number, number[]]]];
    bench.doubt.tick();
    expect(bench.said()).toEqual([['n3', [Tag.vouch, request + 1, [3]]]]);
    const drained: Drained = [Tag.drained, request, [3], 50];
    const attempts = [
      () => bench.doubt.passed('n2', 3, ++bench.ordinal),
      () => (bench.doubt.onDrained('n2', drained), bench.doubt.passed('n2', 3, bench.ordinal)),
      () => bench.doubt.passed('n3', 3, bench.ordinal + 1),
      () => bench.doubt.onAttested('n2', [Tag.attested, request, [3]]),
      () => bench.doubt.onDrained('n2', [Tag.drained, request - 1, [3], 50]),
    ];
    for (const attempt of attempts) {
      attempt();
      bench.doubt.tick();
      expect(bench.said()).toEqual([]);
    }
    bench.doubt.passed('n2', 3, ++bench.ordinal);
    bench.doubt.tick();
    expect(bench.said()).toEqual([['n2', [Tag.attest, request, [3]]]]);
    bench.doubt.peerDown('n2');
    bench.doubt.onAttested('n2', [Tag.attested, request, [3]]);
    bench.attest('n3', 3);
    expect(bench.isSure(3)).toBe(false);
    bench.attest('n2', 3);
    expect(bench.isSure(3)).toBe(true);
  });

  it('does not count who was in doubt on the way, until it is drained anew', () => {
    const bench = new Bench();
    bench.replica.store.doubts.doubt([3], 'of a test');
    bench.attest('n3', 3);
    const [[, [, request]]] = bench.talk('n2', 3) as [[string, [number, number, number[]]]];
    bench.doubt.onAttested('n2', [Tag.attested, request, []]);
    bench.doubt.passed('n2', 3, ++bench.ordinal);
    bench.doubt.tick();
    expect([bench.said(), bench.isSure(3)]).toEqual([[], false]);
    bench.doubt.onDrained('n2', [Tag.drained, request, [3], 60]);
    bench.doubt.passed('n2', 3, ++bench.ordinal);
    bench.doubt.tick();
    expect(bench.said()).toEqual([['n2', [Tag.attest, request, [3]]]]);
    bench.doubt.onAttested('n2', [Tag.attested, request, [3]]);
    bench.replica.settle();
    expect(bench.isSure(3)).toBe(true);
  });

  it('that is damaged again begins again, with all', () => {
    const bench = new Bench();
    bench.replica.store.doubts.doubt([3, 4], 'of a test');
    bench.attest('n2', 3);
    bench.replica.store.doubts.doubt([3], 'of a test');
    bench.doubt.tick();
    expect(bench.said()).toEqual(['n2', 'n3'].map((peer) => [peer, [Tag.vouch, expect.any(Number), [3, 4]]]));
    bench.attest('n3', 3);
    expect(bench.isSure(3)).toBe(false);
    bench.attest('n2', 3);
    expect([bench.isSure(3), bench.isSure(4)]).toEqual([true, false]);
  });

  it('lets no write come before what the others saw read', () => {
    const bench = new Bench();
    bench.replica.store.doubts.doubt([3], 'of a test');
    bench.talk('n2', 3, 9_000_000_000_000);
    expect(bench.replica.ledger.readWatermark(3)).toBe(9_000_000_000_000);
    expect(bench.replica.clock.last).toBeGreaterThanOrEqual(9_000_000_000_000);
    expect(bench.hurried).toEqual(['n2']);
  });
});
