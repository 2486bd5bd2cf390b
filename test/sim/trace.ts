/**
 * What happened, in order: the last entries as readable lines, and all of them as one hash.
 *
 * Two runs are the same if their hashes are: the hash takes in the time, the place, the kind and the bytes of every
 * entry. Only a bounded tail is kept, since a run has millions of entries and the story of a failure is in the last ones.
 */
export type Detail = string | Uint8Array;

/** Makes bytes readable, by what happened to them; null: they are not worth a line. */
export type Printer = (bytes: Uint8Array, what: string) => string | null;

export interface Entry {
  readonly atMs: number;
  /** The process, link or disk that it happened to. */
  readonly where: string;
  readonly what: string;
  readonly detail: Detail;
}

export class Trace {
  readonly #now: () => number;
  readonly #capacity: number;
  readonly #ring: Entry[] = [];
  #recorded = 0;
  #high = 0x811c9dc5 | 0;
  #low = 0x01000193 | 0;
  readonly #float = new Float64Array(1);
  readonly #words = new Uint32Array(this.#float.buffer);
  /** Sees each entry as it is made: for whoever needs some of them for longer than all are kept. */
  onEntry: ((entry: Entry) => void) | null = null;

  constructor(now: () => number, capacity: number) {
    this.#now = now;
    this.#capacity = capacity;
  }

  record(where: string, what: string, detail: Detail = ''): void {
    const entry = { atMs: this.#now(), where, what, detail };
    this.#float[0] = entry.atMs;
    this.#mix(this.#words[0]!);
    this.#mix(this.#words[1]!);
    this.#mixText(where);
    this.#mixText(what);
    if (typeof detail === 'string') this.#mixText(detail);
    else this.#mixBytes(detail);
    this.#ring[this.#recorded++ % this.#capacity] = entry;
    this.onEntry?.(entry);
  }

  /** How many entries there were, those no longer kept among them. */
  get recorded(): number {
    return this.#recorded;
  }

  /** 16 hexadecimal digits. */
  hash(): string {
    return [this.#high, this.#low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** The entries still kept, oldest first. */
  entries(): Entry[] {
    const split = this.#recorded <= this.#capacity ? 0 : this.#recorded % this.#capacity;
    return [...this.#ring.slice(split), ...this.#ring.slice(0, split)];
  }

  /** The last `count` entries as lines. */
  lines(count = this.#capacity, print: Printer = bytesOf): string[] {
    return this.entries().slice(-count).flatMap(({ atMs, where, what, detail }) => {
      const words = typeof detail === 'string' ? detail : print(detail, what);
      return words === null ? [] : [`${atMs.toFixed(3).padStart(12)} ${where.padEnd(10)} ${what} ${words}`.trimEnd()];
    });
  }

  #mix(word: number): void {
    this.#high = Math.imul(this.#high ^ word, 0x9e3779b1);
    this.#low = Math.imul((this.#low ^ word) + 0x7f4a7c15, 0x85ebca77);
    this.#high ^= this.#low >>> 15;
    this.#low ^= this.#high >>> 13;
  }

  #mixText(text: string): void {
    this.#mix(text.length);
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
  }

  #mixBytes(bytes: Uint8Array): void {
    this.#mix(bytes.length);
    for (let i = 0; i < bytes.length; i += 4) {
      this.#mix(bytes[i]! | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24));
    }
  }
}

function bytesOf(frame: Uint8Array): string {
  return `${frame.length} bytes ${Buffer.from(frame.subarray(0, 24)).toString('hex')}${frame.length > 24 ? '...' : ''}`;
}
