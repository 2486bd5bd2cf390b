/** The figures of healing for a terminal. */
import { milliseconds, number, table } from '../report/table.ts';
import { spreadOf } from '../report/spread.ts';
import type { Divergence } from './divergence.ts';
import { windowNames, type Foreground } from './foreground.ts';
import type { Restart } from './restart.ts';

export function divergenceTable(divergences: readonly Divergence[]): string {
  const head = ['missed', 'keys', 'bytes that differed', 'exchanged', 'ratio', 'of that received by', 'keys pulled', 'until it served', 'then until equal'];
  return table([head, ...divergences.map(({ what, keys, bytes, bytesExchanged, bytesReceived, keysPulled, startMs, healMs }) => [
    what, number(keys), number(bytes), bytesExchanged === null ? '?' : number(bytesExchanged), bytesExchanged === null ? '?' : (bytesExchanged / bytes).toFixed(2), Object.entries(bytesReceived ?? {}).map(([node, count]) => `${node} ${number(count)}`).join(', '), number(keysPulled), milliseconds(startMs), milliseconds(healMs),
  ])]);
}

export function foregroundTable({ windows, pooled, bareFlushes, p99Ratio }: Foreground): string {
  const head = ['window', 'seconds', 'calls/s', 'p50', 'p99', 'p99.9', 'longest', 'p99, by calm', 'by round', 'errors', 'longest stall', 'bare flush: p99', 'longest'];
  return table([head, ...windowNames.map((name) => {
    const own = windows.filter((window) => window.name === name);
    const { perSecond, p50Ms, p99Ms, p999Ms, longestMs, errors } = pooled[name];
    const ratio = name === 'calm' ? null : p99Ratio[name];
    const stalls = new Map<string, number>();
    for (const { stallsMs } of own) for (const [node, ms] of Object.entries(stallsMs)) stalls.set(node, Math.max(ms, stalls.get(node) ?? 0));
    return [
      name, spreadOf(own.map(({ fromMs, toMs }) => (toMs - fromMs) / 1_000)).median.toFixed(1), number(perSecond), milliseconds(p50Ms), milliseconds(p99Ms), milliseconds(p999Ms), milliseconds(longestMs),
      ratio === null ? '' : (p99Ms / pooled.calm.p99Ms).toFixed(2), ratio === null ? '' : `${ratio.lower.toFixed(2)} to ${ratio.upper.toFixed(2)}`, number(errors),
      [...stalls].sort().map(([node, ms]) => `${node} ${milliseconds(ms)}`).join(', '), milliseconds(bareFlushes[name].p99Ms), milliseconds(bareFlushes[name].longestMs),
    ];
  })]);
}

export function restartTable(restarts: readonly Restart[]): string {
  const head = ['journal', 'overlay', 'records replayed', 'replay', 'until it served'];
  const mebibytes = (bytes: number): string => `${number(bytes / 2 ** 20)} MiB`;
  return table([head, ...restarts.map(({ journalBytes, overlayBytes, replayedRecords, replayMs, startMs }) => [mebibytes(journalBytes), mebibytes(overlayBytes), number(replayedRecords), milliseconds(replayMs), milliseconds(startMs)])]);
}
