/** Reads among replicas that may have forgotten something, by the node n1. */
import { describe, expect, it } from 'vitest';
import { Tag, type Key, type Message } from '../../../client/wire/messages.ts';
import { Bench, hedgeMs, three } from './reads-bench.ts';
import { keysIn, partitionWhere } from './topologies.ts';

const partition = partitionWhere(three, () => true);
const [a] = keysIn(three, partition, 1) as [Key];
const [second, third] = three.preferenceOf(partition).filter((member) => member !== 'n1') as [string, string];

describe('a read among doubtful replicas', () => {
  it('asks the others at once when one declines, and never that one again', () => {
    const bench = new Bench();
    bench.write(a, 60, 'here');
    bench.get(a);
    bench.decline(second, bench.asked()[second]);
    const asked = bench.asked();
    expect(Object.keys(asked)).toEqual([third]);
    bench.pass(hedgeMs);
    expect(bench.asked()).toEqual({});
    bench.answer(third, asked[third], { [a]: [60, 'here'] });
    expect(bench.texts).toEqual([[[60, 'here']]]);
  });

  it('fails when fewer than a majority would answer', () => {
    const bench = new Bench();
    bench.replica.store.doubts.doubt([partition], 'of a test');
    bench.get(a);
    const asked = bench.asked();
    expect(Object.keys(asked)).toEqual([second, third]);
    bench.decline(third, asked[third]);
    expect(Object.keys(bench.asked())).toEqual([]);
    expect(bench.failures).toEqual(['unavailable']);
  });

  it('asks others in place of a doubtful self, and learns from them', () => {
    const bench = new Bench();
    bench.write(a, 60, 'here');
    bench.replica.store.doubts.doubt([partition], 'of a test');
    bench.get(a);
    const asked = bench.asked();
    expect(Object.keys(asked)).toEqual([second, third]);
    bench.answer(second, asked[second], { [a]: [80, 'new'] });
    bench.answer(third, asked[third], { [a]: [80, 'new'] });
    const { [second]: again } = bench.asked();
    bench.answer(second, again, { [a]: [80, 'new'] });
    expect([bench.texts, bench.replica.text(a)]).toEqual([[[[80, 'new']]], 'new']);
  });

  it('is declined while there is doubt, also if that comes while a lock is waited for', () => {
    const bench = new Bench();
    const declined = (question: Message): Message[] => {
      if (question[0] === Tag.peek) bench.reads.onPeek('n2', question);
      if (question[0] === Tag.confirm) bench.reads.onConfirm('n2', question);
      return bench.replica.outbox.take().map(([, answer]) => answer);
    };
    const unlock = bench.lock(a);
    expect(declined([Tag.peek, 1, 7, [a], false])).toEqual([]);
    expect(declined([Tag.confirm, 2, 7, [a], [60]])).toEqual([]);
    bench.replica.store.doubts.doubt([partition], 'of a test');
    unlock(70);
    expect(declined([Tag.peek, 3, 7, [a], false])).toEqual([[Tag.declined, 1], [Tag.declined, 2], [Tag.declined, 3]]);
    expect(declined([Tag.confirm, 4, 7, [a], [70]])).toEqual([[Tag.declined, 4]]);
  });
});
