/** Real processes, and a coordinator under 2PC that is killed between the votes and the first word of its decision. */
import { afterEach, describe, expect, it } from 'vitest';
import { connect, DtpError, type Database, type NodeStatus } from '../../client/index.ts';
import { encodeKey } from '../../client/keys.ts';
import { Placement } from '../../client/wire/placement.ts';
import type { View } from '../../client/wire/view.ts';
import { eventually, untilWhole, useClusters, type TestCluster } from './harness.ts';
import { makeLinkedNodes, type LinkedNodes } from './linked-nodes.ts';

const makeCluster = useClusters();

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A key whose transactions n1 coordinates. */
function keyOfFirst(): string {
  const members = ['n1', 'n2', 'n3'].map((id) => ({ id, url: 'ws://127.0.0.1:1', weight: 1, zone: null }));
  const placement = new Placement({ epoch: 1, cluster: 'cut', partitions: 1_024, replicationFactor: 3, members } satisfies View);
  for (let i = 0; ; i++) if (placement.groupOf(placement.partitionOf(encodeKey(`key ${i}`)))[0] === 'n1') return `key ${i}`;
}

const key = keyOfFirst();
const after = 'the value that is written while the coordinator dies';

const patienceMs = 5_000;

interface Transactions {
  readonly undecided: number;
  readonly slowCommits: number;
  readonly blocked: { readonly count: number; readonly first: readonly { readonly transaction: string; readonly waitsFor: readonly string[]; readonly keys: number }[] };
  readonly settlements: readonly unknown[];
}

function transactionsOf(nodes: readonly NodeStatus[], id: string): Transactions | undefined {
  return nodes.find((node) => node.id === id && node.reachable)?.['transactions'] as Transactions | undefined;
}

interface Stage extends LinkedNodes {
  readonly cluster: TestCluster;
  readonly db: Database;
  readonly transaction: string;
  readonly write: Promise<unknown>;
}

/** n1 is dead, and n2 and n3 say that they wait for it. */
async function block(isLogged: boolean): Promise<Stage> {
  const cluster = await makeCluster();
  const linked = await makeLinkedNodes(cluster, cleanUps);
  const { nodes, urls, links } = linked;
  const db = await connect({ nodes: urls.slice(2), timeoutMs: 60_000 });
  cleanUps.push(() => db.close());
  await untilWhole(db);
  await db.set(key, 'before', { protocol: '2pc' });
  await eventually('nothing is under way', async () => {
    const status = await db.status();
    return ['n1', 'n2', 'n3'].every((id) => transactionsOf(status, id)?.undecided === 0);
  });
  const committed = transactionsOf(await db.status(), 'n1')?.slowCommits ?? 0;
  for (const link of [links['n1-n2'], links['n1-n3']]) {
    if (isLogged) link.muteAfter(after);
    else link.mute('back');
  }
  const write = db.set(key, after, { protocol: '2pc' }).then(() => 'committed', (error: unknown) => (error instanceof DtpError ? error.code : error));
  await eventually('the replicas have voted, and the coordinator knows it or not', async () => {
    const status = await db.status();
    const isDecided = transactionsOf(status, 'n1')?.slowCommits === committed + 1;
    return isDecided === isLogged && ['n2', 'n3'].every((id) => transactionsOf(status, id)?.undecided === 1);
  });
  await nodes[0]?.kill();
  for (const link of Object.values(links)) link.heal();
  let transaction = '';
  await eventually('both others say that they are blocked', async () => {
    const status = await db.status({ timeoutMs: 1_000 });
    const [second, third] = ['n2', 'n3'].map((id) => transactionsOf(status, id)?.blocked.first[0]);
    transaction = second?.transaction ?? '';
    return second !== undefined && third?.transaction === transaction && second.waitsFor.join() === 'n1' && second.keys === 1;
  });
  return { ...linked, cluster, db, transaction, write };
}

const nodesOption = ({ urls }: Stage) => ['--nodes', urls.slice(1).join()];

describe('a 2PC transaction whose coordinator is killed', () => {
  it.each([['nothing was logged', false, 'before'], ['its commit was logged', true, after]] as const)('blocks the others, who say so, and is freed the moment it is back, when %s', async (_when, isLogged, value) => {
    const stage = await block(isLogged);
    const { cluster, db, nodes, transaction, write } = stage;
    const status = await cluster.dtp('status', ...nodesOption(stage));
    expect(status.code).toBe(1);
    expect(status.stdout).toContain(`${transaction} (2pc) is blocked and locks 1 keys`);
    expect(status.stdout).toContain(`if n1 never comes back: dtp resolve ${transaction}`);
    for (const node of nodes.slice(1)) expect(node.lines.some((line) => line.includes('transaction blocked') && line.includes(transaction))).toBe(true);
    const read = cluster.dtp('get', key, '--timeout', '4000', ...nodesOption(stage));
    expect(await read).toMatchObject({ code: 2, stderr: expect.stringContaining(`locked by transaction ${transaction} (2pc), which has been waiting for n1`) });

    await nodes[0]?.start();
    const backMs = performance.now();
    const seen = await db.get(key);
    // Aborted, it is tried again by who wanted it, perhaps before the read.
    expect(isLogged ? [value] : [value, after]).toContain(seen);
    // In simulated time it is less than a second; here the machine may be busy with other things.
    expect(performance.now() - backMs).toBeLessThan(patienceMs);
    expect(await write).toBe('committed');
    expect(await db.get(key)).toBe(after);
  });

  it('is decided by an operator; if it had decided otherwise it stops when it comes back, and says why', async () => {
    const stage = await block(true);
    const { cluster, db, nodes, transaction } = stage;
    expect(await cluster.dtp('resolve', transaction, ...nodesOption(stage))).toMatchObject({ code: 64 });
    expect(await cluster.dtp('resolve', transaction, '--abort', ...nodesOption(stage))).toMatchObject({ code: 64, stderr: expect.stringContaining('that client was told a lie') });
    expect(await cluster.dtp('resolve', 'nonsense', '--abort', '--yes', ...nodesOption(stage))).toMatchObject({ code: 64, stderr: expect.stringContaining('nonsense is no transaction’s name') });
    const unheardOf = transaction.replace(/\d+$/, '99999');
    const unknown = await cluster.dtp('resolve', unheardOf, '--abort', '--yes', '--json', ...nodesOption(stage));
    expect([unknown.code, unknown.stdout, unknown.stderr]).toEqual([5, '', expect.stringContaining(`node n2: ${unheardOf}: this node has no record of it.`)]);
    expect(transactionsOf(await db.status({ timeoutMs: 1_000 }), 'n2')?.blocked.count).toBe(1);
    const settled = await cluster.dtp('resolve', transaction, '--abort', '--yes', '--json', ...nodesOption(stage));
    expect([settled.code, JSON.parse(settled.stdout)]).toEqual([0, { transaction, outcome: 'aborted' }]);
    expect(await cluster.dtp('resolve', transaction, '--commit', '--yes', ...nodesOption(stage))).toMatchObject({ code: 5, stderr: expect.stringContaining(`${transaction}: it is aborted.`) });
    expect(transactionsOf(await db.status({ timeoutMs: 1_000 }), 'n2')?.settlements).toHaveLength(1);
    expect(await cluster.dtp('get', key, ...nodesOption(stage))).toMatchObject({ code: 0 });

    const ended = await nodes[0]?.launch();
    expect(ended?.code).toBe(70);
    expect(nodes[0]?.lines.some((line) => line.includes(`transaction ${transaction} is committed at`) && line.includes('an operator decided that it is aborted') && line.includes('let a new node'))).toBe(true);
  });
});
