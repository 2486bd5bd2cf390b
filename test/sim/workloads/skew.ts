/**
 * Write skew provoked. Of each pair of doctors one at least is on call. A transaction reads both and changes one: off call only
 * if the other is on. Two of them that don't see each other, each right by itself, leave nobody on call; that is what snapshot isolation lets through.
 *
 * A positive value is on call, a negative one off, and no value occurs twice, so the whole history is judged too.
 */
import type { ReadRegister, WriteRegister } from '../checker/history.ts';
import { checkInvariant } from '../checker/invariant.ts';
import { Recorder } from '../checker/recorder.ts';
import { checkSerializable } from '../checker/serializable.ts';
import { undisturbedMs, type Client } from '../client.ts';
import { attempt, Leave } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

type Operation = ReadRegister | WriteRegister;

export const skew: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<Operation>(nowMs);
  const pairs = Array.from({ length: 1 + random.below(4) }, (_, i) => [`left${i}`, `right${i}`] as const);
  const initial = new Map(pairs.flat().map((key, i) => [key, i + 1]));
  /** With a note, which nobody reads, a transaction is coordinated wherever that lies, and its reads can be checked before its writes. */
  const noted = random.chance(0.5);
  let values = initial.size;

  function audit(client: Client, pair: readonly [string, string]) {
    return attempt(client, recorder, {
      planned: pair.map((key) => ({ type: 'read', key })),
      run: async (options) => {
        const seen = await client.db.getMany<number>(pair, options);
        return pair.map((key, i) => ({ type: 'read', key, value: seen[i] ?? null }));
      },
    });
  }

  function change(client: Client, own: string, other: string) {
    const value = ++values;
    return attempt<Operation>(client, recorder, {
      planned: [{ type: 'write', key: own, value }],
      run: async (options, plan) => {
        let done: Operation[] = [];
        await client.db.transaction(async (tx) => {
          const [mine, theirs] = await tx.getMany<number>([own, other]) as [number, number];
          const reads: Operation[] = [{ type: 'read', key: own, value: mine }, { type: 'read', key: other, value: theirs }];
          if (mine > 0 && theirs < 0) throw new Leave();
          const written = mine > 0 ? -value : value;
          tx.set(own, written);
          if (noted) tx.set(['note', client.name], written);
          done = [...reads, { type: 'write', key: own, value: written }];
          plan(done);
        }, options);
        return done;
      },
    });
  }

  return {
    async setUp({ db }) {
      await db.transaction((tx) => initial.forEach((value, key) => tx.set(key, value)), { timeoutMs: undisturbedMs });
    },
    async act(client) {
      const pair = client.random.pick(pairs);
      const [one, other] = client.random.shuffled(pair) as [string, string];
      if (client.random.chance(0.2)) return void await audit(client, pair);
      // Both at once, and neither shall see what the other does.
      if (client.random.chance(0.5)) return void await Promise.all([change(client, one, other), change(client, other, one)]);
      await change(client, one, other);
    },
    async finish(client) {
      for (const pair of pairs) await audit(client, pair);
    },
    check() {
      const history = recorder.history();
      const onCall = checkInvariant(history, {
        groups: pairs,
        violation: (seen, keys) => (seen.some((value) => Number(value) > 0) ? undefined : `${keys.map((key, i) => `${key}=${seen[i]}`).join(', ')}: nobody is on call`),
      });
      const order = checkSerializable(history, initial);
      return { failures: [...findingsOf(onCall).failures, ...findingsOf(order).failures], observations: onCall.observations };
    },
  };
};
