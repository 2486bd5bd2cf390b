/** What a replica may not say of a key's version after what it has said, voted for, or lost. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { ABORT, Tag, UNDECIDED, Vote, type Body, type Message, type Value } from '../../../client/wire/messages.ts';
import { protocolVersion } from '../../../client/wire/session.ts';
import { Hearing } from '../../sim/testimony/hearing.ts';
import type { View } from '../../../client/wire/view.ts';

const view: View = { cluster: 'test', epoch: 1, partitions: 1, replicationFactor: 3, members: ['n1', 'n2', 'n3'].map((id) => ({ id, url: `ws://${id}:1`, weight: 1, zone: null })) };
const someValue = Buffer.from([7]);

type Said = readonly [by: string, to: string, ...messages: Message[]];

/** About the transaction of that number, by n1. */
const about = (number: number) => ['n1', 1, number] as const;
const prepare = (number: number, body: Body): Message => [Tag.prepare, ...about(number), 1, 1, 0, encodeBody(body)];
const ok = (number: number, timestamp: number): Message => [Tag.vote, ...about(number), Vote.ok, timestamp, null, null];
const decide = (number: number, decision: number): Message => [Tag.decide, ...about(number), decision, null];
const decided = (number: number): Message => [Tag.decided, 'n1', 1, [number]];
const hello = (by: string, store: string, incarnation: number, rebornAt: number): Message => [Tag.hello, protocolVersion, 'test', by, store, incarnation, rebornAt, incarnation, 0, null];

const peeks = (request: number, version: number, value: Value = null): Said[] => [['n1', 'n2', [Tag.peek, request, 1, ['k'], false]], ['n2', 'n1', [Tag.peeked, request, 0, false, [version, value]]]];
const confirms = (request: number, seen: number, stale: string | null = null): Said[] => [['n1', 'n2', [Tag.confirm, request, 1, ['k'], [seen]]], ['n2', 'n1', [Tag.confirmed, request, 0, stale]]];
const reads = (request: number, version: number, value: Value = version === 0 ? null : someValue): Said[] => [['c1', 'n2', [Tag.read, request, 1, 1, ['k']]], ['n2', 'c1', [Tag.values, request, [version, value]]]];
/** Linearizable, by a node that need not have the key itself. */
const gets = (request: number, version: number, value: Value = version === 0 ? null : someValue): Said[] => [['c1', 'n1', [Tag.get, request, 1, 1, ['k']]], ['n1', 'c1', [Tag.values, request, [version, value]]]];
/** n2 votes for it, and it is committed. */
const writes = (number: number, timestamp: number, value: Value = someValue): Said[] => [['n1', 'n2', prepare(number, [[], ['k', value]])], ['n2', 'n1', ok(number, timestamp)], ['n1', 'n3', decide(number, timestamp)]];
const votes = (number: number, timestamp: number, body: Body): Said[] => [['n1', 'n2', prepare(number, body)], ['n2', 'n1', ok(number, timestamp)]];
const restarts: Said = ['n2', 'n1', hello('n2', 'a', 2, 0)];
/** And is told again. */
const isReborn: Said[] = [['n2', 'n1', hello('n2', 'b', 9, 9)], ['n1', 'n2', [Tag.attested, 1, [0]]], ['n3', 'n2', [Tag.attested, 1, [0]]]];
const collected = (at: number): Said => ['n1', 'n2', [Tag.bar, at, [0]]];

let failures: string[];
let testimony: Hearing;
let nowMs: number;
beforeEach(() => {
  failures = [];
  testimony = new Hearing(failures, view);
  nowMs = 0;
});

/** Each in a turn of its own. */
function hear(...said: readonly Said[]): void {
  for (const [by, to, ...messages] of said) for (const message of messages) {
    testimony.said(++nowMs, by, to, [message]);
    testimony.received(nowMs, to, by, [message]);
  }
  testimony.settle();
}

describe('a replica keeps its word', () => {
  it.each<[string, Said[]]>([
    ['by newer versions, told again', [...peeks(1, 5), ...peeks(2, 5), ...reads(1, 6), ...peeks(3, 7), ...confirms(4, 7)]],
    ['by votes that follow what it knows', [...writes(1, 5), ...votes(2, 6, [['k', 5], ['k', someValue]])]],
    ['by a vote cast before it heard of what is newer', [['n1', 'n2', prepare(2, [['k', 0], []])], ...peeks(1, 5), ['n2', 'n1', ok(2, 6)]]],
    ['by an answer to what was asked before it voted', [['n1', 'n2', [Tag.peek, 1, 1, ['k'], false]], ...writes(1, 5), ['n2', 'n1', [Tag.peeked, 1, 0, false, [3, null]]]]],
    ['by a read that is older than what it voted for and has not applied', [...writes(1, 5), ...reads(1, 3)]],
    ['who has told after healing what a crash took back', [...peeks(1, 5), restarts, ...peeks(2, 3)]],
    ['to whoever asks two questions under one number', [...peeks(1, 5), ['c1', 'n2', [Tag.get, 9, 100, 1, ['other']]], ...reads(9, 3)]],
    ['who voted for what was aborted', [['n1', 'n2', prepare(1, [[], ['k', someValue]])], ['n2', 'n1', ok(1, 5)], ['n1', 'n2', decide(1, ABORT)], ...peeks(1, 3)]],
    ['by a linearizable read of what is committed, or newer', [...writes(1, 5), ...gets(1, 5), ...gets(2, 6)]],
    ['by a linearizable read that began before the commit', [['c1', 'n1', [Tag.get, 1, 1, 1, ['k']]], ...writes(1, 5), ['n1', 'c1', [Tag.values, 1, [3, someValue]]]]],
    ['by a linearizable read of what is deleted', [...writes(1, 5, null), ...gets(1, 5, null), ...gets(2, 2, null)]],
    ['to a reader, of a key that is deleted', [...writes(1, 5, null), ['n2', 'n1', decided(1)], ...reads(1, 0), ...confirms(1, 0), ...votes(2, 6, [['k', 0], ['k', someValue]])]],
    ['to a reader, of a key that may have been deleted since', [...peeks(1, 5), ['n1', 'n2', prepare(2, [[], ['k', null]])], ...reads(1, 0)]],
    ['to a reader, of up to when a key is known to be absent, which is no version of it', [...reads(1, 5, null), ...peeks(2, 0)]],
    ['of a deletion that was collected', [...writes(1, 5, null), collected(6), ...peeks(1, 0)]],
    ['who declines', [...writes(1, 5), ...isReborn, ['n1', 'n2', [Tag.peek, 1, 1, ['k'], false]], ['n2', 'n1', [Tag.declined, 1]]]],
    ['who lists what it still has', [...writes(1, 5), ...isReborn, ['n2', 'n1', [Tag.listed, 1, [], ['k', 3, someValue], [], null]]]],
    ['who was reborn before the commit, which others voted for', [...isReborn, ['n1', 'n3', prepare(1, [[], ['k', someValue]])], ['n3', 'n1', ok(1, 5)], ['n1', 'n3', decide(1, 5)], ...peeks(1, 0)]],
    ['who was reborn before the transaction began', [...isReborn, ...writes(1, 5), ['n2', 'n1', [Tag.accepted, ...about(1), 1, 'n3']]]],
  ])('%s', (_what, said) => {
    hear(...said);
    expect(failures).toEqual([]);
  });

  it('whatever the order in which it speaks in one turn', () => {
    for (const version of [6, 5]) for (const [by, to, message] of peeks(version, version)) {
      testimony.said(1, by, to, [message as Message]);
      testimony.received(1, to, by, [message as Message]);
    }
    testimony.settle();
    expect(failures).toEqual([]);
  });

  it('who can not be held to it', () => {
    hear(...peeks(1, 5));
    testimony.said(99, 'n1', 'n2', [[Tag.peek, 2, 1, ['k'], false]]);
    testimony.said(100, 'n2', 'n1', [[Tag.peeked, 2, 0, false, [3, null]]], false);
    testimony.settle();
    expect(failures).toEqual([]);
  });
});

describe('a word is broken', () => {
  const tellsOlder = /^broken-word: n2 tells version 3 of key 6b, and is bound to know 5$/;
  const tellsNothing = /^broken-word: n2 tells version 0 of key 6b, and is bound to know 5$/;
  it.each<[string, Said[], RegExp]>([
    ['by an older version than one told', [...peeks(1, 5), ...peeks(2, 3)], tellsOlder],
    ['by an older version than one listed', [['n2', 'n1', [Tag.listed, 1, [], ['k', 5, someValue], [], null]], ...peeks(2, 3)], tellsOlder],
    ['by an older version told to a client', [...reads(1, 5), ...reads(2, 3)], tellsOlder],
    ['by confirming an older version', [...peeks(1, 5), ...confirms(2, 3)], tellsOlder],
    ['by an older version than it voted for, told to who waits for locks', [...writes(1, 5), ...peeks(1, 3)], tellsOlder],
    ['by a linearizable read of less than is committed', [...writes(1, 5), ...gets(1, 3)], /^broken-word: n1 tells version 3 of key 6b, and is bound to know 5$/],
    ['by a linearizable read that takes for absent what is committed', [...writes(1, 5), ...gets(1, 0)], /^broken-word: n1 tells version 0 of key 6b, and is bound to know 5$/],
    ['in a later life too', [...writes(1, 5), restarts, ...peeks(1, 3)], tellsOlder],
    ['by an older version than it has acknowledged', [...writes(1, 5), ['n2', 'n1', decided(1)], restarts, ...reads(1, 3)], tellsOlder],
    ['by an OK vote on an older version', [...writes(1, 5), ...votes(2, 6, [['k', 3], []])], tellsOlder],
    ['by an OK vote on a key that it takes for absent', [...writes(1, 5), ...votes(2, 6, [['k', 0], []])], tellsNothing],
    ['by an OK vote at a timestamp that is not later', [...writes(1, 5), ...votes(2, 5, [[], ['k', someValue]])], /votes for version 5 of key 6b, and is bound to know 5/],
    ['by a deletion whose trace is lost, and was not collected', [...writes(1, 5, null), collected(4), ...peeks(1, 0)], tellsNothing],
    ['by a version from before the deletion', [...writes(1, 5, null), collected(6), ...peeks(1, 3)], tellsOlder],
    ['by one who was reborn and has not been told what it voted for', [...writes(1, 5), ...isReborn, ...peeks(1, 3)], tellsOlder],
    ['by one who was reborn and has not been told what others voted for', [['n1', 'n3', prepare(1, [[], ['k', someValue]])], ['n3', 'n1', ok(1, 5)], ['n1', 'n3', decide(1, 5)], ...isReborn, ...reads(1, 0)], tellsNothing],
    ['by one who was reborn and speaks of what it may have promised', [['n1', 'n3', prepare(1, [[], ['k', someValue]])], ...isReborn, ['n2', 'n1', [Tag.accepted, ...about(1), 1, 'n3']]], /n2 says that it accepted n1:1:1, and has lost its memory since that began/],
    ['by one who was reborn and takes for aborted what it has no outcome of', [['n1', 'n3', prepare(1, [[], ['k', someValue]])], ...isReborn, ['n2', 'n1', [Tag.finished, ...about(1), UNDECIDED]], ['n2', 'n1', [Tag.finished, ...about(1), ABORT]]], /n2 says that it knows of no commit of n1:1:1/],
  ])('%s', (_what, said, words) => {
    hear(...said);
    expect(failures).toEqual([expect.stringMatching(words)]);
  });
});
