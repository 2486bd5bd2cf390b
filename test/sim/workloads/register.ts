/** Single keys, read, set, deleted and compared-and-set by many clients: each must be linearizable. */
import type { RegisterOperation, Scalar } from '../checker/history.ts';
import { Recorder } from '../checker/recorder.ts';
import { checkRegister } from '../checker/register.ts';
import type { Client } from '../client.ts';
import { attempt } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

export const register: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<RegisterOperation>(nowMs);
  const keys = Array.from({ length: 1 + random.below(8) }, (_, i) => `register${i}`);
  /** With a note, which nobody reads, a write is coordinated wherever that lies, perhaps by a node that knows nothing of the register. */
  const noted = random.chance(0.5);
  /** Keys that are deleted as often as written are mostly absent, and what their deletions leave behind is collected. */
  const deletedShare = random.pick([0.1, 0.5, 0.7]);
  /** By a transaction that only reads, which may take the value from the client's cache. */
  const readsInTransactions = random.chance(0.5);
  let values = 0;

  function read(client: Client, key: string) {
    return attempt(client, recorder, {
      planned: [{ type: 'read', key }],
      run: async (options) => {
        const entry = readsInTransactions ? await client.db.transaction((tx) => tx.entry<Scalar>(key), options) : await client.db.entry<Scalar>(key, options);
        return [{ type: 'read', key, value: entry?.value ?? null }];
      },
    });
  }

  /** Blind: nothing is read before. */
  function write(client: Client, key: string, value: Scalar) {
    const micro = { type: 'write', key, value } as const;
    return attempt(client, recorder, {
      planned: [micro],
      run: async (options) => {
        if (noted && value !== null) {
          await client.db.transaction((tx) => {
            tx.set(key, value);
            tx.set(['note', client.name], value);
          }, options);
        } else {
          await (value === null ? client.db.delete(key, options) : client.db.set(key, value, options));
        }
        return [micro];
      },
    });
  }

  function compareAndSet(client: Client, key: string, expected: Scalar) {
    const micro = { type: 'compare-and-set', key, expected, value: ++values } as const;
    return attempt(client, recorder, {
      planned: [micro],
      run: async (options) => {
        const swapped = await client.db.transaction(async (tx) => {
          if (((await tx.get<Scalar | undefined>(key)) ?? null) !== expected) return false;
          tx.set(key, micro.value);
          return true;
        }, options);
        return [{ ...micro, swapped }];
      },
    });
  }

  return {
    async setUp() {},
    async act(client) {
      const { random: chance } = client;
      const key = chance.pick(keys);
      const draw = chance.float();
      if (draw < 0.5) await read(client, key);
      else if (draw < 0.8) await write(client, key, chance.chance(deletedShare) ? null : ++values);
      else await compareAndSet(client, key, chance.chance(0.5) ? Math.max(1, values - chance.below(3)) : null);
    },
    async finish(client) {
      for (const key of keys) await read(client, key);
    },
    check: () => findingsOf(checkRegister(recorder.history())),
  };
};
