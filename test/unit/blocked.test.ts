/** Transactions whose coordinator dies at the worst moments: who waits, who says so, and what an operator can do. A whole cluster under virtual time. */
import { describe, expect, it } from 'vitest';
import { DtpError, type CommitProtocol, type NodeStatus } from '../../client/index.ts';
import { seeds, simulate, SimulationFailed, type Simulation } from '../sim/testing.ts';

interface BlockedStatus {
  readonly count: number;
  readonly first: readonly { readonly transaction: string; readonly protocol: string; readonly waitsFor: readonly string[]; readonly sinceMs: number; readonly keys: number }[];
}

const transactionsOf = (node: NodeStatus) => node['transactions'] as { readonly blocked: BlockedStatus; readonly settlements: readonly Record<string, unknown>[]; readonly locks: number };
const blocking = ['2pc', 'o2pc'] as const;
/** The decision is in the coordinator's log, and nobody else knows it. */
const logged = 'send decide';
/** The replicas have voted, and the coordinator has not heard it. */
const unlogged = 'receive vote';

/** The coordinator of a write of `key` dies at the moment, and each of the others says that it is blocked. */
async function block({ db, cluster, sleep }: Simulation, moment: string, protocol: CommitProtocol) {
  const [coordinator, ...others] = cluster.replicasOf('key') as [string, string, string];
  await db.set('key', 'before');
  const dead = cluster.crashAt(coordinator, moment);
  const writer = await cluster.connect({ timeoutMs: 60_000 });
  const write = writer.set('key', 'after', { protocol }).then(() => 'committed', (error: unknown) => (error instanceof DtpError ? error.code : error));
  await dead;
  for (;;) {
    const nodes = (await db.status({ timeoutMs: 500 })).filter(({ id, reachable }) => others.includes(id) && reachable).map(transactionsOf);
    const transaction = nodes[0]?.blocked.first[0]?.transaction;
    if (transaction !== undefined && nodes.length === others.length && nodes.every(({ blocked }) => blocked.count === 1)) return { coordinator, others, transaction, write, nodes };
    await sleep(20);
  }
}

/** What every node says that operators decided, once they all have something to say. */
async function settlements({ db, sleep }: Simulation) {
  for (;;) {
    const nodes = await db.status();
    const lists = nodes.filter(({ reachable }) => reachable).map((node) => transactionsOf(node).settlements);
    if (lists.length === nodes.length && lists.every(({ length }) => length > 0)) return lists;
    await sleep(20);
  }
}

describe.each(blocking)('a %s transaction whose coordinator is lost', (protocol) => {
  it('is blocked, and said to be so, until its coordinator is back; then it is aborted at once if nothing was logged', async () => {
    await simulate({}, async (simulation) => {
      const { coordinator, transaction, write, nodes } = await block(simulation, unlogged, protocol);
      const { db, cluster, now } = simulation;
      for (const { blocked } of nodes) expect(blocked).toEqual({ count: 1, first: [{ transaction, protocol, waitsFor: [coordinator], sinceMs: expect.any(Number), keys: 1 }] });
      const read = await db.get('key', { timeoutMs: 2_000 }).catch((error: unknown) => error as DtpError);
      expect(read).toMatchObject({ code: 'deadline-exceeded', message: expect.stringMatching(new RegExp(`locked by transaction ${transaction} \\(${protocol}\\), which has been waiting for ${coordinator} for \\d+ s`)) });
      const other = await db.set('key', 'other', { timeoutMs: 2_000 }).catch((error: unknown) => error as DtpError);
      // Told so at its first attempt, it may have begun another one that nobody had the time to answer.
      expect(['deadline-exceeded', 'outcome-unknown']).toContain((other as DtpError).code);
      await cluster.restart(coordinator);
      const backMs = now();
      // Aborted, and perhaps tried again by now.
      expect(['before', 'after']).toContain(await db.get('key'));
      expect(now() - backMs).toBeLessThan(1_000);
      expect(await write).toBe('committed');
      expect(await db.get('key')).toBe('after');
    });
  });

  it('is committed the moment its coordinator is back if that was logged', async () => {
    await simulate({}, async (simulation) => {
      const { coordinator, write } = await block(simulation, logged, protocol);
      const { db, cluster, now } = simulation;
      await cluster.restart(coordinator);
      const backMs = now();
      expect(await db.get('key')).toBe('after');
      expect(now() - backMs).toBeLessThan(1_000);
      expect(await write).toBe('committed');
      // The client may not have found the way back to all of them.
      for (const { blocked } of (await db.status()).filter(({ reachable }) => reachable).map(transactionsOf)) expect(blocked).toEqual({ count: 0, first: [] });
    });
  });

  it.each([['abort', 'aborted'], ['commit', 'committed']] as const)('can be decided by an operator (%s), and the coordinator takes it over if it had logged nothing', async (decision, outcome) => {
    await simulate({}, async (simulation) => {
      const { coordinator, others, transaction, write } = await block(simulation, unlogged, protocol);
      const { db, cluster, now } = simulation;
      const settled = await db.settle(transaction, decision);
      expect(settled.outcome).toBe(outcome);
      expect((await db.explain(transaction)).events.filter(({ what }) => what === 'settled')).toMatchObject([{ decision, wished: decision }]);
      const settledMs = now();
      expect(['before', 'after']).toContain(await db.get('key'));
      expect(now() - settledMs).toBeLessThan(1_000);
      expect(await write).toBe('committed'); // At first, or at the second attempt.
      expect(await db.get('key')).toBe('after');
      // It is remembered over restarts, by all who hear of it.
      for (const node of others) await cluster.restart(node);
      await cluster.restart(coordinator);
      for (const list of await settlements(simulation)) expect(list).toEqual([{ transaction, outcome, version: settled.outcome === 'committed' ? settled.version : 0, at: expect.any(Number), node: expect.any(String) }]);
    });
  });

  it('stops its coordinator, with words for the operator, if that had logged the other decision', async () => {
    const failed = await simulate({}, async (simulation) => {
      const { coordinator, transaction } = await block(simulation, logged, protocol);
      const { db, cluster, sleep } = simulation;
      expect(await db.settle(transaction, 'abort')).toEqual({ outcome: 'aborted' });
      expect(await db.get('key')).not.toBe(undefined);
      await cluster.restart(coordinator);
      await sleep(10_000);
    }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(SimulationFailed);
    expect((failed as Error).message).toMatch(/fatal: n\d stopped itself: transaction n\d:\d+:\d+ is committed at \d+ here, and a client may have been told so; but \d+ s ago, by way of node n\d, an operator decided that it is aborted\..*let a new node/);
  });

  it('is committed by the operator who asks for what the coordinator had logged too, at another time perhaps', async () => {
    await simulate({}, async (simulation) => {
      const { transaction, write } = await block(simulation, logged, protocol);
      expect((await simulation.db.settle(transaction, 'commit')).outcome).toBe('committed');
      expect(await write).toBe('committed');
      expect(await simulation.db.get('key')).toBe('after');
    });
  });

  it.each([['commit', false], ['abort', true]] as const)('is taken over (%s) by a coordinator that was only cut off, unless that has decided otherwise meanwhile', async (decision, isGood) => {
    const run = simulate({}, async (simulation) => {
      const { db, cluster, sleep } = simulation;
      const [coordinator, ...others] = cluster.replicasOf('key') as [string, string, string];
      await db.set('key', 'before');
      // Votes don't reach it; it aborts.
      cluster.partition(others, [coordinator], 'one-way');
      const writer = await cluster.connect({ timeoutMs: 60_000 });
      const write = writer.set('key', 'after', { protocol, timeoutMs: 60_000 });
      let transaction: string | undefined;
      while (transaction === undefined) {
        await sleep(20);
        transaction = (await db.status({ timeoutMs: 500 })).filter(({ id }) => others.includes(id)).map((node) => transactionsOf(node).blocked.first[0]?.transaction).find((name) => name !== undefined);
      }
      expect((await db.settle(transaction, decision)).outcome).toBe(decision === 'commit' ? 'committed' : 'aborted');
      cluster.heal();
      await write;
      await sleep(5_000);
      expect(await db.get('key')).toBe('after');
    });
    if (isGood) await run;
    else await expect(run).rejects.toThrow(/is aborted here, and a client may have been told so; but .* an operator decided that it is committed at/);
  });

  it('ends the same for an operator and a coordinator that comes back at that very moment with nothing logged', async () => {
    const ends = await seeds(6, (seed) => simulate({ seed, nodes: 4 }, async (simulation) => {
      const { transaction, coordinator, others, write } = await block(simulation, unlogged, protocol);
      const { cluster, db, random, sleep } = simulation;
      const late = random.pick(others);
      if (random.chance(0.5)) cluster.partition([late], cluster.nodes.filter((node) => node !== late && node !== coordinator));
      const [settled] = await Promise.allSettled([
        sleep(random.below(20)).then(() => db.settle(transaction, random.pick(['commit', 'abort']), { timeoutMs: 5_000 })),
        sleep(random.below(20)).then(() => cluster.restart(coordinator)),
      ]);
      await cluster.calm();
      expect(await write).toBe('committed');
      expect(await db.get('key')).toBe('after');
      return settled.status;
    }));
    expect(new Set(ends.map(({ result }) => result))).toEqual(new Set(['fulfilled', 'rejected']));
  });

  it('ends the same for two operators at once, whatever they wish', async () => {
    for (const seed of [1, 2, 3, 4]) {
      await simulate({ seed }, async (simulation) => {
        const { transaction, coordinator } = await block(simulation, unlogged, protocol);
        const second = await simulation.cluster.connect();
        const both = await Promise.allSettled([simulation.db.settle(transaction, 'commit'), second.settle(transaction, 'abort')]);
        const outcomes = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value.outcome] : []));
        expect(outcomes.length).toBeGreaterThan(0);
        expect(new Set(outcomes).size).toBe(1);
        await simulation.cluster.restart(coordinator);
      });
    }
  });
});

describe('an operator is refused', () => {
  const refusal = (settling: Promise<unknown>) => settling.then(() => 'done', (error: unknown) => error as DtpError);

  it('for what nobody knows, what is decided, and what is no name', async () => {
    await simulate({}, async ({ db }) => {
      await db.set('key', 1);
      const { incarnation } = (await db.status()).find(({ id }) => id === 'n1') as { incarnation?: unknown };
      const name = `n1:${String(incarnation)}:99999`;
      expect(await refusal(db.settle(name, 'abort'))).toMatchObject({ code: 'not-blocked', message: expect.stringContaining(`node n2: ${name}: this node has no record of it.`) });
      await expect(db.settle('nonsense', 'abort')).rejects.toMatchObject({ code: 'invalid-argument' });
      await expect(db.settle('n1:1:1', 'perhaps' as 'abort')).rejects.toMatchObject({ code: 'invalid-argument' });
    });
  });

  it('for what it decided before, and is told how', async () => {
    await simulate({}, async (simulation) => {
      const { transaction } = await block(simulation, unlogged, '2pc');
      await simulation.db.settle(transaction, 'abort');
      expect(await refusal(simulation.db.settle(transaction, 'commit'))).toMatchObject({ code: 'not-blocked', message: expect.stringContaining(`${transaction}: it is aborted.`) });
    });
  });

  it('a commit for which no majority voted, and no abort', async () => {
    await simulate({}, async (simulation) => {
      const { cluster, db, sleep } = simulation;
      const [coordinator, first, second] = cluster.replicasOf('key') as [string, string, string];
      cluster.partition([coordinator], [second], 'one-way');
      const dead = cluster.crashAt(coordinator, 'receive vote');
      const writer = await cluster.connect({ timeoutMs: 60_000 });
      void writer.set('key', 'after', { protocol: '2pc' }).catch(() => {});
      await dead;
      let transaction: string | undefined;
      while (transaction === undefined) {
        transaction = (await db.status({ timeoutMs: 500 })).filter(({ id, reachable }) => id === first && reachable).map(transactionsOf)[0]?.blocked.first[0]?.transaction;
        await sleep(20);
      }
      expect(await refusal(db.settle(transaction, 'commit'))).toMatchObject({ code: 'invalid-argument', message: expect.stringMatching(/1 voted OK, and 2 would be needed/) });
      expect(await db.settle(transaction, 'abort')).toEqual({ outcome: 'aborted' });
    });
  });

  it('where too few replicas are up to know the votes of a majority', async () => {
    await simulate({}, async (simulation) => {
      const { transaction, others } = await block(simulation, unlogged, '2pc');
      const { cluster, db, sleep } = simulation;
      cluster.crash(others[1] as string);
      await sleep(5_000);
      expect(await refusal(db.settle(transaction, 'abort'))).toMatchObject({ code: 'unavailable', message: expect.stringContaining('also an operator needs a majority') });
    });
  });

  it.each(['dtp', '3pc'] as const)('%s, which waits for no coordinator', async (protocol) => {
    await simulate({}, async ({ db, cluster, now }) => {
      const [coordinator] = cluster.replicasOf('key') as [string];
      const dead = cluster.crashAt(coordinator, unlogged);
      const write = db.set('key', 1, { protocol });
      await dead;
      const deadMs = now();
      await write;
      expect(now() - deadMs).toBeLessThan(10_000);
      for (const node of await db.status({ timeoutMs: 500 })) if (node.reachable) expect(transactionsOf(node).blocked.count).toBe(0);
    });
  });
});
