/**
 * The data: the newest committed version of each key, in the overlay or else in the table, and the digests of all of it.
 * Digests are kept twice: of table plus overlay, which is what replicas compare, and of the table alone, which is what
 * lies in the table and what a restart begins with.
 */
import type { Key, Value, Version } from '../../client/wire/messages.ts';
import { invariant } from '../invariant.ts';
import type { Put, Table } from '../runtime/runtime.ts';
import { Cuts } from './cuts.ts';
import { branchBytes, depthFor, Digests, fanout } from './digests.ts';
import { checksumOf, itemOf, slotOf, slots } from './hash.ts';
import { absent, HeadCache, isTombstone } from './heads.ts';
import { Overlay, type OverlayEntry } from './overlay.ts';
import { bookkeepingPut, dataBehind, dataFrom, dataKey, dataTo, decodeRow, digestBounds, digestKey, keyOfDataKey, looksLikeTombstone, placeOfDigestKey, soundValue, type Row } from './rows.ts';
import type { CorruptValue } from './store-error.ts';
import { Tombstones } from './tombstones.ts';
import type { Entry, Head } from './types.ts';

const none = { a: 0n, b: 0n };

/** What a branch is found to hold. */
export interface Finding {
  readonly rows: number;
  readonly tombstones: number;
  /** Its leaves' digests, as its rows make them; and whether they are what is kept. */
  readonly lanes: BigUint64Array;
  readonly isTrue: boolean;
  /** Where rows lie that are not as they were written, or are where nobody looks for them. */
  readonly damaged: readonly Buffer[];
  /** Rows that whoever passes by meets, and who looks for them by their key does not find; and those that come twice, or out of order. */
  readonly astray: readonly Buffer[];
}

/** Tombstones so far, of branches before the next one. */
interface Recount {
  readonly partition: number;
  next: number;
  kept: number;
}

export class Versions {
  readonly table: Table;
  readonly overlay = new Overlay();
  readonly heads: HeadCache;
  readonly digests: Digests;
  readonly tableDigests: Digests;
  readonly tombstones: Tombstones;
  readonly cuts: Cuts;
  /** What must be written in place of digests that could not be read back. */
  readonly damagedDigests: Put[] = [];
  /** The partition whose tombstones are being counted anew. */
  #recount: Recount | null = null;
  readonly #partitionOf: (key: Key) => number;
  readonly #damaged: (partition: number, error: CorruptValue) => void;

  /** Loads the digests. Throws StoreError. A data row that is found damaged later is told to `damaged`, and then read as if it were not there. */
  constructor(table: Table, headCacheEntries: number, partitions: number, partitionOf: (key: Key) => number, damaged: (partition: number, error: CorruptValue) => void, digestDepth = depthFor(partitions)) {
    this.table = table;
    this.heads = new HeadCache(headCacheEntries);
    this.digests = new Digests(partitions, digestDepth);
    this.tableDigests = new Digests(partitions, digestDepth);
    this.tombstones = new Tombstones(table, partitions);
    this.cuts = new Cuts(this.digests);
    this.#partitionOf = partitionOf;
    this.#damaged = damaged;
    for (const { key, value: row } of table.range(...digestBounds)) {
      const place = placeOfDigestKey(key);
      const isKnown = place !== null && place.partition < partitions && place.branch < this.digests.branchesPerPartition;
      const value = isKnown ? soundValue(key, row) : null;
      if (!isKnown) this.damagedDigests.push([key, null]);
      else if (value?.length !== branchBytes) this.damagedDigests.push(this.#rebuildBranch(place.partition, place.branch));
      else for (const digests of [this.digests, this.tableDigests]) digests.load(place.partition, place.branch, value);
    }
  }

  /** From the rows, each of which has a checksum of its own. A row that is missing among them is not found out by this; others have it. */
  #rebuildBranch(partition: number, branch: number): Put {
    for (let leaf = branch * fanout; leaf < (branch + 1) * fanout; leaf++) {
      for (const [key, { version, checksum, tombstone }] of this.#rows(partition, leaf, null, () => {})) {
        const { a, b } = itemOf(key, version, checksum, tombstone);
        for (const digests of [this.digests, this.tableDigests]) digests.change(partition, leaf, a, b, 0n, 0n);
      }
    }
    return bookkeepingPut(digestKey(partition, branch), this.tableDigests.branch(partition, branch));
  }

  head(key: Key): Head | undefined {
    const installed = this.overlay.get(key);
    if (installed !== undefined) return installed.version === 0 ? undefined : installed;
    const head = this.heads.get(key) ?? this.#readHead(this.#partitionOf(key), key);
    return head === absent ? undefined : head;
  }

  entry(key: Key): Entry | undefined {
    const installed = this.overlay.get(key);
    if (installed !== undefined) return installed.version === 0 ? undefined : installed;
    return this.heads.get(key) === absent ? undefined : this.#readRow(this.#partitionOf(key), key);
  }

  install(partition: number, key: Key, version: Version, value: Value): boolean {
    invariant(Number.isSafeInteger(version) && version > 0, `version ${version}`);
    const covered = this.overlay.get(key);
    // Of what comes in by the thousands nobody will ask soon: it is to push nothing out of the cache.
    const before = covered ?? this.heads.get(key) ?? this.#headInTable(partition, key);
    if (version <= (before.version === 0 ? this.tombstones.collected(partition) : before.version)) return false;
    const checksum = checksumOf(key, version, value);
    this.#replace(partition, key, covered, before, { version, tombstone: value === null, checksum, value });
    return true;
  }

  /** Takes away the version of a key that is known to be deleted; without it, it may come back only newer than all that was collected. */
  remove(partition: number, key: Key): void {
    const covered = this.overlay.get(key);
    const before = covered ?? this.heads.get(key) ?? this.#readHead(partition, key);
    invariant(before.version <= this.tombstones.collected(partition), `version ${before.version} was never collected`);
    if (before.version > 0) this.#replace(partition, key, covered, before, { ...absent, value: null });
  }

  /** Is what was read of a key, a version or 0 for none, out of date here? Gives the version that says so, or 0. Deleted is as good as never written, now that it is. */
  newerThan(partition: number, key: Key, seen: Version): Version {
    const head = this.head(key);
    const collected = this.tombstones.collected(partition);
    if (head === undefined) return seen > 0 && seen < collected ? collected : 0;
    return head.version <= seen || (seen === 0 && head.tombstone) ? 0 : head.version;
  }

  /** Has the key changed since that was read? One that was absent, and is, may have been written in between; but not since its deletion was collected. */
  changedSince(partition: number, key: Key, seen: Version): Version {
    const head = this.head(key);
    const isAgain = seen === 0 && head !== undefined && head.tombstone && head.version > this.tombstones.collected(partition);
    return isAgain ? head.version : this.newerThan(partition, key, seen);
  }

  /** The version to tell of a key that is not here: whatever there was of it up to then is deleted. */
  absentAt(partition: number): Version {
    return this.tombstones.collected(partition);
  }

  /** Would `install` take in a version of this key? */
  isNewer(partition: number, key: Key, version: Version): boolean {
    return version > (this.head(key)?.version ?? this.tombstones.collected(partition));
  }

  /** From now on the partition's tombstones up to this timestamp are not needed. Precondition: every version up to there that is or will be committed is here, or a newer one. */
  collect(partition: number, timestamp: number): void {
    this.cuts.end(partition);
    if (timestamp <= this.tombstones.collected(partition)) return;
    this.tombstones.setCollected(partition, timestamp);
    this.overlay.setCollected(partition, timestamp);
  }

  /** Takes away tombstones that were collected, among so many rows of the table from behind `after` on. Gives how many, and where to go on: null at the end. */
  sweep(partition: number, after: Key | null, rowsMax: number): { removed: number; after: Key | null } {
    const collected = this.tombstones.collected(partition);
    let rows = 0;
    let removed = 0;
    const from = after === null ? dataFrom(partition) : dataBehind(partition, slotOf(after), after);
    for (const row of this.table.range(from, dataTo(partition))) {
      const key = keyOfDataKey(row.key);
      const head = looksLikeTombstone(row.value) ? this.head(key) : undefined;
      if (head?.tombstone === true && head.version <= collected) {
        this.remove(partition, key);
        removed++;
      }
      if (++rows >= rowsMax) return { removed, after: key };
    }
    return { removed, after: null };
  }

  /** Puts one version, or none, in the place of another; keeps account of it. */
  #replace(partition: number, key: Key, covered: OverlayEntry | undefined, before: Head, { version, tombstone, checksum, value }: Head & { value: Value }): void {
    const slot = covered?.slot ?? slotOf(key);
    const leaf = this.digests.leafOf(slot);
    const was = covered !== undefined || before === absent ? none : itemOf(key, before.version, before.checksum, before.tombstone);
    const wasA = covered?.itemA ?? was.a;
    const wasB = covered?.itemB ?? was.b;
    const active = covered === undefined ? undefined : this.overlay.getActive(key);
    const baseA = active?.baseA ?? wasA;
    const baseB = active?.baseB ?? wasB;
    const baseIsTombstone = active?.baseIsTombstone ?? isTombstone(before);
    const { a: itemA, b: itemB } = version === 0 ? none : itemOf(key, version, checksum, tombstone);

    this.overlay.set(key, { version, tombstone, checksum, value, partition, slot, branch: this.#branchOf(partition, leaf), itemA, itemB, baseA, baseB, baseIsTombstone });
    this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);
    this.cuts.changed(partition, version, itemA - wasA, itemB - wasB);
    const more = Number(tombstone && version > 0) - Number(isTombstone(before));
    this.tombstones.count(partition, more);
    if (this.#recount?.partition === partition && Math.floor(leaf / fanout) < this.#recount.next) this.#recount.kept += more;
  }

  /**
   * The rows of a leaf, or of the whole partition, in the order of the table, tombstones too, from behind the key `after` on. To be ended in the turn
   * in which it was begun.
   */
  rows(partition: number, leaf: number | null, after: Key | null): Iterable<[Key, Row]> {
    return this.#rows(partition, leaf, after);
  }

  /** Something that was here is not: the partition's rows are to be mended, branch by branch, and that a key is absent proves nothing from now on, so nothing counts as collected. */
  distrust(partition: number): void {
    this.cuts.end(partition);
    this.overlay.forgetCollected(partition);
    this.tombstones.forgetCollected(partition);
    // Of a row that is missing altogether nobody knows the key.
    this.heads.clear();
  }

  /** Reads the rows of the 16 leaves of a branch as they are now. */
  check(partition: number, branch: number): Finding {
    const damaged: Buffer[] = [];
    const astray: Buffer[] = [];
    const lanes = new BigUint64Array(2 * fanout);
    let [rows, tombstones] = [0, 0];
    const first = branch * fanout;
    const from = dataFrom(partition, this.digests.slotsOf(first)[0]);
    const to = dataFrom(partition, this.digests.slotsOf(first + fanout - 1)[1]);
    let before: Buffer | null = null;
    const met = (at: Buffer): void => {
      if (this.table.get(at) === undefined || (before !== null && Buffer.compare(before, at) >= 0)) astray.push(at);
      before = at;
    };
    for (const [key, row] of this.#walk(partition, from, to, this.overlay.keysOf(this.#branchOf(partition, first)), (at) => damaged.push(at), met)) {
      const { a, b } = itemOf(key, row.version, row.checksum, row.tombstone);
      const lane = 2 * (this.digests.leafOf(slotOf(key)) - first);
      lanes[lane] = (lanes[lane] as bigint) + a;
      lanes[lane + 1] = (lanes[lane + 1] as bigint) + b;
      rows++;
      tombstones += Number(row.tombstone);
    }
    return { rows, tombstones, lanes, damaged, astray, isTrue: this.digests.branchIs(partition, branch, lanes) };
  }

  /**
   * Makes a branch consistent without its damaged rows: gives what removes them from the table, together with its digests, and has forgotten
   * them when it returns. What a damaged row added to its leaf's digest can't be read from it any more; it is what the leaf has too much.
   * The branches of a partition are gone through in order, from the first: at the last one its tombstones have been counted anew.
   */
  mend(partition: number, branch: number): Finding & { readonly puts: Put[] } {
    const finding = this.check(partition, branch);
    const { damaged, lanes, isTrue, tombstones } = finding;
    if (branch === 0) this.#recount = { partition, next: 0, kept: 0 };
    const recount = this.#recount as Recount;
    invariant(recount.partition === partition && recount.next === branch, `branch ${branch} of partition ${partition} is mended out of turn`);
    recount.next++;
    recount.kept += tombstones;
    if (recount.next === this.digests.branchesPerPartition) {
      this.#recount = null;
      this.tombstones.recounted(partition, recount.kept);
    }
    const excess = this.digests.excess(partition, branch, lanes);
    if (!isTrue) for (const digests of [this.digests, this.tableDigests]) digests.reduce(partition, branch, excess);
    for (const at of damaged) if (this.#isInPlace(partition, at, keyOfDataKey(at))) this.heads.set(keyOfDataKey(at), absent);
    const digest = isTrue ? [] : [bookkeepingPut(digestKey(partition, branch), this.tableDigests.branch(partition, branch))];
    return { ...finding, puts: [...damaged.map((at): Put => [at, null]), ...digest, ...this.tombstones.puts(partition)] };
  }

  #isInPlace(partition: number, at: Buffer, key: Key): boolean {
    return this.#partitionOf(key) === partition && dataKey(partition, slotOf(key), key).equals(at);
  }

  /** A partition's leaves computed anew from every row. */
  rebuildLeaves(partition: number): Buffer {
    const rebuilt = new Digests(1, this.digests.depth);
    for (const [key, { version, checksum, tombstone }] of this.#rows(partition, null, null)) {
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
  * #walk(partition: number, from: Buffer, to: Buffer, candidates: readonly Key[], damaged?: (at: Buffer) => void, met?: (at: Buffer) => void): Generator<[Key, Row]> {
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
      met?.(at);
      for (let each = fresh[next]; each !== undefined && Buffer.compare(each.at, at) < 0; each = fresh[++next]) if (each.row.version > 0) yield [each.key, each.row];
      const covering = fresh[next];
      if (covering?.key === key) continue;
      if (damaged !== undefined && !this.#isInPlace(partition, at, key)) damaged(at);
      else {
        const row = this.#decode(partition, key, value, damaged === undefined ? undefined : () => damaged(at));
        if (row !== null) yield [key, row];
      }
    }
    for (const { key, row } of fresh.slice(next)) if (row.version > 0) yield [key, row];
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
    const row = this.#rowInTable(partition, key);
    this.heads.set(key, row === undefined ? absent : { version: row.version, tombstone: row.tombstone, checksum: row.checksum });
    return row;
  }

  #headInTable(partition: number, key: Key): Head {
    return this.#rowInTable(partition, key) ?? absent;
  }

  #rowInTable(partition: number, key: Key): Row | undefined {
    const bytes = this.table.get(dataKey(partition, slotOf(key), key));
    return bytes === undefined ? undefined : this.#decode(partition, key, bytes) ?? undefined;
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
