/**
 * Reads and blind writes of single keys, in a given mix: W1, W2, and YCSB's A to D (Cooper et al., "Benchmarking Cloud
 * Serving Systems with YCSB", 2010).
 */
import { chooser, Zipf, zipfConstant, type Chooser } from '../load/choosers.ts';
import { batches, inParallel, isDefinite, type Session } from '../targets/session.ts';
import { keyOf, stamped, stampOf } from './values.ts';
import type { Workload, WorkloadOptions } from './workload.ts';
import { possibleContents, prepared, Writes, type WriteEvidence } from './writes.ts';

export interface Mix {
  /** The rest are writes. */
  readonly readShare: number;
  /** Writes add keys, and reads prefer the latest ones. */
  readonly inserts?: boolean;
}

const kind = 'mix';
const readsAtOnce = 256;
const fillKeys = 50_000;
const faultsTold = 100;
const nowMs = (): number => performance.timeOrigin + performance.now();

export class MixWorkload implements Workload {
  readonly #mix: Mix;
  readonly #options: WorkloadOptions;
  readonly #choose: Chooser;
  readonly #latest: Zipf;
  readonly #writes = new Writes();
  /** Indexes of the keys that this process added, in the order acknowledged. */
  readonly #added: number[] = [];
  #sequence = 0;
  #insertions = 0;

  constructor(mix: Mix, options: WorkloadOptions) {
    this.#mix = mix;
    this.#options = options;
    this.#choose = chooser(options.distribution, options.keys);
    this.#latest = new Zipf(options.keys, zipfConstant);
  }

  async prepare(session: Session): Promise<number> {
    const { keys, valueBytes } = this.#options;
    for (let from = 0; from < keys; from += fillKeys) {
      await session.fill(Array.from({ length: Math.min(fillKeys, keys - from) }, (_, i) => [keyOf(kind, from + i), stamped(valueBytes, from + i, 0, 0)] as const));
    }
    return keys;
  }

  async call(session: Session): Promise<number> {
    if (Math.random() < this.#mix.readShare) await this.#read(session, this.#mix.inserts === true ? this.#recent() : this.#choose());
    else await this.#write(session, this.#mix.inserts === true ? this.#fresh() : this.#choose());
    return 1;
  }

  evidence(): WriteEvidence {
    const { last, uncertain, wrongReads } = this.#writes;
    return { last, uncertain, wrongReads };
  }

  async verify(session: Session, evidence: readonly unknown[]): Promise<string[]> {
    const all = evidence as readonly WriteEvidence[];
    const faults = all.flatMap(({ wrongReads }) => wrongReads);
    const possible = possibleContents(all);
    // Keys that nobody wrote must be as they were prepared.
    for (let index = 0; index < this.#options.keys; index++) if (!possible.has(index)) possible.set(index, [prepared]);
    for (const batch of batches([...possible], 10_000)) {
      await inParallel(batch, readsAtOnce, async ([index, allowed]) => {
        const value = await session.get(keyOf(kind, index));
        const stamp = value === null ? null : stampOf(value);
        if (stamp !== null && stamp.index === index && allowed.some(({ writer, sequence }) => writer === stamp.writer && sequence === stamp.sequence)) return;
        // A key that was to be added may be absent if nobody knows whether it was.
        if (stamp === null && index >= this.#options.keys && allowed.includes(prepared)) return;
        faults.push(`key ${index} holds ${stamp === null ? 'nothing' : `write ${stamp.sequence} of writer ${stamp.writer}`}; it can only hold ${allowed.map(({ writer, sequence }) => `${sequence} of ${writer}`).join(' or ')}`);
      });
    }
    return faults;
  }

  async #read(session: Session, index: number): Promise<void> {
    const value = await session.get(keyOf(kind, index));
    if (value !== null && stampOf(value).index === index && value.length === this.#options.valueBytes) return;
    if (this.#writes.wrongReads.length < faultsTold) this.#writes.wrongReads.push(`a read of key ${index} gave ${value === null ? 'nothing' : `the value of key ${stampOf(value).index}, ${value.length} bytes`}`);
  }

  async #write(session: Session, index: number): Promise<void> {
    const { valueBytes, writer } = this.#options;
    const write = { writer: writer + 1, sequence: ++this.#sequence };
    const begunAtMs = nowMs();
    try {
      await session.put(keyOf(kind, index), stamped(valueBytes, index, write.writer, write.sequence));
    } catch (error) {
      if (!isDefinite(error)) this.#writes.unknown(index, write);
      throw error;
    }
    this.#writes.acknowledged(index, { ...write, begunAtMs, endedAtMs: nowMs() });
    if (index >= this.#options.keys) this.#added.push(index);
  }

  /** Processes add keys in ranges of their own. */
  #fresh(): number {
    return this.#options.keys + this.#options.writer * 100_000_000 + this.#insertions++;
  }

  #recent(): number {
    const count = this.#added.length + this.#options.keys;
    if (count > 1.01 * this.#latest.count) this.#latest.grow(count);
    const place = count - 1 - this.#latest.rank();
    return place >= this.#options.keys ? (this.#added[place - this.#options.keys] as number) : place;
  }
}
