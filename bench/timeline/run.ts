/**
 * One target under a steady load while its members are killed and frozen, each in turn.
 *
 * The load is an open loop: what clients see of a stall is how long calls took that were due in it, and none of them is
 * left out because others waited.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Stand } from '../figures/measure.ts';
import { decode, longestMs, percentileMs } from '../load/histogram.ts';
import { inWindow, slotMs, type Slot } from '../load/recorder.ts';
import type { TargetName } from '../targets/target.ts';
import type { WorkloadName } from '../workloads/registry.ts';

export type Fault = 'killed' | 'frozen';

export interface FaultEvent {
  readonly fault: Fault;
  readonly member: string;
  /** Since 1970. */
  readonly atMs: number;
  /** When it was started again, or went on; and from when on it served. */
  readonly backAtMs: number;
  /** Milliseconds from then until it agreed with all others; null: not while it was watched, or nobody can tell. */
  readonly agreedAfterMs: number | null;
  /** When the next one came, or the end. */
  readonly untilMs: number;
}

export interface FaultFigure extends FaultEvent {
  /** The longest that a call took which was due between the calm before it and the next one, and ended after it: the pause that clients saw. */
  readonly pauseMs: number;
  readonly errors: number;
  /** Of the calm before, and of the time from the fault until it was back. */
  readonly calmP99Ms: number;
  readonly awayP99Ms: number;
  readonly calmPerSecond: number;
  readonly awayPerSecond: number;
}

export interface Timeline {
  readonly target: TargetName;
  readonly version: string;
  readonly faults: readonly FaultFigure[];
  readonly slots: readonly Slot[];
  /** What was lost or invented. */
  readonly wrong: readonly string[];
}

export interface TimelineOptions {
  readonly workload: WorkloadName;
  readonly perSecond: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly calmMs: number;
  readonly awayMs: number;
  readonly rounds: number;
}

const callersMax = 10_000;
const epochMs = (): number => performance.timeOrigin + performance.now();

export async function runTimeline(target: TargetName, options: TimelineOptions, say: (line: string) => void): Promise<Timeline> {
  const stand = await Stand.build(target, { clients: 1 });
  try {
    const { running, load } = stand;
    await load.prepare(running.address, options.workload, { keys: options.keys, valueBytes: options.valueBytes, distribution: 'uniform' });
    const measuring = load.run({ callers: callersMax, perSecond: options.perSecond, warmUpMs: options.calmMs, measureMs: null, slots: true });
    const work = makeFaults(stand, options, say).finally(() => load.finish());
    const [{ slots }, events] = await Promise.all([measuring, work]);
    return { target, version: running.version, faults: events.map((event) => figureOf(event, slots, options.calmMs)), slots, wrong: await load.verify() };
  } finally {
    await stand.tearDown();
  }
}

async function makeFaults({ running }: Stand, { calmMs, awayMs, rounds }: TimelineOptions, say: (line: string) => void): Promise<FaultEvent[]> {
  const events: FaultEvent[] = [];
  await delay(calmMs);
  for (let round = 0; round < rounds; round++) {
    for (const fault of ['killed', 'frozen'] as const) {
      for (const member of running.members) {
        await delay(calmMs);
        const atMs = epochMs();
        say(`${member} is ${fault} ...`);
        await (fault === 'killed' ? running.kill(member) : running.pause(member));
        await delay(awayMs);
        await (fault === 'killed' ? running.restart(member) : running.resume(member));
        const backAtMs = epochMs();
        const agreed = await (running.agreedAgain?.(member) ?? null);
        const agreedAfterMs = agreed === true ? epochMs() - backAtMs : null;
        await delay(calmMs);
        events.push({ fault, member, atMs, backAtMs, agreedAfterMs, untilMs: epochMs() });
      }
    }
  }
  return events;
}

export function figureOf(event: FaultEvent, slots: readonly Slot[], calmMs: number): FaultFigure {
  const { atMs, backAtMs, untilMs } = event;
  const [calm, away, all] = [inWindow(slots, atMs - calmMs, atMs), inWindow(slots, atMs, backAtMs), inWindow(slots, atMs, untilMs)];
  return {
    ...event,
    pauseMs: pauseOf(event, slots, calmMs), errors: all.errors,
    calmP99Ms: percentileMs(calm.histogram, 99), awayP99Ms: percentileMs(away.histogram, 99),
    calmPerSecond: calm.calls / calm.seconds, awayPerSecond: away.calls / away.seconds,
  };
}

/** However late it ended: a stall may outlast the time in which it is watched, and is not the next fault's then. */
function pauseOf({ atMs, untilMs }: FaultEvent, slots: readonly Slot[], calmMs: number): number {
  const longest = slots.filter(({ number }) => (number + 1) * slotMs > atMs).map(({ number, histogram }) => {
    const tookMs = longestMs(decode(histogram));
    const dueAtMs = (number + 1) * slotMs - tookMs;
    return dueAtMs >= atMs - calmMs && dueAtMs < untilMs ? tookMs : Number.NaN;
  });
  const known = longest.filter(Number.isFinite);
  return known.length === 0 ? Number.NaN : Math.max(...known);
}
