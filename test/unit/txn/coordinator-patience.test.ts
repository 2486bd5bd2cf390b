/** How long the coordinator waits for the last votes. */
import { describe, expect, it } from 'vitest';
import { Tag, Vote } from '../../../client/wire/messages.ts';
import { Bench } from './coordinator-bench.ts';
import { only } from './scripted-outbox.ts';

const toAll = (tag: string): string[] => ['n1', 'n2', 'n3'].map((node) => `${tag}>${node}`);

describe('the patience of a coordinator', () => {
  it('waits a little for the last vote, then commits with a majority, and sends the body to who did not vote OK', () => {
    const bench = new Bench();
    const bytes = bench.start(1);
    bench.outbox.take();
    bench.vote('n1', 1, Vote.ok);
    bench.vote('n3', 1, Vote.ok);
    bench.pass(19);
    expect(bench.outbox.take()).toEqual([]);
    bench.pass(1);
    expect(bench.outbox.takeNames()).toEqual(toAll('accept'));
    bench.vote('n2', 1, Vote.stale, 120);
    bench.accepted('n1', 1);
    bench.accepted('n3', 1);
    expect(bench.decisions).toEqual([100]);
    expect(only(bench.outbox.take(), Tag.decide).map(([to, message]) => [to, message[5]])).toEqual([['n1', null], ['n2', bytes], ['n3', null]]);
  });

  it('asks to be called when it has waited long enough, once for all, and again while there is a vote to wait for', () => {
    const bench = new Bench();
    bench.start(1);
    expect(bench.wakes, 'nobody has voted').toEqual([]);
    bench.nowMs += 5;
    bench.vote('n1', 1, Vote.ok);
    bench.start(2);
    bench.vote('n1', 2, Vote.ok);
    expect(bench.wakes).toEqual([15]);
    bench.pass(15);
    expect(bench.wakes).toEqual([15, 5]);
    bench.pass(5);
    expect(bench.wakes, 'both have waited').toEqual([15, 5]);
  });

  it('need not wait for its proposal when the votes that it did not wait for say the same', () => {
    const bench = new Bench();
    bench.start(1);
    bench.outbox.take();
    for (const node of ['n1', 'n3']) bench.vote(node, 1, Vote.ok);
    bench.pass(20);
    expect(bench.outbox.takeNames()).toEqual(toAll('accept'));
    bench.vote('n2', 1, Vote.ok);
    expect(bench.decisions).toEqual([100]);
    for (const node of ['n1', 'n2', 'n3']) bench.accepted(node, 1);
    expect(bench.decisions, 'once').toEqual([100]);
  });

  it('waits for its proposal when they say another time', () => {
    const bench = new Bench();
    bench.start(1);
    for (const node of ['n1', 'n3']) bench.vote(node, 1, Vote.ok);
    bench.pass(20);
    bench.vote('n2', 1, Vote.ok, 101);
    expect(bench.decisions).toEqual([]);
    for (const node of ['n1', 'n2']) bench.accepted(node, 1);
    expect(bench.decisions).toEqual([100]);
  });

  it('waits longer for the last vote when votes have been taking longer', () => {
    const bench = new Bench();
    for (let number = 1; number <= 200; number++) {
      bench.start(number);
      bench.nowMs += 15;
      for (const node of ['n1', 'n2', 'n3']) bench.vote(node, number, Vote.ok);
    }
    bench.outbox.take();
    bench.start(300);
    bench.outbox.take();
    bench.vote('n1', 300, Vote.ok);
    bench.vote('n2', 300, Vote.ok);
    bench.pass(25);
    expect(bench.outbox.take(), 'twice the usual is not over').toEqual([]);
    bench.pass(10);
    expect(bench.outbox.takeNames()).toEqual(toAll('accept'));
  });
});
