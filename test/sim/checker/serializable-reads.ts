/**
 * Who wrote which value, which transactions count as committed, and what each read that others had written: for registers what append-evidence.ts
 * and append-reads.ts are for lists.
 */

import { type History, type Key, MalformedHistory, type Operation, type ReadRegister, type Scalar, type WriteRegister } from './history.ts';
import { type Findings, scalarInWords } from './verdict.ts';

export type RegisterTransaction = Operation<ReadRegister | WriteRegister>;
export type InitialValues = ReadonlyMap<Key, Scalar>;

export interface Write {
  readonly by: RegisterTransaction;
  readonly value: Scalar;
  /** The transaction's last to that key: the only one that others may see. */
  readonly isLast: boolean;
}

export type WritesByKey = ReadonlyMap<Key, ReadonlyMap<Scalar, Write>>;

/** Throws MalformedHistory where a value is written to a key twice, or is its initial one, or is a delete: a read must tell who wrote it. */
export function writesOf(history: History<ReadRegister | WriteRegister>, initial: InitialValues): WritesByKey {
  const writes = new Map<Key, Map<Scalar, Write>>();
  for (const by of history) {
    for (const [place, micro] of by.operations.entries()) {
      if (micro.type !== 'write') continue;
      const { key, value } = micro;
      const ofKey = writes.get(key) ?? new Map<Scalar, Write>();
      if (value === null || value === initial.get(key) || ofKey.has(value)) {
        throw new MalformedHistory(`T${by.id} writes ${key}=${scalarInWords(value)}, which is not unique: its readers could not be told apart`);
      }
      const isLast = !by.operations.slice(place + 1).some((later) => later.type === 'write' && later.key === key);
      writes.set(key, ofKey.set(value, { by, value, isLast }));
    }
  }
  return writes;
}

/** The ok transactions and those of unknown outcome of which a committed one read something, in the history's order. */
export function committedOf(history: History<ReadRegister | WriteRegister>, writes: WritesByKey): RegisterTransaction[] {
  const committed = new Set(history.filter(({ outcome }) => outcome === 'ok'));
  for (const { operations } of committed) {
    for (const micro of operations) {
      if (micro.type !== 'read' || micro.value === undefined) continue;
      const by = writes.get(micro.key)?.get(micro.value)?.by;
      // A set iterates over what is added to it meanwhile.
      if (by?.outcome === 'unknown') committed.add(by);
    }
  }
  return history.filter((transaction) => committed.has(transaction));
}

/** A value that a transaction read before it wrote to the key itself. */
export interface VersionRead {
  readonly by: RegisterTransaction;
  /** Position of `by` among the committed. */
  readonly position: number;
  readonly key: Key;
  readonly value: Scalar;
  /** What it wrote to the key afterwards, if anything: the next version. */
  readonly replacedBy: Scalar | undefined;
}

/** One transaction's first read of each key. Where a later one disagrees with it, or one with the transaction's own write, that is `internal`. */
export function versionReads(by: RegisterTransaction, position: number, findings: Findings): VersionRead[] {
  const reads: VersionRead[] = [];
  const expected = new Map<Key, Scalar>();
  for (const { type, key, value } of by.operations) {
    if (value === undefined) continue;
    const known = expected.get(key);
    if (type === 'read' && known === undefined) {
      const ownWrites = by.operations.filter((micro) => micro.type === 'write' && micro.key === key);
      const replacedBy = ownWrites.at(-1)?.value;
      if (ownWrites.some((write) => write.value === value)) {
        findings.add('internal', `T${by.id} read ${key}=${scalarInWords(value)} before it wrote that itself`, [by.id]);
      } else {
        reads.push({ by, position, key, value, replacedBy });
      }
    } else if (type === 'read' && known !== value) {
      findings.add('internal', `T${by.id} read ${key}=${scalarInWords(value)} where it must see ${scalarInWords(known ?? null)}`, [by.id]);
    }
    expected.set(key, value);
  }
  return reads;
}
