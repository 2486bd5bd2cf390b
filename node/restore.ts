/** `dtp restore`: a node's data is replaced by a recovery point of its own, while it does not run. */
import { placementInWords, Topology } from './cluster/topology.ts';
import type { ClusterConfig } from './config.ts';
import type { Staging } from './runtime/staging.ts';
import { markLost } from './store/meta.ts';
import { checkPoint } from './store/point-check.ts';
import { decodePoint, type Point } from './store/point.ts';
import { StoreError } from './store/store-error.ts';

export interface Restored {
  readonly point: Point;
  /** Deleted ones that are remembered included. */
  readonly keys: number;
  /** Where the data is now that was there before; null if there was none. */
  readonly movedTo: string | null;
}

/** Is this node the only one that keeps its data? Then nobody can tell it what came after the recovery point. */
export function isAlone(config: ClusterConfig): boolean {
  return config.view.replicationFactor === 1;
}

/**
 * Checks the copy that was staged, marks it as a store that has forgotten - so that it never votes as its former self, and asks the
 * others for what came later -, and puts it in place. Until the last step nothing of the node's own has changed. Throws, or gives, StoreError.
 */
export function restore(staging: Staging, config: ClusterConfig, id: string, stamp: string, done: (error: Error | null, restored?: Restored) => void): void {
  const { disk, note } = staging;
  const point = decodePoint(note);
  if (point === null) throw new StoreError('corrupt-point', 'point.json, the note beside it, can’t be read, or was written by another version of the program. Nothing was changed.');
  const identity = { cluster: config.view.cluster, node: id, partitions: config.view.partitions, placement: placementInWords(config.view) };
  const table = disk.openTable();
  let keys: number;
  try {
    keys = checkPoint(table, point, identity, new Topology(config.view, id).partitionOf);
  } catch (error) {
    return table.close(() => done(error as Error));
  }
  table.close(() => {
    markLost(disk, { above: point.incarnation, why: `it was restored from the recovery point of ${point.takenAt}`, isFinal: isAlone(config) }, (error) => {
      if (error !== undefined) return done(error);
      let movedTo: string | null;
      try {
        movedTo = staging.swap(stamp);
      } catch (failed) {
        return done(failed as Error);
      }
      done(null, { point, keys, movedTo });
    });
  });
}
