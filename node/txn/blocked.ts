/** Transactions that wait for nodes that are away, as operators and waiting clients are told of them. */
import { formatTxnId, type Key } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Ledger } from './ledger.ts';
import type { Blocked } from './attempt.ts';
import type { Recovery } from './recovery.ts';

export interface BlockedStatus {
  readonly count: number;
  /** Those that wait longest. */
  readonly first: readonly {
    readonly transaction: string;
    readonly protocol: string;
    readonly waitsFor: readonly string[];
    readonly sinceMs: number;
    /** How many keys it locks at this node. */
    readonly keys: number;
  }[];
}

const shownMax = 20;

export class BlockedView {
  readonly #topology: Topology;
  readonly #ledger: Ledger;
  readonly #recovery: Pick<Recovery, 'blocked' | 'blockedAt'>;
  readonly #nowMs: () => number;

  constructor({ topology, ledger, recovery, nowMs }: { topology: Topology; ledger: Ledger; recovery: Pick<Recovery, 'blocked' | 'blockedAt'>; nowMs: () => number }) {
    this.#topology = topology;
    this.#ledger = ledger;
    this.#recovery = recovery;
    this.#nowMs = nowMs;
  }

  get status(): BlockedStatus {
    const { blocked } = this.#recovery;
    const first = blocked.sort((a, b) => a.sinceMs - b.sinceMs).slice(0, shownMax).map((each) => (
      { transaction: formatTxnId(each.id), protocol: each.protocol, waitsFor: each.waitsFor, sinceMs: this.#ageMs(each), keys: this.#keysOf(each) }
    ));
    return { count: blocked.length, first };
  }

  /** Of these keys, one that a blocked transaction locks here, in words; null if there is none. */
  inTheWayOf(keys: readonly Key[]): string | null {
    for (const key of keys) {
      const holder = this.#ledger.locks.holderOf(key, true);
      const blocked = holder === null ? null : this.#recovery.blockedAt(holder.id);
      if (blocked !== null) return `a key of it is locked by transaction ${this.inWords(blocked)}`;
    }
    return null;
  }

  inWords(blocked: Blocked): string {
    return `${formatTxnId(blocked.id)} (${blocked.protocol}), which has been waiting for ${blocked.waitsFor.join(', ')} for ${Math.round(this.#ageMs(blocked) / 1_000)} s (dtp status)`;
  }

  #ageMs({ sinceMs }: Blocked): number {
    return Math.max(0, Math.round(this.#nowMs() - sinceMs));
  }

  #keysOf({ id }: Blocked): number {
    const record = this.#ledger.find(id);
    if (record === undefined || record.timestamp === 0 || record.body === null) return 0;
    const { readKeys, readPartitions, writeKeys, writePartitions } = this.#ledger.parse(record.body);
    const mine = (keys: readonly Key[], partitions: readonly number[]) => keys.filter((_key, i) => this.#topology.isMine(partitions[i] as number));
    return new Set([...mine(readKeys, readPartitions), ...mine(writeKeys, writePartitions)]).size;
  }
}
