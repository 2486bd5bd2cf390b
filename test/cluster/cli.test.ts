/** The dtp command against real processes: what people see, and what scripts can trust. */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Dtp, eventually, useClusters } from './harness.ts';
import type { TestCluster } from './harness.ts';

const makeCluster = useClusters();

const jsonLines = (text: string): unknown[] => text.trimEnd().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);

/** Which of these processes are there. A zombie is not. */
function alive(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  });
}

interface UpEvent {
  readonly event: string;
  readonly id?: string;
  readonly url?: string;
  readonly pid?: number;
  readonly code?: number | null;
}

function startUp(cluster: TestCluster, ...words: string[]): { dtp: Dtp; events: () => UpEvent[]; isUp: () => Promise<void> } {
  const dtp = new Dtp(['up', '--json', ...words], cluster.directory);
  const events = (): UpEvent[] => jsonLines(dtp.stdout.slice(0, dtp.stdout.lastIndexOf('\n') + 1)) as UpEvent[];
  const isUp = (): Promise<void> => eventually('all nodes are ready', () => {
    if (dtp.child.exitCode !== null) throw new Error(`dtp up ended: ${dtp.stdout}${dtp.stderr}`);
    return events().some(({ event }) => event === 'up');
  }, 30_000);
  return { dtp, events, isUp };
}

const pidsOf = (events: readonly UpEvent[]): number[] => events.flatMap(({ event, pid }) => (event === 'ready' && pid !== undefined ? [pid] : []));

describe('dtp up', () => {
  it('starts the nodes, says when each is ready, and stops them all when told to; the data is there the next time', async () => {
    const cluster = await makeCluster();
    const first = startUp(cluster);
    await first.isUp();
    expect(first.events().filter(({ event }) => event === 'ready').map(({ id, url }) => [id, url]).sort()).toEqual(cluster.nodes.map(({ id, url }) => [id, url]));
    expect(await cluster.dtp('set', 'greeting', '"hello"')).toMatchObject({ code: 0 });
    const pids = pidsOf(first.events());
    expect(alive(pids)).toHaveLength(3);

    first.dtp.child.kill('SIGINT');
    // As npm does, which passes on what the terminal has sent already.
    first.dtp.child.kill('SIGINT');
    expect(await first.dtp.ended).toMatchObject({ code: 0 });
    expect(first.events().at(-1)).toEqual({ event: 'stopped', code: 0 });
    expect(alive(pids)).toEqual([]);
    expect(readdirSync(path.join(cluster.dataDirectory, 'logs')).sort()).toEqual(['n1.log', 'n2.log', 'n3.log']);

    const second = startUp(cluster);
    await second.isUp();
    expect(await cluster.dtp('get', '--string', 'greeting')).toMatchObject({ code: 0, stdout: 'hello\n' });
    second.dtp.child.kill('SIGTERM');
    expect(await second.dtp.ended).toMatchObject({ code: 0 });
    expect(alive(pidsOf(second.events()))).toEqual([]);
  });

  it('shows a person where the nodes are and what to try; says when a node is gone, and goes on', async () => {
    const cluster = await makeCluster();
    const dtp = new Dtp(['up'], cluster.directory);
    await eventually('the cluster is up', () => dtp.stdout.includes('Ctrl-C stops'), 30_000);
    for (const { id, url } of cluster.nodes) expect(dtp.stdout).toMatch(new RegExp(`● ${id}  ${url}\n`));
    expect(dtp.stdout).toContain(`npx dtp set greeting '"hello"'`);

    const pid = pidInLog(cluster, 'n2');
    expect(alive([pid])).toEqual([pid]);
    // A new cluster needs all of its nodes for a moment.
    expect(await cluster.dtp('set', 'first', '1')).toMatchObject({ code: 0 });
    process.kill(pid, 'SIGKILL');
    await eventually('it says so', () => /n2 is gone \(ended by SIGKILL\)\. The others go on; to start it again: npx dtp node --id n2\n/.test(dtp.stdout));
    expect(await cluster.dtp('set', 'still', '1')).toMatchObject({ code: 0 });

    dtp.child.kill('SIGTERM');
    expect(await dtp.ended).toMatchObject({ code: 0 });
  });

  it('leaves no node behind when it is killed itself', async () => {
    const cluster = await makeCluster();
    const { dtp, events, isUp } = startUp(cluster);
    await isUp();
    const pids = pidsOf(events());
    dtp.child.kill('SIGKILL');
    await eventually('all nodes have ended', () => alive(pids).length === 0);
  });

  it('stops all nodes if one can’t start, and ends as that one did', async () => {
    const cluster = await makeCluster();
    const taken = await listenAt(cluster.node('n2').url);
    const { dtp, events } = startUp(cluster);
    const { code, stderr } = await dtp.ended;
    taken.close();
    expect(code).toBe(69);
    expect(stderr).toContain(`node n2 did not start: ${cluster.node('n2').url}: another process listens there already.`);
    expect(events().filter(({ event }) => event === 'exited')).toEqual([{ event: 'exited', id: 'n2', code: 69, signal: null }]);
    expect(alive(pidsOf(events()))).toEqual([]);
  });

  it('refuses a malformed configuration before anything is started or made', async () => {
    const cluster = await makeCluster();
    cluster.writeConfig({ nodes: [...cluster.nodes.map(({ id, url }) => ({ id, url })), { id: 'n1', url: 'ws://127.0.0.1:1', prot: 2 }], replicas: 3 });
    const { code, stdout, stderr } = await cluster.dtp('up');
    expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^cluster\.config\.json: nodes\[3\]\.prot: unknown key; known are id, url, weight, zone$/),
      expect.stringMatching(/^cluster\.config\.json: replicas: unknown key; known are cluster, /),
    ]);
    expect(existsSync(cluster.dataDirectory)).toBe(false);
  });

  it('says in one line that it can’t write where the data should be', async () => {
    const cluster = await makeCluster();
    writeFileSync(cluster.dataDirectory, 'a file');
    const { code, stdout, stderr } = await cluster.dtp('up');
    expect({ code, stdout }).toEqual({ code: 73, stdout: '' });
    expect(stderr).toMatch(/^the logs of the nodes can’t be written: .*data.*\n$/);
    const node = await cluster.dtp('node', '--id', 'n1');
    expect(node.code).toBe(73);
    expect(node.stderr).toMatch(/^node n1 did not start: .*n1: something on this path is no directory\..*\n$/);
  });
});

describe('dtp node', () => {
  it('runs one node until it is told to stop', async () => {
    const cluster = await makeCluster({ nodes: 1 });
    const dtp = new Dtp(['node', '--id', 'n1'], cluster.directory);
    await eventually('it serves', async () => (await cluster.dtp('set', 'a', '1', '--timeout', '500')).code === 0, 30_000);
    dtp.child.kill('SIGTERM');
    const { code, stdout } = await dtp.ended;
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual(expect.arrayContaining([expect.objectContaining({ node: 'n1', msg: 'ready' })]));
  });

  it('is refused what is not its own, with one line, and touches nothing', async () => {
    const cluster = await makeCluster({ nodes: 2 });
    const [n1, n2] = cluster.nodes as [TestCluster['nodes'][number], TestCluster['nodes'][number]];
    const refusal = async (...words: string[]): Promise<{ code: number | null; line: string }> => {
      const { code, stderr } = await cluster.dtp('node', ...words);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      return { code, line: stderr.trimEnd() };
    };

    expect(await refusal('--id', 'n9')).toEqual({ code: 64, line: 'cluster.config.json has no node "n9"; it has n1, n2' });
    cluster.writeConfig({ replicationFactor: 3 });
    expect(await refusal('--id', 'n1')).toEqual({ code: 65, line: 'cluster.config.json: replicationFactor: must be at most the number of nodes, 2; it is 3' });
    cluster.writeConfig();

    const taken = await listenAt(n1.url);
    expect(await refusal('--id', 'n1')).toEqual({ code: 69, line: expect.stringMatching(`^node n1 did not start: ${n1.url}: another process listens there already\\.`) as string });
    taken.close();
    expect(existsSync(cluster.dataDirectory)).toBe(false);

    await cluster.start();
    const [free] = (await makeCluster({ nodes: 1 })).urls as [string];
    cluster.writeConfig({ nodes: [{ id: 'n1', url: free }, { id: 'n2', url: n2.url }] });
    expect(await refusal('--id', 'n1')).toEqual({ code: 73, line: expect.stringMatching(/^node n1 did not start: .*n1: this data directory is in use by another process\./) as string });
    await cluster.stop();

    cluster.writeConfig({ cluster: 'another' });
    expect(await refusal('--id', 'n1')).toEqual({ code: 73, line: expect.stringMatching(/^node n1 did not start: .*n1: .*another.*test|test.*another/) as string });
    cluster.writeConfig({ partitions: 256 });
    expect(await refusal('--id', 'n1')).toEqual({ code: 73, line: expect.stringMatching(/^node n1 did not start: .*1024.*256|256.*1024/) as string });
    cluster.writeConfig();
    renameSync(path.join(cluster.dataDirectory, 'n1'), path.join(cluster.dataDirectory, 'elsewhere'));
    renameSync(path.join(cluster.dataDirectory, 'n2'), path.join(cluster.dataDirectory, 'n1'));
    expect(await refusal('--id', 'n1')).toEqual({ code: 73, line: expect.stringMatching(/^node n1 did not start: .*n2/) as string });

    // Refused without a trace: each serves again from where it belongs.
    renameSync(path.join(cluster.dataDirectory, 'n1'), path.join(cluster.dataDirectory, 'n2'));
    renameSync(path.join(cluster.dataDirectory, 'elsewhere'), path.join(cluster.dataDirectory, 'n1'));
    await cluster.start();
    expect(await cluster.dtp('set', 'a', '1')).toMatchObject({ code: 0 });
  });
});

describe('dtp get, set, delete and status', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await makeCluster();
    await cluster.start();
  });

  it('write and read values of every kind, for people and for programs', async () => {
    const value = '{"balance":{"$bigint":"100"},"opened":{"$date":"2025-01-31T00:00:00.000Z"},"tags":{"$set":["a"]},"raw":{"$bytes":"AQI="},"none":null}';
    expect(await cluster.dtp('set', '["account","alice"]', value)).toEqual({ code: 0, stdout: '["account","alice"] is written\n', stderr: '' });
    const forPeople = await cluster.dtp('get', '["account","alice"]');
    expect(forPeople).toMatchObject({ code: 0, stderr: '' });
    for (const part of ['balance: 100n', 'opened: 2025-01-31T00:00:00.000Z', `Set(1) { 'a' }`, 'Uint8Array(2) [ 1, 2 ]', 'none: null']) expect(forPeople.stdout).toContain(part);
    const forPrograms = await cluster.dtp('get', '--json', '["account","alice"]');
    expect(JSON.parse(forPrograms.stdout)).toEqual({ key: ['account', 'alice'], found: true, value: JSON.parse(value) as unknown, version: expect.any(Number) as number });
    expect(await cluster.dtp('set', 'copy', JSON.stringify((JSON.parse(forPrograms.stdout) as { value: unknown }).value))).toMatchObject({ code: 0 });
  });

  it('tell absent, undefined and null apart', async () => {
    expect(await cluster.dtp('set', 'u', '{"$undefined":true}', 'n', 'null')).toMatchObject({ code: 0, stdout: 'u is written\nn is written\n' });
    const { code, stdout } = await cluster.dtp('get', '--json', 'u', 'n', 'absent');
    expect(code).toBe(1);
    expect(jsonLines(stdout)).toMatchObject([{ key: 'u', found: true, value: { $undefined: true } }, { key: 'n', found: true, value: null }, { key: 'absent', found: false }]);
    expect(await cluster.dtp('get', 'absent')).toEqual({ code: 1, stdout: '', stderr: 'absent is absent\n' });
  });

  it('delete several keys at once, whether they are there or not', async () => {
    await cluster.dtp('set', 'd1', '1', 'd2', '2');
    const { code, stdout } = await cluster.dtp('delete', '--json', 'd1', 'd2', 'd3');
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual(['d1', 'd2', 'd3'].map((key) => ({ key, deleted: true, transaction: expect.stringMatching(/^n\d:\d+:\d+$/) as string })));
    expect(await cluster.dtp('get', 'd1')).toMatchObject({ code: 1 });
  });

  it('take text and negative numbers as they are', async () => {
    await cluster.dtp('set', '--string', 'text', '{"not":json');
    expect(await cluster.dtp('get', '--string', 'text')).toMatchObject({ code: 0, stdout: '{"not":json\n' });
    await cluster.dtp('set', 'debt', '-5');
    expect(await cluster.dtp('get', 'debt')).toMatchObject({ code: 0, stdout: '-5\n' });
    expect(await cluster.dtp('get', '--string', 'debt')).toMatchObject({ code: 65, stdout: '', stderr: expect.stringContaining('is no string') as string });
  });

  it.each([
    ['no key', 64, ['get']],
    ['an unknown command', 64, ['fetch', 'x']],
    ['a key without a value', 64, ['set', 'x', '1', 'y']],
    ['a bad number', 64, ['get', 'x', '--timeout', 'soon']],
    ['a value that is not JSON', 65, ['set', 'x', 'no JSON']],
    ['a tuple that is not JSON', 65, ['get', '[1,']],
    ['a part that keys don’t have', 65, ['get', '[null]']],
    ['a key that is too large', 65, ['set', 'k'.repeat(2_000), '1']],
    ['no configuration', 65, ['get', 'x', '--config', 'missing.json']],
    ['a bad address', 65, ['get', 'x', '--nodes', 'http://127.0.0.1:1']],
  ])('answer %s with exit code %i and a reason', async (_what, code, words) => {
    const finished = await cluster.dtp(...words);
    expect(finished).toMatchObject({ code, stdout: '' });
    expect(finished.stderr).not.toMatch(/\n\s+at /);
    expect(finished.stderr.trim()).not.toBe('');
  });

  it('give errors to programs as JSON', async () => {
    const { code, stderr } = await cluster.dtp('set', '--json', 'k'.repeat(2_000), '1');
    expect(code).toBe(65);
    expect(JSON.parse(stderr)).toEqual({ error: { code: 'key-too-large', message: expect.any(String) as string, advice: expect.any(String) as string } });
    const misspelt = await cluster.dtp('get', 'x', '--json', '--foo');
    expect(misspelt.code).toBe(64);
    expect(JSON.parse(misspelt.stderr)).toEqual({ error: { code: 'usage', message: "unknown option '--foo'" } });
  });

  it('refuse a cluster that is not the one meant', async () => {
    const other = await makeCluster({ nodes: 1, config: { cluster: 'other', nodes: [{ id: 'n1', url: cluster.node('n1').url }] } });
    expect(await other.dtp('get', 'x')).toMatchObject({ code: 5 });
  });

  it('show every node', async () => {
    const forPeople = await cluster.dtp('status');
    expect(forPeople).toMatchObject({ code: 0, stderr: '' });
    const [head = '', ...rows] = forPeople.stdout.trimEnd().split('\n');
    expect(head).toMatch(/^node +address +state +life +/);
    expect(rows.slice(0, 3).map((row) => row.split(/ +/).slice(0, 4))).toEqual(cluster.nodes.map(({ id, url }) => [id, url, 'up', expect.stringMatching(/^\d+$/)]));

    const { nodes } = JSON.parse((await cluster.dtp('status', '--json')).stdout) as { nodes: Record<string, unknown>[] };
    expect(nodes).toHaveLength(3);
    for (const node of nodes) expect(node).toMatchObject({ reachable: true, epoch: 1, partitions: { primary: expect.any(Number) as number }, transactions: { inDoubt: 0 } });
    expect(nodes.reduce((sum, node) => sum + (node['partitions'] as { primary: number }).primary, 0)).toBe(1_024);
  });

  it('go on without one node, and say so without two or all', async () => {
    await cluster.node('n3').kill();
    expect(await cluster.dtp('set', 'one-down', '1')).toMatchObject({ code: 0 });
    const status = await cluster.dtp('status');
    expect(status.code).toBe(1);
    expect(status.stdout).toMatch(/n3 +ws:\S+ +down/);
    expect(status.stdout).toMatch(/\nn3 does not answer: /);

    await cluster.node('n2').kill();
    // Without a majority: too few nodes, or none of them in time. Never as if it had been done.
    expect([2, 3]).toContain((await cluster.dtp('get', 'one-down', '--timeout', '1500')).code);
    expect([2, 3, 4]).toContain((await cluster.dtp('set', 'one-down', '2', '--timeout', '1500')).code);

    await cluster.node('n1').kill();
    const { code, stderr } = await cluster.dtp('get', 'one-down', '--timeout', '500', '--json');
    expect(code).toBe(3);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'unreachable' } });
  });
});

function listenAt(url: string): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(new URL(url).port), '127.0.0.1', () => resolve(server));
  });
}

/** As the node's log under `dtp up` says it. */
function pidInLog(cluster: TestCluster, id: string): number {
  const lines = jsonLines(readFileSync(path.join(cluster.dataDirectory, 'logs', `${id}.log`), 'utf8')) as { msg: string; pid?: number }[];
  return lines.find(({ msg }) => msg === 'starting')?.pid ?? -1;
}
