/**
 * Linearizability of single-key registers: get, set, delete and compare-and-set.
 *
 * A history is linearizable exactly when its part of each key is (Herlihy & Wing: linearizability is local; "P-compositionality"), so keys are
 * searched one by one, and the cost grows with the longest of them.
 *
 * Writes of unknown outcome would make the search explode, for each may be put anywhere or left out. But one whose value is replaced before anybody
 * sees it may as well be left out. So it is only ever put directly before a call that sees its value; until then the state is *tentative*,
 * and nothing but such a call can follow.
 *
 * References: Horn & Kroening, "Faster linearizability checking via P-compositionality", FORTE 2015; Kingsbury, Knossos; Athalye, Porcupine.
 */

import { assertWellFormed, type History, type Key, MalformedHistory, type Operation, type RegisterOperation, type Scalar } from './history.ts';
import { impossible, type Linearization, linearize, type Machine } from './linearize.ts';
import { Findings, scalarInWords, type Verdict } from './verdict.ts';

export interface RegisterOptions {
  /** What each key held before the history; those not named: absent. */
  readonly initial?: ReadonlyMap<Key, Scalar>;
  /** How many configurations of one key are searched before it counts as undecided. */
  readonly configurationsMax?: number;
}

export interface RegisterVerdict extends Verdict {
  /** For each key that is not linearizable: the ids of the longest part that is, in order, and the id of the operation that has no place after it. */
  readonly stuck: readonly { readonly key: Key; readonly longestPrefix: readonly number[]; readonly at: number }[];
  /** Keys whose search reached its bound. */
  readonly undecided: readonly Key[];
}

interface RegisterCall {
  readonly id: number;
  readonly micro: RegisterOperation;
  readonly invokedAt: number;
  readonly returnedAt: number;
}

/** Throws MalformedHistory where times make no sense or an operation is not of exactly one key. */
export function checkRegister(history: History<RegisterOperation>, options: RegisterOptions = {}): RegisterVerdict {
  assertWellFormed(history);
  const callsByKey = new Map<Key, RegisterCall[]>();
  let observations = 0;
  for (const operation of history) {
    const call = callOf(operation);
    if (call === undefined) continue;
    const { key } = call.micro;
    const ofKey = callsByKey.get(key);
    if (ofKey === undefined) callsByKey.set(key, [call]);
    else ofKey.push(call);
    if (call.micro.type !== 'write' && call.returnedAt !== Number.POSITIVE_INFINITY) observations += 1;
  }
  const findings = new Findings();
  const stuck: { key: Key; longestPrefix: readonly number[]; at: number }[] = [];
  const undecided: Key[] = [];
  for (const [key, calls] of callsByKey) {
    const scalars = new Scalars();
    const found = linearize(calls, machineOf(calls, options.initial?.get(key) ?? null, scalars), options.configurationsMax);
    if (found.outcome === 'undecided') undecided.push(key);
    if (found.outcome !== 'stuck' || found.stuckAt === undefined) continue;
    const longestPrefix = found.order.map((position) => calls[position]!.id);
    const { id } = calls[found.stuckAt]!;
    stuck.push({ key, longestPrefix, at: id });
    const overlapping = found.candidates.map((position) => calls[position]!.id);
    findings.add('nonlinearizable', inWords(key, calls, found, scalars), [id, ...overlapping, ...longestPrefix.slice(-1)]);
  }
  const verdict = findings.verdict(observations);
  const outcome = verdict.outcome === 'valid' && undecided.length > 0 ? 'undecided' : verdict.outcome;
  return { ...verdict, outcome, stuck, undecided };
}

/** undefined: it has no effect and saw nothing. */
function callOf({ id, invokedAt, completedAt, outcome, operations }: Operation<RegisterOperation>): RegisterCall | undefined {
  const [micro, ...others] = operations;
  if (micro === undefined || others.length > 0) {
    throw new MalformedHistory(`T${id} has ${operations.length} micro-operations: an operation on a register has one`);
  }
  if (outcome === 'failed' || (outcome === 'unknown' && micro.type === 'read')) return undefined;
  const isAnswered = micro.type === 'write' || (micro.type === 'read' ? micro.value !== undefined : micro.swapped !== undefined);
  if (outcome === 'ok' && !isAnswered) throw new MalformedHistory(`T${id} is ok, but its ${micro.type} has no answer`);
  return { id, micro, invokedAt, returnedAt: outcome === 'ok' && completedAt !== null ? completedAt : Number.POSITIVE_INFINITY };
}

/** Scalars by number, for the search's states. */
class Scalars {
  readonly #numbers = new Map<Scalar, number>();
  readonly #scalars: Scalar[] = [];

  numberOf(scalar: Scalar): number {
    const known = this.#numbers.get(scalar);
    if (known !== undefined) return known;
    this.#numbers.set(scalar, this.#scalars.length);
    return this.#scalars.push(scalar) - 1;
  }

  at(number: number): Scalar {
    return this.#scalars[number] ?? null;
  }
}

/** A state is twice the number of the register's value, plus one while it is tentative. */
function machineOf(calls: readonly RegisterCall[], initial: Scalar, scalars: Scalars): Machine {
  const steps = calls.map((call) => stepOf(call, scalars));
  const isRead = ({ micro }: RegisterCall): boolean => micro.type === 'read' || (micro.type === 'compare-and-set' && micro.swapped === false);
  // One that may have swapped acts, if at all, like one that has.
  const actions = calls.map(({ micro }) => JSON.stringify(micro.type === 'compare-and-set' ? { ...micro, swapped: micro.swapped !== false } : micro));
  const kinds = new Map([...new Set(actions)].map((action, number) => [action, number]));
  return {
    initialState: scalars.numberOf(initial) * 2,
    step: (state, call) => steps[call]!(state),
    isRead: (call) => isRead(calls[call]!),
    kindOf: (call) => kinds.get(actions[call]!)!,
  };
}

function stepOf({ micro, returnedAt }: RegisterCall, scalars: Scalars): (state: number) => number {
  const isUnknown = returnedAt === Number.POSITIVE_INFINITY;
  const value = scalars.numberOf(micro.value ?? null);
  const written = isUnknown ? value * 2 + 1 : value * 2;
  if (micro.type === 'read') return (state) => (state >> 1 === value ? value * 2 : impossible);
  if (micro.type === 'write') return (state) => ((state & 1) === 1 || (isUnknown && state >> 1 === value) ? impossible : written);
  const expected = scalars.numberOf(micro.expected);
  if (micro.swapped === false) return (state) => (state >> 1 === expected ? impossible : state & ~1);
  return (state) => (state >> 1 === expected ? written : impossible);
}

/** Enough of the order to see where the state comes from. */
const operationsShownMax = 4;

function inWords(key: Key, calls: readonly RegisterCall[], found: Linearization, scalars: Scalars): string {
  const name = (position: number): string => callInWords(calls[position]!);
  const hidden = found.order.length - operationsShownMax;
  const shown = found.order.slice(-operationsShownMax).map(name).join(', ');
  const after = found.order.length === 0 ? 'at the start' : `after ${hidden > 0 ? `${hidden} operations and ` : ''}${shown}`;
  const others = found.candidates.map(name).join(', ');
  const none = `${key} is ${scalarInWords(scalars.at(found.state >> 1))} ${after}; then ${name(found.stuckAt!)} has no place`;
  return others === '' ? none : `${none}, nor with what may come before it: ${others}`;
}

function callInWords({ id, micro, returnedAt }: RegisterCall): string {
  const doubt = returnedAt === Number.POSITIVE_INFINITY ? ' (unknown)' : '';
  if (micro.type === 'read') return `T${id} get -> ${scalarInWords(micro.value ?? null)}${doubt}`;
  if (micro.type === 'write') return `T${id} ${micro.value === null ? 'delete' : `set ${scalarInWords(micro.value)}`}${doubt}`;
  const answer = micro.swapped === undefined ? '' : ` -> ${micro.swapped ? 'swapped' : 'not swapped'}`;
  return `T${id} compare-and-set ${scalarInWords(micro.expected)} to ${scalarInWords(micro.value)}${answer}${doubt}`;
}
