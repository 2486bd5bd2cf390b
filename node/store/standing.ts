/** Which life of the node this is, and how it stands with the others: new, known, or about to be told that it has forgotten. */
import type { Doubts } from './doubts.ts';
import { lostPut, removalOf, type Lost } from './meta.ts';
import type { OwnLife } from './rebirth.ts';
import type { TableWriter } from './table-writer.ts';

export class Standing {
  readonly life: OwnLife;
  readonly #doubts: Doubts;
  readonly #table: TableWriter;
  #isUnfounded: boolean;

  constructor(life: OwnLife, isUnfounded: boolean, doubts: Doubts, table: TableWriter) {
    this.life = life;
    this.#isUnfounded = isUnfounded;
    this.#doubts = doubts;
    this.#table = table;
  }

  /** The store was new, and nobody has said yet that it may be sure of having nothing. */
  get isUnfounded(): boolean {
    return this.#isUnfounded;
  }

  /** It may be sure: there never was anything in place of this store. */
  found(): void {
    this.#isUnfounded = false;
    this.#doubts.dismiss();
    this.#table.write([removalOf('unfounded'), this.#doubts.put()], () => {});
  }

  /** Others know better what this node did: whoever opens the store next is reborn. Durable when `done` comes. */
  lose(lost: Lost, done: () => void): void {
    this.#table.write([lostPut(lost)], done);
  }
}
