/**
 * How a node comes to know which life each member of the cluster is in: by meeting it, and by what the others claim.
 *
 * A later life is made durable, then the session with an earlier one ends, and only then everybody is told: so whoever is told of a
 * rebirth knows that nothing this node says from then on was said to the former self as well (gate.ts).
 */
import type { Topology } from '../cluster/topology.ts';
import { succeeds, type Life } from '../cluster/succession.ts';
import { Kind } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { Closing } from './closing.ts';
import type { Gate } from './gate.ts';
import type { Ledger } from './ledger.ts';

export interface AcquaintanceOptions {
  readonly topology: Topology;
  readonly store: Pick<Store, 'standing' | 'whenDurable'>;
  readonly ledger: Ledger;
  readonly gate: Gate;
  readonly during: (work: () => void) => void;
  /** Ends the session with a node whose later life is known. */
  readonly part: (node: string) => void;
  readonly tell: Closing['tell'];
  /** It is durable that the node was reborn: it has no records of what it voted on. */
  readonly reborn: (node: string) => void;
  /** A member knows this life of ours. */
  readonly known: (by: string, storeId: string, incarnation: number) => void;
  /** A member knows a life of ours that is not this one, nor one before it. */
  readonly refused: (by: string, above: number, why: string) => void;
}

export class Acquaintance {
  readonly #options: AcquaintanceOptions;

  constructor(options: AcquaintanceOptions) {
    this.#options = options;
  }

  /** A session with the node begins. */
  met(node: string, life: Life): void {
    const { ledger, gate, store, during, tell } = this.#options;
    gate.forget(node);
    if (succeeds(ledger.lives.floorOf(node), life)) return this.#raise(node, life);
    store.whenDurable(() => during(() => tell([node])));
  }

  heard(from: string, position: number, lives: ReadonlyMap<string, Life>): void {
    const { topology, ledger, gate } = this.#options;
    gate.heard(from, new Map([...lives].filter(([, { rebornAt }]) => rebornAt > 0).map(([node, { rebornAt }]) => [node, rebornAt])));
    ledger.lives.floors.reached(from, lives.get(from)?.incarnation ?? 0, position);
    for (const [node, life] of lives) {
      if (node === topology.self) this.#heardOfSelf(from, life);
      else if (topology.view.members.some(({ id }) => id === node) && succeeds(ledger.lives.floorOf(node), life)) this.#raise(node, life);
    }
  }

  #heardOfSelf(from: string, told: Life): void {
    const { store: { standing: { life } }, known, refused } = this.#options;
    const { storeId, incarnation, nonce } = told;
    if (succeeds(told, life)) return;
    const isThis = storeId === life.storeId && incarnation === life.incarnation && (nonce === 0 || nonce === life.nonce);
    if (isThis) known(from, storeId, incarnation);
    else refused(from, incarnation, `node ${from} knows this node with disk ${storeId} in life ${incarnation}`);
  }

  #raise(node: string, { storeId, incarnation, rebornAt, nonce }: Life): void {
    const { topology, ledger, store, during, part, tell, reborn } = this.#options;
    ledger.enterDurably([Kind.floor, node, storeId, incarnation, rebornAt, nonce]);
    store.whenDurable(() => during(() => {
      part(node);
      if (rebornAt > 0) reborn(node);
      tell(topology.view.members.map(({ id }) => id));
    }));
  }
}
