/**
 * The states that were seen, as 63-bit fingerprints: eight bytes each instead of the states (hash compaction, Wolper and
 * Leroy 1993). Two different states with one fingerprint would hide what lies behind one of them; among n states that
 * happens with a probability below n^2 / 2^64, one in ten thousand for 40 million.
 */
export class Fingerprints {
  #words: Uint32Array;
  #mask: number;
  #size = 0;
  /** The last hash. */
  #a = 0;
  #b = 0;

  constructor(capacity = 1 << 16) {
    this.#words = new Uint32Array(2 * capacity);
    this.#mask = capacity - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a state and says whether it was new. */
  add(state: Int32Array): boolean {
    this.#hash(state);
    if (!this.#insert(this.#a, this.#b)) return false;
    if (this.#size * 4 > (this.#mask + 1) * 3) this.#grow();
    return true;
  }

  has(state: Int32Array): boolean {
    this.#hash(state);
    return this.#words[2 * this.#placeOf(this.#a, this.#b) + 1] !== 0;
  }

  #hash(state: Int32Array): void {
    let a = 0x9e3779b9 | 0;
    let b = 0x7f4a7c15 | 0;
    for (let i = 0; i < state.length; i++) {
      const word = state[i]!;
      a = Math.imul(a ^ word, 0x85ebca6b);
      a ^= a >>> 15;
      b = Math.imul(b ^ word ^ (a >>> 3), 0xc2b2ae35);
      b ^= b >>> 13;
    }
    a = Math.imul(a ^ (b >>> 16), 0x27d4eb2f);
    a ^= a >>> 15;
    b = Math.imul(b ^ a, 0x165667b1);
    b ^= b >>> 16;
    // A pair of zeros means a free place.
    this.#a = a >>> 0;
    this.#b = (b | 1) >>> 0;
  }

  #insert(a: number, b: number): boolean {
    const at = this.#placeOf(a, b);
    if (this.#words[2 * at + 1] !== 0) return false;
    this.#words[2 * at] = a;
    this.#words[2 * at + 1] = b;
    this.#size++;
    return true;
  }

  /** Where it is, or would be. */
  #placeOf(a: number, b: number): number {
    const words = this.#words;
    let at = (a ^ (b >>> 1)) & this.#mask;
    while (words[2 * at + 1] !== 0 && !(words[2 * at] === a && words[2 * at + 1] === b)) at = (at + 1) & this.#mask;
    return at;
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(2 * old.length);
    this.#mask = 2 * this.#mask + 1;
    this.#size = 0;
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) this.#insert(old[i]!, old[i + 1]!);
  }
}
