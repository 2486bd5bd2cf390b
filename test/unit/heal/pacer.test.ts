import { describe, expect, it } from 'vitest';
import type { Timer } from '../../../client/wire/environment.ts';
import { Pacer } from '../../../node/heal/pacer.ts';

const KiB = 1_024;
const maxBytesPerSecond = 8_192 * KiB;
const besideOthers = maxBytesPerSecond / 8;

class Bench {
  nowMs = 0;
  readonly pacer = new Pacer({ nowMs: () => this.nowMs, after: (delayMs, action) => this.#after(delayMs, action), bytesPerSecondMax: maxBytesPerSecond });
  spent = 0;
  #alarm: { readonly atMs: number; readonly action: () => void } | null = null;

  /** Lets time pass in ticks, with a vote in each that took so long; null: there is no foreground work. */
  pass(ms: number, delayMs: number | null = null): void {
    for (const endsAtMs = this.nowMs + ms; this.nowMs < endsAtMs;) {
      const tickAtMs = this.nowMs + 50;
      for (let alarm = this.#alarm; alarm !== null && alarm.atMs < tickAtMs; alarm = this.#alarm) {
        this.#alarm = null;
        this.nowMs = Math.max(this.nowMs, alarm.atMs);
        alarm.action();
      }
      this.nowMs = Math.max(this.nowMs, tickAtMs);
      if (delayMs !== null) this.pacer.felt(delayMs);
      this.pacer.tick();
    }
  }

  #after(delayMs: number, action: () => void): Timer {
    this.#alarm = { atMs: this.nowMs + delayMs, action };
    return { cancel: () => (this.#alarm = null) };
  }

  /** Work without end, in pieces that take so long. */
  work(pieceBytes = 64 * KiB, pieceMs = 0): void {
    this.pacer.whenFree(() => {
      this.pacer.spent(pieceBytes);
      this.spent += pieceBytes;
      this.nowMs += pieceMs;
      this.work(pieceBytes, pieceMs);
    });
  }
}

describe('the pacer', () => {
  it('keeps to its maximum, whatever the pieces', () => {
    for (const pieceBytes of [1_000, 64 * KiB, 600 * KiB]) {
      const bench = new Bench();
      bench.pass(2_000);
      bench.work(pieceBytes);
      bench.pass(10_000);
      expect(bench.spent / 10 / maxBytesPerSecond).toBeGreaterThan(0.95);
      expect(bench.spent / 10 / maxBytesPerSecond).toBeLessThan(1.1);
    }
  });

  it('does not save up in quiet times', () => {
    const bench = new Bench();
    bench.pass(60_000);
    bench.work();
    expect(bench.spent).toBeLessThan(0.2 * maxBytesPerSecond);
  });

  it('begins slowly, and is at its maximum soon if nobody is there', () => {
    const bench = new Bench();
    expect(bench.pacer.bytesPerSecond).toBe(256 * KiB);
    bench.pass(600);
    expect(bench.pacer.bytesPerSecond).toBe(maxBytesPerSecond);
  });

  it('stays far below its maximum beside foreground work, yields when that gets slower, and never stops', () => {
    const bench = new Bench();
    bench.pass(5_000, 1);
    expect(bench.pacer.bytesPerSecond).toBe(besideOthers);
    bench.pass(1_000, 8);
    expect(bench.pacer.bytesPerSecond).toBe(256 * KiB);
    const before = bench.spent;
    bench.work();
    bench.pass(4_000, 8);
    expect(bench.spent - before).toBeGreaterThan(0.9 * 4 * 256 * KiB);
  });

  it('goes faster again step by step when that is felt no more, and at once when nobody is there', () => {
    const bench = new Bench();
    bench.pass(2_000, 1);
    bench.pass(3_000, 20);
    bench.pass(1_000, 1);
    expect(bench.pacer.bytesPerSecond).toBeGreaterThan(0.4 * besideOthers);
    expect(bench.pacer.bytesPerSecond).toBeLessThan(0.8 * besideOthers);
    bench.pass(5_000, 1);
    expect(bench.pacer.bytesPerSecond).toBe(besideOthers);
    bench.pass(3_000, 20);
    bench.pass(700);
    expect(bench.pacer.bytesPerSecond).toBe(maxBytesPerSecond);
  });

  it('takes for normal what work has taken for a minute, and the noise of a disk for nothing', () => {
    const bench = new Bench();
    bench.pass(5_000, 1);
    bench.pass(5_000, 2.5);
    expect(bench.pacer.bytesPerSecond).toBe(besideOthers);
    bench.pass(10_000, 30);
    expect(bench.pacer.bytesPerSecond).toBe(256 * KiB);
    bench.pass(70_000, 30);
    expect(bench.pacer.bytesPerSecond).toBe(besideOthers);
  });

  it.each([[null, 1], [1, 1 / 8], [50, 1 / 8]])('takes of the event loop, beside votes that take %s ms, a share of %d', (delayMs, share) => {
    const bench = new Bench();
    bench.pass(5_000, 1);
    bench.pass(5_000, delayMs);
    const beganAtMs = bench.nowMs;
    const [bytes, pieceMs] = [100, 2];
    bench.work(bytes, pieceMs);
    for (let passed = 0; passed < 100; passed++) bench.pass(50, delayMs);
    const busyMs = (bench.spent / bytes) * pieceMs;
    expect(busyMs / (bench.nowMs - beganAtMs)).toBeGreaterThan(0.8 * share);
    expect(busyMs / (bench.nowMs - beganAtMs)).toBeLessThan(1.1 * share);
  });

  it('counts what could not wait, and has the rest wait for it', () => {
    const bench = new Bench();
    bench.pass(5_000, 1);
    let ran = false;
    bench.pacer.work(() => {
      bench.nowMs += 100;
      bench.pacer.whenFree(() => (ran = true));
    });
    bench.pass(600, 1);
    expect(ran).toBe(false);
    bench.pass(200, 1);
    expect(ran).toBe(true);
  });

  it('runs what waits in order, and no more of it than is bounded', () => {
    const bench = new Bench();
    const ran: number[] = [];
    bench.pacer.spent(maxBytesPerSecond);
    const taken = Array.from({ length: 300 }, (_, i) => bench.pacer.whenFree(() => void ran.push(i))).filter((isTaken) => isTaken).length;
    expect([taken, ran, bench.pacer.isFree]).toEqual([256, [], false]);
    bench.pass(2_000);
    expect([ran, bench.pacer.isFree]).toEqual([Array.from({ length: 256 }, (_, i) => i), true]);
  });

  it('makes pieces smaller when there is less to spend', () => {
    const pacer = new Pacer({ nowMs: () => 0, after: () => ({ cancel: () => {} }), bytesPerSecondMax: 1_024 * maxBytesPerSecond });
    expect(pacer.pieceBytes).toBe(8 * KiB);
    const bench = new Bench();
    bench.pass(5_000);
    expect(bench.pacer.pieceBytes).toBe(33_554);
    bench.pass(5_000, 50);
    expect(bench.pacer.pieceBytes).toBe(8 * KiB);
  });
});
