import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers, KeyQueue, lookedAtMax, passedMax, placeFor, type Place } from '../../../node/txn/key-queue.ts';

const keys = ['a', 'b', 'c', 'd'];

interface Guest {
  readonly place: Place;
  turns: number;
  /** Those who came later, conflict, and had their turn before. */
  readonly passedBy: Set<Guest>;
}

function conflict(mine: Place, theirs: Place): boolean {
  return mine.keys.some((key, i) => theirs.keys.some((other, j) => other === key && (mine.exclusive[i] === true || theirs.exclusive[j] === true)));
}

describe('the queue of keys', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('enter' as const), reads: fc.subarray(keys), writes: fc.subarray(keys) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat() }) },
  );

  it('gives turns to whoever conflicts with nobody that has one: nobody is forgotten, woken twice, or passed too often', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const queue = new KeyQueue();
        const guests: Guest[] = [];
        const check = (): void => {
          const [going, waiting] = [guests.filter(({ turns }) => turns > 0), guests.filter(({ turns }) => turns === 0)];
          for (const one of going) {
            expect(one.turns).toBe(1);
            for (const other of going) expect(one === other || !conflict(one.place, other.place)).toBe(true);
          }
          for (const guest of waiting) {
            expect(guest.passedBy.size).toBeLessThanOrEqual(passedMax);
            const earlier = waiting.slice(0, waiting.indexOf(guest));
            const out = earlier.some((other) => other.passedBy.size > 0 && conflict(guest.place, other.place));
            expect(out || going.some((other) => conflict(guest.place, other.place)), 'it waits for somebody').toBe(true);
          }
          const [first] = waiting;
          if (first !== undefined) expect(going.some((other) => conflict(first.place, other.place)), 'the first waits for nobody that waits').toBe(true);
        };
        const takesTurn = (guest: Guest): void => {
          guest.turns++;
          for (const other of guests.slice(0, guests.indexOf(guest))) if (other.turns === 0 && conflict(guest.place, other.place)) other.passedBy.add(guest);
        };
        for (const action of steps) {
          if (action.do === 'enter') {
            const guest: Guest = { turns: 0, passedBy: new Set(), place: placeFor(action.reads, action.writes, () => takesTurn(guest)) };
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

  it('is first come, first served at one key', () => {
    const queue = new KeyQueue();
    const order: number[] = [];
    const places = Array.from({ length: 3 * lookedAtMax }, (_, i) => placeFor([], ['a'], () => order.push(i)));
    places.forEach((place) => queue.enter(place));
    places.forEach((place) => queue.leave(place));
    expect(order).toEqual(places.map((_, i) => i));
  });

  it('lets those pass one who waits for another key, but not for ever', () => {
    const queue = new KeyQueue();
    const order: string[] = [];
    const other = placeFor([], ['b'], () => {});
    queue.enter(other);
    expect(queue.enter(placeFor([], ['a', 'b'], () => order.push('both')))).toBe('b');
    for (let i = 1; i <= passedMax; i++) {
      const place = placeFor(i % 2 === 0 ? ['a'] : [], i % 2 === 0 ? [] : ['a'], () => order.push(`passer ${i}`));
      expect(queue.enter(place)).toBeNull();
      queue.leave(place);
    }
    expect(order).toHaveLength(passedMax);
    expect(queue.enter(placeFor([], ['a'], () => order.push('one too many')))).toBe('a');
    expect(queue.enter(placeFor([], ['c'], () => order.push('apart')))).toBeNull();
    queue.leave(other);
    expect(order.slice(passedMax)).toEqual(['apart', 'both']);
  });

  it('lets go on who was held up by one that gave up', () => {
    const queue = new KeyQueue();
    const order: string[] = [];
    queue.enter(placeFor([], ['b'], () => {}));
    const both = placeFor([], ['a', 'b'], () => order.push('both'));
    queue.enter(both);
    for (let i = 0; i < passedMax; i++) {
      const place = placeFor([], ['a'], () => {});
      queue.enter(place);
      queue.leave(place);
    }
    queue.enter(placeFor([], ['a'], () => order.push('held up')));
    expect(order).toEqual([]);
    queue.leave(both);
    expect(order).toEqual(['held up']);
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
