/**
 * Clients that don't go where all others go.
 *
 * Transactions on the same keys meet at one coordinator, as long as all clients agree which that is, and there conflicts are found before any replica sees them. But safety
 * must not depend on it: a client may see other nodes live than the next one does, be of an older make, or of another one. So some choose for themselves.
 */
import type { Peer } from '../../client/peer.ts';
import type { Router } from '../../client/routing.ts';
import type { Random } from './random.ts';

/**
 * `led`: as clients do; `own`: the first live replica of an order of its own; `any`: another one each time, so that two transactions which it begins together go to different
 * nodes.
 */
export type Routing = 'led' | 'own' | 'any';

export const wilful = ['own', 'any'] as const satisfies readonly Routing[];

/** Has the router choose coordinators so, from now on, and heed nobody's advice. */
export function bend(router: Router, routing: Routing, random: Random): void {
  if (routing === 'led') return;
  const own = random.shuffled(router.members.map(({ id }) => id));
  /** A choice holds for an instant, in which a request may be divided by it. */
  const chosen = new Map<number, readonly string[]>();
  let atMs = router.nowMs();
  const orderFor = (partition: number): readonly string[] => {
    if (routing === 'own') return own;
    if (router.nowMs() !== atMs) chosen.clear();
    atMs = router.nowMs();
    const order = chosen.get(partition) ?? random.shuffled(router.groupOf(partition));
    chosen.set(partition, order);
    return order;
  };
  const usual = router.coordinatorFor.bind(router);
  router.coordinatorFor = (partition: number, avoid: Peer | null): Peer | null => {
    const group = router.groupOf(partition);
    const live = router.members.filter(({ id, peer }) => group.includes(id) && peer.session !== null && peer !== avoid);
    const first = orderFor(partition).find((id) => live.some((member) => member.id === id));
    return live.find(({ id }) => id === first)?.peer ?? usual(partition, avoid);
  };
  router.leads.learn = () => {};
}
