/** What the two sides of an exchange agree on besides the grammar of their messages. */
import type { Blocks, Children, Compare, Descend, Differ, List, Listed, Pull, Pulled, Roots } from '../../client/wire/messages.ts';
import { Tag } from '../../client/wire/messages.ts';
import type { Sizes } from '../config.ts';
import type { Topology } from '../cluster/topology.ts';
import { mix } from '../store/hash.ts';
import type { Tree } from '../store/digests.ts';

export type Question = Blocks | Compare | Descend | List | Pull;
export type Answer = Roots | Differ | Children | Listed | Pulled;

export const answerTo = { [Tag.blocks]: Tag.roots, [Tag.compare]: Tag.differ, [Tag.descend]: Tag.children, [Tag.list]: Tag.listed, [Tag.pull]: Tag.pulled } as const;

/** How much is asked, and answered, at once. */
export type ExchangeSizes = Omit<Sizes, 'digestDepth'>;

export const exchangeSizes: ExchangeSizes = { leavesPerQuestion: 256, rowsPerQuestion: 512, rowsPerAnswer: 512, keysPerQuestion: 256 };

/** Partitions in a row that are compared by one digest first: a thousand equal partitions cost half a kilobyte. */
export const blockPartitions = 32;
/** Of a node below a root a shorter digest is told, so long that no two of a large store look the same by chance. That a partition is equal is believed of whole ones alone. */
export const shortBytes = 6;

/** The partitions that both we and the peer keep, in order. */
export function sharedWith(topology: Topology, peer: string): number[] {
  return Array.from({ length: topology.view.partitions }, (_, partition) => partition).filter((partition) => topology.isMine(partition) && topology.groupOf(partition).members.includes(peer));
}

export function blockOf(partition: number): number {
  return Math.floor(partition / blockPartitions);
}

export function rootsOf(tree: Tree, partitions: readonly number[]): Buffer {
  return Buffer.concat(partitions.map((partition) => tree.root(partition)));
}

export function blockDigest(tree: Tree, partitions: readonly number[]): Buffer {
  return mix(rootsOf(tree, partitions));
}

/** The children of a node, as they are told. */
export function shortChildren(tree: Tree, partition: number, level: number, index: number, salt: number): Buffer {
  return shortened(tree.children(partition, level, index), salt);
}

export function shortLeaf(tree: Tree, partition: number, leaf: number, salt: number): Buffer {
  return shortened(tree.node(partition, tree.depth, leaf), salt);
}

/** Two digests that look the same by chance won't under another salt, which is the number of the question. Multipliers of xxHash and MurmurHash3. */
function shortened(digests: Buffer, salt: number): Buffer {
  const short = Buffer.allocUnsafe((digests.length / 16) * shortBytes);
  for (let at = 0, to = 0; at < digests.length; at += 16, to += shortBytes) {
    let [one, other] = [salt | 0, ~salt];
    for (let word = 0; word < 16; word += 4) {
      const bits = digests.readInt32LE(at + word);
      one = Math.imul((one << 13) | (one >>> 19), 0x9e37_79b1) ^ Math.imul(bits, 0x85eb_ca77);
      other = Math.imul((other << 17) | (other >>> 15), 0xc2b2_ae3d) ^ Math.imul(bits, 0x27d4_eb2f);
    }
    short.writeUInt32LE(Math.imul(one ^ (one >>> 15), 0xc2b2_ae3d) >>> 0, to);
    short.writeUInt16LE(Math.imul(other ^ (other >>> 13), 0x9e37_79b1) >>> 16, to + 4);
  }
  return short;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Flat fields, so many to each of several things: in these columns nil stands for what the thing before has there. */
export function abridged<T>(flat: readonly T[], stride: number, columns: readonly number[]): (T | null)[] {
  return flat.map((field, i) => (i >= stride && columns.includes(i % stride) && field === flat[i - stride] ? null : field));
}

/** The same without nil in these columns. */
export function inFull<T>(flat: readonly (T | null)[], stride: number, columns: readonly number[]): (T | number | null)[] {
  const full: (T | number | null)[] = [...flat];
  for (let i = 0; i < full.length; i++) if (full[i] === null && columns.includes(i % stride)) full[i] = full[i - stride] ?? 0;
  return full;
}

/** What leaves in a row have in common: of `list`, and of `listed`. */
export const leafFields = { asked: [4, [0, 2]], told: [3, [0]] } as const;

/** Is this the digest of no versions? */
export function isNothing(digest: Uint8Array): boolean {
  return digest.every((byte) => byte === 0);
}

/** What a message of healing takes in a frame, for the accounts. Keys are counted as if they were ASCII. */
export function bytesOf(part: unknown): number {
  if (typeof part === 'number') return part < 0x80 ? 1 : part < 0x100 ? 2 : part < 0x1_0000 ? 3 : part < 0x1_0000_0000 ? 5 : 9;
  if (typeof part === 'string') return part.length + (part.length < 0x20 ? 1 : 2);
  if (part instanceof Uint8Array) return part.length + (part.length < 0x100 ? 2 : part.length < 0x1_0000 ? 3 : 5);
  return Array.isArray(part) ? part.reduce<number>((sum, each) => sum + bytesOf(each), part.length < 0x10 ? 1 : 3) : 1;
}
