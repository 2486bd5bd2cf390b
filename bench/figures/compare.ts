/**
 * `npm run bench -- compare old.json new.json`: what changed between two runs of figures, beyond their spread.
 *
 * A figure has changed if the quartiles of the one run lie wholly outside those of the other: half of the rounds of each lie
 * between its own. So two rounds of each, or three, are the least that says something; and even then, machines are not the same
 * from hour to hour, so that all figures of a run may be shifted alike.
 */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Spread } from '../report/spread.ts';
import { milliseconds, number, table } from '../report/table.ts';
import { describeMachine } from '../usage.ts';
import type { Report } from './report.ts';
import type { Figure } from './summary.ts';
import { loadOf } from './tables.ts';

const metrics: readonly { readonly name: string; readonly of: (figure: Figure) => Spread; readonly better: 'more' | 'less'; readonly format: (value: number) => string }[] = [
  { name: 'calls/s', of: ({ perSecond }) => perSecond, better: 'more', format: number },
  { name: 'p50', of: ({ p50Ms }) => p50Ms, better: 'less', format: milliseconds },
  { name: 'p99', of: ({ p99Ms }) => p99Ms, better: 'less', format: milliseconds },
  { name: 'CPU/call', of: ({ processorUsPerCall }) => processorUsPerCall, better: 'less', format: (us) => `${number(us)} µs` },
  { name: 'written/call', of: ({ writtenBytesPerCall }) => writtenBytesPerCall, better: 'less', format: (bytes) => `${number(bytes)} B` },
];

export interface Change {
  readonly figure: string;
  readonly metric: string;
  readonly before: number;
  readonly after: number;
  readonly ratio: number;
  readonly verdict: 'better' | 'worse' | 'within the spread';
  readonly words: readonly [before: string, after: string];
}

/** Of what is in both. */
export function changesBetween(before: readonly Figure[], after: readonly Figure[]): Change[] {
  const nameOf = (figure: Figure): string => `${figure.workload}, ${figure.target}, ${loadOf(figure)}`;
  return after.flatMap((figure) => {
    const former = before.find((each) => nameOf(each) === nameOf(figure));
    // What a machine can't measure is null in the file.
    const known = metrics.filter(({ of }) => former !== undefined && [of(former), of(figure)].every(({ median }) => Number.isFinite(median)));
    return former === undefined ? [] : known.map(({ name, of, better, format }): Change => {
      const [old, now] = [of(former), of(figure)];
      const verdict = now.lower > old.upper ? (better === 'more' ? 'better' : 'worse') : now.upper < old.lower ? (better === 'more' ? 'worse' : 'better') : 'within the spread';
      return { figure: nameOf(figure), metric: name, before: old.median, after: now.median, ratio: now.median / old.median, verdict, words: [format(old.median), format(now.median)] };
    });
  });
}

function read(file: string): Report {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Partial<Report>;
  if (report.format !== 1 || report.kind !== 'figures') throw new Error(`${file} is no report of figures`);
  return report as Report;
}

export function compareFiles(beforeFile: string, afterFile: string): string {
  const [before, after] = [read(beforeFile), read(afterFile)];
  const lines: string[] = [];
  const [one, other] = [before, after].map(({ machine }) => describeMachine({ ...machine, loadBefore: 0 }));
  if (one !== other) lines.push(`Not the same machine: ${one}, and ${other}.`);
  for (const [name, value] of Object.entries(after.settings)) {
    if (name in before.settings && name !== 'out' && JSON.stringify(before.settings[name]) !== JSON.stringify(value)) lines.push(`Not the same ${name}: ${JSON.stringify(before.settings[name])}, and ${JSON.stringify(value)}.`);
  }
  for (const { faults } of [before, after]) if (faults.length > 0) lines.push(`One of them lost or invented something: ${faults[0]}`);
  const changes = changesBetween(before.figures, after.figures);
  lines.push(table([['', '', 'before', 'after', 'ratio', ''], ...changes.map(({ figure, metric, words, ratio, verdict }) => [figure, metric, ...words, ratio.toFixed(2), verdict])]));
  const count = (verdict: Change['verdict']): number => changes.filter((change) => change.verdict === verdict).length;
  lines.push(`\n${count('better')} better, ${count('worse')} worse, ${count('within the spread')} within the spread.`);
  return lines.join('\n');
}

export function registerCompare(program: Command): void {
  program.command('compare')
    .description('what changed between two runs of figures, beyond their spread')
    .argument('<old.json>')
    .argument('<new.json>')
    .action((before: string, after: string) => {
      try {
        process.stdout.write(`${compareFiles(before, after)}\n`);
      } catch (error) {
        process.stderr.write(`${(error as Error).message}\n`);
        process.exitCode = 65;
      }
    });
}
