/**
 * What the system promises, against real processes that are killed: nothing acknowledged is lost or done twice, nobody sees half of
 * a transaction, replicas become equal again, everybody gets a turn at a hot key, and a client whose coordinator
 * dies still learns what became of its transaction.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { agreement } from '../../bench/agreement.ts';
import { Bank, Teller, type Outcome } from '../../bench/bank.ts';
import { BoundCrossed, connect, type Database } from '../../client/index.ts';
import { eventually, untilWhole, useClusters, type TestCluster } from './harness.ts';

const makeCluster = useClusters();

/** Far beyond what a loss takes, so that a call that fails has really been forgotten. */
const timeoutMs = 60_000;
/** Replicas compare often, so that the end of a test waits for no timer. */
const config = { timing: { healIntervalMs: 500 } };

const open: Database[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((db) => db.close()));
});

async function client(cluster: TestCluster): Promise<Database> {
  const db = await connect({ nodes: cluster.urls, timeoutMs, maxAttempts: 10_000 });
  open.push(db);
  return db;
}

const clients = (cluster: TestCluster, count: number): Promise<Database[]> => Promise.all(Array.from({ length: count }, () => client(cluster)));

const total = (tellers: readonly Teller[], outcome: Outcome): number => tellers.reduce((sum, { counts }) => sum + counts[outcome], 0);

describe('a bank', () => {
  it('loses nothing, doubles nothing and adds up at every instant while each node is killed in turn and one hangs', async () => {
    const cluster = await makeCluster({ config });
    await cluster.start();
    const [db, other] = await clients(cluster, 2) as [Database, Database];
    const bank = new Bank({ branches: 3, accountsPerBranch: 12, openingBalance: 200n });
    await bank.open(db);

    const tellers = Array.from({ length: 8 }, (_, id) => new Teller(bank, id % 2 === 0 ? db : other, id));
    let goesOn = true;
    let audits = 0;
    const wrongSums: string[] = [];
    const audit = async (): Promise<void> => {
      for (let branch = 0; goesOn; branch = (branch + 1) % bank.branches) {
        const fault = await bank.audit(db, branch);
        audits++;
        if (fault !== null) wrongSums.push(fault);
      }
    };
    const work = Promise.all([audit(), ...tellers.map((teller) => teller.work(() => goesOn))]);
    // Whatever fails there fails here, and at once.
    let broken: unknown = null;
    work.catch((error: unknown) => (broken = error));
    const progress = async (during: string): Promise<void> => {
      const [made, audited] = [total(tellers, 'acknowledged'), audits];
      await eventually(`transfers and audits ${during}`, () => {
        if (broken !== null) throw broken;
        return total(tellers, 'acknowledged') >= made + 60 && audits >= audited + 2;
      }, timeoutMs);
    };

    await progress('with all nodes up');
    for (const node of cluster.nodes) {
      await node.kill();
      await progress(`without ${node.id}`);
      await node.start();
      await progress(`with ${node.id} back`);
    }
    cluster.node('n2').pause();
    await progress('while n2 hangs');
    cluster.node('n2').resume();
    await progress('with n2 awake again');
    goesOn = false;
    await work;

    await agreement(db, performance.now(), timeoutMs);
    expect(await bank.verify(db, tellers)).toEqual([]);
    expect(wrongSums).toEqual([]);
    // A majority lived all the time, so nobody had to be left without an answer.
    expect([total(tellers, 'unknown'), total(tellers, 'failed')]).toEqual([0, 0]);
  });
});

describe('with all nodes up', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await makeCluster({ config });
    await cluster.start();
  });

  const increments: [how: string, increment: (db: Database, key: string) => Promise<void>][] = [
    ['functions that read and write', (db, key) => db.transaction(async (tx) => tx.set(key, ((await tx.get<number | undefined>(key)) ?? 0) + 1))],
    ['operations', (db, key) => db.transaction((tx) => tx.add(key, 1))],
  ];
  it.each(increments)('ten clients that increment one key by %s all get on, and none is lost', async (how, increment) => {
    const key = `counter of ${how}`;
    const each = 20;
    const done = new Array<number>(10).fill(0);
    await Promise.all((await clients(cluster, 10)).map(async (db, index) => {
      // Until the last one has had its share: whoever is starved keeps everybody here.
      while (done.some((count) => count < each)) {
        await increment(db, key);
        (done[index] as number)++;
      }
    }));
    const sum = done.reduce((all, count) => all + count, 0);
    expect(await (await client(cluster)).get(key)).toBe(sum);
    // First come, first served: whoever waits is not overtaken again and again.
    expect(Math.max(...done)).toBeLessThan(2 * each);
  });

  it('a bound holds whoever pushes against it', async () => {
    const db = await client(cluster);
    await db.set('tickets', 50);
    let sold = 0;
    let soldOut = 0;
    await Promise.all((await clients(cluster, 5)).flatMap((buyer) => [buyer, buyer]).map(async (buyer, index) => {
      for (let n = 0; ; n++) {
        try {
          await buyer.transaction((tx) => {
            tx.add('tickets', -1, { min: 0 });
            tx.set(['ticket', index, n], index);
          });
          sold++;
        } catch (error) {
          if (!(error instanceof BoundCrossed)) throw error;
          expect(error).toMatchObject({ code: 'bound-crossed', details: { key: 'tickets', bound: 'min', value: 0 } });
          soldOut++;
          return;
        }
      }
    }));
    expect([sold, soldOut, await db.get('tickets')]).toEqual([50, 10, 0]);
  });
});

describe('a coordinator that dies', () => {
  it('leaves no client without the outcome of its transaction', async () => {
    const cluster = await makeCluster({ config });
    await cluster.start();
    const db = await client(cluster);
    await untilWhole(db);
    const counters = 20;
    const perRound = 120;
    let rounds = 0;
    // The three in turn, and again until a death has caught commits on their way.
    while (rounds < cluster.nodes.length || db.stats.lost < 10) {
      const node = cluster.nodes[rounds % cluster.nodes.length] as (typeof cluster.nodes)[number];
      rounds++;
      if (rounds > 12) throw new Error(`in ${rounds} deaths only ${db.stats.lost} commits were lost on their way`);
      const attempted = db.stats.attempts;
      const commits = Array.from({ length: perRound }, (_, index) => db.transaction((tx) => {
        tx.add(['counter', index % counters], 1);
        tx.set(['receipt', rounds, index], true);
      }));
      const settled = Promise.allSettled(commits);
      await eventually('all are sent', () => db.stats.attempts >= attempted + perRound);
      await node.kill();
      // One that is unknown, or has failed, is named by its error.
      expect((await settled).flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []))).toEqual([]);
      await node.start();
    }
    expect(db.stats.resolved).toBe(db.stats.lost);
    const counts = await db.getMany<number>(Array.from({ length: counters }, (_, index) => ['counter', index]));
    expect(counts).toEqual(new Array<number>(counters).fill((rounds * perRound) / counters));
    for (let round = 1; round <= rounds; round++) {
      const receipts = await db.getMany(Array.from({ length: perRound }, (_, index) => ['receipt', round, index]));
      expect(receipts).toEqual(new Array<boolean>(perRound).fill(true));
    }
    await agreement(db, performance.now(), timeoutMs);
  });
});
