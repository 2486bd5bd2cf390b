/**
 * What is known of blind writes of single keys, and what a key may hold in the end.
 *
 * Writes of one key by different callers have no order that anybody knows, but one that began after another was
 * acknowledged comes after it, whatever clock counts that. So a key must hold one of the acknowledged writes that no other
 * acknowledged one came after; or one of which nobody knows the outcome. Anything else was lost, or invented.
 */

/** `performance.timeOrigin + performance.now()`, comparable between processes of one machine to some microseconds. */
export interface Write {
  readonly writer: number;
  readonly sequence: number;
  readonly begunAtMs: number;
  readonly endedAtMs: number;
}

export interface WriteEvidence {
  /** By key: acknowledged ones that no other one of this process came after. */
  readonly last: ReadonlyMap<number, readonly Write[]>;
  /** By key: of unknown outcome. */
  readonly uncertain: ReadonlyMap<number, readonly Pick<Write, 'writer' | 'sequence'>[]>;
  readonly wrongReads: readonly string[];
}

/** Clocks of two processes, set when each began, may be apart by this much. */
const clockErrorMs = 5;

export class Writes implements WriteEvidence {
  readonly last = new Map<number, Write[]>();
  readonly uncertain = new Map<number, Pick<Write, 'writer' | 'sequence'>[]>();
  readonly wrongReads: string[] = [];

  acknowledged(index: number, write: Write): void {
    this.last.set(index, [...(this.last.get(index) ?? []).filter((other) => !isAfter(write, other)), write]);
  }

  unknown(index: number, write: Pick<Write, 'writer' | 'sequence'>): void {
    this.uncertain.set(index, [...(this.uncertain.get(index) ?? []), write]);
  }
}

function isAfter(later: Write, earlier: Write): boolean {
  return later.begunAtMs > earlier.endedAtMs + (later.writer === earlier.writer ? 0 : clockErrorMs);
}

/** What each key may hold; of keys that are not in it nothing was written. */
export function possibleContents(evidence: readonly WriteEvidence[]): Map<number, Pick<Write, 'writer' | 'sequence'>[]> {
  const acknowledged = new Map<number, Write[]>();
  for (const { last } of evidence) for (const [index, writes] of last) acknowledged.set(index, [...(acknowledged.get(index) ?? []), ...writes]);
  const possible = new Map<number, Pick<Write, 'writer' | 'sequence'>[]>();
  for (const [index, writes] of acknowledged) possible.set(index, writes.filter((write) => !writes.some((other) => isAfter(other, write))));
  for (const { uncertain } of evidence) {
    for (const [index, writes] of uncertain) possible.set(index, [...(possible.get(index) ?? [prepared]), ...writes]);
  }
  return possible;
}

/** As `stamped` says it of a value that was only prepared. */
export const prepared = { writer: 0, sequence: 0 } as const;
