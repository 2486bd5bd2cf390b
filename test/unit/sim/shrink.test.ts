import { describe, expect, it } from 'vitest';
import type { Injection } from '../../sim/faults/fault.ts';
import { goodDay } from '../../sim/plan/conditions.ts';
import type { Plan } from '../../sim/plan/plan.ts';
import { kindsOf, shrink } from '../../sim/shrink.ts';

const injection = (atMs: number, fault: string): Injection => ({ atMs, fault, on: ['n1'], against: [], amount: 0, moment: '', lastsMs: 10 });
const classes = ['crash', 'pause', 'reset', 'clog', 'full-disk'];

const big: Plan = {
  seed: 'big', workload: 'bank',
  shape: { nodes: 3, replicationFactor: 3, partitions: 16, timing: { fastCommitWaitMs: 5, tickIntervalMs: 20 }, store: { headCacheEntries: 0 } },
  conditions: { network: { turnMs: 2 }, disk: { flush: { baseMs: 4, jitterMs: 8, tailChance: 0, tailMs: 0 } }, clocks: [{ skewMs: 1, driftPpm: 2 }], detours: [{ from: 'n1', to: 'n2', extraMs: 5 }] },
  protocols: ['dtp'],
  clients: [1, 2, 3, 4, 5].map((number) => ({ number, operations: 100, pauseMs: 10, burst: 1, abreast: 1, turnedAwayBy: ['n1'], routing: 'own', cacheBytes: 2_000 })),
  passerByPauseMs: 5,
  crowds: [1, 2].map((number) => ({ number, size: 8, pauseMs: 20, protocol: 'dtp', routing: 'own' })),
  durationMs: 10_000,
  injections: Array.from({ length: 100 }, (_, i) => injection(i * 100, classes[i % classes.length]!)),
};

const operationsOf = ({ clients }: Plan, number: number): number => clients.find((client) => client.number === number)?.operations ?? 0;

describe('shrinking', () => {
  it('leaves what the failure needs, and nothing else', async () => {
    let runs = 0;
    const smallest = await shrink(big, (plan) => {
      runs++;
      const has = (atMs: number): boolean => plan.injections.some((one) => one.atMs === atMs);
      return Promise.resolve(has(1_200) && has(4_700) && operationsOf(plan, 2) >= 37 && operationsOf(plan, 4) >= 1 && plan.shape.timing.fastCommitWaitMs === 5);
    });
    expect(smallest.injections.map(({ atMs }) => atMs)).toEqual([1_200, 4_700]);
    expect(smallest.clients.map(({ number, operations }) => [number, operations])).toEqual([[2, 37], [4, 1]]);
    expect(smallest.shape).toEqual({ nodes: 3, replicationFactor: 3, partitions: 1, timing: { fastCommitWaitMs: 5 }, store: {} });
    expect(smallest.conditions).toEqual(goodDay);
    expect(smallest.passerByPauseMs).toBeNull();
    expect(smallest.crowds).toEqual([]);
    expect(smallest.clients.flatMap(({ turnedAwayBy }) => turnedAwayBy)).toEqual([]);
    expect(smallest.clients.map(({ routing, cacheBytes }) => [routing, cacheBytes])).toEqual([['led', 0], ['led', 0]]);
    expect(smallest.durationMs).toBeGreaterThan(4_700);
    expect(smallest.durationMs).toBeLessThan(6_000);
    expect(runs).toBeLessThan(300);
  });

  it('never takes a plan that does not fail', async () => {
    const taken: Plan[] = [];
    const smallest = await shrink(big, (plan) => {
      const fails = plan.injections.length % 2 === 0 && plan.clients.length > 2;
      if (fails) taken.push(plan);
      return Promise.resolve(fails);
    });
    expect(taken.at(-1)).toEqual(smallest);
    expect(smallest.injections).toEqual([]);
    expect(smallest.clients).toHaveLength(3);
  });

  it('gives back what it was given if nothing smaller fails, and keeps to its bound', async () => {
    expect(await shrink(big, () => Promise.resolve(false))).toBe(big);
    let runs = 0;
    await shrink(big, (plan) => {
      runs++;
      return Promise.resolve(plan.injections.length > 0);
    }, 10);
    expect(runs).toBe(10);
  });
});

it('calls a failure by what stands before the colon', () => {
  expect(kindsOf(['G-single: T1 read x', 'not-healed: n1 has locks 1: really', 'G-single: T2 read y'])).toEqual(new Set(['G-single', 'not-healed']));
});
