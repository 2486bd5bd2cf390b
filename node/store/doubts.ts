/**
 * For which partitions this node may speak. It is *sure* of a partition while it knows at least what it ever voted on or
 * answered with there; *doubtful* from the moment it finds that it may have forgotten some of that, until others have told
 * it again. Doubtful it takes in whatever it hears, and says nothing: no OK vote, no version.
 *
 * A doubt counts at once, and is on the disk with whatever removes its cause from there, at the latest with the next checkpoint; who crashes
 * before finds the damage again. Trust is on the disk with the checkpoint that writes the rows on which it rests: those that were there when it froze the overlay.
 */
import { invariant } from '../invariant.ts';
import type { Put, Table } from '../runtime/runtime.ts';
import { bookkeepingPut, bookkeepingValue, metaKey } from './rows.ts';
import { replaceNode, StoreError } from './store-error.ts';

/** What an operator is told; null when there is nothing to tell. */
export interface DoubtStatus {
  readonly partitions: number;
  /** Since when it has been doubtful of some partition without a break, in milliseconds of the wall clock; and why, the last time. */
  readonly since: number;
  readonly why: string;
}

interface Stored {
  readonly since: number;
  readonly why: string;
  /** One bit per partition, in base 64. */
  readonly doubtful: string;
  readonly damaged?: readonly number[];
}

const rowKey = metaKey('doubts');

export class Doubts {
  readonly #partitions: number;
  readonly #wallMs: () => number;
  readonly #doubtful: Uint8Array;
  /** What the table is to say: all that is doubtful, and what is trusted on rows that the table does not have yet. */
  readonly #recorded: Uint8Array;
  /** Trusted since the last checkpoint began; and before it, so that its end may record it. */
  #trusted = new Set<number>();
  #settling = new Set<number>();
  #count = 0;
  #since = 0;
  #why = '';
  #changed = false;
  readonly #damaged = new Set<number>();
  /** Called for each partition that is doubted, also when it was doubtful already: what had been found out about it before does not count. */
  onDoubt: (partition: number) => void = () => {};

  /** Takes back what the table has. Throws StoreError 'corrupt-table'. */
  constructor(table: Table, partitions: number, wallMs: () => number) {
    this.#partitions = partitions;
    this.#wallMs = wallMs;
    this.#doubtful = new Uint8Array(partitions);
    this.#recorded = new Uint8Array(partitions);
    const row = table.get(rowKey);
    if (row !== undefined) this.#restore(bookkeepingValue(rowKey, row));
  }

  /** To be asked after what is going to be said was read: reading may be what finds damage. */
  isSure(partition: number): boolean {
    return this.#doubtful[partition] === 0;
  }

  get count(): number {
    return this.#count;
  }

  get status(): DoubtStatus | null {
    return this.#count === 0 ? null : { partitions: this.#count, since: this.#since, why: this.#why };
  }

  doubt(partitions: Iterable<number>, why: string): void {
    for (const partition of partitions) {
      invariant(partition >= 0 && partition < this.#partitions, `partition ${partition}`);
      if (this.#count === 0) this.#since = Math.round(this.#wallMs());
      if (this.#doubtful[partition] === 0) this.#count++;
      this.#doubtful[partition] = 1;
      this.#recorded[partition] = 1;
      this.#trusted.delete(partition);
      this.#settling.delete(partition);
      this.#why = why;
      this.#changed = true;
      this.onDoubt(partition);
    }
  }

  /** Doubts it, and has its rows mended before others are asked. */
  damage(partition: number, why: string): void {
    this.#damaged.add(partition);
    this.doubt([partition], why);
  }

  /** Those in which rows are to be mended, the first first. */
  get damaged(): ReadonlySet<number> {
    return this.#damaged;
  }

  /** Its rows and its digests fit together: what others have now says what is missing. */
  mended(partition: number): void {
    this.#damaged.delete(partition);
    this.#changed = true;
    if (!this.isSure(partition)) this.onDoubt(partition);
  }

  trust(partition: number): void {
    if (this.#doubtful[partition] !== 1) return;
    this.#doubtful[partition] = 0;
    this.#trusted.add(partition);
    this.#count--;
    this.#changed = true;
  }

  /** There never was anything to forget. */
  dismiss(): void {
    this.#doubtful.fill(0);
    this.#recorded.fill(0);
    this.#trusted.clear();
    this.#settling.clear();
    this.#damaged.clear();
    this.#count = 0;
  }

  /** Is there anything that the table has otherwise, and no checkpoint is about to write? */
  get changed(): boolean {
    return this.#changed;
  }

  /** A checkpoint freezes the overlay. */
  freeze(): void {
    this.#changed = false;
    for (const partition of this.#trusted) this.#settling.add(partition);
    this.#trusted = new Set();
  }

  /** For the end of that checkpoint: what was trusted when it froze the overlay rests on rows that come with this put or are there. */
  putSettled(): Put {
    for (const partition of this.#settling) this.#recorded[partition] = 0;
    this.#settling = new Set();
    return this.put();
  }

  /** What to write so that no doubt of now is forgotten. */
  put(): Put {
    const bits = Buffer.alloc(Math.ceil(this.#partitions / 8));
    for (let partition = 0; partition < this.#partitions; partition++) if (this.#recorded[partition] === 1) bits[partition >> 3] = (bits[partition >> 3] as number) | (1 << (partition & 7));
    const stored: Stored = { since: this.#since, why: this.#why, doubtful: bits.toString('base64'), damaged: [...this.#damaged] };
    return bookkeepingPut(rowKey, Buffer.from(JSON.stringify(stored)));
  }

  #restore(value: Buffer): void {
    const { since, why, doubtful, damaged = [] } = JSON.parse(value.toString()) as Stored;
    const bits = Buffer.from(doubtful, 'base64');
    if (bits.length !== Math.ceil(this.#partitions / 8)) throw new StoreError('corrupt-table', `the record 'doubts' of the data table can't be read. ${replaceNode}`, { name: 'doubts' });
    this.#since = since;
    this.#why = why;
    for (const partition of damaged) this.#damaged.add(partition);
    for (let partition = 0; partition < this.#partitions; partition++) {
      this.#doubtful[partition] = ((bits[partition >> 3] as number) >> (partition & 7)) & 1;
      this.#recorded[partition] = this.#doubtful[partition] as number;
      this.#count += this.#doubtful[partition] as number;
    }
  }
}
