/** What a recoverer makes of a name that comes with the wrong partitions, or with no more than a client's word for them. */
import { describe, expect, it } from 'vitest';
import { ABORT, type Key } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { bodyOf } from './bodies.ts';
import { all, Bench } from './recovery-bench.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

describe('a transaction that was misnamed', () => {
  const four = new Topology(viewOf(4), 'n1');
  const right = partitionWhere(four, (members) => members.includes('n1'));
  const rightMembers = four.groupOf(right).members;
  const wrong = partitionWhere(four, (members) => members.join() !== rightMembers.join() && members.includes('n1'));
  const body = bodyOf({}, { [keysIn(four, right, 1)[0] as Key]: 'x' });

  it('is asked for again where its record says, with a higher ballot and none of the answers so far', () => {
    const bench = new Bench(four);
    bench.start([wrong]);
    bench.outbox.take();
    const [first, second] = four.groupOf(wrong).members.filter((member) => rightMembers.includes(member)) as [string, string];
    bench.promise(first, { timestamp: 100, body });
    expect(bench.asked()).toEqual({ recover: rightMembers.map((node) => [node, 2]), accept: [] });
    bench.promise(second, { timestamp: 100, body });
    expect(bench.asked().accept, 'an answer to the wrong question').toEqual([]);
    bench.promise(first, { round: 2, timestamp: 100, body });
    bench.promise(second, { round: 2, timestamp: 100, body });
    expect(bench.asked().accept).toEqual(rightMembers.map((node) => [node, 2, 100]));
  });

  it('is taken for misnamed if its home is, though the partitions are the same', () => {
    const both = bodyOf({}, { [keysIn(four, right, 1)[0] as Key]: 'x', [keysIn(four, wrong, 1)[0] as Key]: 'y' });
    const bench = new Bench(four);
    bench.start([wrong, right]);
    bench.promise('n1', { timestamp: 100, body: both });
    bench.promise(rightMembers[1] as string, { round: 2, timestamp: 100, body: both });
    bench.outbox.take();
    for (const node of four.groupOf(wrong).members) bench.promise(node, { round: 2, timestamp: 100 });
    expect(bench.asked().accept.map(([to]) => to)).toEqual(rightMembers);
  });
});

describe('a transaction that a client names', () => {
  const five = new Topology(viewOf(5), 'n1');
  const wrong = partitionWhere(five, (members) => members.includes('n1'));
  const others = five.groupOf(wrong).members;
  const right = partitionWhere(five, (members) => members.filter((member) => others.includes(member)).length === 1);
  const everybody = ['n1', 'n2', 'n3', 'n4', 'n5'];
  const toAsk = (bench: Bench): string[] => bench.asked().recover.map(([to]) => to).sort();
  const promiseOfMost = (bench: Bench, round: number): void => {
    for (const node of everybody.slice(0, 4)) bench.promise(node, { round });
  };

  it('is not decided without its own groups, whatever the client says', () => {
    const bench = new Bench(five);
    bench.claim([wrong]);
    expect(toAsk(bench)).toEqual(others);
    for (const node of others) bench.promise(node);
    const { recover, accept } = bench.asked();
    expect([recover.map(([to, round]) => `${to} ${round}`).sort(), accept]).toEqual([everybody.map((node) => `${node} 2`), []]);
    bench.promise(others[0] as string, { round: 2 });
    const holder = five.groupOf(right).members.find((member) => !others.includes(member)) as string;
    bench.promise(holder, { round: 2, timestamp: 100, body: bodyOf({}, { [keysIn(five, right, 1)[0] as Key]: 'x' }) });
    expect(toAsk(bench)).toEqual(five.groupOf(right).members);
  });

  it('is aborted if nobody has a record of it', () => {
    const bench = new Bench(five);
    bench.claim([right]);
    for (const node of five.groupOf(right).members) bench.promise(node);
    bench.asked();
    promiseOfMost(bench, 2);
    expect(bench.asked().accept).toEqual(five.groupOf(right).members.map((node) => [node, 2, ABORT]));
  });

  it('is not proved aborted by a majority of the group of which the client says that it is its home', () => {
    const bench = new Bench(five);
    bench.claim([wrong]);
    for (const node of others) bench.finished(node, ABORT);
    expect(bench.outcomes).toEqual([]);
    const home = five.groupOf(right).members.filter((node) => !others.includes(node));
    bench.finished(home[0] as string, 130);
    expect(bench.outcomes).toEqual([130]);
  });

  it('is recovered in its own groups once a replica asks for it', () => {
    const bench = new Bench(five);
    bench.claim([wrong]);
    bench.outbox.take();
    bench.start([right]);
    expect(toAsk(bench)).toEqual(five.groupOf(right).members);
  });

  it('needs no more than its own group where there is but one', () => {
    const bench = new Bench();
    bench.claim([5]);
    bench.promise('n1');
    bench.promise('n2');
    expect(bench.asked().accept).toEqual(all.map((node) => [node, 1, ABORT]));
  });
});
