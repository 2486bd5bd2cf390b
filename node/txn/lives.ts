/**
 * What a node knows of its own and the other nodes' lives (incarnations), each of which names its transactions by number.
 *
 * For each node: a *floor*, the newest incarnation met, below which nobody gets a vote any more; and how far its dead
 * incarnations are *closed*, which means that all members have that floor and none holds an undecided record from
 * below, so everything from there is finished. For each life: the watermark and exceptions its coordinator told, and
 * the records of its transactions.
 */
import type { TxnId } from '../../client/wire/messages.ts';
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

interface Floor {
  readonly storeId: string;
  readonly incarnation: number;
}

export class Lives {
  /** By node, oldest first. */
  readonly #lives = new Map<string, Life[]>();
  readonly #floors = new Map<string, Floor>();
  readonly #closedBelow = new Map<string, number>();
  readonly #dropped: string[] = [];
  #floorsChanged = false;

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

  /** The newest incarnation of the node that was met, and its disk's name; null if it never was. */
  floorOf(node: string): Floor | null {
    return this.#floors.get(node) ?? null;
  }

  raiseFloor(node: string, storeId: string, incarnation: number): void {
    const floor = this.#floors.get(node);
    if (floor !== undefined && floor.incarnation >= incarnation) return;
    this.#floors.set(node, { storeId, incarnation });
    this.#floorsChanged = true;
  }

  closedBelow(node: string): number {
    return this.#closedBelow.get(node) ?? 0;
  }

  /** Closes the node's lives before this incarnation and gives them back, for their records to be forgotten. */
  close(node: string, incarnation: number): Life[] {
    if (incarnation <= this.closedBelow(node)) return [];
    this.#closedBelow.set(node, incarnation);
    this.#floorsChanged = true;
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
    if (this.#floorsChanged) puts.push(['floors', json({ floors: [...this.#floors], closedBelow: [...this.#closedBelow] })]);
    this.#floorsChanged = false;
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
    if (kind !== 'floors') return false;
    const { floors, closedBelow } = JSON.parse(value.toString()) as { floors: [string, Floor][]; closedBelow: [string, number][] };
    for (const [id, floor] of floors) this.#floors.set(id, floor);
    for (const [id, below] of closedBelow) this.#closedBelow.set(id, below);
    return true;
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
