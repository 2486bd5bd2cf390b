/** The comparison of commit protocols in words, for a terminal. */
import type { LossRow } from './protocols.ts';
import type { LossSummary, TurnSummary } from './protocol-summary.ts';
import type { Spread } from './report/spread.ts';
import { milliseconds, number, table } from './report/table.ts';

const ratio = ({ median, lower, upper }: Spread): string => `${median.toFixed(2)} (${lower.toFixed(2)} to ${upper.toFixed(2)})`;

export function turnTable(summaries: readonly TurnSummary[]): string {
  const head = ['callers', 'protocol', 'committed/s', '× dtp', 'p50', '× dtp', 'p99', 'messages/tx', 'design', 'forced writes/tx', 'design', 'flushes/tx', 'CPU/tx', '× dtp', ''];
  return table([head, ...summaries.map(({ protocol, callers, perSecond, perSecondRatio, p50Ms, p50Ratio, p99Ms, processorUs, processorRatio, messages, messagesDesigned, forcedWrites, forcedWritesDesigned, flushes, counted, turnsWithLosses, differences }) => [
    number(callers), protocol, number(perSecond.median), ratio(perSecondRatio), milliseconds(p50Ms.median), ratio(p50Ratio), milliseconds(p99Ms.median),
    messages.toFixed(2), `≤ ${messagesDesigned.toFixed(2)}`, forcedWrites.toFixed(2), forcedWritesDesigned.toFixed(2), flushes.toFixed(2), `${number(processorUs)} µs`, ratio(processorRatio),
    verdict(differences, counted, turnsWithLosses, protocol === 'dtp'),
  ])]);
}

function verdict(differences: readonly string[], { fastCommits, slowCommits }: TurnSummary['counted'], turnsWithLosses: number, hasFastPath: boolean): string {
  const commits = fastCommits + slowCommits;
  const words: string[] = [];
  if (commits > 0) words.push(differences.length === 0 ? 'as designed' : `NOT AS DESIGNED: ${differences.join(', ')}`);
  if (commits > 0 && hasFastPath) words.push(`${((100 * fastCommits) / commits).toFixed(1)} % fast`);
  if (turnsWithLosses > 0) words.push(`not counted: turns in which a node took another for dead, ${turnsWithLosses}`);
  return words.join('; ');
}

export function lossTable(rows: readonly LossRow[], { backAfterMs, watchedMs }: { readonly backAfterMs: number; readonly watchedMs: number }): string {
  const back = `back after ${backAfterMs / 1_000} s`;
  const head = ['killed', 'protocol', `${back}: reads`, 'writes', 'outcome', 'never back: reads', 'writes', 'outcome'];
  return table([head, ...rows.map((row) => [
    row.step, row.protocol, blocked(row.back.readBlockedMs, watchedMs), blocked(row.back.writeBlockedMs, watchedMs), outcomes(row.back),
    blocked(row.gone.readBlockedMs, watchedMs), blocked(row.gone.writeBlockedMs, watchedMs), isBlocked(row.gone) ? `blocked (${outcomes(row.gone)} when it is back after all)` : outcomes(row.gone),
  ])]);
}

export function blocked(ms: number | null, watchedMs: number): string {
  if (ms === null) return `> ${watchedMs / 1_000} s`;
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(1)} s` : milliseconds(ms);
}

export function isBlocked({ readBlockedMs, writeBlockedMs }: LossSummary): boolean {
  return readBlockedMs === null || writeBlockedMs === null;
}

export function outcomes({ outcomes: counts, runs }: LossSummary): string {
  return Object.entries(counts).map(([outcome, count]) => (outcome === 'none' ? '–' : count === runs ? outcome : `${count} ${outcome}`)).join(', ');
}
