/**
 * Digests: a tree over what a partition holds, whose leaves change in O(1) with every write.
 *
 * Two replicas find out where they differ by comparing digests: roots first, then the children of nodes that differ, level
 * by level, then the keys of the leaves that differ. A leaf stands for a range of the hashes of keys (`slotOf`). Its
 * digest is the sum, modulo 2^64 in each of two lanes, of the items of its keys (hash.ts): order does not matter, a write
 * adds its own item and takes away that of the version it replaces. It is a sum and not an exclusive or, so that equal items
 * can't cancel out (Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997; here the enemy is chance, not
 * malice, so short lanes do). A node above the leaves is a hash of all the leaves below it, computed when somebody asks.
 *
 * A partition has 16^depth leaves: as many as make 16,384 of them or more over all partitions, so that leaves of a store of a
 * million keys hold some tens of them, however few its partitions.
 */
import { mix, slots } from './hash.ts';

/** Children of a node. */
export const fanout = 16;
export const digestBytes = 16;
/** Leaves that lie in the table as one row: the children of one node. */
export const branchBytes = fanout * digestBytes;
const leavesMin = 16_384;

/** Levels below a partition's root. */
export function depthFor(partitions: number): number {
  let depth = 1;
  while (partitions * fanout ** depth < leavesMin) depth++;
  return depth;
}

/** The tree as others may see it. Level 0 is a partition's root, level `depth` its leaves; a level's nodes count from 0 in order of hashes. */
export interface Tree {
  readonly depth: number;
  readonly leavesPerPartition: number;
  /** The leaf in which a key of this slot counts. */
  leafOf(slot: number): number;
  /** The 16 bytes of a node. */
  node(partition: number, level: number, index: number): Buffer;
  /** The 16 bytes of each of a node's 16 children, in order. */
  children(partition: number, level: number, index: number): Buffer;
  root(partition: number): Buffer;
  /** All leaves of a partition, 16 bytes each. */
  leaves(partition: number): Buffer;
}

/** Typed arrays are in the machine's order of bytes, digests are not. */
const isBigEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 0;

export class Digests implements Tree {
  readonly depth: number;
  readonly leavesPerPartition: number;
  /** Rows of 16 leaves that a partition has. */
  readonly branchesPerPartition: number;
  /** Lanes a and b of leaf after leaf, partition after partition. */
  readonly #lanes: BigUint64Array;
  /** Bits of a slot that tell nothing of its leaf. */
  readonly #slotBits: number;
  /** Roots asked for since their partition changed last. */
  readonly #roots: (Buffer | null)[];

  /** `depth` as of a store with so many partitions, unless told. */
  constructor(partitions: number, depth = depthFor(partitions)) {
    this.depth = depth;
    this.leavesPerPartition = fanout ** depth;
    this.branchesPerPartition = this.leavesPerPartition / fanout;
    this.#slotBits = Math.log2(slots / this.leavesPerPartition);
    this.#lanes = new BigUint64Array(partitions * this.leavesPerPartition * 2);
    this.#roots = new Array<Buffer | null>(partitions).fill(null);
  }

  leafOf(slot: number): number {
    return slot >>> this.#slotBits;
  }

  /** The leaf's slots: from the first to before the second. */
  slotsOf(leaf: number): readonly [from: number, to: number] {
    return [leaf << this.#slotBits, (leaf + 1) << this.#slotBits];
  }

  /** Adds an item to a leaf and takes another away; zero lanes for none. */
  change(partition: number, leaf: number, addA: bigint, addB: bigint, takeA: bigint, takeB: bigint): void {
    const at = (partition * this.leavesPerPartition + leaf) * 2;
    // Typed array elements wrap modulo 2^64 by themselves.
    this.#lanes[at] = (this.#lanes[at] as bigint) + addA - takeA;
    this.#lanes[at + 1] = (this.#lanes[at + 1] as bigint) + addB - takeB;
    this.#roots[partition] = null;
  }

  node(partition: number, level: number, index: number): Buffer {
    if (level === 0) return this.root(partition);
    const below = fanout ** (this.depth - level);
    const leaves = this.#bytes(partition, index * below, below);
    return level === this.depth ? leaves : mix(leaves);
  }

  children(partition: number, level: number, index: number): Buffer {
    if (level === this.depth - 1) return this.#bytes(partition, index * fanout, fanout);
    return Buffer.concat(Array.from({ length: fanout }, (_, child) => this.node(partition, level + 1, index * fanout + child)));
  }

  root(partition: number): Buffer {
    return (this.#roots[partition] ??= mix(this.leaves(partition)));
  }

  /** Are these the lanes of the branch's leaves? */
  branchIs(partition: number, branch: number, lanes: BigUint64Array): boolean {
    const from = (partition * this.leavesPerPartition + branch * fanout) * 2;
    return lanes.every((lane, i) => lane === this.#lanes[from + i]);
  }

  /** What the branch's leaves have more than these lanes. */
  excess(partition: number, branch: number, lanes: BigUint64Array): BigUint64Array {
    const from = (partition * this.leavesPerPartition + branch * fanout) * 2;
    return lanes.map((lane, i) => (this.#lanes[from + i] as bigint) - lane);
  }

  /** Takes that away from them. */
  reduce(partition: number, branch: number, excess: BigUint64Array): void {
    for (let child = 0; child < fanout; child++) this.change(partition, branch * fanout + child, 0n, 0n, excess[2 * child] as bigint, excess[2 * child + 1] as bigint);
  }

  /** The sum of a partition's leaves, for who keeps account of single changes. */
  sum(partition: number): { a: bigint; b: bigint } {
    let a = 0n;
    let b = 0n;
    const from = partition * this.leavesPerPartition * 2;
    for (let i = from; i < from + this.leavesPerPartition * 2; i += 2) {
      a += this.#lanes[i] as bigint;
      b += this.#lanes[i + 1] as bigint;
    }
    return { a, b };
  }

  leaves(partition: number): Buffer {
    return this.#bytes(partition, 0, this.leavesPerPartition);
  }

  /** The leaves that make one row of the table, as `load` takes them. */
  branch(partition: number, branch: number): Buffer {
    return this.#bytes(partition, branch * fanout, fanout);
  }

  load(partition: number, branch: number, leaves: Buffer): void {
    const from = (partition * this.leavesPerPartition + branch * fanout) * 2;
    for (let i = 0; i < fanout * 2; i++) this.#lanes[from + i] = leaves.readBigUInt64LE(i * 8);
    this.#roots[partition] = null;
  }

  /** 16 bytes for all partitions together. */
  whole(): Buffer {
    return mix(Buffer.concat(this.#roots.map((_, partition) => this.root(partition))));
  }

  /** Leaves as they are told and kept: lanes as little-endian integers. The caller's to keep. */
  #bytes(partition: number, leaf: number, count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count * digestBytes);
    bytes.set(new Uint8Array(this.#lanes.buffer, (partition * this.leavesPerPartition + leaf) * digestBytes, bytes.length));
    return isBigEndian ? bytes.swap64() : bytes;
  }
}
