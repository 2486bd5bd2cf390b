import { describe, expect, it } from 'vitest';
import { checkAppend } from '../../sim/checker/append.ts';
import { type History, type ListOperation, MalformedHistory } from '../../sim/checker/history.ts';
import type { AnomalyName } from '../../sim/checker/verdict.ts';
import { append, failed, list, ok, unknown } from './notation.ts';

interface Example {
  readonly what: string;
  readonly history: History<ListOperation>;
  /** All that must be said, in order. */
  readonly says: readonly string[];
}

type OfOtherCheckers = 'nonlinearizable' | 'lost-increment' | 'surplus-increment' | 'counter-decreased' | 'broken-invariant';

/** The least history of each anomaly. */
const wrong: Record<Exclude<AnomalyName, OfOtherCheckers>, Example[]> = {
  internal: [
    {
      what: 'does not see its own append',
      history: [ok(1, 0, 1, append('x', 1), list('x'))],
      says: ['internal: T1 read x=[], after it had appended [1]'],
    },
    {
      what: 'two reads of one key differ',
      history: [ok(1, 0, 9, append('x', 1)), ok(2, 0, 9, list('x'), list('x', 1))],
      says: ['internal: T2 read x=[1], after it had read x=[]'],
    },
    {
      what: 'two reads of one key differ, and are of one length',
      history: [ok(1, 0, 9, append('x', 1)), ok(2, 0, 9, append('x', 2)), ok(3, 10, 11, list('x', 1), list('x', 2))],
      says: [
        'internal: T3 read x=[2], after it had read x=[1]',
        "lost-append: T2's append of 2 to x was acknowledged, but T3, which began after that, read x=[1]",
        "G-single-realtime: T3 read x=[1] and missed T2's append of 2 (rw); T2 completed before T3 began (real time)",
      ],
    },
    {
      what: 'sees its own append before it is made',
      history: [ok(1, 0, 1, list('x', 1), append('x', 1))],
      says: ['internal: T1 read x=[1] before it appended 1'],
    },
    {
      what: 'its own append is not at the end',
      history: [ok(1, 0, 9, append('x', 1)), ok(2, 0, 9, list('x'), append('x', 2), list('x', 1, 2))],
      says: ['internal: T2 read x=[1, 2], after it had read x=[], after it had appended [2]'],
    },
  ],
  G1a: [
    {
      what: 'reads what failed',
      history: [failed(1, 0, 1, append('x', 1)), ok(2, 2, 3, list('x', 1))],
      says: ['G1a: T2 read x=[1] with the 1 of T1, which failed'],
    },
  ],
  'dirty-update': [
    {
      what: 'appends to what failed',
      history: [failed(1, 0, 1, append('x', 1)), ok(2, 2, 3, append('x', 2)), ok(3, 4, 5, list('x', 1, 2))],
      says: ['G1a: T3 read x=[1, 2] with the 1 of T1, which failed', 'dirty-update: T2 appended 2 to x after the 1 of T1, which failed'],
    },
  ],
  G1b: [
    {
      what: 'reads between two appends of one transaction',
      history: [ok(1, 0, 9, append('x', 1), append('x', 2)), ok(2, 0, 9, list('x', 1))],
      says: [
        'G1b: T2 read x=[1], but 1 was not the last that T1 appended to it',
        "G-single: T2 read x=[1] and missed T1's append of 2 (rw); T1 appended 1 to x, which T2 read as [1] (wr)",
      ],
    },
  ],
  'incompatible-order': [
    {
      what: 'two reads disagree on the order',
      history: [ok(1, 0, 1, append('x', 1)), ok(2, 0, 1, append('x', 2)), ok(3, 2, 3, list('x', 1, 2)), ok(4, 2, 3, list('x', 2, 1))],
      says: ['incompatible-order: T4 read x=[2, 1] and T3 read x=[1, 2]: neither is a prefix of the other'],
    },
    {
      what: 'a transaction’s own appends change places',
      history: [ok(1, 0, 1, append('x', 1), append('x', 2)), ok(2, 2, 3, list('x', 2, 1))],
      says: [
        'G1b: T2 read x=[2, 1], but 1 was not the last that T1 appended to it',
        'incompatible-order: T1 appended 1 and then 2 to x, which was read as [2, 1]',
      ],
    },
  ],
  'duplicate-elements': [
    {
      what: 'a retry is applied twice',
      history: [ok(1, 0, 1, append('x', 1)), ok(2, 2, 3, list('x', 1, 1))],
      says: ['duplicate-elements: T2 read x=[1, 1] with 1 twice'],
    },
  ],
  'unwritten-read': [
    { what: 'reads what nobody wrote', history: [ok(1, 0, 1, list('x', 1))], says: ['unwritten-read: T1 read x=[1], but nobody appended 1'] },
  ],
  'lost-append': [
    {
      what: 'acknowledged and never seen again',
      history: [ok(1, 0, 1, append('x', 1)), ok(2, 2, 3, append('x', 2)), ok(3, 4, 5, list('x', 2))],
      says: [
        "lost-append: T1's append of 1 to x was acknowledged, but T3, which began after that, read x=[2]",
        'G0-realtime: T1 completed before T2 began (real time); T2 appended 2 to x before T1 appended 1, which no read shows (ww)',
      ],
    },
    {
      what: 'seen once, then gone',
      history: [ok(1, 0, 5, append('x', 1)), ok(2, 2, 3, list('x', 1)), ok(3, 6, 7, list('x'))],
      says: [
        "lost-append: T1's append of 1 to x was acknowledged, but T3, which began after that, read x=[]",
        "G-single-realtime: T3 read x=[] and missed T1's append of 1 (rw); T1 completed before T3 began (real time)",
      ],
    },
  ],
  'lost-update': [
    {
      what: 'two append to the same version',
      history: [ok(1, 0, 9, list('x'), append('x', 1)), ok(2, 0, 9, list('x'), append('x', 2)), ok(3, 10, 11, list('x', 1, 2))],
      says: [
        'lost-update: T1 and T2 both read x=[] and both appended to it',
        "G-single: T2 read x=[] and missed T1's append of 1 (rw); T1 appended 1 to x before T2 appended 2 (ww)",
      ],
    },
    {
      what: 'nobody reads the key again',
      history: [ok(1, 0, 9, list('x'), append('x', 1)), ok(2, 0, 9, list('x'), append('x', 2))],
      says: [
        'lost-update: T1 and T2 both read x=[] and both appended to it',
        "G2-item: T1 read x=[] and missed T2's append of 2 (rw); T2 read x=[] and missed T1's append of 1 (rw)",
      ],
    },
  ],
  G0: [
    {
      what: 'two write two keys in different orders',
      history: [
        ok(1, 0, 9, append('x', 1), append('y', 1)), ok(2, 0, 9, append('x', 2), append('y', 2)),
        ok(3, 10, 11, list('x', 1, 2)), ok(4, 10, 11, list('y', 2, 1)),
      ],
      says: ['G0: T1 appended 1 to x before T2 appended 2 (ww); T2 appended 2 to y before T1 appended 1 (ww)'],
    },
  ],
  G1c: [
    {
      what: 'each reads the other',
      history: [ok(1, 0, 9, append('x', 1), list('y', 2)), ok(2, 0, 9, append('y', 2), list('x', 1))],
      says: ['G1c: T1 appended 1 to x, which T2 read as [1] (wr); T2 appended 2 to y, which T1 read as [2] (wr)'],
    },
  ],
  'G-single': [
    {
      what: 'sees half of a transaction',
      history: [ok(1, 0, 9, append('x', 1), append('y', 1)), ok(2, 0, 9, list('x', 1), list('y'))],
      says: ["G-single: T2 read y=[] and missed T1's append of 1 (rw); T1 appended 1 to x, which T2 read as [1] (wr)"],
    },
    {
      what: 'sees half of a transaction whose outcome is unknown',
      history: [unknown(1, 0, append('x', 1), append('y', 1)), ok(2, 0, 9, list('x', 1), list('y'))],
      says: ["G-single: T2 read y=[] and missed T1's append of 1 (rw); T1 appended 1 to x, which T2 read as [1] (wr)"],
    },
  ],
  'G2-item': [
    {
      what: 'write skew',
      history: [ok(1, 0, 9, list('x'), append('y', 1)), ok(2, 0, 9, list('y'), append('x', 2)), ok(3, 10, 11, list('x', 2), list('y', 1))],
      says: ["G2-item: T1 read x=[] and missed T2's append of 2 (rw); T2 read y=[] and missed T1's append of 1 (rw)"],
    },
    {
      what: 'write skew, and nobody reads the keys again',
      history: [ok(1, 0, 9, list('x'), append('y', 1)), ok(2, 0, 9, list('y'), append('x', 2))],
      says: ["G2-item: T1 read x=[] and missed T2's append of 2 (rw); T2 read y=[] and missed T1's append of 1 (rw)"],
    },
    {
      what: 'two readers see two appends in different orders; a shorter cycle needs real time',
      history: [
        ok(1, 0, 3, append('x', 1)), ok(2, 0, 9, append('y', 2)), ok(3, 1, 9, list('x', 1), list('y')), ok(4, 5, 9, list('x'), list('y', 2)),
      ],
      says: [
        "lost-append: T1's append of 1 to x was acknowledged, but T4, which began after that, read x=[]",
        "G2-item: T1 appended 1 to x, which T3 read as [1] (wr); T3 read y=[] and missed T2's append of 2 (rw); "
          + "T2 appended 2 to y, which T4 read as [2] (wr); T4 read x=[] and missed T1's append of 1 (rw)",
        "G-single-realtime: T1 completed before T4 began (real time); T4 read x=[] and missed T1's append of 1 (rw)",
      ],
    },
  ],
  'G0-realtime': [
    {
      what: 'appends in an order against the clock',
      history: [ok(1, 0, 1, append('x', 1)), ok(2, 2, 3, append('x', 2)), ok(3, 4, 5, list('x', 2, 1))],
      says: ['G0-realtime: T1 completed before T2 began (real time); T2 appended 2 to x before T1 appended 1 (ww)'],
    },
  ],
  'G1c-realtime': [
    {
      what: 'reads the future',
      history: [ok(1, 0, 1, list('x', 2)), ok(2, 2, 3, append('x', 2))],
      says: ['G1c-realtime: T1 completed before T2 began (real time); T2 appended 2 to x, which T1 read as [2] (wr)'],
    },
    {
      what: 'reads the future that turns out unknown',
      history: [ok(1, 0, 1, list('x', 2)), unknown(2, 2, append('x', 2))],
      says: ['G1c-realtime: T1 completed before T2 began (real time); T2 appended 2 to x, which T1 read as [2] (wr)'],
    },
  ],
  'G-single-realtime': [
    {
      what: 'a stale read',
      history: [ok(9, 0, 1, append('x', 1), append('x', 2)), ok(12, 2, 3, list('x')), ok(13, 4, 5, list('x', 1, 2))],
      says: ["G-single-realtime: T12 read x=[] and missed T9's append of 1 (rw); T9 completed before T12 began (real time)"],
    },
    {
      what: 'one read sees it, a later one does not',
      history: [unknown(1, 0, append('x', 1)), ok(2, 2, 3, list('x', 1)), ok(3, 4, 5, list('x'))],
      says: [
        "G-single-realtime: T3 read x=[] and missed T1's append of 1 (rw); T1 appended 1 to x, which T2 read as [1] (wr); "
          + 'T2 completed before T3 began (real time)',
      ],
    },
  ],
  'G2-item-realtime': [
    {
      what: 'no snapshot that is also true to the clock',
      history: [ok(1, 0, 1, append('x', 1)), ok(2, 0, 9, append('y', 2)), ok(3, 0, 9, list('x'), list('y', 2)), ok(4, 2, 3, list('y'))],
      says: [
        "G2-item-realtime: T1 completed before T4 began (real time); T4 read y=[] and missed T2's append of 2 (rw); "
          + "T2 appended 2 to y, which T3 read as [2] (wr); T3 read x=[] and missed T1's append of 1 (rw)",
      ],
    },
  ],
};

const right: Record<string, History<ListOperation>> = {
  'nothing at all': [],
  'an unknown append that is never seen': [unknown(1, 0, append('x', 1)), ok(2, 5, 6, list('x')), ok(3, 7, 8, list('x'))],
  'an unknown append that takes effect late': [unknown(1, 0, append('x', 1)), ok(2, 5, 6, list('x')), ok(3, 7, 8, list('x', 1))],
  'what an unknown transaction read, if nobody saw it': [ok(1, 0, 1, append('x', 1)), unknown(2, 2, list('x', 7), append('x', 3))],
  'an unanswered read': [unknown(1, 0, { type: 'read-list', key: 'x' }, append('x', 1)), ok(2, 5, 6, list('x', 1))],
  'a failed append that is never seen': [failed(1, 0, 1, append('x', 1)), ok(2, 5, 6, list('x'))],
  'two at the same time, in either order': [ok(1, 0, 9, append('x', 1)), ok(2, 0, 9, append('x', 2)), ok(3, 10, 11, list('x', 2, 1))],
  'completed at the instant that another begins': [ok(1, 0, 5, append('x', 1)), ok(2, 5, 6, list('x')), ok(3, 7, 8, list('x', 1))],
  'reads around its own appends': [
    ok(1, 0, 1, list('x'), append('x', 1), list('x', 1), append('x', 2), list('x', 1, 2)), ok(2, 2, 3, list('x', 1, 2)),
  ],
  'updates one after the other': [ok(1, 0, 9, list('x'), append('x', 1)), ok(2, 0, 9, list('x', 1), append('x', 2))],
  'a long transaction that takes effect in its middle': [
    ok(1, 0, 9, append('x', 1), append('y', 1)), ok(2, 1, 2, list('x'), list('y')), ok(3, 3, 4, list('y', 1)),
  ],
};

describe('append: the least history of each anomaly', () => {
  for (const [name, examples] of Object.entries(wrong)) {
    it.each(examples)(`${name}: $what`, ({ history, says }) => {
      const { outcome, anomalies, anomaliesTotal } = checkAppend(history);
      expect(anomalies.map(({ message }) => message)).toEqual(says);
      expect(anomalies.map((anomaly) => anomaly.name)).toContain(name);
      expect({ outcome, anomaliesTotal }).toEqual({ outcome: 'invalid', anomaliesTotal: says.length });
    });
  }

  it('names the transactions it speaks of', () => {
    const [anomaly] = checkAppend(wrong.G1c[0]!.history).anomalies;
    expect(anomaly?.transactions).toEqual([1, 2]);
  });

  it('tells a few of many anomalies of one name, and counts the rest', () => {
    const history = [1, 2, 3, 4, 5, 6, 7, 8].map((id) => ok(id, id * 2, id * 2 + 1, list(`k${id}`, 'ghost')));
    const { anomalies, anomaliesTotal } = checkAppend(history);
    expect({ told: anomalies.length, anomaliesTotal }).toEqual({ told: 5, anomaliesTotal: 8 });
  });

  it('shortens long lists to where they part', () => {
    const elements = Array.from({ length: 30 }, (_, element) => element);
    const appends = elements.map((element) => ok(element, element, element + 0.5, append('x', element)));
    const { anomalies } = checkAppend([...appends, ok(100, 50, 51, list('x', ...elements)), ok(101, 50, 51, list('x', ...elements.slice(0, 29)))]);
    expect(anomalies.map(({ message }) => message)).toEqual([
      "G-single-realtime: T101 read x=[(21 more), 21, 22, 23, 24, 25, 26, 27, 28] and missed T29's append of 29 (rw); "
        + 'T29 completed before T101 began (real time)',
    ]);
  });
});

describe('append: what looks odd and is right', () => {
  it.each(Object.entries(right))('%s', (_, history) => {
    expect(checkAppend(history)).toMatchObject({ outcome: 'valid', anomalies: [], anomaliesTotal: 0 });
  });

  it('counts the observations that a verdict rests on', () => {
    expect(checkAppend([ok(1, 0, 1, append('x', 1))]).observations).toBe(0);
    expect(checkAppend([ok(1, 0, 1, list('x'), list('y'))]).observations).toBe(2);
  });
});

describe('append: an unusable history', () => {
  it('refuses an element that is appended twice', () => {
    const history = [ok(1, 0, 1, append('x', 1)), failed(2, 2, 3, append('x', 1))];
    expect(() => checkAppend(history)).toThrow(new MalformedHistory('T1 and T2 both append 1 to x: elements of a key must be unique'));
    expect(() => checkAppend([ok(1, 0, 1, append('x', 1), append('x', 1))])).toThrow(MalformedHistory);
  });

  it('refuses times and ids that make no sense', () => {
    expect(() => checkAppend([ok(1, 2, 1, list('x'))])).toThrow(new MalformedHistory('T1 was invoked at 2 and completed at 1'));
    expect(() => checkAppend([ok(1, Number.NaN, 1, list('x'))])).toThrow(MalformedHistory);
    expect(() => checkAppend([ok(1, 0, 1, list('x')), ok(1, 2, 3, list('x'))])).toThrow(new MalformedHistory('T1 is there twice'));
    expect(() => checkAppend([{ ...ok(1, 0, 1, list('x')), completedAt: null }])).toThrow(new MalformedHistory('T1 is ok but never completed'));
  });
});
