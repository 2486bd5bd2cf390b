import { describe, expect, it } from 'vitest';
import { checkAppend } from '../../sim/checker/append.ts';
import { isStrictlySerializable } from './brute-force.ts';
import { anyAppendHistory, appendHistory, type Shape } from './generate.ts';
import { mutations } from './mutate.ts';
import { Random } from './random.ts';

const small = (seed: number): Shape => ({ seed, count: 60, processes: 1 + (seed % 7), keys: 3, unknownChance: (seed % 4) * 0.1 });

describe('append: generated histories', () => {
  it('finds nothing wrong in valid ones', () => {
    for (let seed = 0; seed < 500; seed += 1) {
      const { outcome, anomalies } = checkAppend(appendHistory(small(seed)));
      expect({ outcome, anomalies }, `seed ${seed}`).toEqual({ outcome: 'valid', anomalies: [] });
    }
  });

  it.each(mutations)('$name: $what', ({ what, name, mutate }) => {
    let mutated = 0;
    for (let seed = 0; seed < 120; seed += 1) {
      const history = mutate(appendHistory(small(seed)), new Random(seed));
      if (history === undefined) continue;
      mutated += 1;
      expect(checkAppend(history).anomalies.map((anomaly) => anomaly.name), `seed ${seed}: ${what}`).toContain(name);
    }
    expect(mutated).toBeGreaterThan(60);
  });

  it('says of a read that is only late that it is only late', () => {
    const stale = mutations.find(({ name }) => name === 'G-single-realtime')!;
    for (let seed = 0; seed < 120; seed += 1) {
      const anomalies = checkAppend(stale.mutate(appendHistory(small(seed)), new Random(seed)) ?? []).anomalies;
      expect(anomalies.map(({ name }) => name).filter((name) => name !== 'G-single-realtime' && name !== 'lost-append'), `seed ${seed}`).toEqual([]);
    }
  });

  it('judges small ones, right and wrong, as a search through all orders does', () => {
    const judged = { valid: 0, invalid: 0, undecided: 0 };
    for (let seed = 0; seed < 6_000; seed += 1) {
      const history = anyAppendHistory(seed);
      const { outcome } = checkAppend(history);
      expect(outcome, `seed ${seed}`).toBe(isStrictlySerializable(history) ? 'valid' : 'invalid');
      judged[outcome] += 1;
    }
    expect(Math.min(judged.valid, judged.invalid)).toBeGreaterThan(600);
  });
});

describe('append: 10,000 transactions of 30 processes', () => {
  const big: Shape = { seed: 1, count: 10_000, processes: 30, keys: 10, unknownChance: 0.05 };

  it.each([10, 1_000])('on %i keys', (keys) => {
    const history = appendHistory({ ...big, keys });
    const startedAt = performance.now();
    const { outcome, observations } = checkAppend(history);
    console.log(`append, ${keys} keys: ${observations} reads judged in ${Math.round(performance.now() - startedAt)} ms`);
    expect(outcome).toBe('valid');
  });

  it('when every tenth read is stale', () => {
    const random = new Random(1);
    const history = appendHistory({ ...big, keys: 100 }).map((transaction) => ({
      ...transaction,
      operations: transaction.operations.map((micro) => (
        micro.type === 'read-list' && micro.list !== undefined && random.chance(0.1) ? { ...micro, list: micro.list.slice(0, -3) } : micro
      )),
    }));
    const startedAt = performance.now();
    const { anomalies } = checkAppend(history);
    console.log(`append, broken: ${Math.round(performance.now() - startedAt)} ms`);
    expect(anomalies.map(({ name }) => name)).toContain('G-single');
  });
});
