import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers, KeyQueue, placeFor, type Place } from '../../../node/txn/key-queue.ts';

const keys = ['a', 'b', 'c', 'd'];

interface Guest {
  readonly place: Place;
  turns: number;
}

/** Has its turn who conflicts with nobody that came before and is still there. */
function mayGo(guest: Guest, guests: readonly Guest[]): boolean {
  const earlier = guests.slice(0, guests.indexOf(guest));
  const conflict = (mine: Place, theirs: Place): boolean =>
    mine.keys.some((key, i) => theirs.keys.some((other, j) => other === key && (mine.exclusive[i] === true || theirs.exclusive[j] === true)));
  return earlier.every((other) => !conflict(guest.place, other.place));
}

describe('the queue of keys', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('enter' as const), reads: fc.subarray(keys), writes: fc.subarray(keys) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat() }) },
  );

  it('gives turns first come, first served: readers share, nobody is skipped, forgotten or woken twice', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = new KeyQueue();
        const guests: Guest[] = [];
        const check = (): void => {
          expect(guests.map((guest) => guest.turns)).toEqual(guests.map((guest) => (mayGo(guest, guests) ? 1 : 0)));
          if (guests.length > 0) expect(guests[0]?.turns, 'the first of all always has its turn').toBe(1);
        };
        for (const action of steps) {
          if (action.do === 'enter') {
            const guest: Guest = { turns: 0, place: placeFor(action.reads, action.writes, () => void guest.turns++) };
            guests.push(guest);
            queue.enter(guest.place);
          } else if (guests.length > 0) {
            const [guest] = guests.splice(action.which % guests.length, 1);
            queue.leave((guest as Guest).place);
            queue.leave((guest as Guest).place);
          }
          check();
        }
      }),
      { numRuns: 400 },
    );
  });

  it('may be long though each leaves within its own turn', () => {
    const queue = new KeyQueue();
    let served = 0;
    const gate = placeFor([], ['a'], () => {});
    queue.enter(gate);
    for (let i = 0; i < 20_000; i++) {
      const place = placeFor([], ['a'], () => {
        served++;
        queue.leave(place);
      });
      queue.enter(place);
    }
    queue.leave(gate);
    expect(served).toBe(20_000);
  });

  it('serves all when each leaves within its own turn', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.subarray(keys), fc.subarray(keys)), { minLength: 1, maxLength: 40 }), (footprints) => {
        const queue = new KeyQueue();
        const served: number[] = [];
        // A first place holds all keys until everybody stands in line.
        const gate = placeFor([], keys, () => {});
        queue.enter(gate);
        footprints.forEach(([reads, writes], i) => {
          const place = placeFor(reads, writes, () => {
            served.push(i);
            queue.leave(place);
          });
          queue.enter(place);
        });
        queue.leave(gate);
        expect([...served].sort((a, b) => a - b)).toEqual(footprints.map((_, i) => i));
      }),
      { numRuns: 300 },
    );
  });

  it('takes in who comes while turns are given', () => {
    const queue = new KeyQueue();
    const order: string[] = [];
    const late = placeFor([], ['a'], () => order.push('late'));
    const second = placeFor([], ['a'], () => {
      order.push('second');
      queue.enter(late);
      queue.leave(second);
    });
    const first = placeFor([], ['a'], () => order.push('first'));
    queue.enter(first);
    queue.enter(second);
    queue.leave(first);
    expect(order).toEqual(['first', 'second', 'late']);
  });

  it('lets a turn be used by another than who stood in line for it', () => {
    const queue = new KeyQueue();
    const order: string[] = [];
    const held = placeFor([], ['a'], () => order.push('held'));
    queue.enter(held);
    held.onTurn = () => order.push('taken over');
    held.onTurn();
    const behind = placeFor(['a'], [], () => order.push('behind'));
    queue.enter(behind);
    queue.leave(held);
    expect(order).toEqual(['held', 'taken over', 'behind']);
  });
});

describe('places', () => {
  it('name each key once; what is read and written is exclusive', () => {
    const { keys: named, exclusive } = placeFor(['a', 'b', 'a'], ['b', 'c'], () => {});
    expect(Object.fromEntries(named.map((key, i) => [key, exclusive[i]]))).toEqual({ a: false, b: true, c: true });
    expect(named).toHaveLength(3);
  });

  it('cover what needs no more than they hold', () => {
    const place = (reads: string[], writes: string[]): Place => placeFor(reads, writes, () => {});
    expect(covers(place(['a'], ['b']), place(['a'], ['b']))).toBe(true);
    expect(covers(place(['a'], ['b']), place(['b'], []))).toBe(true);
    expect(covers(place(['a'], ['b']), place([], ['a']))).toBe(false);
    expect(covers(place(['a'], ['b']), place(['c'], []))).toBe(false);
    expect(covers(place([], []), place([], []))).toBe(true);
  });
});
