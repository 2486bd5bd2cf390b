/**
 * Valid histories, made the other way round: first when each operation begins, takes effect and ends, then what it sees if all take effect one at a
 * time in that order. Whatever overlaps, there is thus one order that explains everything, and a checker that objects is wrong.
 *
 * Of the operations whose outcome stays unknown some take effect, perhaps long after, and some never do; those saw whatever was there.
 */

import type {
  CounterOperation, Element, Key, ListOperation, Operation, Outcome, ReadRegister, RegisterOperation, Scalar, WriteRegister,
} from '../../sim/checker/history.ts';
import { Random } from './random.ts';

export interface Shape {
  readonly seed: number;
  readonly count: number;
  readonly processes: number;
  readonly keys: number;
  /** Chance of an operation to end without a known outcome; half of these take effect. Half as many fail. */
  readonly unknownChance: number;
}

interface Slot {
  readonly id: number;
  readonly process: number;
  readonly invokedAt: number;
  readonly effectAt: number;
  readonly completedAt: number | null;
  readonly outcome: Outcome;
  readonly takesEffect: boolean;
}

function slots(random: Random, { count, processes, unknownChance }: Shape): Slot[] {
  const freeAt = Array.from({ length: processes }, () => random.next() * 10);
  const made: Slot[] = [];
  for (let id = 0; id < count; id += 1) {
    const process = freeAt.indexOf(Math.min(...freeAt));
    const invokedAt = freeAt[process]! + random.next();
    const duration = 10 * random.next() * (random.chance(0.05) ? 10 : 1);
    const isUnknown = random.chance(unknownChance);
    const outcome = isUnknown ? 'unknown' : random.chance(unknownChance / 2) ? 'failed' : 'ok';
    const effectAt = invokedAt + duration * random.next() * (isUnknown && random.chance(0.3) ? 20 : 1);
    const completedAt = isUnknown && random.chance(0.5) ? null : invokedAt + duration;
    const takesEffect = outcome === 'ok' || (isUnknown && random.chance(0.5));
    made.push({ id, process, invokedAt, effectAt, completedAt, outcome, takesEffect });
    freeAt[process] = invokedAt + duration;
  }
  return made.sort((a, b) => a.effectAt - b.effectAt);
}

/** `act` applies to the store if `takesEffect`, and says what the client saw. */
function run<M extends ListOperation | RegisterOperation | CounterOperation>(shape: Shape, act: (slot: Slot, random: Random) => M[]): Operation<M>[] {
  const random = new Random(shape.seed);
  const history = slots(random, shape).map((slot): Operation<M> => {
    const { id, process, invokedAt, completedAt, outcome } = slot;
    return { id, process, invokedAt, completedAt, outcome, operations: act(slot, random) };
  });
  return history.sort((a, b) => a.invokedAt - b.invokedAt);
}

/** Later than any operation of a history takes effect, if it ever does. */
const quietAfter = 10_000;

const keyOf = (random: Random, keys: number): Key => `k${random.below(keys)}`;

/**
 * Transactions of one to four appends and reads; in the end, when all is quiet, each key is read. An answer that the client of a failed or
 * unknown one got is sometimes kept.
 */
export function appendHistory(shape: Shape): Operation<ListOperation>[] {
  const store = new Map<Key, readonly Element[]>();
  let elements = 0;
  const history = run(shape, ({ outcome, takesEffect }, random) => {
    const local = new Map<Key, readonly Element[]>();
    const operations: ListOperation[] = [];
    for (let left = 1 + random.below(4); left > 0; left -= 1) {
      const key = keyOf(random, shape.keys);
      const now = local.get(key) ?? store.get(key) ?? [];
      if (random.chance(0.5)) {
        operations.push(outcome === 'ok' || random.chance(0.5) ? { type: 'read-list', key, list: now } : { type: 'read-list', key });
      } else {
        elements += 1;
        local.set(key, [...now, elements]);
        operations.push({ type: 'append', key, element: elements });
      }
    }
    if (takesEffect) for (const [key, list] of local) store.set(key, list);
    return operations;
  });
  const endsAt = Math.max(...history.map(({ invokedAt, completedAt }) => completedAt ?? invokedAt)) + quietAfter;
  const finalReads = Array.from({ length: shape.keys }, (_, index): Operation<ListOperation> => {
    const key = `k${index}`;
    const operations: ListOperation[] = [{ type: 'read-list', key, list: store.get(key) ?? [] }];
    return { id: shape.count + index, process: 0, invokedAt: endsAt + 2 * index, completedAt: endsAt + 2 * index + 1, outcome: 'ok', operations };
  });
  return [...history, ...finalReads];
}

/** `values`: how many different ones there are; few make many orders possible. */
export function registerHistory(shape: Shape, values: number): Operation<RegisterOperation>[] {
  const store = new Map<Key, Scalar>();
  const value = (random: Random): Scalar => (random.chance(0.1) ? null : random.below(values));
  return run<RegisterOperation>(shape, ({ outcome, takesEffect }, random) => {
    const key = keyOf(random, shape.keys);
    const now = store.get(key) ?? null;
    const kind = random.next();
    if (kind < 0.4) return [outcome === 'ok' ? { type: 'read', key, value: now } : { type: 'read', key }];
    const next = value(random);
    if (kind < 0.75) {
      if (takesEffect) store.set(key, next);
      return [{ type: 'write', key, value: next }];
    }
    const expected = random.chance(0.6) ? now : value(random);
    const swapped = expected === now;
    if (takesEffect && swapped) store.set(key, next);
    return [{ type: 'compare-and-set', key, expected, value: next, ...(outcome === 'ok' ? { swapped } : {}) }];
  });
}

/** Increments by 1 to 3, alone or after a read in the same transaction, and reads. */
export function counterHistory(shape: Shape): Operation<CounterOperation>[] {
  const store = new Map<Key, number>();
  return run(shape, ({ takesEffect }, random) => {
    const key = keyOf(random, shape.keys);
    const operations: CounterOperation[] = [];
    let now = store.get(key) ?? 0;
    if (random.chance(0.5)) operations.push({ type: 'read', key, value: now === 0 ? null : now });
    if (random.chance(0.6)) {
      const delta = 1 + random.below(3);
      now += delta;
      operations.push({ type: 'add', key, delta });
    }
    if (random.chance(0.3)) operations.push({ type: 'read', key, value: now });
    if (takesEffect) store.set(key, now);
    return operations;
  });
}

/** Transactions that read some keys and write a unique value to some of them, sometimes without having read it. */
export function transferHistory(shape: Shape, blindChance: number): Operation<ReadRegister | WriteRegister>[] {
  const store = new Map<Key, Scalar>();
  let writes = 0;
  return run(shape, ({ takesEffect }, random) => {
    const operations: (ReadRegister | WriteRegister)[] = [];
    for (const key of new Set([keyOf(random, shape.keys), keyOf(random, shape.keys), keyOf(random, shape.keys)])) {
      const isBlind = random.chance(blindChance);
      if (!isBlind) operations.push({ type: 'read', key, value: store.get(key) ?? null });
      if (!isBlind && random.chance(0.4)) continue;
      writes += 1;
      operations.push({ type: 'write', key, value: `v${writes}` });
    }
    if (takesEffect) for (const micro of operations) if (micro.type === 'write') store.set(micro.key, micro.value);
    return operations;
  });
}

/**
 * Small histories of a store that keeps no promise: each transaction sees each key as it was at some moment up to now, and what it does to
 * it is added to what is there, or is based on what it saw, or is lost. Some of them are strictly serializable nevertheless.
 */
export function anyAppendHistory(seed: number): Operation<ListOperation>[] {
  const random = new Random(seed);
  const versions = new Map<Key, (readonly Element[])[]>([['x', [[]]], ['y', [[]]]]);
  const wildness = random.next();
  const shape: Shape = { seed, count: 2 + random.below(4), processes: 1 + random.below(3), keys: 2, unknownChance: 0.25 };
  let elements = 0;
  const history = slots(random, shape).map(({ id, process, invokedAt, completedAt, outcome, takesEffect }): Operation<ListOperation> => {
    const local = new Map<Key, readonly Element[]>();
    const operations: ListOperation[] = [];
    const appended: { key: Key; element: Element }[] = [];
    for (let left = 1 + random.below(3); left > 0; left -= 1) {
      const key = random.pick(['x', 'y']);
      const known = versions.get(key)!;
      const now = local.get(key) ?? (random.chance(wildness) ? random.pick(known) : known.at(-1)!);
      if (random.chance(0.6)) {
        const seen = random.chance(wildness * 0.1) ? now.slice(0, -1) : now;
        operations.push({ type: 'read-list', key, list: seen });
        local.set(key, now);
      } else {
        elements += 1;
        operations.push({ type: 'append', key, element: elements });
        appended.push({ key, element: elements });
        local.set(key, [...now, elements]);
      }
    }
    const applies = random.chance(wildness * 0.2) ? !takesEffect : takesEffect;
    for (const { key, element } of applies ? appended : []) {
      const known = versions.get(key)!;
      const base = random.chance(wildness * 0.2) ? local.get(key)!.filter((other) => other !== element) : known.at(-1)!;
      known.push(random.chance(wildness * 0.1) ? [...base.slice(0, -1), element, ...base.slice(-1)] : [...base, element]);
    }
    return { id, process, invokedAt, completedAt, outcome, operations };
  });
  return history.sort((a, b) => a.invokedAt - b.invokedAt);
}

/** Small histories of one register, some with a wrong answer or two. There are few values, so that many orders are possible. */
export function anyRegisterHistory(seed: number): Operation<RegisterOperation>[] {
  const random = new Random(seed);
  const shape: Shape = { seed, count: 2 + random.below(6), processes: 1 + random.below(4), keys: 1, unknownChance: 0.3 };
  return registerHistory(shape, 2 + random.below(3)).map((operation): Operation<RegisterOperation> => {
    const [micro] = operation.operations;
    if (micro === undefined || operation.outcome !== 'ok' || random.chance(0.85)) return operation;
    if (micro.type === 'read') return { ...operation, operations: [{ ...micro, value: random.chance(0.2) ? null : random.below(3) }] };
    if (micro.type === 'compare-and-set') return { ...operation, operations: [{ ...micro, swapped: micro.swapped !== true }] };
    return { ...operation, outcome: 'failed' };
  });
}

/** Small histories of registers whose reads are sometimes of an earlier version, or of what never took effect. */
export function anyTransferHistory(seed: number): Operation<ReadRegister | WriteRegister>[] {
  const random = new Random(seed);
  const shape: Shape = { seed, count: 2 + random.below(5), processes: 1 + random.below(4), keys: 2, unknownChance: 0.25 };
  const history = transferHistory(shape, random.pick([0, 0.3]));
  const wildness = random.next() * 0.3;
  const written = new Map<Key, Scalar[]>();
  for (const micro of history.flatMap(({ operations }) => operations)) {
    if (micro.type === 'write') written.set(micro.key, [...(written.get(micro.key) ?? [null]), micro.value]);
  }
  return history.map((operation) => ({
    ...operation,
    operations: operation.operations.map((micro) => (
      micro.type === 'read' && random.chance(wildness) ? { ...micro, value: random.pick(written.get(micro.key) ?? [null]) } : micro
    )),
  }));
}
