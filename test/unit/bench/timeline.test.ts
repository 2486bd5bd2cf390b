/** Timelines: what is read off them around a fault. */
import { describe, expect, it } from 'vitest';
import { agreedAgain } from '../../../bench/agreement.ts';
import { encode, latencies, record } from '../../../bench/load/histogram.ts';
import { slotMs, type Slot } from '../../../bench/load/recorder.ts';
import { htmlOf } from '../../../bench/report/page.ts';
import { faultRows, timelinePage } from '../../../bench/timeline/page.ts';
import { figureOf, type Timeline } from '../../../bench/timeline/run.ts';
import type { Database } from '../../../client/index.ts';

const slot = (number: number, calls: number, ms: number, errors = 0): Slot => {
  const histogram = latencies(2);
  for (let i = 0; i < calls; i++) record(histogram, ms);
  return { number, calls, errors, histogram: encode(histogram) };
};

/** A second of calm, half a second without a call, then one slot with all that was due meanwhile. */
const slots = [...Array.from({ length: 10 }, (_, i) => slot(i, 10, 2)), slot(15, 60, 500, 1), ...Array.from({ length: 10 }, (_, i) => slot(16 + i, 10, 2))];
const event = { fault: 'killed', member: 'n2', atMs: 10 * slotMs, backAtMs: 20 * slotMs, agreedAfterMs: 70, untilMs: 26 * slotMs } as const;

describe('a fault', () => {
  const figure = figureOf(event, slots, 1_000);

  it('costs clients the longest call that ended after it', () => {
    expect(figure.pauseMs).toBeGreaterThan(495);
    expect(figure).toMatchObject({ errors: 1, calmPerSecond: 100, awayPerSecond: 100 });
    expect(figure.calmP99Ms).toBeCloseTo(2, 1);
    expect(figure.awayP99Ms).toBeGreaterThan(495);
  });

  it('that outlasts the time in which it is watched is its own, not the next one\'s', () => {
    const late = [...slots.slice(0, 10), slot(40, 300, 2_900)];
    const next = { ...event, atMs: 36 * slotMs, backAtMs: 38 * slotMs, untilMs: 50 * slotMs };
    expect(figureOf(event, late, 1_000)).toMatchObject({ awayPerSecond: 0, awayP99Ms: Number.NaN });
    expect(figureOf(event, late, 1_000).pauseMs).toBeGreaterThan(2_880);
    expect(figureOf(next, late, 1_000).pauseMs).toBeNaN();
  });

  const timeline: Timeline = { target: 'dtp', version: '1', faults: [figure, { ...figure, agreedAfterMs: null }], slots, wrong: ['key 1 is lost'] };

  it('is told in a row; an agreement that nobody saw is not made up', () => {
    expect(faultRows(timeline).map((row) => row.at(-1))).toEqual(['70 ms', '?']);
  });

  it('is drawn, and what was lost is said', () => {
    const html = htmlOf(timelinePage([timeline], { system: 's', processors: 1, model: 'm', memoryMiB: 1, node: 'v', loadBefore: 0 }, 'put'));
    expect(html.match(/<svg/g)).toHaveLength(2);
    expect(html).toContain('n2 killed');
    expect(html).toContain('key 1 is lost');
  });
});

describe('agreement with one that came back', () => {
  const longAgo = 1e9;
  const node = (id: string, peers: Readonly<Record<string, number | null>>, partitionsBehind = 0) => ({
    id, reachable: true, lag: { lastAgreementMs: longAgo, partitionsBehind, peers: Object.entries(peers).map(([peer, lastAgreementMs]) => ({ id: peer, lastAgreementMs, partitionsBehind })) },
  });
  const agreed = (...nodes: ReturnType<typeof node>[]): Promise<boolean> => agreedAgain({ status: async () => nodes } as unknown as Database, 'n3', 120);

  it('does not wait for those that were there all the time', async () => {
    expect(await agreed(node('n1', { n2: longAgo, n3: -1 }), node('n2', { n1: longAgo, n3: -1 }), node('n3', { n1: -1, n2: -1 }))).toBe(true);
  });

  it('waits for each pair that it is one of', async () => {
    expect(await agreed(node('n1', { n2: longAgo, n3: longAgo }), node('n2', { n1: longAgo, n3: -1 }), node('n3', { n1: -1, n2: -1 }))).toBe(false);
    expect(await agreed(node('n1', { n3: -1 }), node('n3', { n1: null }))).toBe(false);
    expect(await agreed(node('n1', { n3: -1 }), node('n3', { n1: -1 }, 1))).toBe(false);
  });
});
