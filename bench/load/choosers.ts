/** Which of a number of keys a call is about. */

/** A whole number from 0 on, below the count of keys at that moment. */
export type Chooser = () => number;

export const distributions = ['uniform', 'zipf'] as const;
export type Distribution = (typeof distributions)[number];

/** What YCSB calls the Zipfian constant. */
export const zipfConstant = 0.99;

export function chooser(distribution: Distribution, count: number): Chooser {
  return distribution === 'uniform' ? () => randomBelow(count) : scattered(new Zipf(count, zipfConstant), count);
}

export function randomBelow(end: number): number {
  return Math.floor(Math.random() * end);
}

/**
 * Ranks from 0 on: rank k as often as 1 / (k + 1)^constant. By inversion, with a closed form in place of sums for all
 * but the first two ranks (Gray et al., "Quickly Generating Billion-Record Synthetic Databases", 1994, as in YCSB).
 */
export class Zipf {
  readonly #constant: number;
  count = 0;
  #zeta = 0;
  #alpha = 0;
  #eta = 0;

  constructor(count: number, constant: number) {
    this.#constant = constant;
    this.grow(count);
  }

  /** Sums go on from where they were: the count may grow one by one. */
  grow(count: number): void {
    const theta = this.#constant;
    for (let rank = this.count + 1; rank <= count; rank++) this.#zeta += 1 / rank ** theta;
    this.count = count;
    this.#alpha = 1 / (1 - theta);
    this.#eta = (1 - (2 / count) ** (1 - theta)) / (1 - (1 + 0.5 ** theta) / this.#zeta);
  }

  rank(uniform = Math.random()): number {
    const scaled = uniform * this.#zeta;
    if (scaled < 1) return 0;
    if (scaled < 1 + 0.5 ** this.#constant) return Math.min(1, this.count - 1);
    return Math.min(this.count - 1, Math.floor(this.count * (this.#eta * uniform - this.#eta + 1) ** this.#alpha));
  }
}

/** Popular keys lie anywhere among the others, not side by side: rank times a number without a common divisor. */
function scattered(zipf: Zipf, count: number): Chooser {
  let stride = Math.floor(count * 0.618) | 1;
  while (commonDivisor(stride, count) !== 1) stride += 2;
  return () => (zipf.rank() * stride) % count;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
