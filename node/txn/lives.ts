/**
 * What a node knows of its own and the other nodes' lives (incarnations), each of which names its transactions by number.
 *
 * For each node: a *floor*, the newest incarnation met, below which nobody gets a vote any more; and how far its dead
 * incarnations are *closed*, which means that all members have that floor and none holds an undecided record from
 * below, so everything from there is finished. For each life: the watermark and exceptions its coordinator told, and
 * the records of its transactions.
 */
import type { TxnId } from '../../client/wire/messages.ts';
import type { Floor, Life as NodeLife } from '../cluster/succession.ts';
import { Floors, type StoredFences, type StoredFloors } from './floors.ts';
import type { TxnRecord } from './record.ts';

export class Life {
  readonly node: string;
  readonly incarnation: number;
  readonly records = new Map<number, TxnRecord>();
  watermark = 0;
  exceptions: ReadonlySet<number> = new Set();
  changed = false;

  constructor(node: string, incarnation: number) {
    this.node = node;
    this.incarnation = incarnation;
  }

  isFinished(number: number): boolean {
    return number < this.watermark && !this.exceptions.has(number);
  }

  /** Takes the coordinator's word; older words than the last are ignored. Says whether anything changed. */
  mark(watermark: number, exceptions: readonly number[]): boolean {
    const older = watermark < this.watermark || (watermark === this.watermark && exceptions.length >= this.exceptions.size);
    if (older) return false;
    this.watermark = watermark;
    this.exceptions = new Set(exceptions);
    this.changed = true;
    return true;
  }
}

export class Lives {
  /** By node, oldest first. */
  readonly #lives = new Map<string, Life[]>();
  readonly floors = new Floors();
  readonly #closedBelow = new Map<string, number>();
  readonly #dropped: string[] = [];
  #closedChanged = false;

  *[Symbol.iterator](): Generator<Life> {
    for (const lives of this.#lives.values()) yield* lives;
  }

  find(node: string, incarnation: number): Life | undefined {
    return this.#lives.get(node)?.find((life) => life.incarnation === incarnation);
  }

  /** The life, made if need be. */
  of(node: string, incarnation: number): Life {
    const known = this.find(node, incarnation);
    if (known !== undefined) return known;
    const life = new Life(node, incarnation);
    this.#lives.set(node, [...(this.#lives.get(node) ?? []), life].sort((a, b) => a.incarnation - b.incarnation));
    return life;
  }

  isFinished({ node, incarnation, number }: TxnId): boolean {
    if (incarnation < this.closedBelow(node)) return true;
    return this.find(node, incarnation)?.isFinished(number) ?? false;
  }

  /** The newest life of the node that was met or heard of; null if there was none. */
  floorOf(node: string): Floor | null {
    return this.floors.of(node);
  }

  raiseFloor(node: string, life: NodeLife): void {
    this.floors.raise(node, life);
  }

  closedBelow(node: string): number {
    return this.#closedBelow.get(node) ?? 0;
  }

  /** Closes the node's lives before this incarnation and gives them back, for their records to be forgotten. */
  close(node: string, incarnation: number): Life[] {
    if (incarnation <= this.closedBelow(node)) return [];
    this.#closedBelow.set(node, incarnation);
    this.#closedChanged = true;
    const lives = this.#lives.get(node) ?? [];
    this.#lives.set(node, lives.filter((life) => life.incarnation >= incarnation));
    const closed = lives.filter((life) => life.incarnation < incarnation);
    for (const life of closed) this.#dropped.push(`life/${node}/${life.incarnation}`);
    return closed;
  }

  persist(): [suffix: string, value: Buffer | null][] {
    const puts: [string, Buffer | null][] = this.#dropped.splice(0).map((suffix) => [suffix, null]);
    for (const life of this) {
      if (!life.changed) continue;
      life.changed = false;
      puts.push([`life/${life.node}/${life.incarnation}`, json({ watermark: life.watermark, exceptions: [...life.exceptions] })]);
    }
    if (this.#closedChanged || this.floors.changed) puts.push(['floors', json({ ...this.floors.stored(), closedBelow: [...this.#closedBelow] })]);
    this.#closedChanged = this.floors.changed = false;
    if (this.floors.fencesChanged) puts.push(['fences', json(this.floors.storedFences())]);
    this.floors.fencesChanged = false;
    return puts;
  }

  /** Takes back one of the puts of `persist`. Returns false if it is none. */
  restore(suffix: string, value: Buffer): boolean {
    const [kind, node, incarnation] = suffix.split('/');
    if (kind === 'life' && node !== undefined) {
      const { watermark, exceptions } = JSON.parse(value.toString()) as { watermark: number; exceptions: number[] };
      this.of(node, Number(incarnation)).mark(watermark, exceptions);
      return true;
    }
    if (kind === 'fences') {
      this.floors.restoreFences(JSON.parse(value.toString()) as StoredFences);
      return true;
    }
    if (kind !== 'floors') return false;
    const stored = JSON.parse(value.toString()) as StoredFloors & { closedBelow: [string, number][] };
    this.floors.restore(stored);
    for (const [id, below] of stored.closedBelow) this.#closedBelow.set(id, below);
    return true;
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
