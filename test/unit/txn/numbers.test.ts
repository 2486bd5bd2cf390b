import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Numbers } from '../../../node/txn/numbers.ts';

describe('the numbers of transactions', () => {
  it('are never granted twice, used twice, or used below the watermark that was told', () => {
    const step = fc.oneof(
      { weight: 1, arbitrary: fc.record({ do: fc.constant('grant' as const), who: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), who: fc.nat(3) }) },
      { weight: 8, arbitrary: fc.record({ do: fc.constant('take' as const), who: fc.nat(3), skip: fc.nat(400) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('takeAny' as const), who: fc.nat(3), number: fc.nat(5_000) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const numbers = new Numbers<number>();
        const granted = new Map<number, { from: number; to: number }[]>();
        const used = new Set<number>();
        let highestGranted = 0;
        let watermark = 0;
        const take = (who: number, number: number): void => {
          const ranges = granted.get(who) ?? [];
          const range = ranges.find(({ from, to }) => number >= from && number < to);
          const taken = numbers.take(who, number);
          expect(taken).toBe(range !== undefined);
          if (range === undefined) return;
          expect(used.has(number)).toBe(false);
          expect(number).toBeGreaterThanOrEqual(watermark);
          used.add(number);
          range.from = number + 1;
          // What was granted before is done with.
          granted.set(who, ranges.slice(ranges.indexOf(range)));
        };
        for (const action of steps) {
          if (action.do === 'grant') {
            const { first, count } = numbers.grant(action.who);
            expect(first).toBeGreaterThan(highestGranted);
            highestGranted = first + count - 1;
            granted.set(action.who, [...(granted.get(action.who) ?? []), { from: first, to: first + count }]);
          } else if (action.do === 'revoke') {
            numbers.revoke(action.who);
            granted.delete(action.who);
          } else if (action.do === 'take') take(action.who, (granted.get(action.who)?.[0]?.from ?? 0) + action.skip);
          else take(action.who, action.number);
          expect(numbers.lowestUnused).toBeGreaterThanOrEqual(watermark);
          watermark = numbers.lowestUnused;
          const open = [...granted.values()].flat().filter(({ from, to }) => from < to).map(({ from }) => from);
          expect(watermark).toBe(Math.min(highestGranted + 1, ...open));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('are wanted anew before they run out', () => {
    const numbers = new Numbers<string>();
    expect(numbers.wants('a')).toBe(false);
    const { first, count } = numbers.grant('a');
    for (let i = 0; i < count / 2; i++) {
      expect(numbers.wants('a')).toBe(false);
      numbers.take('a', first + i);
    }
    numbers.take('a', first + count / 2);
    expect(numbers.wants('a')).toBe(true);
  });

  it('that were drawn before more were granted count until one of those comes', () => {
    const numbers = new Numbers<string>();
    const { first, count } = numbers.grant('a');
    for (let i = 0; i < count / 2 + 1; i++) expect(numbers.take('a', first + i)).toBe(true);
    const more = numbers.grant('a');
    expect([numbers.wants('a'), numbers.take('a', first + count / 2 + 1), numbers.take('a', first + count - 2)]).toEqual([false, true, true]);
    expect([numbers.lowestUnused, numbers.take('a', more.first), numbers.take('a', first + count - 1)]).toEqual([first + count - 1, true, false]);
    expect(numbers.lowestUnused).toBe(more.first + 1);
  });

  it('are taken from who holds the watermark back, be it idle or slow, while the others work', () => {
    const numbers = new Numbers<string>();
    const idle = numbers.grant('idle');
    const slow = numbers.grant('slow');
    let busy = numbers.grant('busy');
    let next = busy.first;
    let used = 0;
    let lagging: string[] = [];
    for (; lagging.length === 0; lagging = numbers.revokeLagging()) {
      expect(numbers.take('busy', next++)).toBe(true);
      if (++used % 1_000 === 0) numbers.take('slow', slow.first + used / 1_000);
      if (numbers.wants('busy')) {
        busy = numbers.grant('busy');
        next = busy.first;
      }
      expect(used, 'remembered because of the idle one').toBeLessThan(20_000);
    }
    expect(lagging).toEqual(['idle', 'slow']);
    expect([numbers.take('idle', idle.first), numbers.take('slow', slow.first + 1_000)]).toEqual([false, false]);
    numbers.grant('idle');
    numbers.grant('slow');
    expect(numbers.revokeLagging()).toEqual([]);
    expect(numbers.lowestUnused).toBeGreaterThanOrEqual(busy.first);
  });

  it('are left to many sessions that just came', () => {
    const numbers = new Numbers<number>();
    for (let session = 0; session < 1_000; session++) numbers.grant(session);
    expect(numbers.revokeLagging()).toEqual([]);
  });
});
