/** A disk that refuses, forgets half of what it was given, hangs, and comes back; and a store that waits for it. */
import { describe, expect, it } from 'vitest';
import type { Key } from '../../../client/wire/messages.ts';
import { sectorBytes } from '../../../node/store/block.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { Fatal, prefix, sectors, type MemoryRuntime } from './memory-runtime.ts';
import { closeStore, openStore, type Opened } from './helpers.ts';

const error = new Error('no space left on device');
const record = (number: number, bytes = 5): JournalRecord => [Kind.prepared, 'n2', 1, number, 1, 0, 7, Buffer.alloc(bytes, number)];
const numbers = (records: readonly JournalRecord[]): unknown[] => records.map((each) => each[3]);

/** Appends a record and says when it is durable. */
function append({ store }: Opened, number: number, told: number[], bytes?: number): void {
  store.append(record(number, bytes));
  store.whenDurable(() => told.push(number));
}

/** What is appended here stays in the journal: no checkpoint comes. */
const patient = { checkpointIntervalMs: 600_000 };

function fail(runtime: MemoryRuntime, tear = prefix(0)): void {
  runtime.logError = error;
  runtime.logTear = tear;
}

describe('a journal that the disk refuses', () => {
  it('keeps back what waits for it, says so, and gives it when the disk takes it, in order and once', () => {
    const opened = openStore(undefined, patient);
    const { store, runtime } = opened;
    const told: number[] = [];
    append(opened, 1, told);
    runtime.settle();
    fail(runtime);
    append(opened, 2, told);
    runtime.settle();
    append(opened, 3, told);
    runtime.advance(10_000);
    expect(told).toEqual([1]);
    expect(store.intake.refusal).toBe('the journal can’t be written: no space left on device');
    expect(store.trouble.status).toMatchObject({ state: 'failing', part: 'journal', problem: 'no space left on device', troubles: 1, tableFailures: 0 });
    expect(store.trouble.status.forMs).toBeGreaterThanOrEqual(9_900);
    // Six attempts while the pause doubles from 50 ms, then one every two seconds.
    expect(store.trouble.status.journalFailures).toBeGreaterThan(6);
    expect(store.trouble.status.journalFailures).toBeLessThan(12);
    runtime.logError = null;
    runtime.advance(2_000);
    expect(told).toEqual([1, 2, 3]);
    expect([store.intake.refusal, store.trouble.status.state]).toEqual([null, 'sound']);
    expect(runtime.lines.filter((line) => line.startsWith('warn'))).toEqual(['warn the disk takes no writes {"part":"journal","problem":"no space left on device"}']);
    expect(runtime.lines.filter((line) => line.startsWith('info the disk takes writes again'))).toHaveLength(1);
    expect(numbers(openStore(runtime.crash(0)).owner.replayed)).toEqual([1, 2, 3]);
  });

  it('is the same after a restart whatever of the failed writes reached the disk, whenever the restart comes', () => {
    const tears = [prefix(0), prefix(0.4), prefix(1), sectors(0b001), sectors(0b010), sectors(0b100), sectors(0b110), sectors(0b011)];
    for (const before of [0, 1]) {
      for (const first of tears) {
        for (const second of tears) {
          for (const stage of ['after one failure', 'after two failures', 'during the third write', 'after it', 'after more']) {
            const opened = openStore(undefined, patient);
            const { runtime } = opened;
            const told: number[] = [];
            for (let number = 0; number < before; number++) append(opened, number, told);
            runtime.settle();
            fail(runtime, first);
            append(opened, 10, told, 2.5 * sectorBytes);
            runtime.settle();
            if (stage !== 'after one failure') {
              runtime.logTear = second;
              runtime.leap(60);
              runtime.settle();
            }
            runtime.logError = null;
            if (stage === 'during the third write') {
              runtime.leap(110);
              runtime.step();
            } else if (stage !== 'after one failure' && stage !== 'after two failures') runtime.advance(5_000);
            if (stage === 'after more') {
              append(opened, 11, told, 2 * sectorBytes);
              runtime.settle();
            }
            const disk = runtime.crash(0.5);
            const again = openStore(disk);
            const found = numbers(again.owner.replayed);
            const all = [...Array.from({ length: before }, (_, i) => i), 10, 11];
            expect(found).toEqual(all.slice(0, found.length));
            expect(found.length, `${stage}: ${told.join()} were told`).toBeGreaterThanOrEqual(told.length);
            // The next life goes on behind what it found, and the one after that finds both.
            append(again, 20, []);
            again.runtime.settle();
            expect(numbers(openStore(again.runtime.crash(0)).owner.replayed)).toEqual([...found, 20]);
          }
        }
      }
    }
  });

  it('never writes to the file of a failed write again, and does not fill the disk with such files', () => {
    const opened = openStore();
    const { runtime, store } = opened;
    append(opened, 1, []);
    runtime.settle();
    fail(runtime, prefix(0.7));
    append(opened, 2, [], 1_500);
    runtime.settle();
    const name = runtime.disk.logs().at(-1) as string;
    const left = Buffer.from(runtime.store.logs.get(name) as Buffer);
    let most = 0;
    for (let i = 0; i < 100; i++) {
      runtime.advance(1_000);
      most = Math.max(most, runtime.store.logs.size);
    }
    expect(runtime.store.logs.get(name)).toEqual(left);
    expect(most).toBeLessThanOrEqual(3);
    runtime.logError = null;
    runtime.advance(10_000);
    expect(store.stats.journalSegments).toBe(runtime.store.logs.size);
    expect(runtime.store.logs.size).toBeLessThanOrEqual(4);
  });

  it('goes on where files can’t be made or removed, as soon as they can', () => {
    for (const late of [false, true]) {
      const opened = openStore(undefined, patient);
      const { runtime } = opened;
      const told: number[] = [];
      append(opened, 1, told);
      runtime.settle();
      runtime.directoryError = { error: new Error('read-only file system'), late };
      for (let number = 2; number <= 200; number++) append(opened, number, told, 300);
      runtime.advance(30_000);
      expect(told.length).toBeGreaterThan(5);
      expect(told.length).toBeLessThan(200);
      expect(runtime.store.logs.size).toBeLessThan(12);
      expect(opened.store.intake.refusal).toBe('the journal can’t be written: read-only file system');
      const copy = openStore(runtime.crash(0));
      expect(numbers(copy.owner.replayed)).toEqual(Array.from({ length: copy.owner.replayed.length }, (_, i) => i + 1));
      expect(copy.owner.replayed.length).toBeGreaterThanOrEqual(told.length);
    }
  });

  it('trims again when files can be removed again', () => {
    const { store, owner, runtime } = openStore();
    runtime.directoryError = { error: new Error('input/output error'), late: false };
    for (let i = 0; i < 10; i++) owner.commit(`k${i}`, i + 1, 'v');
    runtime.settle();
    runtime.directoryError = null;
    runtime.advance(3_000);
    for (let round = 0; round < 20; round++) {
      runtime.directoryError = round % 3 === 0 ? { error: new Error('input/output error'), late: round % 2 === 0 } : null;
      for (let i = 0; i < 60; i++) owner.commit(`k${i}`, 1_000 * (round + 1) + i, 'v'.repeat(50));
      runtime.advance(1_100);
    }
    runtime.directoryError = null;
    runtime.advance(5_000);
    expect(runtime.store.logs.size).toBeLessThan(8);
    expect(store.stats.journalSegments).toBe(runtime.store.logs.size);
    expect(store.trouble.status.state).toBe('sound');
    const again = openStore(runtime.crash(0));
    for (let i = 0; i < 60; i++) expect(again.store.head(`k${i}`)?.version).toBe(20_000 + i);
  });
});

describe('a table that the disk refuses', () => {
  it('is written when it can be; until then everything is kept, readable, and the journal is not trimmed', () => {
    const { store, owner, runtime } = openStore();
    runtime.tableError = error;
    const key = (i: number): Key => `key ${i}`;
    for (let round = 1; round <= 5; round++) {
      for (let i = 0; i < 40; i++) owner.commit(key(i), 100 * round + i, `value ${round} ${'x'.repeat(60)}`);
      runtime.advance(2_000);
    }
    expect(store.stats.checkpoints).toBe(0);
    expect(store.trouble.status).toMatchObject({ state: 'failing', part: 'table', journalFailures: 0 });
    // There is room in the overlay: work goes on.
    expect(store.intake.refusal).toBeNull();
    for (let i = 0; i < 40; i++) expect(store.entry(key(i))?.version).toBe(500 + i);
    const segments = runtime.store.logs.size;
    expect(segments).toBeGreaterThan(4);
    runtime.tableError = null;
    runtime.advance(4_000);
    expect(store.stats.checkpoints).toBeGreaterThan(0);
    expect(store.stats.overlayBytes).toBe(0);
    expect(store.trouble.status.state).toBe('sound');
    expect(runtime.store.logs.size).toBeLessThan(segments);
    const again = openStore(runtime.crash(0));
    for (let i = 0; i < 40; i++) expect(again.store.head(key(i))?.version).toBe(500 + i);
    for (let partition = 0; partition < 4; partition++) expect(again.store.tree.leaves(partition)).toEqual(again.store.rebuildLeaves(partition));
  });

  it('keeps a crash in between from losing anything', () => {
    const { owner, runtime } = openStore();
    for (let i = 0; i < 40; i++) owner.commit(`key ${i}`, i + 1, 'x');
    runtime.leap(1_000);
    for (let slice = 0; slice < 4; slice++) runtime.step();
    runtime.tableError = error;
    runtime.advance(5_000);
    const again = openStore(runtime.crash(0));
    for (let i = 0; i < 40; i++) expect(again.store.head(`key ${i}`)?.version).toBe(i + 1);
  });

  it('turns new work away when the overlay is full as well, and takes it in again by itself', () => {
    const { store, owner, runtime } = openStore(undefined, { overlayBytesMax: 20_000 });
    const events: string[] = [];
    store.intake.onRelief = () => events.push('relief');
    runtime.tableError = error;
    for (let version = 1; !store.full; version++) {
      owner.commit(`key ${version}`, version, 'v'.repeat(100));
      runtime.settle();
    }
    expect(store.intake.refusal).toBe('the table can’t be written: no space left on device');
    store.intake.whenAccepting(() => events.push('accepting'));
    store.whenRoom(() => events.push('room'));
    runtime.advance(5_000);
    expect(events).toEqual([]);
    runtime.tableError = null;
    runtime.advance(5_000);
    expect(events.sort()).toEqual(['accepting', 'relief', 'room']);
    expect(store.intake.refusal).toBeNull();
  });

  it('stops the node where only a start can help', () => {
    for (const hangsFor of [50_000, 70_000]) {
      const { owner, runtime, store } = openStore();
      runtime.tableError = error;
      owner.commit('a', 1, 'x');
      runtime.advance(1_010);
      expect(store.trouble.status.tableFailures).toBe(1);
      runtime.hangs = true;
      runtime.leap(100);
      runtime.leap(hangsFor);
      expect(store.trouble.status.state).toBe('failing');
      if (hangsFor > 60_000) expect(() => store.flush()).toThrow(Fatal);
      else store.flush();
      expect(openStore(runtime.crash(0)).store.head('a')?.version).toBe(1);
    }
  });
});

describe('a write that does not end', () => {
  it('is noticed, turns new work away, and is forgotten when it ends', () => {
    const opened = openStore();
    const { store, runtime } = opened;
    runtime.hangs = true;
    const told: number[] = [];
    append(opened, 1, told);
    runtime.settle();
    runtime.leap(1_500);
    store.flush();
    expect([store.intake.refusal, store.trouble.status.oldestWriteMs, store.trouble.status.state]).toEqual([null, 1_500, 'sound']);
    runtime.leap(1_000);
    store.flush();
    expect(store.intake.refusal).toContain('a write has not ended');
    expect(store.trouble.status).toMatchObject({ state: 'stalled', part: 'journal', oldestWriteMs: 2_500, journalFailures: 0 });
    runtime.hangs = false;
    runtime.settle();
    expect(told).toEqual([1]);
    expect([store.intake.refusal, store.trouble.status.state, store.trouble.status.oldestWriteMs]).toEqual([null, 'sound', 0]);
  });
});

describe('closing a store whose disk is in trouble', () => {
  it('does not wait for it, and tells nobody of what was not written', () => {
    for (const part of ['logError', 'tableError'] as const) {
      for (const when of ['before', 'meanwhile'] as const) {
        const opened = openStore();
        const told: number[] = [];
        opened.owner.commit('a', 1, 'x');
        append(opened, 2, told);
        opened.runtime.settle();
        opened.owner.commit('b', 2, 'x');
        opened.runtime[part] = error;
        if (when === 'before') opened.runtime.advance(3_000);
        append(opened, 3, told);
        const again = openStore(closeStore(opened));
        expect(again.store.head('a')?.version).toBe(1);
        expect(numbers(again.owner.replayed)).toContain(2);
        if (told.includes(3)) expect(numbers(again.owner.replayed)).toContain(3);
      }
    }
  });
});
