/** The recoverer alone: the test plays the replicas, the other recoverers, chance and the clock. */
import { describe, expect, it } from 'vitest';
import { ABORT, Tag, UNDECIDED, type Key } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { bodyOf } from './bodies.ts';
import { all, Bench, id, name, three } from './recovery-bench.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

describe('a recovery', () => {
  it('asks all replicas, proposes what a majority makes of it, and tells everybody what is decided', () => {
    const bench = new Bench();
    const body = bodyOf({}, { [keysIn(three, 0, 1)[0] as Key]: 'x' });
    bench.start();
    expect(bench.outbox.take()).toEqual(all.map((node) => [node, [Tag.recover, ...name, 1, 'n3', 7]]));
    bench.promise('n3', { timestamp: 100, body });
    expect(bench.asked()).toEqual({ recover: [], accept: [] });
    bench.promise('n2', { timestamp: 110 });
    expect(bench.outbox.take()).toEqual(all.map((node) => [node, [Tag.accept, ...name, 1, 'n3', 110]]));
    bench.accepted('n1');
    expect(bench.outcomes).toEqual([]);
    bench.accepted('n3');
    expect(bench.outcomes).toEqual([110]);
    // n1 was not heard of, so it may need the writes.
    expect(bench.outbox.take()).toEqual([['n1', body], ['n2', null], ['n3', null]].map(([node, writes]) => [node, [Tag.decide, ...name, 110, writes]]));
    expect([bench.recovery.activeCount, bench.recovery.isActive(id)]).toEqual([0, false]);
  });

  it('aborts what has no majority of OK votes', () => {
    const bench = new Bench();
    bench.start();
    bench.promise('n1', { timestamp: 100 });
    bench.promise('n2');
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 1, ABORT]));
  });

  it('adopts what was accepted at the highest ballot', () => {
    const bench = new Bench();
    bench.start();
    bench.promise('n1', { timestamp: 100, accepted: [0, 'n1', 100] });
    bench.promise('n2', { timestamp: 100, accepted: [0, 'n2', ABORT] });
    expect(bench.asked().accept.map(([, , decision]) => decision)).toEqual([ABORT, ABORT, ABORT]);
  });

  it('proposes once, with what the first majority said; later promises change nothing', () => {
    const bench = new Bench();
    bench.start();
    bench.promise('n1');
    bench.promise('n2', { timestamp: 100 });
    bench.outbox.take();
    bench.promise('n3', { timestamp: 100, accepted: [0, 'n1', 100] });
    expect(bench.asked()).toEqual({ recover: [], accept: [] });
  });

  it('waits for a majority of every group, and has the home group alone accept', () => {
    const five = new Topology(viewOf(5), 'n1');
    const first = partitionWhere(five, (members) => members.includes('n1'));
    const firstMembers = five.groupOf(first).members;
    const second = partitionWhere(five, (members) => members.filter((member) => firstMembers.includes(member)).length === 1);
    const secondMembers = five.groupOf(second).members;
    const bench = new Bench(five);
    bench.start([first, second]);
    expect(bench.asked().recover.map(([to]) => to).sort()).toEqual([...new Set([...firstMembers, ...secondMembers])].sort());
    for (const node of firstMembers) bench.promise(node, { timestamp: 100 });
    expect(bench.asked().accept).toEqual([]);
    bench.promise(secondMembers.find((node) => !firstMembers.includes(node)) as string, { timestamp: 120 });
    expect(bench.asked().accept).toEqual(firstMembers.map((node) => [node, 1, 120]));
    for (const node of secondMembers.filter((other) => !firstMembers.includes(other))) bench.accepted(node);
    expect(bench.outcomes).toEqual([]);
    for (const node of firstMembers.slice(0, 2)) bench.accepted(node);
    expect(bench.outcomes).toEqual([120]);
  });

  it('is joined by whoever asks for the same transaction, and answers each', () => {
    const bench = new Bench();
    bench.start();
    bench.start();
    bench.recovery.start({ id: { ...id, number: 10 }, epoch: 7, protocolNumber: 0, partitions: [0] }, 'another', () => bench.outcomes.push(7));
    expect(bench.recovery.counters.started).toBe(2);
    bench.recovery.onDecide([Tag.decide, ...name, ABORT, null]);
    expect(bench.outcomes).toEqual([ABORT, ABORT]);
  });

  it('ends with an outcome that it is told at any time, and passes it on with the body if it came along', () => {
    const body = bodyOf({}, { [keysIn(three, 0, 1)[0] as Key]: 'x' });
    for (const phase of ['promising', 'accepting', 'pausing']) {
      const bench = new Bench();
      bench.start();
      if (phase === 'accepting') for (const node of ['n1', 'n2']) bench.promise(node);
      if (phase === 'pausing') bench.rejected(4);
      bench.outbox.take();
      bench.recovery.onDecide([Tag.decide, ...name, 130, body]);
      expect(bench.outcomes).toEqual([130]);
      expect(bench.outbox.take()).toEqual(all.map((node) => [node, [Tag.decide, ...name, 130, body]]));
      expect(bench.recovery.activeCount).toBe(0);
    }
  });

});

describe('a ballot that fails', () => {
  it('is followed by one above all that were seen, after a pause by chance', () => {
    const bench = new Bench();
    bench.start();
    bench.outbox.take();
    bench.rejected(6);
    expect(bench.asked().recover).toEqual([]);
    // Half of the longest first pause, 20 ms.
    bench.pass(9);
    expect(bench.asked().recover).toEqual([]);
    bench.pass(1);
    expect(bench.asked().recover).toEqual(all.map((node) => [node, 7]));
  });

  it('is not helped by answers that still come', () => {
    const bench = new Bench();
    bench.start();
    bench.promise('n1');
    bench.rejected(3);
    bench.pass(1_000);
    bench.outbox.take();
    bench.promise('n2', { round: 1 });
    bench.promise('n2', { round: 4 });
    expect(bench.asked().accept).toEqual([]);
    bench.promise('n1', { round: 4 });
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 4, ABORT]));
    bench.accepted('n1', 1);
    bench.accepted('n2', 1);
    bench.accepted('n3', 4);
    expect(bench.outcomes).toEqual([]);
    bench.accepted('n3', 4);
    expect(bench.outcomes, 'an acceptor counts once').toEqual([]);
    bench.rejected(9, 1);
    bench.accepted('n1', 4);
    expect(bench.outcomes).toEqual([ABORT]);
  });

  it('in its second phase may have left its value somewhere, so it begins again with the first', () => {
    const bench = new Bench();
    bench.start();
    bench.promise('n1', { timestamp: 100 });
    bench.promise('n2', { timestamp: 100 });
    bench.accepted('n1');
    bench.rejected(2);
    bench.accepted('n2');
    expect(bench.outcomes).toEqual([]);
    bench.outbox.take();
    bench.pass(1_000);
    expect(bench.asked().recover).toEqual(all.map((node) => [node, 3]));
    for (const node of ['n1', 'n2']) bench.promise(node, { round: 3, timestamp: 100 });
    bench.accepted('n2', 3);
    expect(bench.outcomes, 'n1 accepted at another ballot').toEqual([]);
    bench.accepted('n1', 3);
    expect(bench.outcomes).toEqual([100]);
  });

  it('for want of answers is tried again for ever, with pauses that grow up to a second', () => {
    const bench = new Bench();
    bench.start();
    const askedAt: number[] = [];
    for (let i = 0; i < 60_000; i += 5) {
      if (bench.asked().recover.length > 0) askedAt.push(bench.nowMs);
      bench.pass(5);
    }
    const gaps = askedAt.slice(1).map((at, i) => at - (askedAt[i] as number));
    expect(gaps[0]).toBeLessThan(1_050);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(1_500);
    expect(Math.max(...gaps)).toBeLessThan(2_050);
    expect(bench.recovery.activeCount).toBe(1);
  });
});

describe('a peer that comes back', () => {
  it('is asked for its promise at once, unless it has given it', () => {
    const bench = new Bench();
    bench.outbox.down.add('n1').add('n2');
    bench.start();
    bench.promise('n3', { timestamp: 100 });
    bench.asked();
    bench.outbox.down.clear();
    bench.recovery.peerUp('n2');
    expect(bench.asked()).toEqual({ recover: [['n2', 1]], accept: [] });
    bench.promise('n2', { timestamp: 100 });
    expect(bench.asked().accept.map(([to]) => to)).toEqual(all);
  });

  it('is told the proposal at once', () => {
    const bench = new Bench();
    bench.start();
    bench.promise('n3', { timestamp: 100 });
    bench.promise('n2', { timestamp: 100 });
    bench.asked();
    bench.accepted('n3');
    bench.recovery.peerUp('n1');
    expect(bench.asked()).toEqual({ recover: [], accept: [['n1', 1, 100]] });
    bench.recovery.peerUp('n3');
    expect(bench.asked()).toEqual({ recover: [], accept: [] });
  });

  it('ends a pause', () => {
    const bench = new Bench();
    bench.start();
    for (let i = 0; i < 10; i++) bench.pass(1_000);
    bench.pass(1_000);
    bench.asked();
    bench.pass(1);
    expect(bench.asked().recover).toEqual([]);
    bench.recovery.peerUp('n2');
    bench.pass(1);
    expect(bench.asked().recover.map(([to]) => to)).toEqual(all);
  });

  it('is asked nothing about what it keeps no replica of', () => {
    const topology = new Topology(viewOf(4), 'n4');
    const bench = new Bench(topology);
    const partition = partitionWhere(topology, (members) => !members.includes('n1'));
    bench.start([partition]);
    bench.asked();
    bench.recovery.peerUp('n1');
    expect(bench.asked()).toEqual({ recover: [], accept: [] });
  });
});

describe('a transaction that is finished', () => {
  it('was committed if one says so', () => {
    const bench = new Bench();
    bench.start();
    bench.finished('n2', 130);
    expect(bench.outcomes).toEqual([130]);
    expect(bench.recovery.activeCount).toBe(0);
  });

  it('was aborted if a majority of the home group knows of no commit', () => {
    const bench = new Bench();
    bench.start();
    bench.finished('n2', ABORT);
    bench.finished('n2', ABORT);
    expect(bench.outcomes).toEqual([]);
    bench.finished('n1', ABORT);
    expect(bench.outcomes).toEqual([ABORT]);
  });

  it('was aborted too if the others of that majority were never told of it', () => {
    const bench = new Bench();
    bench.start();
    bench.finished('n1', ABORT);
    bench.promise('n2');
    expect(bench.outcomes, 'a commit would be known to n1 or to n2').toEqual([ABORT]);
    const reversed = new Bench();
    reversed.start();
    reversed.promise('n3');
    reversed.finished('n1', UNDECIDED);
    expect(reversed.outcomes).toEqual([UNDECIDED]);
  });

  it('is not proved aborted by others than its home group', () => {
    const four = new Topology(viewOf(4), 'n1');
    const partition = partitionWhere(four, (members) => members.includes('n1'));
    const { members } = four.groupOf(partition);
    const stranger = all.concat('n4').find((node) => !members.includes(node)) as string;
    const bench = new Bench(four);
    bench.start([partition]);
    bench.finished(members[0] as string, ABORT);
    bench.finished(stranger, ABORT);
    expect(bench.outcomes).toEqual([]);
  });

  it('has no outcome any more if one of them has forgotten, unless another remembers the commit', () => {
    const forgotten = new Bench();
    forgotten.start();
    forgotten.finished('n1', UNDECIDED);
    forgotten.finished('n2', ABORT);
    expect(forgotten.outcomes).toEqual([UNDECIDED]);
    const remembered = new Bench();
    remembered.start();
    remembered.finished('n1', UNDECIDED);
    remembered.finished('n2', 130);
    expect(remembered.outcomes).toEqual([130]);
  });
});
