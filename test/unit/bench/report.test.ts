/** What a report says: medians over rounds, what changed between two of them, and pictures. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { changesBetween, compareFiles } from '../../../bench/figures/compare.ts';
import type { Measurement } from '../../../bench/figures/measure.ts';
import { pageOf } from '../../../bench/figures/page.ts';
import type { Report } from '../../../bench/figures/report.ts';
import { summarize } from '../../../bench/figures/summary.ts';
import { figuresTable } from '../../../bench/figures/tables.ts';
import { decode } from '../../../bench/load/histogram.ts';
import { Recorder } from '../../../bench/load/recorder.ts';
import { writeFiles } from '../../../bench/report/files.ts';
import { htmlOf } from '../../../bench/report/page.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-bench-report-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** One call of `ms` for each a second. */
function measurement(perSecond: number, ms: number, changes: Partial<Measurement> = {}): Measurement {
  const recorder = new Recorder({ slots: false });
  for (let i = 0; i < perSecond; i++) recorder.succeeded(ms, ms);
  return { target: 'dtp', workload: 'put', callers: 4, rate: null, round: 0, result: recorder.result(1_000, perSecond / 2), processorShare: { client: 0.5, n1: 0.25 }, processorUsPerCall: 100, writtenBytesPerCall: 200, flushesPerCall: 0.5, ...changes };
}

const rounds = (perSecond: readonly number[], ms: number, changes: Partial<Measurement> = {}): Measurement[] => perSecond.map((rate, round) => measurement(rate, ms, { ...changes, round }));

function reportOf(measurements: readonly Measurement[], faults: readonly string[] = []): Report {
  return {
    format: 1, kind: 'figures', machine: { system: 's', processors: 2, model: '<m>', memoryMiB: 1_024, node: 'v1', loadBefore: 0 }, settings: { keys: 10 },
    targets: [{ name: 'dtp', title: 'dtp-cluster', promise: 'all', version: '1', settings: { nodes: 3 } }], fills: [], figures: summarize(measurements), measurements, faults,
  };
}

describe('a summary', () => {
  it('has the median of the rounds, and the distribution of all their calls', () => {
    const [figure, other] = summarize([...rounds([100, 300, 200], 2), ...rounds([7], 1, { target: 'redis' })]);
    expect(figure?.perSecond).toEqual({ median: 200, lower: 150, upper: 250 });
    expect(figure?.retriesPerCall.median).toBe(0.5);
    expect(decode(figure?.histogram as string).totalCount).toBe(600);
    expect(other).toMatchObject({ target: 'redis', perSecond: { median: 7 } });
  });

  it('tells loads apart', () => {
    expect(summarize([measurement(1, 1), measurement(1, 1, { callers: 5 }), measurement(1, 1, { rate: 10 })])).toHaveLength(3);
  });

  it('is told with its units', () => {
    expect(figuresTable(summarize(rounds([100, 300, 200], 2)), 3).split('\n').at(-1)).toMatch(/^put +dtp-cluster +4 callers +200 +150–250 +2 ms .* 100 µs +200 B +0\.500 +0\.50 +– +client 50 %, n1 25 %$/);
  });
});

describe('a comparison', () => {
  const verdicts = (before: Measurement[], after: Measurement[]): Record<string, string> => Object.fromEntries(changesBetween(summarize(before), summarize(after)).map(({ metric, verdict }) => [metric, verdict]));

  it('says that there is a change only beyond the spread of both', () => {
    expect(verdicts(rounds([100, 200, 300], 2), rounds([200, 260, 300], 2))['calls/s']).toBe('within the spread');
    expect(verdicts(rounds([100, 110, 120], 2), rounds([130, 140, 150], 1))).toMatchObject({ 'calls/s': 'better', 'p50': 'better', 'CPU/call': 'within the spread' });
    expect(verdicts(rounds([130, 140, 150], 1), rounds([100, 110, 120], 2))).toMatchObject({ 'calls/s': 'worse', 'p50': 'worse' });
  });

  it('leaves out what is in one of them only', () => {
    expect(verdicts(rounds([1], 1), rounds([1], 1, { callers: 9 }))).toEqual({});
  });

  it('of files says what else was not the same', () => {
    const files = [reportOf(rounds([100], 1)), { ...reportOf(rounds([100], 1), ['key 7 is lost']), settings: { keys: 20 } }].map((report, i) => writeFiles(directory, `report${i}`, report, null)[0] as string) as [string, string];
    const text = compareFiles(...files);
    expect(text).toContain('Not the same keys: 10, and 20.');
    expect(text).toContain('key 7 is lost');
    expect(text).toContain('5 within the spread');
  });

  it('refuses what is no report', () => {
    const file = path.join(directory, 'other.json');
    writeFileSync(file, '{}');
    expect(() => compareFiles(file, file)).toThrow('is no report of figures');
  });
});

describe('a page', () => {
  it('stands by itself, and holds a picture of each kind and a table', () => {
    const report = reportOf([...rounds([100, 200], 2), ...rounds([300, 400], 3, { callers: 16 })]);
    const [, html] = writeFiles(directory, 'page', report, pageOf(report)) as [string, string];
    const text = readFileSync(html, 'utf8');
    expect(text.match(/<svg/g)).toHaveLength(4);
    expect(text).toContain('&#60;m&#62;');
    expect(text).toContain('<td>16 callers</td>');
    expect(text.match(/(src|href)=/g)).toBeNull();
  });

  it('says if its figures do not count', () => {
    expect(htmlOf(pageOf(reportOf(rounds([1], 1), ['gone'])))).toContain('THESE FIGURES DON');
  });
});
