/** Counters, incremented through tx.add and through interactive transactions: each acknowledged increment counts once. */
import type { CounterOperation } from '../checker/history.ts';
import { checkCounter } from '../checker/counter.ts';
import { Recorder } from '../checker/recorder.ts';
import type { Client } from '../client.ts';
import { attempt } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

export const counter: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<CounterOperation>(nowMs);
  const keys = Array.from({ length: 1 + random.below(3) }, (_, i) => `counter${i}`);
  const interactiveShare = random.pick([0, 0.5, 1]);
  /** Where two lie in different groups, who adds to both is not served as those are who add to one. */
  const severalShare = random.fork('several').pick([0, 0.3]);

  function read(client: Client, key: string) {
    return attempt(client, recorder, {
      planned: [{ type: 'read', key }],
      run: async (options) => [{ type: 'read', key, value: (await client.db.get<number | undefined>(key, options)) ?? null }],
    });
  }

  function increment(client: Client, touched: readonly string[], delta: number) {
    const interactive = client.random.chance(interactiveShare);
    const planned = touched.map((key) => ({ type: 'add', key, delta }) as const);
    return attempt(client, recorder, {
      planned,
      run: async (options) => {
        await client.db.transaction(async (tx) => {
          for (const key of touched) {
            if (interactive) tx.set(key, ((await tx.get<number | undefined>(key)) ?? 0) + delta);
            else tx.add(key, delta);
          }
        }, options);
        return planned;
      },
    });
  }

  return {
    async setUp() {},
    async act(client) {
      const { random: chance } = client;
      const key = chance.pick(keys);
      const touched = chance.chance(severalShare) ? [key, ...keys.filter((other) => other !== key).slice(0, 1)] : [key];
      await (chance.chance(0.2) ? read(client, key) : increment(client, touched, 1 + chance.below(3)));
    },
    async finish(client) {
      for (const key of keys) await read(client, key);
    },
    check: () => findingsOf(checkCounter(recorder.history())),
  };
};
