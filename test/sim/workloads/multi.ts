/**
 * Transactions on several registers, that read, replace and write blindly; with single reads and writes beside them. Every value
 * written is unique, so who read whom is known and the order of all can be judged.
 */
import type { Transaction } from '../../../client/index.ts';
import type { ReadRegister, Scalar, WriteRegister } from '../checker/history.ts';
import { Recorder } from '../checker/recorder.ts';
import { checkSerializable } from '../checker/serializable.ts';
import type { Client } from '../client.ts';
import { attempt, Leave } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

type Operation = ReadRegister | WriteRegister;
/** What a transaction does to a key. */
type Deed = 'read' | 'replace' | 'write';

export const multi: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<Operation>(nowMs);
  const keys = Array.from({ length: random.pick([2, 4, 8, 20]) }, (_, i) => ['register', i] as const);
  const nameOf = ([name, i]: (typeof keys)[number]): string => `${name}${i}`;
  const lengthMax = random.pick([2, 3, 6]);
  /** Blind writes leave gaps in what can be known of a key's versions, so some runs have none. */
  const blindShare = random.pick([0, 0.2, 0.6]);
  let values = 0;

  async function perform(tx: Transaction, deed: Deed, key: (typeof keys)[number], value: number): Promise<Operation[]> {
    const done: Operation[] = [];
    if (deed !== 'write') done.push({ type: 'read', key: nameOf(key), value: (await tx.get<Scalar | undefined>(key)) ?? null });
    if (deed === 'read') return done;
    tx.set(key, value);
    return [...done, { type: 'write', key: nameOf(key), value }];
  }

  function transact(client: Client, deeds: readonly Deed[]) {
    const { random: chance } = client;
    const touched = chance.shuffled(keys).slice(0, deeds.length).map((key, i) => ({ key, deed: deeds[i] as Deed, value: ++values }));
    const together = chance.chance(0.5);
    const leaves = chance.chance(0.03);
    return attempt<Operation>(client, recorder, {
      planned: touched.filter(({ deed }) => deed !== 'read').map(({ key, value }) => ({ type: 'write', key: nameOf(key), value })),
      run: async (options, plan) => {
        let done: Operation[] = [];
        await client.db.transaction(async (tx) => {
          done = [];
          if (together) done = (await Promise.all(touched.map(({ deed, key, value }) => perform(tx, deed, key, value)))).flat();
          else for (const { deed, key, value } of touched) done.push(...await perform(tx, deed, key, value));
          plan(done);
          if (leaves) throw new Leave();
        }, options);
        return done;
      },
    });
  }

  function read(client: Client, key: (typeof keys)[number]) {
    return attempt<Operation>(client, recorder, {
      planned: [{ type: 'read', key: nameOf(key) }],
      run: async (options) => [{ type: 'read', key: nameOf(key), value: (await client.db.get<Scalar | undefined>(key, options)) ?? null }],
    });
  }

  function write(client: Client, key: (typeof keys)[number]) {
    const value = ++values;
    return attempt<Operation>(client, recorder, {
      planned: [{ type: 'write', key: nameOf(key), value }],
      run: async (options) => {
        await client.db.set(key, value, options);
        return [{ type: 'write', key: nameOf(key), value }];
      },
    });
  }

  return {
    async setUp() {},
    async act(client) {
      const { random: chance } = client;
      const draw = chance.float();
      if (draw < 0.1) return void await read(client, chance.pick(keys));
      if (draw < 0.1 + blindShare / 2) return void await write(client, chance.pick(keys));
      const deeds = Array.from({ length: 1 + chance.below(lengthMax) }, (): Deed => (chance.chance(blindShare) ? 'write' : chance.pick(['read', 'replace'])));
      await transact(client, deeds);
    },
    async finish(client) {
      for (const key of keys) await read(client, key);
    },
    check: () => findingsOf(checkSerializable(recorder.history())),
  };
};
