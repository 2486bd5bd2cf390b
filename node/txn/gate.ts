/**
 * The gate: who has heard that a node was reborn votes only for coordinators that have heard it too.
 *
 * Let X be reborn, and T a transaction that its former self voted for. When X is sure again, every replica whose evidence it has
 * has decided what it had voted for before (doubt.ts). But T may still be waiting for votes; and one given then, together with
 * the vote that X has forgotten, could make a majority of which X knows nothing. So whoever gives evidence has a floor for X
 * first, and from then on votes only on what was begun by coordinators that have it as well: they have broken with
 * X's former self, so it never voted on that.
 *
 * What a coordinator knows it says in its claims, in the same session as its prepares, and what counts is what it had said
 * before the prepare. The floors survive restarts; what others told need not, for it is told with each session.
 */
import type { Floors } from './floors.ts';

export type Rebirths = ReadonlyMap<string, number>;

const nothing: Rebirths = new Map();

export class Gate {
  readonly #self: string;
  readonly #floors: Pick<Floors, 'rebirths'>;
  readonly #told = new Map<string, Rebirths>();

  constructor(self: string, floors: Pick<Floors, 'rebirths'>) {
    this.#self = self;
    this.#floors = floors;
  }

  /** Which rebirths the node has told of in this session, as of now: the object given back does not change. */
  toldBy(node: string): Rebirths {
    return node === this.#self ? this.#floors.rebirths : (this.#told.get(node) ?? nothing);
  }

  /** May there be a vote for a coordinator that had told this? */
  isOpenTo(told: Rebirths): boolean {
    const { rebirths } = this.#floors;
    if (told === rebirths) return true;
    for (const [node, rebornAt] of rebirths) if ((told.get(node) ?? 0) < rebornAt) return false;
    return true;
  }

  heard(from: string, rebirths: Rebirths): void {
    this.#told.set(from, rebirths);
  }

  /** The session with the node begins, or has ended. */
  forget(node: string): void {
    this.#told.delete(node);
  }
}
