/**
 * The founding of a cluster: how nodes with empty disks come to be sure of what they have, which is nothing.
 *
 * An empty disk can't tell a new cluster from one in which this node's disk was wiped. The others can. So a new node is in doubt of everything
 * until it is connected with all members of the view and each has told that this is the life it knows of it, durably. Whoever
 * was sure of anything on another disk was known by then to all members; one of them that still has its own disk refuses the empty
 * one, which is reborn instead.
 */
import type { Topology } from '../cluster/topology.ts';
import type { Doubts } from '../store/doubts.ts';
import type { Standing } from '../store/standing.ts';

export interface FoundingOptions {
  readonly topology: Topology;
  readonly store: { readonly doubts: Doubts; readonly storeId: string; readonly incarnation: number; readonly standing: Pick<Standing, 'isUnfounded' | 'found'> };
  readonly log: { info(details: object, event: string): void };
}

export class Founding {
  readonly #options: FoundingOptions;
  readonly #awaited: Set<string>;

  constructor(options: FoundingOptions) {
    const { topology, store } = options;
    this.#options = options;
    this.#awaited = new Set(topology.view.members.map(({ id }) => id).filter((id) => id !== topology.self));
    if (!store.standing.isUnfounded) return;
    store.doubts.doubt(Array.from({ length: topology.view.partitions }, (_, partition) => partition), 'this node is new, and has not been connected with all others at once');
    this.#settle();
  }

  /** A member knows this life of ours. */
  onKnown(from: string, storeId: string, incarnation: number): void {
    const { store } = this.#options;
    if (!store.standing.isUnfounded || storeId !== store.storeId || incarnation !== store.incarnation) return;
    this.#awaited.delete(from);
    this.#settle();
  }

  peerDown(peer: string): void {
    this.#awaited.add(peer);
  }

  #settle(): void {
    const { store, log } = this.#options;
    if (this.#awaited.size > 0) return;
    log.info({ storeId: store.storeId }, 'founded');
    store.standing.found();
  }
}
