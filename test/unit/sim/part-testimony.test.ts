/** What a replica may not say of a transaction that travels in a batch. */
import { expect, it } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { ABORT, Tag, UNDECIDED, Vote } from '../../../client/wire/messages.ts';
import { failuresIn, type Said } from './hearing-bench.ts';

const batch = ['n1', 1, 7] as const;
const part = ['n1', 1, 9] as const;
const prepare: Said = ['n1', 'n2', [Tag.prepare, ...batch, 1, 1, 0, encodeBody([[], ['k', Buffer.from([7])], [8, 9]])]];
const votes: Said = ['n2', 'n1', [Tag.vote, ...batch, Vote.ok, 5, null, null]];
const refuses: Said = ['n2', 'n1', [Tag.vote, ...batch, Vote.superseded, 0, null, null]];
const promises: Said = ['n2', 'n3', [Tag.promise, ...part, 1, 'n3', Vote.none, 0, 0, 0, -1, '', UNDECIDED, null]];
const accepts: Said = ['n2', 'n3', [Tag.accepted, ...part, 1, 'n3']];
const turnsToBatch: Said = ['n2', 'n3', [Tag.batched, ...part, 7, 1, 0, [0]]];
const decides: Said = ['n1', 'n2', [Tag.decide, ...batch, 5, null]];
const acknowledges: Said = ['n2', 'n1', [Tag.decided, 'n1', 1, [7]]];
const says = (outcome: number): Said => ['n2', 'n3', [Tag.finished, ...part, outcome]];

it.each<[string, Said[]]>([
  ['turns who asks for a part to the batch', [prepare, votes, turnsToBatch, decides, acknowledges, says(5)]],
  ['has promised for a part, and refuses the batch', [prepare, promises, accepts, refuses]],
])('a replica keeps its word that %s', (_what, said) => {
  expect(failuresIn(said)).toEqual([]);
});

it.each<[string, Said[], string]>([
  ['promising for a part of a batch that it voted for', [prepare, votes, promises], 'n2 takes part in a ballot on n1:1:9 alone, and has voted for n1:1:7, of which that is a part'],
  ['accepting for one', [prepare, votes, accepts], 'n2 takes part in a ballot on n1:1:9 alone, and has voted for n1:1:7, of which that is a part'],
  ['voting for a batch after a promise for a part', [prepare, promises, votes], 'n2 votes for n1:1:7, and has taken part in a ballot on n1:1:9 alone, which is in that batch'],
  ['denying the commit of a part', [prepare, votes, decides, acknowledges, says(ABORT)], 'n2 says that it knows of no commit of n1:1:9, and has acknowledged that it is committed at 5'],
])('a word is broken by %s', (_what, said, failure) => {
  expect(failuresIn(said)).toEqual([`broken-word: ${failure}`]);
});
