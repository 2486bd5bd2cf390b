import { describe, expect, it } from 'vitest';
import { type History, MalformedHistory, type RegisterOperation } from '../../sim/checker/history.ts';
import { checkRegister } from '../../sim/checker/register.ts';
import { isStrictlySerializable } from './brute-force.ts';
import { anyRegisterHistory, registerHistory, type Shape } from './generate.ts';
import { compareAndSet, failed, get, ok, set, unknown } from './notation.ts';

const right: Record<string, History<RegisterOperation>> = {
  'nothing at all': [],
  'absent at first': [ok(1, 0, 1, get('x', null))],
  'two writes at the same time, in either order': [ok(1, 0, 9, set('x', 1)), ok(2, 0, 9, set('x', 2)), ok(3, 10, 11, get('x', 1))],
  'a read that overlaps a write sees it or not': [ok(1, 0, 9, set('x', 1)), ok(2, 1, 2, get('x', null)), ok(3, 3, 4, get('x', 1))],
  'completed at the instant that another begins': [ok(1, 0, 5, set('x', 1)), ok(2, 5, 6, get('x', null)), ok(3, 7, 8, get('x', 1))],
  'unknown, begun at the instant that another completes': [ok(1, 0, 5, get('x', 1)), unknown(2, 5, set('x', 1))],
  'a failed write is never seen': [failed(1, 0, 1, set('x', 1)), ok(2, 2, 3, get('x', null))],
  'an unknown write takes effect late': [unknown(1, 0, set('x', 1)), ok(2, 5, 6, get('x', null)), ok(3, 7, 8, get('x', 1))],
  'an unknown write never takes effect': [unknown(1, 0, set('x', 1)), ok(2, 5, 6, get('x', null)), ok(3, 7, 8, get('x', null))],
  'an unknown write explains a compare-and-set that did not match': [
    ok(1, 0, 1, set('x', 1)), unknown(2, 2, set('x', 7)), ok(3, 3, 4, compareAndSet('x', 1, 2, false)), ok(4, 5, 6, get('x', 7)),
  ],
  'an unknown compare-and-set, then one that builds upon it': [
    unknown(1, 0, compareAndSet('x', null, 1)), ok(2, 2, 3, compareAndSet('x', 1, 2, true)), ok(3, 4, 5, get('x', 2)),
  ],
  'an unknown read says nothing': [unknown(1, 0, get('x', 7)), ok(2, 2, 3, get('x', null))],
  'deleted and set again': [
    ok(1, 0, 1, set('x', 1)), ok(2, 2, 3, set('x', null)), ok(3, 4, 5, get('x', null)), ok(4, 6, 7, compareAndSet('x', null, 1, true)),
  ],
};

interface Example {
  readonly what: string;
  readonly history: History<RegisterOperation>;
  readonly says: string;
  readonly prefix: readonly number[];
  readonly at: number;
}

const wrong: readonly Example[] = [
  {
    what: 'a stale read',
    history: [ok(1, 0, 1, set('x', 1)), ok(2, 2, 3, set('x', 2)), ok(3, 4, 5, get('x', 1))],
    says: 'nonlinearizable: x is 2 after T1 set 1, T2 set 2; then T3 get -> 1 has no place',
    prefix: [1, 2],
    at: 3,
  },
  {
    what: 'seen, and then no longer, while the write goes on',
    history: [ok(1, 0, 1, set('x', 1)), ok(2, 2, 9, set('x', 2)), ok(3, 3, 4, get('x', 2)), ok(4, 5, 6, get('x', 1))],
    says: 'nonlinearizable: x is 2 after T1 set 1, T2 set 2, T3 get -> 2; then T4 get -> 1 has no place',
    prefix: [1, 2, 3],
    at: 4,
  },
  {
    what: 'two swap the same value',
    history: [ok(1, 0, 2, compareAndSet('x', null, 1, true)), ok(2, 0, 3, compareAndSet('x', null, 2, true))],
    says: 'nonlinearizable: x is 1 after T1 compare-and-set absent to 1 -> swapped; then T2 compare-and-set absent to 2 -> swapped has no place',
    prefix: [1],
    at: 2,
  },
  {
    what: 'a compare-and-set that should have matched',
    history: [ok(1, 0, 1, set('x', 'a')), ok(2, 2, 3, compareAndSet('x', 'a', 'b', false)), ok(3, 2, 9, get('x', 'c'))],
    says: 'nonlinearizable: x is "a" after T1 set "a"; then T2 compare-and-set "a" to "b" -> not swapped has no place, '
      + 'nor with what may come before it: T3 get -> "c"',
    prefix: [1],
    at: 2,
  },
  {
    what: 'what a failed write wrote',
    history: [failed(1, 0, 1, set('x', 1)), ok(2, 2, 3, get('x', 1))],
    says: 'nonlinearizable: x is absent at the start; then T2 get -> 1 has no place',
    prefix: [],
    at: 2,
  },
  {
    what: 'an unknown write takes effect twice',
    history: [
      unknown(1, 0, set('x', 1)), ok(2, 2, 3, get('x', 1)), ok(3, 4, 5, set('x', null)), ok(4, 6, 7, get('x', null)), ok(5, 8, 9, get('x', 1)),
    ],
    says: 'nonlinearizable: x is absent after T1 set 1 (unknown), T2 get -> 1, T3 delete, T4 get -> absent; then T5 get -> 1 has no place',
    prefix: [1, 2, 3, 4],
    at: 5,
  },
  {
    what: 'a read of the future',
    history: [ok(1, 0, 1, get('x', 1)), unknown(2, 2, set('x', 1))],
    says: 'nonlinearizable: x is absent at the start; then T1 get -> 1 has no place',
    prefix: [],
    at: 1,
  },
];

describe('register', () => {
  it.each(Object.entries(right))('right: %s', (_, history) => {
    expect(checkRegister(history)).toMatchObject({ outcome: 'valid', anomalies: [], stuck: [], undecided: [] });
  });

  it.each(wrong)('wrong: $what', ({ history, says, prefix, at }) => {
    const { outcome, anomalies, stuck } = checkRegister(history);
    expect({ outcome, says: anomalies.map(({ message }) => message) }).toEqual({ outcome: 'invalid', says: [says] });
    expect(stuck).toEqual([{ key: 'x', longestPrefix: prefix, at }]);
  });

  it('starts from the initial values given', () => {
    const history = [ok(1, 0, 1, get('x', 7)), ok(2, 0, 1, get('y', null))];
    expect(checkRegister(history, { initial: new Map([['x', 7]]) }).outcome).toBe('valid');
    expect(checkRegister(history).stuck.map(({ key }) => key)).toEqual(['x']);
  });

  it('judges each key by itself', () => {
    const writes = [ok(1, 0, 1, set('x', 1)), ok(2, 0, 1, set('y', 1))];
    const history = [...writes, ok(3, 2, 3, get('x', null)), ok(4, 2, 3, get('y', 1)), ok(5, 2, 3, get('z', 5))];
    expect(checkRegister(history).stuck.map(({ key }) => key)).toEqual(['x', 'z']);
  });

  it('says that it is undecided where the search reaches its bound', () => {
    const history = [...Array.from({ length: 8 }, (_, id) => ok(id, 0, 9, set('x', id))), ok(100, 10, 11, get('x', 100))];
    expect(checkRegister(history, { configurationsMax: 10 })).toMatchObject({ outcome: 'undecided', anomalies: [], undecided: ['x'] });
    expect(checkRegister(history)).toMatchObject({ outcome: 'invalid', undecided: [] });
  });

  it('refuses operations of several keys, and answers that are missing', () => {
    expect(() => checkRegister([ok(1, 0, 1, set('x', 1), set('y', 1))])).toThrow(MalformedHistory);
    expect(() => checkRegister([ok(1, 0, 1, { type: 'read', key: 'x' })])).toThrow(new MalformedHistory('T1 is ok, but its read has no answer'));
    expect(() => checkRegister([ok(1, 0, 1, compareAndSet('x', 1, 2))])).toThrow(MalformedHistory);
  });
});

describe('register: generated histories', () => {
  it('finds nothing wrong in valid ones', () => {
    for (let seed = 0; seed < 500; seed += 1) {
      const shape: Shape = { seed, count: 120, processes: 1 + (seed % 7), keys: 1 + (seed % 3), unknownChance: (seed % 4) * 0.08 };
      const { outcome, anomalies } = checkRegister(registerHistory(shape, 2 + (seed % 5)));
      expect({ outcome, anomalies }, `seed ${seed}`).toEqual({ outcome: 'valid', anomalies: [] });
    }
  });

  it('judges small ones, right and wrong, as a search through all orders does', () => {
    const judged = { valid: 0, invalid: 0, undecided: 0 };
    for (let seed = 0; seed < 10_000; seed += 1) {
      const history = anyRegisterHistory(seed);
      const { outcome } = checkRegister(history);
      expect(outcome, `seed ${seed}`).toBe(isStrictlySerializable(history) ? 'valid' : 'invalid');
      judged[outcome] += 1;
    }
    expect(Math.min(judged.valid, judged.invalid)).toBeGreaterThan(1_000);
  });

  it('gets as far as a longest prefix that is right by itself', () => {
    let stuckOnes = 0;
    for (let seed = 0; seed < 2_000; seed += 1) {
      const history = anyRegisterHistory(seed);
      const [stuck] = checkRegister(history).stuck;
      if (stuck === undefined) continue;
      stuckOnes += 1;
      const prefix = stuck.longestPrefix.map((id) => history.find((operation) => operation.id === id)!);
      const oneByOne = prefix.map((operation, at) => ({ ...operation, invokedAt: at, completedAt: at + 0.5, outcome: 'ok' as const }));
      expect(isStrictlySerializable(oneByOne), `seed ${seed}`).toBe(true);
      expect(stuck.longestPrefix, `seed ${seed}`).not.toContain(stuck.at);
    }
    expect(stuckOnes).toBeGreaterThan(200);
  });

  const big: Shape = { seed: 1, count: 10_000, processes: 10, keys: 100, unknownChance: 0.05 };

  it.each([
    ['100 keys', big, 5],
    ['100 keys, all values different', big, 1_000_000],
    ['one key, all outcomes known', { ...big, keys: 1, unknownChance: 0 }, 5],
  ])('judges 10,000 operations of 10 processes: %s', (what, shape, values) => {
    const history = registerHistory(shape, values);
    const startedAt = performance.now();
    const { outcome, observations } = checkRegister(history);
    console.log(`register, ${what}: ${observations} answers judged in ${Math.round(performance.now() - startedAt)} ms`);
    expect(outcome).toBe('valid');
  });
});
