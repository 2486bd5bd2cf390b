import { describe, expect, it } from 'vitest';
import type { Database } from '../../../client/index.ts';
import { Cache } from '../../../client/cache.ts';
import { encodeKey } from '../../../client/keys.ts';
import { Tag } from '../../../client/wire/messages.ts';
import { FakeCluster, scriptAll } from './fake-cluster.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Adds one to a number; resolves to how often it was tried. */
async function increment(cluster: FakeCluster, db: Database, key: string): Promise<number> {
  let tries = 0;
  await cluster.world.settle(db.transaction(async (tx) => {
    tries++;
    tx.set(key, (await tx.get<number | undefined>(key) ?? 0) + 1);
  }));
  return tries;
}

/** Questions that nodes have heard since they were counted last. */
function questions(cluster: FakeCluster): number {
  const { length } = cluster.received(Tag.read);
  cluster.log.length = 0;
  return length;
}

describe('the cache of a client', () => {
  it('spares a transaction the question for what was read or written before', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    await increment(cluster, db, 'a');
    expect(questions(cluster)).toBe(1);
    await increment(cluster, db, 'a');
    await cluster.world.settle(db.set('b', 7));
    await increment(cluster, db, 'b');
    await cluster.world.settle(db.transaction((tx) => tx.get('b')));
    expect(questions(cluster)).toBe(0);
    expect([await cluster.world.settle(db.get('a')), await cluster.world.settle(db.get('b'))]).toEqual([2, 8]);
    const other = await cluster.connect();
    await cluster.world.settle(other.get('a'));
    await increment(cluster, other, 'a');
    expect(questions(cluster)).toBe(0);
  });

  it('is corrected at the commit where it is out of date; such a key is asked for until it was found unchanged four times', async () => {
    const cluster = new FakeCluster();
    const [db, other] = [await cluster.connect(), await cluster.connect()];
    await increment(cluster, db, 'a');
    await increment(cluster, other, 'a');
    cluster.log.length = 0;
    expect(await increment(cluster, db, 'a'), 'once on the old value, once on the present one').toBe(2);
    expect(await cluster.world.settle(other.get('a'))).toBe(3);
    expect(questions(cluster)).toBe(1);
    for (let i = 0; i < 4; i++) expect(await increment(cluster, db, 'a')).toBe(1);
    expect(questions(cluster)).toBe(4);
    await increment(cluster, db, 'a');
    expect(questions(cluster)).toBe(0);
  });

  it('is asked by the first try alone, so that keys out of date cost one try, however many they are', async () => {
    const cluster = new FakeCluster();
    const [db, other] = [await cluster.connect(), await cluster.connect()];
    const keys = Array.from({ length: 100 }, (_, i) => ['k', i]);
    let tries = 0;
    const touch = (by: Database): Promise<void> => cluster.world.settle(by.transaction(async (tx) => {
      tries++;
      await tx.getMany(keys);
      for (const key of keys) tx.set(key, tries);
    }));
    await touch(db);
    await touch(other);
    tries = 0;
    await touch(db);
    expect(tries).toBe(2);
  });

  it('keeps nothing that was operated on, deleted, or overwritten by another transaction of the same version', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    for (const change of [
      () => db.transaction((tx) => tx.add('a', 1)),
      () => db.delete('a'),
      () => {
        scriptAll(cluster, (message, session) => {
          if (message[0] !== Tag.commit) return false;
          session.send([Tag.committed, message[1], 500, false]);
          return true;
        });
        return db.set('a', 5);
      },
    ]) {
      await cluster.world.settle(db.get('a'));
      await cluster.world.settle<unknown>(change());
      cluster.log.length = 0;
      await cluster.world.settle(db.transaction((tx) => tx.get('a'))).catch(() => {});
      expect(questions(cluster)).toBeGreaterThan(0);
    }
  });

  it('is emptied when no node is connected any more, for a cluster that is restored knows nothing of it', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    await increment(cluster, db, 'a');
    for (const node of cluster.nodes) node.kill();
    await cluster.world.pass(5);
    cluster.stored.clear();
    for (const node of cluster.nodes) node.start();
    expect(await increment(cluster, db, 'a'), 'the old value was not even tried').toBe(1);
    expect(await cluster.world.settle(db.get('a'))).toBe(1);
  });

  it('is left out where it has no bytes', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect({ cacheBytes: 0 });
    for (let i = 0; i < 3; i++) await increment(cluster, db, 'a');
    expect(questions(cluster)).toBe(3);
  });

  it('gives out the newest version that it was told, for a minute', () => {
    let nowMs = 0;
    const cache = new Cache(10_000, () => nowMs);
    const key = encodeKey('a');
    cache.learn(key, 5, bytes('five'));
    cache.learn(key, 4, bytes('four'));
    expect(cache.find(key)).toMatchObject({ version: 5, value: bytes('five') });
    nowMs = 60_001;
    expect(cache.find(key)).toBeUndefined();
    cache.learn(key, 5, bytes('five'));
    expect(cache.find(key)).toMatchObject({ version: 5 });
    cache.learn(key, 6, null);
    expect(cache.find(key)).toBeUndefined();
  });

  it('holds its own copies, and no more bytes than it may', () => {
    const cache = new Cache(10_000, () => 0);
    const value = bytes('mine');
    cache.learn(encodeKey('a'), 1, value);
    value.fill(0);
    expect(cache.find(encodeKey('a'))?.value).toEqual(bytes('mine'));
    for (let i = 0; i < 100; i++) cache.learn(encodeKey([i]), 1, Buffer.alloc(1_000));
    const held = Array.from({ length: 100 }, (_, i) => cache.find(encodeKey([i]))).filter((found) => found !== undefined);
    expect([held.length, cache.find(encodeKey('a'))]).toEqual([8, undefined]);
    for (let version = 2; version < 10; version++) cache.learn(encodeKey(['grows']), version, Buffer.alloc(version * 1_000));
    expect([cache.find(encodeKey(['grows']))?.value.length, cache.find(encodeKey([99]))]).toEqual([9_000, undefined]);
  });
});
