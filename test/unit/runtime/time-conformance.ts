import { expect, it } from 'vitest';
import type { Current } from './conformance.ts';

export function timeConformance(bench: Current): void {
  it('has a monotonic clock that goes on and never back', async () => {
    const { clock, after } = door();
    const readings: number[] = [];
    const read = (): void => {
      readings.push(clock.monotonicMs());
      if (readings.length < 20) after(1, read);
    };
    read();
    await bench().until(() => readings.length === 20);
    expect(readings).toEqual([...readings].sort((a, b) => a - b));
    expect(readings.at(-1)! - readings[0]!).toBeGreaterThanOrEqual(19);
  });

  it('shows a wall time of this century in whole milliseconds', () => {
    const { clock } = door();
    expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2020));
    expect(Number.isInteger(clock.wallMs())).toBe(true);
  });

  it('never fires a timer early', async () => {
    const { clock, after } = door();
    const early: number[] = [];
    let fired = 0;
    for (const delayMs of [0, 0.3, 1, 1.7, 5, 12.5, 20]) {
      const startedMs = clock.monotonicMs();
      after(delayMs, () => {
        fired++;
        if (clock.monotonicMs() - startedMs < delayMs) early.push(delayMs);
      });
    }
    await bench().until(() => fired === 7);
    expect(early).toEqual([]);
  });

  it('fires timers in the order of their times', async () => {
    const { after } = door();
    const fired: number[] = [];
    for (const delayMs of [30, 10, 40, 20]) after(delayMs, () => fired.push(delayMs));
    await bench().until(() => fired.length === 4);
    expect(fired).toEqual([10, 20, 30, 40]);
  });

  it('takes a delay below zero as zero, and none that is not a number or too long', async () => {
    const { after } = door();
    let fired = false;
    after(-5, () => {
      fired = true;
    });
    expect(fired).toBe(false);
    await bench().until(() => fired);
    expect(() => after(NaN, () => {})).toThrow(RangeError);
    expect(() => after(2 ** 31, () => {})).toThrow(RangeError);
  });

  it('does not fire a cancelled timer', async () => {
    const { after } = door();
    const fired: string[] = [];
    const cancelled = after(5, () => fired.push('cancelled'));
    cancelled.cancel();
    cancelled.cancel();
    const second = after(30, () => fired.push('cancelled by another'));
    const first = after(10, () => {
      fired.push('first');
      second.cancel();
    });
    after(60, () => fired.push('last'));
    await bench().until(() => fired.includes('last'));
    first.cancel();
    expect(fired).toEqual(['first', 'last']);
  });

  it('runs what is deferred later, in order, and before timers of later times', async () => {
    const { after, defer } = door();
    const done: string[] = [];
    after(20, () => done.push('timer'));
    defer(() => {
      done.push('first');
      defer(() => done.push('third'));
    });
    defer(() => done.push('second'));
    expect(done).toEqual([]);
    await bench().until(() => done.length === 4);
    expect(done).toEqual(['first', 'second', 'third', 'timer']);
  });

  it('draws 32-bit integers of all sizes', () => {
    const { randomUint32 } = door();
    const draws = Array.from({ length: 4_000 }, () => randomUint32());
    expect(draws.every((draw) => Number.isInteger(draw) && draw >= 0 && draw < 2 ** 32)).toBe(true);
    const eighths = new Array<number>(8).fill(0);
    for (const draw of draws) eighths[Math.floor(draw / 2 ** 29)]!++;
    // 500 are expected in each; a fair generator strays by more than 150 less often than once in 10^11.
    expect(Math.min(...eighths)).toBeGreaterThan(350);
  });

  function door(): Pick<ReturnType<ReturnType<Current>['start']>, 'clock' | 'after' | 'defer' | 'randomUint32'> {
    const runtime = bench().start('a');
    return {
      clock: runtime.clock,
      after: (delayMs, action) => runtime.after(delayMs, action),
      defer: (action) => runtime.defer(action),
      randomUint32: () => runtime.randomUint32(),
    };
  }
}
