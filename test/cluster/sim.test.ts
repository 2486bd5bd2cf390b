/** `npm run sim` and `npm run sim:planted` as a person runs them: several processes, exit codes, and what is said. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { drawPlan, type Plan } from '../sim/plan/plan.ts';

const compiled = (file: string): string => fileURLToPath(new URL(`../../dist/test/sim/${file}`, import.meta.url));
const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-cluster-sim-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

const sim = (...args: string[]): Promise<Ended> => run('main.js', args);
const planted = (...args: string[]): Promise<Ended> => run('planted/main.js', args);

function run(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [compiled(program), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('close', (code) => resolve({ code, output, errors }));
  });
}

function planFile(name: string, plan: Plan): string {
  const file = path.join(directory, name);
  writeFileSync(file, JSON.stringify(plan));
  return file;
}

/** Nothing arrives in time, so nothing is ever written. */
const hopeless: Plan = { ...drawPlan({ seed: 'hopeless', workload: 'bank', faults: [] }), conditions: { network: { latency: { baseMs: 100_000, jitterMs: 0, tailChance: 0, tailMs: 0 } }, disk: {}, clocks: [], detours: [] } };

describe('the simulation', () => {
  it('runs seeds in several processes and tells what they come to', async () => {
    const { code, output, errors } = await sim('--seeds', '6', '--from', '100', '--jobs', '2');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/^6 seeds in [\d.]+ s: [\d.]+ seeds\/s, [\d.]+ virtual hours a minute$/m);
    expect(output).toMatch(/^no seed failed$/m);
  });

  it('says so when a seed that was named does not fail', async () => {
    const { code, output } = await sim('--seed', '100', '--workload', 'ring', '--fault', 'crash,pause');
    expect(code).toBe(0);
    expect(output).toMatch(/^seed 100 does not fail \(ring, /m);
    expect((await sim('--seed', '100', '--shrink')).output).toContain('seed 100 does not fail, so there is nothing to shrink');
  });

  it('tells the story of a seed: what clients do, what nodes say and write, what goes wrong', async () => {
    const { code, output } = await sim('--seed', '4711', '--workload', 'bank', '--fault', 'crash', '--trace');
    expect(code).toBe(0);
    for (const line of [/ c1#1 +begins transfer /, / (n\d)#1>\w+ +send prepare \1:\d+:\d+ at v\d+\.\d+ \{.*write /, / n\d\/disk +wrote .*prepared /, / fault +crash at|fault +crash n\d killed/, / n\d#2 +started/]) expect(output).toMatch(line);
    expect(output).not.toMatch(/\b(ping|pong)\b/);
  });

  it('fails with what is wrong, and tells how to go on', async () => {
    const { code, output } = await sim('--plan', planFile('hopeless.json', hopeless));
    expect(code).toBe(1);
    expect(output).toContain('no-start: ');
    const shrunk = await sim('--plan', planFile('hopeless.json', hopeless), '--shrink');
    expect(shrunk.code).toBe(1);
    expect(shrunk.output).toMatch(/the smallest plan found in \d+ runs/);
    const file = /--plan (\S+)/.exec(shrunk.output)?.[1] ?? '';
    expect((await sim('--plan', file)).output).toContain('no-start: ');
    rmSync(file);
  });

  const wrong: [what: string, args: string[], mention: string][] = [
    ['an unknown workload', ['--workload', 'banc'], 'append, bank, counter'],
    ['an unknown fault', ['--fault', 'flood'], 'crash, crash-all'],
    ['an unknown option', ['--sedes', '5'], '--seeds'],
    ['a plan that is not there', ['--plan', path.join(directory, 'missing.json')], 'ENOENT'],
    ['a plan of an unknown workload', ['--plan', planFile('odd.json', { ...hopeless, workload: 'banc' })], 'append, bank, counter'],
    ['a file that is no plan', ['--plan', planFile('empty.json', {} as Plan)], 'seed'],
  ];
  it.each(wrong)('refuses %s in one line', async (_what, args, mention) => {
    const { code, output, errors } = await sim(...args);
    expect({ code, output }).toEqual({ code: 64, output: '' });
    expect(errors.trimEnd().split('\n')).toHaveLength(1);
    expect(errors).toContain(mention);
  });
});

describe('the hunt for planted bugs', () => {
  it('catches a bug, and says by which seed and how', async () => {
    const { code, output, errors } = await planted('--bug', 'orphans-presumed-aborted', '--seeds', '40', '--jobs', '1');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/^orphans-presumed-aborted +\d+ +\d+ +\w+: \S/m);
    expect(output).toMatch(/^1 of 1 planted bugs caught$/m);
  });

  it('fails if one is not caught', async () => {
    const { code, output } = await planted('--bug', 'torn-tail-believed', '--seeds', '1', '--jobs', '1');
    expect(code).toBe(1);
    expect(output).toMatch(/^torn-tail-believed +- +1 +NOT CAUGHT$/m);
  });

  const wrong: [what: string, args: string[], mention: string][] = [
    ['an unknown bug', ['--bug', 'vote-before-flush,flood'], 'no planted bug flood; there are recovery-aborts, '],
    ['an unknown option', ['--bugs', 'flood'], 'there are --bug, --seeds, --from, --fault, --jobs'],
    ['no number of seeds', ['--seeds', 'many'], '--seeds takes a whole number from 1 on, not many'],
  ];
  it.each(wrong)('refuses %s in one line', async (_what, args, mention) => {
    const { code, output, errors } = await planted(...args);
    expect({ code, output }).toEqual({ code: 64, output: '' });
    expect(errors.trimEnd().split('\n')).toHaveLength(1);
    expect(errors).toContain(mention);
  });
});
