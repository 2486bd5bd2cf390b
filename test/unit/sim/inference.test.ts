/** What a recoverer or a coordinator may make of what it was told. */
import { describe, expect, it } from 'vitest';
import { ABORT } from '../../../client/wire/messages.ts';
import { isAccepted, mayDecideAlone, mayProposeCommit, mayRecover, type OwnWord, type Promised, type Terms } from '../../sim/inference.ts';

const home = ['n1', 'n2', 'n3'];
const other = ['n3', 'n4', 'n5'];
const terms = (protocol: Terms['protocol'], groups = [home]): Terms => ({ protocol, coordinator: 'n1', groups });
const says = (node: string, vote: number, round = -1, decision: number | null = null): Promised => ({ node, vote, accepted: round < 0 ? null : { round, proposer: 'n1', decision } });
const own = (node: string, vote: number | null, rest: Partial<OwnWord> = {}): OwnWord => ({ node, vote, offers: [], accepted: null, ...rest });
const ballot = (round: number, decision: number | null): OwnWord['offers'][number] => ({ round, proposer: 'n1', decision });

describe('a recoverer may propose', () => {
  it.each<[string, Terms, number, Promised[], OwnWord | null]>([
    ['a commit at the largest of the OK votes', terms('dtp'), 7, [says('n1', 5), says('n2', 7)], null],
    ['a commit at its own vote, if that is the largest', terms('dtp'), 9, [says('n2', 7)], own('n3', 9)],
    ['a commit above what it was told, if nobody knows how it voted itself', terms('dtp'), 9, [says('n2', 7)], own('n3', null)],
    ['an abort where a majority is not OK', terms('dtp'), ABORT, [says('n1', 5), says('n2', 0)], null],
    ['an abort where one group is not OK', terms('dtp', [home, other]), ABORT, [says('n1', 5), says('n3', 5), says('n4', 0)], null],
    ['what was accepted, whatever the votes', terms('dtp'), ABORT, [says('n1', 5), says('n2', 5, 0, ABORT)], null],
    ['what was accepted in the highest ballot', terms('dtp'), 6, [says('n1', 5, 0, ABORT), says('n2', 0, 2, 6)], null],
    ['what it has accepted itself in a higher one', terms('dtp'), ABORT, [says('n2', 5, 1, 5)], own('n3', 5, { offers: [ballot(2, ABORT)], accepted: { round: 2, proposer: 'n1' } })],
    ['what it may have accepted, though nobody knows', terms('dtp'), ABORT, [says('n2', 5)], own('n3', 5, { offers: [ballot(0, null)] })],
    ['what followed before it was told more', terms('dtp'), 5, [says('n1', 5), says('n2', 5), says('n3', 6)], null],
    ['an abort of 3PC, when nobody was pre-committed', terms('3pc'), ABORT, [says('n1', 5), says('n2', 5)], null],
    ['an abort of 2PC, when its coordinator knows nothing', terms('2pc'), ABORT, [says('n1', 5), says('n2', 5)], null],
    ['an abort of 2PC, when no majority ever voted', terms('2pc'), ABORT, [says('n3', 0), says('n2', 0)], null],
    ['that, too, when somebody else has come to it before', terms('2pc'), ABORT, [says('n3', 0), says('n2', 0, 1, ABORT)], null],
  ])('%s', (_what, of, decision, told, mine) => {
    expect(mayRecover(of, decision, told, mine)).toBe(true);
  });
});

describe('a recoverer may not propose', () => {
  it.each<[string, Terms, number, Promised[], OwnWord | null]>([
    ['a commit at a lesser timestamp', terms('dtp'), 5, [says('n1', 5), says('n2', 7)], null],
    ['a commit below its own vote', terms('dtp'), 7, [says('n2', 7)], own('n3', 9)],
    ['a commit below what it was told, however it voted itself', terms('dtp'), 6, [says('n2', 7)], own('n3', null)],
    ['a commit at a timestamp of its own, being no replica', terms('dtp'), 9, [says('n1', 5), says('n2', 7)], null],
    ['an abort where all are OK', terms('dtp'), ABORT, [says('n1', 5), says('n2', 5)], null],
    ['a commit that one group has refused', terms('dtp', [home, other]), 5, [says('n1', 5), says('n3', 5), says('n4', 0)], null],
    ['anything on the word of the home group alone', terms('dtp', [home, other]), 5, [says('n1', 5), says('n2', 5)], null],
    ['anything on the word of one', terms('dtp'), 5, [says('n1', 5)], null],
    ['what was accepted in a lower ballot', terms('dtp'), ABORT, [says('n1', 5, 0, ABORT), says('n2', 0, 2, 6)], null],
    ['what was accepted below what it has accepted itself', terms('dtp'), 5, [says('n2', 5, 1, 5)], own('n3', 5, { offers: [ballot(2, ABORT)], accepted: { round: 2, proposer: 'n1' } })],
    ['what the votes say against what was accepted', terms('dtp'), 5, [says('n1', 5), says('n2', 5, 0, ABORT)], null],
    ['a commit of 3PC that nobody was pre-committed to', terms('3pc'), 5, [says('n1', 5), says('n2', 5)], null],
    ['anything of 2PC without its coordinator', terms('2pc'), ABORT, [says('n2', 5), says('n3', 0)], null],
  ])('%s', (_what, of, decision, told, mine) => {
    expect(mayRecover(of, decision, told, mine)).toBe(false);
  });
});

const votes = (told: Record<string, number>): Map<string, number> => new Map(Object.entries(told));

describe('a coordinator', () => {
  it('proposes a commit that a majority of each group has voted for, at the largest timestamp that counts', () => {
    expect(mayProposeCommit(terms('dtp'), 7, votes({ n2: 7, n3: 0 }))).toBe(true);
    expect(mayProposeCommit(terms('dtp'), 6, votes({ n2: 7, n3: 0 }))).toBe(false);
    expect(mayProposeCommit(terms('dtp'), 7, votes({ n2: 0, n3: 0 }))).toBe(false);
    expect(mayProposeCommit(terms('dtp', [home, other]), 7, votes({ n2: 7, n3: 5 }))).toBe(false);
    expect(mayProposeCommit(terms('dtp', [home, other]), 7, votes({ n3: 7, n5: 5 }))).toBe(true);
    // It is none of these itself.
    expect(mayProposeCommit(terms('dtp', [other]), 6, votes({ n3: 5, n5: 4 }))).toBe(false);
    expect(mayProposeCommit(terms('dtp', [other]), 5, votes({ n3: 5, n5: 4 }))).toBe(true);
  });

  it('commits at once under DTP what all others have voted for at that timestamp', () => {
    expect(mayDecideAlone(terms('dtp'), 7, votes({ n2: 7, n3: 7 }), null)).toBe(true);
    expect(mayDecideAlone(terms('dtp'), 7, votes({ n2: 7, n3: 6 }), null)).toBe(false);
    expect(mayDecideAlone(terms('dtp'), 7, votes({ n2: 7 }), null)).toBe(false);
    expect(mayDecideAlone(terms('dtp'), 7, votes({ n2: 7, n3: 7 }), 7), 'late votes for what it has proposed').toBe(true);
    expect(mayDecideAlone(terms('dtp'), 7, votes({ n2: 7, n3: 7 }), ABORT)).toBe(false);
  });

  it('aborts at once under DTP what a majority of a group has refused', () => {
    expect(mayDecideAlone(terms('dtp'), ABORT, votes({ n2: 0, n3: 7 }), null)).toBe(true);
    expect(mayDecideAlone(terms('dtp'), ABORT, votes({ n2: 7, n3: 7 }), null)).toBe(false);
    expect(mayDecideAlone(terms('dtp', [other]), ABORT, votes({ n3: 0, n4: 7 }), null)).toBe(false);
  });

  it('decides alone what is its own to decide under the other protocols', () => {
    for (const protocol of ['2pc', 'o2pc', '3pc'] as const) expect(mayDecideAlone(terms(protocol), ABORT, votes({ n2: 7, n3: 7 }), null)).toBe(true);
    for (const protocol of ['2pc', 'o2pc'] as const) {
      expect(mayDecideAlone(terms(protocol), 7, votes({ n2: 7, n3: 0 }), null)).toBe(true);
      expect(mayDecideAlone(terms(protocol), 7, votes({ n2: 0, n3: 0 }), null)).toBe(false);
    }
    expect(mayDecideAlone(terms('3pc'), 7, votes({ n2: 7, n3: 7 }), null)).toBe(false);
    expect(mayDecideAlone(terms('3pc'), ABORT, votes({ n2: 7, n3: 7 }), 7)).toBe(false);
  });
});

it.each<[Terms['protocol'], boolean, string[], boolean]>([
  ['dtp', true, ['n1', 'n2'], true],
  ['dtp', true, ['n1'], false],
  ['3pc', true, ['n1', 'n2'], false],
  ['3pc', true, ['n1', 'n2', 'n3', 'n4'], true],
  ['3pc', false, ['n1', 'n2'], true],
  ['2pc', true, ['n2', 'n3'], false],
  ['2pc', true, ['n1', 'n3'], true],
  ['2pc', false, ['n2', 'n3'], true],
])('enough have accepted under %s, if it is known (%s), when %j have: %s', (protocol, isKnown, by, enough) => {
  expect(isAccepted(terms(protocol, [home, other]), isKnown, (member) => by.includes(member))).toBe(enough);
});
