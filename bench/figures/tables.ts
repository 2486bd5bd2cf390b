/** The figures for a terminal. */
import type { Spread } from '../report/spread.ts';
import { milliseconds, number, table } from '../report/table.ts';
import { targets } from '../targets/registry.ts';
import type { Figure } from './summary.ts';

export function figuresTable(figures: readonly Figure[], rounds: number): string {
  const head = ['workload', 'target', 'load', 'calls/s', rounds > 1 ? 'quartiles' : '', 'p50', 'p99', 'longest', 'CPU/call', 'written/call', 'flushes/call', 'retries/call', 'errors', 'processors'];
  return table([head, ...figures.map((figure) => [
    figure.workload, targets[figure.target].title, loadOf(figure), number(figure.perSecond.median), rounds > 1 ? quartiles(figure.perSecond) : '',
    milliseconds(figure.p50Ms.median), milliseconds(figure.p99Ms.median), milliseconds(figure.longestMs), `${number(figure.processorUsPerCall.median)} µs`,
    `${number(figure.writtenBytesPerCall.median)} B`, figure.flushesPerCall.median.toFixed(3), figure.retriesPerCall.median.toFixed(2), describeErrors(figure.errors), shares(figure),
  ])]);
}

export function loadOf({ callers, rate }: Pick<Figure, 'callers' | 'rate'>): string {
  return rate === null ? `${callers} ${callers === 1 ? 'caller' : 'callers'}` : `${number(rate)}/s`;
}

const quartiles = ({ lower, upper }: Spread): string => `${number(lower)}–${number(upper)}`;

function shares({ processorShare }: Figure): string {
  return Object.entries(processorShare).map(([name, share]) => `${name} ${Math.round(share * 100)} %`).join(', ');
}

export function describeErrors(errors: Readonly<Record<string, number>>): string {
  return Object.entries(errors).map(([code, count]) => `${count} ${code}`).join(', ') || '–';
}
