/** What the two sides of an exchange agree on besides the grammar of their messages. */
import type { Blocks, Children, Compare, Descend, Differ, List, Listed, Pull, Pulled, Roots } from '../../client/wire/messages.ts';
import { Tag } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import { mix } from '../store/hash.ts';
import type { Tree } from '../store/digests.ts';

export type Question = Blocks | Compare | Descend | List | Pull;
export type Answer = Roots | Differ | Children | Listed | Pulled;

export const answerTo = { [Tag.blocks]: Tag.roots, [Tag.compare]: Tag.differ, [Tag.descend]: Tag.children, [Tag.list]: Tag.listed, [Tag.pull]: Tag.pulled } as const;

/** Partitions in a row that are compared by one digest first: a thousand equal partitions cost half a kilobyte. */
export const blockPartitions = 32;
/** Of a child's digest so much is told: enough to find it. That all is equal is believed of whole digests alone. */
export const childBytes = 8;

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
export function shortChildren(tree: Tree, partition: number, level: number, index: number): Buffer {
  const children = tree.children(partition, level, index);
  const short = Buffer.allocUnsafe((children.length * childBytes) / 16);
  for (let child = 0; child * 16 < children.length; child++) children.copy(short, child * childBytes, child * 16, child * 16 + childBytes);
  return short;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
