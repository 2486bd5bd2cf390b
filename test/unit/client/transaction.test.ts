import { describe, expect, it } from 'vitest';
import { BoundCrossed, DtpError, type Transaction } from '../../../client/index.ts';
import { encodeKey, type Key } from '../../../client/keys.ts';
import { decodeBody } from '../../../client/wire/codec.ts';
import { limits } from '../../../client/wire/limits.ts';
import { AbortReason, Tag } from '../../../client/wire/messages.ts';
import { decodeValue, encodeValue } from '../../../client/wire/values.ts';
import { abortsFirst, FakeCluster, scriptAll, type FakeNode } from './fake-cluster.ts';

interface Account { balance: bigint }

/** Keys of the cluster in the order in which they travel. */
function sorted(cluster: FakeCluster, keys: readonly Key[]): string[] {
  const located = keys.map((key) => ({ key: encodeKey(key), partition: cluster.placement.partitionOf(encodeKey(key)) }));
  return located.sort((a, b) => a.partition - b.partition || Buffer.compare(Buffer.from(a.key, 'latin1'), Buffer.from(b.key, 'latin1'))).map(({ key }) => key);
}

const everyOther = (body: readonly unknown[], offset = 0, stride = 2): unknown[] => body.filter((_, i) => i % stride === offset);

describe('a transaction', () => {
  it('is the example of the manual', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const { signal } = new AbortController();
    await cluster.world.settle(db.set(['account', 'alice'], { balance: 100n, opened: new Date() }));
    await cluster.world.settle(db.set(['session', 1], 'x'));
    const result = await cluster.world.settle(db.transaction(async (tx) => {
      const a = await tx.get<Account>(['account', 'alice']);
      tx.set(['account', 'alice'], { ...a, balance: a.balance - 10n });
      tx.delete(['session', 1]);
      return a.balance;
    }, { timeoutMs: 5_000, signal, maxAttempts: 50 }));
    expect(result).toBe(100n);
    expect(await cluster.world.settle(db.get<Account>(['account', 'alice']))).toMatchObject({ balance: 90n });
    expect(await cluster.world.settle(db.entry(['session', 1]))).toBeUndefined();
  });

  it('goes to the coordinator of its home with all keys sorted by partition and key', async () => {
    const cluster = new FakeCluster(5, 3);
    const db = await cluster.connect();
    const read = ['r1', 'r2', 'r3', 'r4'];
    const written = ['w1', 'w2', 'w3', 'w4', 'r2'];
    await cluster.world.settle(db.transaction(async (tx) => {
      await tx.getMany(read);
      for (const key of written) tx.set(key, key);
    }));
    const [commit] = cluster.received(Tag.commit);
    const [reads, writes] = decodeBody(commit!.message[8]);
    expect(everyOther(reads)).toEqual(sorted(cluster, read));
    expect(everyOther(writes)).toEqual(sorted(cluster, written));
    expect(commit!.node).toBe(cluster.coordinatorsOf(writes[0] as string)[0]);
    expect(commit!.message[7]).toBe(true);
  });

  it('that only read is checked too, at the coordinator of the first key', async () => {
    const cluster = new FakeCluster(5, 3);
    const db = await cluster.connect();
    await cluster.world.settle(db.set('b', 2));
    cluster.log.length = 0;
    expect(await cluster.world.settle(db.getMany(['c', 'b', 'a']))).toEqual([undefined, 2, undefined]);
    const [commit] = cluster.received(Tag.commit);
    const [reads, writes] = decodeBody(commit!.message[8]);
    expect(everyOther(reads)).toEqual(sorted(cluster, ['a', 'b', 'c']));
    expect(writes).toEqual([]);
    expect(commit!.node).toBe(cluster.coordinatorsOf(reads[0] as string)[0]);
  });

  it('that touched nothing sends nothing', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    expect(await cluster.world.settle(db.transaction(() => 7))).toBe(7);
    expect(await cluster.world.settle(db.getMany([]))).toEqual([]);
    expect(cluster.log).toEqual([]);
  });

  it('sees its own writes, keeps what it read, and asks once for each key', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    cluster.write(encodeKey('k'), encodeValue({ n: 1 }));
    const seen = await world.settle(db.transaction(async (tx) => {
      const [first, same, entry] = await Promise.all([tx.get<{ n: number }>('k'), tx.get('k'), tx.entry('k')]);
      first.n = 99; // A copy of one's own: what others read does not change.
      const again = await tx.get('k');
      const written = { n: 2 };
      tx.set('k', written);
      written.n = 3;
      const own = await tx.entry('k');
      tx.delete('k');
      const gone = await tx.entry('k');
      tx.set('blind', undefined);
      return [same, entry, again, own, gone, await tx.entry('blind')];
    }));
    expect(seen).toEqual([{ n: 1 }, { value: { n: 1 }, version: 101 }, { n: 1 }, { value: { n: 2 }, version: 0 }, undefined, { value: undefined, version: 0 }]);
    expect(cluster.received(Tag.read)).toHaveLength(1);
    expect(cluster.read(encodeKey('k')).value).toBeNull();
  });

  it('asks each node once for all that is read together', async () => {
    const cluster = new FakeCluster(5, 3);
    const db = await cluster.connect();
    const keys = Array.from({ length: 60 }, (_, i) => ['k', i]);
    const values = await cluster.world.settle(db.transaction((tx) => Promise.all([tx.getMany(keys.slice(0, 30)), ...keys.slice(30).map((key) => tx.get(key))])));
    expect(values.flat()).toHaveLength(60);
    const reads = cluster.received(Tag.read);
    expect(reads.flatMap(({ message }) => message[4]).sort()).toEqual(keys.map(encodeKey).sort());
    expect(reads).toHaveLength(new Set(keys.map((key) => cluster.coordinatorsOf(encodeKey(key))[0])).size);
    for (const { node, message } of reads) for (const key of message[4]) expect(cluster.coordinatorsOf(key)[0]).toBe(node);
  });

  it('reads what a lost node owed at the next coordinator of each key', async () => {
    const cluster = new FakeCluster(5, 2);
    const { world } = cluster;
    const db = await cluster.connect();
    const victim = cluster.nodes[0] as FakeNode;
    victim.script = (message) => message[0] === Tag.read;
    const keys = Array.from({ length: 60 }, (_, i) => ['k', i]);
    const run = db.getMany(keys);
    await world.pass(5);
    victim.kill();
    await world.settle(run);
    expect(cluster.received(Tag.read).filter(({ node }) => node === victim)).toHaveLength(1);
    const later = cluster.received(Tag.read).filter(({ node }) => node !== victim);
    for (const { node, message } of later) for (const key of message[4]) expect(cluster.coordinatorsOf(key).find((replica) => replica !== victim)).toBe(node);
  });

  it('with operations sends them after one another, with its writes, in one message', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    scriptAll(cluster, (message, session) => {
      if (message[0] !== Tag.commit) return false;
      session.send([Tag.committed, message[1], 500, true]);
      return true;
    });
    await world.settle(db.transaction((tx) => {
      tx.add('a', -5, { min: 0 });
      tx.add('a', 7);
      tx.min('b', 3n);
      tx.max('b', 1n);
      tx.set('c', 'log');
    }));
    const [commit] = cluster.received(Tag.commit);
    const operations = commit!.message[9] ?? [];
    const readable = operations.map((field) => (field instanceof Uint8Array ? decodeValue(field) : field));
    const a = [[0, encodeKey('a'), -5, 0, null], [0, encodeKey('a'), 7, null, null]];
    const b = [[1, encodeKey('b'), 3n, null, null], [2, encodeKey('b'), 1n, null, null]];
    expect(readable).toEqual((sorted(cluster, ['a', 'b'])[0] === encodeKey('a') ? [a, b] : [b, a]).flat(2));
    expect(everyOther(decodeBody(commit!.message[8])[1])).toEqual([encodeKey('c')]);
    expect(commit!.node).toBe(cluster.coordinatorsOf(sorted(cluster, ['a', 'b', 'c'])[0] as string)[0]);
  });

  it('keeps operations and other uses of a key apart', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const mixtures: ((tx: Transaction) => unknown)[] = [
      (tx) => (tx.add('k', 1), tx.get('k')),
      (tx) => (tx.add('k', 1), tx.set('k', 1)),
      (tx) => (tx.add('k', 1), tx.delete('k')),
      (tx) => (tx.set('k', 1), tx.add('k', 1)),
    ];
    for (const mixture of mixtures) expect(await world.failure(db.transaction(mixture))).toMatchObject({ code: 'invalid-argument', details: { key: 'k' } });
    for (const operand of [NaN, Infinity, '1', undefined]) {
      expect(await world.failure(db.transaction((tx) => tx.add('k', operand as number)))).toMatchObject({ code: 'operand-unsupported' });
    }
    expect(await world.failure(db.transaction((tx) => tx.add<number | bigint>('k', 1, { min: 0n })))).toMatchObject({ code: 'operand-unsupported' });
    expect(cluster.log).toEqual([]);
  });

  it('may read a key before it operates on it, and then depends on what it read', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    await cluster.world.settle(db.transaction(async (tx) => {
      await tx.get('k');
      tx.add('k', 1);
    }));
    const [commit] = cluster.received(Tag.commit);
    expect(decodeBody(commit!.message[8])).toEqual([[encodeKey('k'), 0], []]);
    expect(commit!.message[9]?.slice(0, 2)).toEqual([0, encodeKey('k')]);
  });
});

describe('an operation that can’t be applied', () => {
  it('crosses a bound: a typed result, no second attempt', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    scriptAll(cluster, abortsFirst(1, AbortReason.boundMin, ['account', 'bob'], encodeValue(3n)));
    const error = await cluster.world.failure(db.transaction((tx) => tx.add(['account', 'bob'], -5n, { min: 0n })));
    expect(error).toBeInstanceOf(BoundCrossed);
    expect(error).toMatchObject({ code: 'bound-crossed', details: { key: ['account', 'bob'], value: 3n, bound: 'min' } });
    expect(cluster.received(Tag.commit)).toHaveLength(1);
  });

  it('meets a value that is no number', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    scriptAll(cluster, abortsFirst(1, AbortReason.operand, 'k', encodeValue('text')));
    expect(await cluster.world.failure(db.transaction((tx) => tx.add('k', 1)))).toMatchObject({ code: 'operand-unsupported', details: { key: 'k', value: 'text' } });
  });
});

describe('a function that throws', () => {
  it('writes nothing and passes its error on', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const error = new Error('mine');
    expect(await cluster.world.failure(db.transaction((tx) => { tx.set('k', 1); throw error; }))).toBe(error);
    expect(await cluster.world.failure(db.transaction(async (tx) => { tx.set('k', 1); await Promise.reject(error); }))).toBe(error);
    expect(cluster.log).toEqual([]);
  });

  it('on the strength of what it read is believed only when that was current', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect({ cacheBytes: 0 });
    const key = encodeKey('balance');
    cluster.write(key, encodeValue(0));
    let runs = 0;
    const spend = db.transaction(async (tx) => {
      const balance = await tx.get<number>('balance');
      if (++runs === 1) cluster.write(key, encodeValue(10)); // What was read is old news by now.
      if (balance < 5) throw new Error('insufficient funds');
      tx.set('balance', balance - 5);
    });
    await world.settle(spend);
    expect(decodeValue(cluster.read(key).value as Uint8Array)).toBe(5);

    cluster.write(key, encodeValue(0));
    cluster.log.length = 0;
    expect(await world.failure(db.transaction(async (tx) => {
      if ((await tx.get<number>('balance')) < 5) throw new Error('insufficient funds');
    }))).toMatchObject({ message: 'insufficient funds' });
    expect(cluster.received(Tag.commit)).toHaveLength(1);
  });

  it('is shown its error, not another one, when the check comes to nothing', async () => {
    const codes = ['value-too-large', 'unavailable'];
    for (const code of codes) {
      const cluster = new FakeCluster();
      const db = await cluster.connect();
      scriptAll(cluster, (message, session) => {
        if (message[0] !== Tag.commit) return false;
        session.send([Tag.failed, message[1], code, 'because']);
        return true;
      });
      const run = db.transaction(async (tx) => { await tx.get('k'); throw new Error('mine'); }, { timeoutMs: 300 });
      expect(await cluster.world.failure(run)).toMatchObject({ message: 'mine' });
    }
  });
});

describe('limits', () => {
  it('stop a transaction before anything is sent, with the number found and the number allowed', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const refused: [(tx: Transaction) => unknown, Record<string, unknown>][] = [
      [(tx) => { for (let i = 0; i <= limits.transactionKeysMax; i++) tx.set(['k', i], 1); }, { actual: 1_001, allowed: 1_000 }],
      [(tx) => tx.getMany(Array.from({ length: 1_001 }, (_, i) => ['k', i])), { actual: 1_001, allowed: 1_000 }],
      [(tx) => { for (let i = 0; i <= 1_000; i++) tx.add('n', i); }, { actual: 1_001, allowed: 1_000 }],
      [(tx) => { for (let i = 0; i < 9; i++) tx.set(['k', i], new Uint8Array(500_000)); }, { allowed: limits.transactionBytesMax }],
    ];
    for (const [fn, details] of refused) expect(await world.failure(db.transaction(fn))).toMatchObject({ code: 'transaction-too-large', details });
    const largest = db.transaction((tx) => { for (let i = 0; i < limits.transactionKeysMax; i++) tx.set(['k', i], 1); });
    await world.settle(largest);
    // Overwriting does not add up.
    await world.settle(db.transaction((tx) => { for (let i = 0; i < 50; i++) tx.set('k', new Uint8Array(500_000)); }));
    expect(cluster.received(Tag.commit)).toHaveLength(2);
  });

  it('of keys and values throw where they are broken', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const codes: string[] = [];
    await cluster.world.settle(db.transaction(async (tx) => {
      const note = (error: unknown): void => void codes.push((error as DtpError).code);
      try { tx.set('k', Symbol('no')); } catch (error) { note(error); }
      try { tx.set([], 1); } catch (error) { note(error); }
      await tx.get([undefined as never]).catch(note);
      await tx.getMany([['x'.repeat(2_000)]]).catch(note);
    }));
    expect(codes).toEqual(['value-unsupported', 'key-unsupported', 'key-unsupported', 'key-too-large']);
  });
});
