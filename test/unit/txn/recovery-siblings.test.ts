/** The recoverer with the protocols whose decision only the coordinator's node has, and with those that ask all groups to accept. */
import { describe, expect, it } from 'vitest';
import { protocolNumber } from '../../../client/wire/protocols.ts';
import { ABORT, Tag, type Key } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { bodyOf } from './bodies.ts';
import { all, Bench, id, name, three } from './recovery-bench.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const twoPhase = protocolNumber('2pc');
const optimized = protocolNumber('o2pc');
const threePhase = protocolNumber('3pc');
const body = bodyOf({}, { [keysIn(three, 0, 1)[0] as Key]: 'x' });

describe.each([['2pc', twoPhase], ['o2pc', optimized]] as const)('a recovery under %s', (_name, protocol) => {
  it('waits for the node of the coordinator, whatever all others say', () => {
    const bench = new Bench();
    bench.start([0], protocol);
    expect(bench.asked().recover).toEqual(all.map((node) => [node, 1]));
    bench.promise('n2', { timestamp: 100, protocol, body });
    bench.promise('n3', { timestamp: 100, protocol, body });
    expect([bench.asked().accept, bench.outcomes]).toEqual([[], []]);
    bench.promise('n1', { timestamp: 100, protocol, body });
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 1, ABORT]));
    bench.accepted('n2');
    bench.accepted('n3');
    expect(bench.outcomes).toEqual([]);
    bench.accepted('n1');
    expect(bench.outcomes).toEqual([ABORT]);
  });

  it('ends as the coordinator logged', () => {
    const bench = new Bench();
    bench.start([0], protocol);
    bench.promise('n1', { accepted: [0, 'n1', 120] });
    bench.promise('n2', { timestamp: 100, protocol, body });
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 1, 120]));
    bench.accepted('n1');
    bench.accepted('n3');
    expect(bench.outcomes).toEqual([120]);
  });

  it('hears a majority of the home group too: an operator may have decided there while the coordinator was away', () => {
    const bench = new Bench();
    bench.start([0], protocol);
    bench.promise('n1');
    expect(bench.asked().accept).toEqual([]);
    bench.promise('n3', { timestamp: 100, protocol, accepted: [4, 'n2', 120], body });
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 1, 120]));
    // Else the next one might not meet it.
    bench.accepted('n1');
    expect(bench.outcomes).toEqual([]);
    bench.accepted('n2');
    expect(bench.outcomes).toEqual([120]);
  });

  it('ends as somebody heard that it was decided', () => {
    const bench = new Bench();
    bench.outbox.down.add('n1');
    bench.start([0], protocol);
    bench.recovery.onDecide([Tag.decide, ...name, 130, body]);
    expect(bench.outcomes).toEqual([130]);
  });

  it('is blocked while that node is away, says so, asks nobody for another promise, and goes on the moment it is back', () => {
    const bench = new Bench();
    bench.outbox.down.add('n1');
    bench.start([0], protocol);
    bench.promise('n2', { timestamp: 100, protocol, body });
    bench.promise('n3', { timestamp: 100, protocol, body });
    bench.outbox.take();
    for (let i = 0; i < 100; i++) {
      bench.pass(1_000);
      const { recover, accept } = bench.asked();
      expect(accept).toEqual([]);
      for (const [, round] of recover) expect(round, 'promised already').toBe(1);
    }
    expect(bench.recovery.blocked).toEqual([{ id, protocol: _name, waitsFor: ['n1'], sinceMs: expect.any(Number) }]);
    expect(bench.recovery.blockedAt(id)).toEqual(bench.recovery.blocked[0]);
    expect(bench.recovery.counters.blocked).toBe(1);
    bench.outbox.down.clear();
    bench.recovery.peerUp('n1');
    expect(bench.asked().recover.map(([to]) => to)).toEqual(all);
    expect(bench.recovery.blocked).toEqual([]);
    for (const node of ['n1', 'n2']) bench.promise(node, { round: 2 });
    for (const node of ['n1', 'n2']) bench.accepted(node, 2);
    expect(bench.outcomes).toEqual([ABORT]);
  });

  it('is not begun again for a client who names it: one replica’s record says of what protocol it is', () => {
    const bench = new Bench();
    bench.claim([0]);
    bench.promise('n2', { timestamp: 100, protocol, body });
    bench.promise('n3', { timestamp: 100, protocol, body });
    // DTP would commit it by now.
    expect(bench.asked().accept).toEqual([]);
    bench.promise('n1', { timestamp: 100, protocol, body });
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 1, ABORT]));
  });

  it('asks the node of the coordinator even where that keeps no replica', () => {
    const five = new Topology(viewOf(5), 'n3');
    const partition = partitionWhere(five, (members) => !members.includes('n1') && members.includes('n3'));
    const bench = new Bench(five);
    bench.start([partition], protocol);
    expect(bench.asked().recover.map(([to]) => to)).toEqual([...five.groupOf(partition).members, 'n1']);
    const home = five.groupOf(partition).members;
    for (const node of home) bench.promise(node);
    expect(bench.asked().accept).toEqual([]);
    bench.promise('n1', { accepted: [0, 'n1', 120] });
    expect(bench.asked().accept).toEqual(['n1', ...home].map((node) => [node, 1, 120]));
  });

  it('is blocked by as many of the home group as make a majority, and then names them', () => {
    const bench = new Bench();
    bench.outbox.down.add('n2');
    bench.start([0], protocol);
    bench.pass(10_000);
    bench.pass(10_000);
    expect(bench.recovery.blocked).toEqual([]);
    bench.outbox.down.add('n1');
    bench.pass(10_000);
    bench.pass(10_000);
    expect(bench.recovery.blocked).toEqual([{ id, protocol: _name, waitsFor: ['n1', 'n2'], sinceMs: expect.any(Number) }]);
    bench.outbox.down.delete('n2');
    bench.recovery.peerUp('n2');
    // Asked, for it may know; still blocked, and since then.
    expect(bench.recovery.blocked).toEqual([{ id, protocol: _name, waitsFor: ['n1'], sinceMs: expect.any(Number) }]);
    bench.pass(10_000);
    bench.pass(10_000);
    expect(bench.recovery.counters.blocked).toBe(1);
  });
});

describe('a recovery under 3pc', () => {
  const five = new Topology(viewOf(5), 'n1');
  const first = partitionWhere(five, (members) => members.includes('n1'));
  const second = partitionWhere(five, (members) => members.join() !== five.groupOf(first).members.join());
  const [home, other] = [five.groupOf(first).members, five.groupOf(second).members];
  const everybody = [...new Set([...home, ...other])];

  it('commits what anybody of any group was pre-committed to, and has all groups accept it', () => {
    const bench = new Bench(five);
    bench.start([first, second], threePhase);
    bench.asked();
    const [pre, ...rest] = [...other, ...home.filter((node) => !other.includes(node))];
    bench.promise(pre as string, { timestamp: 100, protocol: threePhase, accepted: [0, 'n1', 110] });
    for (const node of rest) bench.promise(node, { timestamp: 100, protocol: threePhase });
    expect(bench.asked().accept).toEqual(everybody.map((node) => [node, 1, 110]));
    // A majority of the home group is not enough.
    for (const node of home.filter((member) => !other.includes(member))) bench.accepted(node);
    expect(bench.outcomes).toEqual([]);
    for (const node of other) bench.accepted(node);
    expect(bench.outcomes).toEqual([110]);
  });

  it('aborts what nobody was pre-committed to, though all voted OK', () => {
    const bench = new Bench();
    bench.start([0], threePhase);
    bench.promise('n1', { timestamp: 100, protocol: threePhase });
    bench.promise('n2', { timestamp: 100, protocol: threePhase });
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 1, ABORT]));
  });

  it('follows a later abort rather than a pre-commit', () => {
    const bench = new Bench();
    bench.start([0], threePhase);
    bench.promise('n1', { timestamp: 100, protocol: threePhase, accepted: [0, 'n1', 100] });
    bench.promise('n2', { timestamp: 100, protocol: threePhase, accepted: [4, 'n2', ABORT] });
    expect(bench.asked().accept.map(([, , decision]) => decision)).toEqual([ABORT, ABORT, ABORT]);
  });
});

describe('a transaction that is finished', () => {
  it('was aborted if this node holds its locks: a commit is finished only when all who voted have acknowledged it', () => {
    const bench = new Bench();
    bench.held = true;
    bench.start([0], optimized);
    bench.finished('n2', ABORT);
    expect(bench.outcomes).toEqual([ABORT]);
  });
});
