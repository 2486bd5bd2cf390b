/**
 * What a node knows durably of the others' lives: the newest life of each, below which it gives no votes any more; and, if it
 * was reborn itself, from where on it remembers their transactions.
 *
 * A *fence* is told by a coordinator after the rebirth: no transaction of that life with that number, or a later one, had
 * begun. What lies before it, the former self may have voted on, promised or accepted; about that there is nothing true
 * to say. Without a fence of a coordinator that goes for all its transactions. So a fence may be lost and told anew, higher;
 * and it must be lost with the next rebirth, for the life that it began is then among those of which nothing is known.
 */
import type { TxnId } from '../../client/wire/messages.ts';
import { succeeds, type Floor, type Life } from '../cluster/succession.ts';

interface Fence {
  readonly incarnation: number;
  readonly number: number;
}

/** As the store keeps it. */
export interface StoredFloors {
  /** Fields are missing where a version of the program without rebirth wrote it. */
  readonly floors: [string, Pick<Floor, 'storeId' | 'incarnation'> & Partial<Floor>][];
}

export type StoredFences = [string, Fence][];

export class Floors {
  readonly #floors = new Map<string, Floor>();
  readonly #fences = new Map<string, Fence>();
  /** Of the nodes that were ever reborn, in which life; another object whenever it changes. */
  rebirths: ReadonlyMap<string, number> = new Map();
  /** How often that has changed. */
  rebirthCount = 0;
  changed = false;
  fencesChanged = false;

  of(node: string): Floor | null {
    return this.#floors.get(node) ?? null;
  }

  raise(node: string, life: Life): void {
    const known = this.of(node);
    if (known !== null && !succeeds(known, life)) return;
    this.#set(node, { ...life, position: 0 });
    this.changed = true;
  }

  /** How far the node's journal has come in this life, by its own word. It may be told before the life is durably known, and says nothing of the one before. */
  reached(node: string, incarnation: number, position: number): void {
    const known = this.of(node);
    if (known === null || known.incarnation !== incarnation || known.position >= position) return;
    this.#set(node, { ...known, position });
    this.changed = true;
  }

  /** The first fence counts: later ones are higher. */
  fence(node: string, incarnation: number, number: number): void {
    if (this.#fences.has(node)) return;
    this.#fences.set(node, { incarnation, number });
    this.fencesChanged = true;
  }

  isFenced(node: string): boolean {
    return this.#fences.has(node);
  }

  /** Does the transaction lie before the fence? To be asked of others' transactions, by a node that was reborn. */
  isBeforeFence({ node, incarnation, number }: TxnId): boolean {
    const fence = this.#fences.get(node);
    if (fence === undefined) return true;
    return incarnation !== fence.incarnation ? incarnation < fence.incarnation : number < fence.number;
  }

  stored(): StoredFloors {
    return { floors: [...this.#floors] };
  }

  restore({ floors }: StoredFloors): void {
    for (const [node, floor] of floors) this.#set(node, { rebornAt: 0, nonce: 0, position: 0, ...floor });
  }

  storedFences(): StoredFences {
    return [...this.#fences];
  }

  restoreFences(fences: StoredFences): void {
    for (const [node, { incarnation, number }] of fences) this.#fences.set(node, { incarnation, number });
  }

  #set(node: string, floor: Floor): void {
    this.#floors.set(node, floor);
    if (floor.rebornAt === 0 || this.rebirths.get(node) === floor.rebornAt) return;
    this.rebirths = new Map(this.rebirths).set(node, floor.rebornAt);
    this.rebirthCount++;
  }
}
