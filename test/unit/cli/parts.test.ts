import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { readClusterFile } from '../../../client/cli/cluster-file.ts';
import { endingOf, exitCodes, exitCodesHelp, InputError } from '../../../client/cli/exit-codes.ts';
import { formatKey, parseKey } from '../../../client/cli/keys.ts';
import { formatLogLine, isForOperator, LogFile, parseLogLine } from '../../../client/cli/node-log.ts';
import { shellCode } from '../../../client/cli/node-process.ts';
import { describeStatus, duration } from '../../../client/cli/status-text.ts';
import { readable, table } from '../../../client/cli/terminal.ts';
import type { Key } from '../../../client/keys.ts';
import { errorCodes } from '../../../client/wire/errors.ts';
import type { ErrorCode } from '../../../client/wire/errors.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-cluster-cli-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('exit codes', () => {
  it('say for every error of the client what a script must know', () => {
    for (const [code, { definite }] of Object.entries(errorCodes)) {
      const ending = endingOf(code as ErrorCode);
      // Only 4 leaves open whether it took effect.
      expect([code, ending === 'unknown']).toEqual([code, !definite]);
      expect([code, ending === 'done' || ending === 'absent']).toEqual([code, false]);
    }
  });

  it('are all in the help', () => {
    const told = [...exitCodesHelp.matchAll(/^ {2}(\d+) /gm)].map(([, code]) => Number(code));
    expect(told).toEqual(Object.values(exitCodes));
  });

  it('of a process that a signal ended are as shells have them', () => {
    expect([shellCode({ code: 69, signal: null }), shellCode({ code: null, signal: 'SIGKILL' }), shellCode({ code: null, signal: 'SIGTERM' })]).toEqual([69, 137, 143]);
  });
});

describe('keys on a command line', () => {
  it.each<[string, Key]>([
    ['greeting', 'greeting'],
    ['42', '42'],
    ['{tag}:1', '{tag}:1'],
    ['', ''],
    ['["account","alice"]', ['account', 'alice']],
    ['[1,{"$bigint":"1"},true,{"$bytes":"AQI="}]', [1, 1n, true, new Uint8Array([1, 2])]],
    ['"[1]"', '[1]'],
  ])('%s', (word, key) => expect(parseKey(word)).toStrictEqual(key));

  it('come back as they were', () => {
    const part = fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.bigInt(), fc.boolean(), fc.uint8Array());
    fc.assert(fc.property(fc.oneof(fc.string(), fc.constantFrom('[', '"', ' ["a"]'), fc.array(part, { minLength: 1 })), (key) => {
      expect(parseKey(formatKey(key))).toStrictEqual(key);
    }));
  });

  it.each(['[1', '["a",]', '"a', '[{"$what":1}]'])('%s is refused with how to write it', (word) => {
    expect(() => parseKey(word)).toThrow(InputError);
    expect(() => parseKey(word)).toThrow(/A key that begins with \[ or " is JSON/);
  });
});

describe('the configuration, as the command line reads it', () => {
  it('names the file when it is missing or not as it should be', () => {
    const missing = path.join(directory, 'missing.json');
    expect(() => readClusterFile(missing)).toThrow(`${missing}: there is no such file`);
    expect(() => readClusterFile(directory)).toThrow(`${directory}: can’t be read`);
  });
});

describe('tables', () => {
  it('have columns as wide as their widest cell, numbers to the right, colours not counted', () => {
    expect(table(['node', 'n', 'x'], [['\x1b[32ma\x1b[39m', 5, ''], ['long name', 1_000, 'y']], (text) => text)).toEqual(['node          n  x', '\x1b[32ma\x1b[39m             5', 'long name  1000  y']);
  });
});

describe('values for people', () => {
  it('show what they are, whole, and nothing that a terminal would obey', () => {
    const text = readable({ n: 1n, d: new Date(0), m: new Map([['a', new Set([1])]]), long: 'x'.repeat(20_000), deep: [[[[[['end']]]]]], escape: '\x1b[2J' }, { colors: false });
    for (const part of ['n: 1n', 'd: 1970-01-01T00:00:00.000Z', `Map(1) { 'a' => Set(1) { 1 } }`, 'x'.repeat(20_000), `'end'`]) expect(text).toContain(part);
    expect(text).not.toContain('\x1b');
  });
});

describe('the status of nodes', () => {
  const plain = { paint: (_style: unknown, text: string) => text };

  it('is a line for each, with what is not told left empty', () => {
    const nodes = [
      {
        id: 'n1', url: 'ws://a:1', reachable: true, epoch: 1, incarnation: 3, uptimeMs: 125_000, partitions: { primary: 341, replica: 683 },
        transactions: {
          inFlight: 2, inDoubt: 1, locks: 4, records: 9,
          blocked: { count: 8, first: [{ transaction: 'n2:3:4', protocol: '2pc', waitsFor: ['n2'], sinceMs: 12_000, keys: 2 }, { transaction: 'n2:3:5', protocol: 'dtp', waitsFor: ['n2', 'n4'], sinceMs: 500, keys: 1 }] },
        }, lag: { partitionsBehind: 0, lastAgreementMs: 1_500 }, peers: [{ id: 'n2', up: false }, { id: 'n3', up: true }],
        tombstones: { kept: 12 },
        doubtful: { partitions: 2, since: 1_763_700_000_000, why: 'a row of the data table was damaged' },
      },
      { id: 'n2', url: 'ws://b:1', reachable: false, reason: 'connection refused' },
      { id: 'n3', url: 'ws://c:1', reachable: true, novelty: { of: 'another version' } },
    ];
    expect(describeStatus(nodes, plain)).toEqual([
      'node  address   state    life  uptime  primary  replica  behind  doubtful  agreed',
      'n1    ws://a:1  healing     3  2 min       341      683       0         2  1.5 s ago',
      'n2    ws://b:1  down',
      'n3    ws://c:1  up',
      '',
      'node  in flight  in doubt  blocked  locks  records  tombstones',
      'n1            2         1        8      4        9          12',
      'n3',
      '',
      'n2 does not answer: connection refused',
      'n1 has no connection to n2',
      'n1 is in doubt about 2 partitions since 2025-11-21T04:40:00.000Z: a row of the data table was damaged. It does not vote or answer there until it has learned from the other replicas what it lacks',
      'n2:3:4 (2pc) is blocked and locks 2 keys of n1: it has been waiting for n2 for 12 s; if n2 never comes back: dtp resolve n2:3:4 --commit or --abort',
      'n2:3:5 (dtp) is blocked and locks 1 keys of n1: it has been waiting for n2, n4 for 0.5 s',
      '6 or more others are blocked too',
    ]);
  });

  it('tells of a disk that takes no writes, and of views that differ', () => {
    const nodes = [
      { id: 'n1', url: 'ws://a:1', reachable: true, epoch: 1, doubtful: null, disk: { state: 'failing', part: 'journal', problem: 'no space left on device', forMs: 12_000 } },
      { id: 'n2', url: 'ws://b:1', reachable: true, epoch: 2, doubtful: null, disk: { state: 'sound', part: null, problem: null, forMs: 0 } },
    ];
    const lines = describeStatus(nodes, plain);
    expect(lines[1]).toMatch(/^n1 +ws:\/\/a:1 +no votes +0$/);
    expect(lines[2]).toMatch(/^n2 +ws:\/\/b:1 +up +0$/);
    expect(lines.slice(-2)).toEqual(['n1 takes no part in votes: its journal can’t be written for 12 s: no space left on device', 'The nodes have different views: n1 that of epoch 1; n2 that of epoch 2']);
  });

  it('does not say that a node has no vote whose table alone takes no writes, before it turns work away', () => {
    const node = { id: 'n1', url: 'ws://a:1', reachable: true, epoch: 1, doubtful: null, disk: { state: 'failing', part: 'table', problem: 'no space left on device', forMs: 3_000, refusal: null as string | null } };
    const lines = describeStatus([node], plain);
    expect(lines[1]).toMatch(/^n1 +ws:\/\/a:1 +disk +0$/);
    expect(lines.at(-1)).toBe('n1 goes on as long as its memory and its journal have room: its table can’t be written for 3.0 s: no space left on device');
    node.disk.refusal = 'the table can’t be written: no space left on device';
    expect(describeStatus([node], plain)[1]).toMatch(/ no votes /);
  });

  it('fits a terminal of 120 columns', () => {
    const node = (id: string) => ({
      id, url: 'ws://192.168.100.200:65535', reachable: true, epoch: 1, incarnation: 1_234, uptimeMs: 1e10, partitions: { primary: 16_384, replica: 16_384 }, doubtful: null,
      transactions: { inFlight: 20_000, inDoubt: 20_000, locks: 1e6, records: 1e6, blocked: { count: 20_000, first: [] } }, lag: { partitionsBehind: 16_384, lastAgreementMs: 1e10 }, peers: [],
    });
    for (const line of describeStatus([node('n1'), node('n64')], plain)) expect(line.length).toBeLessThanOrEqual(120);
  });

  it.each([[0, '0.0 s'], [1_500, '1.5 s'], [59_000, '59 s'], [119_000, '119 s'], [120_000, '2 min'], [7_200_000, '2 h'], [200_000_000, '2 d'], [null, ''], [undefined, ''], [-1, '']])('%s ms is %j', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});

describe('the log of a node', () => {
  it('is shown readably', () => {
    const line = parseLogLine('{"level":40,"time":"2025-01-31T12:34:56.000Z","node":"n1","msg":"peer down","peer":"n2","why":"closed by the peer","silentMs":900}');
    if (line === undefined) throw new Error('not parsed');
    expect(formatLogLine(line)).toMatch(/^\d\d:\d\d:56 WARN peer down {2}peer=n2 why="closed by the peer" silentMs=900$/);
    expect(isForOperator(line)).toBe(true);
  });

  it('has lines that are no JSON of its own', () => {
    expect(parseLogLine('Segmentation fault')).toBeUndefined();
    expect(parseLogLine('{"half":')).toBeUndefined();
    expect(parseLogLine('{"level":30,"msg":"ready"}')).toMatchObject({ level: 'info', time: '', event: 'ready' });
  });

  it('takes a bounded part of the disk', () => {
    const file = path.join(directory, 'logs', 'n1.log');
    const log = new LogFile(file, 100);
    for (let i = 0; i < 100; i++) log.append(`line ${String(i).padStart(4, '0')}`);
    log.close();
    const reopened = new LogFile(file, 100);
    reopened.append('after the restart');
    reopened.close();
    const [before, now] = [readFileSync(`${file}.1`, 'utf8'), readFileSync(file, 'utf8')];
    expect(before.length + now.length).toBeLessThan(250);
    expect(now).toMatch(/after the restart\n$/);
    expect(before + now).toContain('line 0099\n');
  });
});
