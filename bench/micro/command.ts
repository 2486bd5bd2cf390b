/**
 * `npm run bench -- micro`: what single parts of a node cost, so that a regression has an address.
 *
 * A benchmark measures nodes from outside and never imports them; these are measured from inside, by a program of the
 * tests that is run here as a process of its own.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { whole } from '../options.ts';
import { writeFiles } from '../report/files.ts';
import { number, table } from '../report/table.ts';
import { describeMachine, machine } from '../usage.ts';

/** As that program writes it. */
interface Micro {
  readonly part: string;
  readonly unit: 'ns' | 'per second';
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
}

const program = fileURLToPath(new URL('../../test/micro/main.js', import.meta.url));

function run(keys: number): Promise<readonly Micro[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, '--keys', String(keys)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(JSON.parse(output) as Micro[]) : reject(new Error(`the measuring process ended with ${code}`))));
  });
}

const duration = (ns: number): string => (Math.abs(ns) < 10_000 ? `${number(ns)} ns` : `${number(ns / 1_000)} µs`);

export function registerMicro(program: Command): void {
  program.command('micro')
    .description('what single parts of a node cost: codec, placement, locks, digests, journal, store')
    .option('--keys <n>', 'of the store that is measured', whole(100, 10_000_000), 50_000)
    .option('--out <directory>', 'where micro.json is written', 'bench-results')
    .action(async ({ keys, out }: { readonly keys: number; readonly out: string }) => {
      const here = machine();
      process.stdout.write(`On ${describeMachine(here)}. Measuring ...\n`);
      const results = await run(keys);
      const words = (value: number, unit: Micro['unit']): string => (unit === 'ns' ? duration(value) : `${number(value)} /s`);
      process.stdout.write(`\n${table([['part', 'median', 'quartiles', ''], ...results.map(({ part, unit, median, lower, upper }) => [part, words(median, unit), words(lower, unit), words(upper, unit)])])}\n\n`);
      process.stdout.write(`Written: ${writeFiles(out, 'micro', { format: 1, kind: 'micro', machine: here, settings: { keys }, results }, null).join(', ')}\n`);
    });
}
