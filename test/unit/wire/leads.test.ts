import { describe, expect, it } from 'vitest';
import { Leads, leadsMax, leadTtlMs } from '../../../client/wire/leads.ts';

describe('what leads a key', () => {
  it('is the least partition that was told of it, and of several keys the least of theirs', () => {
    const leads = new Leads();
    expect([leads.least(['a'], 0), leads.of('a', 0)]).toEqual([null, undefined]);
    leads.learn(['a', 'b'], 7, 0);
    leads.learn(['b'], 9, 0);
    leads.learn(['c'], 3, 0);
    expect(['a', 'b', 'c', 'd'].map((key) => leads.of(key, 0))).toEqual([7, 7, 3, undefined]);
    expect([leads.least(['a', 'b'], 0), leads.least(['d', 'b', 'c'], 0), leads.least(['d'], 0)]).toEqual([7, 3, null]);
    leads.learn(['a'], 2, 0);
    expect(leads.least(['a', 'c'], 0)).toBe(2);
  });

  it('is forgotten after a while, however often it is asked for or a greater one is told', () => {
    const leads = new Leads();
    leads.learn(['a'], 7, 100);
    leads.learn(['a'], 8, 100 + leadTtlMs - 1);
    expect(leads.of('a', 100 + leadTtlMs - 1)).toBe(7);
    expect([leads.of('a', 100 + leadTtlMs), leads.size]).toEqual([undefined, 0]);
    leads.learn(['a'], 8, 100 + leadTtlMs);
    leads.learn(['a'], 8, 100 + leadTtlMs + 1_000);
    expect(leads.of('a', 1_099 + 2 * leadTtlMs), 'told again').toBe(8);
  });

  it('is remembered of so many keys, those that were told last', () => {
    const leads = new Leads();
    leads.learn(['first', 'second'], 5, 0);
    leads.learn(['first'], 5, 1);
    leads.learn(Array.from({ length: leadsMax - 1 }, (_, i) => `k${i}`), 6, 2);
    expect([leads.size, leads.of('second', 3), leads.of('first', 3), leads.of('k0', 3)]).toEqual([leadsMax, undefined, 5, 6]);
  });
});
