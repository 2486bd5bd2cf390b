/**
 * Which deletions are remembered, and how.
 *
 * A deleted key leaves a *tombstone*, a version without a value, so that an older version that comes late, or a replica that
 * missed the deletion, can't bring the key back. When all replicas are known to have it (heal/collection.ts), it may go, and one
 * number takes the place of all of a partition's tombstones up to then: the timestamp `collected`. Of a key that is
 * absent here, everything committed up to there is known to be deleted; nothing that old is ever taken in for it.
 *
 * Both the number and the count of tombstones are kept beside the data in the table, where they change with it.
 */
import type { Put, Table } from '../runtime/runtime.ts';
import { bookkeepingPut, soundValue, tombstoneBounds, tombstoneKey } from './rows.ts';

const recordBytes = 12;

export class Tombstones {
  readonly #collected: Float64Array;
  readonly #kept: Int32Array;
  /** The same as far as the table has them. */
  readonly #tableCollected: Float64Array;
  readonly #tableKept: Int32Array;
  /** Partitions whose record in the table is not as it should be. */
  readonly #changed = new Set<number>();
  #keptTotal = 0;
  /** Partitions whose record could not be read back: what became of keys that are absent there is not known any more. */
  readonly damaged = new Set<number>();

  /** Takes back what the table has. */
  constructor(table: Pick<Table, 'range'>, partitions: number) {
    this.#collected = new Float64Array(partitions);
    this.#kept = new Int32Array(partitions);
    for (const { key, value: row } of table.range(...tombstoneBounds)) {
      const partition = key.length === 3 ? key.readUInt16BE(1) : partitions;
      if (partition >= partitions) continue;
      const value = soundValue(key, row);
      if (value === null || value.length !== recordBytes) {
        this.damaged.add(partition);
        continue;
      }
      this.#collected[partition] = value.readDoubleLE(0);
      this.#kept[partition] = value.readUInt32LE(8);
      this.#keptTotal += value.readUInt32LE(8);
    }
    this.#tableCollected = this.#collected.slice();
    this.#tableKept = this.#kept.slice();
  }

  /** Of keys that are absent, everything up to here is known to be deleted; 0 at first. */
  collected(partition: number): number {
    return this.#collected[partition] as number;
  }

  kept(partition: number): number {
    return this.#kept[partition] as number;
  }

  /** In all partitions. */
  get keptTotal(): number {
    return this.#keptTotal;
  }

  setCollected(partition: number, timestamp: number): void {
    this.#collected[partition] = timestamp;
  }

  count(partition: number, change: number): void {
    this.#kept[partition] = this.kept(partition) + change;
    this.#keptTotal += change;
  }

  /** It can't be told any more of absent keys what became of them. */
  forgetCollected(partition: number): void {
    this.setCollected(partition, 0);
    this.setTableCollected(partition, 0);
  }

  /** So many there are. */
  recounted(partition: number, kept: number): void {
    const change = kept - this.kept(partition);
    this.count(partition, change);
    this.countInTable(partition, change);
    this.#changed.add(partition);
  }

  /* What a checkpoint writes. */

  setTableCollected(partition: number, timestamp: number): void {
    if (this.#tableCollected[partition] === timestamp) return;
    this.#tableCollected[partition] = timestamp;
    this.#changed.add(partition);
  }

  countInTable(partition: number, change: number): void {
    if (change === 0) return;
    this.#tableKept[partition] = (this.#tableKept[partition] as number) + change;
    this.#changed.add(partition);
  }

  /** The partition's record, if it has changed since this was last asked. */
  puts(partition: number): Put[] {
    if (!this.#changed.delete(partition)) return [];
    const value = Buffer.allocUnsafe(recordBytes);
    value.writeDoubleLE(this.#tableCollected[partition] as number, 0);
    value.writeUInt32LE(this.#tableKept[partition] as number, 8);
    return [bookkeepingPut(tombstoneKey(partition), value)];
  }
}
