/** `npm run bench` as a person runs it, for as short as it can be. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { targets } from '../../bench/targets/registry.ts';
import { targetNames } from '../../bench/targets/target.ts';
import { commitProtocols } from '../../client/wire/protocols.ts';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-cluster-bench-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function bench(...args: string[]): Promise<{ code: number | null; output: string; errors: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('close', (code) => resolve({ code, output, errors }));
  });
}

describe('the benchmarks', () => {
  it('compare the commit protocols: as designed, in a table, JSON and a plot', async () => {
    const out = path.join(directory, 'protocols');
    const { code, output, errors } = await bench('protocols', '--turns', '1', '--seconds', '1', '--callers', '8', '--seeds', '1', '--out', out);
    expect({ code, errors }, output).toEqual({ code: 0, errors: '' });
    // On a busy machine a node may take another for dead; such a turn is not counted.
    expect(output).toMatch(/ as designed|not counted/);
    expect(output).not.toContain('NOT AS DESIGNED');
    const { summaries, losses, faults } = JSON.parse(readFileSync(path.join(out, 'protocols.json'), 'utf8')) as { summaries: { protocol: string; differences: string[] }[]; losses: { rows: unknown[] }; faults: string[] };
    expect(summaries.map(({ protocol, differences }) => [protocol, differences])).toEqual(['dtp', '2pc', 'o2pc', '3pc'].map((protocol) => [protocol, []]));
    expect(losses.rows).toHaveLength(5 * commitProtocols.length);
    expect(faults).toEqual([]);
    expect(readFileSync(path.join(out, 'protocols.svg'), 'utf8')).toMatch(/^<svg/);
  });

  it('measure an open loop of several processes without a command', async () => {
    const { code, output } = await bench('--workload', 'ycsb-d,hot-call', '--rate', '50', '--seconds', '1', '--rounds', '1', '--clients', '2', '--keys', '50', '--out', path.join(directory, 'figures'));
    expect(code).toBe(0);
    expect(output).toContain('All that was acknowledged is there.');
    const { figures, measurements } = JSON.parse(readFileSync(path.join(directory, 'figures', 'figures.json'), 'utf8')) as { figures: { workload: string; rate: number }[]; measurements: unknown[] };
    expect(figures.map(({ workload, rate }) => [workload, rate])).toEqual([['ycsb-d', 50], ['hot-call', 50]]);
    expect(measurements).toHaveLength(2);
  });

  it.each(targetNames.map((name) => [name] as const))('measure %s, if it is installed, and else say what to install', async (name) => {
    const { code, output } = await bench('--target', name, '--workload', 'transfer', '--callers', '4', '--seconds', '1', '--rounds', '1', '--keys', '50', '--out', path.join(directory, name));
    const missing = targets[name].missing();
    expect(output).toContain(missing ?? 'All that was acknowledged is there.');
    expect(code).toBe(missing === null ? 0 : 1);
  });

  it('healing: count what is exchanged, and find all replicas equal', async () => {
    const { code, output } = await bench('healing', '--keys', '500', '--missed-seconds', '1', '--rounds', '1', '--rate', '30', '--restarts', '0', '--out', directory);
    expect(code, output).toBe(0);
    const { divergences, foreground } = JSON.parse(readFileSync(path.join(directory, 'healing.json'), 'utf8')) as { divergences: { keys: number; keysPulled: number; bytes: number; bytesExchanged: number }[]; foreground: { windows: { name: string; perSecond: number }[] } };
    expect(divergences.slice(0, 2).map(({ keys, keysPulled }) => [keys, keysPulled])).toEqual([[1, 1], [5, 5]]);
    expect(divergences.at(-1)?.keysPulled).toBeGreaterThanOrEqual(500);
    for (const { bytes, bytesExchanged } of divergences) expect(bytesExchanged).toBeGreaterThan(bytes);
    expect(foreground.windows.map(({ name }) => name)).toEqual(['healing', 'restarted', 'calm']);
  }, 300_000);

  it('timeline: kill and freeze each member, and lose nothing', async () => {
    const { code, output } = await bench('timeline', '--rate', '30', '--keys', '50', '--calm-seconds', '1', '--away-seconds', '1', '--out', directory);
    expect(code, output).toBe(0);
    const { timelines } = JSON.parse(readFileSync(path.join(directory, 'timeline.json'), 'utf8')) as { timelines: { faults: { member: string; fault: string }[] }[] };
    expect(timelines[0]?.faults.map(({ member, fault }) => `${member} ${fault}`)).toEqual(['killed', 'frozen'].flatMap((fault) => ['n1', 'n2', 'n3'].map((member) => `${member} ${fault}`)));
  }, 300_000);

  it.each([
    ['floor', ['--seconds', '1'], 5],
    ['micro', ['--keys', '200'], 19],
  ] as const)('%s: measure what there is to measure', async (name, options, count) => {
    const { code, output } = await bench(name, ...options, '--out', directory);
    expect(code, output).toBe(0);
    const { results } = JSON.parse(readFileSync(path.join(directory, `${name}.json`), 'utf8')) as { results: Record<string, number>[] };
    expect(results).toHaveLength(count);
    for (const { perSecond, median } of results) expect(perSecond ?? median).toSatisfy(Number.isFinite);
  });

  it.each([
    [['protocols', '--workload', 'nonsense'], 'One of put, transfer, hot expected.'],
    [['--callers', '0'], 'A whole number from 1 to 10000 expected.'],
    [['nonsense'], 'too many arguments'],
  ])('refuse %j', async (args, why) => {
    const { code, errors } = await bench(...args);
    expect(code).toBe(64);
    expect(errors).toContain(why);
  });
});
