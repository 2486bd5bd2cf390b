import type { Key } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Store } from '../store/store.ts';
import type { ReadEntry } from './reads.ts';

/** What this replica itself has of these keys; null unless it keeps and is sure of all of them, once they are read too. */
export function ownEntries(keys: readonly Key[], { topology, store }: { readonly topology: Topology; readonly store: Store }): ReadEntry[] | null {
  const isOurs = (key: Key): boolean => topology.isMine(topology.partitionOf(key)) && store.doubts.isSure(topology.partitionOf(key));
  if (!keys.every(isOurs)) return null;
  const entries = keys.map((key) => store.entry(key) ?? { version: 0, value: null });
  return keys.every(isOurs) ? entries : null;
}
