/** Where the simulation's clients go, and what they ask for late. */
import { expect, it } from 'vitest';
import { SimCluster } from '../../sim/cluster.ts';
import type { Client } from '../../sim/client.ts';
import { goodDay } from '../../sim/plan/conditions.ts';
import { Random } from '../../sim/random.ts';
import type { Routing } from '../../sim/wilful.ts';
import { World } from '../../sim/world.ts';

const clients = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6'];

/** Runs this at each of some clients of a cluster of three nodes to its end. */
async function atClients(names: readonly string[], routing: Routing, main: (client: Client) => Promise<void>): Promise<readonly string[]> {
  const world = new World({ seed: routing });
  const cluster = new SimCluster(world, { nodes: 3, replicationFactor: 3, partitions: 4, timing: {}, store: {} }, goodDay);
  for (const id of cluster.ids) cluster.start(id);
  while (cluster.nodes.size < 3) await world.runFor(50);
  for (const name of names) cluster.addClient(name, { random: new Random(`${routing} ${name}`), hasty: false, routing }, main);
  while (!cluster.clientsDone && cluster.failures.length === 0) await world.runFor(50);
  return cluster.failures;
}

/** By client, the nodes that coordinated what it wrote. */
async function coordinatorsOf(routing: Routing): Promise<string[][]> {
  const coordinators = new Map<string, Set<string>>();
  const failures = await atClients(clients, routing, async ({ db, name }) => {
    const own = new Set<string>();
    coordinators.set(name, own);
    for (let i = 0; i < 20; i++) own.add((await db.set([name, i], i)).transaction.split(':')[0] as string);
  });
  expect(failures).toEqual([]);
  return [...coordinators.values()].map((own) => [...own].sort());
}

it('those who are led all go to one node', async () => {
  const coordinators = await coordinatorsOf('led');
  expect(coordinators.every(([first, ...others]) => first === coordinators[0]?.[0] && others.length === 0)).toBe(true);
});

it('those who have an order of their own each keep to one node, not all to the same', async () => {
  const coordinators = await coordinatorsOf('own');
  expect(coordinators.every(({ length }) => length === 1)).toBe(true);
  expect(new Set(coordinators.flat()).size).toBeGreaterThan(1);
});

it('those who choose each time go everywhere', async () => {
  expect(await coordinatorsOf('any')).toEqual(clients.map(() => ['n1', 'n2', 'n3']));
});

it('who asks late for what is committed is told so, and it is found out where that is denied', async () => {
  const failures = await atClients(['c1'], 'led', async ({ db, sleep, askLate }) => {
    const { transaction } = await db.set('key', 1);
    await sleep(5_000);
    const committed = { name: transaction, written: ['key'], read: [] };
    await askLate(committed);
    const [node, incarnation, number] = transaction.split(':');
    await askLate({ ...committed, name: `${node}:${incarnation}:${Number(number) + 1}` });
  });
  expect(failures).toEqual([expect.stringMatching(/^client-failed: c1: Error: n\d says that n\d:\d+:\d+ was aborted, which is committed/)]);
});
