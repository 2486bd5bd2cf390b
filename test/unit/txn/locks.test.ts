import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LockTable } from '../../../node/txn/locks.ts';

const keys = ['a', 'b', 'c'];

interface Footprint {
  readonly name: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

/** The table as it should be, said as plainly as possible: who holds what, and who waits for what. */
class Model {
  readonly holders = new Set<Footprint>();
  readonly waiters = new Set<{ key: string; exclusive: boolean; name: number }>();

  blocked(key: string, exclusive: boolean): boolean {
    return [...this.holders].some(({ reads, writes }) => writes.includes(key) || (exclusive && reads.includes(key)));
  }
}

const footprint = fc.record({ name: fc.constant(''), reads: fc.subarray(keys), writes: fc.subarray(keys) });
const step = fc.oneof(
  fc.record({ do: fc.constant('lock' as const), footprint }),
  fc.record({ do: fc.constant('release' as const), which: fc.nat() }),
  fc.record({ do: fc.constant('await' as const), key: fc.constantFrom(...keys), exclusive: fc.boolean() }),
);

describe('the lock table', () => {
  it('holds, shares, refuses and wakes as a plain model does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = new LockTable<Footprint>();
        const model = new Model();
        const woken: number[] = [];
        let waiterCount = 0;

        const release = (holder: Footprint): void => {
          const ready: (() => void)[] = [];
          for (const key of holder.reads) table.release(key, holder, ready);
          for (const key of holder.writes) table.release(key, holder, ready);
          model.holders.delete(holder);
          expect(woken, 'nobody runs before all keys are released').toEqual([]);
          for (const action of ready) action();
        };

        const check = (): void => {
          // Woken is exactly who waited for what is free now.
          const expected = [...model.waiters].filter(({ key, exclusive }) => !model.blocked(key, exclusive));
          expect(woken.splice(0).sort((a, b) => a - b)).toEqual(expected.map(({ name }) => name));
          for (const waiter of expected) model.waiters.delete(waiter);
          for (const key of keys) {
            for (const exclusive of [false, true]) {
              const holder = table.holderOf(key, exclusive);
              expect(holder !== null).toBe(model.blocked(key, exclusive));
              if (holder !== null) expect(model.holders.has(holder)).toBe(true);
            }
          }
          expect(table.size).toBe(keys.filter((key) => model.blocked(key, true)).length);
        };

        for (const action of steps) {
          if (action.do === 'lock') {
            const { reads, writes } = action.footprint;
            if (reads.some((key) => table.holderOf(key, false) !== null) || writes.some((key) => table.holderOf(key, true) !== null)) continue;
            const holder = { ...action.footprint };
            for (const key of reads) table.lockShared(key, holder);
            for (const key of writes) table.lockExclusive(key, holder);
            model.holders.add(holder);
          } else if (action.do === 'release') {
            const holder = [...model.holders][action.which % Math.max(1, model.holders.size)];
            if (holder !== undefined) release(holder);
          } else {
            const name = waiterCount++;
            model.waiters.add({ key: action.key, exclusive: action.exclusive, name });
            table.whenFree(action.key, action.exclusive, () => void woken.push(name), () => false);
          }
          check();
        }
        for (const holder of [...model.holders]) {
          release(holder);
          check();
        }
        expect(table.size).toBe(0);
        expect(model.waiters.size).toBe(0);
      }),
      { numRuns: 400 },
    );
  });

  it('lets who waited take a key again at once, and others wait again', () => {
    const table = new LockTable<string>();
    table.lockExclusive('a', 'first');
    const order: string[] = [];
    table.whenFree('a', true, () => {
      table.lockExclusive('a', 'second');
      order.push('second');
    }, () => false);
    table.whenFree('a', false, () => order.push(`reader, behind ${String(table.holderOf('a', false))}`), () => false);
    const ready: (() => void)[] = [];
    table.release('a', 'first', ready);
    for (const action of ready) action();
    expect(order).toEqual(['second', 'reader, behind second']);
    expect(table.holderOf('a', false)).toBe('second');
  });

  it('forgets who gave up waiting, while others still come', () => {
    const table = new LockTable<string>();
    table.lockExclusive('a', 'first');
    let now = 0;
    const patienceOf = 10;
    let asked = 0;
    const woken: number[] = [];
    for (; now < 1_000; now++) {
      const came = now;
      table.whenFree('a', false, () => woken.push(came), () => {
        asked++;
        return now >= came + patienceOf;
      });
    }
    const ready: (() => void)[] = [];
    table.release('a', 'first', ready);
    for (const action of ready) action();
    expect(woken.length).toBeLessThan(100);
    expect(woken.slice(-patienceOf)).toEqual(Array.from({ length: patienceOf }, (_, i) => now - patienceOf + i));
    expect(asked, 'and does not look at everybody each time').toBeLessThan(4_000);
  });

  it('ignores the release of what somebody else holds', () => {
    const table = new LockTable<string>();
    table.lockExclusive('a', 'first');
    table.release('a', 'stranger', []);
    table.release('b', 'stranger', []);
    expect(table.holderOf('a', false)).toBe('first');
  });
});
