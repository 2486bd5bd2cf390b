/**
 * What must be true some time after the faults are over: nothing undecided, nothing locked, nothing kept that is not needed any more, and
 * the same data on all replicas. A cluster that gives right answers and never gets there has failed too.
 */
import type { Key } from '../../client/wire/messages.ts';
import { Placement } from '../../client/wire/placement.ts';
import { dataFrom, dataTo, decodeRow, keyOfDataKey } from '../../node/store/rows.ts';
import { decodeKey } from '../../client/keys.ts';
import type { SimCluster } from './cluster.ts';

/** Counts of a node's status that come to nothing when nothing is under way. */
const countsThatEnd = ['inFlight', 'inDoubt', 'locks', 'undecided', 'reads', 'records', 'unacknowledged'];

/** What still keeps the cluster from being healed; null: nothing does. */
export function unhealed(cluster: SimCluster): string | null {
  const digests = new Map<number, string>();
  for (const id of cluster.ids) {
    const node = cluster.nodes.get(id);
    if (node === undefined) return `${id} is not up`;
    const { transactions, doubtful, disk } = node.status as { transactions: Record<string, number>; doubtful: { partitions: number; why: string } | null; disk: { state: string } };
    if (disk.state !== 'sound') return `${id} takes its disk for ${disk.state}`;
    if (doubtful !== null) return `${id} is in doubt about ${doubtful.partitions} partitions: ${doubtful.why}`;
    const unscrubbed = cluster.unscrubbed(id, node);
    if (unscrubbed !== null) return unscrubbed;
    for (const left of countsThatEnd) {
      if (transactions[left] !== 0) return `${id} has ${left} ${transactions[left]}`;
    }
    for (const [partition, digest] of node.digests()) {
      const other = digests.get(partition);
      if (other !== undefined && other !== digest) return `the replicas of partition ${partition} have different digests`;
      digests.set(partition, digest);
    }
  }
  return null;
}

/** Compares what the disks of stopped nodes hold, byte for byte: digests that agree prove it only if they are right. */
export function differencesOnDisk(cluster: SimCluster): string[] {
  const placement = new Placement(cluster.config.view);
  const differences: string[] = [];
  for (let partition = 0; partition < cluster.config.view.partitions; partition++) {
    const [first, ...others] = placement.groupOf(partition);
    const expected = rowsOf(cluster, first as string, partition);
    for (const other of others) {
      const rows = rowsOf(cluster, other, partition);
      for (const key of new Set([...expected.keys(), ...rows.keys()])) {
        if (expected.get(key) !== rows.get(key) && !isCollected(key, expected.get(key), rows.get(key))) differences.push(`replicas-differ: on disk, ${JSON.stringify(decodeKey(key))} is not the same on ${first} and ${other}`);
      }
    }
  }
  return differences;
}

/** A deletion of which one of them has let go already: the word that all have it came as the nodes were asked to stop. */
function isCollected(key: Key, one: string | undefined, other: string | undefined): boolean {
  const left = one === undefined ? other : other === undefined ? one : undefined;
  try {
    return left !== undefined && decodeRow(key, Buffer.from(left, 'hex')).tombstone;
  } catch {
    return false;
  }
}

function rowsOf(cluster: SimCluster, id: string, partition: number): Map<Key, string> {
  const rows = new Map<Key, string>();
  for (const { key, value } of cluster.world.host(id).disk.table.range(dataFrom(partition), dataTo(partition))) rows.set(keyOfDataKey(key), value.toString('hex'));
  return rows;
}
