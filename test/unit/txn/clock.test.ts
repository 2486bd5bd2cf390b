import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareBallots, noBallot, type Ballot } from '../../../node/txn/ballot.ts';
import { HybridClock } from '../../../node/txn/clock.ts';

const epochMs = 1_735_689_600_000;

class Wall {
  ms = epochMs + 1_000_000;
  readonly monotonicMs = (): number => 0;
  readonly wallMs = (): number => this.ms;
}

describe('the hybrid clock', () => {
  it('always goes on, however the wall clock jumps and whatever it is told', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('next' as const) }),
      fc.record({ do: fc.constant('jump' as const), ms: fc.double({ min: -1e7, max: 1e7, noNaN: true }) }),
      fc.record({ do: fc.constant('observe' as const), timestamp: fc.nat(2 ** 45) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const wall = new Wall();
        const clock = new HybridClock(wall);
        let highest = 0;
        for (const action of steps) {
          if (action.do === 'jump') wall.ms += action.ms;
          else if (action.do === 'observe') {
            clock.observe(action.timestamp);
            highest = Math.max(highest, action.timestamp);
          } else {
            const timestamp = clock.next();
            expect(timestamp).toBeGreaterThan(highest);
            expect(Number.isSafeInteger(timestamp)).toBe(true);
            highest = timestamp;
          }
          expect(clock.last).toBeGreaterThanOrEqual(highest);
        }
      }),
    );
  });

  it('follows a wall clock that goes forward, to the millisecond', () => {
    const wall = new Wall();
    const clock = new HybridClock(wall);
    const first = clock.next();
    wall.ms += 10;
    expect(clock.next() - first).toBe(10 * 4_096);
    wall.ms += 0.4;
    expect(clock.next() - first).toBe(10 * 4_096 + 1);
  });

  it('counts on while the wall clock is behind, and follows it again when it has caught up', () => {
    const wall = new Wall();
    const clock = new HybridClock(wall);
    const before = clock.next();
    wall.ms -= 3_600_000;
    expect([clock.next(), clock.next()]).toEqual([before + 1, before + 2]);
    wall.ms += 3_600_001;
    expect(clock.next()).toBe(before + 4_096);
  });

  it('believes a client no further than clocks may differ, however often it is told', () => {
    const clock = new HybridClock(new Wall());
    const first = clock.next();
    clock.observeClaim(first + 50_000 * 4_096);
    expect(clock.next()).toBe(first + 50_000 * 4_096 + 1);
    for (let i = 0; i < 100; i++) clock.observeClaim(clock.last + 50_000 * 4_096);
    for (const madeUp of [first + 61_000 * 4_096, Number.MAX_SAFE_INTEGER]) clock.observeClaim(madeUp);
    expect(clock.next()).toBe(first + 50_000 * 4_096 + 2);
  });

  it('takes no notice of what is past', () => {
    const clock = new HybridClock(new Wall());
    const last = clock.next();
    clock.observe(last - 1);
    expect(clock.next()).toBe(last + 1);
  });
});

describe('ballots', () => {
  const ballot = fc.record({ round: fc.nat(3), proposer: fc.constantFrom('', 'n1', 'n10', 'n2') });

  it('are in one total order, by round and then by proposer', () => {
    fc.assert(
      fc.property(ballot, ballot, ballot, (a: Ballot, b: Ballot, c: Ballot) => {
        expect(Math.sign(compareBallots(a, b))).toBe(0 - Math.sign(compareBallots(b, a)));
        expect(compareBallots(a, b) === 0).toBe(a.round === b.round && a.proposer === b.proposer);
        if (compareBallots(a, b) <= 0 && compareBallots(b, c) <= 0) expect(compareBallots(a, c)).toBeLessThanOrEqual(0);
        if (a.round < b.round) expect(compareBallots(a, b)).toBeLessThan(0);
      }),
    );
  });

  it('are all above none', () => {
    expect(compareBallots(noBallot, { round: 0, proposer: 'n1' })).toBeLessThan(0);
    expect(compareBallots(noBallot, { round: 1, proposer: '' })).toBeLessThan(0);
  });
});
