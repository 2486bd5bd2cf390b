/**
 * Digests: what a partition holds, in 256 bytes that change in O(1) with every write.
 *
 * Two replicas find out where they differ by comparing digests: roots of all partitions first, then the leaves of those
 * that differ, then the keys of the leaves that differ. A leaf's digest is the sum, modulo 2^64 in each of two lanes, of
 * the items of its keys (hash.ts): order does not matter, a write adds its own item and takes away that of the version
 * it replaces. It is a sum and not an exclusive or, so that equal items can't cancel out (Bellare and Micciancio,
 * "A New Paradigm for Collision-Free Hashing", 1997; here the enemy is chance, not malice, so short lanes do).
 */
import { leavesPerPartition, mix } from './hash.ts';

export const leafBytes = 16;
export const partitionDigestBytes = leavesPerPartition * leafBytes;

export class Digests {
  /** Lanes a and b of leaf after leaf, partition after partition. */
  readonly #lanes: BigUint64Array;

  constructor(partitions: number) {
    this.#lanes = new BigUint64Array(partitions * leavesPerPartition * 2);
  }

  /** Adds an item to a leaf and takes another away; zero lanes for none. */
  change(partition: number, leaf: number, addA: bigint, addB: bigint, takeA: bigint, takeB: bigint): void {
    const at = (partition * leavesPerPartition + leaf) * 2;
    // Typed array elements wrap modulo 2^64 by themselves.
    this.#lanes[at] = (this.#lanes[at] as bigint) + addA - takeA;
    this.#lanes[at + 1] = (this.#lanes[at + 1] as bigint) + addB - takeB;
  }

  /** A partition's leaves, 16 bytes each, lanes as little-endian integers. The caller's to keep. */
  leaves(partition: number): Buffer {
    const bytes = Buffer.allocUnsafe(partitionDigestBytes);
    const from = partition * leavesPerPartition * 2;
    for (let i = 0; i < leavesPerPartition * 2; i++) bytes.writeBigUInt64LE(this.#lanes[from + i] as bigint, i * 8);
    return bytes;
  }

  load(partition: number, leaves: Buffer): void {
    const from = partition * leavesPerPartition * 2;
    for (let i = 0; i < leavesPerPartition * 2; i++) this.#lanes[from + i] = leaves.readBigUInt64LE(i * 8);
  }

  /** 16 bytes for the whole partition. */
  root(partition: number): Uint8Array {
    return mix(this.leaves(partition));
  }

  /** 16 bytes for all partitions together; equal on machines of one byte order if all leaves are. */
  whole(): Uint8Array {
    return mix(new Uint8Array(this.#lanes.buffer));
  }
}
