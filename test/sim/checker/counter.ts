/**
 * Counters: every acknowledged increment is counted once, one of unknown outcome once or not at all.
 *
 * Increments don't say who made them, but they only add. So at any read the value has a floor, all that was acknowledged before the read began, and a
 * ceiling, all that was perhaps done when it ended; and of two reads, one after the other, the later shows no less. The last read of a run,
 * when all is quiet, has the floor and the ceiling closest together: #ok and #ok + #unknown.
 *
 * Sums up to a time are prefix sums over sorted times, so the whole costs a sort.
 */

import {
  type AddToCounter, assertWellFormed, type CounterOperation, type History, type Key, MalformedHistory, type Operation, type ReadRegister,
} from './history.ts';
import { Findings, type Verdict } from './verdict.ts';

type CounterTransaction = Operation<CounterOperation>;

interface CounterRead {
  readonly by: CounterTransaction;
  readonly completedAt: number;
  readonly value: number;
  /** What the transaction itself added before the read, and after it. */
  readonly ownBefore: number;
  readonly ownAfter: number;
}

/** Throws MalformedHistory where times make no sense or something is not an increment by more than 0. */
export function checkCounter(history: History<CounterOperation>): Verdict {
  assertWellFormed(history);
  const findings = new Findings();
  const keys = new Set(history.flatMap(({ operations }) => operations.map(({ key }) => key)));
  let observations = 0;
  for (const key of keys) {
    const ofKey = history.filter(({ operations }) => operations.some((micro) => micro.key === key));
    const reads = readsOf(key, ofKey, findings);
    observations += reads.length;
    checkBounds(key, ofKey, reads, findings);
    checkMonotone(key, reads, findings);
    checkUpdates(key, reads, findings);
  }
  return findings.verdict(observations);
}

function readsOf(key: Key, ofKey: readonly CounterTransaction[], findings: Findings): CounterRead[] {
  const reads: CounterRead[] = [];
  for (const by of ofKey) {
    if (by.outcome !== 'ok' || by.completedAt === null) continue;
    for (const [place, micro] of by.operations.entries()) {
      if (micro.type !== 'read' || micro.key !== key || micro.value === undefined) continue;
      const value = valueOf(micro);
      if (value === undefined) {
        findings.add('unwritten-read', `T${by.id} read ${key}=${JSON.stringify(micro.value)}, which is not a number`, [by.id]);
        continue;
      }
      const ownBefore = addedBy(key, by.operations.slice(0, place));
      reads.push({ by, completedAt: by.completedAt, value, ownBefore, ownAfter: addedBy(key, by.operations) - ownBefore });
    }
  }
  return reads;
}

function valueOf({ value }: ReadRegister): number | undefined {
  if (value === null) return 0;
  return typeof value === 'number' ? value : undefined;
}

function addedBy(key: Key, operations: readonly CounterOperation[]): number {
  const adds = operations.filter((micro): micro is AddToCounter => micro.type === 'add' && micro.key === key);
  const wrong = adds.find(({ delta }) => !(delta > 0));
  if (wrong !== undefined) throw new MalformedHistory(`a counter only grows, but ${wrong.delta} was added to ${key}`);
  return adds.reduce((sum, { delta }) => sum + delta, 0);
}

function checkBounds(key: Key, ofKey: readonly CounterTransaction[], reads: readonly CounterRead[], findings: Findings): void {
  const acknowledged = new SumUpTo();
  const perhaps = new SumUpTo();
  for (const { outcome, operations, invokedAt, completedAt } of ofKey) {
    const added = addedBy(key, operations);
    if (outcome === 'failed' || added === 0) continue;
    perhaps.add(invokedAt, added);
    if (outcome === 'ok' && completedAt !== null) acknowledged.add(completedAt, added);
  }
  for (const { by, completedAt, value, ownBefore, ownAfter } of reads) {
    const floor = acknowledged.before(by.invokedAt) + ownBefore;
    const ceiling = perhaps.upTo(completedAt) - ownAfter;
    const words = `T${by.id} read ${key}=${value}`;
    if (value < floor) findings.add('lost-increment', `${words}, but ${floor} was acknowledged before`, [by.id]);
    if (value > ceiling) findings.add('surplus-increment', `${words}, but no more than ${ceiling} was added in all`, [by.id]);
  }
}

/** Amounts by time; asked for sums only after all are added. */
class SumUpTo {
  readonly #amounts: { readonly at: number; readonly amount: number }[] = [];
  #sums: number[] | undefined;

  add(at: number, amount: number): void {
    this.#amounts.push({ at, amount });
  }

  /** Of those strictly before `time`. */
  before(time: number): number {
    return this.#sumWhile((at) => at < time);
  }

  upTo(time: number): number {
    return this.#sumWhile((at) => at <= time);
  }

  #sumWhile(isIn: (at: number) => boolean): number {
    const amounts = this.#amounts;
    if (this.#sums === undefined) {
      amounts.sort((a, b) => a.at - b.at);
      let sum = 0;
      this.#sums = [0, ...amounts.map(({ amount }) => (sum += amount))];
    }
    let low = 0;
    let high = amounts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isIn(amounts[middle]!.at)) low = middle + 1;
      else high = middle;
    }
    return this.#sums[low]!;
  }
}

function checkMonotone(key: Key, reads: readonly CounterRead[], findings: Findings): void {
  const byInvocation = [...reads].sort((a, b) => a.by.invokedAt - b.by.invokedAt);
  const byCompletion = [...reads].sort((a, b) => a.completedAt - b.completedAt);
  let completed = 0;
  let highest: CounterRead | undefined;
  for (const read of byInvocation) {
    for (; completed < byCompletion.length && byCompletion[completed]!.completedAt < read.by.invokedAt; completed += 1) {
      const former = byCompletion[completed]!;
      if (highest === undefined || former.value > highest.value) highest = former;
    }
    if (highest === undefined || read.value >= highest.value) continue;
    const words = `T${highest.by.id} read ${key}=${highest.value}, and T${read.by.id}, which began after that, read ${read.value}`;
    findings.add('counter-decreased', words, [highest.by.id, read.by.id]);
  }
}

/** Increments are above 0, so of all that saw a value, one at most may have added to it. */
function checkUpdates(key: Key, reads: readonly CounterRead[], findings: Findings): void {
  const updaterOf = new Map<number, CounterTransaction>();
  for (const { by, value, ownBefore, ownAfter } of reads) {
    if (ownAfter === 0) continue;
    const seen = value - ownBefore;
    const former = updaterOf.get(seen);
    if (former === undefined) updaterOf.set(seen, by);
    if (former === undefined || former === by) continue;
    findings.add('lost-update', `T${former.id} and T${by.id} both read ${key}=${seen} and both added to it`, [former.id, by.id]);
  }
}
