import { describe, expect, it } from 'vitest';
import { Liveness, livenessDefaults } from '../../../client/wire/liveness.ts';

const threshold = 8;

/** Heartbeats at these intervals from `nowMs` on; when the last one came, and the highest phi met on the way. */
function beat(liveness: Liveness, nowMs: number, intervalsMs: readonly number[]): { lastMs: number; peak: number } {
  let peak = 0;
  for (const intervalMs of intervalsMs) {
    nowMs += intervalMs;
    peak = Math.max(peak, liveness.phi(nowMs));
    liveness.heartbeat(nowMs);
  }
  return { lastMs: nowMs, peak };
}
/** How long a silence from `lastMs` on is before it is suspected. */
function silenceUntilSuspected(liveness: Liveness, lastMs: number): number {
  for (let silenceMs = 0; silenceMs < 60_000; silenceMs += 10) if (liveness.phi(lastMs + silenceMs) >= threshold) return silenceMs;
  return Infinity;
}
const repeat = (times: number, intervalMs: number): number[] => new Array<number>(times).fill(intervalMs);
/** Deterministic jitter in [-1, 1]. */
const jittered = (times: number, meanMs: number, jitterMs: number): number[] => repeat(times, meanMs).map((ms, i) => ms + jitterMs * Math.sin(i * 12.9898));

describe('liveness', () => {
  it('suspects a peer that stops dead in about a second, whether much or nothing was learnt before', () => {
    for (const beats of [0, 1, 5, 1_000]) {
      const liveness = new Liveness(livenessDefaults, 0);
      const { lastMs, peak } = beat(liveness, 0, jittered(beats, 150, 10));
      expect(peak).toBeLessThan(1);
      expect(silenceUntilSuspected(liveness, lastMs)).toBeGreaterThan(700);
      expect(silenceUntilSuspected(liveness, lastMs)).toBeLessThan(1_000);
    }
  });

  it('lets a slow peer be, and learns its rhythm', () => {
    const liveness = new Liveness(livenessDefaults, 0);
    const quick = beat(liveness, 0, repeat(100, 150));
    const slow = beat(liveness, quick.lastMs, jittered(100, 600, 100));
    expect(slow.peak).toBeLessThan(threshold);
    const silenceMs = silenceUntilSuspected(liveness, slow.lastMs);
    expect(silenceMs).toBeGreaterThan(1_200);
    expect(silenceMs).toBeLessThan(2_500);
  });

  it('follows a peer that gets slower and slower far beyond its first limit', () => {
    const liveness = new Liveness(livenessDefaults, 0);
    const intervals = Array.from({ length: 200 }, (_, i) => 150 + 10 * i);
    expect(beat(liveness, 0, intervals).peak).toBeLessThan(threshold);
  });

  it('forgets a slow spell', () => {
    const liveness = new Liveness(livenessDefaults, 0);
    const slow = beat(liveness, 0, repeat(100, 600));
    const quick = beat(liveness, slow.lastMs, repeat(livenessDefaults.windowSize, 150));
    expect(silenceUntilSuspected(liveness, quick.lastMs)).toBeLessThan(1_000);
  });

  it('takes any frame for a sign of life, without learning from it', () => {
    const liveness = new Liveness(livenessDefaults, 0);
    for (let nowMs = 0; nowMs < 10_000; nowMs += 3) liveness.heard(nowMs);
    expect(liveness.phi(10_000)).toBeLessThan(0.1);
    expect(silenceUntilSuspected(liveness, 10_000)).toBeGreaterThan(700);
  });

  it('takes the time in which this process stood still off the silence, and learns nothing from it', () => {
    const [paused, unpaused] = [new Liveness(livenessDefaults, 0), new Liveness(livenessDefaults, 0)];
    beat(paused, 0, repeat(50, 150));
    beat(unpaused, 0, repeat(50, 150));
    const lastMs = 50 * 150;
    paused.excuse(30_000);
    expect(paused.phi(lastMs + 30_100)).toBe(unpaused.phi(lastMs + 100));
    beat(paused, lastMs + 30_000, [150]);
    beat(unpaused, lastMs, [150]);
    expect(silenceUntilSuspected(paused, lastMs + 30_150)).toBe(silenceUntilSuspected(unpaused, lastMs + 150));
    expect(silenceUntilSuspected(paused, lastMs + 30_150)).toBeLessThan(1_000);
  });

  it('is never less sure after a longer silence, and stays a number', () => {
    const liveness = new Liveness(livenessDefaults, 0);
    let before = -1;
    for (const silenceMs of [0, 1, 100, 500, 700, 900, 1_000, 2_000, 10_000, 1e6, 1e9, 1e15]) {
      const phi = liveness.phi(silenceMs);
      expect(phi).toBeGreaterThanOrEqual(before);
      expect(Number.isFinite(phi)).toBe(true);
      before = phi;
    }
    expect(liveness.phi(-5)).toBeLessThan(0.1);
  });

  it('agrees with the normal distribution', () => {
    // Intervals of 150 ms without deviation: the floor of 50 ms counts, behind a pause of 500 ms.
    const liveness = new Liveness(livenessDefaults, 0);
    const { lastMs } = beat(liveness, 0, repeat(100, 150));
    const table: [deviations: number, chance: number][] = [[0, 0.5], [1, 0.1587], [2, 0.02275], [3, 0.00135]];
    for (const [deviations, chance] of table) {
      const phi = liveness.phi(lastMs + 650 + 50 * deviations);
      expect(Math.abs(phi + Math.log10(chance))).toBeLessThan(0.05);
    }
  });
});
