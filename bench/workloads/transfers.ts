/**
 * Transactions that read some keys and write them all: W3 and W4 (transfers between two accounts) and YCSB's F (a
 * read, or one key read and written). The sum of all balances must stay, and each change is counted in the account: together they
 * must be as many as were acknowledged, or as many more as nobody knows the outcome of.
 */
import { chooser, type Chooser } from '../load/choosers.ts';
import { inParallel, isDefinite, type Session } from '../targets/session.ts';
import { accountOf, accountValue, keyOf } from './values.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

export interface TransferOptions {
  /** Accounts of one transaction: one, or two. */
  readonly accounts: 1 | 2;
  /** Of all calls, reads of one account. */
  readonly readShare: number;
}

export interface TransferEvidence {
  readonly acknowledged: number;
  readonly uncertain: number;
  readonly wrongReads: number;
}

const kind = 'account';
const opening = { balance: 1_000, changes: 0 } as const;
const fillKeys = 50_000;
const readsAtOnce = 256;

export class TransferWorkload implements Workload {
  readonly #transfer: TransferOptions;
  readonly #options: WorkloadOptions;
  readonly #choose: Chooser;
  #acknowledged = 0;
  #uncertain = 0;
  #wrongReads = 0;

  constructor(transfer: TransferOptions, options: WorkloadOptions) {
    this.#transfer = transfer;
    this.#options = options;
    this.#choose = chooser(options.distribution, options.keys);
  }

  async prepare(session: Session): Promise<number> {
    const { keys, valueBytes } = this.#options;
    for (let from = 0; from < keys; from += fillKeys) {
      await session.fill(Array.from({ length: Math.min(fillKeys, keys - from) }, (_, i) => [keyOf(kind, from + i), accountValue(valueBytes, from + i, opening)] as const));
    }
    return keys;
  }

  async call(session: Session): Promise<number> {
    const indexes = this.#draw();
    if (Math.random() < this.#transfer.readShare) {
      if (await session.get(keyOf(kind, indexes[0] as number)) === null) this.#wrongReads++;
      return 1;
    }
    try {
      const attempts = await session.update(indexes.map((index) => keyOf(kind, index)), (values) => values.map((value, i) => {
        const { balance, changes } = accountOf(value as Buffer);
        const amount = indexes.length === 1 ? 0 : i === 0 ? -1 : 1;
        return accountValue(this.#options.valueBytes, indexes[i] as number, { balance: balance + amount, changes: changes + 1 });
      }));
      this.#acknowledged++;
      return attempts;
    } catch (error) {
      if (!isDefinite(error)) this.#uncertain++;
      throw error;
    }
  }

  evidence(): TransferEvidence {
    return { acknowledged: this.#acknowledged, uncertain: this.#uncertain, wrongReads: this.#wrongReads };
  }

  async verify(session: Session, evidence: readonly unknown[]): Promise<string[]> {
    const { keys } = this.#options;
    const faults: string[] = [];
    let [balance, changes] = [0, 0];
    await inParallel(Array.from({ length: keys }, (_, index) => index), readsAtOnce, async (index) => {
      const value = await session.get(keyOf(kind, index));
      if (value === null) return void faults.push(`account ${index} is gone`);
      const account = accountOf(value);
      balance += account.balance;
      changes += account.changes;
    });
    return [...faults, ...faultsOfSums(evidence as readonly TransferEvidence[], { balance, changes: changes / this.#transfer.accounts }, keys * opening.balance)];
  }

  #draw(): number[] {
    const from = this.#choose();
    if (this.#transfer.accounts === 1) return [from];
    let to = this.#choose();
    while (to === from) to = this.#choose();
    return [from, to];
  }
}

/** `changes`: of transactions, not of accounts. */
export function faultsOfSums(evidence: readonly TransferEvidence[], found: { readonly balance: number; readonly changes: number }, expectedBalance: number): string[] {
  const sum = (of: (each: TransferEvidence) => number): number => evidence.reduce((total, each) => total + of(each), 0);
  const [acknowledged, uncertain, wrongReads] = [sum((each) => each.acknowledged), sum((each) => each.uncertain), sum((each) => each.wrongReads)];
  const faults: string[] = [];
  if (found.balance !== expectedBalance) faults.push(`the accounts hold ${found.balance} where they must hold ${expectedBalance}`);
  if (found.changes < acknowledged || found.changes > acknowledged + uncertain) faults.push(`the accounts were changed by ${found.changes} transactions; ${acknowledged} were acknowledged, and of ${uncertain} nobody knows`);
  if (wrongReads > 0) faults.push(`${wrongReads} reads found no account`);
  return faults;
}
