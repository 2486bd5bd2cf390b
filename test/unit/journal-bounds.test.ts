/** A cluster that writes for long while one of its nodes is away: what that costs the others on their disks, and at a restart. */
import { expect, it } from 'vitest';
import type { NodeStatus } from '../../client/index.ts';
import type { StoreStats } from '../../node/store/store.ts';
import { simulate } from '../sim/testing.ts';

const storeOf = (nodes: readonly NodeStatus[], id: string): StoreStats => nodes.find((node) => node.id === id)?.['store'] as StoreStats;

it('a journal does not grow with the absence of a peer, and neither does what a restart reads', async () => {
  await simulate({ seed: 'absence', nodes: 3, simulatedMsMax: 3_600_000, stepsMax: 50_000_000 }, async ({ db, cluster, sleep }) => {
    const live: number[][] = [];
    const files: number[] = [];
    cluster.crash('n3');
    for (let round = 0; round < 120; round++) {
      await Promise.all(Array.from({ length: 50 }, (_, i) => db.set(`key ${(round * 50 + i) % 300}`, 'v'.repeat(200), { timeoutMs: 60_000 })));
      await sleep(500);
      const stores = ['n1', 'n2'].map((id, i) => [id, i] as const);
      const nodes = await db.status();
      live.push(stores.map(([id]) => storeOf(nodes, id).journalBytes));
      files.push(...stores.map(([id]) => storeOf(nodes, id).journalSegments));
    }
    const most = (rounds: readonly (readonly number[])[]): number => Math.max(...rounds.flat());
    expect(most(live.slice(60)), 'no more in the second half than in the first').toBeLessThanOrEqual(1.5 * most(live.slice(0, 60)));
    expect(Math.max(...files)).toBeLessThan(12);
    cluster.crash('n1');
    await cluster.restart('n1');
    while (storeOf(await db.status(), 'n1') === undefined) await sleep(100);
    const { replayedBytes, replayedRecords } = storeOf(await db.status(), 'n1');
    expect(replayedRecords).toBeGreaterThan(0);
    expect(replayedBytes).toBeLessThanOrEqual(2 * most(live));
    await cluster.restart('n3');
    await cluster.calm();
  });
}, 120_000);
