/**
 * Which life of the node begins when a store is opened.
 *
 * A disk that has forgotten begins anew, under another name. What it has of the data stays: each row is a version that was
 * committed, if perhaps not the newest. What it remembers of transactions goes, for it is not all; of the other nodes' lives it stays, for
 * what was true of them is true. All of that is one write, so a crash leaves either disk, whole.
 */
import type { Disk, Put, Table } from '../runtime/runtime.ts';
import { identityPut, incarnationPut, journalPut, newStoreId, rebornPut, removalOf, unfoundedPut, type Facts, type Identity } from './meta.ts';
import { ownerBounds, suffixOfOwnerKey } from './rows.ts';
import { replaceNode, StoreError } from './store-error.ts';
import { segmentBehind, surveyJournal, type Survey } from './survey.ts';

/** What the owner of the journal persists of transactions; and of from where on it knows those of others, for it does not any more. */
const forgotten = ['life/', 'chunk/', 'expired/', 'fences'];

export function isForgotten(suffix: string): boolean {
  return forgotten.some((prefix) => suffix.startsWith(prefix));
}

export interface OwnLife {
  /** 32 hex digits, made with the store. */
  readonly storeId: string;
  /** Counts the store's starts, from a number drawn with the store; durable before the store is ready. */
  readonly incarnation: number;
  /** The life in which it began after memory was lost; 0 if there is nothing that it has forgotten. */
  readonly rebornAt: number;
  /** Drawn for this life; never 0. */
  readonly nonce: number;
  /** How far the journal had come, as a number that grows with it. */
  readonly openedAt: number;
}

export function nextLife(facts: Facts | null, randomUint32: () => number, openedAt: number): OwnLife {
  // An empty disk may be in the place of one that was lost, whose lives began at some number too; and what is told of transactions names nothing but their coordinator's life.
  if (facts === null) return { storeId: newStoreId(randomUint32), incarnation: 1 + randomUint32(), rebornAt: 0, nonce: randomUint32() || 1, openedAt };
  if (facts.lost === null) return { storeId: facts.storeId, incarnation: facts.incarnation + 1, rebornAt: facts.rebornAt, nonce: randomUint32() || 1, openedAt };
  // Above all that is known of, so far that two rebirths from the same image don't come to the same.
  const incarnation = Math.max(facts.incarnation, facts.lost.above) + 1 + randomUint32();
  return { storeId: newStoreId(randomUint32), incarnation, rebornAt: incarnation, nonce: randomUint32() || 1, openedAt };
}

/** What is left of the journal, and counts: nothing where memory was lost, whatever there is. */
export function surveyFor(disk: Disk, facts: Facts | null): Survey {
  const first = facts?.lost == null ? (facts?.journal.first ?? 1) : segmentBehind(disk);
  const survey = surveyJournal(disk, first, facts?.lost == null ? (facts?.journal ?? { sequence: 1, offset: 0 }) : { sequence: first, offset: 0 });
  if (facts === null && survey.segments.length > 0) {
    throw new StoreError('corrupt-table', `the data directory has a journal, but its table is missing or empty. ${replaceNode}`);
  }
  return survey;
}

/** What must be on the disk before the new life begins. */
export function openingPuts(table: Table, identity: Identity, life: OwnLife, facts: Facts | null, { segments, next, end }: Survey): Put[] {
  if (facts !== null && facts.lost !== null) return rebirthPuts(table, identity, life, next);
  const puts = [incarnationPut(life.incarnation), journalPut({ first: segments[0]?.sequence ?? next, ...end })];
  return facts === null ? [identityPut(identity, life.storeId), unfoundedPut(), ...puts] : puts;
}

function rebirthPuts(table: Table, identity: Identity, { storeId, incarnation }: OwnLife, firstSegment: number): Put[] {
  const puts: Put[] = [];
  for (const { key } of table.range(...ownerBounds)) if (isForgotten(suffixOfOwnerKey(key))) puts.push([key, null]);
  const facts = [identityPut(identity, storeId), incarnationPut(incarnation), rebornPut(incarnation), journalPut({ first: firstSegment, sequence: firstSegment, offset: 0 })];
  return [...puts, ...facts, removalOf('lost'), removalOf('unfounded')];
}
