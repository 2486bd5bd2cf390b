/** For how long the event loops of nodes stood still, and when: told by what is loaded into their processes beside them (stall-watch.ts). */
import type { LocalCluster } from '../cluster.ts';

/** What is told of one. */
export interface Stall {
  readonly event: 'stalled';
  /** When it ended, since 1970. */
  readonly atMs: number;
  readonly ms: number;
}

/** For the Node.js of nodes that are to be watched. */
export const watchFlags: readonly string[] = ['--import', new URL('./stall-watch.js', import.meta.url).href];

export class Stalls {
  readonly #stalls: (Stall & { readonly node: string })[] = [];

  constructor(cluster: LocalCluster) {
    cluster.onMessage = (node, message) => {
      if ((message as Partial<Stall>).event === 'stalled') this.#stalls.push({ ...(message as Stall), node });
    };
  }

  /** By node: the longest that ended between two moments since 1970. */
  longest(fromMs: number, toMs: number): Readonly<Record<string, number>> {
    const longest: Record<string, number> = {};
    for (const { node, atMs, ms } of this.#stalls) if (atMs >= fromMs && atMs < toMs) longest[node] = Math.max(longest[node] ?? 0, ms);
    return longest;
  }
}
