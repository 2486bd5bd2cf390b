import { describe, expect, it } from 'vitest';
import { TransactionOutcomeUnknown } from '../../../client/index.ts';
import { encodeKey } from '../../../client/keys.ts';
import { Tag } from '../../../client/wire/messages.ts';
import { FakeCluster, type FakeNode } from './fake-cluster.ts';

const key = encodeKey('k');
/** The one to which the commit goes, and the others in the order in which they are asked what became of it. */
const replicas = (cluster: FakeCluster): [FakeNode, FakeNode, FakeNode] => cluster.coordinatorsOf(key) as [FakeNode, FakeNode, FakeNode];

/** The coordinator takes the commit, decides it (or not), and dies without a word. */
function dieOnCommit(node: FakeNode, how: 'kill' | 'silence', decides: boolean): void {
  node.script = (message) => {
    if (message[0] !== Tag.commit) return false;
    if (decides) node.decide(message[3], message[8]);
    node[how]();
    return true;
  };
}

describe('transaction numbers', () => {
  it('are drawn in order from what the node granted, and none is used twice', async () => {
    const cluster = new FakeCluster(1);
    cluster.nodes[0]!.grantSize = 10_000;
    const db = await cluster.connect();
    await cluster.world.settle(Promise.all(Array.from({ length: 500 }, (_, i) => db.set(['k', i], i))));
    const numbers = cluster.received(Tag.commit).map(({ message }) => message[3]);
    expect(numbers).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  });

  it('are waited for when the grant is used up', async () => {
    const cluster = new FakeCluster(1);
    const [node] = cluster.nodes as [FakeNode];
    node.grantSize = 2;
    const db = await cluster.connect();
    const writes = Promise.all([1, 2, 3, 4, 5].map((i) => db.set(['k', i], i)));
    await cluster.world.pass(20);
    expect(cluster.received(Tag.commit)).toHaveLength(2);
    for (const session of node.sessions) node.grant(session);
    await cluster.world.pass(20);
    expect(cluster.received(Tag.commit)).toHaveLength(4);
    for (const session of node.sessions) node.grant(session);
    await cluster.world.settle(writes);
    expect(cluster.received(Tag.commit).map(({ message }) => message[3])).toEqual([1, 2, 3, 4, 5]);
  });

  it('are waited for no longer than the deadline, and then nothing was written', async () => {
    const cluster = new FakeCluster(1);
    cluster.nodes[0]!.grantSize = 0;
    const db = await cluster.connect();
    expect(await cluster.world.failure(db.set('k', 1, { timeoutMs: 200 }))).toMatchObject({ code: 'deadline-exceeded', definite: true });
    expect(cluster.received(Tag.commit)).toEqual([]);
  });

  it('of an earlier grant are not used once there is a new one', async () => {
    const cluster = new FakeCluster(1);
    const [node] = cluster.nodes as [FakeNode];
    node.grantSize = 100;
    const db = await cluster.connect();
    for (const session of node.sessions) node.grant(session);
    const early = db.set('k', 1); // Sent before the new grant arrives: void, so it is sent again.
    await cluster.world.settle(early);
    expect(cluster.received(Tag.commit).map(({ message }) => message[3])).toEqual([1, 101]);
  });

  it('are sought at another node when the one that owes them is gone', async () => {
    const cluster = new FakeCluster();
    const [first, second] = cluster.coordinatorsOf(key) as [FakeNode, FakeNode];
    first.grantSize = 0;
    const db = await cluster.connect();
    const writing = db.set('k', 1);
    await cluster.world.pass(5);
    first.kill();
    await cluster.world.settle(writing);
    expect(cluster.received(Tag.commit).map(({ node }) => node)).toEqual([second]);
    expect(cluster.received(Tag.resolve)).toEqual([]);
  });
});

describe('a commit whose coordinator is lost', () => {
  it.each(['kill', 'silence'] as const)('is asked for elsewhere by name, and was committed (%s)', async (how) => {
    const cluster = new FakeCluster();
    const [first, second] = replicas(cluster);
    const db = await cluster.connect();
    dieOnCommit(first, how, true);
    const { version } = await cluster.world.settle(db.set('k', 1));
    expect(version).toBe(cluster.read(key).version);
    expect(cluster.received(Tag.commit)).toHaveLength(1);
    const [resolve] = cluster.received(Tag.resolve);
    expect(resolve?.node).toBe(second);
    expect(resolve?.message.slice(3)).toEqual([first.id, 1, 1, 1, [cluster.placement.partitionOf(key)]]);
  });

  it('is sent again, under a new name, when it turns out to be aborted', async () => {
    const cluster = new FakeCluster();
    const [first, asked] = replicas(cluster);
    const db = await cluster.connect();
    dieOnCommit(first, 'kill', false);
    await cluster.world.settle(db.set('k', 1));
    const next = cluster.coordinatorsOf(key)[1];
    expect(cluster.log.map(({ node, message }) => [node, message[0]])).toEqual([[first, Tag.commit], [asked, Tag.resolve], [next, Tag.commit]]);
  });

  it('is asked for again and again, at one node after another, until somebody knows', async () => {
    const cluster = new FakeCluster();
    const [first, second, third] = replicas(cluster);
    const db = await cluster.connect();
    dieOnCommit(first, 'kill', true);
    let asked = 0;
    for (const node of [second, third]) {
      node.script = (message, session) => {
        if (message[0] !== Tag.resolve || ++asked > 5) return false;
        session.send([Tag.failed, message[1], 'unavailable', 'no majority']);
        return true;
      };
    }
    await cluster.world.settle(db.set('k', 1));
    expect(cluster.received(Tag.resolve).map(({ node }) => node)).toEqual([second, third, second, third, second, third]);
    expect(cluster.received(Tag.commit)).toHaveLength(1);
  });

  it('is asked for at the next node when one takes more than a second or so', async () => {
    const cluster = new FakeCluster();
    const [first, second, third] = replicas(cluster);
    const db = await cluster.connect();
    dieOnCommit(first, 'kill', true);
    second.script = (message) => message[0] === Tag.resolve;
    const beganMs = cluster.world.nowMs;
    await cluster.world.settle(db.set('k', 1));
    expect(cluster.world.nowMs - beganMs).toBeLessThan(1_500);
    expect(cluster.received(Tag.resolve).map(({ node }) => node)).toEqual([second, third]);
  });

  it('goes on asking when the node that was asked dies too', async () => {
    const cluster = new FakeCluster();
    const [first, second, third] = replicas(cluster);
    const db = await cluster.connect();
    dieOnCommit(first, 'kill', true);
    second.script = (message) => {
      if (message[0] !== Tag.resolve) return false;
      second.kill();
      return true;
    };
    await cluster.world.settle(db.set('k', 1));
    expect(cluster.received(Tag.resolve).map(({ node }) => node)).toEqual([second, third]);
  });

  it('is unknown when nobody knows by the deadline, and is never sent twice', async () => {
    const cluster = new FakeCluster();
    const [first, second, third] = replicas(cluster);
    const db = await cluster.connect();
    dieOnCommit(first, 'kill', true);
    for (const node of [second, third]) node.script = (message) => message[0] === Tag.resolve;
    const beganMs = cluster.world.nowMs;
    const error = await cluster.world.failure(db.set('k', 1, { timeoutMs: 3_000 }));
    expect(error).toBeInstanceOf(TransactionOutcomeUnknown);
    expect(error).toMatchObject({ code: 'outcome-unknown', definite: false, details: { key: 'k' } });
    expect(cluster.world.nowMs - beganMs).toBeLessThan(3_040);
    expect(cluster.received(Tag.commit)).toHaveLength(1);
  });

  it('may be the coordinator’s to tell, when it is back and nobody else is there', async () => {
    const cluster = new FakeCluster();
    const [first, second, third] = replicas(cluster);
    const db = await cluster.connect();
    second.kill();
    third.kill();
    dieOnCommit(first, 'kill', true);
    const writing = db.set('k', 1);
    await cluster.world.pass(50);
    first.script = () => false;
    first.start();
    await cluster.world.settle(writing);
    expect(cluster.received(Tag.resolve).map(({ node, message }) => [node, message[4]])).toEqual([[first, 1]]);
  });
});

describe('a commit of which the coordinator itself says that the outcome is unknown', () => {
  it.each(['outcome-unknown', 'a-code-of-the-future'])('is asked for at another node (%s)', async (code) => {
    const cluster = new FakeCluster();
    const [first, second] = replicas(cluster);
    const db = await cluster.connect();
    first.script = (message, session) => {
      if (message[0] !== Tag.commit) return false;
      first.decide(message[3], message[8]);
      session.send([Tag.failed, message[1], code, 'who knows']);
      return true;
    };
    await cluster.world.settle(db.set('k', 1));
    expect(cluster.log.map(({ node, message }) => [node, message[0]])).toEqual([[first, Tag.commit], [second, Tag.resolve]]);
  });
});
