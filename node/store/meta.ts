/**
 * The store's own few facts, kept in its table: whose it is, how often it was opened, and where its journal begins.
 */
import type { Disk, Put, Table } from '../runtime/runtime.ts';
import type { Position } from './block.ts';
import { InventoriedTable } from './inventory.ts';
import { bookkeepingPut, bookkeepingValue, metaKey } from './rows.ts';
import { replaceNode, StoreError } from './store-error.ts';

/** Raised when the layout of table or journal changes. */
const format = 4;

export interface Identity {
  readonly cluster: string;
  readonly node: string;
  readonly partitions: number;
  /** What else places keys on nodes, in words: with another one this node would look for its data in the wrong places. */
  readonly placement: string;
}

/** `first`: the oldest segment that counts. The position: the journal was durable up to there when this was written. */
export interface JournalFacts extends Position {
  readonly first: number;
}

/** Others know better what this node did: its disk was lost, or is an older one. */
export interface Lost {
  /** The newest life that they know of; 0 if they were not asked. */
  readonly above: number;
  readonly why: string;
  /** Nobody else has what it has forgotten, and an operator has accepted that it is lost: it goes on from what it has. */
  readonly isFinal?: boolean;
}

export interface Facts {
  readonly storeId: string;
  readonly incarnation: number;
  /** What it remembers is older than what it did: it must not serve as its former self. */
  readonly lost: Lost | null;
  /** The life in which it began after its memory was lost; 0 if it has all of it. */
  readonly rebornAt: number;
  /** It was new, and has not been sure of anything yet. */
  readonly isUnfounded: boolean;
  readonly journal: JournalFacts;
}

/** Null for a new store. Throws StoreError if it is not the one that was expected. */
export function readFacts(table: Table, expected: Identity): Facts | null {
  const found = read(table, 'identity');
  if (found === null) return null;
  if (found.format !== format) {
    throw new StoreError('other-format', `the data directory has format ${String(found.format)}; this version reads format ${format}. Nothing was touched: start the version that wrote it, or point to another directory.`);
  }
  refuse('other-cluster', 'cluster', found.cluster, expected.cluster);
  refuse('other-node', 'node', found.node, expected.node);
  refuse('other-partitions', 'partition count', found.partitions, expected.partitions);
  refuse('other-placement', 'placement', found.placement, expected.placement);
  const journal = read(table, 'journal');
  const lost = read(table, 'lost');
  const reborn = read(table, 'reborn');
  const incarnation = read(table, 'incarnation');
  if (journal === null || incarnation === null) throw unreadable(journal === null ? 'journal' : 'incarnation');
  return {
    storeId: string(found, 'storeId'),
    incarnation: integer(incarnation, 'incarnation'),
    lost: lost === null ? null : { above: integer(lost, 'above'), why: string(lost, 'why'), ...(lost.isFinal === true && { isFinal: true }) },
    rebornAt: reborn === null ? 0 : integer(reborn, 'at'),
    isUnfounded: read(table, 'unfounded') !== null,
    journal: { first: integer(journal, 'first'), sequence: integer(journal, 'sequence'), offset: integer(journal, 'offset') },
  };
}

/** 32 hex digits. */
export function newStoreId(randomUint32: () => number): string {
  return Array.from({ length: 4 }, () => randomUint32().toString(16).padStart(8, '0')).join('');
}

export function identityPut(identity: Identity, storeId: string): Put {
  return put('identity', { format, ...identity, storeId });
}

export function incarnationPut(incarnation: number): Put {
  return put('incarnation', { incarnation });
}

export function rebornPut(at: number): Put {
  return put('reborn', { at });
}

export function unfoundedPut(): Put {
  return put('unfounded', {});
}

export function removalOf(name: 'lost' | 'unfounded'): Put {
  return [metaKey(name), null];
}

export function lostPut({ above, why, isFinal = false }: Lost): Put {
  return put('lost', { above, why, ...(isFinal && { isFinal }) });
}

/** Marks the store on this disk, which nobody may have open, as one that has forgotten: whoever opens it next is reborn. Durable when `done` comes without an error. */
export function markLost(disk: Disk, lost: Lost, done: (error?: Error) => void): void {
  const table = new InventoriedTable(disk.openTable());
  table.write([lostPut(lost)], (error) => table.close(() => done(error)));
}

export function journalPut({ first, sequence, offset }: JournalFacts): Put {
  return put('journal', { first, sequence, offset });
}

function refuse(code: 'other-cluster' | 'other-node' | 'other-partitions' | 'other-placement', what: string, found: unknown, expected: unknown): void {
  if (found === expected) return;
  const message = `the data directory is of ${what} ${JSON.stringify(found)}, and ${JSON.stringify(expected)} was expected. Nothing was touched: correct the configuration, or point to another directory.`;
  throw new StoreError(code, message, { found, expected });
}

function put(name: string, facts: object): Put {
  return bookkeepingPut(metaKey(name), Buffer.from(JSON.stringify(facts)));
}

function read(table: Table, name: string): Record<string, unknown> | null {
  const key = metaKey(name);
  const row = table.get(key);
  if (row === undefined) return null;
  const value = bookkeepingValue(key, row);
  try {
    const facts: unknown = JSON.parse(value.toString());
    if (typeof facts === 'object' && facts !== null) return facts as Record<string, unknown>;
  } catch {
    // Reported below, like JSON of another shape.
  }
  throw unreadable(name);
}

function integer(facts: Record<string, unknown>, name: string): number {
  const value = facts[name];
  if (!Number.isSafeInteger(value)) throw unreadable(name);
  return value as number;
}

function string(facts: Record<string, unknown>, name: string): string {
  const value = facts[name];
  if (typeof value !== 'string') throw unreadable(name);
  return value;
}

function unreadable(name: string): StoreError {
  return new StoreError('corrupt-table', `the record '${name}' of the data table can't be read. ${replaceNode}`, { name });
}
