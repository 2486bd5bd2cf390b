/**
 * The data: the newest committed version of each key, in the overlay or else in the table, and the digests of all of it.
 * Digests are kept twice: of table plus overlay, which is what replicas compare, and of the table alone, which is what
 * lies in the table and what a restart begins with.
 */
import type { Key, Value, Version } from '../../client/wire/messages.ts';
import { invariant } from '../invariant.ts';
import type { Put, Table } from '../runtime/runtime.ts';
import { branchBytes, digestBytes, Digests, fanout } from './digests.ts';
import { checksumOf, itemOf, slotOf, slots } from './hash.ts';
import { absent, HeadCache } from './heads.ts';
import { Overlay, type OverlayEntry } from './overlay.ts';
import { bookkeepingPut, bookkeepingValue, dataBehind, dataFrom, dataKey, decodeRow, digestBounds, digestKey, keyOfDataKey, placeOfDigestKey, type Row } from './rows.ts';
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
      const place = placeOfDigestKey(key);
      if (place === null || place.partition >= partitions || place.branch >= this.digests.branchesPerPartition || value.length !== branchBytes) {
        throw new StoreError('corrupt-table', `the digest record ${key.toString('hex')} of the data table can't be read. Nothing was changed.`);
      }
      this.digests.load(place.partition, place.branch, value);
      this.tableDigests.load(place.partition, place.branch, value);
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

    const slot = covered?.slot ?? slotOf(key);
    const leaf = this.digests.leafOf(slot);
    const was = covered !== undefined || before === absent ? none : itemOf(key, before.version, before.checksum, before.tombstone);
    const wasA = covered?.itemA ?? was.a;
    const wasB = covered?.itemB ?? was.b;
    const active = covered === undefined ? undefined : this.overlay.getActive(key);
    const baseA = active?.baseA ?? wasA;
    const baseB = active?.baseB ?? wasB;
    const checksum = checksumOf(key, version, value);
    const { a: itemA, b: itemB } = itemOf(key, version, checksum, value === null);

    this.overlay.set(key, { version, tombstone: value === null, checksum, value, partition, slot, branch: this.#branchOf(partition, leaf), itemA, itemB, baseA, baseB });
    this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);
    return true;
  }

  /**
   * The rows of a leaf, or of the whole partition, in the order of the table, tombstones too, from behind the key `after` on. To be ended in the turn
   * in which it was begun.
   */
  rows(partition: number, leaf: number | null, after: Key | null): Iterable<[Key, Row]> {
    return this.#rows(partition, leaf, after);
  }

  rebuildLeaves(partition: number): Buffer {
    return this.#rebuild(partition);
  }

  /**
   * Makes the partition consistent without its damaged rows: gives what removes them from the table, together with its digests, and has forgotten
   * them when it returns. What a damaged row added to its leaf's digest can't be read from it any more; it is what the leaf has too much.
   */
  withoutDamage(partition: number): Put[] {
    const damaged: Buffer[] = [];
    const rebuilt = this.#rebuild(partition, (at) => damaged.push(at));
    const has = this.digests.leaves(partition);
    const branches = new Set<number>();
    for (let leaf = 0; leaf < this.digests.leavesPerPartition; leaf++) {
      const [from, to] = [leaf * digestBytes, (leaf + 1) * digestBytes];
      if (has.compare(rebuilt, from, to, from, to) === 0) continue;
      const lane = (at: number): bigint => has.readBigUInt64LE(from + at) - rebuilt.readBigUInt64LE(from + at);
      for (const digests of [this.digests, this.tableDigests]) digests.change(partition, leaf, 0n, 0n, lane(0), lane(8));
      branches.add(Math.floor(leaf / fanout));
    }
    for (const at of damaged) this.heads.set(keyOfDataKey(at), absent);
    return [...damaged.map((at): Put => [at, null]), ...[...branches].map((branch) => bookkeepingPut(digestKey(partition, branch), this.tableDigests.branch(partition, branch)))];
  }

  #rebuild(partition: number, damaged?: (at: Buffer) => void): Buffer {
    const rebuilt = new Digests(1, this.digests.depth);
    for (const [key, { version, checksum, tombstone }] of this.#rows(partition, null, null, damaged)) {
      const { a, b } = itemOf(key, version, checksum, tombstone);
      rebuilt.change(0, rebuilt.leafOf(slotOf(key)), a, b, 0n, 0n);
    }
    return rebuilt.leaves(0);
  }

  #rows(partition: number, leaf: number | null, after: Key | null, damaged?: (at: Buffer) => void): Iterable<[Key, Row]> {
    const [fromSlot, toSlot] = leaf === null ? [0, slots] : this.digests.slotsOf(leaf);
    const from = after === null ? dataFrom(partition, fromSlot) : dataBehind(partition, slotOf(after), after);
    const keys: Key[] = [];
    const lastBranch = this.#branchOf(partition, this.digests.leafOf(toSlot - 1));
    for (let branch = this.#branchOf(partition, this.digests.leafOf(fromSlot)); branch <= lastBranch; branch++) keys.push(...this.overlay.keysOf(branch));
    return this.#walk(partition, from, dataFrom(partition, toSlot), keys, damaged);
  }

  /** The rows between two table keys, where those keys of the overlay that belong there are among `candidates`, each perhaps more than once. Damaged rows are passed over. */
  * #walk(partition: number, from: Buffer, to: Buffer, candidates: readonly Key[], damaged?: (at: Buffer) => void): Generator<[Key, Row]> {
    const fresh: { key: Key; at: Buffer; row: Row }[] = [];
    for (const key of new Set(candidates)) {
      const row = this.overlay.get(key) as OverlayEntry;
      const at = dataKey(partition, row.slot, key);
      if (Buffer.compare(at, from) >= 0 && Buffer.compare(at, to) < 0) fresh.push({ key, at, row });
    }
    fresh.sort((a, b) => Buffer.compare(a.at, b.at));
    let next = 0;
    for (const { key: at, value } of this.table.range(from, to)) {
      const key = keyOfDataKey(at);
      for (let each = fresh[next]; each !== undefined && Buffer.compare(each.at, at) < 0; each = fresh[++next]) yield [each.key, each.row];
      const covering = fresh[next];
      if (covering?.key === key) continue;
      const row = this.#decode(partition, key, value, damaged === undefined ? undefined : () => damaged(at));
      if (row !== null) yield [key, row];
    }
    for (const { key, row } of fresh.slice(next)) yield [key, row];
  }

  #branchOf(partition: number, leaf: number): number {
    return partition * this.digests.branchesPerPartition + Math.floor(leaf / fanout);
  }

  #readHead(partition: number, key: Key): Head {
    this.#readRow(partition, key);
    return this.heads.get(key) as Head;
  }

  /** The table's row; its head is remembered. */
  #readRow(partition: number, key: Key): Row | undefined {
    const bytes = this.table.get(dataKey(partition, slotOf(key), key));
    if (bytes === undefined) {
      this.heads.set(key, absent);
      return undefined;
    }
    const row = this.#decode(partition, key, bytes);
    this.heads.set(key, row === null ? absent : { version: row.version, tombstone: row.tombstone, checksum: row.checksum });
    return row ?? undefined;
  }

  /** Null if it is damaged. */
  #decode(partition: number, key: Key, row: Buffer, damaged?: () => void): Row | null {
    try {
      return decodeRow(key, row);
    } catch (error) {
      // A row whose removal is under way is known to be gone.
      if (damaged !== undefined) damaged();
      else if (this.heads.get(key) !== absent) this.#damaged(partition, error as CorruptValue);
      return null;
    }
  }
}
