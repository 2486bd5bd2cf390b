import { describe, expect, it } from 'vitest';
import { DtpError } from '../../../client/index.ts';
import { Tag } from '../../../client/wire/messages.ts';
import { FakeCluster } from './fake-cluster.ts';

const codeOf = (error: unknown): string => (error instanceof DtpError ? error.code : `no DtpError: ${String(error)}`);

describe('connect', () => {
  it('learns the other nodes from one, and opens one session with each', async () => {
    const cluster = new FakeCluster();
    await cluster.connect();
    expect(cluster.nodes.map((node) => node.sessions.size)).toEqual([1, 1, 1]);
  });

  it('takes an address that turns out to be a member under another name for that member', async () => {
    const cluster = new FakeCluster();
    cluster.nodes[0]?.start('ws://alias:1');
    cluster.nodes[1]?.start('ws://alias:2');
    const db = await cluster.connect({ nodes: ['ws://alias:1', 'ws://alias:2'] });
    await cluster.world.settle(db.set('k', 1));
    await cluster.world.pass(1_000);
    expect(cluster.nodes.map((node) => node.sessions.size)).toEqual([1, 1, 1]);
  });

  it('does without nodes that are down, and finds them when they are back', async () => {
    const cluster = new FakeCluster();
    cluster.nodes[0]?.kill();
    cluster.nodes[2]?.kill();
    const db = await cluster.connect({ nodes: cluster.view.members.map(({ url }) => url) });
    await cluster.world.settle(db.set('k', 1));
    cluster.nodes[2]?.start();
    await cluster.world.until(() => cluster.nodes[2]?.sessions.size === 1, 5_000);
  });

  it('does not wait long for a node that neither answers nor refuses', async () => {
    const cluster = new FakeCluster();
    const third = cluster.nodes[2];
    cluster.world.listen(third?.url ?? '', () => {});
    const beganMs = cluster.world.nowMs;
    await cluster.connect();
    expect(cluster.world.nowMs - beganMs).toBeLessThan(500);
  });

  it('says which nodes did not answer and why, when the time is up', async () => {
    const cluster = new FakeCluster();
    for (const node of cluster.nodes) node.kill();
    const beganMs = cluster.world.nowMs;
    const error = await cluster.world.failure(cluster.connecting({ nodes: ['ws://10.0.0.1:7101', 'ws://10.0.0.2:7101'], connectTimeoutMs: 700 }));
    expect(error).toMatchObject({ code: 'unreachable', details: { nodes: { 'ws://10.0.0.1:7101': 'connection refused', 'ws://10.0.0.2:7101': 'connection refused' } } });
    expect(cluster.world.nowMs - beganMs).toBeGreaterThanOrEqual(700);
    expect(cluster.world.nowMs - beganMs).toBeLessThan(800);
    await cluster.world.pass(10_000);
    expect(cluster.world.pendingEvents).toBe(0);
  });

  it('rejects at once if the nodes are of another cluster', async () => {
    const cluster = new FakeCluster();
    const beganMs = cluster.world.nowMs;
    const error = await cluster.world.failure(cluster.connecting({ cluster: 'ours' }));
    expect(codeOf(error)).toBe('wrong-cluster');
    expect((error as Error).message).toContain('ws://10.0.0.1:7101');
    expect(cluster.world.nowMs - beganMs).toBeLessThan(100);
  });

  it('never takes a node for another one', async () => {
    const cluster = new FakeCluster();
    const second = cluster.node('n2');
    const greet = second.greet;
    second.greet = (name) => {
      const welcome = greet(name, null);
      return welcome[0] === Tag.welcome ? [...welcome.slice(0, 3), 'n9', ...welcome.slice(4)] as typeof welcome : welcome;
    };
    const db = await cluster.connect();
    const status = await cluster.world.settle(db.status());
    expect(status.map(({ id, reachable }) => [id, reachable])).toEqual([['n1', true], ['n2', false], ['n3', true]]);
    expect(status[1]?.reason).toContain('n9');
  });

  it.each([
    [{ nodes: [] }, 'nodes'],
    [{ nodes: ['http://10.0.0.1:7101'] }, 'nodes'],
    [{ nodes: ['10.0.0.1:7101'] }, 'nodes'],
    [{ connectTimeoutMs: 0 }, 'connectTimeoutMs'],
    [{ timeoutMs: 60_001 }, 'timeoutMs'],
    [{ timeoutMs: 1.5 }, 'timeoutMs'],
    [{ maxAttempts: -1 }, 'maxAttempts'],
    [{ cacheBytes: -1 }, 'cacheBytes'],
    [{ cluster: '' }, 'cluster'],
    [{ timeoutMS: 5 } as object, 'timeoutMS'],
  ])('refuses %j and names the option', async (options, name) => {
    const error = await new FakeCluster().connecting(options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'invalid-argument', details: { argument: name } });
  });

  it('lists the commit protocols there are', async () => {
    const error = await new FakeCluster().connecting({ protocol: 'paxos' as 'dtp' }).catch((reason: unknown) => reason);
    expect(codeOf(error)).toBe('unknown-protocol');
    expect((error as Error).message).toContain('dtp');
  });
});

describe('status', () => {
  it('has an answer of every node, and a reason for those that have none', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    cluster.node('n2').kill();
    await cluster.world.pass(100);
    cluster.node('n3').script = (message) => message[0] === Tag.status;
    const status = await cluster.world.settle(db.status({ timeoutMs: 300 }));
    expect(status).toEqual([
      { id: 'n1', url: 'ws://10.0.0.1:7101', reachable: true, epoch: 1, inFlight: 0 },
      { id: 'n2', url: 'ws://10.0.0.2:7101', reachable: false, reason: 'connection refused' },
      { id: 'n3', url: 'ws://10.0.0.3:7101', reachable: false, reason: 'no answer within 300 ms' },
    ]);
  });
});

describe('close', () => {
  it('leaves neither a timer nor a connection', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    await cluster.world.settle(db.set('k', 1));
    cluster.nodes[1]?.kill();
    await cluster.world.pass(300); // The link to n2 is between two attempts.
    await cluster.world.settle(db.close());
    await cluster.world.settle(db.close());
    await cluster.world.pass(100);
    expect(cluster.world.openEnds).toBe(0);
    expect(cluster.world.pendingEvents).toBe(0);
  });

  it('ends what is under way: closed, or unknown where a commit was sent', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    for (const node of cluster.nodes) node.script = () => true;
    const reading = db.get('k');
    const writing = db.set('k', 1);
    const working = db.transaction(() => new Promise(() => {}));
    const outcomes = Promise.all([reading, writing, working].map((promise: Promise<unknown>) => promise.catch(codeOf)));
    await cluster.world.pass(5);
    await cluster.world.settle(db.close());
    expect(await cluster.world.settle(outcomes)).toEqual(['closed', 'outcome-unknown', 'closed']);
    expect(codeOf(await cluster.world.failure(db.get('k')))).toBe('closed');
    expect(codeOf(await cluster.world.failure(db.transaction(() => 1)))).toBe('closed');
    await cluster.world.pass(100);
    expect(cluster.world.pendingEvents).toBe(0);
  });

  it('is what `await using` does', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    await cluster.world.settle(db[Symbol.asyncDispose]());
    expect(codeOf(await cluster.world.failure(db.get('k')))).toBe('closed');
  });
});

describe('a view that changes', () => {
  it('is fetched when a node says so, and the call goes on', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const [first, second] = cluster.view.members;
    cluster.node('n3').kill();
    cluster.changeView({ members: cluster.view.members.slice(0, 2), replicationFactor: 2 });
    const { version } = await cluster.world.settle(db.set('k', 1));
    expect(version).toBeGreaterThan(0);
    const commits = cluster.received(Tag.commit);
    expect(commits.map(({ message }) => message[4])).toContain(2);
    expect((await cluster.world.settle(db.status())).map(({ id }) => id)).toEqual([first?.id, second?.id]);
  });
});
