/**
 * A permutation that is one cycle: each node of the ring holds the name of the next. A transaction takes one node out and puts it
 * in again one place further on; to do that it follows the ring through four nodes. Any stale or torn state makes two rings of it, or none.
 * (The Cycle workload of FoundationDB.)
 */
import type { Transaction } from '../../../client/index.ts';
import type { ReadRegister, WriteRegister } from '../checker/history.ts';
import { checkInvariant, ringInvariant } from '../checker/invariant.ts';
import { Recorder } from '../checker/recorder.ts';
import { undisturbedMs, type Client } from '../client.ts';
import { attempt, Leave } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

export const ring: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<ReadRegister | WriteRegister>(nowMs);
  const nodes = Array.from({ length: random.pick([3, 4, 8, 20]) }, (_, i) => `ring${i}`);

  function audit(client: Client) {
    return attempt(client, recorder, {
      planned: nodes.map((key) => ({ type: 'read', key })),
      run: async (options) => {
        const names = await client.db.getMany<string>(nodes, options);
        return nodes.map((key, i) => ({ type: 'read', key, value: names[i] ?? null }));
      },
    });
  }

  async function next(tx: Transaction, node: string): Promise<string> {
    const name = await tx.get<string | undefined>(node);
    // A replica that has missed the first writes; a transaction may see that, and comes to nothing then.
    if (name === undefined) throw new Leave();
    return name;
  }

  /** a → b → c → d becomes a → c → b → d. */
  function rewire(client: Client, a: string) {
    return attempt(client, recorder, {
      planned: [{ type: 'write', key: a, value: null }],
      run: async (options, plan) => {
        let done: (ReadRegister | WriteRegister)[] = [];
        await client.db.transaction(async (tx) => {
          const b = await next(tx, a);
          const c = await next(tx, b);
          const d = await next(tx, c);
          tx.set(a, c);
          tx.set(b, d);
          tx.set(c, b);
          done = [{ type: 'read', key: a, value: b }, { type: 'write', key: a, value: c }, { type: 'write', key: b, value: d }, { type: 'write', key: c, value: b }];
          plan(done);
        }, options);
        return done;
      },
    });
  }

  return {
    async setUp({ db }) {
      await db.transaction((tx) => nodes.forEach((node, i) => tx.set(node, nodes[(i + 1) % nodes.length])), { timeoutMs: undisturbedMs });
    },
    async act(client) {
      const { random: chance } = client;
      await (chance.chance(0.25) ? audit(client) : rewire(client, chance.pick(nodes)));
    },
    async finish(client) {
      await audit(client);
    },
    check: () => findingsOf(checkInvariant(recorder.history(), ringInvariant(nodes))),
  };
};
