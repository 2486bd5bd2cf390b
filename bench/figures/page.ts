/** The figures as pictures: by workload, throughput against latency, and how latencies are distributed. */
import { decode, percentileMs } from '../load/histogram.ts';
import { colourOf, type Chart, type Line } from '../report/chart.ts';
import type { Page, Section } from '../report/page.ts';
import { milliseconds, number } from '../report/table.ts';
import type { TargetName } from '../targets/target.ts';
import { describeMachine } from '../usage.ts';
import { definitionOf } from '../workloads/registry.ts';
import type { Report } from './report.ts';
import type { Figure } from './summary.ts';
import { describeErrors, loadOf } from './tables.ts';

/** On the axis of a distribution, one step for each nine. */
const percentiles = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99];

export function pageOf(report: Report): Page {
  const { machine, targets, figures, faults } = report;
  const workloads = [...new Set(figures.map(({ workload }) => workload))];
  return {
    title: 'What databases do on one machine',
    introduction: [
      describeMachine(machine),
      ...targets.map(({ title, version, promise, settings }) => `${title} (${version}): ${promise}. ${Object.entries(settings).map(([name, value]) => `${name} ${value}`).join(', ')}`),
      faults.length === 0 ? 'Everything that was acknowledged was found afterwards.' : `THESE FIGURES DON'T COUNT: ${faults.slice(0, 5).join('; ')}`,
    ],
    sections: workloads.map((workload) => sectionOf(report, figures.filter((figure) => figure.workload === workload))),
  };
}

function sectionOf({ targets }: Report, figures: readonly Figure[]): Section {
  const [{ workload }] = figures as readonly [Figure];
  const titleOf = (name: TargetName): string => targets.find((target) => target.name === name)?.title ?? name;
  const names = [...new Set(figures.map(({ target }) => target))];
  const lines = (points: (own: readonly Figure[]) => Pick<Line, 'points' | 'labels'>): Line[] => names.map((name) => ({
    name: titleOf(name), colour: colourOf(targets.findIndex((target) => target.name === name)), ...points(figures.filter(({ target }) => target === name)),
  }));
  const curve = (what: string, of: (figure: Figure) => number): Chart => ({
    title: `${what} against throughput`, subtitle: 'beside the points, the load', x: { name: 'calls/s', scale: 'value' }, y: { name: 'ms', scale: 'log' },
    lines: lines((own) => ({ points: own.map((figure) => [figure.perSecond.median, of(figure)] as const), labels: own.map(({ rate, callers }) => (rate === null ? String(callers) : `${number(rate)}/s`)) })),
  });
  return {
    title: `${workload}: ${definitionOf(workload).meaning}`,
    charts: [curve('Median latency', ({ p50Ms }) => p50Ms.median), curve('99th percentile', ({ p99Ms }) => p99Ms.median), ...distributions(figures, lines)],
    rows: [
      ['target', 'load', 'calls/s', 'quartiles', 'p50', 'p99', 'longest', 'CPU/call', 'written/call', 'flushes/call', 'retries/call', 'errors'],
      ...figures.map((figure) => [
        titleOf(figure.target), loadOf(figure), number(figure.perSecond.median), `${number(figure.perSecond.lower)}–${number(figure.perSecond.upper)}`, milliseconds(figure.p50Ms.median), milliseconds(figure.p99Ms.median), milliseconds(figure.longestMs),
        `${number(figure.processorUsPerCall.median)} µs`, `${number(figure.writtenBytesPerCall.median)} B`, figure.flushesPerCall.median.toFixed(3), figure.retriesPerCall.median.toFixed(2), describeErrors(figure.errors),
      ]),
    ],
  };
}

/** One for each load. */
function distributions(figures: readonly Figure[], lines: (points: (own: readonly Figure[]) => Pick<Line, 'points'>) => Line[]): Chart[] {
  const loads = [...new Set(figures.map(loadOf))];
  return loads.map((load) => ({
    title: `Distribution, ${load}`, subtitle: 'the time that this share of all calls stayed below', x: { name: 'percentile', scale: 'value', format: (nines) => `${Number((100 - 100 * 10 ** -nines).toFixed(4))}` }, y: { name: 'ms', scale: 'log' },
    lines: lines((own) => {
      const figure = own.find((each) => loadOf(each) === load);
      const histogram = figure === undefined ? null : decode(figure.histogram);
      return { points: histogram === null ? [] : percentiles.map((percentile) => [-Math.log10(1 - percentile / 100), percentileMs(histogram, percentile)] as const) };
    }),
  }));
}
