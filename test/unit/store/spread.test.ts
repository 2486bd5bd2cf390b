import { describe, expect, it } from 'vitest';
import type { StoreOptions } from '../../../node/store/store.ts';
import { openStore, type Opened } from './helpers.ts';

const keys = Array.from({ length: 100 }, (_, i) => `key${i}`);
const writeMs = 4;
/** Slices of five. */
const slices = 20;
const checkpointIntervalMs = 2_000;

/** Lets a disk go on whose every write takes some milliseconds. Gives when each batch of the table was begun. */
function pass({ runtime }: Opened, ms: number, hangs = false): number[] {
  const begun: number[] = [];
  const turns = (): void => {
    runtime.hangs = true;
    runtime.settle();
    runtime.hangs = false;
  };
  for (let atMs = 0; atMs < ms; atMs += writeMs) {
    const before = runtime.batches.length;
    const ends = runtime.writing && !hangs;
    runtime.leap(writeMs);
    turns();
    if (ends) runtime.step();
    turns();
    for (let i = before; i < runtime.batches.length; i++) begun.push(atMs);
  }
  return begun;
}

/** With all keys in the overlay and a checkpoint about to begin. */
function filled(options: Partial<StoreOptions> = {}): Opened {
  const opened = openStore(undefined, { checkpointIntervalMs, ...options });
  for (const key of keys) opened.owner.commit(key, 1, `value of ${key}`);
  opened.store.flush();
  opened.runtime.settle();
  opened.runtime.leap((options.checkpointIntervalMs ?? checkpointIntervalMs) - 1);
  return opened;
}

describe('a checkpoint that nobody waits for', () => {
  it('leaves the disk to others for most of the time', () => {
    const opened = filled();
    const begun = pass(opened, 1_900);
    expect(begun).toHaveLength(slices);
    const gaps = begun.slice(2).map((atMs, i) => atMs - (begun[i + 1] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(8 * writeMs);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(16 * writeMs);
    expect(opened.store.stats).toMatchObject({ checkpoints: 1, checkpointKeys: 100, overlayBytes: 0 });
  });

  it('does not wait for long after a slice that took seconds', () => {
    const opened = filled();
    expect(pass(opened, 400).length).toBeGreaterThan(2);
    const before = opened.runtime.batches.length;
    while (!opened.runtime.writing) pass(opened, writeMs);
    pass(opened, 5_000, true);
    expect(opened.runtime.batches.length - before).toBeLessThanOrEqual(1);
    expect(pass(opened, 1_200).length).toBeGreaterThanOrEqual(2);
  });

  it('is no later than what fills meanwhile', () => {
    const opened = filled({ overlayBytesMax: 120_000 });
    const { owner, store } = opened;
    let version = 1;
    for (let round = 0; store.stats.checkpoints === 0; round++) {
      pass(opened, 40);
      for (let i = 0; i < 4; i++) owner.commit(`other${round * 4 + i}`, ++version, 'v'.repeat(20));
      expect(store.full).toBe(false);
    }
    // Half of half of the room, and what came while the last slices were written.
    expect(store.stats.overlayBytes).toBeLessThan(120_000 * 0.35);
  });

  it('has ended when half of the interval is over, however slow the disk, and is spread evenly over that', () => {
    const opened = filled({ checkpointIntervalMs: 500 });
    const begun = pass(opened, 250 + 3 * writeMs);
    expect(begun).toHaveLength(slices);
    expect(Math.max(...begun.slice(2).map((atMs, i) => atMs - (begun[i + 1] as number)))).toBeLessThanOrEqual(5 * writeMs);
    expect(opened.store.stats.checkpoints).toBe(1);
  });

  it('begins again an interval after it began', () => {
    const opened = filled();
    expect(pass(opened, 1_900)).toHaveLength(slices);
    opened.owner.commit('late', 1, 'x');
    expect(pass(opened, 200)).toHaveLength(1);
    expect(opened.store.stats.checkpoints).toBe(2);
  });
});

describe('a checkpoint that somebody waits for', () => {
  it('makes no pauses any more, whenever that was asked for', () => {
    for (const afterMs of [0, 100]) {
      const opened = filled();
      pass(opened, afterMs);
      let isAtRest = false;
      opened.store.atRest((_, resume) => {
        isAtRest = true;
        resume();
      });
      pass(opened, (slices + 10) * writeMs);
      expect(isAtRest).toBe(true);
    }
  });

  it('is over soon when the store closes', () => {
    const opened = filled();
    pass(opened, 100);
    let closed = false;
    opened.store.close(() => (closed = true));
    pass(opened, (slices + 10) * writeMs);
    expect([closed, opened.store.stats.checkpoints, opened.store.stats.overlayBytes]).toEqual([true, 1, 0]);
    expect(opened.runtime.writing).toBe(false);
  });

  it('is given up in the middle of a pause when the disk fails while the store closes', () => {
    const opened = filled();
    const { runtime, store } = opened;
    expect(pass(opened, 100).length).toBeGreaterThan(1);
    while (runtime.writing) pass(opened, writeMs);
    const before = runtime.batches.length;
    store.trouble.began('journal');
    store.trouble.failed('journal', new Error('no space'));
    let closed = false;
    store.close(() => (closed = true));
    runtime.advance(5_000);
    expect([closed, runtime.batches.length]).toEqual([true, before]);
  });
});
