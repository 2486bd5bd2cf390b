/** What a transaction costs under each protocol, counted by the nodes of a simulated cluster and compared with the design, to the last message. */
import { describe, expect, it } from 'vitest';
import type { CommitProtocol, Database } from '../../client/index.ts';
import { commitProtocols } from '../../client/wire/protocols.ts';
import { costOf, messagesOf, type Group } from '../../bench/protocol-costs.ts';
import { countersAtRest, difference, differencesFromDesign, messagesIn, type Counters } from '../../bench/protocol-counters.ts';
import { simulate, type Simulation } from '../sim/testing.ts';

const atRest = ({ db, sleep }: Simulation): Promise<Counters> => countersAtRest(() => db.status(), () => sleep(10));

/** What the work costs the nodes, until all of it is finished. */
async function costOfWork(simulation: Simulation, work: (db: Database) => Promise<unknown>): Promise<Counters> {
  const before = await atRest(simulation);
  await work(simulation.db);
  return difference(await atRest(simulation), before);
}

const commits = ({ fastCommits, slowCommits, aborts }: Counters) => ({ fastCommits, slowCommits, aborts });
const three: Group = { replicas: 3, coordinatorIsReplica: true };

describe.each(commitProtocols)('%s', (protocol) => {
  const path = protocol === 'dtp' ? 'fast' : 'slow';
  const one = path === 'fast' ? { fastCommits: 1, slowCommits: 0, aborts: 0 } : { fastCommits: 0, slowCommits: 1, aborts: 0 };

  it('sends the messages and forces the writes that the design says, on three nodes', async () => {
    await simulate({ nodes: 3 }, async (simulation) => {
      const cost = await costOfWork(simulation, (db) => db.set('key', 1, { protocol }));
      expect(commits(cost)).toEqual(one);
      expect(cost).toMatchObject({ ...costOf(protocol, three, path) });
      expect(messagesIn(cost)).toBe(messagesOf(costOf(protocol, three, path)));
      expect(differencesFromDesign(protocol, three, cost)).toEqual([]);
    });
  });

  it('the same for a transaction over several keys whose replicas are the same nodes', async () => {
    await simulate({ nodes: 3 }, async (simulation) => {
      const cost = await costOfWork(simulation, (db) => db.transaction(async (tx) => {
        const value = await tx.get<number | undefined>('a');
        for (const key of ['a', 'b', 'c', 'd']) tx.set(key, (value ?? 0) + 1);
      }, { protocol }));
      expect(commits(cost)).toEqual(one);
      expect(differencesFromDesign(protocol, three, cost)).toEqual([]);
    });
  });

  it('the same for one replica and for five', async () => {
    for (const replicas of [1, 5]) {
      await simulate({ nodes: 5, replicationFactor: replicas }, async (simulation) => {
        const cost = await costOfWork(simulation, (db) => db.set('key', 1, { protocol }));
        expect(differencesFromDesign(protocol, { replicas, coordinatorIsReplica: true }, cost)).toEqual([]);
        expect(commits(cost)).toEqual(one);
      });
    }
  });

  it('the same, once, for many that come at once: they are committed as one', async () => {
    await simulate({ nodes: 3 }, async (simulation) => {
      const cost = await costOfWork(simulation, (db) => Promise.all(Array.from({ length: 50 }, (_, i) => db.set(['key', i], i, { protocol }))));
      expect(commits(cost)).toEqual(one);
      expect(differencesFromDesign(protocol, three, cost)).toEqual([]);
    });
  });
});

describe('what differs from the design is told', () => {
  it('when DTP loses its fast path, all that it costs more is as designed', async () => {
    await simulate({ nodes: 3 }, async (simulation) => {
      const [coordinator, , last] = simulation.cluster.replicasOf('key') as [string, string, string];
      const { heal } = simulation.cluster.partition([last], [coordinator]);
      const cost = await costOfWork(simulation, async (db) => {
        await db.set('key', 1, { protocol: 'dtp' });
        heal();
        await simulation.cluster.calm();
      });
      expect(cost.slowCommits).toBe(1);
      expect(differencesFromDesign('dtp', three, cost)).toEqual([]);
    });
  });

  it.each<[CommitProtocol, Partial<Counters>, string]>([
    ['dtp', { forcedWrites: 4 }, '4 forcedWrites where 3 were expected'],
    ['dtp', { prepare: 3 }, '3 prepare where 2 were expected'],
    ['dtp', { decided: 3 }, '3 messages for 2 acknowledgements'],
    ['dtp', { recovery: 1 }, '1 messages of recoveries'],
  ])('%s with %j', (protocol, wrong, fault) => {
    const right: Counters = { ...costOf(protocol, three, 'fast'), decided: 2, recovery: 0, fastCommits: 1, slowCommits: 0, aborts: 0, peersLost: 0, flushes: 3 };
    expect(differencesFromDesign(protocol, three, right)).toEqual([]);
    expect(differencesFromDesign(protocol, three, { ...right, ...wrong })).toEqual([fault]);
  });
});
