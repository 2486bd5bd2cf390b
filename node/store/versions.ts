/**
 * The data: the newest committed version of each key, in the overlay or else in the table, and the digests of all of it.
 * Digests are kept twice: of table plus overlay, which is what replicas compare, and of the table alone, which is what
 * lies in the table and what a restart begins with.
 */
import type { Key, Value, Version } from '../../client/wire/messages.ts';
import { invariant } from '../invariant.ts';
import type { Put, Table } from '../runtime/runtime.ts';
import { Digests, leafBytes, partitionDigestBytes } from './digests.ts';
import { checksumOf, itemOf, leafOf, leavesPerPartition } from './hash.ts';
import { absent, HeadCache } from './heads.ts';
import { Overlay } from './overlay.ts';
import { bookkeepingPut, bookkeepingValue, dataFrom, dataKey, dataTo, decodeRow, digestBounds, digestKey, keyOfDataKey, type Row } from './rows.ts';
import { StoreError, type CorruptValue } from './store-error.ts';
import type { Entry, Head } from './types.ts';

const none = { a: 0n, b: 0n };

export class Versions {
  readonly table: Table;
  readonly overlay = new Overlay();
  readonly heads: HeadCache;
  readonly digests: Digests;
  readonly tableDigests: Digests;
  readonly #partitionOf: (key: Key) => number;
  readonly #damaged: (partition: number, error: CorruptValue) => void;

  /** Loads the digests. Throws StoreError. A data row that is found damaged later is told to `damaged`, and then read as if it were not there. */
  constructor(table: Table, headCacheEntries: number, partitions: number, partitionOf: (key: Key) => number, damaged: (partition: number, error: CorruptValue) => void) {
    this.table = table;
    this.heads = new HeadCache(headCacheEntries);
    this.digests = new Digests(partitions);
    this.tableDigests = new Digests(partitions);
    this.#partitionOf = partitionOf;
    this.#damaged = damaged;
    for (const { key, value: row } of table.range(...digestBounds)) {
      const value = bookkeepingValue(key, row);
      const partition = key.length === 3 ? key.readUInt16BE(1) : partitions;
      if (partition >= partitions || value.length !== partitionDigestBytes) {
        throw new StoreError('corrupt-table', `the digest record ${key.toString('hex')} of the data table can't be read. Nothing was changed.`);
      }
      this.digests.load(partition, value);
      this.tableDigests.load(partition, value);
    }
  }

  head(key: Key): Head | undefined {
    const installed = this.overlay.get(key);
    if (installed !== undefined) return installed;
    const head = this.heads.get(key) ?? this.#readHead(this.#partitionOf(key), key);
    return head === absent ? undefined : head;
  }

  entry(key: Key): Entry | undefined {
    const installed = this.overlay.get(key);
    if (installed !== undefined) return installed;
    return this.heads.get(key) === absent ? undefined : this.#readRow(this.#partitionOf(key), key);
  }

  install(partition: number, key: Key, version: Version, value: Value): boolean {
    invariant(Number.isSafeInteger(version) && version > 0, `version ${version}`);
    const covered = this.overlay.get(key);
    const before = covered ?? this.heads.get(key) ?? this.#readHead(partition, key);
    if (version <= before.version) return false;

    const leaf = covered?.leaf ?? leafOf(key);
    const was = covered !== undefined || before === absent ? none : itemOf(key, before.version, before.checksum, before.tombstone);
    const wasA = covered?.itemA ?? was.a;
    const wasB = covered?.itemB ?? was.b;
    const active = covered === undefined ? undefined : this.overlay.getActive(key);
    const baseA = active?.baseA ?? wasA;
    const baseB = active?.baseB ?? wasB;
    const checksum = checksumOf(key, version, value);
    const { a: itemA, b: itemB } = itemOf(key, version, checksum, value === null);

    this.overlay.set(key, { version, tombstone: value === null, checksum, value, partition, leaf, itemA, itemB, baseA, baseB });
    this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);
    return true;
  }

  list(partition: number, leafMask: number, after: Key | null, limit: number): { entries: [Key, Version][]; more: boolean } {
    const entries: [Key, Version][] = [];
    const wanted = (key: Key): boolean => ((leafMask >>> leafOf(key)) & 1) === 1;
    for (const [key, { version }] of this.#walk(partition, after, wanted)) {
      if (entries.length >= limit) return { entries, more: true };
      entries.push([key, version]);
    }
    return { entries, more: false };
  }

  rebuildLeaves(partition: number): Uint8Array {
    return this.#rebuild(partition);
  }

  /**
   * Makes the partition consistent without its damaged rows: gives what removes them from the table, together with its digests, and has forgotten
   * them when it returns. What a damaged row added to its leaf's digest can't be read from it any more; it is what the leaf has too much.
   */
  withoutDamage(partition: number): Put[] {
    const damaged: Key[] = [];
    const rebuilt = this.#rebuild(partition, (key) => damaged.push(key));
    const has = this.digests.leaves(partition);
    for (let leaf = 0; leaf < leavesPerPartition; leaf++) {
      const lane = (at: number): bigint => has.readBigUInt64LE(leaf * leafBytes + at) - rebuilt.readBigUInt64LE(leaf * leafBytes + at);
      for (const digests of [this.digests, this.tableDigests]) digests.change(partition, leaf, 0n, 0n, lane(0), lane(8));
    }
    for (const key of damaged) this.heads.set(key, absent);
    return [...damaged.map((key): Put => [dataKey(partition, key), null]), bookkeepingPut(digestKey(partition), this.tableDigests.leaves(partition))];
  }

  #rebuild(partition: number, damaged?: (key: Key) => void): Buffer {
    const rebuilt = new Digests(1);
    for (const [key, { version, checksum, tombstone }] of this.#walk(partition, null, () => true, damaged)) {
      const { a, b } = itemOf(key, version, checksum, tombstone);
      rebuilt.change(0, leafOf(key), a, b, 0n, 0n);
    }
    return rebuilt.leaves(0);
  }

  /** Heads of a partition in key order, from behind `after` on. Keys that `wanted` refuses are not even decoded. Damaged rows are passed over. */
  * #walk(partition: number, after: Key | null, wanted: (key: Key) => boolean, damaged?: (key: Key) => void): Generator<[Key, Head]> {
    const fresh = [...new Set(this.overlay.keysOf(partition))].filter((key) => (after === null || key > after) && wanted(key)).sort();
    let next = 0;
    for (const row of this.table.range(dataFrom(partition, after), dataTo(partition))) {
      const key = keyOfDataKey(row.key);
      while (next < fresh.length && (fresh[next] as Key) < key) yield this.#installed(fresh[next++] as Key);
      if (fresh[next] === key) yield this.#installed(fresh[next++] as Key);
      else if (wanted(key)) {
        const read = this.#decode(partition, key, row.value, damaged);
        if (read !== null) yield [key, read];
      }
    }
    while (next < fresh.length) yield this.#installed(fresh[next++] as Key);
  }

  #installed(key: Key): [Key, Head] {
    return [key, this.overlay.get(key) as Head];
  }

  #readHead(partition: number, key: Key): Head {
    this.#readRow(partition, key);
    return this.heads.get(key) as Head;
  }

  /** The table's row; its head is remembered. */
  #readRow(partition: number, key: Key): Row | undefined {
    const bytes = this.table.get(dataKey(partition, key));
    if (bytes === undefined) {
      this.heads.set(key, absent);
      return undefined;
    }
    const row = this.#decode(partition, key, bytes);
    this.heads.set(key, row === null ? absent : { version: row.version, tombstone: row.tombstone, checksum: row.checksum });
    return row ?? undefined;
  }

  /** Null if it is damaged. */
  #decode(partition: number, key: Key, row: Buffer, damaged?: (key: Key) => void): Row | null {
    try {
      return decodeRow(key, row);
    } catch (error) {
      // A row whose removal is under way is known to be gone.
      if (damaged !== undefined) damaged(key);
      else if (this.heads.get(key) !== absent) this.#damaged(partition, error as CorruptValue);
      return null;
    }
  }
}
