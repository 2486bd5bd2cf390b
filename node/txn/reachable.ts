/** Whether there is anybody to ask: what too few of a group's nodes are connected for is better asked of another node. */
import type { Key } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';

/** A replica group of these keys of which no majority is connected, in words; null: there is none. */
export function groupDown(topology: Topology, outbox: Outbox, keys: readonly Key[]): string | null {
  const down = topology.groupsOf(keys.map(topology.partitionOf)).find(({ members, majority }) => members.filter((member) => outbox.isUp(member)).length < majority);
  return down === undefined ? null : `fewer than ${down.majority} of the replicas ${down.members.join(', ')} are connected`;
}
