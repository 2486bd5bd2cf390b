import { describe, expect, it } from 'vitest';
import { checkCounter } from '../../sim/checker/counter.ts';
import { type CounterOperation, type History, MalformedHistory } from '../../sim/checker/history.ts';
import { counterHistory } from './generate.ts';
import { add, failed, get, ok, unknown } from './notation.ts';
import { Random } from './random.ts';

const cases: readonly { what: string; history: History<CounterOperation>; says: readonly string[] }[] = [
  { what: 'nothing at all', history: [], says: [] },
  { what: 'each acknowledged one counted once', history: [ok(1, 0, 1, add('c')), ok(2, 0, 1, add('c', 2)), ok(3, 2, 3, get('c', 3))], says: [] },
  { what: 'an unknown one counted', history: [ok(1, 0, 1, add('c')), unknown(2, 0, add('c')), ok(3, 2, 3, get('c', 2))], says: [] },
  { what: 'an unknown one not counted', history: [ok(1, 0, 1, add('c')), unknown(2, 0, add('c')), ok(3, 2, 3, get('c', 1))], says: [] },
  { what: 'one that overlaps the read', history: [ok(1, 0, 9, add('c')), ok(2, 1, 2, get('c', null)), ok(3, 3, 4, get('c', 1))], says: [] },
  { what: 'around its own', history: [ok(1, 0, 1, get('c', null), add('c', 5), get('c', 5)), ok(2, 2, 3, get('c', 5), add('c'))], says: [] },
  {
    what: 'an acknowledged one is missing',
    history: [ok(1, 0, 1, add('c')), ok(2, 0, 1, add('c')), ok(3, 2, 3, get('c', 1))],
    says: ['lost-increment: T3 read c=1, but 2 was acknowledged before'],
  },
  {
    what: 'its own is missing',
    history: [ok(1, 0, 1, add('c'), get('c', null))],
    says: ['lost-increment: T1 read c=0, but 1 was acknowledged before'],
  },
  {
    what: 'an unknown one is counted twice',
    history: [ok(1, 0, 1, add('c')), unknown(2, 0, add('c')), ok(3, 2, 3, get('c', 3))],
    says: ['surplus-increment: T3 read c=3, but no more than 2 was added in all'],
  },
  {
    what: 'a failed one is counted',
    history: [failed(1, 0, 1, add('c')), ok(3, 2, 3, get('c', 1))],
    says: ['surplus-increment: T3 read c=1, but no more than 0 was added in all'],
  },
  {
    what: 'one from the future is counted',
    history: [ok(1, 0, 1, get('c', 1)), ok(2, 2, 3, add('c'))],
    says: ['surplus-increment: T1 read c=1, but no more than 0 was added in all'],
  },
  {
    what: 'its own is counted before it is made',
    history: [ok(1, 0, 1, get('c', 1), add('c'))],
    says: ['surplus-increment: T1 read c=1, but no more than 0 was added in all'],
  },
  {
    what: 'an unknown one is there and then gone',
    history: [unknown(1, 0, add('c')), ok(2, 1, 2, get('c', 1)), ok(3, 3, 4, get('c', null))],
    says: ['counter-decreased: T2 read c=1, and T3, which began after that, read 0'],
  },
  {
    what: 'two add to the same value',
    history: [ok(1, 0, 9, get('c', null), add('c')), ok(2, 0, 9, get('c', null), add('c')), unknown(3, 0, add('c')), ok(4, 10, 11, get('c', 2))],
    says: ['lost-update: T1 and T2 both read c=0 and both added to it'],
  },
  {
    what: 'something else is in its place',
    history: [ok(1, 0, 1, get('c', 'many'))],
    says: ['unwritten-read: T1 read c="many", which is not a number'],
  },
];

describe('counter', () => {
  it.each(cases)('$what', ({ history, says }) => {
    const { outcome, anomalies } = checkCounter(history);
    expect(anomalies.map(({ message }) => message)).toEqual(says);
    expect(outcome).toBe(says.length === 0 ? 'valid' : 'invalid');
  });

  it('refuses what does not grow', () => {
    expect(() => checkCounter([ok(1, 0, 1, add('c', 0))])).toThrow(new MalformedHistory('a counter only grows, but 0 was added to c'));
  });

  it('finds nothing wrong in valid histories, and each acknowledged increment that is lost for good', () => {
    let lost = 0;
    for (let seed = 0; seed < 500; seed += 1) {
      const history = counterHistory({ seed, count: 100, processes: 1 + (seed % 6), keys: 2, unknownChance: (seed % 3) * 0.1 });
      const { outcome, anomalies } = checkCounter(history);
      expect({ outcome, anomalies }, `seed ${seed}`).toEqual({ outcome: 'valid', anomalies: [] });

      const known = history.filter((transaction) => transaction.outcome === 'ok');
      const additions = known.filter(({ operations }) => operations.length === 1 && operations[0]!.type === 'add');
      if (additions.length === 0) continue;
      const total = new Map<string, number>();
      for (const micro of known.flatMap(({ operations }) => operations)) {
        if (micro.type === 'add') total.set(micro.key, (total.get(micro.key) ?? 0) + micro.delta);
      }
      const { key } = new Random(seed).pick(additions).operations[0]!;
      const finalRead = ok(1_000, 100_000, 100_001, get(key, total.get(key)! - 1));
      lost += 1;
      expect(checkCounter([...history, finalRead]).anomalies.map(({ name }) => name), `seed ${seed}`).toContain('lost-increment');
    }
    expect(lost).toBeGreaterThan(400);
  });

  it('judges 10,000 transactions of 30 processes', () => {
    const history = counterHistory({ seed: 1, count: 10_000, processes: 30, keys: 3, unknownChance: 0.05 });
    const startedAt = performance.now();
    const { outcome, observations } = checkCounter(history);
    console.log(`counter: ${observations} reads judged in ${Math.round(performance.now() - startedAt)} ms`);
    expect(outcome).toBe('valid');
  });
});
