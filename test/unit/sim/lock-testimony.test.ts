/** What a replica may not vote for while it does not know what became of that for which it voted before. */
import { expect, it } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { ABORT, Tag, UNDECIDED, Vote, type Body, type Message } from '../../../client/wire/messages.ts';
import { protocolVersion } from '../../../client/wire/session.ts';
import { failuresIn, type Said } from './hearing-bench.ts';

const value = Buffer.from([7]);
const reads = (key: string, own = 'own'): Body => [[key, 0], [own, value]];
const writes = (key: string): Body => [[], [key, value]];

/** The coordinator asks n2, which votes OK. */
const asks = (coordinator: string, number: number, body: Body): Said => [coordinator, 'n2', [Tag.prepare, coordinator, 1, number, 1, 1, 0, encodeBody(body)]];
const votesOk = (coordinator: string, number: number): Said => ['n2', coordinator, [Tag.vote, coordinator, 1, number, Vote.ok, 9, null, null]];
const votes = (coordinator: string, number: number, body: Body): Said[] => [asks(coordinator, number, body), votesOk(coordinator, number)];
const tellsN2 = (by: string, message: Message): Said => [by, 'n2', message];
const begins = (by: string, store = 'a', incarnation = 1, rebornAt = 0): Said => [by, 'n3', [Tag.hello, protocolVersion, 'test', by, store, incarnation, rebornAt, incarnation, 0, null]];
const lives = [begins('n1'), begins('n3'), begins('n2')];

it.each<[string, Said[]]>([
  ['votes for two that read the same', [...votes('n1', 1, reads('k')), ...votes('n3', 1, reads('k', 'other'))]],
  ['votes for the next when it has heard of an abort', [...votes('n1', 1, reads('k')), tellsN2('n1', [Tag.decide, 'n1', 1, 1, ABORT, null]), ...votes('n3', 1, writes('k'))]],
  ['votes late for what it knows to be decided', [asks('n1', 1, reads('k')), tellsN2('n3', [Tag.decide, 'n1', 1, 1, 9, null]), votesOk('n1', 1), ...votes('n3', 1, writes('k'))]],
  ['votes for the next when it is told that nobody can be undecided any more', [...votes('n1', 1, reads('k')), tellsN2('n1', [Tag.marks, 2, []]), ...votes('n3', 1, writes('k'))]],
  ['votes late for what it may have forgotten', [asks('n1', 1, reads('k')), tellsN2('n1', [Tag.marks, 2, []]), votesOk('n1', 1), ...votes('n3', 1, writes('k'))]],
  ['votes for the next when it may have recovered the one before', [...votes('n1', 1, reads('k')), ['n2', 'n3', [Tag.recover, 'n1', 1, 1, 1, 'n2', 1]], ...votes('n3', 1, writes('k'))]],
  ['votes for the next when it is told that the one before is finished', [...votes('n1', 1, reads('k')), tellsN2('n3', [Tag.finished, 'n1', 1, 1, UNDECIDED]), ...votes('n3', 1, writes('k'))]],
  ['has lost its memory, and was told again', [...votes('n1', 1, reads('k')), begins('n2', 'b', 9, 9), tellsN2('n1', [Tag.attested, 1, [0]]), tellsN2('n3', [Tag.attested, 1, [0]]), ...votes('n3', 1, writes('k'))]],
])('a replica keeps its word that %s', (_what, said) => {
  expect(failuresIn([...lives, ...said])).toEqual([]);
});

const inItsWay = 'broken-word: n2 votes for n3:1:1, and has voted for n1:1:1, which is in its way at key 6b, and not heard what became of that';

it.each<[string, Said[]]>([
  ['a vote for who writes what another one reads', [...votes('n1', 1, reads('k')), ...votes('n3', 1, writes('k'))]],
  ['a vote for who reads what another one writes', [...votes('n1', 1, writes('k')), ...votes('n3', 1, reads('k'))]],
  ['a vote for who writes what another one writes', [...votes('n1', 1, writes('k')), ...votes('n3', 1, writes('k'))]],
  ['such a vote in a later life', [...votes('n1', 1, reads('k')), begins('n2', 'a', 2), ...votes('n3', 1, writes('k'))]],
])('a word is broken by %s', (_what, said) => {
  expect(failuresIn([...lives, ...said])).toEqual([inItsWay]);
});
