/** Reads from a majority, by the node n1. */
import { describe, expect, it } from 'vitest';
import { Tag, type Confirm, type Key, type Peek } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { valueOf } from './bodies.ts';
import { Bench, deadlineMs, hedgeMs, three } from './reads-bench.ts';
import { only } from './scripted-outbox.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const partition = partitionWhere(three, () => true);
const [a, b, c] = keysIn(three, partition, 3) as [Key, Key, Key];
/** Who is asked first besides n1: the first other one in the ring's order. */
const [second, third] = three.preferenceOf(partition).filter((member) => member !== 'n1') as [string, string];

describe('a linearizable get', () => {
  it('asks as few replicas as make a majority, and only itself for values', () => {
    const bench = new Bench();
    bench.write(a, 60, 'here');
    bench.get(a, b);
    const asked = bench.asked();
    expect(asked).toEqual({ [second]: [Tag.peek, expect.any(Number), 7, [a, b], false] });
    bench.answer(second, asked[second], { [a]: [60, 'here'] });
    expect(bench.texts).toEqual([[[60, 'here'], [0, null]]]);
    expect(bench.reads.pendingCount).toBe(0);
  });

  it('fetches what is newer from where it is, and keeps it', () => {
    const bench = new Bench();
    bench.write(a, 60, 'old');
    bench.write(b, 60, 'same');
    bench.get(a, b);
    bench.answer(second, bench.asked()[second], { [a]: [80, 'new'], [b]: [60, 'same'] });
    const asked = bench.asked();
    expect(Object.entries(asked)).toEqual([[second, [Tag.peek, expect.any(Number), 7, [a], true]]]);
    bench.answer(second, asked[second], { [a]: [90, 'newest'] });
    expect(bench.texts).toEqual([[[90, 'newest'], [60, 'same']]]);
    expect(bench.replica.text(a)).toBe('newest');
  });

  it('tells a replica that answered with an older version the newer one, and only what it has seen to be older', () => {
    const bench = new Bench();
    bench.write(a, 60, 'here');
    bench.write(b, 60, null);
    bench.get(a, b, c);
    bench.answer(second, bench.asked()[second], { [a]: [50, 'old'], [c]: [0, null] });
    expect(bench.repairs).toEqual([[second, [a, 60, valueOf('here'), b, 60, null]]]);
    bench.get(a);
    bench.answer(second, bench.asked()[second], { [a]: [60, 'here'] });
    expect(bench.repairs).toHaveLength(1);
  });

  it('takes a newer deletion for what it is', () => {
    const bench = new Bench();
    bench.write(a, 60, 'old');
    bench.get(a);
    bench.answer(second, bench.asked()[second], { [a]: [80, null] });
    bench.answer(second, bench.asked()[second], { [a]: [80, null] });
    expect(bench.texts).toEqual([[[80, null]]]);
    expect(bench.replica.text(a)).toBe(null);
  });

  it('is not fooled by replicas that lag, nor by answers that nobody asked for', () => {
    const bench = new Bench();
    bench.write(a, 60, 'here');
    bench.get(a);
    const { [second]: question } = bench.asked();
    bench.answer(third, question, { [a]: [99, 'from a stranger'] });
    bench.reads.onPeeked(second, [Tag.peeked, 99, 0, true, [99, valueOf('to another question')]]);
    expect(bench.results).toEqual([]);
    bench.answer(second, question, { [a]: [40, 'lags'] });
    expect(bench.texts).toEqual([[[60, 'here']]]);
  });

  it('of keys kept elsewhere asks a majority there for values at once, and keeps nothing', () => {
    const four = new Topology(viewOf(4), 'n1');
    const away = partitionWhere(four, (members) => !members.includes('n1'));
    const [key] = keysIn(four, away, 1) as [Key];
    const bench = new Bench(four);
    bench.get(key);
    const asked = bench.asked();
    const [first, next] = four.preferenceOf(away) as [string, string];
    expect(Object.entries(asked).map(([to, message]) => [to, message[4]])).toEqual([[first, true], [next, true]]);
    bench.answer(first, asked[first], { [key]: [70, 'old'] });
    bench.answer(next, asked[next], { [key]: [80, 'new'] });
    expect(bench.texts).toEqual([[[80, 'new']]]);
    expect(bench.replica.store.head(key)).toBe(undefined);
  });

  it('asks the others when the first is slow, and takes whoever comes first', () => {
    const bench = new Bench();
    bench.write(a, 60, 'here');
    bench.get(a);
    const { [second]: slow } = bench.asked();
    bench.pass(hedgeMs - 1);
    expect(bench.asked()).toEqual({});
    bench.pass(1);
    const asked = bench.asked();
    expect(Object.keys(asked)).toEqual([third]);
    bench.answer(third, asked[third], { [a]: [60, 'here'] });
    expect(bench.texts).toEqual([[[60, 'here']]]);
    bench.answer(second, slow, { [a]: [60, 'here'] });
    expect(bench.results).toHaveLength(1);
  });

  it('asks the others at once when one goes away, and leaves out from the start who is away', () => {
    const bench = new Bench();
    bench.get(a);
    bench.asked();
    bench.replica.outbox.down.add(second);
    bench.reads.peerDown(second);
    const asked = bench.asked();
    expect(Object.keys(asked)).toEqual([third]);
    bench.answer(third, asked[third], {});
    bench.get(b);
    expect(Object.keys(bench.asked())).toEqual([third]);
  });

  it('that was deserted while it fetched a value looks for it elsewhere', () => {
    const bench = new Bench();
    bench.get(a);
    bench.answer(second, bench.asked()[second], { [a]: [80, 'new'] });
    bench.asked();
    bench.replica.outbox.down.add(second);
    bench.reads.peerDown(second);
    for (let i = 0; i < 5 && bench.results.length === 0; i++) {
      const { [third]: question } = bench.asked();
      if (question !== undefined) bench.answer(third, question, { [a]: [80, 'new'] });
      bench.pass(hedgeMs);
    }
    expect(bench.texts).toEqual([[[80, 'new']]]);
  });

  it('of replicas that are silent goes on until its deadline', () => {
    const bench = new Bench();
    bench.get(a);
    bench.asked();
    bench.pass(deadlineMs - 1);
    expect(bench.failures).toEqual([]);
    bench.pass(1);
    expect([bench.failures, bench.reads.pendingCount]).toEqual([['timeout'], 0]);
  });

  it('without a majority that is connected fails at once, for another node may have one', () => {
    const bench = new Bench();
    bench.replica.outbox.down.add(second).add(third);
    bench.get(a);
    expect([bench.asked(), bench.failures, bench.reads.pendingCount]).toEqual([{}, ['unavailable'], 0]);
  });

  it('without a majority leaves nobody waiting for a lock that may last as long as the cut', () => {
    const bench = new Bench();
    bench.lock(a);
    bench.replica.outbox.down.add(second).add(third);
    bench.get(a);
    expect([bench.replica.outbox.take(), bench.failures]).toEqual([[], ['unavailable']]);
  });

  it('of no keys is done at once', () => {
    const bench = new Bench();
    bench.get();
    expect([bench.results, bench.reads.pendingCount]).toEqual([[[]], 0]);
  });

  it('fails when the last replica goes away that could have made a majority', () => {
    const bench = new Bench();
    bench.get(a);
    bench.asked();
    bench.replica.outbox.down.add(second);
    bench.reads.peerDown(second);
    bench.asked();
    expect(bench.failures).toEqual([]);
    bench.replica.outbox.down.add(third);
    bench.reads.peerDown(third);
    expect([bench.failures, bench.reads.pendingCount]).toEqual([['unavailable'], 0]);
  });

  it('counts who answered before going away', () => {
    const five = new Topology(viewOf(5, 5), 'n1');
    const bench = new Bench(five);
    const [key] = keysIn(five, 0, 1) as [Key];
    bench.get(key);
    const asked = bench.asked();
    const [first, other] = Object.keys(asked) as [string, string];
    bench.answer(first, asked[first], {});
    const others = ['n2', 'n3', 'n4', 'n5'].filter((node) => node !== other);
    for (const node of others) {
      bench.replica.outbox.down.add(node);
      bench.reads.peerDown(node);
    }
    expect(bench.failures).toEqual([]);
    bench.answer(other, asked[other], {});
    expect(bench.results).toHaveLength(1);
  });

  it('finds who comes back before its deadline', () => {
    const bench = new Bench();
    bench.get(a);
    bench.asked();
    bench.replica.outbox.down.add(second);
    bench.reads.peerDown(second);
    bench.asked();
    bench.replica.outbox.down.delete(second);
    bench.pass(hedgeMs);
    bench.answer(second, bench.asked()[second], { [a]: [80, null] });
    bench.answer(second, bench.asked()[second], { [a]: [80, 'new'] });
    expect(bench.texts).toEqual([[[80, 'new']]]);
  });

  it('in an old view is told so', () => {
    const bench = new Bench();
    bench.get(a);
    const { [second]: question } = bench.asked();
    bench.reads.onPeeked(second, [Tag.peeked, (question as Peek)[1], 8, false, []]);
    expect([bench.failures, bench.reads.pendingCount]).toEqual([['wrongView'], 0]);
  });

  it('of many keys is done when all are there, in their order', () => {
    const bench = new Bench();
    const keys = keysIn(three, partition, 20);
    keys.forEach((key, i) => bench.write(key, 60 + i, `value ${i}`));
    bench.get(...keys);
    const sent = only(bench.replica.outbox.take(), Tag.peek);
    for (const [to, question] of sent.reverse()) {
      if (to === 'n1') bench.reads.onPeek('n1', question);
      else bench.answer(to, question, {});
    }
    bench.asked();
    expect(bench.texts).toEqual([keys.map((_, i) => [60 + i, `value ${i}`])]);
  });
});

describe('a get of keys in overlapping groups', () => {
  const four = new Topology(viewOf(4, 3, 64), 'n1');
  /** n1 and x keep the first; x and y, and not n1, are asked for the second. */
  const first = partitionWhere(four, (members) => members.includes('n1'));
  const [x, y] = four.preferenceOf(first).filter((member) => member !== 'n1') as [string, string];
  const other = partitionWhere(four, (members, at) => !members.includes('n1') && four.preferenceOf(at).slice(0, 2).join() === [x, y].join());
  const [near] = keysIn(four, first, 1) as [Key];
  const [far] = keysIn(four, other, 1) as [Key];

  it('asks everybody about every key before it gives up', () => {
    const bench = new Bench(four);
    bench.get(near, far);
    const { [y]: toY } = bench.asked();
    bench.answer(y, toY, { [far]: [70, 'far'] });
    // x says nothing: the key near can still be had from n1 and y.
    bench.pass(hedgeMs);
    const asked = bench.asked();
    for (let more = asked; Object.keys(more).length > 0; more = bench.asked()) {
      for (const [from, question] of Object.entries(more)) bench.answer(from, question, { [near]: [60, 'near'], [far]: [70, 'far'] });
    }
    expect(bench.texts).toEqual([[[60, 'near'], [70, 'far']]]);
  });

  it('does not take a late answer about one key for that about another', () => {
    const five = new Topology(viewOf(5, 3, 256), 'n1');
    // n1 and w are asked for the first key, x and y for the second; y keeps both, z the second.
    const farAt = partitionWhere(five, (members) => !members.includes('n1'));
    const [x, y, z] = five.preferenceOf(farAt) as [string, string, string];
    const w = ['n2', 'n3', 'n4', 'n5'].find((name) => ![x, y, z].includes(name)) as string;
    const nearAt = partitionWhere(five, (members, at) => members.includes('n1') && members.includes(y) && five.preferenceOf(at).find((member) => member !== 'n1') === w);
    const [near, far] = [keysIn(five, nearAt, 1), keysIn(five, farAt, 1)].flat() as [Key, Key];
    const bench = new Bench(five);
    bench.get(near, far);
    const { [x]: toX, [y]: toY } = bench.asked();
    bench.answer(x, toX, { [far]: [70, 'far'] });
    // y keeps its answer for a lock when the session breaks, so z is asked; and when y is back, it is asked about what is still open.
    bench.replica.outbox.down.add(y);
    bench.reads.peerDown(y);
    bench.answer(z, bench.asked()[z], { [far]: [70, 'far'] });
    bench.replica.outbox.down.delete(y);
    bench.pass(hedgeMs);
    const { [y]: again } = bench.asked();
    bench.answer(y, toY, { [far]: [71, 'far'] });
    bench.answer(y, again, { [near]: [60, null] });
    bench.answer(y, bench.asked()[y], { [near]: [60, 'near'] });
    expect(bench.texts).toEqual([[[60, 'near'], [70, 'far']]]);
  });
});

describe('a confirmation', () => {
  it('comes from a majority, for all keys', () => {
    const bench = new Bench();
    bench.write(a, 60, 'x');
    bench.confirm({ [a]: 60, [b]: 0 });
    const asked = bench.asked();
    expect(asked).toEqual({ [second]: [Tag.confirm, expect.any(Number), 7, [a, b], [60, 0]] });
    expect(bench.staleKeys).toEqual([]);
    bench.agree(second, asked[second]);
    expect(bench.staleKeys).toEqual([null]);
  });

  it('is refused by the first that has something newer', () => {
    const bench = new Bench();
    bench.confirm({ [a]: 60, [b]: 0 });
    const { [second]: question } = bench.asked();
    bench.agree(second, question, b);
    bench.agree(second, question);
    expect(bench.staleKeys).toEqual([b]);
    bench.write(c, 70, 'newer');
    bench.confirm({ [c]: 60 });
    bench.asked();
    expect(bench.staleKeys).toEqual([b, c]);
  });

  it('is not given by one replica twice, nor by one that was not asked', () => {
    const bench = new Bench();
    bench.confirm({ [a]: 0 });
    const [[, question]] = only(bench.replica.outbox.take().filter(([to]) => to === second), Tag.confirm) as [[string, Confirm]];
    bench.agree(second, question);
    bench.agree(second, question);
    bench.agree(third, question);
    expect(bench.staleKeys).toEqual([]);
  });

  it('that is not had in time, or in this view, fails', () => {
    const bench = new Bench();
    bench.confirm({ [a]: 0 });
    bench.asked();
    bench.pass(deadlineMs);
    bench.confirm({ [a]: 0 });
    const { [second]: question } = bench.asked();
    bench.reads.onConfirmed(second, [Tag.confirmed, (question as Confirm)[1], 8, null]);
    expect(bench.failures).toEqual(['timeout', 'wrongView']);
  });
});
