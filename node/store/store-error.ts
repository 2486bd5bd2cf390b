/**
 * Why the store can't be opened or read. Most of these end in front of an operator, so the message says what was found,
 * what was expected, that nothing was touched, and what to do.
 */
import { TableDamaged } from '../runtime/runtime.ts';

export type StoreErrorCode =
  /** The data directory belongs to another cluster, another node, or a cluster cut into another number of partitions, or placed otherwise. */
  | 'other-cluster' | 'other-node' | 'other-partitions' | 'other-placement'
  /** Written by a version of the program whose layout this one does not know. */
  | 'other-format'
  /** Records that were durable can't be read back: votes may be forgotten. */
  | 'corrupt-journal'
  /** The table's own bookkeeping can't be read back. */
  | 'corrupt-table'
  /** One row of the table does not match its checksum. */
  | 'corrupt-value'
  /** A recovery point is not what it was when it was taken. */
  | 'corrupt-point'
  /** The store can't take its opening write. */
  | 'write-failed';

export class StoreError extends Error {
  override readonly name: string = 'StoreError';
  readonly code: StoreErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: StoreErrorCode, message: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** The bytes kept for a key are not those that were written: bit rot. Other replicas still have the value. */
export class CorruptValue extends StoreError {
  override readonly name = 'CorruptValue';

  constructor(key: string, problem: string) {
    super('corrupt-value', `the row of key ${Buffer.from(key, 'latin1').toString('hex')} (hex) in the data table ${problem}`, { key });
  }
}

/** What to do about a node whose disk has changed what it kept. */
export const howToReplace = 'Move its data directory away, and keep it for a post-mortem; then start the node again: it comes back with an empty one and learns from the others what it lacks.';

/** The same of one that may have forgotten votes; it ends every message about a damaged journal. */
export const replaceNode = `Nothing was changed. This node may have forgotten votes, so it must not serve as its former self. ${howToReplace}`;

/** Of a table in which something was met that can't have been written there. */
export function damagedTable(problem: string): string {
  return `the data table is damaged: ${problem}. ${howToReplace}`;
}

/** The store's first write was refused. */
export function unwritten(error: Error): StoreError {
  if (error instanceof TableDamaged) return new StoreError('corrupt-table', damagedTable(error.message), {}, { cause: error });
  return new StoreError('write-failed', `the data table can't be written: ${error.message}`, {}, { cause: error });
}
