import { describe, expect, it } from 'vitest';
import { drawPlan, type Plan } from '../../sim/plan/plan.ts';
import { faults } from '../../sim/faults/registry.ts';
import { planInWords } from '../../sim/plan/words.ts';
import { workloads } from '../../sim/workloads/registry.ts';

const plans = Array.from({ length: 300 }, (_, i) => drawPlan({ seed: i }));

describe('a plan', () => {
  it('is the same for the same seed, and plain data', () => {
    for (const plan of plans.slice(0, 20)) {
      expect(drawPlan({ seed: plan.seed })).toEqual(plan);
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    }
    expect(new Set(plans.map((plan) => JSON.stringify({ ...plan, seed: '' }))).size).toBe(plans.length);
  });

  it('has its injections in order, within its time, of known classes, on hosts that there are', () => {
    for (const { injections, durationMs, shape, clients } of plans) {
      const hosts = new Set([...Array.from({ length: shape.nodes }, (_, i) => `n${i + 1}`), ...clients.map(({ number }) => `c${number}`)]);
      expect(injections.map(({ atMs }) => atMs)).toEqual(injections.map(({ atMs }) => atMs).sort((a, b) => a - b));
      const good = injections.filter(({ atMs, fault, on, against }) =>
        atMs <= durationMs && faults.has(fault) && on.length > 0 && [...on, ...against].every((host) => hosts.has(host)) && !on.some((host) => against.includes(host)));
      expect(good).toEqual(injections);
    }
  });

  it('spoils the disks of so few nodes that every group keeps a majority', () => {
    for (const { injections, shape } of plans) {
      const hit = new Set(injections.filter(({ fault }) => fault.startsWith('rot-')).flatMap(({ on }) => on));
      expect(hit.size).toBeLessThanOrEqual((shape.replicationFactor - 1) / 2);
    }
  });

  it('has some classes of faults, not all, and now and then none', () => {
    const classes = plans.map(({ injections }) => new Set(injections.map(({ fault }) => fault)));
    expect(classes.some(({ size }) => size === 0)).toBe(true);
    expect(classes.every(({ size }) => size < faults.size)).toBe(true);
    for (const name of faults.keys()) expect(classes.filter((some) => some.has(name)).length).toBeGreaterThan(10);
  });

  it('has the workload and the faults that are asked for, and the rest as it would be anyway', () => {
    const { injections, ...rest } = drawPlan({ seed: 7, workload: 'bank', faults: ['crash', 'pause'] });
    expect(new Set(injections.map(({ fault }) => fault))).toEqual(new Set(['crash', 'pause']));
    const { injections: _others, ...drawn } = drawPlan({ seed: 7 });
    expect(rest).toEqual({ ...drawn, workload: 'bank' });
    expect(drawPlan({ seed: 7, faults: [] }).injections).toEqual([]);
  });

  it('is refused for what there is not, with what there is', () => {
    expect(() => drawPlan({ seed: 1, workload: 'banc' })).toThrow(`unknown workload banc; there are ${Object.keys(workloads).join(', ')}`);
    expect(() => drawPlan({ seed: 1, faults: ['crash', 'flood'] })).toThrow(`unknown fault flood; there are ${[...faults.keys()].join(', ')}`);
  });

  it('can be told in words, each fault with the hosts it is about', () => {
    const lines = plans.flatMap((plan: Plan) => planInWords(plan).filter((line) => line.startsWith('at ')).map((line, i) => ({ line, injection: plan.injections[i]! })));
    expect(lines.length).toBeGreaterThan(1_000);
    const odd = lines.filter(({ line, injection: { fault, on } }) => /undefined|NaN|\[object/.test(line) || !(fault === 'crash-all' || line.includes(on[0] as string)));
    expect(odd).toEqual([]);
  });
});
