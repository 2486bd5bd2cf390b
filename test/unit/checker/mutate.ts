/**
 * One thing wrong in a valid history.
 *
 * Each mutation takes a valid history of appends and changes what clients saw, or were told, as a particular bug of a store would, at a place
 * chosen by chance among those where the change can't be explained away. undefined: the history has no such place.
 */

import type { AppendElement, Element, History, ListOperation, Operation, ReadList } from '../../sim/checker/history.ts';
import type { AnomalyName } from '../../sim/checker/verdict.ts';
import { append, list } from './notation.ts';
import type { Random } from './random.ts';

type Transaction = Operation<ListOperation>;
type Mutated = History<ListOperation> | undefined;

export interface Mutation {
  readonly what: string;
  /** This must be among the anomalies found. */
  readonly name: AnomalyName;
  readonly mutate: (history: History<ListOperation>, random: Random) => Mutated;
}

/** An answered read that is the transaction's whole business, so that whatever it shows contradicts nothing of its own. */
interface LoneRead {
  readonly by: Transaction;
  readonly read: Required<ReadList>;
}

interface Appended {
  readonly by: Transaction;
  readonly micro: AppendElement;
}

function loneReads(history: History<ListOperation>): LoneRead[] {
  return history.flatMap((by) => {
    const [read, more] = by.operations;
    if (by.outcome !== 'ok' || more !== undefined || read?.type !== 'read-list' || read.list === undefined) return [];
    return [{ by, read: { ...read, list: read.list } }];
  });
}

function appended(history: History<ListOperation>): Appended[] {
  return history.flatMap((by) => by.operations.filter((micro) => micro.type === 'append').map((micro) => ({ by, micro })));
}

function replace(history: History<ListOperation>, by: Transaction, change: Partial<Transaction>): History<ListOperation> {
  return history.map((transaction) => (transaction === by ? { ...transaction, ...change } : transaction));
}

/** Every answered read, of all outcomes, with its list changed. */
function everyRead(history: History<ListOperation>, change: (read: Required<ReadList>) => readonly Element[]): History<ListOperation> {
  return history.map((transaction) => ({
    ...transaction,
    operations: transaction.operations.map((micro) => (
      micro.type === 'read-list' && micro.list !== undefined ? { ...micro, list: change({ ...micro, list: micro.list }) } : micro
    )),
  }));
}

function oneRead(
  history: History<ListOperation>, random: Random, suits: (lone: LoneRead) => boolean, change: (seen: readonly Element[]) => readonly Element[],
): Mutated {
  const suitable = loneReads(history).filter(suits);
  if (suitable.length === 0) return undefined;
  const { by, read } = random.pick(suitable);
  return replace(history, by, { operations: [{ ...read, list: change(read.list) }] });
}

function isShown(history: History<ListOperation>, { key, element }: AppendElement): boolean {
  return loneReads(history).some(({ read }) => read.key === key && read.list.includes(element));
}

/** After everything else, on keys of its own or on those there are. */
function afterwards(history: History<ListOperation>, make: (at: number, id: number) => Transaction[]): History<ListOperation> {
  const at = Math.max(...history.map(({ invokedAt, completedAt }) => Math.max(invokedAt, completedAt ?? 0))) + 1;
  return [...history, ...make(at, Math.max(...history.map(({ id }) => id)) + 1)];
}

const pair = (at: number, id: number, ...both: [ListOperation[], ListOperation[]]): Transaction[] => (
  both.map((operations, index) => ({ id: id + index, process: index, invokedAt: at + index, completedAt: at + 10, outcome: 'ok', operations }))
);

function finalList(history: History<ListOperation>, key: string): readonly Element[] {
  return loneReads(history).findLast(({ read }) => read.key === key)?.read.list ?? [];
}

export const mutations: readonly Mutation[] = [
  {
    what: 'an acknowledged append disappears from all reads',
    name: 'lost-append',
    mutate: (history, random) => {
      const lost = appended(history).filter(({ by, micro }) => (
        by.outcome === 'ok' && loneReads(history).some((lone) => lone.read.key === micro.key && lone.by.invokedAt > by.completedAt!)
      ));
      if (lost.length === 0) return undefined;
      const { micro } = random.pick(lost);
      return everyRead(history, (read) => (read.key === micro.key ? read.list.filter((element) => element !== micro.element) : read.list));
    },
  },
  {
    what: 'a read misses what completed before it began, and only that',
    name: 'G-single-realtime',
    mutate: (history, random) => {
      const writers = new Map(appended(history).map(({ by, micro }) => [micro.element, by]));
      const isStale = ({ by, read }: LoneRead): boolean => {
        const writer = writers.get(read.list.at(-1) ?? '');
        return writer?.outcome === 'ok' && writer.completedAt! < by.invokedAt && appended([writer]).length === 1;
      };
      return oneRead(history, random, isStale, (seen) => seen.slice(0, -1));
    },
  },
  {
    what: 'two elements change places in a read',
    name: 'incompatible-order',
    mutate: (history, random) => {
      const isSeenInOrder = ({ by, read }: LoneRead): boolean => (
        loneReads(history).some((other) => other.by !== by && other.read.key === read.key && other.read.list.length >= read.list.length)
      );
      const suits = (lone: LoneRead): boolean => lone.read.list.length > 1 && isSeenInOrder(lone);
      return oneRead(history, random, suits, (seen) => [...seen.slice(0, -2), ...seen.slice(-2).reverse()]);
    },
  },
  {
    what: 'an append is applied twice',
    name: 'duplicate-elements',
    mutate: (history, random) => {
      const shown = appended(history).filter(({ micro }) => isShown(history, micro));
      if (shown.length === 0) return undefined;
      const { key, element: twice } = random.pick(shown).micro;
      const repeated = (list: readonly Element[]): Element[] => list.flatMap((element) => (element === twice ? [element, element] : [element]));
      return everyRead(history, (read) => (read.key === key ? repeated(read.list) : read.list));
    },
  },
  {
    what: 'a transaction reported as failed took effect',
    name: 'G1a',
    mutate: (history, random) => {
      const shown = appended(history).filter(({ by, micro }) => by.outcome === 'ok' && isShown(history, micro));
      return shown.length === 0 ? undefined : replace(history, random.pick(shown).by, { outcome: 'failed' });
    },
  },
  {
    what: 'an element appears from nowhere',
    name: 'unwritten-read',
    mutate: (history, random) => oneRead(history, random, () => true, (seen) => [...seen, 'ghost']),
  },
  {
    what: 'a transaction does not see its own append',
    name: 'internal',
    mutate: (history, random) => {
      const suitable = appended(history).filter(({ by }) => by.outcome === 'ok');
      if (suitable.length === 0) return undefined;
      const { by, micro } = random.pick(suitable);
      const others = finalList(history, micro.key).filter((element) => element !== micro.element);
      return replace(history, by, { operations: [...by.operations, list(micro.key, ...others)] });
    },
  },
  {
    what: 'a read shows half of what one transaction appended to a key',
    name: 'G1b',
    mutate: (history) => afterwards(history, (at, id) => pair(at, id, [append('z', 'a'), append('z', 'b')], [list('z', 'a')])),
  },
  {
    what: 'a read shows half of what one transaction appended to two keys',
    name: 'G-single',
    mutate: (history, random) => {
      const key = `k${random.below(3)}`;
      const seen = finalList(history, key);
      return afterwards(history, (at, id) => pair(at, id, [append(key, 'new'), append('z', 'a')], [list(key, ...seen), list('z', 'a')]));
    },
  },
  {
    what: 'two transactions append to the same version',
    name: 'lost-update',
    mutate: (history, random) => {
      const key = `k${random.below(3)}`;
      const seen = finalList(history, key);
      return afterwards(history, (at, id) => pair(at, id, [list(key, ...seen), append(key, 'a')], [list(key, ...seen), append(key, 'b')]));
    },
  },
  {
    what: 'two transactions each read what the other appends to',
    name: 'G2-item',
    mutate: (history) => {
      const both = [list('k0', ...finalList(history, 'k0')), list('k1', ...finalList(history, 'k1'))];
      return afterwards(history, (at, id) => pair(at, id, [...both, append('k0', 'a')], [...both, append('k1', 'b')]));
    },
  },
  {
    what: 'two transactions are applied in different orders on two keys',
    name: 'G0',
    mutate: (history) => afterwards(history, (at, id) => [
      ...pair(at, id, [append('y', 'a'), append('z', 'a')], [append('y', 'b'), append('z', 'b')]),
      ...pair(at + 20, id + 2, [list('y', 'a', 'b')], [list('z', 'b', 'a')]),
    ]),
  },
  {
    what: 'two transactions read each other',
    name: 'G1c',
    mutate: (history) => afterwards(history, (at, id) => pair(at, id, [append('y', 'a'), list('z', 'b')], [append('z', 'b'), list('y', 'a')])),
  },
];
