import { describe, expect, it } from 'vitest';
import { TransactionOutcomeUnknown, type Transaction } from '../../../client/index.ts';
import { encodeKey } from '../../../client/keys.ts';
import { decodeBody } from '../../../client/wire/codec.ts';
import { AbortReason, Tag, type Value, type Version } from '../../../client/wire/messages.ts';
import { decodeValue, encodeValue } from '../../../client/wire/values.ts';
import { abortsFirst, FakeCluster, scriptAll, type FakeNode, type Script } from './fake-cluster.ts';

describe('a conflict', () => {
  it('runs the function again, afresh, until it fits', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const key = encodeKey('n');
    let runs = 0;
    await world.settle(db.transaction(async (tx) => {
      const n = (await tx.get<number | undefined>('n')) ?? 0;
      if (++runs <= 3) cluster.write(key, encodeValue(n + 10)); // Somebody else gets in between.
      tx.set('n', n + 1);
    }));
    expect(runs).toBe(4);
    expect(await world.settle(db.get('n'))).toBe(31);
  });

  it('of many at once loses no increment', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const increment = (): Promise<void> => db.transaction(async (tx) => tx.set('n', ((await tx.get<number | undefined>('n')) ?? 0) + 1), { timeoutMs: 60_000, maxAttempts: 10_000 });
    await cluster.world.settle(Promise.all(Array.from({ length: 20 }, increment)));
    expect(await cluster.world.settle(db.get('n'))).toBe(20);
  });

  it('is told after the last attempt, with the key', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    scriptAll(cluster, abortsFirst(100, AbortReason.conflict, ['hot', 1]));
    const error = await cluster.world.failure(db.transaction((tx) => tx.set(['hot', 1], 1), { maxAttempts: 3 }));
    expect(error).toMatchObject({ code: 'conflict', details: { attempts: 3, key: ['hot', 1] } });
    expect(cluster.received(Tag.commit)).toHaveLength(3);
  });

  it('that lasts ends at the deadline', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    scriptAll(cluster, abortsFirst(1e9, AbortReason.timeout));
    const beganMs = cluster.world.nowMs;
    expect(await cluster.world.failure(db.transaction((tx) => tx.set('k', 1), { timeoutMs: 500 }))).toMatchObject({ code: 'deadline-exceeded', definite: true });
    expect(cluster.world.nowMs - beganMs).toBeLessThan(540);
    // Pauses grow to a tenth of a second: an outage is not hammered.
    expect(cluster.received(Tag.commit).length).toBeLessThan(20);
  });
});

describe('a turn', () => {
  /** Gives the first commit its turn, with these values. */
  const givesTurn = (lease: number, fresh: (string | Version | Value)[]): Script => {
    let given = false;
    return (message, session) => {
      if (message[0] !== Tag.commit || given) return false;
      given = true;
      session.send([Tag.aborted, message[1], AbortReason.stale, fresh[0] as string, null, lease, fresh]);
      return true;
    };
  };

  it('is taken at once, with the values that came with it and no reads', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const version = cluster.write(encodeKey('n'), encodeValue(41));
    scriptAll(cluster, givesTurn(77, [encodeKey('n'), version, encodeValue(41)]));
    let runs = 0;
    const before = world.nowMs;
    await world.settle(db.transaction(async (tx) => {
      runs++;
      tx.set('n', (await tx.get<number>('n')) + 1);
    }));
    expect(world.nowMs - before).toBeLessThan(5);
    expect(runs).toBe(2);
    expect(cluster.received(Tag.read)).toHaveLength(1);
    expect(cluster.received(Tag.commit).map(({ message }) => [message[6], message[7]])).toEqual([[0, true], [77, true]]);
    expect(cluster.received(Tag.giveUp)).toEqual([]);
    expect(decodeValue(cluster.read(encodeKey('n')).value as Uint8Array)).toBe(42);
  });

  it('does not make a read of what the function did not look at again', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    scriptAll(cluster, givesTurn(77, [encodeKey('a'), 5, null, encodeKey('b'), 6, null]));
    let runs = 0;
    const done = db.transaction(async (tx) => {
      if (++runs === 1) await tx.getMany(['a', 'b']);
      tx.set('c', 1);
    });
    await cluster.world.settle(done);
    expect(decodeBody(cluster.received(Tag.commit)[1]!.message[8])[0]).toEqual([]);
  });

  it('serves a transaction that turns out to read only', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    scriptAll(cluster, givesTurn(77, [encodeKey('n'), 0, null]));
    let runs = 0;
    await cluster.world.settle(db.transaction(async (tx) => {
      const n = await tx.get('n');
      if (++runs === 1) tx.set('n', n);
    }));
    expect(cluster.received(Tag.commit).map(({ message }) => message[6])).toEqual([0, 77]);
    await cluster.world.pass(5);
    expect(cluster.received(Tag.giveUp)).toEqual([]);
  });

  it('is given up when the function throws, does nothing, or goes elsewhere', async () => {
    const later: ((tx: Transaction) => unknown)[] = [
      () => { throw new Error('no more'); },
      () => undefined,
      (tx) => { for (let i = 0; i < 10; i++) tx.set(['elsewhere', i], 1); },
    ];
    for (const second of later) {
      const cluster = new FakeCluster();
      const { world } = cluster;
      const db = await cluster.connect();
      scriptAll(cluster, givesTurn(77, [encodeKey('n'), 0, null]));
      let runs = 0;
      await world.settle(db.transaction(async (tx) => {
        if (++runs > 1) await second(tx);
        else tx.set('n', await tx.get('n'));
      }).catch(() => {}));
      await world.pass(5);
      expect(cluster.received(Tag.giveUp).map(({ node, message }) => [node, message[1]])).toEqual([[cluster.received(Tag.commit)[0]?.node, 77]]);
      expect(cluster.received(Tag.commit).slice(1).every(({ message }) => message[6] === 0)).toBe(true);
    }
  });

  it('is used once: who gave it may have nothing more to give, and another node the majority', async () => {
    const cluster = new FakeCluster();
    const db = await cluster.connect();
    const [first] = cluster.replicasOf(encodeKey('n')) as [FakeNode];
    let answers = 0;
    first.script = (message, session) => {
      if (message[0] !== Tag.commit) return false;
      if (answers++ === 0) session.send([Tag.aborted, message[1], AbortReason.stale, null, null, 77, [encodeKey('n'), 0, null]]);
      else session.send([Tag.failed, message[1], 'unavailable', 'no majority of replicas is connected']);
      return true;
    };
    await cluster.world.settle(db.transaction(async (tx) => tx.set('n', await tx.get('n'))));
    expect(cluster.received(Tag.commit).map(({ node, message }) => [node === first, message[6]])).toEqual([[true, 0], [true, 77], [false, 0]]);
  });

  it('is forgotten when its session is gone', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const [first, second] = cluster.replicasOf(encodeKey('n')) as [FakeNode, FakeNode];
    scriptAll(cluster, givesTurn(77, [encodeKey('n'), 0, null]));
    let runs = 0;
    await world.settle(db.transaction(async (tx) => {
      await tx.get('n');
      if (++runs === 2) {
        first.kill();
        await new Promise<void>((resolve) => world.environment.after(5, resolve));
      }
      tx.set('n', 1);
    }));
    expect(cluster.received(Tag.commit).map(({ node, message }) => [node, message[6]])).toEqual([[first, 0], [second, 0]]);
  });

  it('that comes too late for its transaction is given up', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    scriptAll(cluster, (message, session) => {
      if (message[0] !== Tag.commit) return false;
      world.environment.after(50, () => session.send([Tag.aborted, message[1], AbortReason.stale, null, null, 88, []]));
      return true;
    });
    const abort = new AbortController();
    const run = world.failure(db.transaction((tx) => tx.set('n', 1), { signal: abort.signal }));
    world.environment.after(10, () => abort.abort());
    expect(await run).toBeInstanceOf(TransactionOutcomeUnknown);
    await world.pass(100);
    expect(cluster.received(Tag.giveUp).map(({ message }) => message[1])).toEqual([88]);
  });
});

describe('the end of a transaction', () => {
  it('is the end of its handle', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    let kept: Transaction | undefined;
    let forgotten: Promise<unknown> | undefined;
    await world.settle(db.transaction((tx) => {
      kept = tx;
      tx.set('a', 1);
      forgotten = tx.get('b'); // Never awaited: it is no part of the transaction.
    }));
    expect(() => kept?.set('k', 1)).toThrow(/has ended/);
    expect(await world.failure(kept?.get('k') as Promise<unknown>)).toMatchObject({ code: 'invalid-argument' });
    expect(await world.failure(forgotten as Promise<unknown>)).toMatchObject({ code: 'invalid-argument' });
    expect(cluster.received(Tag.commit).map(({ message }) => decodeBody(message[8])[0])).toEqual([[]]);
  });

  it('comes by signal while the function runs: cancelled, and what it awaits rejects too', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    scriptAll(cluster, (message) => message[0] === Tag.read);
    const abort = new AbortController();
    let inside: unknown;
    const run = world.failure(db.transaction(async (tx) => {
      try {
        await tx.get('k');
      } catch (error) {
        inside = error;
        tx.set('k', 1); // Throws as well.
      }
    }, { signal: abort.signal }));
    world.environment.after(10, () => abort.abort(new Error('stop')));
    const error = await run;
    expect(error).toMatchObject({ code: 'cancelled', cause: new Error('stop') });
    expect(inside).toBe(error);
    await world.pass(10);
    expect(cluster.received(Tag.commit)).toEqual([]);
  });

  it('comes by signal during a pause, or with the commit under way', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    scriptAll(cluster, (message) => message[0] === Tag.commit);
    const abort = new AbortController();
    world.environment.after(20, () => abort.abort('stop'));
    expect(await world.failure(db.transaction((tx) => tx.set('k', 1), { signal: abort.signal }))).toMatchObject({ code: 'outcome-unknown', cause: 'stop' });

    let ended: unknown;
    const pausing = new AbortController();
    scriptAll(cluster, (message, session) => {
      if (message[0] !== Tag.commit) return false;
      session.send([Tag.aborted, message[1], AbortReason.conflict, null, null, 0, null]);
      world.environment.after(0.6, () => pausing.abort('stop')); // The answer has arrived, and the pause has begun.
      return true;
    });
    await world.settle(db.transaction((tx) => tx.set('k', 1), { signal: pausing.signal }).catch((error: unknown) => (ended = error)));
    expect(ended).toMatchObject({ code: 'cancelled', cause: 'stop', definite: true });
  });

  it('comes by deadline, wherever it is', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    expect(await world.failure(db.transaction(() => new Promise(() => {}), { timeoutMs: 200 }))).toMatchObject({ code: 'deadline-exceeded', details: { attempts: 1 } });
    scriptAll(cluster, (message) => message[0] === Tag.commit);
    expect(await world.failure(db.transaction((tx) => tx.set('k', 1), { timeoutMs: 200 }))).toBeInstanceOf(TransactionOutcomeUnknown);
    for (const node of cluster.nodes) node.kill();
    await world.pass(5);
    expect(await world.failure(db.transaction((tx) => tx.set('k', 1), { timeoutMs: 200 }))).toMatchObject({ code: 'unreachable' });
    expect(await world.failure(db.transaction((tx) => tx.get('k'), { timeoutMs: 200 }))).toMatchObject({ code: 'unreachable' });
  });

  it('takes its coordinator’s loss as the lone writes do', async () => {
    const cluster = new FakeCluster();
    const { world } = cluster;
    const db = await cluster.connect();
    const [first, second] = cluster.replicasOf(encodeKey('n')) as [FakeNode, FakeNode];
    let runs = 0;
    const increment = (): Promise<void> => db.transaction(async (tx) => {
      runs++;
      tx.set('n', ((await tx.get<number | undefined>('n')) ?? 0) + 1);
    });
    first.script = (message) => {
      if (message[0] !== Tag.commit) return false;
      first.decide(message[3], message[8]);
      first.kill();
      return true;
    };
    await world.settle(increment());
    expect(runs).toBe(1);
    second.script = (message) => {
      if (message[0] !== Tag.commit) return false;
      second.kill(); // Undecided: asking decides it, against.
      return true;
    };
    await world.settle(increment());
    expect(runs).toBe(3);
    expect(await world.settle(db.get('n'))).toBe(2);
  });
});
