/**
 * What is under way between two nodes, first in, first out: each content is a number, 0 for nothing, equal ones have the
 * same. Beside messages (their numbers, from `messageItems` on) a queue may hold that the session is closed, which its
 * receiver has not noticed yet, or that a new one is open.
 */
export const closed = 0;
export const welcome = 1;
export const messageItems = 2;

export class Queues {
  readonly #heads: number[] = [-1];
  readonly #rests: number[] = [0];
  readonly #lasts: number[] = [-1];
  readonly #longer: Map<number, number>[] = [new Map()];

  append(queue: number, item: number): number {
    const known = this.#longer[queue]!.get(item);
    if (known !== undefined) return known;
    // What is left of it without its head is built the same way, so it is known before.
    const rest = queue === 0 ? 0 : this.append(this.#rests[queue]!, item);
    const longer = this.#heads.push(queue === 0 ? item : this.#heads[queue]!) - 1;
    this.#rests.push(rest);
    this.#lasts.push(item);
    this.#longer.push(new Map());
    this.#longer[queue]!.set(item, longer);
    return longer;
  }

  /** The first item; -1 of an empty queue. */
  head(queue: number): number {
    return this.#heads[queue]!;
  }

  /** All but the first. */
  rest(queue: number): number {
    return this.#rests[queue]!;
  }

  items(queue: number): number[] {
    const items: number[] = [];
    for (let at = queue; at !== 0; at = this.rest(at)) items.push(this.head(at));
    return items;
  }
}
