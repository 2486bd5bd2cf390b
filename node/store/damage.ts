/** What is done about rows that are not as they were: out with them, and the partition is in doubt. */
import type { Log } from '../runtime/runtime.ts';
import type { Doubts } from './doubts.ts';
import type { CorruptValue } from './store-error.ts';
import type { TableWriter } from './table-writer.ts';
import type { Versions } from './versions.ts';

export interface DamageParts {
  readonly versions: () => Versions;
  readonly doubts: Doubts;
  readonly table: TableWriter;
  readonly log: Log;
}

export class Damage {
  readonly #parts: DamageParts;
  /** Partitions in which damage was found before the table could be written; null from then on. */
  #waiting: Set<number> | null = new Set();
  /** Data rows that were found damaged. */
  rows = 0;

  constructor(parts: DamageParts) {
    this.#parts = parts;
  }

  /** The table may be written from now on. */
  opened(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const partition of waiting) this.#takeOut(partition);
  }

  found(partition: number, error: CorruptValue): void {
    this.rows++;
    this.#parts.log.error({ partition, error: error.message }, 'a row of the data table is damaged');
    this.doubt(partition, 'a row of the data table was damaged');
  }

  /** Something that was here is not here any more: the partition is in doubt, and of absent keys it can't be said what became of them. */
  doubt(partition: number, why: string): void {
    this.#parts.doubts.doubt([partition], why);
    if (this.#waiting === null) this.#takeOut(partition);
    else this.#waiting.add(partition);
  }

  #takeOut(partition: number): void {
    const { versions, doubts, table } = this.#parts;
    // Together, or a crash would leave neither the damage nor the doubt.
    table.write([...versions().withoutDamage(partition), doubts.put()], () => {});
  }
}
