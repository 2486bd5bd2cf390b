/** Lists appended to and read by transactions of several keys: the workload from whose reads all orders can be inferred. */
import type { Transaction } from '../../../client/index.ts';
import { checkAppend } from '../checker/append.ts';
import type { Element, ListOperation } from '../checker/history.ts';
import { Recorder } from '../checker/recorder.ts';
import type { Client } from '../client.ts';
import { attempt, Leave } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

type List = readonly Element[] | undefined;

export const append: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<ListOperation>(nowMs);
  const keys = Array.from({ length: random.pick([1, 3, 6, 12]) }, (_, i) => `list${i}`);
  const lengthMax = random.pick([1, 2, 4, 8]);
  const readShare = random.pick([0.2, 0.5, 0.8]);
  let elements = 0;

  async function step(tx: Transaction, micro: ListOperation): Promise<ListOperation> {
    const list = (await tx.get<List>(micro.key)) ?? [];
    if (micro.type === 'read-list') return { ...micro, list };
    tx.set(micro.key, [...list, micro.element]);
    return micro;
  }

  /** Runs a planned list of micro-operations as one transaction; now and then it changes its mind at the end. */
  function transact(client: Client, planned: readonly ListOperation[], leaves = false) {
    return attempt(client, recorder, {
      planned,
      run: async (options, plan) => {
        let done: ListOperation[] = [];
        await client.db.transaction(async (tx) => {
          done = [];
          for (const micro of planned) done.push(await step(tx, micro));
          plan(done);
          if (leaves) throw new Leave();
        }, options);
        return done;
      },
    });
  }

  /** All at once, in a transaction that only reads, or a single key by itself. */
  function readTogether({ db }: Client, planned: readonly ListOperation[], single: boolean) {
    return async (options: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined }): Promise<ListOperation[]> => {
      const lists = single ? [await db.get<List>(planned[0]!.key, options)] : await db.getMany<List>(planned.map(({ key }) => key), options);
      return planned.map(({ key }, i) => ({ type: 'read-list', key, list: lists[i] ?? [] }));
    };
  }

  function reads(client: Client, of: readonly string[], single: boolean) {
    const planned = of.map((key): ListOperation => ({ type: 'read-list', key }));
    return attempt(client, recorder, { planned, run: readTogether(client, planned, single) });
  }

  return {
    async setUp() {},
    async act(client) {
      const { random: chance } = client;
      const draw = chance.float();
      if (draw < 0.1) await reads(client, [chance.pick(keys)], true);
      else if (draw < 0.2) await reads(client, chance.shuffled(keys).slice(0, 1 + chance.below(keys.length)), false);
      else {
        const planned = Array.from({ length: 1 + chance.below(lengthMax) }, (): ListOperation => {
          const key = chance.pick(keys);
          return chance.chance(readShare) ? { type: 'read-list', key } : { type: 'append', key, element: ++elements };
        });
        await transact(client, planned, chance.chance(0.03));
      }
    },
    async finish(client) {
      for (const key of keys) await reads(client, [key], true);
    },
    check: () => findingsOf(checkAppend(recorder.history())),
  };
};
