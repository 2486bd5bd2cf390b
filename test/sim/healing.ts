/**
 * What must be true some time after the faults are over: nothing undecided, nothing locked, nothing kept that is not needed any more, and
 * the same data on all replicas. A cluster that gives right answers and never gets there has failed too.
 */
import type { Key } from '../../client/wire/messages.ts';
import { Placement } from '../../client/wire/placement.ts';
import { dataFrom, dataTo, decodeRow, keyOfDataKey } from '../../node/store/rows.ts';
import { Tombstones } from '../../node/store/tombstones.ts';
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

/** What a stopped node's disk holds of a partition. */
interface Copy {
  readonly id: string;
  readonly rows: ReadonlyMap<Key, string>;
  readonly collected: number;
}

/** Compares what the disks of stopped nodes hold, byte for byte: digests that agree prove it only if they are right. */
export function differencesOnDisk(cluster: SimCluster): string[] {
  const placement = new Placement(cluster.config.view);
  const differences: string[] = [];
  for (let partition = 0; partition < cluster.config.view.partitions; partition++) {
    const [first, ...others] = placement.groupOf(partition).map((id) => copyOf(cluster, id, partition)) as [Copy, ...Copy[]];
    for (const other of others) {
      for (const key of new Set([...first.rows.keys(), ...other.rows.keys()])) {
        const isSame = first.rows.get(key) === other.rows.get(key) || isCollected(key, first, other) || isCollected(key, other, first);
        if (!isSame) differences.push(`replicas-differ: on disk, ${JSON.stringify(decodeKey(key))} is not the same on ${first.id} and ${other.id}`);
      }
    }
  }
  return differences;
}

/**
 * Is it a deletion that the other one has let go of already, as the word that all have it came when the nodes were asked to stop? Of a key that is absent
 * there, everything up to `collected` was deleted.
 */
function isCollected(key: Key, { rows }: Copy, other: Copy): boolean {
  const left = rows.get(key);
  if (left === undefined || other.rows.has(key)) return false;
  try {
    const { tombstone, version } = decodeRow(key, Buffer.from(left, 'hex'));
    return tombstone && version <= other.collected;
  } catch {
    return false;
  }
}

function copyOf(cluster: SimCluster, id: string, partition: number): Copy {
  const { table } = cluster.world.host(id).disk;
  const rows = new Map<Key, string>();
  for (const { key, value } of table.range(dataFrom(partition), dataTo(partition))) rows.set(keyOfDataKey(key), value.toString('hex'));
  return { id, rows, collected: new Tombstones(table, cluster.config.view.partitions).collected(partition) };
}
