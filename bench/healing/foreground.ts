/**
 * What callers feel of healing: the same load in an open loop all the time, and in each round three windows of it: a calm
 * one, one after a node was killed and came back with next to nothing to heal, and one after it came back having missed
 * many keys. So what a restarted process costs by itself is told from what its healing costs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { percentileMs } from '../load/histogram.ts';
import type { Load } from '../load/client.ts';
import { inWindow, type LoopResult, type Slot } from '../load/recorder.ts';
import { spreadOf, type Spread } from '../report/spread.ts';
import type { Stage } from './divergence.ts';

export const windowNames = ['calm', 'restarted', 'healing'] as const;
export type WindowName = (typeof windowNames)[number];

interface Window {
  readonly name: WindowName;
  readonly round: number;
  /** Since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
}

export interface WindowFigure extends Window {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

export interface Foreground {
  readonly windows: readonly WindowFigure[];
  /** Within a round: by the calm window's. */
  readonly p99Ratio: Readonly<Record<Exclude<WindowName, 'calm'>, Spread>>;
  readonly slots: readonly Slot[];
}

export interface ForegroundOptions {
  readonly rounds: number;
  readonly windowMs: number;
  readonly perSecond: number;
  /** Written while the node is away. */
  readonly missed: number;
}

const callers = 1_000;
const healTimeoutMs = 10 * 60_000;
const wholeTimeoutMs = 60_000;
/** Windows too short have no percentiles to speak of. */
const windowMsMin = 500;
const epochMs = (): number => performance.timeOrigin + performance.now();

export async function watchForeground(stage: Stage, load: Load, options: ForegroundOptions, say: (line: string) => void): Promise<Foreground> {
  const windows: Window[] = [];
  const running = load.run({ callers, perSecond: options.perSecond, warmUpMs: options.windowMs, measureMs: null, slots: true });
  const work = takeWindows(stage, options, windows, say).finally(() => load.finish());
  const [result] = await Promise.all([running, work]);
  return evaluate(windows, result);
}

async function takeWindows({ cluster, observer, dataset, lost }: Stage, { rounds, windowMs, missed }: ForegroundOptions, windows: Window[], say: (line: string) => void): Promise<void> {
  const take = async (name: WindowName, round: number, until: () => Promise<unknown>): Promise<void> => {
    const fromMs = epochMs();
    await until();
    windows.push({ name, round, fromMs, toMs: Math.max(epochMs(), fromMs + windowMsMin) });
  };
  await delay(windowMs);
  for (let round = 0; round < rounds; round++) {
    say(`foreground, round ${round + 1} of ${rounds} ...`);
    await observer.whole(wholeTimeoutMs);
    await delay(windowMs);
    await take('calm', round, () => delay(windowMs));
    await cluster.kill(lost);
    await cluster.start(lost);
    await take('restarted', round, () => delay(windowMs));
    await cluster.kill(lost);
    await observer.gone(lost, wholeTimeoutMs);
    await dataset.write(missed);
    await cluster.start(lost);
    const fromMs = epochMs();
    const { atMs } = await observer.pulled(lost, missed, healTimeoutMs);
    windows.push({ name: 'healing', round, fromMs, toMs: Math.max(performance.timeOrigin + atMs, fromMs + windowMsMin) });
  }
}

export function evaluate(windows: readonly Window[], { slots }: Pick<LoopResult, 'slots'>): Foreground {
  const figures = windows.map((window): WindowFigure => {
    const { calls, errors, seconds, histogram } = inWindow(slots, window.fromMs, window.toMs);
    return { ...window, perSecond: calls / seconds, p50Ms: percentileMs(histogram, 50), p99Ms: percentileMs(histogram, 99), errors };
  });
  const ratio = (name: WindowName): Spread => spreadOf(figures.filter((figure) => figure.name === name).map((figure) => figure.p99Ms / (figures.find((calm) => calm.name === 'calm' && calm.round === figure.round)?.p99Ms ?? Number.NaN)));
  return { windows: figures, p99Ratio: { restarted: ratio('restarted'), healing: ratio('healing') }, slots };
}
