import { describe, expect, it } from 'vitest';
import { Pacer } from '../../../node/heal/pacer.ts';

const KiB = 1_024;
const maxBytesPerSecond = 8_192 * KiB;

class Bench {
  nowMs = 0;
  readonly pacer = new Pacer({ nowMs: () => this.nowMs, bytesPerSecondMax: maxBytesPerSecond });
  spent = 0;

  /** Lets time pass in ticks, with a vote in each that took so long; null: there is no foreground work. */
  pass(ms: number, delayMs: number | null = null): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.nowMs += 50;
      if (delayMs !== null) this.pacer.felt(delayMs);
      this.pacer.tick();
    }
  }

  /** Work without end, in pieces. */
  work(pieceBytes = 64 * KiB): void {
    this.pacer.whenFree(() => {
      this.pacer.spent(pieceBytes);
      this.spent += pieceBytes;
      this.work(pieceBytes);
    });
  }
}

describe('the pacer', () => {
  it('keeps to its maximum, whatever the pieces', () => {
    for (const pieceBytes of [1_000, 64 * KiB, 600 * KiB]) {
      const bench = new Bench();
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

  it('yields when foreground work gets slower, and never stops', () => {
    const bench = new Bench();
    bench.pass(5_000, 1);
    expect(bench.pacer.bytesPerSecond).toBe(maxBytesPerSecond);
    bench.pass(1_000, 8);
    expect(bench.pacer.bytesPerSecond).toBeLessThan(0.1 * maxBytesPerSecond);
    bench.pass(5_000, 8);
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
    expect(bench.pacer.bytesPerSecond).toBeGreaterThan(0.2 * maxBytesPerSecond);
    expect(bench.pacer.bytesPerSecond).toBeLessThan(0.6 * maxBytesPerSecond);
    bench.pass(5_000, 1);
    expect(bench.pacer.bytesPerSecond).toBe(maxBytesPerSecond);
    bench.pass(3_000, 20);
    bench.pass(700);
    expect(bench.pacer.bytesPerSecond).toBe(maxBytesPerSecond);
  });

  it('takes for normal what work has taken for a minute, and the noise of a disk for nothing', () => {
    const bench = new Bench();
    bench.pass(5_000, 1);
    bench.pass(5_000, 2.5);
    expect(bench.pacer.bytesPerSecond).toBe(maxBytesPerSecond);
    bench.pass(10_000, 30);
    expect(bench.pacer.bytesPerSecond).toBe(256 * KiB);
    bench.pass(70_000, 30);
    expect(bench.pacer.bytesPerSecond).toBe(maxBytesPerSecond);
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
    const bench = new Bench();
    expect(bench.pacer.pieceBytes).toBe(128 * KiB);
    bench.pass(1_000, 1);
    bench.pass(5_000, 50);
    expect(bench.pacer.pieceBytes).toBe(16 * KiB);
  });
});
