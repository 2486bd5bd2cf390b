/**
 * The hashes of the store. xxHash costs a tenth of a microsecond through WebAssembly; node:crypto costs ten times that.
 *
 * - A version's *checksum* (32 bits) covers key, version, tombstone and value, so a flipped bit anywhere in a row shows.
 * - A bookkeeping row's checksum is the same for what is kept beside the data.
 * - A version's *item*, two 64-bit lanes, is what it contributes to the digest of its partition (digests.ts). It covers
 *   the same fields, the value through its checksum.
 * - A key's *slot* says where among its partition's keys it lies, and so in which of its digests it counts.
 *
 * All are functions of bytes laid out little-endian (a slot's: of the key's characters as UTF-8, which is how partitions
 * are cut too), the same on every machine: replicas compare them.
 */
import xxhash from 'xxhash-wasm';
import type { Key } from '../../client/wire/messages.ts';
import { limits } from '../../client/wire/limits.ts';

const { h32, h32Raw, h64Raw } = await xxhash();

/** How many slots a partition has. */
export const slots = 65_536;

/** The slot of its partition that a key lies in. The top bits: partitions are cut by the low ones of the same hash. */
export function slotOf(key: Key): number {
  return h32(key) >>> 16;
}

/** Bytes behind the key in the scratch: version (float64), checksum (uint32), tombstone (uint8). */
const tailBytes = 13;
const scratch = Buffer.alloc(limits.keyBytesMax + tailBytes);
const laneSeeds = [0x6474_7031n, 0x6474_7032n] as const;

function stage(key: Key, version: number, checksum: number, tombstone: boolean): Uint8Array {
  const length = scratch.write(key, 0, 'latin1');
  scratch.writeDoubleLE(version, length);
  scratch.writeUInt32LE(checksum, length + 8);
  scratch[length + 12] = tombstone ? 1 : 0;
  return scratch.subarray(0, length + tailBytes);
}

export function checksumOf(key: Key, version: number, value: Uint8Array | null): number {
  const staged = h32Raw(stage(key, version, 0, value === null));
  return value === null ? staged : h32Raw(value, staged);
}

/** For rows that are no data: 32 bits over key and value. */
export function checksumOfRow(tableKey: Uint8Array, value: Uint8Array): number {
  return h32Raw(value, h32Raw(tableKey));
}

/** The two lanes of a version's item, valid until the next call. */
export const item = { a: 0n, b: 0n };

export function itemOf(key: Key, version: number, checksum: number, tombstone: boolean): typeof item {
  const staged = stage(key, version, checksum, tombstone);
  item.a = h64Raw(staged, laneSeeds[0]);
  item.b = h64Raw(staged, laneSeeds[1]);
  return item;
}

/** 16 bytes that stand for any number of them. */
export function mix(bytes: Uint8Array): Buffer {
  const mixed = Buffer.alloc(16);
  mixed.writeBigUInt64LE(h64Raw(bytes, laneSeeds[0]), 0);
  mixed.writeBigUInt64LE(h64Raw(bytes, laneSeeds[1]), 8);
  return mixed;
}
