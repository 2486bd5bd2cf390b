/**
 * Transfers between accounts, by server-side operations with bounds and by interactive transactions. The sum is constant, in the end and
 * in every audit, and no balance is below zero. Each transfer leaves a receipt, written in the same transaction; so in the end it is known
 * exactly which happened, and the balances must be what these make of the opening ones.
 */
import { BoundCrossed } from '../../../client/index.ts';
import type { ReadRegister } from '../checker/history.ts';
import { bankInvariant, checkInvariant } from '../checker/invariant.ts';
import { Recorder } from '../checker/recorder.ts';
import { undisturbedMs, type Client } from '../client.ts';
import { attempt, ended, Leave } from './attempt.ts';
import { findingsOf, type MakeWorkload } from './workload.ts';

interface Transfer {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  outcome: 'ok' | 'failed' | 'unknown';
}

const opening = 100;
const receiptsPerRead = 200;

export const bank: MakeWorkload = (random, nowMs) => {
  const recorder = new Recorder<ReadRegister>(nowMs);
  const accounts = Array.from({ length: 2 + random.below(20) }, (_, i) => `account${i}`);
  const interactiveShare = random.pick([0, 0.5, 1]);
  const amountMax = random.pick([10, 80]);
  const transfers: Transfer[] = [];
  const failures: string[] = [];

  function audit(client: Client) {
    return attempt(client, recorder, {
      planned: accounts.map((key) => ({ type: 'read', key })),
      run: async (options) => {
        const balances = await client.db.getMany<number>(accounts, options);
        return accounts.map((key, i) => ({ type: 'read', key, value: balances[i] ?? null }));
      },
    });
  }

  async function transfer(client: Client): Promise<void> {
    const [from, to] = client.random.shuffled(accounts) as [string, string];
    const amount = 1 + client.random.below(amountMax);
    const own: Transfer = { name: `${transfers.length}`, from, to, amount, outcome: 'unknown' };
    transfers.push(own);
    const { options, done } = client.terms();
    client.tell('begins', `transfer ${own.name} of ${amount} from ${from} to ${to}`);
    const interactive = client.random.chance(interactiveShare);
    const { outcome, error } = await ended(client.db.transaction(async (tx) => {
      tx.set(['receipt', own.name], own.name);
      if (!interactive) {
        tx.add(from, -amount, { min: 0 });
        tx.add(to, amount);
        return;
      }
      const [a, b] = await tx.getMany<number>([from, to]) as [number, number];
      if (a < amount) throw new Leave();
      tx.set(from, a - amount);
      tx.set(to, b + amount);
    }, options), ['bound-crossed']);
    done();
    own.outcome = outcome;
    if (error instanceof BoundCrossed) judgeRefusal(own, error);
    client.ended(outcome, `transfer ${own.name}${error === undefined ? '' : ` ${error.code}: ${error.message}`}`);
  }

  /** The value that a bound clashed with must be one with which it clashes. */
  function judgeRefusal({ name, from, amount }: Transfer, { details: { value, bound } }: BoundCrossed): void {
    if (bound !== 'min' || typeof value !== 'number' || value - amount >= 0) failures.push(`wrong-refusal: transfer ${name} of ${amount} from ${from} was refused at a balance of ${String(value)}`);
  }

  async function judgeReceipts(client: Client): Promise<void> {
    const balances = new Map(accounts.map((account) => [account, opening]));
    for (let first = 0; first < transfers.length; first += receiptsPerRead) {
      const some = transfers.slice(first, first + receiptsPerRead);
      const receipts = await client.db.getMany<string | undefined>(some.map(({ name }) => ['receipt', name]), { timeoutMs: undisturbedMs });
      some.forEach(({ name, outcome, from, to, amount }, i) => {
        const happened = receipts[i] !== undefined;
        if (happened && outcome === 'failed') failures.push(`surplus-transfer: ${name} failed, and its receipt is there`);
        if (!happened && outcome === 'ok') failures.push(`lost-transfer: ${name} was acknowledged, and there is no receipt of it`);
        if (!happened) return;
        balances.set(from, balances.get(from)! - amount);
        balances.set(to, balances.get(to)! + amount);
      });
    }
    const actual = await client.db.getMany<number>(accounts, { timeoutMs: undisturbedMs });
    accounts.forEach((account, i) => {
      if (actual[i] !== balances.get(account)) failures.push(`wrong-balance: ${account} holds ${actual[i]}, and its receipts make ${balances.get(account)}`);
    });
  }

  return {
    async setUp({ db }) {
      await db.transaction((tx) => accounts.forEach((account) => tx.set(account, opening)), { timeoutMs: undisturbedMs });
    },
    async act(client) {
      await (client.random.chance(0.2) ? audit(client) : transfer(client));
    },
    async finish(client) {
      await audit(client);
      await judgeReceipts(client);
    },
    check() {
      const sums = findingsOf(checkInvariant(recorder.history(), bankInvariant(accounts, opening * accounts.length, 0)));
      return { failures: [...sums.failures, ...failures], observations: sums.observations };
    },
  };
};
