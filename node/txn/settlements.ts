/**
 * What operators decided about blocked transactions, for as long as somebody might come back who had decided otherwise.
 *
 * A coordinator that never returns is replaced, so nothing else ends that time; the oldest are dropped beyond a number that
 * no operator comes to by hand.
 */
import { formatTxnId, type Decision, type TxnId } from '../../client/wire/messages.ts';

export interface Settlement {
  readonly id: TxnId;
  readonly decision: Decision;
  /** Wall-clock milliseconds at which it was decided, by the clock of `node`. */
  readonly atMs: number;
  /** The node that the operator asked. */
  readonly node: string;
}

const settlementsMax = 256;
const suffixOfAll = 'settlements';

export class Settlements {
  /** Oldest first. */
  readonly #byName = new Map<string, Settlement>();
  #changed = false;

  [Symbol.iterator](): Iterator<Settlement> {
    return this.#byName.values();
  }

  get size(): number {
    return this.#byName.size;
  }

  find(id: TxnId): Settlement | undefined {
    return this.#byName.size === 0 ? undefined : this.#byName.get(formatTxnId(id));
  }

  /** The first word on a transaction stands. */
  add(settlement: Settlement): void {
    const name = formatTxnId(settlement.id);
    if (this.#byName.has(name)) return;
    this.#byName.set(name, settlement);
    this.#changed = true;
    for (const oldest of this.#byName.keys()) {
      if (this.#byName.size <= settlementsMax) return;
      this.#byName.delete(oldest);
    }
  }

  persist(): [suffix: string, value: Buffer | null][] {
    if (!this.#changed) return [];
    this.#changed = false;
    return [[suffixOfAll, Buffer.from(JSON.stringify([...this.#byName.values()]))]];
  }

  /** Takes back what `persist` gave. Returns false if it is something else. */
  restore(suffix: string, value: Buffer): boolean {
    if (suffix !== suffixOfAll) return false;
    for (const settlement of JSON.parse(value.toString()) as Settlement[]) this.add(settlement);
    this.#changed = false;
    return true;
  }
}
