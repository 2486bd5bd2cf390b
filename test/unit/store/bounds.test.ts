/** What a journal may take on the disk, and a restart may have to read, whatever is written and whoever is away. */
import { describe, expect, it } from 'vitest';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { openStore, smallOptions, type Opened } from './helpers.ts';

const { journalSegmentBytes } = smallOptions;
const journalBytesMax = 40_000;
/** No checkpoint comes by time alone, and the overlay is never in the way. */
const options = { journalBytesMax, checkpointIntervalMs: 600_000, overlayBytesMax: 100_000_000 };
/** Records of old work are taken in at the bound too; here one block of them, and the segment that is being filled. */
const slackBytes = journalSegmentBytes + smallOptions.journalBlockBytesMax;

function largest({ store, owner, runtime }: Opened, writes: number): { live: number; files: number; replayed: number } {
  const most = { live: 0, files: 0, replayed: 0 };
  for (let i = 1; i <= writes; i++) {
    if (!store.full) owner.commit('hot key', i, 'v'.repeat(200));
    runtime.settle();
    most.live = Math.max(most.live, store.stats.journalBytes);
    most.files = Math.max(most.files, runtime.store.logs.size);
  }
  most.replayed = openStore(runtime.crash(0)).store.stats.replayedBytes;
  return most;
}

describe('the journal', () => {
  it('is bounded where one key is written again and again, which fills no overlay', () => {
    const opened = openStore(undefined, options);
    const { live, files, replayed } = largest(opened, 2_000);
    expect(opened.store.stats.checkpoints).toBeGreaterThan(10);
    expect(live).toBeGreaterThan(journalBytesMax / 4);
    expect(live).toBeLessThan(journalBytesMax);
    expect(replayed).toBeLessThan(journalBytesMax);
    expect(files).toBeLessThan(journalBytesMax / journalSegmentBytes + 6);
  });

  it('is bounded while the table takes nothing: new work waits, and is turned away', () => {
    const opened = openStore(undefined, options);
    opened.runtime.tableError = new Error('no space left on device');
    const { live, replayed } = largest(opened, 1_000);
    expect(opened.store.full).toBe(true);
    expect(opened.store.intake.refusal).toContain('the table can’t be written');
    expect(live).toBeGreaterThanOrEqual(journalBytesMax);
    expect(live).toBeLessThan(journalBytesMax + slackBytes);
    expect(replayed).toBeLessThanOrEqual(live);
  });

  it('holds what is undecided once, and once more while that is carried, however long it stays so', () => {
    const opened = openStore(undefined, options);
    const undecided: JournalRecord[] = Array.from({ length: 10 }, (_, i) => [Kind.prepared, 'n9', 1, i, 1, 0, 5, Buffer.alloc(1_000, i)]);
    for (const record of undecided) opened.store.append(record);
    opened.owner.carried = undecided;
    const { live, replayed } = largest(opened, 3_000);
    expect(opened.store.stats.checkpoints).toBeGreaterThan(10);
    expect(live).toBeLessThan(journalBytesMax + slackBytes);
    expect(replayed).toBeLessThan(journalBytesMax + slackBytes);
  });

  it('does not checkpoint without end where what is undecided fills it', () => {
    const opened = openStore(undefined, options);
    const { store, owner, runtime } = opened;
    const undecided: JournalRecord[] = Array.from({ length: 40 }, (_, i) => [Kind.prepared, 'n9', 1, i, 1, 0, 5, Buffer.alloc(1_000, i)]);
    for (const record of undecided) store.append(record);
    owner.carried = undecided;
    runtime.settle();
    expect(store.full).toBe(true);
    for (let i = 0; i < 20; i++) {
      store.flush();
      runtime.settle();
    }
    expect(store.stats.checkpoints).toBeLessThan(5);
    owner.carried = [];
    runtime.advance(700_000);
    expect(store.full).toBe(false);
  });
});
