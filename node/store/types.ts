/** What the store takes and gives. */
import type { Value, Version } from '../../client/wire/messages.ts';
import type { Table } from '../runtime/runtime.ts';
import type { Identity } from './meta.ts';
import type { JournalRecord } from './records.ts';

export interface StoreOptions {
  /** Size of a journal file. */
  readonly journalSegmentBytes: number;
  /** Records written at once; a bigger single record makes a block of its own. */
  readonly journalBlockBytesMax: number;
  /** Committed versions held outside the table, with what the journal has not written yet. At this bound the store is `full`. */
  readonly overlayBytesMax: number;
  /** Of the journal, what a restart would have to read. At this bound the store is `full`, too. */
  readonly journalBytesMax: number;
  readonly checkpointIntervalMs: number;
  /** Rows per batch of the table. */
  readonly checkpointSliceKeys: number;
  /** Keys whose version is remembered without asking the table. */
  readonly headCacheEntries: number;
  /** Levels of the tree of digests, the same on all nodes for all of their lives; as the number of partitions asks for, unless told. */
  readonly digestDepth?: number | undefined;
}

/** What the store needs of whoever writes the journal. */
export interface JournalOwner {
  /** Takes back a record of the journal, in order, while the store opens; `store.segment` is the one it lies in. May install and ask for heads. */
  replay(record: JournalRecord): void;
  /**
   * Records that lie in segments before this one and say what neither the installed versions nor the persisted state say
   * (as of now: it is asked in the turn in which the overlay is frozen). They are journalled again, and those segments go.
   */
  carry(beforeSegment: number): JournalRecord[];
  /**
   * The owner's small state, as far as it changed since the last call: key suffix, and value or null to remove it. Together
   * with the versions installed so far it must make up for every record of a transaction that is decided.
   */
  persist(): [suffix: string, value: Buffer | null][];
}

export interface Head {
  readonly version: Version;
  readonly tombstone: boolean;
  readonly checksum: number;
}

export interface Entry {
  readonly version: Version;
  /** Null for a tombstone. */
  readonly value: Value;
}

export interface StoreStats {
  readonly flushes: number;
  readonly journalBytesWritten: number;
  /** Journal files, spare ones included. */
  readonly journalSegments: number;
  /** What a restart would have to read of them. */
  readonly journalBytes: number;
  /** Bytes, as estimated, of records that are not durable yet. */
  readonly backlogBytes: number;
  readonly checkpoints: number;
  /** Rows written by all of them. */
  readonly checkpointKeys: number;
  readonly overlayBytes: number;
  /** What the last one took. */
  readonly lastCheckpointMs: number;
  /** How long ago it ended; null before the first. */
  readonly sinceCheckpointMs: number | null;
  /** Data rows that were found damaged since the start. */
  readonly damagedRows: number;
  /** What the start took. */
  readonly replayedRecords: number;
  readonly replayMs: number;
  readonly replayedBytes: number;
}

/** What the table holds between two checkpoints. */
export interface Rest {
  readonly table: Table;
  readonly identity: Identity & { readonly storeId: string; readonly incarnation: number };
  /** Of all data rows in the table. */
  readonly digest: Uint8Array;
}
