/** To whom a node may not answer any more what it was asked. */
import { expect, it } from 'vitest';
import { Tag } from '../../../client/wire/messages.ts';
import { protocolVersion } from '../../../client/wire/session.ts';
import { failuresIn, type Said, view } from './hearing-bench.ts';

const asks = (request: number): Said => ['n1', 'n2', [Tag.peek, request, 1, ['k'], false]];
const answers = (request: number): Said => ['n2', 'n1', [Tag.peeked, request, 0, false, [5, null]]];
const confirms: Said[] = [['n1', 'n2', [Tag.confirm, 3, 1, ['k'], [5]]], ['n2', 'n1', [Tag.confirmed, 3, 0, null]]];
const comesBack: Said = ['n1', 'n2', [Tag.hello, protocolVersion, 'test', 'n1', 'a', 2, 0, 2, 0, 'n2']];
const letsIn: Said = ['n2', 'n1', [Tag.welcome, protocolVersion, 'test', 'n2', 'b', 1, 0, 1, 0, view]];

it.each<[string, Said[]]>([
  ['answers, late and in any order', [asks(1), asks(2), ...confirms, answers(2), answers(1)]],
  ['declines', [asks(1), ['n2', 'n1', [Tag.declined, 1]]]],
  ['answers what is asked again after the session', [asks(1), comesBack, letsIn, asks(1), answers(1)]],
  ['has not heard yet that the one who asked is another process now', [asks(1), comesBack, answers(1), letsIn]],
])('a node keeps its word that %s', (_what, said) => {
  expect(failuresIn(said)).toEqual([]);
});

it.each<[string, Said[]]>([
  ['a former process asked', [asks(1), comesBack, letsIn, answers(1)]],
  ['nobody asked', [answers(1)]],
  ['another one asked', [['n3', 'n2', [Tag.peek, 1, 1, ['k'], false]], answers(1)]],
])('a word is broken by an answer to what %s', (_what, said) => {
  expect(failuresIn(said)).toEqual(['broken-word: n2 answers question 1 of n1, which nobody asked in this session']);
});
