import { describe, expect, it } from 'vitest';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { payloadAt, sectorBytes } from '../../../node/store/block.ts';
import { MemoryDisk, sectors, type MemoryRuntime } from './memory-runtime.ts';
import { openStore, type Opened } from './helpers.ts';
import { caught } from './caught.ts';

const record = (number: number, bytes = 0): JournalRecord =>
  bytes === 0 ? [Kind.floor, 'n2', 'a store', number] : [Kind.prepared, 'n2', 1, number, 1, 0, 7, Buffer.alloc(bytes, number)];

/** Appends records one block each; the numbers of those whose action ran are pushed to `told`. */
function appendAll({ store, runtime }: Opened, records: readonly JournalRecord[], told: JournalRecord[] = []): void {
  for (const each of records) {
    store.append(each);
    store.whenDurable(() => told.push(each));
    runtime.settle();
  }
}

/** The disk with one log file's bytes replaced. */
function withLog(disk: MemoryDisk, name: string, bytes: Buffer): MemoryDisk {
  const copy = new MemoryDisk();
  copy.logs = new Map([...disk.logs].map(([other, content]) => [other, Buffer.from(other === name ? bytes : content)]));
  copy.table = new Map(disk.table);
  return copy;
}

const newest = (disk: MemoryDisk, runtime: MemoryRuntime): Buffer => Buffer.from(disk.logs.get(runtime.disk.logs().at(-1) as string) as Buffer);

describe('group commit', () => {
  it('runs actions in order, each when its records are durable and not before', () => {
    const { store, runtime } = openStore();
    const ran: string[] = [];
    store.whenDurable(() => ran.push('nothing appended'));
    expect(ran).toEqual(['nothing appended']);
    store.append(record(1));
    store.whenDurable(() => ran.push('one'));
    store.append(record(2));
    store.whenDurable(() => {
      ran.push('two');
      store.whenDurable(() => ran.push('asked while running'));
    });
    store.whenDurable(() => ran.push('two again'));
    expect(runtime.writing).toBe(false);
    runtime.step();
    expect(runtime.writing).toBe(true);
    store.append(record(3));
    store.whenDurable(() => ran.push('three'));
    expect(ran).toEqual(['nothing appended']);
    runtime.step();
    expect(ran).toEqual(['nothing appended', 'one', 'two', 'two again']);
    expect(store.stats.flushes).toBe(1);
    runtime.step();
    expect(ran).toEqual(['nothing appended', 'one', 'two', 'two again', 'three', 'asked while running']);
    expect(store.stats.flushes).toBe(2);
  });

  it('runs an action that is asked for by the last action after it', () => {
    const { store, runtime } = openStore();
    const ran: string[] = [];
    store.append(record(1));
    store.whenDurable(() => {
      store.whenDurable(() => ran.push('third'));
      ran.push('first');
    });
    store.whenDurable(() => ran.push('second'));
    runtime.settle();
    expect(ran).toEqual(['first', 'second', 'third']);
  });

  it('cuts what is queued into blocks of bounded size', () => {
    const { store, runtime } = openStore(undefined, { journalBlockBytesMax: 1_000 });
    for (let number = 1; number <= 20; number++) store.append(record(number, 200));
    runtime.settle();
    expect(store.stats.flushes).toBeGreaterThanOrEqual(5);
    expect(store.stats.flushes).toBeLessThanOrEqual(10);
    expect(openStore(runtime.crash(0)).owner.replayed.map((each) => each[3])).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('gives a record that is larger than a segment a segment of its own', () => {
    const opened = openStore();
    const records = [record(1, 10_000), record(2), record(3, 20_000), record(4, 100)];
    appendAll(opened, records);
    expect(opened.store.segment).toBe(4);
    const disk = opened.runtime.crash(0);
    expect(openStore(disk).owner.replayed).toEqual(records);
  });
});

describe('records that nobody waits for', () => {
  it('go along with the next one that somebody waits for, in one flush', () => {
    const { store, runtime } = openStore();
    runtime.idle = () => {};
    const flushes = store.stats.flushes;
    const ran: string[] = [];
    store.append(record(1));
    store.alongWithNext(() => ran.push('along'));
    runtime.settle();
    expect([ran, store.stats.flushes]).toEqual([[], flushes]);
    store.append(record(2));
    store.whenDurable(() => ran.push('awaited'));
    runtime.settle();
    expect([ran, store.stats.flushes]).toEqual([['along', 'awaited'], flushes + 1]);
  });

  it('are written by a flush at the latest, and by the checkpoint that follows', () => {
    const { store, runtime } = openStore();
    runtime.idle = () => {};
    let told = 0;
    store.append(record(1));
    store.alongWithNext(() => told++);
    store.flush();
    runtime.settle();
    expect(told).toBe(1);
    store.append(record(2));
    store.alongWithNext(() => told++);
    runtime.advance(2_000);
    expect(told).toBe(2);
  });

  it('don’t wait when they fill a block', () => {
    const { store, runtime } = openStore();
    runtime.idle = () => {};
    let told = 0;
    for (let number = 0; number < 1_000; number++) {
      store.append(record(number));
      store.alongWithNext(() => told++);
    }
    runtime.settle();
    expect(told).toBeGreaterThan(500);
    expect(told).toBeLessThan(1_000);
  });
});

describe('a torn tail', () => {
  /** Records in blocks of their own, the last of them under way; what the newest file held before it, and with it. */
  function scenario(count: number): { disk: MemoryDisk; name: string; told: JournalRecord[]; last: JournalRecord; before: Buffer; after: Buffer } {
    const opened = openStore();
    // A segment that served before, so that old blocks lie where the tail is torn.
    for (let round = 0; round < 3; round++) {
      for (let number = 0; number < 100; number++) opened.store.append(record(number));
      opened.runtime.advance(2_000);
    }
    const told: JournalRecord[] = [];
    appendAll(opened, Array.from({ length: count }, (_, i) => record(1_000 + i, 5 * i)), told);
    const name = `journal-${String(opened.store.segment).padStart(8, '0')}.log`;
    const before = Buffer.from(opened.runtime.store.logs.get(name) as Buffer);
    const last = record(2_000, 1_200);
    opened.store.append(last);
    opened.store.flush();
    opened.runtime.step();
    const disk = opened.runtime.crash(1);
    return { disk, name, told, last, before, after: Buffer.from(disk.logs.get(name) as Buffer) };
  }

  /** Where the last block is. */
  function lastBlock(before: Buffer, after: Buffer): [from: number, to: number] {
    const down = before.findIndex((byte, i) => byte !== after[i]);
    const up = after.findLastIndex((byte, i) => byte !== before[i]);
    return [down - down % sectorBytes, up - up % sectorBytes + sectorBytes];
  }

  const tail = (disk: MemoryDisk, count: number): JournalRecord[] => openStore(disk).owner.replayed.slice(-count);

  it('is cut at whatever byte it tore, and everything told before is there', () => {
    const { disk, name, told, last, before, after } = scenario(3);
    const [from, to] = lastBlock(before, after);
    expect(to - from).toBe(3 * sectorBytes);
    expect(told).toHaveLength(3);
    let whole = 0;
    for (let cut = from; cut <= to; cut++) {
      const torn = [
        Buffer.concat([after.subarray(0, cut), before.subarray(cut)]),
        after.subarray(0, cut),
        Buffer.concat([after.subarray(0, cut), Buffer.alloc(after.length - cut)]),
        // Sectors come in any order, but whole.
        ...(cut % sectorBytes === 0 ? [Buffer.concat([before.subarray(0, cut), after.subarray(cut)])] : []),
      ];
      for (const bytes of torn) {
        // The stamp and what fills the last sector up may be missing.
        const isWhole = bytes.length >= to && bytes.subarray(from, from + 20).equals(after.subarray(from, from + 20)) && payloadAt(bytes, from).equals(payloadAt(after, from));
        if (isWhole) whole++;
        expect(tail(withLog(disk, name, bytes), 3)).toEqual(isWhole ? [...told.slice(1), last] : told);
      }
    }
    expect(whole).toBeGreaterThanOrEqual(4);
  }, 120_000);

  it('stays cut through further lives, torn ones and idle ones', () => {
    const { disk, name, told, before, after } = scenario(3);
    const from = before.findIndex((byte, i) => byte !== after[i]);
    let torn = withLog(disk, name, Buffer.concat([after.subarray(0, from + 50), before.subarray(from + 50)]));
    const expected = [...told];
    for (let life = 0; life < 5; life++) {
      torn = openStore(torn).runtime.crash(0);
      const opened = openStore(torn);
      expect(opened.owner.replayed.slice(-expected.length)).toEqual(expected);
      const more = [record(3_000 + life), record(4_000 + life)];
      appendAll(opened, more);
      expected.push(...more);
      opened.store.append(record(5_000 + life, 900));
      opened.store.flush();
      opened.runtime.step();
      torn = opened.runtime.crash(life / 5);
    }
    expect(openStore(torn).owner.replayed.slice(-expected.length)).toEqual(expected);
  });

  it('that comes whole after all, when the next life has gone on without it, stays cut', () => {
    const { disk, name, told, before, after } = scenario(3);
    const opened = openStore(withLog(disk, name, before));
    appendAll(opened, [record(3_000)]);
    const late = withLog(opened.runtime.crash(0), name, after);
    expect(openStore(late).owner.replayed.slice(-4)).toEqual([...told, record(3_000)]);
  });

  it('leaves nothing behind that a later torn block could be taken for whole with', () => {
    const first = openStore();
    first.store.append(record(1, 1_400));
    first.runtime.step();
    first.runtime.crashAfter(0, sectors(0b110));
    first.runtime.disk.openLog('other', 0);
    const second = openStore(first.runtime.store);
    second.store.append(record(2, 1_400));
    second.runtime.step();
    second.runtime.crashAfter(0, sectors(0b001));
    second.runtime.disk.openLog('other', 0);
    expect(openStore(second.runtime.store).owner.replayed).toEqual([]);
  });

  it('is told from a block that was whole: any bit of the last blocks that changes is reported, or does no harm', () => {
    const { disk, name, told, last, before, after } = scenario(3);
    const [from, to] = lastBlock(before, after);
    const counts = { reported: 0, harmless: 0 };
    for (let at = from - 2 * sectorBytes; at < to + sectorBytes; at++) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
        const damaged = Buffer.from(after);
        damaged[at] = (damaged[at] as number) ^ bit;
        let found: JournalRecord[];
        try {
          found = tail(withLog(disk, name, damaged), 4);
        } catch (error) {
          expect(error).toMatchObject({ code: 'corrupt-journal' });
          counts.reported++;
          continue;
        }
        if (found.length !== 4 || found[3]?.[3] !== 2_000) expect.fail(`with bit ${bit} of byte ${at} the last record is lost`);
        counts.harmless++;
      }
    }
    expect(tail(withLog(disk, name, after), 4)).toEqual([...told, last]);
    expect(counts.reported).toBeGreaterThan(1_200 * 8);
    // Stamps, what fills up sectors, and the sector behind.
    expect(counts.harmless).toBeGreaterThan(sectorBytes * 8);
  }, 120_000);
});

describe('a damaged journal', () => {
  /** Three segments of records and more. */
  function written(): { disk: MemoryDisk; names: string[] } {
    const opened = openStore();
    appendAll(opened, Array.from({ length: 300 }, (_, i) => record(i)));
    const disk = opened.runtime.crash(0);
    return { disk, names: [...disk.logs.keys()].sort() };
  }

  function flipped(disk: MemoryDisk, name: string, at: number): MemoryDisk {
    const bytes = Buffer.from(disk.logs.get(name) as Buffer);
    bytes[at] = (bytes[at] as number) ^ 4;
    return withLog(disk, name, bytes);
  }

  it('is reported with segment, offset and advice, and left alone', () => {
    const { disk, names } = written();
    expect(names.length).toBeGreaterThan(3);
    const damaged = flipped(disk, names[1] as string, 1_040);
    const before = JSON.stringify([[...damaged.table], [...damaged.logs]]);
    const error = caught(() => openStore(damaged));
    expect(error.code).toBe('corrupt-journal');
    expect(error.details).toEqual({ segment: 'journal-00000002.log', offset: 1_024 });
    expect(error.message).toMatch(/^journal-00000002.log is damaged at byte 1024: .*must not serve as its former self/);
    expect(JSON.stringify([[...damaged.table], [...damaged.logs]])).toBe(before);
  });

  it('is reported when the end of a closed segment is lost', () => {
    const { disk, names } = written();
    const name = names[1] as string;
    const bytes = Buffer.from(disk.logs.get(name) as Buffer);
    bytes.fill(0, bytes.lastIndexOf('DTPJ'));
    expect(caught(() => openStore(withLog(disk, name, bytes))).message).toMatch(/^journal-00000002.log is damaged .*journal-00000003.log follows records up to byte/);
  });

  it('is reported when a segment in the middle is wholly lost', () => {
    const { disk, names } = written();
    expect(caught(() => openStore(withLog(disk, names[1] as string, Buffer.alloc(4_096)))).message).toMatch(/^journal-00000002.log is damaged at byte 0/);
    disk.logs.delete(names[1] as string);
    expect(caught(() => openStore(disk)).message).toMatch(/^journal-00000002.log is damaged at byte 0: the file is missing/);
  });

  it('is reported when the first block of the last segment is bad and others follow', () => {
    const { disk, names } = written();
    expect(caught(() => openStore(flipped(disk, names.at(-1) as string, 10))).details).toMatchObject({ segment: names.at(-1), offset: 0 });
  });

  it('is reported when it ends before a point that a checkpoint knew to be durable', () => {
    const opened = openStore();
    appendAll(opened, [record(1), record(2), record(3)]);
    opened.runtime.advance(1_000);
    expect(opened.store.stats.checkpoints).toBe(1);
    const disk = opened.runtime.crash(0);
    const [name] = [...disk.logs.keys()] as [string];
    const bytes = newest(disk, opened.runtime);
    bytes.fill(0, bytes.lastIndexOf('DTPJ'));
    expect(caught(() => openStore(withLog(disk, name, bytes))).message).toContain('was durable up to byte');
    expect(openStore(disk).owner.replayed).toHaveLength(3);
  });
});
