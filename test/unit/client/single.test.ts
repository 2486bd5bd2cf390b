import { describe, expect, it } from 'vitest';
import { TransactionOutcomeUnknown } from '../../../client/index.ts';
import { encodeKey } from '../../../client/keys.ts';
import { limits } from '../../../client/wire/limits.ts';
import { AbortReason, Tag } from '../../../client/wire/messages.ts';
import { encodeValue } from '../../../client/wire/values.ts';
import { FakeCluster, type Script } from './fake-cluster.ts';

const fails = (code: string, onlyOn: number = Tag.commit): Script => (message, session) => {
  if (message[0] !== onlyOn) return false;
  session.send([Tag.failed, message[1] as number, code, 'because']);
  return true;
};

describe('get, entry, set, delete', () => {
  it('give back what was set, and tell absent, undefined and null apart', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const value = { balance: 100n, opened: new Date(5), tags: new Set(['a']), bytes: new Uint8Array([1]) };
    const { version } = await world.settle(db.set(['account', 'alice'], value));
    expect(await world.settle(db.get(['account', 'alice']))).toEqual(value);
    expect(await world.settle(db.entry(['account', 'alice']))).toEqual({ value, version });

    expect(await world.settle(db.get('none'))).toBeUndefined();
    expect(await world.settle(db.entry('none'))).toBeUndefined();
    const stored = await world.settle(db.set('none', undefined));
    expect(await world.settle(db.get('none'))).toBeUndefined();
    expect(await world.settle(db.entry('none'))).toEqual({ value: undefined, version: stored.version });
    await world.settle(db.set('none', null));
    expect(await world.settle(db.get('none'))).toBeNull();

    expect((await world.settle(db.delete('none'))).version).toBeGreaterThan(stored.version);
    expect(await world.settle(db.entry('none'))).toBeUndefined();
  });

  it('go to the first replica if they read, to the coordinator if they write, and to the next when that is gone', async () => {
    const cluster = new FakeCluster(5, 3);
    const { world } = cluster;
    const db = await cluster.connect();
    const key = Array.from({ length: 50 }, (_, i) => `k${i}`).find((each) => cluster.replicasOf(encodeKey(each))[0] !== cluster.coordinatorsOf(encodeKey(each))[0]) as string;
    const wentTo = async (value: number): Promise<unknown[]> => {
      cluster.log.length = 0;
      await world.settle(db.set(key, value));
      expect(await world.settle(db.get(key))).toBe(value);
      return cluster.log.map(({ node }) => node);
    };
    const [reading, coordinating] = [cluster.replicasOf(encodeKey(key)), cluster.coordinatorsOf(encodeKey(key))];
    expect(await wentTo(1)).toEqual([coordinating[0], reading[0]]);
    reading[0]?.kill();
    await world.pass(10);
    expect(await wentTo(2)).toEqual([coordinating[0], reading[1]]);
    coordinating[0]?.kill();
    await world.pass(10);
    const [last] = reading.filter((node) => node !== reading[0] && node !== coordinating[0]);
    expect(await wentTo(3)).toEqual([last, last]);
  });

  it('come back to a replica that was away when it has been there for a while, or when there is no other', async () => {
    const cluster = new FakeCluster(5, 3);
    const { world } = cluster;
    const db = await cluster.connect();
    const [first, second, third] = cluster.replicasOf(encodeKey('k'));
    const asked = async (): Promise<unknown> => {
      cluster.log.length = 0;
      await world.settle(db.get('k'));
      return cluster.log[0]?.node;
    };
    first?.kill();
    await world.pass(10);
    first?.start();
    await world.pass(2_000);
    expect(first?.sessions.size).toBe(1);
    expect(await asked()).toBe(second);
    await world.pass(5_000);
    expect(await asked()).toBe(first);
    first?.kill();
    await world.pass(10);
    first?.start();
    await world.pass(2_000);
    second?.kill();
    third?.kill();
    await world.pass(10);
    expect(await asked()).toBe(first);
  });

  it('move a read to the next replica when its node dies under it, even silently', async () => {
    for (const die of ['kill', 'silence'] as const) {
      const cluster = new FakeCluster();
      const { world } = cluster;
      const db = await cluster.connect();
      await world.settle(db.set('k', 1));
      const [first, second] = cluster.replicasOf(encodeKey('k'));
      if (first === undefined) throw new Error('no replica');
      first.script = (message) => message[0] === Tag.get;
      const reading = db.get('k');
      await world.pass(5);
      first[die]();
      const beganMs = world.nowMs;
      expect(await world.settle(reading)).toBe(1);
      expect(world.nowMs - beganMs).toBeLessThan(1_500);
      expect(cluster.received(Tag.get).map(({ node }) => node)).toEqual([first, second]);
    }
  });

  it('go elsewhere when a node is not ready, and come back to one that is overloaded', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const [coordinator, next] = cluster.coordinatorsOf(encodeKey('k'));
    const [first] = cluster.replicasOf(encodeKey('k'));
    if (coordinator === undefined || first === undefined) throw new Error('no replica');
    coordinator.script = fails('not-ready');
    await world.settle(db.set('k', 1));
    expect(cluster.received(Tag.commit).map(({ node }) => node)).toEqual([coordinator, next]);
    cluster.log.length = 0;
    let turnedDown = 0;
    first.script = (message, session, node) => turnedDown++ < 2 && fails('overloaded', Tag.get)(message, session, node);
    expect(await world.settle(db.get('k'))).toBe(1);
    expect(cluster.received(Tag.get).map(({ node }) => node)).toEqual([first, first, first]);
  });

  it('tell at the deadline what stood in the way', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    for (const node of cluster.nodes) node.script = fails('unavailable');
    const beganMs = world.nowMs;
    expect(await world.failure(db.set('k', 1, { timeoutMs: 400 }))).toMatchObject({ code: 'unavailable', definite: true, details: { key: 'k', timeoutMs: 400 } });
    expect(world.nowMs - beganMs).toBeGreaterThanOrEqual(400);
    expect(world.nowMs - beganMs).toBeLessThan(440);

    for (const node of cluster.nodes) node.script = (message) => message[0] === Tag.get;
    expect(await world.failure(db.get('k', { timeoutMs: 400 }))).toMatchObject({ code: 'deadline-exceeded' });

    for (const node of cluster.nodes) node.kill();
    await world.pass(5);
    const error = await world.failure(db.get('k', { timeoutMs: 400 }));
    expect(error).toMatchObject({ code: 'unreachable' });
    expect((error as Error).message).toContain('n2 at ws://10.0.0.2:7101 connection refused');
    expect(await world.failure(db.set('k', 1, { timeoutMs: 400 }))).toMatchObject({ code: 'unreachable' });
  });

  it('carry the time that is left, and less than that for a commit, so that its answer comes in time', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect({ timeoutMs: 4_000 });
    await cluster.world.settle(db.get('k'));
    await cluster.world.settle(db.set('k', 1));
    await cluster.world.settle(db.set('k', 1, { timeoutMs: 80 }));
    expect(cluster.received(Tag.get).map(({ message }) => message[2])).toEqual([2_000]);
    expect(cluster.received(Tag.commit).map(({ message }) => message[2])).toEqual([3_750, 70]);
  });

  it('leave a node that finds no majority for one that may', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const [first, second] = cluster.replicasOf(encodeKey('k'));
    first!.script = fails('deadline-exceeded', Tag.get);
    expect(await cluster.world.settle(db.get('k'))).toBeUndefined();
    expect(cluster.received(Tag.get).map(({ node }) => node)).toEqual([first, second]);
  });

  it('stop at once when they are final, with the node’s code and words', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    for (const node of cluster.nodes) node.script = fails('value-too-large');
    expect(await cluster.world.failure(db.set('k', 1))).toMatchObject({ code: 'value-too-large', message: 'because' });
    expect(cluster.received(Tag.commit)).toHaveLength(1);
  });

  it('refuse before anything is sent', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const refused: [() => Promise<unknown>, string][] = [
      [() => db.get([]), 'key-unsupported'],
      [() => db.set([null as never], 1), 'key-unsupported'],
      [() => db.set('k'.repeat(2_000), 1), 'key-too-large'],
      [() => db.set('k', () => 1), 'value-unsupported'],
      [() => db.set('k', new Uint8Array(limits.valueBytesMax + 1)), 'value-too-large'],
      [() => db.get('k', { timeoutMs: 0 }), 'invalid-argument'],
      [() => db.get('k', { signal: {} as AbortSignal }), 'invalid-argument'],
      [() => db.get('k', { timeout: 5 } as object), 'invalid-argument'],
      [() => db.get('k', 5 as never), 'invalid-argument'],
      [() => db.set('k', 1, { protocol: '4pc' as 'dtp' }), 'unknown-protocol'],
      [() => db.transaction('no function' as never), 'invalid-argument'],
    ];
    for (const [call, code] of refused) expect(await world.failure(call())).toMatchObject({ code });
    expect(cluster.log).toEqual([]);
  });

  it('are overloaded beyond the requests that may be under way', async () => {
    const cluster = new FakeCluster(1);
    const { world } = cluster;
    const db = await cluster.connect();
    cluster.nodes[0]!.script = (message) => message[0] === Tag.get;
    const codes: unknown[] = [];
    for (let i = 0; i < limits.sessionRequestsMax; i++) db.get('k').catch((error: { code: string }) => codes.push(error.code));
    expect(await world.failure(db.get('k'))).toMatchObject({ code: 'overloaded', definite: true });
    expect(codes).toEqual([]);
    await world.settle(db.close());
    await world.until(() => codes.length === limits.sessionRequestsMax);
  });

  it('reject a value that is none, whoever wrote it', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    cluster.write(encodeKey('k'), new Uint8Array([0xc1]));
    expect(await cluster.world.failure(db.get('k'))).toMatchObject({ code: 'bad-message' });
  });

  it('stop when the signal fires: cancelled before a commit is sent, unknown after', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    expect(await world.failure(db.set('k', 1, { signal: AbortSignal.abort('too late') }))).toMatchObject({ code: 'cancelled', cause: 'too late' });
    expect(cluster.log).toEqual([]);
    for (const node of cluster.nodes) node.script = () => true;
    const abort = new AbortController();
    const outcomes = Promise.all([db.get('k', { signal: abort.signal }), db.set('k', 1, { signal: abort.signal })].map((promise) => promise.catch((error: unknown) => error)));
    await world.pass(5);
    abort.abort('enough');
    const [reading, writing] = await world.settle(outcomes);
    expect(reading).toMatchObject({ code: 'cancelled', cause: 'enough' });
    expect(writing).toBeInstanceOf(TransactionOutcomeUnknown);
    expect(writing).toMatchObject({ cause: 'enough', definite: false });
  });
});

describe('a blind write', () => {
  it('is one message: body, home partition, no turn wanted', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    await cluster.world.settle(db.set('k', 1));
    expect(cluster.log).toHaveLength(1);
    const [commit] = cluster.received(Tag.commit);
    expect(commit?.message.slice(3, 8)).toEqual([1, 1, null, 0, false]);
    expect(cluster.read(encodeKey('k')).value).toEqual(new Uint8Array(encodeValue(1)));
  });

  it('is sent again while it collides', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    let collisions = 0;
    for (const node of cluster.nodes) {
      node.script = (message, session) => {
        if (message[0] !== Tag.commit || collisions++ >= 3) return false;
        session.send([Tag.aborted, message[1], AbortReason.conflict, encodeKey('k'), null, 0, null]);
        return true;
      };
    }
    await cluster.world.settle(db.set('k', 1));
    expect(cluster.received(Tag.commit)).toHaveLength(4);
    expect(new Set(cluster.received(Tag.commit).map(({ message }) => message[3])).size).toBe(4);
  });
});
