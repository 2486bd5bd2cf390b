/** The house rules, kept true by reading the sources; and the readers themselves, shown to see what they must. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { globalFaults } from './tidy/globals.ts';
import { directionFaults, worldFaults } from './tidy/imports.ts';
import { parse, readSources, root } from './tidy/sources.ts';
import type { Source } from './tidy/sources.ts';
import { anyFaults, dependencyFaults, lengthFaults, testFaults, textFaults } from './tidy/style.ts';

const readText = (file: string): string => readFileSync(path.join(root, file), 'utf8');

describe('the tree', () => {
  const sources = readSources();
  const faultsBy = (rule: (source: Source) => string[]): string[] => sources.flatMap(rule);

  it('is read at all', () => {
    expect(sources.map((source) => source.path)).toEqual(expect.arrayContaining(['client/wire/messages.ts', 'node/config.ts', 'test/tidy.test.ts']));
  });
  it('imports downwards only', () => expect(faultsBy(directionFaults)).toEqual([]));
  it('imports disks, sockets and processes in few places', () => expect(faultsBy(worldFaults)).toEqual([]));
  it('uses no global time, chance or process outside them', () => expect(faultsBy(globalFaults)).toEqual([]));
  it('has no any', () => expect(faultsBy(anyFaults)).toEqual([]));
  it('has nothing unfinished, silenced or bound to one machine', () => expect(faultsBy(textFaults)).toEqual([]));
  it('has files of one idea', () => expect(faultsBy(lengthFaults)).toEqual([]));
  it('runs every test', () => expect(faultsBy(testFaults)).toEqual([]));
  it('gives a reason for each dependency', () => {
    expect(dependencyFaults(readText('README.md'), JSON.parse(readText('package.json')) as Record<string, Record<string, string>>)).toEqual([]);
  });
});

describe('a planted violation is caught:', () => {
  const directions: [file: string, text: string, allowed: boolean][] = [
    ['node/main.ts', `import { Node } from './node.ts';`, true],
    ['node/txn/coordinator.ts', `import { Node } from '../node.ts';`, false],
    ['node/txn/coordinator.ts', `import type { Node } from '../node.ts';`, false],
    ['node/txn/coordinator.ts', `import { limits } from '../../client/wire/limits.ts';`, true],
    ['node/txn/coordinator.ts', `import { heal } from '../heal/exchange.ts';`, false],
    ['node/txn/coordinator.ts', `export { connect } from '../../client/index.ts';`, false],
    ['node/store/store.ts', `import { locks } from '../txn/locks.ts';`, false],
    ['node/store/store.ts', `type Locks = import('../txn/locks.ts').Locks;`, false],
    ['node/runtime/real.ts', `import { Store } from '../store/store.ts';`, false],
    ['client/wire/codec.ts', `import { key } from '../keys.ts';`, false],
    ['client/cluster.ts', `import { Placement } from '../node/cluster/placement.ts';`, false],
    ['client/cli/up.ts', `const main = await import('../../node/main.ts');`, false],
    ['client/cli/get.ts', `import { connect } from '../index.ts';`, true],
    ['client/cli/get.ts', `import { connect } from '../cluster.ts';`, false],
    ['bench/run.ts', `import { Node } from '../node/node.ts';`, false],
    ['bench/run.ts', `import { connect } from '../client/index.ts';`, true],
    ['bench/run.ts', `import { simulate } from '../test/sim/testing.ts';`, true],
    ['bench/run.ts', `import { World } from '../test/sim/world.ts';`, false],
    ['test/unit/store.test.ts', `import { Store } from '../../node/store/store.ts';`, true],
    ['elsewhere/file.ts', `const nothing = 0;`, false],
  ];
  it.each(directions)('%s: %s', (file, text, allowed) => expect(directionFaults(parse(file, text))).toHaveLength(allowed ? 0 : 1));

  const worlds: [file: string, text: string, allowed: boolean][] = [
    ['node/store/journal.ts', `import fs from 'node:fs';`, false],
    ['node/store/journal.ts', `import { open } from 'fs/promises';`, false],
    ['node/store/journal.ts', `import { open } from 'lmdb';`, false],
    ['node/store/journal.ts', `const { open } = await import('lmdb');`, false],
    ['node/store/journal.ts', `const name = 'lm' + 'db'; await import(name);`, false],
    ['node/store/journal.ts', `import { crc32 } from 'node:zlib';`, true],
    ['node/store/journal.ts', `import { Packr } from 'msgpackr';`, true],
    ['node/runtime/real-disk.ts', `import { open } from 'lmdb';`, true],
    ['node/runtime/real-disk.ts', `import fs from 'node:fs';`, true],
    ['client/wire/session.ts', `import WebSocket from 'ws';`, false],
    ['client/wire/real-environment.ts', `import WebSocket from 'ws';`, true],
    ['client/cluster.ts', `import { randomUUID } from 'node:crypto';`, false],
    ['client/cluster.ts', `import { setTimeout } from 'node:timers/promises';`, false],
  ];
  it.each(worlds)('%s: %s', (file, text, allowed) => expect(worldFaults(parse(file, text))).toHaveLength(allowed ? 0 : 1));

  const globals: [text: string, caught: number][] = [
    ['const now = Date.now();', 1],
    ['const now = new Date();', 1],
    ['const now = Date;', 1],
    ['const isDate = (value: unknown): value is Date => value instanceof Date;', 0],
    ['const date = (ms: number): Date => new Date(ms);', 0],
    ['const isDate = (value: unknown) => Object.getPrototypeOf(value) === Date.prototype;', 0],
    ['const now = performance.now();', 1],
    ['const chance = Math.random();', 1],
    ['const { random } = Math;', 1],
    [`const chance = Math['random']();`, 1],
    ['const floor = Math.floor(1.5);', 0],
    ['setTimeout(() => {}, 1);', 1],
    ['const later = { run: setImmediate };', 1],
    ['const later = { setTimeout: 1, queueMicrotask() { return 2; } };', 0],
    ['runtime.process.setTimeout();', 0],
    ['const timers = { setInterval };', 1],
    ['if (process.env.DEBUG) process.exit(1);', 2],
    ['function work(process: () => void): void { process(); }', 0],
    ['type Work = (process: number) => void; process.exit();', 1],
    ['const id = crypto.randomUUID();', 1],
    ['const now = globalThis.Date.now();', 1],
    ['const signal = AbortSignal.timeout(5);', 1],
    ['// Date.now() is not for here', 0],
    [`const text = 'Date.now()';`, 0],
    ['class A { performance = 1; now(): number { return this.performance; } }', 0],
    ['interface Clock { performance: number; process(): void }', 0],
  ];
  it.each(globals)('%s', (text, caught) => {
    expect(globalFaults(parse('node/txn/file.ts', text))).toHaveLength(caught);
    expect(globalFaults(parse('client/wire/file.ts', text))).toHaveLength(caught);
    expect(globalFaults(parse('client/file.ts', text))).toHaveLength(caught);
    for (const door of ['node/runtime/real.ts', 'node/main.ts', 'client/cli/up.ts', 'bench/run.ts']) expect(globalFaults(parse(door, text))).toEqual([]);
  });

  const tests: [text: string, caught: number][] = [
    [`it${'.skip'}('x', () => {});`, 1],
    [`describe${'.only'}('x', () => {});`, 1],
    [`test.concurrent${'.skip'}.each([1])('x', () => {});`, 1],
    [`it${'.todo'}('x');`, 1],
    [`it('x', { ${'retry'}: 3 }, () => {});`, 1],
    [`it.each([1])('x', () => {}); options.skip = 1; connect({ retry: 3 });`, 0],
  ];
  it.each(tests)('%s', (text, caught) => expect(testFaults(parse('test/unit/file.test.ts', text))).toHaveLength(caught));

  const texts: [text: string, caught: number][] = [
    [`// ${'TO' + 'DO'}: later`, 1],
    [`// @ts-${'ignore'}`, 1],
    [`const file = '/${'home'}/somebody/file';`, 1],
    [`const file = "C:\\\\${'data'}";`, 1],
    [`const url = 'ws://127.0.0.1:7101/home/x';`, 0],
  ];
  it.each(texts)('%s', (text, caught) => expect(textFaults(parse('node/file.ts', text))).toHaveLength(caught));

  it('any', () => {
    expect(anyFaults(parse('node/file.ts', 'const a = b as any;\nlet c: any[];'))).toEqual(['node/file.ts:1: any; use unknown, or say what it is', 'node/file.ts:2: any; use unknown, or say what it is']);
    expect(anyFaults(parse('node/file.ts', `const any = 'any'; // any`))).toEqual([]);
  });

  it('a long file', () => {
    expect(lengthFaults(parse('node/file.ts', 'x;\n'.repeat(400)))).toEqual([]);
    expect(lengthFaults(parse('node/file.ts', 'x;\n'.repeat(401)))).toHaveLength(1);
  });

  it('a dependency without a reason', () => {
    const readme = '| package | why |\n|---|---|\n| `ws`, [bufferutil](https://example.org) | sockets |\n| zod | |\n\nlmdb is fast';
    const packages = { dependencies: { ws: '1', zod: '1', lmdb: '1' }, devDependencies: { bufferutil: '1', vitest: '1' } };
    expect(dependencyFaults(readme, packages).map((fault) => fault.split(' ').at(-4))).toEqual(['zod', 'lmdb', 'vitest']);
  });
});
