/** What an operator does with real nodes: recovery points under load, starting from an old one, comparing replicas and mending them. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, type Database } from '../../client/index.ts';
import { encodeKey, type Key } from '../../client/keys.ts';
import { RealDisk } from '../../node/runtime/real-disk.ts';
import type { Put } from '../../node/runtime/runtime.ts';
import { dataBounds, decodeRow, keyOfDataKey } from '../../node/store/rows.ts';
import { eventually, untilWhole, useClusters, type TestCluster } from './harness.ts';

const makeCluster = useClusters();

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(options: Parameters<typeof makeCluster>[0] = {}): Promise<{ cluster: TestCluster; db: Database }> {
  const cluster = await makeCluster(options);
  await cluster.start();
  const db = await connect({ nodes: cluster.urls, timeoutMs: 30_000 });
  cleanUps.push(() => db.close());
  await untilWhole(db);
  return { cluster, db };
}

/** The rows of a data directory that no process uses, by their encoded keys; and what to write back, if anything. */
async function withRows<T>(directory: string, work: (rows: { key: string; at: Buffer; row: Buffer }[]) => { result: T; puts: Put[] }): Promise<T> {
  const table = new RealDisk(directory).openTable();
  const { result, puts } = work([...table.range(...dataBounds)].map(({ key, value }) => ({ key: keyOfDataKey(key), at: key, row: value })));
  await new Promise<void>((resolve, reject) => table.write(puts, (error) => (error === undefined ? resolve() : reject(error))));
  await new Promise<void>((closed) => table.close(closed));
  return result;
}

function pairs(db: Database): { stop(): Promise<number> } {
  let isOn = true;
  let written = 0;
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let i = 0; isOn; i++) {
      await db.transaction((tx) => {
        tx.set(['left', writer, i % 20], i);
        tx.set(['right', writer, i % 20], i);
      });
      written++;
    }
  });
  return {
    stop: async () => {
      isOn = false;
      await Promise.all(writers);
      return written;
    },
  };
}

const versionsIn = (directory: string): Promise<Map<string, number>> =>
  withRows(directory, (rows) => ({ result: new Map(rows.map(({ key, row }) => [key, decodeRow(key, row).version])), puts: [] }));

describe('recovery points', () => {
  it('taken under load hold whole transactions, and are listed and removed', async () => {
    const { cluster, db } = await start();
    const load = pairs(db);
    for (const name of ['one', 'two']) expect(await cluster.dtp('checkpoint', name, '--all')).toMatchObject({ code: 0, stdout: expect.stringMatching(/n[123]: recovery point (one|two) is kept, \d+/) });
    expect(await load.stop()).toBeGreaterThan(0);
    for (const id of ['n1', 'n2', 'n3']) {
      for (const name of ['one', 'two']) {
        const copy = path.join(cluster.directory, `${id}-${name}`);
        mkdirSync(path.join(copy, 'data'), { recursive: true });
        cpSync(path.join(cluster.dataDirectory, id, 'recovery-points', name, 'data.mdb'), path.join(copy, 'data', 'data.mdb'));
        const versions = await versionsIn(copy);
        for (let writer = 0; writer < 4; writer++) {
          for (let i = 0; i < 20; i++) expect(versions.get(encodeKey(['left', writer, i]))).toBe(versions.get(encodeKey(['right', writer, i])));
        }
      }
    }
    expect(await cluster.dtp('checkpoint', 'one', '--node', 'n1')).toMatchObject({ code: 5, stderr: expect.stringContaining('there is a recovery point one on this node already') });
    expect((await cluster.dtp('checkpoint', '--list')).stdout.split('\n').filter((line) => /^n[123]\s+(one|two)\s/.test(line))).toHaveLength(6);
    expect(await cluster.dtp('checkpoint', 'one', '--all', '--remove')).toMatchObject({ code: 0 });
    expect(await cluster.dtp('checkpoint', 'one', '--node', 'n2', '--remove')).toMatchObject({ code: 5 });
    expect((await db.recoveryPoints()).map(({ points }) => points.map(({ name }) => name))).toEqual([['two'], ['two'], ['two']]);
    for (const wrong of [['checkpoint'], ['checkpoint', '--list', 'x'], ['checkpoint', '--remove', '--all'], ['checkpoint', 'x', '--all', '--node', 'n1']]) expect(await cluster.dtp(...wrong)).toMatchObject({ code: 64 });
    expect(await cluster.dtp('checkpoint', '../x', '--node', 'n1')).toMatchObject({ code: 65 });
  });

  it('of long ago bring nothing back: the node heals forward to the present', async () => {
    const { cluster, db } = await start();
    const keys = Array.from({ length: 60 }, (_, i): Key => ['item', i]);
    await db.transaction((tx) => keys.forEach((key, i) => tx.set(key, `old ${i}`)));
    await db.checkpoint('n1', 'old');
    for (const [i, key] of keys.entries()) {
      if (i % 3 === 0) await db.delete(key);
      if (i % 3 === 1) await db.set(key, `new ${i}`);
    }
    await db.set('later', 'x');
    expect(await cluster.dtp('restore', '--node', 'n1', '--from', 'old')).toMatchObject({ code: 73, stderr: expect.stringContaining('in use by another process') });
    await cluster.node('n1').stop();
    expect(await cluster.dtp('restore', '--node', 'n1', '--from', 'none')).toMatchObject({ code: 64 });
    expect(await cluster.dtp('restore', '--node', 'n2', '--from', path.join(cluster.dataDirectory, 'n1', 'recovery-points', 'old'))).toMatchObject({ code: 73 });
    const restored = await cluster.dtp('restore', '--node', 'n1', '--from', 'old');
    expect(restored).toMatchObject({ code: 0, stdout: expect.stringContaining('60 keys (deleted ones included)') });
    expect(readdirSync(path.join(cluster.dataDirectory, 'n1')).filter((name) => name.startsWith('replaced-'))).toHaveLength(1);
    expect((await versionsIn(path.join(cluster.dataDirectory, 'n1'))).size).toBe(60);

    await cluster.node('n1').start();
    await untilWhole(db);
    await eventually('n1 is sure again of all of its partitions', async () => {
      const [first] = await db.status();
      return first?.reachable === true && first['doubtful'] === null;
    }, 60_000);
    expect(await cluster.dtp('verify')).toMatchObject({ code: 0, stdout: expect.stringContaining('All replicas are identical') });
    const values = await db.getMany(keys);
    expect(values).toEqual(keys.map((_, i) => [undefined, `new ${i}`, `old ${i}`][i % 3]));
    expect(await db.get('later')).toBe('x');
  });

  it('of a node that is alone go on from what they have, if that is accepted', async () => {
    const { cluster, db } = await start({ nodes: 1 });
    await db.set('early', 1);
    await db.checkpoint('n1', 'p');
    await db.set('late', 1);
    await cluster.node('n1').stop();
    expect(await cluster.dtp('restore', '--node', 'n1', '--from', 'p')).toMatchObject({ code: 64, stderr: expect.stringContaining('--accept-loss') });
    expect(await cluster.dtp('restore', '--node', 'n1', '--from', 'p', '--accept-loss')).toMatchObject({ code: 0, stdout: expect.stringContaining('what was written after that moment is lost') });
    await cluster.node('n1').start();
    await untilWhole(db);
    expect([await db.get('early'), await db.get('late')]).toEqual([1, undefined]);
    await db.set('late', 2);
    expect(await db.get('late')).toBe(2);
    expect(await cluster.dtp('verify')).toMatchObject({ code: 0 });
  });

  it('that are damaged are refused, and nothing is changed', async () => {
    const { cluster, db } = await start({ nodes: 1 });
    await db.set('k', 'a value that can be found again');
    await db.checkpoint('n1', 'p');
    await cluster.node('n1').stop();
    const directory = path.join(cluster.dataDirectory, 'n1');
    const file = path.join(directory, 'recovery-points', 'p', 'data.mdb');
    const bytes = readFileSync(file);
    const at = bytes.indexOf('a value that can be found again');
    bytes[at]! ^= 1;
    writeFileSync(file, bytes);
    expect(await cluster.dtp('restore', '--node', 'n1', '--from', 'p')).toMatchObject({ code: 64, stderr: expect.stringContaining('--accept-loss') });
    expect(await cluster.dtp('restore', '--node', 'n1', '--from', 'p', '--accept-loss')).toMatchObject({ code: 74, stderr: expect.stringContaining('the recovery point is damaged') });
    expect(readdirSync(directory).sort()).toEqual(['data', 'journal', 'recovery-points']);
    await cluster.node('n1').start();
    await untilWhole(db);
    expect(await db.get('k')).toBe('a value that can be found again');
    await cluster.node('n1').stop();
    // A restore that was cut: the node does not begin anew as an empty one.
    mkdirSync(path.join(directory, '.restoring'));
    renameSync(path.join(directory, 'data'), path.join(directory, 'moved'));
    expect(await cluster.node('n1').launch()).toMatchObject({ code: 73 });
    expect(cluster.node('n1').tail()).toContain('a restore was interrupted');
    expect(existsSync(path.join(directory, 'data'))).toBe(false);
  });
});

describe('dtp verify', () => {
  it('finds what a node lost or holds otherwise, says what a repair would do, and repairs it', async () => {
    const { cluster, db } = await start();
    const keys = Array.from({ length: 40 }, (_, i): Key => ['item', i]);
    for (const round of ['first', 'second']) await db.transaction((tx) => keys.forEach((key) => tx.set(key, round)));
    expect(await cluster.dtp('verify')).toMatchObject({ code: 0, stdout: expect.stringContaining('All replicas are identical') });

    // Twice, or its journal would still have them.
    for (let i = 0; i < 2; i++) {
      await cluster.node('n3').stop();
      if (i === 0) await cluster.node('n3').start();
    }
    const lost = new Set([encodeKey(['item', 3]), encodeKey(['item', 4])]);
    await withRows(path.join(cluster.dataDirectory, 'n3'), (rows) => ({ result: null, puts: rows.filter(({ key }) => lost.has(key)).map(({ at }): Put => [at, null]) }));
    const partly = await cluster.dtp('verify', '--json');
    expect([partly.code, JSON.parse(partly.stdout)]).toMatchObject([1, { identical: false, divergent: [], nodes: [{ reachable: true }, { reachable: true }, { id: 'n3', reachable: false }] }]);

    await cluster.node('n3').start();
    await untilWhole(db);
    const found = await cluster.dtp('verify', '--partitions', '--dry-run');
    expect(found).toMatchObject({ code: 6, stdout: expect.stringMatching(/^n3 has wrong digests of 2 partitions/m) });
    expect(found.stdout).toMatch(/^Replicas differ in 2 partitions/m);
    const repaired = await cluster.dtp('verify', '--repair', '--timeout', '60000');
    expect([repaired.code, repaired.stderr]).toEqual([0, '']);
    expect(await cluster.dtp('verify')).toMatchObject({ code: 0 });
    expect(await db.getMany(keys)).toEqual(keys.map(() => 'second'));
    expect(await cluster.dtp('verify', '--repair', '--dry-run')).toMatchObject({ code: 64 });
  });

  it('takes no write that is under way for a divergence', async () => {
    const { cluster, db } = await start();
    const load = pairs(db);
    for (let i = 0; i < 3; i++) {
      const { code, stdout } = await cluster.dtp('verify');
      expect([code, stdout]).toEqual([0, expect.stringContaining('All replicas are identical')]);
    }
    expect(await load.stop()).toBeGreaterThan(0);
  });
});
