/**
 * Who wrote what, and which transactions count as committed.
 *
 * A transaction of unknown outcome took effect if a committed one read what it appended; then it is as much part of the order as any other, except
 * that nothing follows its completion. Its own reads can show further ones of the kind, so this goes on until nothing is added. One that nobody
 * observed is left out: it could only be placed after everything, where it explains nothing.
 *
 * Lists of a key are nearly always prefixes of one another, so each is compared with the longest seen so far (cheap), and only what is beyond is
 * looked up (dear).
 */

import { type Element, type History, type Key, MalformedHistory, type ListOperation, type Operation } from './history.ts';

export type ListTransaction = Operation<ListOperation>;

export interface Append {
  readonly by: ListTransaction;
  readonly key: Key;
  readonly element: Element;
  /** Its place among the transaction's appends to that key. */
  readonly place: number;
  readonly isLast: boolean;
}

export type AppendsByKey = ReadonlyMap<Key, ReadonlyMap<Element, Append>>;

/** Of all transactions, the failed ones included. Throws MalformedHistory where an element is appended to a key twice. */
export function appendsOf(history: History<ListOperation>): AppendsByKey {
  const appends = new Map<Key, Map<Element, Append>>();
  for (const by of history) {
    const ofThis = by.operations.filter((micro) => micro.type === 'append');
    for (const { key, element } of ofThis) {
      const ofKey = ofThis.filter((other) => other.key === key).map((other) => other.element);
      const place = ofKey.indexOf(element);
      const former = appends.get(key)?.get(element)?.by ?? (place === ofKey.lastIndexOf(element) ? undefined : by);
      if (former !== undefined) {
        throw new MalformedHistory(`T${former.id} and T${by.id} both append ${element} to ${key}: elements of a key must be unique`);
      }
      const known = appends.get(key) ?? new Map<Element, Append>();
      appends.set(key, known.set(element, { by, key, element, place, isLast: place === ofKey.length - 1 }));
    }
  }
  return appends;
}

/** The ok transactions and the observed ones of unknown outcome, in the history's order. */
export function committedOf(history: History<ListOperation>, appends: AppendsByKey): ListTransaction[] {
  const committed = new Set(history.filter(({ outcome }) => outcome === 'ok'));
  const longest = new Map<Key, readonly Element[]>();
  for (const transaction of committed) {
    for (const micro of transaction.operations) {
      if (micro.type !== 'read-list' || micro.list === undefined) continue;
      const { key, list } = micro;
      const known = longest.get(key) ?? [];
      for (let place = commonPrefix(known, list); place < list.length; place += 1) {
        const by = appends.get(key)?.get(list[place]!)?.by;
        // A set iterates over what is added to it meanwhile.
        if (by?.outcome === 'unknown') committed.add(by);
      }
      if (list.length > known.length) longest.set(key, list);
    }
  }
  return history.filter((transaction) => committed.has(transaction));
}

export function commonPrefix(a: readonly Element[], b: readonly Element[]): number {
  const length = Math.min(a.length, b.length);
  let place = 0;
  while (place < length && a[place] === b[place]) place += 1;
  return place;
}
