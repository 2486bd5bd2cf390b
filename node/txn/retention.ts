/**
 * Outcomes kept after their transactions are forgotten, so that a client that lost its coordinator can still learn what
 * became of its transaction.
 *
 * Only commits are kept: a transaction that is finished and not among the commits of its home group was aborted, or
 * never began. Numbers of one coordinator's life are dense, so commits lie in chunks of timestamps indexed by number:
 * eight bytes each, whatever the rate. A chunk expires as a whole, some time after its last addition; below the
 * expired ones the absence of a commit says nothing any more. Commits may still be added there: sessions use their numbers
 * at their own pace.
 */
import { ABORT, UNDECIDED, type Decision, type TxnId } from '../../client/wire/messages.ts';

const numbersPerChunk = 256;

interface Chunk {
  readonly timestamps: Float64Array;
  touchedAtMs: number;
  dirty: boolean;
}

interface Life {
  readonly chunks: Map<number, Chunk>;
  /** Of numbers below this one a commit may have been forgotten. */
  expiredBelow: number;
  dirty: boolean;
}

export class RetainedOutcomes {
  readonly #lives = new Map<string, Life>();
  readonly #retentionMs: number;
  readonly #removed: string[] = [];

  constructor(retentionMs: number) {
    this.#retentionMs = retentionMs;
  }

  add(id: TxnId, timestamp: number, nowMs: number): void {
    const life = this.#lifeOf(`${id.node}:${id.incarnation}`);
    const index = Math.floor(id.number / numbersPerChunk);
    let chunk = life.chunks.get(index);
    if (chunk === undefined) life.chunks.set(index, (chunk = { timestamps: new Float64Array(numbersPerChunk), touchedAtMs: nowMs, dirty: true }));
    chunk.timestamps[id.number % numbersPerChunk] = timestamp;
    chunk.touchedAtMs = nowMs;
    chunk.dirty = true;
  }

  /** For a finished transaction: its commit timestamp, ABORT as far as this replica knows, or UNDECIDED where it has forgotten. */
  find(id: TxnId): Decision {
    const life = this.#lives.get(`${id.node}:${id.incarnation}`);
    if (life === undefined) return ABORT;
    const timestamp = life.chunks.get(Math.floor(id.number / numbersPerChunk))?.timestamps[id.number % numbersPerChunk] ?? 0;
    if (timestamp !== 0) return timestamp;
    return id.number < life.expiredBelow ? UNDECIDED : ABORT;
  }

  expire(nowMs: number): void {
    for (const [name, life] of this.#lives) {
      for (const [index, chunk] of life.chunks) {
        if (nowMs - chunk.touchedAtMs < this.#retentionMs) continue;
        life.chunks.delete(index);
        this.#removed.push(`chunk/${name}/${index}`);
        life.expiredBelow = Math.max(life.expiredBelow, (index + 1) * numbersPerChunk);
        life.dirty = true;
      }
    }
  }

  /** What changed since the last call, as table puts. In this order: a chunk must not be gone while it counts as kept. */
  persist(): [suffix: string, value: Buffer | null][] {
    const expired: [string, Buffer][] = [];
    const chunks: [string, Buffer][] = [];
    for (const [name, life] of this.#lives) {
      if (life.dirty) expired.push([`expired/${name}`, Buffer.from(String(life.expiredBelow))]);
      life.dirty = false;
      for (const [index, chunk] of life.chunks) {
        if (chunk.dirty) chunks.push([`chunk/${name}/${index}`, Buffer.from(chunk.timestamps.slice().buffer)]);
        chunk.dirty = false;
      }
    }
    const removed = this.#removed.splice(0).map((suffix): [string, null] => [suffix, null]);
    return [...expired, ...removed, ...chunks];
  }

  /** Takes back one of the puts of `persist`. Returns false if it is none. */
  restore(suffix: string, value: Buffer, nowMs: number): boolean {
    const [kind, name, index] = suffix.split('/');
    if (kind === 'chunk' && name !== undefined && index !== undefined) {
      const timestamps = new Float64Array(numbersPerChunk);
      value.copy(Buffer.from(timestamps.buffer));
      this.#lifeOf(name).chunks.set(Number(index), { timestamps, touchedAtMs: nowMs, dirty: false });
      return true;
    }
    if (kind === 'expired' && name !== undefined) {
      this.#lifeOf(name).expiredBelow = Number(value.toString());
      return true;
    }
    return false;
  }

  #lifeOf(name: string): Life {
    let life = this.#lives.get(name);
    if (life === undefined) this.#lives.set(name, (life = { chunks: new Map(), expiredBelow: 0, dirty: false }));
    return life;
  }
}
