/** The comparison of commit protocols as one picture, an SVG. */
import { init, type BarSeriesOption, type CustomSeriesOption, type EChartsOption } from 'echarts';
import type { CommitProtocol } from '../client/index.ts';
import type { LossRow } from './protocols.ts';
import type { TurnSummary } from './protocol-summary.ts';
import type { Spread } from './report/spread.ts';
import { blocked, isBlocked, outcomes } from './protocol-tables.ts';

const width = 1_080;
const rowHeight = 310;
const legendHeight = 40;
const margin = 60;

/** Told apart also by those who see no red or green (Okabe and Ito). */
const colours: Readonly<Record<CommitProtocol, string>> = { 'dtp': '#0072b2', '2pc': '#d55e00', 'o2pc': '#e69f00', '3pc': '#009e73' };
const protocols = Object.keys(colours) as CommitProtocol[];
const nameOf = (protocol: CommitProtocol): string => protocol.toUpperCase();
const grey = '#555';

/** Short enough to stand above a bar. */
const outcomeWords: Readonly<Record<string, string>> = { 'committed': 'commit', 'aborted': 'abort', '–': '' };

interface Bar {
  readonly value: number;
  readonly label: string;
  /** Where a whisker begins and ends. */
  readonly spread?: readonly [lower: number, upper: number] | undefined;
}

/** Bars in groups: a group for each category, in it a bar for each protocol. */
interface Panel {
  readonly title: string;
  readonly subtitle: string;
  readonly axis: string;
  readonly scale: 'value' | 'log';
  readonly categories: readonly string[];
  readonly bar: (protocol: CommitProtocol, category: number) => Bar | null;
}

interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export function plotOf(summaries: readonly TurnSummary[], losses: readonly LossRow[], { backAfterMs, watchedMs }: { readonly backAfterMs: number; readonly watchedMs: number }): string {
  const panels: [Panel, Place][] = [];
  const rows = (summaries.length > 0 ? 1 : 0) + (losses.length > 0 ? 1 : 0);
  const place = (row: number, left: number, share: number): Place => ({ left: left + margin, top: legendHeight + 75 + row * rowHeight, width: share - margin - 10, height: rowHeight - 115 });
  if (summaries.length > 0) {
    const third = (width - 30) / 3;
    panels.push([ratioPanel(summaries, 'Throughput', 'committed a second, by those of DTP; with quartiles', ({ perSecondRatio }) => perSecondRatio), place(0, 0, third)]);
    panels.push([ratioPanel(summaries, 'Latency', 'median, by that of DTP; with quartiles', ({ p50Ratio }) => p50Ratio), place(0, third, third)]);
    panels.push([costPanel(summaries), place(0, 2 * third, third)]);
  }
  if (losses.length > 0) panels.push([lossPanel(losses, backAfterMs, watchedMs), place(rows - 1, 0, width - 20)]);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height: legendHeight + rows * rowHeight });
  chart.setOption(optionOf(panels));
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function ratioPanel(summaries: readonly TurnSummary[], title: string, subtitle: string, figure: (summary: TurnSummary) => Spread): Panel {
  const callers = [...new Set(summaries.map((summary) => summary.callers))];
  return {
    title, subtitle, axis: '× DTP', scale: 'value',
    categories: callers.map((count) => (count === 1 ? '1 caller' : `${count} callers`)),
    bar: (protocol, category) => {
      const summary = summaries.find((each) => each.protocol === protocol && each.callers === callers[category]);
      if (summary === undefined) return null;
      const { median, lower, upper } = figure(summary);
      return { value: median, label: median.toFixed(2), spread: [lower, upper] };
    },
  };
}

/** Of the fewest callers: with more of them acknowledgements share messages. */
function costPanel(summaries: readonly TurnSummary[]): Panel {
  const fewest = Math.min(...summaries.map(({ callers }) => callers));
  const figures = [(summary: TurnSummary) => summary.messages, (summary: TurnSummary) => summary.forcedWrites];
  return {
    title: 'Cost of a transaction', subtitle: 'counted by three nodes', axis: '', scale: 'value',
    categories: ['messages between nodes', 'forced writes'],
    bar: (protocol, category) => {
      const summary = summaries.find((each) => each.protocol === protocol && each.callers === fewest);
      const value = summary === undefined ? Number.NaN : (figures[category]?.(summary) ?? Number.NaN);
      return Number.isNaN(value) ? null : { value, label: value.toFixed(1) };
    },
  };
}

function lossPanel(losses: readonly LossRow[], backAfterMs: number, watchedMs: number): Panel {
  const steps = [...new Set(losses.map(({ step }) => step))];
  return {
    title: 'The coordinator is killed in the middle of a transaction: how long nobody else can write its keys',
    subtitle: `and what becomes of it; simulated cluster, virtual time, logarithmic; the coordinator is back after ${backAfterMs / 1_000} s (∞: if it never is, the keys stay blocked)`,
    axis: '', scale: 'log',
    categories: steps.map((step) => (step === 'idle' ? 'idle: no transaction' : step)),
    bar: (protocol, category) => {
      const row = losses.find((each) => each.protocol === protocol && each.step === steps[category]);
      if (row === undefined) return null;
      const { writeBlockedMs } = row.back;
      return { value: writeBlockedMs ?? watchedMs, label: `${blocked(writeBlockedMs, watchedMs)}${isBlocked(row.gone) ? ' ∞' : ''}\n${outcomeWords[outcomes(row.back)] ?? 'either'}` };
    },
  };
}

function optionOf(panels: readonly [Panel, Place][]): EChartsOption {
  return {
    animation: false,
    backgroundColor: '#fff',
    textStyle: { fontFamily: 'sans-serif' },
    color: protocols.map((protocol) => colours[protocol]),
    legend: { top: 12, left: 'center', itemGap: 24, textStyle: { fontSize: 14 }, data: protocols.map(nameOf) },
    title: panels.map(([{ title, subtitle }, { left, top }]) => ({
      text: title, subtext: subtitle, left: left - 40, top: top - 68, itemGap: 4, textStyle: { fontSize: 14, color: '#111' }, subtextStyle: { fontSize: 12, color: grey },
    })),
    grid: panels.map(([, place]) => place),
    xAxis: panels.map(([{ categories }], index) => ({
      gridIndex: index, type: 'category', data: [...categories], axisTick: { show: false }, axisLabel: { fontSize: 12, color: grey, interval: 0 },
    })),
    yAxis: panels.map(([{ axis, scale }], index) => ({
      gridIndex: index, type: scale, name: axis, nameTextStyle: { color: grey, fontSize: 11 }, splitNumber: 4, axisLabel: { color: grey, fontSize: 11, ...(scale === 'log' && { formatter: (ms: number) => (ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`) }) },
      ...(scale === 'log' && { min: 1, max: 100_000 }),
    })),
    series: panels.flatMap(([panel], index) => [...protocols.map((protocol) => barsOf(panel, index, protocol)), whiskersOf(panel, index)]),
  };
}

const gaps = { barGap: '8%', barCategoryGap: '18%' } as const;

function barsOf({ categories, bar }: Panel, index: number, protocol: CommitProtocol): BarSeriesOption {
  return {
    name: nameOf(protocol), type: 'bar', xAxisIndex: index, yAxisIndex: index, ...gaps,
    data: categories.map((_, category) => {
      const one = bar(protocol, category);
      if (one === null) return { value: Number.NaN };
      // Inside, where a whisker stands above.
      const where = one.spread === undefined ? { position: 'top' as const, color: '#333' } : { position: 'insideBottom' as const, color: '#fff', fontWeight: 'bold' as const };
      return { value: one.value, label: { show: true, formatter: one.label, fontSize: 10, ...where } };
    }),
  };
}

/** A line in the middle of each bar that has a spread. */
function whiskersOf({ categories, bar }: Panel, index: number): CustomSeriesOption {
  const data = categories.flatMap((_, category) => protocols.flatMap((protocol, place) => {
    const spread = bar(protocol, category)?.spread;
    return spread === undefined ? [] : [[category, ...spread, place]];
  }));
  return {
    type: 'custom', xAxisIndex: index, yAxisIndex: index, data, silent: true, z: 3,
    renderItem: (_params, api) => {
      const [category, lower, upper, place] = [0, 1, 2, 3].map((dimension) => api.value(dimension) as number) as [number, number, number, number];
      const offset = api.barLayout?.({ ...gaps, count: protocols.length })?.[place]?.offsetCenter ?? 0;
      const [[x, from], [, to]] = [api.coord([category, lower]), api.coord([category, upper])] as [[number, number], [number, number]];
      const line = (x1: number, y1: number, x2: number, y2: number) => ({ type: 'line' as const, shape: { x1, y1, x2, y2 }, style: { stroke: '#222', lineWidth: 1.2 } });
      const middle = x + offset;
      return { type: 'group', children: [line(middle, from, middle, to), line(middle - 4, from, middle + 4, from), line(middle - 4, to, middle + 4, to)] };
    },
  };
}
