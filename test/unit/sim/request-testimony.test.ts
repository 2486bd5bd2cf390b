/** What a coordinator may have replicas vote for, given what it was asked for. */
import { expect, it } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { Tag, type Body, type Operations } from '../../../client/wire/messages.ts';
import { failuresIn, type Said } from './hearing-bench.ts';

const value = Buffer.from([7]);
const k = Buffer.from('k').toString('hex');
const add: Operations = [0, 'k', value, null, null];
const asks = (number: number, body: Body, operations: Operations | null = null): Said => ['c1', 'n1', [Tag.commit, number, 100, number, 1, null, 0, false, encodeBody(body), operations]];
const prepares = (...body: Body): Said => ['n1', 'n2', [Tag.prepare, 'n1', 1, 7, 1, 1, 0, encodeBody(body)]];

const reads = asks(7, [['k', 5], ['a', value]]);
const readsLater = asks(8, [['k', 6], ['b', value]]);
const writes = asks(7, [[], ['k', value]]);
const adds = asks(8, [[], []], add);
const addsFirst = asks(7, [[], []], add);

it.each<[string, Said[]]>([
  ['what one has read', [reads, prepares(['k', 5], ['a', value])]],
  ['two together, as of what the first of them has read', [reads, readsLater, prepares(['k', 5], ['a', value, 'b', value], [8])]],
  ['an operation, as of the version that it was applied to', [addsFirst, prepares(['k', 3], ['k', value])]],
  ['an operation that follows a write', [writes, adds, prepares([], ['k', value], [8])]],
  ['the same, by the number of the operation', [addsFirst, asks(8, [[], ['k', value]]), prepares([], ['k', value], [8])]],
  ['what it was not heard to be asked for', [prepares(['k', 5], ['a', value])]],
  ['what the same number was given to in a later life', [writes, reads, prepares(['k', 5], ['a', value])]],
])('a coordinator has replicas vote for %s', (_what, said) => {
  expect(failuresIn(said)).toEqual([]);
});

it.each<[string, Said[], string]>([
  ['of two that have read one key counting the newer version', [reads, readsLater, prepares(['k', 6], ['a', value, 'b', value], [8])], `as of version 6 of key ${k}, and who asked for 7 has read version 5`],
  ['leaving out what was read', [reads, prepares([], ['a', value])], `as of no version of key ${k}, and who asked for 7 has read version 5`],
  ['an operation alone on what nobody knows to be committed', [addsFirst, prepares([], ['k', value])], `as of no version of key ${k}, which 7 operates on, and nothing that it may follow changes that`],
  ['leaving out a write', [writes, prepares([], ['a', value])], `which doesn't write key ${k}, and 7 does`],
  ['writing what nobody asked for', [reads, prepares(['k', 5], ['a', value, 'k', value])], `which writes key ${k}, and nobody has asked for that`],
])('a word is broken by %s', (_what, said, failure) => {
  expect(failuresIn(said)[0]).toBe(`broken-word: n1 has replicas vote for n1:1:7, ${failure}`);
});
