/** What a replica says for one that may have forgotten: n1 vouches, n2 asks. */
import { describe, expect, it } from 'vitest';
import { ABORT, Tag, type Key, type Message } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Vouching } from '../../../node/heal/vouching.ts';
import { Kind } from '../../../node/store/records.ts';
import { bodyOf } from '../txn/bodies.ts';
import { Replica } from '../txn/replica.ts';
import { keysIn, partitionWhere, viewOf } from '../txn/topologies.ts';

const topology = new Topology(viewOf(4), 'n1');
const shared = partitionWhere(topology, (members) => members.includes('n1') && members.includes('n2'));
const other = partitionWhere(topology, (members, partition) => members.includes('n1') && members.includes('n2') && partition > shared);
const foreign = partitionWhere(topology, (members) => members.includes('n1') && !members.includes('n2'));
const [key] = keysIn(topology, shared, 1) as [Key];
const [otherKey] = keysIn(topology, other, 1) as [Key];

class Bench {
  readonly replica = Replica.open(topology);
  readonly vouching: Vouching;
  readonly standing = { isUnfounded: false, life: { rebornAt: 0 } };

  constructor() {
    const { store, ledger, clock, outbox, loopback } = this.replica;
    const { doubts } = store;
    this.vouching = new Vouching({ topology, store: { doubts, standing: this.standing, whenDurable: (action) => store.whenDurable(action) }, ledger, clock, outbox, during: (work) => loopback.during(work), incarnation: 1, nextNumber: () => 1_025 });
    store.doubts.onDoubt = (partition) => this.vouching.doubted(partition);
  }

  prepare(number: number, ...keys: Key[]): void {
    this.replica.ledger.enter([Kind.prepared, 'n3', 1, number, 7, 0, 60, bodyOf({}, Object.fromEntries(keys.map((each) => [each, 'x'])))]);
  }

  decide(number: number, decision: number): void {
    this.replica.ledger.enter([Kind.outcome, 'n3', 1, number, decision, null]);
  }

  /** What n2 hears. */
  heard(): Message[] {
    this.vouching.tick();
    return this.replica.settle().map(([to, message]) => {
      expect(to).toBe('n2');
      return message;
    });
  }
}

describe('whoever vouches', () => {
  it('names partitions when what was undecided there is decided, and no others', () => {
    const bench = new Bench();
    bench.prepare(1, key);
    bench.prepare(2, key, otherKey);
    bench.vouching.onVouch('n2', [Tag.vouch, 4, [shared, other, foreign, 60_000]]);
    expect(bench.heard()).toEqual([[Tag.fenced, 4, 1, 1_025]]);
    bench.decide(2, 70);
    bench.prepare(3, otherKey);
    expect(bench.heard()).toEqual([[Tag.drained, 4, [other], bench.replica.clock.last]]);
    bench.vouching.onAttest('n2', [Tag.attest, 4, [shared, other]]);
    expect(bench.heard()).toEqual([[Tag.attested, 4, [other]]]);
    bench.prepare(4, key);
    bench.decide(1, ABORT);
    expect(bench.heard()).toEqual([[Tag.drained, 4, [shared], bench.replica.clock.last]]);
    expect(bench.heard()).toEqual([]);
  });

  it('answers only when all that it knows is durable', () => {
    const bench = new Bench();
    bench.prepare(1, key);
    bench.vouching.onVouch('n2', [Tag.vouch, 4, [shared]]);
    expect(bench.replica.outbox.take()).toEqual([]);
    expect(bench.heard()).toEqual([[Tag.fenced, 4, 1, 1_025]]);
  });

  it('says nothing while it is new: it may be in the place of one that was lost, whose transactions it does not know', () => {
    const bench = new Bench();
    bench.standing.isUnfounded = true;
    bench.replica.store.doubts.doubt([shared], 'of a test');
    bench.vouching.onVouch('n2', [Tag.vouch, 4, [shared]]);
    expect(bench.heard()).toEqual([]);
    bench.standing.isUnfounded = false;
    bench.replica.store.doubts.trust(shared);
    expect(bench.heard()).toEqual([[Tag.fenced, 4, 1, 1_025], [Tag.drained, 4, [shared], bench.replica.clock.last]]);
  });

  it('says what it is sure of, and not where its numbers stand, while it is in doubt of anything since it was reborn', () => {
    const bench = new Bench();
    bench.standing.life.rebornAt = 1;
    bench.replica.store.doubts.doubt([other], 'of a test');
    bench.vouching.onVouch('n2', [Tag.vouch, 4, [shared, other]]);
    expect(bench.heard()).toEqual([[Tag.drained, 4, [shared], bench.replica.clock.last]]);
    bench.replica.store.doubts.trust(other);
    expect(bench.heard()).toEqual([[Tag.fenced, 4, 1, 1_025], [Tag.drained, 4, [other], bench.replica.clock.last]]);
    expect(bench.heard()).toEqual([]);
  });

  it('does not speak of what it is in doubt of itself, then or later, before it is sure and has looked anew', () => {
    const bench = new Bench();
    bench.replica.store.doubts.doubt([shared], 'of a test');
    bench.vouching.onVouch('n2', [Tag.vouch, 4, [shared, other]]);
    expect(bench.heard()).toEqual([[Tag.fenced, 4, 1, 1_025], [Tag.drained, 4, [other], bench.replica.clock.last]]);
    bench.replica.store.doubts.doubt([other], 'of a test');
    bench.vouching.onAttest('n2', [Tag.attest, 4, [shared, other]]);
    expect(bench.heard()).toEqual([[Tag.attested, 4, []]]);
    bench.prepare(1, key);
    for (const partition of [shared, other]) bench.replica.store.doubts.trust(partition);
    expect(bench.heard()).toEqual([[Tag.drained, 4, [other], bench.replica.clock.last]]);
    bench.decide(1, 70);
    expect(bench.heard()).toEqual([[Tag.drained, 4, [shared], bench.replica.clock.last]]);
    bench.vouching.onAttest('n2', [Tag.attest, 4, [shared, other]]);
    expect(bench.heard()).toEqual([[Tag.attested, 4, [shared, other]]]);
  });

  it('forgets with the session what it had begun to say', () => {
    const bench = new Bench();
    bench.vouching.onVouch('n2', [Tag.vouch, 4, [shared]]);
    bench.heard();
    bench.vouching.peerDown('n2');
    bench.vouching.onAttest('n2', [Tag.attest, 4, [shared]]);
    expect(bench.heard()).toEqual([]);
    bench.vouching.onVouch('n2', [Tag.vouch, 5, [shared]]);
    bench.heard();
    bench.vouching.onAttest('n2', [Tag.attest, 4, [shared]]);
    expect(bench.heard()).toEqual([]);
  });
});
