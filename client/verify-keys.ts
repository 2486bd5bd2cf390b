/** The comparison of replicas key by key. */
import type { Key as EncodedKey } from './wire/messages.ts';

/** One replica's row of a key. */
export interface Holding {
  readonly version: number;
  readonly checksum: number;
  readonly isTombstone: boolean;
  /** Of key and value. */
  readonly bytes: number;
}

export interface Fault {
  readonly key: EncodedKey;
  readonly node: string;
  readonly what: 'missing' | 'older' | 'different';
  /** That the node has to get from others. */
  readonly bytes: number;
}

/**
 * What is wrong with which replica, by key and node. `collected`: every replica, with the timestamp up to which its tombstones have been removed: where it
 * has no row, everything committed up to there counts as deleted. A tombstone that old is the same as none.
 */
export function compareReplicas(held: ReadonlyMap<EncodedKey, ReadonlyMap<string, Holding>>, collected: ReadonlyMap<string, number>): Fault[] {
  const faults: Fault[] = [];
  const latest = Math.max(0, ...collected.values());
  for (const [key, holders] of held) {
    let newest: Holding | null = null;
    for (const holding of holders.values()) if (newest === null || holding.version > newest.version) newest = holding;
    if (newest === null) continue;
    const isDeleted = newest.isTombstone ? newest.version <= latest : [...collected].some(([node, upTo]) => !holders.has(node) && (newest as Holding).version <= upTo);
    for (const node of collected.keys()) {
      const what = isDeleted ? faultOfDeleted(holders.get(node)) : faultOf(holders.get(node), newest, holders);
      if (what !== null) faults.push({ key, node, what, bytes: what === 'different' || isDeleted ? 0 : newest.bytes });
    }
  }
  return faults;
}

/** Of a key that is known to be deleted: a value of it is one too many. */
function faultOfDeleted(holding: Holding | undefined): Fault['what'] | null {
  return holding === undefined || holding.isTombstone ? null : 'older';
}

function faultOf(holding: Holding | undefined, newest: Holding, holders: ReadonlyMap<string, Holding>): Fault['what'] | null {
  if (holding === undefined) return 'missing';
  if (holding.version < newest.version) return 'older';
  for (const other of holders.values()) if (other.version === newest.version && (other.checksum !== holding.checksum || other.isTombstone !== holding.isTombstone)) return 'different';
  return null;
}
