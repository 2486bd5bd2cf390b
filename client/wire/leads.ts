/**
 * Where transactions on contended keys meet: for each such key the partition that *leads* it.
 *
 * Transactions queue at their coordinator instead of aborting one another, but only those that have the same one. A
 * transaction goes to the coordinator of its home partition (placement.ts), which is the same for all partitions with the same
 * replicas; so two on one key whose homes have different replicas may have two. Once that is found out, all that touch the key go to
 * the coordinator of one partition, whatever their homes are. Where all partitions have the same replicas there is nothing to lead. Keys
 * that share transactions must share that partition too: it is the least of all partitions that any key of such a bundle had
 * before. Each meeting can only lower it, so a bundle ends at one (label propagation; Raghavan, Albert and Kumara, 2007,
 * with the least label winning). Partitions are hashes of keys, so different bundles spread over the coordinators that there are.
 *
 * It is a hint: any node may coordinate anything. So it may be wrong, be forgotten, and be different at different places.
 */
import type { Key } from './messages.ts';

/** Not prolonged by use: bundles that were tied together by what is long over must come apart again. */
export const leadTtlMs = 60_000;
/** When there are more, the one that was learned first is forgotten. */
export const leadsMax = 4_096;

interface Lead {
  readonly partition: number;
  readonly untilMs: number;
}

export class Leads {
  readonly #leads = new Map<Key, Lead>();

  get size(): number {
    return this.#leads.size;
  }

  /** The partition leads these keys from now on, except those that a lesser one leads. Times are monotonic. */
  learn(keys: Iterable<Key>, partition: number, nowMs: number): void {
    for (const key of keys) {
      const known = this.#current(key, nowMs);
      if (known !== undefined && known.partition < partition) continue;
      this.#leads.delete(key);
      // A copy: the string as it was decoded may hold on to the frame that it came in.
      this.#leads.set(Buffer.from(key, 'latin1').toString('latin1'), { partition, untilMs: nowMs + leadTtlMs });
      if (this.#leads.size > leadsMax) this.#leads.delete(this.#leads.keys().next().value as Key);
    }
  }

  /** The partition that leads the key, if one does. */
  of(key: Key, nowMs: number): number | undefined {
    return this.#leads.size === 0 ? undefined : this.#current(key, nowMs)?.partition;
  }

  /** The least of the partitions that lead any of these keys; null if none does. */
  least(keys: Iterable<Key>, nowMs: number): number | null {
    let least: number | null = null;
    if (this.#leads.size === 0) return least;
    for (const key of keys) {
      const partition = this.#current(key, nowMs)?.partition;
      if (partition !== undefined && (least === null || partition < least)) least = partition;
    }
    return least;
  }

  #current(key: Key, nowMs: number): Lead | undefined {
    const lead = this.#leads.get(key);
    if (lead === undefined || lead.untilMs > nowMs) return lead;
    this.#leads.delete(key);
    return undefined;
  }
}
