/** `db.verify` and recovery points against whole simulated nodes. */
import { describe, expect, it } from 'vitest';
import { simulate } from '../../sim/testing.ts';

describe('db.verify', () => {
  it('finds replicas identical that are, counts their keys, and tells how far it is', async () => {
    await simulate({ seed: 1, chaos: 'light' }, async ({ db, cluster }) => {
      for (let i = 0; i < 30; i++) await db.set(['k', i], i);
      await db.delete(['k', 7]);
      await cluster.calm();
      const told: [number, number][] = [];
      const { identical, nodes, divergent } = await db.verify({ onProgress: (read, of) => told.push([read, of]) });
      expect([identical, divergent]).toEqual([true, []]);
      for (const node of nodes) expect(node).toMatchObject({ reachable: true, missing: 0, older: 0, different: 0, damaged: 0, doubtful: 0, misdigested: 0, bytes: 0 });
      expect(nodes[0]?.keys).toBeGreaterThanOrEqual(29);
      expect(told.at(-1)?.[0]).toBe(told.at(-1)?.[1]);
      expect(await db.verify({ partitions: [0, 0, 1, 1e9] })).toMatchObject({ identical: true, nodes: [{ partitions: 2 }, { partitions: 2 }, { partitions: 2 }] });
    });
  });

  it('is never sure of replicas that it could not compare', async () => {
    await simulate({ seed: 2 }, async ({ db, cluster, sleep }) => {
      await db.set('k', 1);
      await cluster.crash('n3');
      const { identical, nodes, divergent } = await db.verify();
      expect([identical, divergent]).toEqual([false, []]);
      expect(nodes.map(({ reachable, reason }) => [reachable, reason === undefined])).toEqual([[true, true], [true, true], [false, false]]);
      await cluster.restart('n3');
      while (!(await db.status()).every(({ reachable }) => reachable)) await sleep(50);
      await cluster.calm();
      expect((await db.verify()).identical).toBe(true);
    });
  });

  it('can be given up', async () => {
    await simulate({ seed: 3 }, async ({ db }) => {
      const controller = new AbortController();
      controller.abort();
      await expect(db.verify({ signal: controller.signal })).rejects.toMatchObject({ code: 'cancelled' });
    });
  });
});

describe('recovery points', () => {
  it('are kept, listed and removed; a node that is lost meanwhile leaves it open', async () => {
    await simulate({ seed: 4 }, async ({ db, cluster }) => {
      await db.set('k', 1);
      const point = await db.checkpoint('n2', 'p');
      expect(point).toMatchObject({ name: 'p', bytes: expect.any(Number) });
      expect((await db.recoveryPoints()).map(({ id, points, underWay }) => [id, points, underWay])).toEqual([['n1', [], null], ['n2', [point], null], ['n3', [], null]]);
      await expect(db.checkpoint('n2', 'p')).rejects.toMatchObject({ code: 'point-exists' });
      await expect(db.checkpoint('n2', '../p')).rejects.toMatchObject({ code: 'invalid-argument' });
      await expect(db.checkpoint('n9', 'p')).rejects.toMatchObject({ code: 'invalid-argument' });
      const both = await Promise.allSettled([db.checkpoint('n1', 'one'), db.checkpoint('n1', 'two')]);
      expect(both).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'overloaded' } }]);
      expect(await db.removeRecoveryPoint('n2', 'p')).toEqual([]);
      await expect(db.removeRecoveryPoint('n2', 'p')).rejects.toMatchObject({ code: 'point-unknown' });

      const cut = db.checkpoint('n3', 'p');
      await cluster.crash('n3');
      await expect(cut).rejects.toMatchObject({ code: 'outcome-unknown' });
      await expect(db.checkpoint('n3', 'p')).rejects.toMatchObject({ code: 'unreachable' });
      await cluster.restart('n3');
    });
  });
});
