/** A node of a real cluster loses its disk under load: it is recognised, begins a new life, and is sure again when it has its data from the others. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Bank, Teller } from '../../bench/bank.ts';
import { connect, type Database } from '../../client/index.ts';
import { eventually, useClusters } from './harness.ts';

const makeCluster = useClusters();
const open: Database[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((db) => db.close()));
});

describe('a node that lost its disk', () => {
  it('comes back empty, in a new life, and gets everything from the others, while money is moved', async () => {
    const cluster = await makeCluster({ config: { timing: { healIntervalMs: 500 } } });
    await cluster.start();
    const db = await connect({ nodes: cluster.urls, timeoutMs: 60_000, maxAttempts: 10_000 });
    open.push(db);
    const bank = new Bank({ branches: 2, accountsPerBranch: 8, openingBalance: 200n });
    await bank.open(db);
    const tellers = Array.from({ length: 4 }, (_, id) => new Teller(bank, db, id));
    let goesOn = true;
    const work = Promise.all(tellers.map((teller) => teller.work(() => goesOn)));
    const made = (): number => tellers.reduce((sum, { counts }) => sum + counts.acknowledged, 0);
    const progress = async (during: string): Promise<void> => {
      const before = made();
      await eventually(`transfers ${during}`, () => made() > before + 20);
    };

    await progress('before the loss');
    const [victim] = cluster.nodes;
    if (victim === undefined) throw new Error('a cluster without nodes');
    await victim.kill();
    rmSync(path.join(cluster.dataDirectory, victim.id), { recursive: true });
    await progress('without it');
    await victim.start();
    await eventually('it is sure again of all that it has', async () => {
      const status = (await db.status()).find(({ id }) => id === victim.id);
      return status?.reachable === true && Number(status['incarnation']) > 1_000 && status['doubtful'] === null;
    });
    await progress('with it');
    goesOn = false;
    await work;
    for (let branch = 0; branch < bank.branches; branch++) expect(await bank.audit(db, branch)).toBe(null);
    await eventually('all replicas are the same', async () => {
      const digests = new Set((await db.status()).map((node) => node['digest']));
      return digests.size === 1;
    });
  });
});
