/**
 * Workloads whose every consistent state has a property that can be seen at a glance: the sum of the accounts, the one cycle of a permutation, the
 * constraint that write skew breaks. Such a check is weaker than the search for cycles, but it says in the application's own words what went wrong,
 * and it needs no unique values.
 *
 * A transaction that is ok and read every key of a group saw one state of it; that state must have the property.
 */

import { assertWellFormed, type History, type Key, type Operation, type Scalar } from './history.ts';
import { Findings, scalarInWords, type Verdict } from './verdict.ts';

export interface Invariant {
  /** Groups of keys; within each the property must hold by itself. */
  readonly groups: readonly (readonly Key[])[];
  /** What is wrong with the values of a group, in the order of its keys, in words; undefined: nothing. */
  readonly violation: (values: readonly Scalar[], keys: readonly Key[]) => string | undefined;
}

/** `observations` of the verdict is the number of states of a group that were seen whole. */
export function checkInvariant(history: History, { groups, violation }: Invariant): Verdict {
  assertWellFormed(history);
  const findings = new Findings();
  let observations = 0;
  for (const operation of history) {
    if (operation.outcome !== 'ok') continue;
    const seen = firstReads(operation);
    for (const keys of groups) {
      const values = keys.map((key) => seen.get(key)).filter((value) => value !== undefined);
      if (values.length < keys.length) continue;
      observations += 1;
      const wrong = violation(values, keys);
      if (wrong !== undefined) findings.add('broken-invariant', `T${operation.id} saw that ${wrong}`, [operation.id]);
    }
  }
  return findings.verdict(observations);
}

/** What it read of each key before it wrote to it itself: a state that others left. */
function firstReads({ operations }: Operation): Map<Key, Scalar> {
  const seen = new Map<Key, Scalar>();
  const touched = new Set<Key>();
  for (const micro of operations) {
    if (micro.type === 'read' && micro.value !== undefined && !touched.has(micro.key)) seen.set(micro.key, micro.value);
    touched.add(micro.key);
  }
  return seen;
}

/** Transfers keep the sum of the accounts what it was. `least`: what no account may fall below. */
export function bankInvariant(accounts: readonly Key[], total: number, least = Number.NEGATIVE_INFINITY): Invariant {
  return {
    groups: [accounts],
    violation: (values, keys) => notANumber(values, keys) ?? below(values, keys, least) ?? otherSum(values, keys, total),
  };
}

/** Each node holds the name of the next, and following them leads through all of them and back. */
export function ringInvariant(nodes: readonly Key[]): Invariant {
  return {
    groups: [nodes],
    violation: (values, keys) => {
      const successor = new Map(keys.map((key, place) => [key, values[place]!]));
      const visited = new Set<Scalar>();
      let node: Scalar = keys[0] ?? null;
      for (; typeof node === 'string' && !visited.has(node); node = successor.get(node) ?? null) visited.add(node);
      const path = [...visited].join(' -> ');
      if (typeof node !== 'string') return `the ring ends: ${path} -> ${scalarInWords(node)}`;
      if (node !== keys[0]) return `the ring does not close: ${path} -> ${node}`;
      if (visited.size === keys.length) return undefined;
      const left = keys.filter((key) => !visited.has(key));
      return `the ring has fallen apart: ${path} -> ${node} is closed without ${left.join(', ')}`;
    },
  };
}

/** Each group's sum stays at `least` or above: by write skew two transactions that each keep to it break it together. */
export function sumAtLeast(groups: readonly (readonly Key[])[], least: number): Invariant {
  return {
    groups,
    violation: (values, keys) => {
      const sum = sumOf(values);
      return notANumber(values, keys) ?? (sum < least ? `${assignments(values, keys)}: the sum is ${sum}, below ${least}` : undefined);
    },
  };
}

/** At most `most` of each group are on, that is true. */
export function atMostOn(groups: readonly (readonly Key[])[], most: number): Invariant {
  return {
    groups,
    violation: (values, keys) => {
      const on = keys.filter((_, place) => values[place] === true);
      return on.length > most ? `${on.join(', ')} are on together: at most ${most} may be` : undefined;
    },
  };
}

/** Each of the tokens 0, 1, ... lies at one of the places; all others are empty. */
export function tokensInvariant(places: readonly Key[], count: number): Invariant {
  return {
    groups: [places],
    violation: (values, keys) => {
      for (let token = 0; token < count; token++) {
        const at = keys.filter((_, place) => values[place] === token);
        if (at.length !== 1) return `token ${token} is ${at.length === 0 ? 'nowhere' : `at ${at.join(' and ')}`}`;
      }
      const strange = keys.filter((_, place) => values[place] !== null && !(Number(values[place]) < count));
      return strange.length > 0 ? `${strange.join(', ')} hold what was never put anywhere` : undefined;
    },
  };
}

function otherSum(values: readonly Scalar[], keys: readonly Key[], total: number): string | undefined {
  const sum = sumOf(values);
  return sum === total ? undefined : `the sum of ${keys.length} accounts is ${sum} instead of ${total}: ${assignments(values, keys)}`;
}

function notANumber(values: readonly Scalar[], keys: readonly Key[]): string | undefined {
  const place = values.findIndex((value) => typeof value !== 'number');
  return place === -1 ? undefined : `${assignments(values.slice(place, place + 1), keys.slice(place))}, which is not a number`;
}

function below(values: readonly Scalar[], keys: readonly Key[], least: number): string | undefined {
  const place = values.findIndex((value) => typeof value === 'number' && value < least);
  return place === -1 ? undefined : `${assignments(values.slice(place, place + 1), keys.slice(place))}, below ${least}`;
}

function sumOf(values: readonly Scalar[]): number {
  return values.reduce<number>((sum, value) => sum + Number(value), 0);
}

/** A workload may have thousands of accounts. */
const valuesShownMax = 20;

function assignments(values: readonly Scalar[], keys: readonly Key[]): string {
  const shown = values.slice(0, valuesShownMax).map((value, place) => `${keys[place] ?? ''}=${scalarInWords(value)}`);
  return shown.join(', ') + (values.length > valuesShownMax ? ` and ${values.length - valuesShownMax} more` : '');
}
