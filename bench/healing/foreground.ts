/**
 * What callers feel of healing: the same load in an open loop all the time, and in each round three windows of it, equally
 * long: one after a node came back having missed many keys, until it has them; one after it was killed and came back with next to nothing to
 * heal; and a calm one. So what a restarted process costs by itself is told from what its healing costs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Histogram } from 'hdr-histogram-js';
import { latencies, longestMs, percentileMs } from '../load/histogram.ts';
import type { Load } from '../load/client.ts';
import { inWindow, type LoopResult, type Slot } from '../load/recorder.ts';
import { spreadOf, type Spread } from '../report/spread.ts';
import type { Stage } from './divergence.ts';
import type { BareFlush } from './bare-flush.ts';
import type { Stalls } from './stalls.ts';

export const windowNames = ['calm', 'restarted', 'healing'] as const;
export type WindowName = (typeof windowNames)[number];

interface Window {
  readonly name: WindowName;
  readonly round: number;
  /** Since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Latencies of calls, all that ended in some time. */
export interface Latencies {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly longestMs: number;
  readonly errors: number;
}

export interface WindowFigure extends Window, Latencies {
  /** By node: the longest time in which its event loop stood still. */
  readonly stallsMs: Readonly<Record<string, number>>;
}

/** What the disk took for next to nothing in the same time. */
export interface Flushes {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

export interface Foreground {
  readonly windows: readonly WindowFigure[];
  /** Of all windows of the name together. */
  readonly pooled: Readonly<Record<WindowName, Latencies>>;
  readonly bareFlushes: Readonly<Record<WindowName, Flushes>>;
  /** Within a round: by the calm window's. */
  readonly p99Ratio: Readonly<Record<Exclude<WindowName, 'calm'>, Spread>>;
  readonly slots: readonly Slot[];
}

export interface ForegroundOptions {
  readonly rounds: number;
  /** Between windows. */
  readonly pauseMs: number;
  readonly perSecond: number;
  /** Written while the node is away. */
  readonly missed: number;
}

export interface Watches {
  readonly stalls: Pick<Stalls, 'longest'>;
  readonly bareFlush: Pick<BareFlush, 'between'>;
}

const callers = 1_000;
const healTimeoutMs = 10 * 60_000;
const wholeTimeoutMs = 60_000;
/** Windows too short have no percentiles to speak of. */
const windowMsMin = 500;
const epochMs = (): number => performance.timeOrigin + performance.now();

export async function watchForeground(stage: Stage, load: Load, { stalls, bareFlush }: Watches, options: ForegroundOptions, say: (line: string) => void): Promise<Foreground> {
  const windows: Window[] = [];
  const running = load.run({ callers, perSecond: options.perSecond, warmUpMs: options.pauseMs, measureMs: null, slots: true });
  const work = takeWindows(stage, options, windows, say).finally(() => load.finish());
  const [result] = await Promise.all([running, work]);
  return evaluate(windows, result, { stalls, bareFlush });
}

async function takeWindows({ cluster, observer, dataset, lost }: Stage, { rounds, pauseMs, missed }: ForegroundOptions, windows: Window[], say: (line: string) => void): Promise<void> {
  const take = async (name: WindowName, round: number, lengthMs: number, keys: number): Promise<number> => {
    const fromMs = epochMs();
    await observer.pulled(lost, keys, healTimeoutMs, performance.now() + lengthMs);
    const toMs = epochMs();
    windows.push({ name, round, fromMs, toMs });
    return toMs - fromMs;
  };
  await delay(pauseMs);
  for (let round = 0; round < rounds; round++) {
    say(`foreground, round ${round + 1} of ${rounds} ...`);
    await observer.whole(wholeTimeoutMs);
    await cluster.kill(lost);
    await observer.gone(lost, wholeTimeoutMs);
    await dataset.write(missed);
    // Or the checkpoints of so much would count for healing.
    await observer.settled(wholeTimeoutMs);
    await cluster.start(lost);
    const lengthMs = await take('healing', round, windowMsMin, missed);
    await delay(pauseMs);
    await cluster.kill(lost);
    await cluster.start(lost);
    await take('restarted', round, lengthMs, 0);
    await delay(pauseMs);
    await take('calm', round, lengthMs, 0);
  }
}

export function evaluate(windows: readonly Window[], { slots }: Pick<LoopResult, 'slots'>, { stalls, bareFlush }: Watches): Foreground {
  const figures = windows.map((window): WindowFigure => ({ ...window, ...latenciesOf([inWindow(slots, window.fromMs, window.toMs)]), stallsMs: stalls.longest(window.fromMs, window.toMs) }));
  const named = (name: WindowName): Latencies => latenciesOf(windows.filter((window) => window.name === name).map(({ fromMs, toMs }) => inWindow(slots, fromMs, toMs)));
  const flushes = (name: WindowName): Flushes => {
    const histogram = latencies(2);
    for (const window of windows) if (window.name === name) histogram.add(bareFlush.between(window.fromMs, window.toMs));
    return { p50Ms: percentileMs(histogram, 50), p99Ms: percentileMs(histogram, 99), longestMs: longestMs(histogram) };
  };
  const ratio = (name: WindowName): Spread => spreadOf(figures.filter((figure) => figure.name === name).map((figure) => figure.p99Ms / (figures.find((calm) => calm.name === 'calm' && calm.round === figure.round)?.p99Ms ?? Number.NaN)));
  return {
    windows: figures, pooled: { calm: named('calm'), restarted: named('restarted'), healing: named('healing') },
    bareFlushes: { calm: flushes('calm'), restarted: flushes('restarted'), healing: flushes('healing') },
    p99Ratio: { restarted: ratio('restarted'), healing: ratio('healing') }, slots,
  };
}

function latenciesOf(parts: readonly { calls: number; errors: number; seconds: number; histogram: Histogram }[]): Latencies {
  const histogram = latencies(2);
  for (const part of parts) histogram.add(part.histogram);
  const sum = (of: (part: (typeof parts)[number]) => number): number => parts.reduce((total, part) => total + of(part), 0);
  return {
    perSecond: sum(({ calls }) => calls) / sum(({ seconds }) => seconds), p50Ms: percentileMs(histogram, 50), p99Ms: percentileMs(histogram, 99), p999Ms: percentileMs(histogram, 99.9),
    longestMs: longestMs(histogram), errors: sum(({ errors }) => errors),
  };
}
