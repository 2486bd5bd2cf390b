/** How a program learns its transactions' names, and what it gets for them from the nodes, some of which are silent. */
import { describe, expect, it } from 'vitest';
import type { Transaction } from '../../../client/index.ts';
import { EventKind } from '../../../client/wire/events.ts';
import { AbortReason, Tag } from '../../../client/wire/messages.ts';
import { FakeCluster } from './fake-cluster.ts';

const lastCommit = (cluster: FakeCluster): string => {
  const { node, message } = cluster.received(Tag.commit).at(-1) as ReturnType<typeof cluster.received<typeof Tag.commit>>[number];
  return `${node.id}:${node.incarnation}:${message[3]}`;
};

describe('a transaction’s name', () => {
  it('comes with what a write resolves to', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    expect((await cluster.world.settle(db.set('k', 1))).transaction).toBe(lastCommit(cluster));
    expect((await cluster.world.settle(db.delete('k'))).transaction).toBe(lastCommit(cluster));
  });

  it('is each attempt’s own, and there when it was sent', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    let aborts = 1;
    for (const node of cluster.nodes) {
      node.script = (message, session) => {
        if (message[0] !== Tag.commit || aborts-- <= 0) return false;
        session.send([Tag.aborted, message[1], AbortReason.conflict, null, null, 0, null]);
        return true;
      };
    }
    const attempts: Transaction[] = [];
    await cluster.world.settle(db.transaction((tx) => {
      expect(tx.name).toBeUndefined();
      attempts.push(tx);
      tx.set('k', 1);
    }));
    const sent = cluster.received(Tag.commit).map(({ node, message }) => `${node.id}:${node.incarnation}:${message[3]}`);
    expect(sent).toHaveLength(2);
    expect(attempts.map((tx) => tx.name)).toEqual(sent);
  });

  it('is in the details of a conflict and of an unknown outcome', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    for (const node of cluster.nodes) {
      node.script = (message, session) => {
        if (message[0] === Tag.commit) session.send([Tag.aborted, message[1], AbortReason.conflict, null, null, 0, null]);
        return message[0] === Tag.commit;
      };
    }
    expect(await cluster.world.failure(db.transaction((tx) => tx.set('k', 1), { maxAttempts: 2 }))).toMatchObject({ code: 'conflict', details: { transaction: lastCommit(cluster) } });
    for (const node of cluster.nodes) node.script = (message) => message[0] === Tag.commit;
    expect(await cluster.world.failure(db.set('k', 1, { timeoutMs: 100 }))).toMatchObject({ code: 'outcome-unknown', details: { transaction: lastCommit(cluster) } });
    expect(await cluster.world.failure(db.transaction((tx) => tx.set('k', 1), { timeoutMs: 100 }))).toMatchObject({ code: 'outcome-unknown', details: { transaction: lastCommit(cluster) } });
  });
});

describe('explain and recent', () => {
  it('ask every node, and tell which did not answer', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const [first, second, third] = cluster.nodes as [FakeCluster['nodes'][number], FakeCluster['nodes'][number], FakeCluster['nodes'][number]];
    for (const node of [first, second]) {
      node.script = (message, session) => {
        if (message[0] === Tag.explain) session.send([Tag.explained, message[1], [message[2], message[3], message[4], EventKind.applied, 0, 1_000, null, 0, 7, null, null]]);
        else if (message[0] === Tag.recent) session.send([Tag.explained, message[1], ['n1', 2, 3, EventKind.applied, 0, 1_000, null, 0, 7, null, null]]);
        else return false;
        return true;
      };
    }
    third.kill();
    await cluster.world.pass(10);
    const story = await cluster.world.settle(db.explain('n1:2:3'));
    expect(story).toMatchObject({ transaction: 'n1:2:3', outcome: 'committed', version: 7 });
    expect(story.events.map(({ node, what }) => [node, what])).toEqual([[first.id, 'applied'], [second.id, 'applied']]);
    expect(story.nodes.map(({ node, silent }) => [node, silent === undefined])).toEqual([[first.id, true], [second.id, true], [third.id, false]]);
    expect(await cluster.world.settle(db.recent(5))).toEqual([{ transaction: 'n1:2:3', outcome: 'committed', version: 7, atMs: 1_000 }]);
  });

  it.each(['', 'n1', 'n1:2:x'])('refuse %j before anything is sent', async (name) => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    expect(await cluster.world.failure(db.explain(name))).toMatchObject({ code: 'invalid-argument' });
    expect(cluster.received(Tag.explain)).toEqual([]);
  });

  it.each([0, 501, 1.5])('%d is no number of transactions', async (count) => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    expect(await cluster.world.failure(db.recent(count))).toMatchObject({ code: 'invalid-argument' });
  });
});
