/** Where commits go once nodes have told where the likes of them meet. */
import { describe, expect, it } from 'vitest';
import type { Database } from '../../../client/index.ts';
import { encodeKey } from '../../../client/keys.ts';
import { leadTtlMs } from '../../../client/wire/leads.ts';
import { AbortReason, Tag } from '../../../client/wire/messages.ts';
import { FakeCluster, type FakeNode } from './fake-cluster.ts';

interface Stage {
  readonly cluster: FakeCluster;
  readonly db: Database;
  readonly key: string;
  /** The replicas of the key's own partition, and of one that is coordinated by a node that is none of those, each in the order of coordination; `lead` is that partition. */
  readonly own: readonly FakeNode[];
  readonly leaders: readonly FakeNode[];
  readonly lead: number;
}

async function stage(): Promise<Stage> {
  const cluster = new FakeCluster(5, 3);
  const key = 'k';
  const own = cluster.coordinatorsOf(encodeKey(key));
  const groups = Array.from({ length: cluster.view.partitions }, (_, partition) => cluster.placement.coordinatorsOf(partition));
  const lead = groups.findIndex(([first]) => !own.some(({ id }) => id === first));
  const leaders = (groups[lead] as readonly string[]).map((id) => cluster.node(id));
  return { cluster, db: await cluster.connect(), key, own, leaders, lead };
}

/** Any node may say so, unasked. */
async function tell({ cluster, lead, key }: Stage, partition = lead): Promise<void> {
  for (const session of cluster.nodes[1]!.sessions) session.send([Tag.lead, [encodeKey(key)], partition]);
  await cluster.world.pass(5);
}

const wentTo = ({ cluster }: Stage): string[] => cluster.received(Tag.commit).map(({ node }) => node.id);

describe('a commit on a key that a partition leads', () => {
  it('goes to the coordinator of that partition, whatever it does with the key, for as long as that is known', async () => {
    const scene = await stage();
    const { cluster: { world }, db, key, own, leaders } = scene;
    await world.settle(db.set(key, 1));
    await tell(scene);
    await world.settle(db.set(key, 2));
    await world.settle(db.transaction(async (tx) => tx.set('other', (await tx.get<number>(key)) + 1)));
    const operation = db.transaction((tx) => tx.add(key, 1));
    await world.settle(operation);
    await world.settle(db.getMany([key]));
    await world.settle(db.set('other', 3));
    await world.pass(leadTtlMs);
    await world.settle(db.set(key, 4));
    const leader = leaders[0]!.id;
    const otherHome = scene.cluster.coordinatorsOf(encodeKey('other'))[0]!.id;
    expect(wentTo(scene)).toEqual([own[0]!.id, leader, leader, leader, leader, otherHome, own[0]!.id]);
  });

  it('goes to the next replica of that partition when its coordinator is away', async () => {
    const scene = await stage();
    const { cluster: { world }, db, key, leaders } = scene;
    await tell(scene);
    leaders[0]!.kill();
    await world.pass(50);
    await world.settle(db.set(key, 1));
    expect(wentTo(scene)).toEqual([leaders[1]!.id]);
  });

  it('goes home when the leader turns it down', async () => {
    const scene = await stage();
    const { cluster: { world }, db, key, own, leaders } = scene;
    await tell(scene);
    leaders[0]!.script = (message, session) => {
      if (message[0] === Tag.commit) session.send([Tag.failed, message[1], 'unavailable', 'this disk takes no writes']);
      return message[0] === Tag.commit;
    };
    await world.settle(db.set(key, 1));
    expect(wentTo(scene)).toEqual([leaders[0]!.id, own[0]!.id]);
  });

  it('goes where its turn is', async () => {
    const scene = await stage();
    const { cluster: { world }, db, key, own, leaders, lead } = scene;
    own[0]!.script = (message, session) => {
      if (message[0] !== Tag.commit || message[6] !== 0) return false;
      session.send([Tag.lead, [encodeKey(key)], lead]);
      session.send([Tag.aborted, message[1], AbortReason.stale, encodeKey(key), null, 9, [encodeKey(key), 0, null]]);
      return true;
    };
    const increment = (): Promise<void> => db.transaction(async (tx) => tx.set(key, ((await tx.get<number | undefined>(key)) ?? 0) + 1));
    await world.settle(increment());
    await world.settle(increment());
    expect(wentTo(scene)).toEqual([own[0]!.id, own[0]!.id, leaders[0]!.id]);
    expect(await world.settle(db.get(key))).toBe(2);
  });

  it('goes home if there is no such partition', async () => {
    const scene = await stage();
    const { cluster, db, key, own } = scene;
    await tell(scene, cluster.view.partitions);
    await cluster.world.settle(db.set(key, 1));
    expect(wentTo(scene)).toEqual([own[0]!.id]);
  });
});
