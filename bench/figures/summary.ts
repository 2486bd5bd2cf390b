/** From the measurements of several rounds to the figures that are told: medians with their spread, and distributions of all calls. */
import { encode, longestMs, merged } from '../load/histogram.ts';
import { spreadOf, type Spread } from '../report/spread.ts';
import type { TargetName } from '../targets/target.ts';
import type { WorkloadName } from '../workloads/registry.ts';
import type { Measurement } from './measure.ts';

export interface Figure {
  readonly target: TargetName;
  readonly workload: WorkloadName;
  readonly callers: number;
  readonly rate: number | null;
  /** Of the rounds. */
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  readonly processorUsPerCall: Spread;
  readonly writtenBytesPerCall: Spread;
  readonly flushesPerCall: Spread;
  readonly retriesPerCall: Spread;
  readonly longestMs: number;
  readonly longestPauseMs: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Share of one processor, by process; medians. */
  readonly processorShare: Readonly<Record<string, number>>;
  /** Of all calls of all rounds, encoded. */
  readonly histogram: string;
}

/** In the order in which they were first measured. */
export function summarize(measurements: readonly Measurement[]): Figure[] {
  const groups = new Map<string, Measurement[]>();
  for (const measurement of measurements) {
    const name = [measurement.workload, measurement.callers, measurement.rate, measurement.target].join();
    groups.set(name, [...(groups.get(name) ?? []), measurement]);
  }
  return [...groups.values()].map(figureOf);
}

function figureOf(rounds: readonly Measurement[]): Figure {
  const { target, workload, callers, rate, processorShare } = rounds[0] as Measurement;
  const spread = (of: (round: Measurement) => number): Spread => spreadOf(rounds.map(of));
  const errors: Record<string, number> = {};
  for (const { result } of rounds) for (const [code, count] of Object.entries(result.errors)) errors[code] = (errors[code] ?? 0) + count;
  const histogram = merged(rounds.map(({ result }) => result.histogram));
  return {
    target, workload, callers, rate,
    perSecond: spread(({ result }) => result.perSecond),
    p50Ms: spread(({ result }) => result.p50Ms),
    p99Ms: spread(({ result }) => result.p99Ms),
    processorUsPerCall: spread((round) => round.processorUsPerCall),
    writtenBytesPerCall: spread((round) => round.writtenBytesPerCall),
    flushesPerCall: spread((round) => round.flushesPerCall),
    retriesPerCall: spread(({ result }) => result.retries / result.calls),
    longestMs: longestMs(histogram),
    longestPauseMs: Math.max(...rounds.map(({ result }) => result.longestPauseMs)),
    errors,
    processorShare: Object.fromEntries(Object.keys(processorShare).map((name) => [name, spreadOf(rounds.map((round) => round.processorShare[name] ?? Number.NaN)).median])),
    histogram: encode(histogram),
  };
}
