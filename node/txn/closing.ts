/**
 * Closing dead lives. A coordinator that died can't finish its transactions, so their records would stay for ever. Each
 * node tells the others, about every member: below which incarnation it gives no votes any more (durably), and
 * whether it still holds an undecided record from below. Once all members have said "none below f", nothing from
 * below f can change any more, anywhere, and it stays so: everybody may conclude that for itself.
 */
import { Tag, type Claims } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import { Kind } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { Ledger } from './ledger.ts';

export interface ClosingOptions {
  readonly topology: Topology;
  readonly ledger: Ledger;
  readonly store: Pick<Store, 'whenDurable'>;
  readonly outbox: Outbox;
  /** Runs a piece of work as an entrance from outside (see Loopback). */
  readonly during: (work: () => void) => void;
}

export class Closing {
  readonly #options: ClosingOptions;
  /** By node claimed about, then by claimant: below which incarnation it has nothing undecided and never will. */
  readonly #clearBelow = new Map<string, Map<string, number>>();

  constructor(options: ClosingOptions) {
    this.#options = options;
  }

  /** Tells everybody where we stand, once that is durable. Precondition: all floors we have are. */
  tick(): void {
    const { topology, ledger, store, outbox, during } = this.#options;
    const claims: (string | number)[] = [];
    for (const { id } of topology.view.members) {
      const floor = ledger.lives.floorOf(id)?.incarnation ?? 0;
      if (floor <= 1) continue; // never met, or in its first life
      let clear = 1;
      for (const record of ledger.undecided) if (record.id.node === id && record.id.incarnation < floor) clear = 0;
      claims.push(id, floor, clear);
    }
    if (claims.length === 0) return;
    // What is decided here in memory only would be undecided again after a crash, and the others might have closed it by then.
    store.whenDurable(() => during(() => {
      for (const { id } of topology.view.members) outbox.send(id, [Tag.claims, claims]);
    }));
  }

  onClaims(from: string, [, claims]: Claims): void {
    const { topology, ledger } = this.#options;
    for (let i = 0; i < claims.length; i += 3) {
      const [about, floor, clear] = claims.slice(i, i + 3) as [string, number, number];
      if (clear !== 1) continue;
      let claimants = this.#clearBelow.get(about);
      if (claimants === undefined) this.#clearBelow.set(about, (claimants = new Map()));
      claimants.set(from, floor);
      const all = topology.view.members.map(({ id }) => claimants.get(id) ?? 0);
      const closedBelow = Math.min(...all);
      if (closedBelow > ledger.lives.closedBelow(about)) ledger.enterDurably([Kind.closed, about, closedBelow]);
    }
  }
}
