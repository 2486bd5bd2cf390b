/**
 * A *cut* through a partition at a timestamp: the digest of what it held up to there, kept while later writes go on.
 *
 * Replicas of a busy partition are never equal at the times at which they are asked. But what was committed up to some
 * timestamp ends to change, soon after, at all of them; so each keeps, from a moment before that timestamp on, what later
 * versions have changed in its digest, and can say what it would be without them. For each key, the cut has the version that was
 * there when it began or, if that was installed since, the newest one up to the timestamp.
 */
import type { Digests } from './digests.ts';

interface Cut {
  readonly at: number;
  /** What versions behind the cut have added, to be taken away. */
  a: bigint;
  b: bigint;
}

export class Cuts {
  readonly #digests: Digests;
  readonly #cuts = new Map<number, Cut>();

  constructor(digests: Digests) {
    this.#digests = digests;
  }

  begin(partition: number, at: number): void {
    this.#cuts.set(partition, { at, a: 0n, b: 0n });
  }

  /** Where the partition is cut; 0 where it isn't. */
  at(partition: number): number {
    return this.#cuts.get(partition)?.at ?? 0;
  }

  end(partition: number): void {
    this.#cuts.delete(partition);
  }

  /** The digest of the partition has changed by that much, for a version of this timestamp. */
  changed(partition: number, version: number, addedA: bigint, addedB: bigint): void {
    if (this.#cuts.size === 0) return;
    const cut = this.#cuts.get(partition);
    if (cut === undefined || version <= cut.at) return;
    cut.a += addedA;
    cut.b += addedB;
  }

  /** 16 bytes, equal on replicas that have the same behind them. The partition must be cut. */
  digest(partition: number): Buffer {
    const { a, b } = this.#cuts.get(partition) as Cut;
    const sum = this.#digests.sum(partition);
    const bytes = Buffer.allocUnsafe(16);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, sum.a - a), 0);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, sum.b - b), 8);
    return bytes;
  }
}
