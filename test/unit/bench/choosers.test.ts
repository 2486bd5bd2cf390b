/** Which keys are chosen, how often, against theory. */
import { describe, expect, it } from 'vitest';
import { chooser, Zipf, zipfConstant } from '../../../bench/load/choosers.ts';

const count = 1_000;
const drawn = 20_000;
const zeta = (n: number): number => Array.from({ length: n }, (_, i) => 1 / (i + 1) ** zipfConstant).reduce((sum, term) => sum + term, 0);

/** Uniform numbers in even steps in place of chance: so frequencies are what the formula gives, to a step. */
function frequencies(zipf: Zipf): number[] {
  const found = new Array<number>(count).fill(0);
  for (let i = 0; i < drawn; i++) (found[zipf.rank((i + 0.5) / drawn)] as number)++;
  return found.map((times) => times / drawn);
}

describe('Zipf', () => {
  const found = frequencies(new Zipf(count, zipfConstant));
  const expected = Array.from({ length: count }, (_, rank) => 1 / (rank + 1) ** zipfConstant / zeta(count));
  const upTo = (shares: readonly number[], rank: number): number => shares.slice(0, rank).reduce((sum, share) => sum + share, 0);

  it('the first two ranks are exact', () => {
    for (const rank of [0, 1]) expect(found[rank]).toBeCloseTo(expected[rank] as number, 4);
  });

  it.each([3, 10, 30, 100, 300, 1_000])('the first %i ranks have their share, to two hundredths, which is what the closed form is good for', (rank) => {
    expect(Math.abs(upTo(found, rank) - upTo(expected, rank))).toBeLessThan(0.02);
  });

  it('grows as if it had been as large from the start', () => {
    const grown = new Zipf(10, zipfConstant);
    grown.grow(500);
    grown.grow(count);
    expect(frequencies(grown)).toEqual(found);
  });

  it('stays within its ranks', () => {
    for (const n of [2, 3, 10]) for (const uniform of [0, 0.5, 1 - Number.EPSILON]) expect(new Zipf(n, zipfConstant).rank(uniform)).toBeLessThan(n);
  });
});

describe('choosers', () => {
  it.each([[1_000], [618], [10]])('popular ranks are spread over %i keys, each rank its own key', (keys) => {
    const choose = chooser('zipf', keys);
    const chosen = new Set(Array.from({ length: 200 * keys }, choose));
    for (const key of chosen) expect(key >= 0 && key < keys && Number.isInteger(key)).toBe(true);
    expect(chosen.size).toBeGreaterThan(keys * 0.9);
  });

  it('uniform ones choose every key', () => {
    expect(new Set(Array.from({ length: 500 }, chooser('uniform', 10))).size).toBe(10);
  });
});
