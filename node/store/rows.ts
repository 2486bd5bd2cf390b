/**
 * How things lie in the table. One ordered table holds everything, told apart by the key's first byte:
 *
 *   'd' partition (u16) slot (u16) key   a data row: the newest committed version of the key here
 *   'g' partition (u16) branch (u16)     16 leaf digests of the partition's data rows, as they are in this very table
 *   't' partition (u16)                  its tombstones: up to when they were collected (float64), how many there are (u32)
 *   'm' name                             the store's own few facts (meta.ts), and the account of all rows but the data (inventory.ts)
 *   'o' suffix (utf-8)                   the small state of whoever writes the journal
 *
 * Numbers are big-endian, so the order of data rows is (partition, slot, key): a partition's rows lie together, and within
 * it those of each leaf of its digests (digests.ts), for whoever compares replicas or looks for damage goes leaf by leaf.
 *
 * A data row: flags (u8), checksum (u32), version (float64, an integer below 2^53), value; little-endian. Flags:
 * bit 0 is set for a tombstone, whose value is empty. Bit 1 is kept for an expiry (its time follows the version, 8
 * bytes), bit 2 for older versions (a list behind the value, with its length in front). A row with a flag that this
 * program does not know is refused rather than misread.
 *
 * Every other row: a checksum (u32) over key and value, then the value.
 */
import type { Key } from '../../client/wire/messages.ts';
import type { Put } from '../runtime/runtime.ts';
import { checksumOf, checksumOfRow, slots } from './hash.ts';
import { CorruptValue, replaceNode, StoreError } from './store-error.ts';

const prefix = { data: 0x64, digest: 0x67, meta: 0x6d, owner: 0x6f, tombstone: 0x74 } as const;

const placeBytes = 5;

function placedKey(kind: number, partition: number, place: number, rest: number): Buffer {
  const bytes = Buffer.allocUnsafe(placeBytes + rest);
  bytes[0] = kind;
  bytes[1] = partition >>> 8;
  bytes[2] = partition & 0xff;
  bytes[3] = place >>> 8;
  bytes[4] = place & 0xff;
  return bytes;
}

export function dataKey(partition: number, slot: number, key: Key): Buffer {
  const bytes = placedKey(prefix.data, partition, slot, key.length);
  bytes.write(key, placeBytes, 'latin1');
  return bytes;
}

/** The first table key that data of this partition can have in this slot or behind it; the slot may be that behind the last. */
export function dataFrom(partition: number, slot = 0): Buffer {
  if (slot < slots) return placedKey(prefix.data, partition, slot, 0);
  return partition === 0xffff ? Buffer.from([prefix.data + 1]) : placedKey(prefix.data, partition + 1, 0, 0);
}

/** The first table key behind a partition's data. */
export function dataTo(partition: number): Buffer {
  return dataFrom(partition, slots);
}

/** The first table key behind that of a data row. */
export function dataBehind(partition: number, slot: number, key: Key): Buffer {
  return dataKey(partition, slot, `${key}\0`);
}

export function keyOfDataKey(tableKey: Buffer): Key {
  return tableKey.toString('latin1', placeBytes);
}

export function digestKey(partition: number, branch: number): Buffer {
  return placedKey(prefix.digest, partition, branch, 0);
}

/** Null if it is none. */
export function placeOfDigestKey(tableKey: Buffer): { partition: number; branch: number } | null {
  return tableKey.length === placeBytes ? { partition: tableKey.readUInt16BE(1), branch: tableKey.readUInt16BE(3) } : null;
}

export function tombstoneKey(partition: number): Buffer {
  return placedKey(prefix.tombstone, partition, 0, 0).subarray(0, 3);
}

export function metaKey(name: string): Buffer {
  return Buffer.from(`m${name}`, 'latin1');
}

export function ownerKey(suffix: string): Buffer {
  return Buffer.from(`o${suffix}`, 'utf8');
}

export function suffixOfOwnerKey(tableKey: Buffer): string {
  return tableKey.toString('utf8', 1);
}

/** Is this row's value nowhere else? */
export function isMemory(tableKey: Buffer): boolean {
  return tableKey[0] === prefix.meta || tableKey[0] === prefix.owner;
}

/** Bounds of the data, of the digests, of what is kept about tombstones, and of the owner's state, for `Table.range`. */
export const dataBounds = [Buffer.from([prefix.data]), Buffer.from([prefix.data + 1])] as const;
export const digestBounds = [Buffer.from([prefix.digest]), Buffer.from([prefix.digest + 1])] as const;
export const tombstoneBounds = [Buffer.from([prefix.tombstone]), Buffer.from([prefix.tombstone + 1])] as const;
export const ownerBounds = [Buffer.from([prefix.owner]), Buffer.from([prefix.owner + 1])] as const;

const checksumBytes = 4;

/** What to write for a row that is no data. */
export function bookkeepingPut(key: Buffer, value: Uint8Array): Put {
  const row = Buffer.allocUnsafe(checksumBytes + value.length);
  row.writeUInt32LE(checksumOfRow(key, value), 0);
  row.set(value, checksumBytes);
  return [key, row];
}

/** The value of a row that is no data. Throws StoreError 'corrupt-table' unless every bit is as it was written. */
export function bookkeepingValue(key: Buffer, row: Buffer): Buffer {
  const value = row.subarray(checksumBytes);
  if (row.length >= checksumBytes && row.readUInt32LE(0) === checksumOfRow(key, value)) return value;
  throw new StoreError('corrupt-table', `the row ${key.toString('hex')} (hex) of the data table does not match its checksum. ${replaceNode}`, { row: key.toString('hex') });
}

/** The same for a row that can be done without: null unless every bit is as it was written. */
export function soundValue(key: Buffer, row: Buffer): Buffer | null {
  try {
    return bookkeepingValue(key, row);
  } catch {
    return null;
  }
}

const tombstoneFlag = 1;
const knownFlags = tombstoneFlag;
const headerBytes = 13;

export interface Row {
  readonly version: number;
  readonly tombstone: boolean;
  readonly checksum: number;
  /** Null for a tombstone; otherwise the bytes of the buffer that was decoded. */
  readonly value: Uint8Array | null;
}

export function encodeRow(version: number, checksum: number, value: Uint8Array | null): Buffer {
  const row = Buffer.allocUnsafe(headerBytes + (value === null ? 0 : value.length));
  row[0] = value === null ? tombstoneFlag : 0;
  row.writeUInt32LE(checksum, 1);
  row.writeDoubleLE(version, 5);
  if (value !== null) row.set(value, headerBytes);
  return row;
}

/** Is it a tombstone's, as far as one can tell without looking at all of it? */
export function looksLikeTombstone(row: Buffer): boolean {
  return row.length === headerBytes && row[0] === tombstoneFlag;
}

/** Throws CorruptValue unless every bit is as it was written. */
export function decodeRow(key: Key, row: Buffer): Row {
  if (row.length < headerBytes) throw new CorruptValue(key, `is cut to ${row.length} bytes`);
  const flags = row[0] as number;
  if ((flags & ~knownFlags) !== 0) throw new CorruptValue(key, `has flags ${flags}, which this version of the program does not know`);
  const tombstone = (flags & tombstoneFlag) !== 0;
  const checksum = row.readUInt32LE(1);
  const version = row.readDoubleLE(5);
  const value = tombstone ? null : row.subarray(headerBytes);
  if (checksumOf(key, version, value) !== checksum) throw new CorruptValue(key, 'does not match its checksum');
  return { version, tombstone, checksum, value };
}
