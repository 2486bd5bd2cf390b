/** Many keys, and which writing of each was the last: what must be there in the end. */
import { batches, inParallel, type Session } from '../targets/session.ts';
import { keyOf, stamped, stampOf } from '../workloads/values.ts';

const kind = 'row';
const fillKeys = 50_000;
const readsAtOnce = 256;
const faultsTold = 20;

export class Dataset {
  readonly keys: number;
  readonly #session: Session;
  readonly #valueBytes: number;
  /** By key: how often it was written. */
  readonly #generations: Uint32Array;

  constructor(session: Session, keys: number, valueBytes: number) {
    this.#session = session;
    this.keys = keys;
    this.#valueBytes = valueBytes;
    this.#generations = new Uint32Array(keys);
  }

  /** Keys and values; versions and whatever else it takes are overhead. */
  bytesOf(keys: number): number {
    return keys * (keyOf(kind, 0).length + this.#valueBytes);
  }

  /** Writes all of them, or so many that lie evenly among the others. */
  async write(count = this.keys): Promise<void> {
    const indexes = Array.from({ length: count }, (_, i) => Math.floor((i * this.keys) / count));
    for (const batch of batches(indexes, fillKeys)) {
      await this.#session.fill(batch.map((index) => [keyOf(kind, index), stamped(this.#valueBytes, index, 0, this.#next(index))] as const));
    }
  }

  #next(index: number): number {
    const generation = (this.#generations[index] as number) + 1;
    this.#generations[index] = generation;
    return generation;
  }

  /** Everything that is wrong with what is there. */
  async verify(): Promise<string[]> {
    const faults: string[] = [];
    for (const batch of batches(Array.from({ length: this.keys }, (_, index) => index), fillKeys)) {
      await inParallel(batch, readsAtOnce, async (index) => {
        const value = await this.#session.get(keyOf(kind, index));
        const found = value === null ? null : stampOf(value);
        if (found?.index === index && found.sequence === this.#generations[index]) return;
        if (faults.length < faultsTold) faults.push(`row ${index} holds ${found === null ? 'nothing' : `writing ${found.sequence} of row ${found.index}`} where it must hold writing ${this.#generations[index]}`);
      });
    }
    return faults;
  }
}
