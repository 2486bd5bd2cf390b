/**
 * Scrub: what lies on the disk is read again, all of it, however seldom anybody asks for it.
 *
 * Bits change where nobody looks, and a copy that is found bad when the other copies have gone bad too is no copy. So branch by
 * branch of the digests each row is held against its own checksum, and all of them against the digests of the leaves: which shows what a checksum
 * can't, a row that is missing, or lies under another key. One pass takes `intervalMs`, so its pace follows from what there
 * is; a branch, some hundreds of rows, is read in one turn (Schwarz et al., "Disk Scrubbing in Large Archival Storage Systems", 2004).
 *
 * A row that is hidden can't be found out by looking for it, for its key seems absent, as any other that was never written. But other replicas have it. So whoever learns that this node
 * has less of a key than others, which is mostly because it missed something, has the branch of that key read at once (`suspect`).
 *
 * What is found puts the partition in doubt: the damage is taken out and the digests say what is left, so that the exchange brings back what
 * is missing, and the node neither votes nor answers there before it has heard from enough others (doubt.ts).
 */
import type { Topology } from '../cluster/topology.ts';
import type { Log } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';

export interface ScrubOptions {
  readonly topology: Topology;
  readonly store: Pick<Store, 'check' | 'tree' | 'doubt' | 'doubts'>;
  readonly nowMs: () => number;
  readonly log: Pick<Log, 'error'>;
  /** Of a pass over all that is kept here. */
  readonly intervalMs: number;
}

/** Read in one tick, whatever is due: some milliseconds. */
const branchesPerTickMax = 256;
const rowsPerTickMax = 1_024;
/** Of those under suspicion: to have missed something is no damage, and a node that catches up is to go on with that. */
const suspectsPerTick = 2;
const suspectsMax = 256;

export class Scrub {
  readonly #options: ScrubOptions;
  readonly #partitions: readonly number[];
  readonly #branchesPerPartition: number;
  readonly #branches: number;
  /** The next branch, counted over all partitions. */
  #next = 0;
  #beganAtMs: number;
  /** Places to be read before all others. */
  readonly #suspects = new Set<number>();
  readonly counters = { passes: 0, rows: 0, damagedBranches: 0 };

  constructor(options: ScrubOptions) {
    this.#options = options;
    const { topology, store, nowMs } = options;
    this.#partitions = Array.from({ length: topology.view.partitions }, (_, partition) => partition).filter((partition) => topology.isMine(partition));
    this.#branchesPerPartition = store.tree.leavesPerPartition / 16;
    this.#branches = this.#partitions.length * this.#branchesPerPartition;
    this.#beganAtMs = nowMs();
  }

  /** Others have something in this leaf that this node would have if it had missed nothing and lost nothing. */
  suspect(partition: number, leaf: number): void {
    const at = this.#partitions.indexOf(partition);
    if (at >= 0 && this.#suspects.size < suspectsMax) this.#suspects.add(at * this.#branchesPerPartition + Math.floor(leaf / 16));
  }

  tick(): void {
    const { nowMs, intervalMs } = this.#options;
    for (const place of [...this.#suspects].slice(0, suspectsPerTick)) {
      this.#suspects.delete(place);
      this.#check(place);
    }
    const due = Math.min(this.#branches, Math.floor(((nowMs() - this.#beganAtMs) / intervalMs) * this.#branches));
    const rowsMax = this.counters.rows + rowsPerTickMax;
    for (let count = 0; this.#next < due && count < branchesPerTickMax && this.counters.rows < rowsMax; count++) this.#check(this.#next++);
    if (this.#next < this.#branches) return;
    this.#next = 0;
    this.#beganAtMs = nowMs();
    this.counters.passes++;
  }

  #check(place: number): void {
    const { store, log } = this.#options;
    const partition = this.#partitions[Math.floor(place / this.#branchesPerPartition)] as number;
    const branch = place % this.#branchesPerPartition;
    // All of it is being read anyway, and mended.
    if (store.doubts.damaged.has(partition)) return;
    const { rows, damaged, isTrue } = store.check(partition, branch);
    this.counters.rows += rows;
    if (isTrue && damaged.length === 0) return;
    this.counters.damagedBranches++;
    log.error({ partition, branch, rows: damaged.map((at) => at.toString('hex')) }, damaged.length > 0 ? 'rows of the data table are damaged' : 'rows of the data table are missing');
    store.doubt(partition, damaged.length > 0 ? 'rows of the data table were damaged' : 'rows of the data table were missing');
  }
}
