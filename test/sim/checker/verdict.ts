import type { Element, Scalar } from './history.ts';

/** Named as Adya, and Elle after him, name them, where they have a name; `-realtime`: the cycle needs the order of real time to close. */
export type CycleName = 'G0' | 'G1c' | 'G-single' | 'G2-item' | 'G0-realtime' | 'G1c-realtime' | 'G-single-realtime' | 'G2-item-realtime';

export type AnomalyName =
  | CycleName
  /** Read what a transaction wrote that failed. */
  | 'G1a'
  /** Read what a transaction wrote before its last write to that key. */
  | 'G1b'
  /** Wrote upon what a failed transaction wrote. */
  | 'dirty-update'
  /** Two reads of one key that no single order of its versions allows. */
  | 'incompatible-order'
  | 'duplicate-elements'
  /** A transaction contradicts itself: its reads do not agree with each other or with its own writes. */
  | 'internal'
  /** Read what nobody wrote. */
  | 'unwritten-read'
  /** An acknowledged append that no read shows, though one began after it had completed. */
  | 'lost-append'
  /** Two transactions replaced the same version. */
  | 'lost-update'
  | 'nonlinearizable'
  | 'lost-increment'
  | 'surplus-increment'
  | 'counter-decreased'
  | 'broken-invariant';

export interface Anomaly {
  readonly name: AnomalyName;
  /** One line for a person, which begins with the name. */
  readonly message: string;
  /** Ids of the operations it speaks of. */
  readonly transactions: readonly number[];
}

export interface Verdict {
  /** undecided: the search reached its bound before an answer. */
  readonly outcome: 'valid' | 'invalid' | 'undecided';
  /** A few of each name; empty when valid. */
  readonly anomalies: readonly Anomaly[];
  /** How many anomalies there were in all, those left out included. */
  readonly anomaliesTotal: number;
  /** How many observations (answered reads) the verdict rests on. A history without any is valid, and proves nothing. */
  readonly observations: number;
}

/** One broken order shows in every later read: a few examples say all that the rest would. */
const examplesMax = 5;

export class Findings {
  readonly #anomalies: Anomaly[] = [];
  readonly #countByName = new Map<AnomalyName, number>();
  #total = 0;

  add(name: AnomalyName, words: string, transactions: readonly number[]): void {
    const count = this.#countByName.get(name) ?? 0;
    this.#countByName.set(name, count + 1);
    this.#total += 1;
    if (count < examplesMax) this.#anomalies.push({ name, message: `${name}: ${words}`, transactions });
  }

  verdict(observations: number): Verdict {
    return { outcome: this.#total === 0 ? 'valid' : 'invalid', anomalies: this.#anomalies, anomaliesTotal: this.#total, observations };
  }
}

/** Lists grow to hundreds; where two of them part is nearly always near the end. */
const elementsShownMax = 8;

export function listInWords(list: readonly Element[]): string {
  const hidden = list.length - elementsShownMax;
  if (hidden <= 0) return `[${list.join(', ')}]`;
  return `[(${hidden} more), ${list.slice(hidden).join(', ')}]`;
}

export function scalarInWords(value: Scalar): string {
  return value === null ? 'absent' : JSON.stringify(value);
}
