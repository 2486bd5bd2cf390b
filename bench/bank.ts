/**
 * A bank: the workload whose faults can't hide.
 *
 * Accounts lie in branches, and money moves between accounts of one branch, so the sum of a branch is the same at every
 * instant: an *audit* reads all of its accounts in one transaction and adds them up, while transfers go on. Every
 * transfer also writes a receipt, under a key of its own that says whose and which transfer it is, in the same transaction.
 *
 * In the end each account must hold what it opened with and what all receipts together say, no more and no less; each
 * transfer that was acknowledged must have its receipt, each that was certainly not made must have none, and
 * one of which nobody knows may have one or not. A lost write, a doubled one, half of a transaction, or an answer that was
 * not true breaks at least one of these.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BoundCrossed, TransactionOutcomeUnknown, type Database, type DtpError, type Key } from '../client/index.ts';

export interface BankOptions {
  readonly branches: number;
  readonly accountsPerBranch: number;
  readonly openingBalance: bigint;
}

export interface Receipt {
  readonly branch: number;
  readonly from: number;
  readonly to: number;
  readonly amount: bigint;
}

/** What a teller was told of a transfer. `refused`: by the bank, for want of money. `failed`: with an error that says that nothing was written. */
export type Outcome = 'acknowledged' | 'refused' | 'failed' | 'unknown';

/** Keys per transaction when many are read or written: well below the limit, and small enough to be quick. */
const batchKeys = 500;
const pauseAfterFailureMs = 10;

export class Bank {
  readonly #options: BankOptions;

  constructor(options: BankOptions) {
    this.#options = options;
  }

  get branches(): number {
    return this.#options.branches;
  }

  get sum(): bigint {
    return this.#branchSum * BigInt(this.#options.branches);
  }

  get #branchSum(): bigint {
    return this.#options.openingBalance * BigInt(this.#options.accountsPerBranch);
  }

  accountKey(branch: number, account: number): Key {
    return ['account', branch, account];
  }

  /** Gives every account its opening balance. */
  async open(db: Database): Promise<void> {
    const keys = Array.from({ length: this.#options.branches }, (_, branch) => this.#accountKeys(branch)).flat();
    for (const batch of batches(keys)) {
      await db.transaction((tx) => {
        for (const key of batch) tx.set(key, this.#options.openingBalance);
      });
    }
  }

  /** Adds up a branch as it is at one instant; what is wrong, or null. */
  async audit(db: Database, branch: number, timeoutMs?: number): Promise<string | null> {
    const balances = await db.getMany<bigint>(this.#accountKeys(branch), { timeoutMs });
    const sum = balances.reduce((total, balance) => total + balance, 0n);
    return sum === this.#branchSum ? null : `branch ${branch} holds ${sum} where it must hold ${this.#branchSum}`;
  }

  /** A transfer to be made: two accounts of one branch, and an amount that they may or may not have. */
  draw(): Receipt {
    const { branches, accountsPerBranch } = this.#options;
    const from = randomBelow(accountsPerBranch);
    return {
      branch: randomBelow(branches),
      from,
      to: (from + 1 + randomBelow(accountsPerBranch - 1)) % accountsPerBranch,
      amount: BigInt(1 + randomBelow(50)),
    };
  }

  /** Compares what is there with what the tellers were told; everything that is wrong. No transfer may be under way. */
  async verify(db: Database, tellers: readonly Teller[]): Promise<string[]> {
    const faults: string[] = [];
    const expected = Array.from({ length: this.#options.branches }, () => new Array<bigint>(this.#options.accountsPerBranch).fill(this.#options.openingBalance));
    for (const teller of tellers) {
      const receipts = await getAll<Receipt | undefined>(db, teller.outcomes.map((_outcome, n) => teller.receiptKey(n)));
      receipts.forEach((receipt, n) => {
        const outcome = teller.outcomes[n] as Outcome;
        const name = `transfer ${n} of teller ${teller.id}`;
        if (receipt === undefined && outcome === 'acknowledged') faults.push(`${name} was acknowledged, and there is no receipt`);
        if (receipt !== undefined && (outcome === 'refused' || outcome === 'failed')) faults.push(`${name} was ${outcome}, and there is a receipt`);
        if (receipt === undefined) return;
        const balances = expected[receipt.branch] as bigint[];
        (balances[receipt.from] as bigint) -= receipt.amount;
        (balances[receipt.to] as bigint) += receipt.amount;
      });
    }
    for (const [branch, balances] of expected.entries()) {
      const found = await getAll<bigint | undefined>(db, this.#accountKeys(branch));
      found.forEach((balance, account) => {
        if (balance !== balances[account]) faults.push(`account ${branch}/${account} holds ${balance}; its receipts say ${balances[account]}`);
      });
      const sum = found.reduce<bigint>((total, balance) => total + (balance ?? 0n), 0n);
      if (sum !== this.#branchSum) faults.push(`branch ${branch} holds ${sum} where it must hold ${this.#branchSum}`);
    }
    return faults;
  }

  #accountKeys(branch: number): Key[] {
    return Array.from({ length: this.#options.accountsPerBranch }, (_, account) => this.accountKey(branch, account));
  }
}

/** Makes one transfer after another, and remembers what it was told of each. */
export class Teller {
  readonly id: number;
  /** By the number of the transfer. */
  readonly outcomes: Outcome[] = [];
  readonly counts: Record<Outcome, number> = { acknowledged: 0, refused: 0, failed: 0, unknown: 0 };
  /** How often each error was met. */
  readonly errors = new Map<string, number>();
  /** The longest time between two transfers acknowledged in a row, and the longest that one call took. */
  longestPauseMs = 0;
  longestCallMs = 0;
  readonly #bank: Bank;
  readonly #db: Database;

  constructor(bank: Bank, db: Database, id: number) {
    this.#bank = bank;
    this.#db = db;
    this.id = id;
  }

  receiptKey(n: number): Key {
    return ['transfer', this.id, n];
  }

  /** Works until told to go home, or the database is closed. Rejects with an error that is none of the database's. */
  async work(goesOn: () => boolean): Promise<void> {
    let acknowledgedAtMs = performance.now();
    while (goesOn() && !this.errors.has('closed')) {
      const n = this.outcomes.length;
      const begunAtMs = performance.now();
      const outcome = await this.#outcomeOf(this.#transfer(n));
      const nowMs = performance.now();
      this.outcomes.push(outcome);
      this.counts[outcome]++;
      this.longestCallMs = Math.max(this.longestCallMs, nowMs - begunAtMs);
      // Errors that come at once must let others run.
      if (outcome === 'failed') await delay(pauseAfterFailureMs);
      if (outcome !== 'acknowledged') continue;
      this.longestPauseMs = Math.max(this.longestPauseMs, nowMs - acknowledgedAtMs);
      acknowledgedAtMs = nowMs;
    }
  }

  /** In turn by a function that reads and writes, and by operations that the cluster applies. */
  #transfer(n: number): Promise<void> {
    const receipt = this.#bank.draw();
    const from = this.#bank.accountKey(receipt.branch, receipt.from);
    const to = this.#bank.accountKey(receipt.branch, receipt.to);
    return this.#db.transaction(async (tx) => {
      if (n % 2 === 0) {
        const [source, target] = await tx.getMany<bigint>([from, to]) as [bigint, bigint];
        if (source < receipt.amount) throw new Refusal('not enough money');
        tx.set(from, source - receipt.amount);
        tx.set(to, target + receipt.amount);
      } else {
        tx.add(from, -receipt.amount, { min: 0n });
        tx.add(to, receipt.amount);
      }
      tx.set(this.receiptKey(n), receipt);
    });
  }

  async #outcomeOf(transfer: Promise<void>): Promise<Outcome> {
    try {
      await transfer;
      return 'acknowledged';
    } catch (error) {
      if (error instanceof Refusal || error instanceof BoundCrossed) return 'refused';
      const { code } = error as Partial<DtpError>;
      if (code === undefined) throw error;
      this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
      return error instanceof TransactionOutcomeUnknown ? 'unknown' : 'failed';
    }
  }
}

/** The bank's own refusal, thrown inside a transaction. */
class Refusal extends Error {}

async function getAll<T>(db: Database, keys: readonly Key[]): Promise<T[]> {
  const values: T[] = [];
  for (const batch of batches(keys)) values.push(...(await db.getMany<T>(batch)));
  return values;
}

function batches<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / batchKeys) }, (_, index) => items.slice(index * batchKeys, (index + 1) * batchKeys));
}

function randomBelow(end: number): number {
  return Math.floor(Math.random() * end);
}
