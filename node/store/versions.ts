/**
 * The data: the newest committed version of each key, in the overlay or else in the table, and the digests of all of it.
 * Digests are kept twice: of table plus overlay, which is what replicas compare, and of the table alone, which is what
 * lies in the table and what a restart begins with.
 */
import type { Key, Value, Version } from '../../client/wire/messages.ts';
import { invariant } from '../invariant.ts';
import type { Table } from '../runtime/runtime.ts';
import { Digests, partitionDigestBytes } from './digests.ts';
import { checksumOf, itemOf, leafOf } from './hash.ts';
import { absent, HeadCache } from './heads.ts';
import { Overlay } from './overlay.ts';
import { bookkeepingValue, dataFrom, dataKey, dataTo, decodeRow, digestBounds, keyOfDataKey, type Row } from './rows.ts';
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
  readonly #damaged: (error: CorruptValue) => never;

  /** Loads the digests. Throws StoreError. A data row that is found damaged later goes to `damaged`. */
  constructor(table: Table, headCacheEntries: number, partitions: number, partitionOf: (key: Key) => number, damaged: (error: CorruptValue) => never) {
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
    const rebuilt = new Digests(1);
    for (const [key, { version, checksum, tombstone }] of this.#walk(partition, null, () => true)) {
      const { a, b } = itemOf(key, version, checksum, tombstone);
      rebuilt.change(0, leafOf(key), a, b, 0n, 0n);
    }
    return rebuilt.leaves(0);
  }

  /** Heads of a partition in key order, from behind `after` on. Keys that `wanted` refuses are not even decoded. */
  * #walk(partition: number, after: Key | null, wanted: (key: Key) => boolean): Generator<[Key, Head]> {
    const fresh = [...new Set(this.overlay.keysOf(partition))].filter((key) => (after === null || key > after) && wanted(key)).sort();
    let next = 0;
    for (const row of this.table.range(dataFrom(partition, after), dataTo(partition))) {
      const key = keyOfDataKey(row.key);
      while (next < fresh.length && (fresh[next] as Key) < key) yield this.#installed(fresh[next++] as Key);
      if (fresh[next] === key) yield this.#installed(fresh[next++] as Key);
      else if (wanted(key)) yield [key, this.#decode(key, row.value)];
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
    const row = this.#decode(key, bytes);
    this.heads.set(key, { version: row.version, tombstone: row.tombstone, checksum: row.checksum });
    return row;
  }

  #decode(key: Key, row: Buffer): Row {
    try {
      return decodeRow(key, row);
    } catch (error) {
      return this.#damaged(error as CorruptValue);
    }
  }
}
