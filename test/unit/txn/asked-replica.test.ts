/** What a replica answers that is asked for versions, or to confirm them: n2 asks, n1 answers. */
import { describe, expect, it } from 'vitest';
import { ABORT, Tag, type Key, type Message } from '../../../client/wire/messages.ts';
import { Kind } from '../../../node/store/records.ts';
import { bodyOf, valueOf } from './bodies.ts';
import { Bench, three } from './reads-bench.ts';
import { keysIn, partitionWhere } from './topologies.ts';

const partition = partitionWhere(three, () => true);
const [a, b] = keysIn(three, partition, 2) as [Key, Key];

describe('a replica that is asked', () => {
  /** What n1 says to n2 when asked for these keys; nothing while it waits. */
  const ask = (bench: Bench, keys: readonly Key[]): (() => Message[]) => {
    bench.reads.onPeek('n2', [Tag.peek, 5, 7, [...keys], true]);
    return () => bench.replica.outbox.take().map(([, message]) => message);
  };

  it('answers when the outcome of who writes the key is known, with what was written', () => {
    const bench = new Bench();
    bench.write(a, 40, 'before');
    const unlock = bench.lock(a);
    const answers = ask(bench, [a, b]);
    expect(answers()).toEqual([]);
    unlock(60);
    expect(answers()).toEqual([[Tag.peeked, 5, 0, true, [60, valueOf('locked 2'), 0, null]]]);
  });

  it('does not wait for who only reads the key', () => {
    const bench = new Bench();
    bench.replica.ledger.enter([Kind.prepared, 'n9', 1, 1, 7, 0, 50, bodyOf({ [a]: 0 }, { [b]: 'x' })]);
    expect(ask(bench, [a])()).toHaveLength(1);
  });

  it('waits for each key once: writes that began after the question are not waited for', () => {
    const bench = new Bench();
    const unlockA = bench.lock(a);
    const unlockB = bench.lock(b);
    const answers = ask(bench, [a, b]);
    unlockA(60);
    const unlockAgain = bench.lock(a);
    unlockB(ABORT);
    expect(answers(), 'a hot key would never be read together with others').toEqual([[Tag.peeked, 5, 0, true, [60, valueOf('locked 1'), 0, null]]]);
    unlockAgain(70);
    expect(answers()).toEqual([]);
  });

  it('to confirm versions waits the same way, and names a key that changed', () => {
    const bench = new Bench();
    bench.write(a, 40, 'before');
    const unlock = bench.lock(a);
    bench.reads.onConfirm('n2', [Tag.confirm, 5, 7, [b, a], [0, 40]]);
    expect(bench.replica.outbox.take()).toEqual([]);
    unlock(60);
    expect(bench.replica.outbox.take()).toEqual([['n2', [Tag.confirmed, 5, 0, a]]]);
    bench.reads.onConfirm('n2', [Tag.confirm, 6, 7, [b, a], [0, 60]]);
    expect(bench.replica.outbox.take()).toEqual([['n2', [Tag.confirmed, 6, 0, null]]]);
    bench.reads.onConfirm('n2', [Tag.confirm, 7, 7, [b, a], [0, 59]]);
    expect(bench.replica.outbox.take()).toEqual([['n2', [Tag.confirmed, 7, 0, a]]]);
  });

  it('does not confirm that a key was absent that was written and deleted since; who read of the deletion is right', () => {
    const bench = new Bench();
    const confirmed = (version: number): unknown => {
      bench.reads.onConfirm('n2', [Tag.confirm, 5, 7, [a], [version]]);
      return bench.replica.outbox.take()[0]?.[1];
    };
    expect(confirmed(0)).toEqual([Tag.confirmed, 5, 0, null]);
    bench.write(a, 40, 'moved here');
    bench.replica.ledger.enter([Kind.outcome, 'n9', 1, 1_000, 60, bodyOf({}, { [a]: null })]);
    expect([confirmed(0), confirmed(60)], 'it was there at 40').toEqual([[Tag.confirmed, 5, 0, a], [Tag.confirmed, 5, 0, null]]);
    bench.replica.store.versions.collect(three.partitionOf(a), 70);
    expect([confirmed(0), confirmed(60), confirmed(70)], 'so long ago that nothing is kept of it').toEqual([[Tag.confirmed, 5, 0, null], [Tag.confirmed, 5, 0, null], [Tag.confirmed, 5, 0, null]]);
  });

  it('does not answer in a later session, where a new life of who asked may mean another question by that number', () => {
    const bench = new Bench();
    const unlock = bench.lock(a);
    const answers = ask(bench, [a]);
    bench.reads.onConfirm('n2', [Tag.confirm, 6, 7, [a], [0]]);
    bench.reads.peerDown('n2');
    bench.reads.onPeek('n2', [Tag.peek, 1, 7, [a], false]);
    unlock(60);
    expect(answers()).toEqual([[Tag.peeked, 1, 0, false, [60, null]]]);
  });

  it('in another view says which', () => {
    const bench = new Bench();
    bench.reads.onPeek('n2', [Tag.peek, 5, 6, [a], true]);
    bench.reads.onConfirm('n2', [Tag.confirm, 6, 6, [a], [0]]);
    expect(bench.replica.outbox.take()).toEqual([['n2', [Tag.peeked, 5, 7, true, []]], ['n2', [Tag.confirmed, 6, 7, null]]]);
  });
});
