import { commonPrefix, type ListTransaction } from './append-evidence.ts';
import type { Element, Key } from './history.ts';
import { type Findings, listInWords } from './verdict.ts';

/** What a transaction saw of a key that is not its own doing. */
export interface ExternalRead {
  readonly by: ListTransaction;
  /** Position of `by` among the committed. */
  readonly position: number;
  readonly key: Key;
  readonly list: readonly Element[];
  /** How many elements of `list` are not its own: the version that it read. The rest are its own appends so far. */
  readonly base: number;
}

/**
 * Follows one transaction through its program. Returns its first read of each key, as far as it makes sense; each later one must say the same,
 * with its own appends since then added: where it doesn't, that is `internal`.
 */
export function externalReads(by: ListTransaction, position: number, findings: Findings): ExternalRead[] {
  const first = new Map<Key, ExternalRead>();
  const own = new Map<Key, Element[]>();
  for (const [place, micro] of by.operations.entries()) {
    const { key } = micro;
    if (micro.type === 'append') {
      own.set(key, [...(own.get(key) ?? []), micro.element]);
      continue;
    }
    const { list } = micro;
    if (list === undefined) continue;
    const former = first.get(key);
    const mine = own.get(key) ?? [];
    const base = former?.base ?? list.length - mine.length;
    const read = `T${by.id} read ${key}=${listInWords(list)}`;
    const endsWithMine = list.length === base + mine.length && mine.every((element, index) => list[base + index] === element);
    const laterAppends = by.operations.slice(place).filter((later) => later.type === 'append');
    const yetToCome = laterAppends.find((later) => later.key === key && list.includes(later.element));
    if (yetToCome !== undefined) {
      findings.add('internal', `${read} before it appended ${yetToCome.element}`, [by.id]);
    } else if (!endsWithMine || (former !== undefined && commonPrefix(former.list, list) < base)) {
      const before = former === undefined ? '' : `, after it had read ${key}=${listInWords(former.list)}`;
      const appended = mine.length === 0 ? '' : `, after it had appended ${listInWords(mine)}`;
      findings.add('internal', read + before + appended, [by.id]);
    } else if (former === undefined) {
      first.set(key, { by, position, key, list, base });
    }
  }
  return [...first.values()];
}
