/**
 * The same transfers as one call that the server applies: W5 and W6. An account is one integer here, for that is what
 * servers add to: its balance, and 2^32 for each change of it. So sums of such integers tell the sum of the balances and the
 * number of the changes.
 */
import { chooser, type Chooser } from '../load/choosers.ts';
import { batches, isDefinite, type Counters, type Session } from '../targets/session.ts';
import { faultsOfSums, type TransferEvidence } from './transfers.ts';
import { keyOf } from './values.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

const kind = 'counter';
const opening = 1_000n;
const change = 1n << 32n;
const batchKeys = 10_000;

export class ServerSideWorkload implements Workload {
  readonly #keys: readonly string[];
  readonly #choose: Chooser;
  #acknowledged = 0;
  #uncertain = 0;

  constructor({ keys, distribution }: WorkloadOptions) {
    this.#keys = Array.from({ length: keys }, (_, index) => keyOf(kind, index));
    this.#choose = chooser(distribution, keys);
  }

  async prepare(session: Session): Promise<number> {
    for (const batch of batches(this.#keys, batchKeys)) await countersOf(session).fill(batch, opening);
    return this.#keys.length;
  }

  async call(session: Session): Promise<number> {
    const from = this.#choose();
    let to = this.#choose();
    while (to === from) to = this.#choose();
    try {
      await countersOf(session).add([[this.#keys[from] as string, change - 1n], [this.#keys[to] as string, change + 1n]]);
      this.#acknowledged++;
      return 1;
    } catch (error) {
      if (!isDefinite(error)) this.#uncertain++;
      throw error;
    }
  }

  evidence(): TransferEvidence {
    return { acknowledged: this.#acknowledged, uncertain: this.#uncertain, wrongReads: 0 };
  }

  async verify(session: Session, evidence: readonly unknown[]): Promise<string[]> {
    let sum = 0n;
    for (const batch of batches(this.#keys, batchKeys)) for (const value of await countersOf(session).read(batch)) sum += value;
    const expectedBalance = opening * BigInt(this.#keys.length);
    // The sum of the balances is small beside a change, so rounding tells how many there were.
    const changes = (sum - expectedBalance + change / 2n) / change;
    return faultsOfSums(evidence as readonly TransferEvidence[], { balance: Number(sum - changes * change), changes: Number(changes) / 2 }, Number(expectedBalance));
  }
}

function countersOf({ counters }: Session): Counters {
  if (counters === null) throw new Error('this target has no counters on its servers');
  return counters;
}
