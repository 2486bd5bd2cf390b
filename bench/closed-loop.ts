/**
 * A closed loop: each of a number of callers makes one call after another, the next when the one before is done.
 *
 * So the rate follows from the latency, and a server that stalls is asked less meanwhile: percentiles are those of what
 * callers met who wait their turn, not of arrivals that don't wait (Schroeder, Wierman and Harchol-Balter, "Open Versus
 * Closed", 2006). For the same reason the longest call is told beside the percentiles: a stall of a second is one call a caller.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { build } from 'hdr-histogram-js';

export interface LoopOptions {
  readonly callers: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** One call. Its rejection is counted by the error's code. */
  readonly call: () => Promise<void>;
  /** The warm-up is over. */
  readonly measuring: () => void;
}

export interface LoopResult {
  /** Calls that succeeded within the measured time. */
  readonly calls: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** The longest time in which one caller had no success. */
  readonly longestPauseMs: number;
  readonly errors: Readonly<Record<string, number>>;
}

const pauseAfterErrorMs = 1;
const longestTrackedUs = 120_000_000;

export async function closedLoop({ callers, warmUpMs, measureMs, call, measuring }: LoopOptions): Promise<LoopResult> {
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: longestTrackedUs, numberOfSignificantValueDigits: 3, useWebAssembly: false });
  const errors: Record<string, number> = {};
  let phase: 'warming' | 'measuring' | 'over' = 'warming';
  let longestPauseMs = 0;
  let startedAtMs = 0;

  const caller = async (): Promise<void> => {
    let succeededAtMs = performance.now();
    while (phase !== 'over') {
      const begunAtMs = performance.now();
      let code: string | null = null;
      try {
        await call();
      } catch (error) {
        code = (error as { code?: string }).code ?? String(error);
        // Errors that come at once must let others run.
        await delay(pauseAfterErrorMs);
      }
      // What began before the measurement or ended after it belongs to neither.
      if (phase !== 'measuring' || begunAtMs < startedAtMs) {
        succeededAtMs = performance.now();
        continue;
      }
      if (code !== null) {
        errors[code] = (errors[code] ?? 0) + 1;
        continue;
      }
      const nowMs = performance.now();
      histogram.recordValue(Math.max(1, Math.round((nowMs - begunAtMs) * 1_000)));
      longestPauseMs = Math.max(longestPauseMs, nowMs - succeededAtMs);
      succeededAtMs = nowMs;
    }
  };

  const running = Array.from({ length: callers }, caller);
  await delay(warmUpMs);
  startedAtMs = performance.now();
  phase = 'measuring';
  measuring();
  await delay(measureMs);
  phase = 'over';
  const tookMs = performance.now() - startedAtMs;
  await Promise.all(running);

  const calls = histogram.totalCount;
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1_000;
  return { calls, perSecond: calls / (tookMs / 1_000), p50Ms: at(50), p99Ms: at(99), longestMs: histogram.maxValue / 1_000, longestPauseMs, errors };
}
