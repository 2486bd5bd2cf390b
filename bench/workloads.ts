/** What the callers of a benchmark do, and how it is known afterwards that it was done. */
import type { Database, Key } from '../client/index.ts';

export interface Workload {
  /** Puts there what the calls need. */
  prepare(db: Database): Promise<void>;
  call(db: Database): Promise<void>;
  /** Everything that is wrong when all calls are over. */
  verify(db: Database): Promise<string[]>;
}

export const workloadNames = ['set', 'transfer', 'hot', 'get'] as const;
export type WorkloadName = (typeof workloadNames)[number];

const keysMax = 10_000;
const valueBytes = 100;
const batchKeys = 500;

export function makeWorkload(name: WorkloadName): Workload {
  switch (name) {
    case 'set':
      return new SetWorkload();
    case 'transfer':
      return new TransferWorkload(keysMax);
    case 'hot':
      return new TransferWorkload(10);
    case 'get':
      return new GetWorkload();
  }
}

const keyOf = (kind: string, index: number): Key => [kind, index];
const randomBelow = (end: number): number => Math.floor(Math.random() * end);

/** Blind writes of single keys. In the end each key must hold the write with the highest version of those acknowledged. */
class SetWorkload implements Workload {
  #sequence = 0;
  readonly #newest = new Map<number, { version: number; sequence: number }>();
  /** Keys of which a write failed, so that nobody can say what they must hold. */
  readonly #uncertain = new Set<number>();

  async prepare(): Promise<void> {}

  async call(db: Database): Promise<void> {
    const index = randomBelow(keysMax);
    const sequence = ++this.#sequence;
    const value = Buffer.alloc(valueBytes);
    value.writeDoubleLE(sequence);
    try {
      const { version } = await db.set(keyOf('set', index), value);
      if (version > (this.#newest.get(index)?.version ?? 0)) this.#newest.set(index, { version, sequence });
    } catch (error) {
      this.#uncertain.add(index);
      throw error;
    }
  }

  async verify(db: Database): Promise<string[]> {
    const faults: string[] = [];
    const indexes = [...this.#newest.keys()].filter((index) => !this.#uncertain.has(index));
    await inBatches(indexes, async (index) => {
      const entry = await db.entry<Uint8Array>(keyOf('set', index));
      const newest = this.#newest.get(index);
      const sequence = entry === undefined ? null : Buffer.from(entry.value).readDoubleLE();
      if (entry?.version !== newest?.version || sequence !== newest?.sequence) {
        faults.push(`key ${index} holds write ${sequence} of version ${entry?.version}; the newest acknowledged is ${newest?.sequence} of version ${newest?.version}`);
      }
    });
    return faults;
  }
}

interface Account {
  readonly balance: number;
  readonly note: string;
}

const opening: Account = { balance: 1_000, note: '-'.repeat(valueBytes - 24) };

/** Transactions that read two accounts and write both. The sum must stay. */
class TransferWorkload implements Workload {
  readonly #accounts: number;

  constructor(accounts: number) {
    this.#accounts = accounts;
  }

  async prepare(db: Database): Promise<void> {
    for (let from = 0; from < this.#accounts; from += batchKeys) {
      await db.transaction((tx) => {
        for (let index = from; index < Math.min(this.#accounts, from + batchKeys); index++) tx.set(keyOf('account', index), opening);
      });
    }
  }

  async call(db: Database): Promise<void> {
    const from = randomBelow(this.#accounts);
    const to = (from + 1 + randomBelow(this.#accounts - 1)) % this.#accounts;
    const keys = [keyOf('account', from), keyOf('account', to)] as const;
    await db.transaction(async (tx) => {
      const [source, target] = await tx.getMany<Account>(keys) as [Account, Account];
      tx.set(keys[0], { ...source, balance: source.balance - 1 });
      tx.set(keys[1], { ...target, balance: target.balance + 1 });
    });
  }

  async verify(db: Database): Promise<string[]> {
    let sum = 0;
    await inBatches(Array.from({ length: this.#accounts }, (_, index) => index), async (index) => {
      const { balance } = await db.get<Account>(keyOf('account', index));
      sum += balance;
    });
    const expected = this.#accounts * opening.balance;
    return sum === expected ? [] : [`the accounts hold ${sum} where they must hold ${expected}`];
  }
}

/** Linearizable reads of single keys. */
class GetWorkload implements Workload {
  #wrong = 0;

  async prepare(db: Database): Promise<void> {
    for (let from = 0; from < keysMax; from += batchKeys) {
      await db.transaction((tx) => {
        for (let index = from; index < from + batchKeys; index++) {
          const value = Buffer.alloc(valueBytes);
          value.writeDoubleLE(index);
          tx.set(keyOf('get', index), value);
        }
      });
    }
  }

  async call(db: Database): Promise<void> {
    const index = randomBelow(keysMax);
    const value = await db.get<Uint8Array>(keyOf('get', index));
    if (Buffer.from(value).readDoubleLE() !== index) this.#wrong++;
  }

  async verify(): Promise<string[]> {
    return this.#wrong === 0 ? [] : [`${this.#wrong} reads gave another value than was written`];
  }
}

/** Enough at once to be quick, few enough to be no load of their own. */
async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += batchKeys) await Promise.all(items.slice(from, from + batchKeys).map(work));
}
