/** What a replica may not say of a transaction of which it once knew the outcome. */
import { expect, it } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { ABORT, Tag, UNDECIDED, Vote } from '../../../client/wire/messages.ts';
import { failuresIn, type Said } from './hearing-bench.ts';

const txn = ['n1', 1, 7] as const;
const prepare: Said = ['n1', 'n2', [Tag.prepare, ...txn, 1, 1, 0, encodeBody([[], ['k', Buffer.from([7])]])]];
const votes: Said = ['n2', 'n1', [Tag.vote, ...txn, Vote.ok, 5, null, null]];
const decides = (decision: number): Said => ['n1', 'n2', [Tag.decide, ...txn, decision, null]];
const acknowledges: Said = ['n2', 'n1', [Tag.decided, 'n1', 1, [7]]];
const says = (outcome: number): Said => ['n2', 'n3', [Tag.finished, ...txn, outcome]];

it.each<[string, Said[]]>([
  ['it knows the commit', [prepare, votes, decides(5), acknowledges, says(5)]],
  ['it has forgotten', [prepare, votes, decides(5), acknowledges, says(UNDECIDED)]],
  ['it knows of no commit of what was aborted', [prepare, votes, decides(ABORT), acknowledges, says(ABORT)]],
  ['it knows of no commit of what it never voted for', [prepare, decides(5), acknowledges, says(ABORT)]],
  ['it knows of no commit of which it has not heard', [prepare, votes, decides(5), says(ABORT)]],
])('a replica keeps its word that says that %s', (_what, said) => {
  expect(failuresIn(said)).toEqual([]);
});

it('a word is broken by denying a commit that was acknowledged', () => {
  expect(failuresIn([prepare, votes, decides(5), acknowledges, says(ABORT)])).toEqual(['broken-word: n2 says that it knows of no commit of n1:1:7, and has acknowledged that it is committed at 5']);
});
