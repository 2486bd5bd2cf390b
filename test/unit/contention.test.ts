/** Transactions on the same few keys, from several clients: where they meet. A whole cluster under virtual time. */
import { describe, expect, it } from 'vitest';
import { DtpError, type Database, type NodeStatus } from '../../client/index.ts';
import { seeds, simulate } from '../sim/testing.ts';

/** With as many nodes as replicas all transactions would have one coordinator anyway. */
const fiveNodes = { nodes: 5, replicationFactor: 3 };
const keys = Array.from({ length: 6 }, (_, i) => `account ${i}`);
const callersPerClient = 4;
const transfersPerCaller = 25;

interface Counts {
  readonly met: number;
  readonly led: number;
  /** Commits by their coordinators. */
  readonly coordinated: Readonly<Record<string, number>>;
}

async function countsOf(db: Database): Promise<Counts> {
  const nodes = (await db.status()).filter(({ reachable }) => reachable).map(({ id, ...node }: NodeStatus) => ({ id, transactions: node['transactions'] as { readonly fastCommits: number; readonly slowCommits: number; readonly commits: { readonly met: number; readonly led: number } } }));
  const sum = (of: (node: (typeof nodes)[number]) => number): number => nodes.reduce((total, node) => total + of(node), 0);
  return {
    met: sum(({ transactions }) => transactions.commits.met),
    led: sum(({ transactions }) => transactions.commits.led),
    coordinated: Object.fromEntries(nodes.map(({ id, transactions }) => [id, transactions.fastCommits + transactions.slowCommits])),
  };
}

/** Each caller moves 1 from one key to the next but so many, again and again. What faults come to is passed over. */
async function transfers(clients: readonly Database[], { timeoutMs = 60_000, expectsFaults = false } = {}): Promise<void> {
  await Promise.all(clients.flatMap((db, c) => Array.from({ length: callersPerClient }, async (_, caller) => {
    for (let i = 0; i < transfersPerCaller; i++) {
      const [from, to] = [keys[(i + c + caller) % keys.length] as string, keys[(i + 2 * c + 3 * caller + 1 + i % 3) % keys.length] as string];
      await db.transaction(async (tx) => {
        if (caller % 2 === 0) {
          tx.add(from, -1);
          tx.add(to, 1);
        } else {
          for (const [key, delta] of [[from, -1], [to, 1]] as const) tx.set(key, ((await tx.get<number | undefined>(key)) ?? 0) + delta);
        }
      }, { timeoutMs, maxAttempts: 1_000 }).catch((error: unknown) => {
        if (!expectsFaults || !(error instanceof DtpError)) throw error;
      });
    }
  })));
}

describe('transactions on the same keys, whose homes have different replicas', () => {
  it('come to meet at one coordinator, wherever their clients sent them at first, and nothing is lost on the way', async () => {
    await simulate(fiveNodes, async ({ db, cluster }) => {
      const groups = new Set(keys.map((key) => [...cluster.replicasOf(key)].sort().join()));
      expect(groups.size, 'or there is nothing to see').toBeGreaterThan(2);
      const clients = [db, await cluster.connect(), await cluster.connect()];
      await transfers(clients);
      const before = await countsOf(db);
      expect(before.met).toBeGreaterThan(0);
      expect(before.led).toBeGreaterThan(0);
      await transfers(clients);
      const after = await countsOf(db);
      const busy = Object.keys(after.coordinated).filter((node) => after.coordinated[node] !== before.coordinated[node]);
      expect([after.met - before.met, after.led - before.led, busy.length]).toEqual([0, 0, 1]);
      const balances = await db.getMany<number>(keys);
      expect(balances.reduce((sum, balance) => sum + balance, 0)).toBe(0);
    });
  });

  it('go on at the next replica when that coordinator dies', async () => {
    await simulate(fiveNodes, async ({ db, cluster }) => {
      const clients = [db, await cluster.connect()];
      await transfers(clients);
      const before = await countsOf(db);
      await transfers(clients);
      const { coordinated } = await countsOf(db);
      const leader = Object.keys(coordinated).find((node) => coordinated[node] !== before.coordinated[node]) as string;
      cluster.crash(leader);
      await transfers(clients);
      const balances = await db.getMany<number>(keys);
      expect(balances.reduce((sum, balance) => sum + balance, 0)).toBe(0);
    });
  });

  it('lose nothing while nodes die and links break', async () => {
    const reports = await seeds(3, (seed) => simulate({ seed, chaos: true, nodes: 5 }, async ({ db, cluster }) => {
      await transfers([db, await cluster.connect(), await cluster.connect()], { timeoutMs: 1_000, expectsFaults: true });
      await cluster.calm();
      const balances = await db.getMany<number | undefined>(keys, { timeoutMs: 60_000 });
      expect(balances.reduce<number>((sum, balance) => sum + (balance ?? 0), 0)).toBe(0);
      return countsOf(db);
    }));
    expect(reports.some(({ result: { led } }) => led > 0), 'or there was nothing to see').toBe(true);
  });
});
