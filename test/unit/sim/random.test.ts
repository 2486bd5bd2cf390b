import { expect, it } from 'vitest';
import { Random } from '../../sim/random.ts';

const draws = (random: Random, count = 1_000): number[] => Array.from({ length: count }, () => random.uint32());

it('repeats itself from a seed, and differs from one to the next', () => {
  expect(draws(new Random('1'))).toEqual(draws(new Random('1')));
  const first = new Set(draws(new Random('1')));
  expect(draws(new Random('2')).filter((draw) => first.has(draw)).length).toBeLessThan(3);
});

it('forks streams that do not depend on what was drawn', () => {
  const fresh = new Random('seed');
  const used = new Random('seed');
  draws(used);
  expect(draws(used.fork('network'))).toEqual(draws(fresh.fork('network')));
  expect(draws(fresh.fork('network'))).not.toEqual(draws(fresh.fork('disk')));
  expect(draws(fresh.fork('a').fork('b'))).not.toEqual(draws(fresh.fork('b').fork('a')));
});

it('is as even as chance', () => {
  const random = new Random('even');
  const bits = new Array<number>(32).fill(0);
  for (const draw of draws(random, 20_000)) for (let bit = 0; bit < 32; bit++) bits[bit]! += (draw >>> bit) & 1;
  // 10,000 are expected, with a standard deviation of 71.
  expect(Math.min(...bits)).toBeGreaterThan(9_600);
  expect(Math.max(...bits)).toBeLessThan(10_400);

  const below = new Array<number>(7).fill(0);
  for (let i = 0; i < 14_000; i++) below[random.below(7)]!++;
  expect(Math.min(...below)).toBeGreaterThan(1_750);

  const exponential = Array.from({ length: 10_000 }, () => random.exponential(5));
  expect(exponential.reduce((sum, draw) => sum + draw) / 10_000).toBeCloseTo(5, 0);
  expect(Array.from({ length: 1_000 }, () => random.between(3, 4)).every((draw) => draw >= 3 && draw < 4)).toBe(true);
});

it('shuffles without loss and picks from what there is', () => {
  const random = new Random('shuffle');
  const items = Array.from({ length: 30 }, (_, i) => i);
  const shuffled = random.shuffled(items);
  expect(shuffled).not.toEqual(items);
  expect([...shuffled].sort((a, b) => a - b)).toEqual(items);
  expect(new Set(Array.from({ length: 500 }, () => random.pick(items))).size).toBe(30);
  expect(() => random.pick([])).toThrow(RangeError);
});
