/** What a table holds at one moment: entries in key order. Never changed, so a reader keeps the moment it began at. */
import type { Put } from '../../node/runtime/runtime.ts';

export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
}

export class TableImage {
  static readonly empty = new TableImage([]);

  readonly rows: readonly Row[];

  private constructor(rows: readonly Row[]) {
    this.rows = rows;
  }

  get(key: Buffer): Buffer | undefined {
    const row = this.rows[this.#search(key)];
    return row !== undefined && row.key.equals(key) ? Buffer.from(row.value) : undefined;
  }

  *range(from: Buffer, to: Buffer): Generator<Row> {
    for (let i = this.#search(from); i < this.rows.length && this.rows[i]!.key.compare(to) < 0; i++) {
      const { key, value } = this.rows[i]!;
      yield { key: Buffer.from(key), value: Buffer.from(value) };
    }
  }

  /** With the puts applied in their order. The buffers become the image's own. */
  with(puts: readonly Put[]): TableImage {
    const sorted = puts.map((put, order) => ({ put, order })).sort((a, b) => a.put[0].compare(b.put[0]) || a.order - b.order);
    const rows: Row[] = [];
    let next = 0;
    sorted.forEach(({ put: [key, value] }, i) => {
      if (sorted[i + 1]?.put[0].equals(key) === true) return;
      const place = this.#search(key, next);
      for (; next < place; next++) rows.push(this.rows[next]!);
      if (this.rows[next]?.key.equals(key) === true) next++;
      if (value !== null) rows.push({ key, value });
    });
    for (; next < this.rows.length; next++) rows.push(this.rows[next]!);
    return new TableImage(rows);
  }

  /** With one row's value replaced. */
  withValue(index: number, value: Buffer): TableImage {
    return new TableImage(this.rows.map((row, i) => (i === index ? { key: row.key, value } : row)));
  }

  /** The index of the first row whose key is not below. */
  #search(key: Buffer, from = 0): number {
    let low = from;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle]!.key.compare(key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
