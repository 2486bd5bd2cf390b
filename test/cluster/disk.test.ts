/**
 * Real processes on disks that take no more: a bound on the size of files (`prlimit`) is taken away and given back while
 * they run, so that writing fails as on a full disk.
 */
import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, type Database, type NodeStatus } from '../../client/index.ts';
import { eventually, untilWhole, useClusters, type TestNode } from './harness.ts';

const makeCluster = useClusters();
const patienceMs = 30_000;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Small enough that no new segment of a journal can be made, large enough for the table's first pages. */
function fill({ pid }: TestNode): void {
  execFileSync('prlimit', ['--pid', String(pid), '--fsize=65536:']);
}

function empty({ pid }: TestNode): void {
  execFileSync('prlimit', ['--pid', String(pid), '--fsize=unlimited:']);
}

const diskOf = (nodes: readonly NodeStatus[], id: string): { state: string; problem: string | null; refusal: string | null } => nodes.find((node) => node.id === id)?.['disk'] as never;

async function fillUp(db: Database, node: TestNode): Promise<void> {
  fill(node);
  // Where its journal is when the disk is full, a write may still fit.
  await eventually(`${node.id} notices that its disk is full`, async () => {
    await db.set(`notice ${node.id}`, 'x'.repeat(50_000), { timeoutMs: patienceMs });
    return diskOf(await db.status(), node.id).state === 'failing';
  }, patienceMs);
}

describe('a node whose disk is full', () => {
  it('says so, is done without, answers reads, and comes back by itself with everything', async () => {
    const cluster = await makeCluster();
    await cluster.start();
    const db = await connect({ nodes: cluster.urls, timeoutMs: patienceMs });
    cleanUps.push(() => db.close());
    await untilWhole(db);
    await db.set('before', 1);
    await fillUp(db, cluster.node('n2'));
    for (let i = 0; i < 200; i++) await db.set(`during ${i}`, i);
    await db.transaction((tx) => void tx.add('counter', 7));
    const status = await db.status();
    expect(diskOf(status, 'n2')).toMatchObject({ state: 'failing', refusal: expect.stringContaining('can’t be written') });
    expect(diskOf(status, 'n1').state).toBe('sound');
    const shown = await cluster.dtp('status');
    expect(shown.stdout).toMatch(/n2 takes no part in votes: .*can’t be written.*EFBIG/);
    const direct = await connect({ nodes: [cluster.node('n2').url], timeoutMs: patienceMs });
    cleanUps.push(() => direct.close());
    expect(await direct.get('before')).toBe(1);

    empty(cluster.node('n2'));
    await eventually('n2 is well again', async () => diskOf(await db.status(), 'n2').state === 'sound', patienceMs);
    await eventually('all replicas are equal', async () => new Set((await db.status()).map((node) => node['digest'])).size === 1, 60_000);
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    await cluster.start();
    await untilWhole(db);
    for (let i = 0; i < 200; i += 20) expect(await db.get(`during ${i}`)).toBe(i);
    expect(await db.get('counter')).toBe(7);
  }, 180_000);
});

describe('a cluster whose disks are all full', () => {
  it('refuses writes with words that name the disks, loses none that it acknowledged, and goes on when there is room', async () => {
    const cluster = await makeCluster();
    await cluster.start();
    const db = await connect({ nodes: cluster.urls, timeoutMs: patienceMs });
    cleanUps.push(() => db.close());
    await untilWhole(db);
    for (const node of cluster.nodes) fill(node);
    let acknowledged = 0;
    const refused = await (async () => {
      for (;;) {
        try {
          await db.set(`key ${acknowledged}`, 'x'.repeat(20_000), { timeoutMs: 3_000 });
          acknowledged++;
        } catch (error) {
          if ((await db.status()).every((node) => (node['disk'] as { refusal: string | null }).refusal !== null)) return error;
        }
      }
    })();
    await expect(db.set('late', 1, { timeoutMs: 1_000 })).rejects.toMatchObject({ message: expect.stringContaining('can’t be written') });
    expect(refused).toBeInstanceOf(Error);
    for (const node of cluster.nodes) empty(node);
    await eventually('the cluster takes writes again', () => db.set('after', 1, { timeoutMs: 2_000 }).then(() => true, () => false), patienceMs);
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    await cluster.start();
    for (let i = 0; i < acknowledged; i++) expect(await db.get(`key ${i}`), `key ${i} of ${acknowledged}`).toHaveLength(20_000);
    expect(await db.get('after')).toBe(1);
  }, 180_000);
});
