/** Small views, and keys that lie where a test wants them. */
import type { Key } from '../../../client/wire/messages.ts';
import type { View } from '../../../client/wire/view.ts';
import { Topology } from '../../../node/cluster/topology.ts';

export function viewOf(memberCount: number, replicationFactor = Math.min(3, memberCount), partitions = 16): View {
  const members = Array.from({ length: memberCount }, (_, i) => ({ id: `n${i + 1}`, url: `ws://127.0.0.1:${7_101 + i}`, weight: 1, zone: null }));
  return { epoch: 7, cluster: 'c', partitions, replicationFactor, members };
}

/** The first `count` keys of this partition. */
export function keysIn(topology: Topology, partition: number, count: number): Key[] {
  const keys: Key[] = [];
  for (let i = 0; keys.length < count; i++) if (topology.partitionOf(`k${i}`) === partition) keys.push(`k${i}`);
  return keys;
}

/** The first partition whose group is as wanted. */
export function partitionWhere(topology: Topology, isWanted: (members: readonly string[], partition: number) => boolean): number {
  for (let partition = 0; partition < topology.view.partitions; partition++) {
    if (isWanted(topology.groupOf(partition).members, partition)) return partition;
  }
  throw new Error('no partition is placed like that; take more of them');
}
