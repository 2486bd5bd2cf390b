/** Latencies: what is kept of them, and what becomes of it when it is added up. */
import { describe, expect, it } from 'vitest';
import { decode, encode, latencies, longestMs, merged, percentileMs, record } from '../../../bench/load/histogram.ts';
import { inWindow, mergeResults, mergeSlots, Recorder, slotMs, type Slot } from '../../../bench/load/recorder.ts';

function histogramOf(timesMs: readonly number[], digits: 2 | 3 = 3): string {
  const histogram = latencies(digits);
  for (const ms of timesMs) record(histogram, ms);
  return encode(histogram);
}

describe('histograms', () => {
  it('keep three digits of what is far apart', () => {
    const histogram = decode(histogramOf([0.001, 1.234, 56.78, 9_876, 119_000]));
    for (const [percentile, expectedMs] of [[20, 0.001], [40, 1.234], [60, 56.78], [80, 9_876], [100, 119_000]] as const) {
      expect(Math.abs(percentileMs(histogram, percentile) / expectedMs - 1)).toBeLessThan(0.001);
    }
  });

  it('count what is out of their range at its ends', () => {
    const histogram = decode(histogramOf([0, 1_000_000]));
    expect(histogram.totalCount).toBe(2);
    expect(percentileMs(histogram, 1)).toBe(0.001);
    expect(longestMs(histogram)).toBeGreaterThan(119_900);
  });

  it('add up to the histogram of all, which is not the mean of theirs', () => {
    const [quick, slow] = [Array.from({ length: 990 }, () => 1), Array.from({ length: 10 }, () => 1_000)];
    const sum = merged([histogramOf(quick), histogramOf(slow)]);
    expect(sum.totalCount).toBe(1_000);
    expect(encode(sum)).toBe(histogramOf([...quick, ...slow]));
    expect(percentileMs(sum, 50)).toBe(1);
    expect(percentileMs(sum, 99.5)).toBeGreaterThan(999);
  });

  it('of nothing have no percentiles', () => {
    expect(percentileMs(merged([]), 50)).toBeNaN();
    expect(longestMs(merged([]))).toBeNaN();
  });
});

describe('results of several processes', () => {
  const resultOf = (timesMs: readonly number[], seconds: number, error?: string) => {
    const recorder = new Recorder({ slots: false });
    timesMs.forEach((ms) => recorder.succeeded(ms, ms));
    if (error !== undefined) recorder.failed(error);
    return recorder.result(seconds * 1_000, 1);
  };

  it('add up: rates, errors, retries; latencies are of all calls', () => {
    const merged = mergeResults([resultOf([1, 2, 3], 1, 'lost'), resultOf([100], 1, 'lost')]);
    expect(merged).toMatchObject({ calls: 4, perSecond: 4, retries: 2, errors: { lost: 2 } });
    expect(merged.longestPauseMs).toBe(100);
    expect(merged.p50Ms).toBe(2);
    expect(merged.p99Ms).toBeCloseTo(100, 0);
  });

  const slot = (number: number, timesMs: readonly number[]): Slot => ({ number, calls: timesMs.length, errors: 0, histogram: histogramOf(timesMs, 2) });

  it('lay tenths of a second over one another', () => {
    const slots = mergeSlots([slot(7, [1]), slot(5, [2, 2]), slot(7, [30])]);
    expect(slots.map(({ number, calls }) => [number, calls])).toEqual([[5, 2], [7, 2]]);
    expect(longestMs(decode(slots[1]?.histogram as string))).toBeCloseTo(30, 0);
  });

  it('a window holds whole tenths only', () => {
    const slots = [slot(10, [1]), slot(11, [5, 5]), slot(12, [9])];
    const { calls, seconds, histogram } = inWindow(slots, 10.5 * slotMs, 12.9 * slotMs);
    expect({ calls, seconds }).toEqual({ calls: 2, seconds: 0.1 });
    expect(percentileMs(histogram, 50)).toBeCloseTo(5, 1);
    expect(inWindow(slots, 0, 100 * slotMs).calls).toBe(4);
  });
});
