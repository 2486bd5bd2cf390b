/** What nodes may not say to each other while memory is made good and deletions are forgotten. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { ABORT, Tag, Vote, type Message } from '../../../client/wire/messages.ts';
import { protocolVersion } from '../../../client/wire/session.ts';
import type { View } from '../../../client/wire/view.ts';
import { Hearing } from '../../sim/testimony/hearing.ts';

const view: View = { cluster: 'test', epoch: 1, partitions: 1, replicationFactor: 3, members: ['n1', 'n2', 'n3'].map((id) => ({ id, url: `ws://${id}:1`, weight: 1, zone: null })) };
const [same, other] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];

type Said = readonly [by: string, to: string, message: Message];

/** About the transaction of that number, by n1, which writes a key. */
const prepare = (number: number, to: string): Said => ['n1', to, [Tag.prepare, 'n1', 1, number, 1, 1, 0, encodeBody([[], ['k', Buffer.from([7])]])]];
const ok = (number: number, by: string, timestamp: number): Said => [by, 'n1', [Tag.vote, 'n1', 1, number, Vote.ok, timestamp, null, null]];
const votes = (number: number, by: string, timestamp: number): Said[] => [prepare(number, by), ok(number, by, timestamp)];
const decides = (number: number, decision: number): Said => ['n1', 'n3', [Tag.decide, 'n1', 1, number, decision, null]];
/** n3 has lost its memory. */
const reborn: Said = ['n3', 'n1', [Tag.hello, protocolVersion, 'test', 'n3', 'b', 9, 9, 1, 0, null]];
const attests = (by: string, to = 'n3'): Said => [by, to, [Tag.attested, 1, [0]]];
const peeked: Said[] = [['n1', 'n3', [Tag.peek, 1, 1, ['k'], false]], ['n3', 'n1', [Tag.peeked, 1, 0, false, [0, null]]]];
const vouches: Said = ['n3', 'n2', [Tag.vouch, 1, [0]]];
const drained: Said = ['n2', 'n3', [Tag.drained, 1, [0], 50]];
const claims = (rebornAt: number): Said => ['n1', 'n2', [Tag.claims, 1, ['n3', 'b', rebornAt, rebornAt, 1, 0]]];
const barred = (by: string, digest: Uint8Array): Said => [by, 'n1', [Tag.barred, 40, [0], digest]];
const collects: Said = ['n1', 'n2', [Tag.collect, 40, [0]]];

let failures: string[];
beforeEach(() => {
  failures = [];
});

/** Each in a turn of its own. */
function hear(said: readonly Said[]): void {
  const hearing = new Hearing(failures, view);
  said.forEach(([by, to, message], i) => {
    hearing.said(i + 1, by, to, [message]);
    hearing.received(i + 1, to, by, [message]);
  });
  hearing.settle();
}

describe('nodes keep the rules of healing', () => {
  it.each<[string, Said[]]>([
    ['who lost its memory and speaks when enough have attested', [reborn, attests('n1'), attests('n2'), ...peeked, ...votes(1, 'n3', 60)]],
    ['who lost its memory and declines', [reborn, peeked[0] as Said, ['n3', 'n1', [Tag.declined, 1]]]],
    ['who lost its memory and says that it is in doubt', [reborn, ['n3', 'n1', [Tag.differ, 1, [0, false, 0, same]]]]],
    ['who is drained when what it voted for is decided', [reborn, ...votes(1, 'n2', 30), vouches, decides(1, 30), drained]],
    ['who is drained of what is aborted later', [reborn, ...votes(1, 'n2', 30), vouches, drained, decides(1, ABORT)]],
    ['who is drained and votes for something else', [reborn, vouches, drained, claims(9), ...votes(1, 'n2', 60), decides(1, 60)]],
    ['who votes for a coordinator that knows of the rebirth', [reborn, claims(9), vouches, drained, ...votes(1, 'n2', 60)]],
    ['who was asked before it knew of the rebirth', [reborn, vouches, prepare(1, 'n2'), drained, ok(1, 'n2', 60), decides(1, ABORT)]],
    ['who answers for a cut, and votes for what is behind it', [barred('n2', same), ...votes(1, 'n2', 41), decides(1, 41)]],
    ['who answers for a cut when what it voted for is decided', [...votes(1, 'n2', 40), decides(1, 40), barred('n2', same)]],
    ['who has tombstones collected when all others have answered alike', [barred('n2', same), barred('n3', same), collects]],
  ])('%s', (_what, said) => {
    hear(said);
    expect(failures).toEqual([]);
  });
});

describe('a word is broken', () => {
  it.each<[string, Said[], RegExp]>([
    ['by a life that another disk has lived', [['n3', 'n1', [Tag.hello, protocolVersion, 'test', 'n3', 'a', 1, 0, 7, 0, null]], ['n3', 'n2', [Tag.hello, protocolVersion, 'test', 'n3', 'b', 1, 0, 8, 0, null]]], /n3 begins life 1, which it has lived before/],
    ['by a fence below lives in which it has coordinated', [prepare(1, 'n2'), ['n1', 'n3', [Tag.fenced, 1, 0, 1]]], /n1 says where its numbers stand in life 0, and has begun transactions in life 1/],
    ['by an answer before enough have attested', [reborn, attests('n1'), ...peeked], /^broken-word: n3 tells what it may have forgotten of partition 0: 1 of 2 others/],
    ['by a vote before that', [reborn, ...votes(1, 'n3', 60)], /n3 votes on what it may have forgotten/],
    ['by one who is in doubt and attests for others', [reborn, attests('n3', 'n1')], /n3 attests what it may have forgotten/],
    ['by one who is in doubt and says it is sure', [reborn, ['n3', 'n1', [Tag.differ, 1, [0, true, 0, same]]]], /n3 is sure of what it may have forgotten/],
    ['by attestations from before its memory was lost again', [reborn, attests('n1'), attests('n2'), ['n3', 'n1', [Tag.hello, protocolVersion, 'test', 'n3', 'c', 19, 19, 1, 0, null]], ...peeked], /0 of 2 others/],
    ['by one who is drained, and what it voted for is committed', [reborn, ...votes(1, 'n2', 30), vouches, drained, decides(1, 30)], /n2 says that all it voted for is decided, and has voted for n1:1:1, which is committed at 30/],
    ['by a vote for a coordinator that may not know of a rebirth', [reborn, vouches, drained, claims(0), ...votes(1, 'n2', 60)], /n2 votes for n1:1:1, whose coordinator has not told it of the rebirth of n3/],
    ['by a vote before a cut that it has answered for', [barred('n2', same), ...votes(1, 'n2', 40)], /n2 votes for n1:1:1 at 40, and has answered for what it holds up to 40/],
    ['by an answer for a cut before which something is undecided, and then committed', [...votes(1, 'n2', 30), barred('n2', same), decides(1, 35)], /n2 answers for what it holds up to 40, and has voted for n1:1:1, which is committed at 35/],
    ['by a collection for which somebody has not answered', [barred('n2', same), collects], /n1 has tombstones of partition 0 collected up to 40/],
    ['by a collection for which somebody has answered otherwise', [barred('n2', same), barred('n3', other), collects], /n1 has tombstones of partition 0 collected up to 40/],
  ])('%s', (_what, said, words) => {
    hear(said);
    expect(failures).toEqual([expect.stringMatching(words)]);
  });
});
