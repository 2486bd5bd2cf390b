/**
 * What a node claims of itself and all others: to every peer, about every member.
 *
 * Closing dead lives. A coordinator that died can't finish its transactions, so their records would stay for ever. Each
 * node tells the others, about every member: below which incarnation it gives no votes any more (durably), and
 * whether it still holds an undecided record from below. Once all members have said "none below f", nothing from
 * below f can change any more, anywhere, and it stays so: everybody may conclude that for itself.
 *
 * The newest lives go with it, so that each is heard of also where it is not met (floors.ts, gate.ts, founding.ts).
 */
import { Tag, type Claims } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Life } from '../cluster/succession.ts';
import type { Topology } from '../cluster/topology.ts';
import { Kind } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { Ledger } from './ledger.ts';

export interface ClosingOptions {
  readonly topology: Topology;
  readonly ledger: Ledger;
  readonly store: Pick<Store, 'whenDurable' | 'reachedAt'>;
  readonly outbox: Outbox;
  /** Runs a piece of work as an entrance from outside (see Loopback). */
  readonly during: (work: () => void) => void;
  /** What the node says of all lives that it knows. */
  readonly heard?: (from: string, position: number, lives: ReadonlyMap<string, Life>) => void;
}

/** Fields per node in claims. */
const stride = 6;

export class Closing {
  readonly #options: ClosingOptions;
  /** By node claimed about, then by claimant: below which incarnation it has nothing undecided and never will. */
  readonly #clearBelow = new Map<string, Map<string, number>>();

  constructor(options: ClosingOptions) {
    this.#options = options;
  }

  tick(): void {
    this.tell(this.#options.topology.view.members.map(({ id }) => id));
  }

  /** Tells these where we stand, once that is durable. Precondition: all floors we have are. */
  tell(nodes: readonly string[]): void {
    const { topology, ledger, store, outbox, during } = this.#options;
    const claims: (string | number)[] = [];
    for (const { id } of topology.view.members) {
      const floor = ledger.lives.floorOf(id);
      if (floor === null) continue;
      let clear = 1;
      for (const record of ledger.undecided) if (record.id.node === id && record.id.incarnation < floor.incarnation) clear = 0;
      claims.push(id, floor.storeId, floor.incarnation, floor.rebornAt, floor.nonce, clear);
    }
    // What is decided here in memory only would be undecided again after a crash, and the others might have closed it by then.
    store.whenDurable(() => during(() => {
      for (const node of nodes) outbox.send(node, [Tag.claims, store.reachedAt, claims]);
    }));
  }

  onClaims(from: string, [, position, claims]: Claims): void {
    const { topology, ledger, heard } = this.#options;
    const lives = new Map<string, Life>();
    for (let i = 0; i < claims.length; i += stride) {
      const [about, storeId, floor, rebornAt, nonce, clear] = claims.slice(i, i + stride) as [string, string, number, number, number, number];
      lives.set(about, { storeId, incarnation: floor, rebornAt, nonce });
      if (clear !== 1) continue;
      let claimants = this.#clearBelow.get(about);
      if (claimants === undefined) this.#clearBelow.set(about, (claimants = new Map()));
      claimants.set(from, floor);
      const all = topology.view.members.map(({ id }) => claimants.get(id) ?? 0);
      const closedBelow = Math.min(...all);
      if (closedBelow > 1 && closedBelow > ledger.lives.closedBelow(about)) ledger.enterDurably([Kind.closed, about, closedBelow]);
    }
    heard?.(from, position, lives);
  }
}
