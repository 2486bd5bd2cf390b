import { describe, expect, it } from 'vitest';
import { type History, MalformedHistory, type ReadRegister, type WriteRegister } from '../../sim/checker/history.ts';
import { checkSerializable } from '../../sim/checker/serializable.ts';
import { isStrictlySerializable } from './brute-force.ts';
import { anyTransferHistory, transferHistory, type Shape } from './generate.ts';
import { failed, get, ok, set, unknown } from './notation.ts';

type Registers = History<ReadRegister | WriteRegister>;

const wrong: readonly { what: string; history: Registers; says: readonly string[] }[] = [
  {
    what: 'two replace the same version',
    history: [ok(1, 0, 9, get('x', null), set('x', 1)), ok(2, 0, 9, get('x', null), set('x', 2))],
    says: [
      'lost-update: T1 and T2 both read x=absent and both replaced it',
      "G2-item: T1 read x=absent and missed T2's write of 2 (rw); T2 read x=absent and missed T1's write of 1 (rw)",
    ],
  },
  {
    what: 'write skew',
    history: [ok(1, 0, 9, get('x', null), get('y', null), set('x', 1)), ok(2, 0, 9, get('x', null), get('y', null), set('y', 2))],
    says: ["G2-item: T1 read y=absent and missed T2's write of 2 (rw); T2 read x=absent and missed T1's write of 1 (rw)"],
  },
  {
    what: 'a stale read',
    history: [ok(1, 0, 1, get('x', null), set('x', 1)), ok(2, 2, 3, get('x', null))],
    says: ["G-single-realtime: T2 read x=absent and missed T1's write of 1 (rw); T1 completed before T2 began (real time)"],
  },
  {
    what: 'a blind write is missed',
    history: [ok(1, 0, 1, set('x', 1)), ok(2, 2, 3, get('x', null))],
    says: ["G-single-realtime: T2 read x=absent and missed T1's write of 1 (rw); T1 completed before T2 began (real time)"],
  },
  {
    what: 'a blind write is missed by who read what came before it',
    history: [ok(1, 0, 1, get('x', null), set('x', 1)), ok(2, 2, 3, get('x', 1), set('x', 2)), ok(3, 4, 5, set('x', 3)), ok(4, 6, 7, get('x', 2))],
    says: ["G-single-realtime: T4 read x=2 and missed T3's write of 3 (rw); T3 completed before T4 began (real time)"],
  },
  {
    what: 'half of a transaction',
    history: [unknown(1, 0, set('x', 1), set('y', 1)), ok(2, 2, 3, get('x', 1), get('y', null))],
    says: ["G-single: T2 read y=absent and missed T1's write of 1 (rw); T1 wrote x=1, which T2 read (wr)"],
  },
  {
    what: 'each reads the other',
    history: [ok(1, 0, 9, set('x', 1), get('y', 2)), ok(2, 0, 9, set('y', 2), get('x', 1))],
    says: ['G1c: T1 wrote x=1, which T2 read (wr); T2 wrote y=2, which T1 read (wr)'],
  },
  { what: 'what failed', history: [failed(1, 0, 1, set('x', 1)), ok(2, 2, 3, get('x', 1))], says: ['G1a: T2 read x=1 of T1, which failed'] },
  {
    what: 'what was soon replaced',
    history: [ok(1, 0, 9, set('x', 1), set('x', 2)), ok(2, 2, 3, get('x', 1))],
    says: ['G1b: T2 read x=1, which was not the last that T1 wrote to it'],
  },
  { what: 'what nobody wrote', history: [ok(1, 0, 1, get('x', 1))], says: ['unwritten-read: T1 read x=1, which nobody wrote'] },
  { what: 'not its own write', history: [ok(1, 0, 1, set('x', 1), get('x', null))], says: ['internal: T1 read x=absent where it must see 1'] },
  { what: 'its own write too early', history: [ok(1, 0, 1, get('x', 1), set('x', 1))], says: ['internal: T1 read x=1 before it wrote that itself'] },
];

describe('register transactions', () => {
  it.each(wrong)('wrong: $what', ({ history, says }) => {
    const { outcome, anomalies } = checkSerializable(history);
    expect({ outcome, says: anomalies.map(({ message }) => message) }).toEqual({ outcome: 'invalid', says });
  });

  it('starts from the initial values given', () => {
    const history = [ok(1, 0, 1, get('x', 'first'), set('x', 1)), ok(2, 2, 3, get('x', 1))];
    expect(checkSerializable(history, new Map([['x', 'first']])).outcome).toBe('valid');
    expect(checkSerializable(history).anomalies.map(({ name }) => name)).toEqual(['unwritten-read']);
  });

  it('refuses values that do not tell who wrote them', () => {
    const refused: Registers[] = [[ok(1, 0, 1, set('x', 1)), ok(2, 0, 1, set('x', 1))], [ok(1, 0, 1, set('x', null))], [ok(1, 0, 1, set('y', 0))]];
    for (const history of refused) expect(() => checkSerializable(history, new Map([['y', 0]]))).toThrow(MalformedHistory);
  });

  it('finds nothing wrong in valid histories', () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const shape: Shape = { seed, count: 80, processes: 1 + (seed % 7), keys: 4, unknownChance: (seed % 3) * 0.1 };
      const { outcome, anomalies } = checkSerializable(transferHistory(shape, (seed % 2) * 0.3));
      expect({ outcome, anomalies }, `seed ${seed}`).toEqual({ outcome: 'valid', anomalies: [] });
    }
  });

  it('never objects to a small history for which a search finds an order; and finds all that is wrong where each write replaces what it read', () => {
    const judged = { valid: 0, invalid: 0, undecided: 0 };
    for (let seed = 0; seed < 5_000; seed += 1) {
      const history = anyTransferHistory(seed);
      const { outcome } = checkSerializable(history);
      judged[outcome] += 1;
      if (isStrictlySerializable(history)) expect(outcome, `seed ${seed}`).toBe('valid');
      else if (!history.some(writesBlindly)) expect(outcome, `seed ${seed}`).toBe('invalid');
    }
    expect(Math.min(judged.valid, judged.invalid)).toBeGreaterThan(1_000);
  });

  it('judges 10,000 transactions of 30 processes', () => {
    const history = transferHistory({ seed: 1, count: 10_000, processes: 30, keys: 100, unknownChance: 0.05 }, 0.1);
    const startedAt = performance.now();
    const { outcome, observations } = checkSerializable(history);
    console.log(`register transactions: ${observations} reads judged in ${Math.round(performance.now() - startedAt)} ms`);
    expect(outcome).toBe('valid');
  });
});

function writesBlindly({ operations }: Registers[number]): boolean {
  const touched = new Set<string>();
  return operations.some(({ type, key }) => {
    const isBlind = type === 'write' && !touched.has(key);
    touched.add(key);
    return isBlind;
  });
}
