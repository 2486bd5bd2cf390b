/** Loops of calls under a clock that tests turn: what is counted, from when on. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runLoop, Schedule } from '../../../bench/load/loops.ts';
import type { LoopResult } from '../../../bench/load/recorder.ts';

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

interface Plan {
  readonly callers: number;
  readonly perSecond?: number;
  readonly warmUpMs?: number;
  readonly measureMs: number;
  readonly call: () => Promise<number>;
}

/** `call` waits by the same clock. */
async function measured({ measureMs, warmUpMs = 0, ...plan }: Plan): Promise<LoopResult> {
  const result = runLoop({ ...plan, warmUpMs, enough: () => wait(measureMs), measuring: () => {} });
  let over = false;
  void result.finally(() => (over = true));
  while (!over) await vi.advanceTimersByTimeAsync(1);
  return result;
}

describe('a schedule', () => {
  it('gives each second its calls, in bursts on whole milliseconds', () => {
    const schedule = new Schedule(2_500, 100);
    expect(Array.from({ length: 6 }, () => schedule.take())).toEqual([100, 100, 100, 101, 101, 102]);
    for (let i = 6; i < 2_500; i++) schedule.take();
    expect(schedule.nextAtMs).toBe(1_100);
  });

  it('of a low rate spreads them evenly', () => {
    const schedule = new Schedule(3, 0);
    expect(Array.from({ length: 4 }, () => schedule.take())).toEqual([0, 333, 666, 1_000]);
  });
});

describe('a closed loop', () => {
  it('calls as often as callers and latency allow', async () => {
    const { calls, p50Ms, retries } = await measured({ callers: 3, measureMs: 1_005, call: () => wait(10).then(() => 2) });
    expect(calls).toBe(300);
    expect(p50Ms).toBeCloseTo(10, 1);
    expect(retries).toBe(300);
  });

  it('leaves out what began before the measurement or ended after it', async () => {
    const { calls } = await measured({ callers: 1, warmUpMs: 50, measureMs: 355, call: () => wait(100).then(() => 1) });
    expect(calls).toBe(3);
  });

  it('counts errors by their code, and no latency for them', async () => {
    const error = Object.assign(new Error('no'), { code: 'overloaded' });
    const { calls, errors } = await measured({ callers: 1, measureMs: 109, call: () => wait(9).then(() => Promise.reject(error)) });
    expect(calls).toBe(0);
    expect(errors).toEqual({ overloaded: 10 });
  });
});

describe('an open loop', () => {
  /** Answers within 1 ms, but for a second in which it stands still. */
  const stalling = (): (() => Promise<number>) => {
    const stallAtMs = performance.now() + 2_000;
    return async () => {
      const nowMs = performance.now();
      await wait(nowMs >= stallAtMs && nowMs < stallAtMs + 1_000 ? stallAtMs + 1_000 - nowMs + 1 : 1);
      return 1;
    };
  };

  it('counts the wait of every call that was due while the server stood still', async () => {
    const open = await measured({ callers: 10_000, perSecond: 100, measureMs: 10_000, call: stalling() });
    expect(open.calls).toBe(1_000);
    // A tenth of the calls met the stall, evenly from its whole length down to nothing.
    expect(open.p50Ms).toBeLessThan(3);
    expect(open.p99Ms).toBeGreaterThan(850);
    const closed = await measured({ callers: 1, measureMs: 10_000, call: stalling() });
    expect(closed.p99Ms).toBeLessThan(3);
  });

  it('counts from when a call was due, also if no place was free for it', async () => {
    const { calls, longestMs, errors } = await measured({ callers: 1, perSecond: 20, measureMs: 1_000, call: () => wait(100).then(() => 1) });
    // Every 50 ms one is due, every 100 ms one is done: the last one begun was due half of the time ago.
    expect(calls).toBeGreaterThanOrEqual(9);
    expect(longestMs).toBeGreaterThan(450);
    expect(calls + (errors['overdue'] ?? 0)).toBe(20);
  });

  it('is not done before what was due in time', async () => {
    const { calls, longestMs } = await measured({ callers: 100, perSecond: 10, measureMs: 1_000, call: () => wait(700).then(() => 1) });
    expect(calls).toBe(10);
    expect(longestMs).toBeCloseTo(700, -1);
  });
});
