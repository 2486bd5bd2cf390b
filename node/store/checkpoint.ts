/**
 * A checkpoint: the overlay goes into the table, then the journal behind it may go.
 *
 * In one turn the overlay is frozen, the owner of the journal hands over its small state and those of its records in
 * closed segments that are still needed, to be journalled again. All of that describes one instant: what the frozen
 * versions and the state say is not needed from the journal any more, everything else is in it, from the present
 * segment on. Then the versions are written in the order of the table, for a sorted batch of rows costs a fraction
 * of single ones, in slices, for the event loop must breathe and large batches spoil LMDB's free list; with pauses (spread.ts), for whoever waits for the journal
 * must not have to wait for all of them.
 *
 * Invariants, whatever crash comes between two slices:
 * - Nothing reaches the table before the records it came from are durable in the journal.
 * - Each slice carries the digests of its branches as they are with it, so rows and digests in the table match.
 * - Up to when a partition's tombstones were collected rests on its versions, and rows may go because of it: so it is
 *   written after the ones and not after the others.
 * - Segments go only after the last slice, which names the first that counts from then on, is durable.
 * - Trust in a partition comes with the last slice, behind the rows on which it rests.
 *
 * A slice that the disk refuses is written again until it is there; meanwhile the overlay and the journal keep everything.
 */
import type { Key } from '../../client/wire/messages.ts';
import type { Put } from '../runtime/runtime.ts';
import type { Doubts } from './doubts.ts';
import type { Journal } from './journal.ts';
import { journalPut } from './meta.ts';
import { absent } from './heads.ts';
import type { Generation, OverlayEntry } from './overlay.ts';
import { bookkeepingPut, dataKey, digestKey, encodeRow, ownerKey } from './rows.ts';
import type { JournalOwner } from './types.ts';
import type { Versions } from './versions.ts';

export interface CheckpointParts {
  readonly versions: Versions;
  readonly journal: Journal;
  readonly doubts: Doubts;
  readonly sliceKeys: number;
  /** Writes to the table, as often as it takes until that is durable. */
  write(puts: readonly Put[], done: () => void): void;
  /** After this share of it was written: goes on when it is time for more. */
  pause(written: number, next: () => void): void;
}

/** A slice ends here even if it holds few keys: copying larger ones would hold the event loop for more than a few milliseconds. */
const sliceBytesMax = 4 * 1_024 * 1_024;

interface Slice {
  readonly puts: Put[];
  /** Keys of the frozen generation whose rows are in `puts`. */
  readonly keys: Key[];
  /** Of what is to be written, how much: rows, and parts of the owner's state. */
  count: number;
  rowBytes: number;
}

const emptySlice = (): Slice => ({ puts: [], keys: [], count: 0, rowBytes: 0 });

/** Takes one; `done` gets the number of rows written. At most one may be under way. */
export function takeCheckpoint(parts: CheckpointParts, owner: JournalOwner, done: (rows: number) => void): void {
  const { journal, versions: { overlay, heads } } = parts;
  const first = journal.segment;
  const frozen = overlay.freeze();
  const state = owner.persist();
  if (journal.oldest < first) for (const record of owner.carry(first)) journal.append(record);
  parts.doubts.freeze();
  const slices = slicesOf(parts, frozen, state, first);
  const total = frozen.entries.size + state.length;
  let written = 0;

  const next = (): void => {
    const step = slices.next();
    if (step.done === true) {
      overlay.drop();
      journal.trim(first);
      done(frozen.entries.size);
      return;
    }
    const { puts, keys, count } = step.value;
    parts.write(puts, () => {
      for (const key of keys) {
        const { version, tombstone, checksum } = frozen.entries.get(key) as OverlayEntry;
        heads.update(key, version === 0 ? absent : { version, tombstone, checksum });
      }
      written += count;
      parts.pause(total === 0 ? 1 : written / total, next);
    });
  };
  journal.whenDurable(next);
}

/** Each slice is made when the one before is durable. */
function* slicesOf(parts: CheckpointParts, frozen: Generation, state: readonly [string, Buffer | null][], first: number): Generator<Slice> {
  const { journal, doubts, versions: { tableDigests, tombstones }, sliceKeys } = parts;
  let slice = emptySlice();

  /** Of each branch the keys that `wanted` takes. */
  function* rows(wanted: (entry: OverlayEntry) => boolean): Generator<Slice> {
    for (const place of [...frozen.keysOf.keys()].sort((a, b) => a - b)) {
      const partition = Math.floor(place / tableDigests.branchesPerPartition);
      const branch = place % tableDigests.branchesPerPartition;
      const finish = (): void => void slice.puts.push(bookkeepingPut(digestKey(partition, branch), tableDigests.branch(partition, branch)), ...tombstones.puts(partition));
      const keys = (frozen.keysOf.get(place) as Key[]).filter((key) => wanted(frozen.entries.get(key) as OverlayEntry));
      if (keys.length === 0) continue;
      let digested = slice.keys.length;
      for (const key of inTableOrder(frozen, keys)) {
        if (slice.keys.length >= sliceKeys || slice.rowBytes >= sliceBytesMax) {
          if (slice.keys.length > digested) finish();
          yield slice;
          slice = emptySlice();
          digested = 0;
        }
        const { slot, version, tombstone, checksum, value, itemA, itemB, baseA, baseB, baseIsTombstone } = frozen.entries.get(key) as OverlayEntry;
        tableDigests.change(partition, tableDigests.leafOf(slot), itemA, itemB, baseA, baseB);
        tombstones.countInTable(partition, Number(tombstone && version > 0) - Number(baseIsTombstone));
        const row = version === 0 ? null : encodeRow(version, checksum, value);
        slice.puts.push([dataKey(partition, slot, key), row]);
        slice.rowBytes += row?.length ?? 0;
        slice.keys.push(key);
        slice.count++;
      }
      finish();
    }
  }

  yield* rows(({ version }) => version > 0);
  for (const [partition, collected] of frozen.collected) {
    if (slice.puts.length >= 2 * sliceKeys) {
      yield slice;
      slice = emptySlice();
    }
    tombstones.setTableCollected(partition, collected);
    slice.puts.push(...tombstones.puts(partition));
  }
  yield* rows(({ version }) => version === 0);
  for (const [suffix, value] of state) {
    if (slice.puts.length >= 2 * sliceKeys) {
      yield slice;
      slice = emptySlice();
    }
    slice.puts.push(value === null ? [ownerKey(suffix), null] : bookkeepingPut(ownerKey(suffix), value));
    slice.count++;
  }
  slice.puts.push(doubts.putSettled(), journalPut({ first, ...journal.durable }));
  yield slice;
}

/** By slot, then by key. */
function inTableOrder({ entries }: Generation, keys: readonly Key[]): Key[] {
  return keys.map((key) => String.fromCharCode((entries.get(key) as OverlayEntry).slot) + key).sort().map((placed) => placed.slice(1));
}
