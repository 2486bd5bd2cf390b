import { describe, expect, it } from 'vitest';
import type { History } from '../../sim/checker/history.ts';
import { atMostOn, bankInvariant, checkInvariant, type Invariant, ringInvariant, sumAtLeast } from '../../sim/checker/invariant.ts';
import { failed, get, ok, set, unknown } from './notation.ts';

const says = (history: History, invariant: Invariant): string[] => checkInvariant(history, invariant).anomalies.map(({ message }) => message);

describe('bank', () => {
  const bank = bankInvariant(['a', 'b'], 100, 0);

  it('is right where every audit sees the sum', () => {
    const history = [
      ok(1, 0, 1, get('a', 60), get('b', 40)),
      ok(2, 2, 3, get('a', 60), get('b', 40), set('a', 50), set('b', 50)),
      ok(3, 4, 5, get('b', 50), get('a', 50)),
    ];
    expect(checkInvariant(history, bank)).toMatchObject({ outcome: 'valid', observations: 3 });
  });

  it('says what an audit saw instead', () => {
    expect(says([ok(1, 0, 1, get('a', 60), get('b', 50))], bank)).toEqual([
      'broken-invariant: T1 saw that the sum of 2 accounts is 110 instead of 100: a=60, b=50',
    ]);
    expect(says([ok(1, 0, 1, get('a', 120), get('b', -20))], bank)).toEqual(['broken-invariant: T1 saw that b=-20, below 0']);
    expect(says([ok(1, 0, 1, get('a', 100), get('b', null))], bank)).toEqual(['broken-invariant: T1 saw that b=absent, which is not a number']);
  });

  it('looks only at states that were seen whole, by transactions that took effect, before their own writes', () => {
    const history = [
      ok(1, 0, 1, get('a', 1)),
      failed(2, 0, 1, get('a', 1), get('b', 1)),
      unknown(3, 0, get('a', 1), get('b', 1)),
      ok(4, 0, 1, get('a', 50), set('b', 1), get('b', 1)),
      ok(5, 0, 1, get('a', 50), set('a', 1), get('a', 1), get('b', 50)),
    ];
    expect(checkInvariant(history, bank)).toMatchObject({ outcome: 'valid', observations: 1 });
  });
});

describe('ring', () => {
  const ring = ringInvariant(['a', 'b', 'c', 'd']);
  const saw = (a: string | null, b: string, c: string, d: string): string[] => (
    says([ok(1, 0, 1, get('a', a), get('b', b), get('c', c), get('d', d))], ring)
  );

  it('is right as long as it is one cycle', () => {
    expect(saw('b', 'c', 'd', 'a')).toEqual([]);
    expect(saw('c', 'd', 'b', 'a')).toEqual([]);
  });

  it('says how it is broken', () => {
    expect(saw('b', 'a', 'd', 'c')).toEqual(['broken-invariant: T1 saw that the ring has fallen apart: a -> b -> a is closed without c, d']);
    expect(saw('b', 'c', 'b', 'a')).toEqual(['broken-invariant: T1 saw that the ring does not close: a -> b -> c -> b']);
    expect(saw('a', 'c', 'd', 'b')).toEqual(['broken-invariant: T1 saw that the ring has fallen apart: a -> a is closed without b, c, d']);
    expect(saw(null, 'c', 'd', 'a')).toEqual(['broken-invariant: T1 saw that the ring ends: a -> absent']);
    expect(saw('b', 'q', 'd', 'a')).toEqual(['broken-invariant: T1 saw that the ring ends: a -> b -> q -> absent']);
  });
});

describe('skew', () => {
  it('holds the sum of each group to its least', () => {
    const pairs = sumAtLeast([['x0', 'y0'], ['x1', 'y1']], 0);
    const history = [ok(1, 0, 1, get('x0', -1), get('y0', 1), get('x1', -1), get('y1', 0)), ok(2, 0, 1, get('x0', -1), get('y1', -1))];
    expect(says(history, pairs)).toEqual(['broken-invariant: T1 saw that x1=-1, y1=0: the sum is -1, below 0']);
    expect(checkInvariant(history, pairs).observations).toBe(2);
  });

  it('lets no more than so many be on', () => {
    const onCall = atMostOn([['x', 'y', 'z']], 1);
    expect(says([ok(1, 0, 1, get('x', true), get('y', false), get('z', null))], onCall)).toEqual([]);
    expect(says([ok(1, 0, 1, get('x', true), get('y', false), get('z', true))], onCall)).toEqual([
      'broken-invariant: T1 saw that x, z are on together: at most 1 may be',
    ]);
  });
});
