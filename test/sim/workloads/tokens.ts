/**
 * Tokens on a board: each lies at one place, most places are empty, and a transaction carries one from its place to an empty one. A place that
 * a token has left is a deleted key: a deletion that is lost, or taken back, leaves two of the token, and one that comes too late leaves none.
 */
import type { ReadRegister, WriteRegister } from '../checker/history.ts';
import { checkInvariant, tokensInvariant } from '../checker/invariant.ts';
import { Recorder } from '../checker/recorder.ts';
import { undisturbedMs, type Client } from '../client.ts';
import { attempt, Leave } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

export const tokens: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<ReadRegister | WriteRegister>(nowMs);
  const places = Array.from({ length: random.pick([4, 8, 20, 40]) }, (_, i) => `place${i}`);
  const count = Math.ceil(places.length * random.pick([0.1, 0.3, 0.5]));
  const auditShare = random.pick([0.1, 0.3]);
  const lookShare = random.pick([0, 0.3]);

  function audit(client: Client) {
    return attempt(client, recorder, {
      planned: places.map((key) => ({ type: 'read', key })),
      run: async (options) => {
        const found = await client.db.getMany<number>(places, options);
        return places.map((key, i) => ({ type: 'read', key, value: found[i] ?? null }));
      },
    });
  }

  /** What it finds may be long under way, and out of date when whoever asked takes it over. */
  function look(client: Client, key: string) {
    return attempt(client, recorder, {
      planned: [{ type: 'read', key }],
      run: async (options) => [{ type: 'read', key, value: (await client.db.get<number>(key, options)) ?? null }],
    });
  }

  function carry(client: Client, from: string, to: string) {
    return attempt(client, recorder, {
      planned: [{ type: 'write', key: from, value: null }],
      run: async (options, plan) => {
        let done: (ReadRegister | WriteRegister)[] = [];
        await client.db.transaction(async (tx) => {
          const [token, other] = await Promise.all([tx.get<number | undefined>(from), tx.get<number | undefined>(to)]);
          if (token === undefined || other !== undefined) throw new Leave();
          tx.delete(from);
          tx.set(to, token);
          done = [{ type: 'read', key: from, value: token }, { type: 'read', key: to, value: null }, { type: 'write', key: from, value: null }, { type: 'write', key: to, value: token }];
          plan(done);
        }, options);
        return done;
      },
    });
  }

  return {
    async setUp({ db }) {
      await db.transaction((tx) => {
        for (let token = 0; token < count; token++) tx.set(places[token] as string, token);
      }, { timeoutMs: undisturbedMs });
    },
    async act(client) {
      const { random: chance } = client;
      if (chance.chance(auditShare)) return void await audit(client);
      const [from, to] = chance.shuffled(places) as [string, string];
      if (chance.chance(lookShare)) return void await look(client, from);
      await carry(client, from, to);
    },
    async finish(client) {
      await audit(client);
    },
    check: () => findingsOf(checkInvariant(recorder.history(), tokensInvariant(places, count))),
  };
};
