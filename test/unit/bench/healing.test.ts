/** The healing benchmark: what it compares, and what it would be caught by. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BareFlush } from '../../../bench/healing/bare-flush.ts';
import { distinct } from '../../../bench/healing/command.ts';
import { Dataset } from '../../../bench/healing/dataset.ts';
import { evaluate } from '../../../bench/healing/foreground.ts';
import { divergenceTable, foregroundTable } from '../../../bench/healing/tables.ts';
import { encode, latencies, record } from '../../../bench/load/histogram.ts';
import { slotMs, type Slot } from '../../../bench/load/recorder.ts';
import { stamped } from '../../../bench/workloads/values.ts';
import { FakeSession } from './fake-session.ts';

describe('the rows', () => {
  const written = async (): Promise<{ session: FakeSession; dataset: Dataset }> => {
    const session = new FakeSession();
    const dataset = new Dataset(session, 100, 40);
    await dataset.write();
    await dataset.write(10);
    return { session, dataset };
  };

  it('are right when each holds its last writing', async () => {
    const { dataset } = await written();
    expect(await dataset.verify()).toEqual([]);
  });

  it('one that went back to an earlier writing is caught, and one that is gone', async () => {
    const { session, dataset } = await written();
    session.data.set('row:000000010', stamped(40, 10, 0, 1));
    session.data.delete('row:000000011');
    expect(await dataset.verify()).toEqual(['row 10 holds writing 1 of row 10 where it must hold writing 2', 'row 11 holds nothing where it must hold writing 1']);
  });
});

it('a bare flush is measured until it is told to stop', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-bare-flush-'));
  try {
    const fromMs = performance.timeOrigin + performance.now();
    const bareFlush = new BareFlush(directory);
    while (bareFlush.between(fromMs, Infinity).totalCount < 3) await new Promise(setImmediate);
    await bareFlush.stop();
    expect(bareFlush.between(fromMs, Infinity).totalCount).toBeGreaterThanOrEqual(3);
    expect(bareFlush.between(0, fromMs).totalCount).toBe(0);
    await expect(new BareFlush(path.join(directory, 'missing')).stop()).rejects.toThrow('ENOENT');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe('windows of the same load', () => {
  const slot = (number: number, ms: number): Slot => {
    const histogram = latencies(2);
    for (let i = 0; i < 100; i++) record(histogram, ms);
    return { number, calls: 100, errors: 0, histogram: encode(histogram) };
  };
  const window = (name: 'calm' | 'restarted' | 'healing', round: number, from: number) => ({ name, round, fromMs: from * slotMs, toMs: (from + 2) * slotMs });
  const slots = [4, 4, 6, 6, 12, 12, 2, 2, 4, 4, 2, 2].map((ms, i) => slot(i, ms));
  const foreground = evaluate([window('calm', 0, 0), window('restarted', 0, 2), window('healing', 0, 4), window('calm', 1, 6), window('restarted', 1, 8), window('healing', 1, 10)], { slots }, {
    stalls: { longest: (fromMs) => ({ n3: fromMs === 4 * slotMs ? 30 : 20 }) },
    bareFlush: { between: (fromMs) => {
      const histogram = latencies(2);
      record(histogram, fromMs === 4 * slotMs ? 80 : 1);
      return histogram;
    } },
  });

  it('are compared within a round', () => {
    expect(foreground.p99Ratio.healing.median).toBeCloseTo(2, 1);
    expect(foreground.p99Ratio.restarted.median).toBeCloseTo(1.75, 1);
    expect(foreground.windows[0]).toMatchObject({ perSecond: 1_000, errors: 0 });
  });

  it('are added up over rounds', () => {
    expect(foreground.pooled.calm.p50Ms).toBeCloseTo(2, 1);
    expect(foreground.pooled.healing.p99Ms / foreground.pooled.calm.p99Ms).toBeCloseTo(3, 1);
  });

  it('are told, and what the disk itself took meanwhile', () => {
    expect(foregroundTable(foreground).split('\n').at(-1)).toMatch(/^healing .* 2\.0/);
    expect(foreground.bareFlushes.calm.longestMs).toBeCloseTo(1, 1);
    expect(foreground.bareFlushes.healing.longestMs).toBeGreaterThan(79);
  });
});

it('keys drawn at random are met more than once', () => {
  expect(distinct(1, 1_000)).toBe(1);
  expect(distinct(1_000, 1_000)).toBe(632);
  expect(distinct(1_000_000, 1_000)).toBe(1_000);
});

it('bytes exchanged are told by those that differed, or that nobody counted them', () => {
  const divergence = { what: '1 %', keys: 10, bytes: 1_000, keysPulled: 10, bytesExchanged: 1_300, bytesReceived: { n1: 100, n3: 1_200 }, startMs: 1, healMs: 2 };
  expect(divergenceTable([divergence])).toMatch(/1\.30  n1 100, n3 1,200/);
  expect(divergenceTable([{ ...divergence, bytesExchanged: null, bytesReceived: null }])).toContain('?');
});
