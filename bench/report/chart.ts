/** Lines over axes as an SVG, without a browser. */
import { init, type EChartsOption } from 'echarts';

export interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Beside the points, one for each. */
  readonly labels?: readonly string[];
}

export interface Chart {
  readonly title: string;
  readonly subtitle: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  readonly wide?: boolean;
  /** Lines across, with what happened there. */
  readonly marks?: readonly { readonly at: number; readonly text: string }[];
}

export interface Axis {
  readonly name: string;
  readonly scale: 'value' | 'log';
  readonly format?: (value: number) => string;
}

const widths = { normal: 640, wide: 1_280 } as const;
const height = 380;
const grey = '#555';

export function svgOf({ title, subtitle, x, y, lines, wide = false, marks = [] }: Chart): string {
  const width = wide ? widths.wide : widths.normal;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  const axis = ({ name, scale, format }: Axis) => ({ type: scale, name, nameLocation: 'middle' as const, nameTextStyle: { color: grey }, splitLine: { lineStyle: { color: '#eee' } }, axisLabel: { color: grey, ...(format !== undefined && { formatter: format }) } });
  const option: EChartsOption = {
    animation: false,
    backgroundColor: '#fff',
    textStyle: { fontFamily: 'sans-serif' },
    title: { text: title, subtext: subtitle, left: 10, top: 5, textStyle: { fontSize: 15 }, subtextStyle: { color: grey } },
    legend: { bottom: 0, data: lines.map(({ name }) => name) },
    grid: { left: 70, right: 30, top: 75, bottom: 70 },
    xAxis: { ...axis(x), nameGap: 25 },
    yAxis: { ...axis(y), nameGap: 48 },
    series: lines.map(({ name, colour, points, labels }, index) => ({
      name, type: 'line' as const, color: colour, symbol: points.length > 60 ? 'none' : 'circle', symbolSize: 5, lineStyle: { width: 1.6 },
      // What is not a number has no place on a logarithmic axis, and zero neither.
      data: points.map(([at, value], i) => ({ value: [at, Number.isFinite(value) && (y.scale === 'value' || value > 0) ? value : '-'], label: { show: labels !== undefined, formatter: labels?.[i] ?? '', fontSize: 10, color: grey } })),
      ...(index === 0 && marks.length > 0 && { markLine: { symbol: 'none', silent: true, lineStyle: { color: '#c00', type: 'dashed' as const }, data: marks.map(({ at, text }) => ({ xAxis: at, label: { formatter: text, fontSize: 10, color: '#c00' } })) } }),
    })),
  };
  chart.setOption(option);
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** Told apart also by those who see no red or green (Okabe and Ito). */
export const palette = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const;

export function colourOf(index: number): string {
  return palette[index % palette.length] as string;
}
