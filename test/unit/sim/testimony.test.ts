/** What a node may not say after what it has said. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ABORT, Tag, UNDECIDED, Vote, type Message } from '../../../client/wire/messages.ts';
import { Testimony } from '../../sim/testimony.ts';

const txn = ['n1', 1, 7] as const;
const ok = (timestamp: number): Message => [Tag.vote, ...txn, Vote.ok, timestamp, null, null];
const refusal: Message = [Tag.vote, ...txn, Vote.stale, 3, 'k', null];
const promise = (round: number, timestamp: number, acceptedRound = -1): Message => [
  Tag.promise, ...txn, round, 'n3', timestamp === 0 ? Vote.none : Vote.ok, timestamp, 1, 0, acceptedRound, acceptedRound < 0 ? '' : 'n3', acceptedRound < 0 ? UNDECIDED : ABORT, null,
];
const accepted = (round: number): Message => [Tag.accepted, ...txn, round, 'n3'];
const accept = (round: number, decision: number): Message => [Tag.accept, ...txn, round, 'n3', decision];
const decide = (decision: number): Message => [Tag.decide, ...txn, decision, null];
const finished = (decision: number): Message => [Tag.finished, ...txn, decision];
const decided: Message = [Tag.decided, 'n1', 1, [7]];

let failures: string[];
let testimony: Testimony;
let nowMs: number;
beforeEach(() => {
  failures = [];
  testimony = new Testimony(failures);
  nowMs = 0;
});

/** Each in a turn of its own. */
function says(by: string, ...messages: Message[]): void {
  for (const message of messages) testimony.said(++nowMs, by, [message]);
}

describe('a node keeps its word', () => {
  it.each<[string, Message[]]>([
    ['by a vote, a promise that tells of it, acceptances in rising ballots, and an acknowledgement', [ok(5), accepted(0), promise(1, 5, 0), accepted(1), promise(2, 5, 1), accepted(3), decide(5), decided, finished(5)]],
    ['who refuses, and promises', [refusal, promise(1, 0), accepted(1), decide(ABORT)]],
    ['who could not write its vote, which is there after all', [[Tag.vote, ...txn, Vote.unable, 0, null, null], promise(1, 5), promise(2, 5)]],
    ['who promises unasked, and refuses then', [promise(1, 0), refusal]],
    ['who has forgotten an outcome that it need not remember', [decide(5), decided, finished(ABORT), finished(UNDECIDED)]],
  ])('%s', (_what, messages) => {
    says('n2', ...messages);
    expect(failures).toEqual([]);
  });

  it('whatever the order in which it leaves in one turn', () => {
    for (const message of [promise(2, 5), promise(1, 5), accepted(1)]) testimony.said(1, 'n2', [message]);
    expect(failures).toEqual([]);
  });
});

it('is held to each turn of its own, however long that takes', () => {
  for (const [turnMs, by, message] of [[1, 'n2', promise(2, 5)], [2, 'n3', promise(2, 5)], [1, 'n2', promise(1, 5)], [2, 'n2', promise(3, 5)]] as const) testimony.said(turnMs, by, [message]);
  expect(failures).toEqual([]);
  testimony.said(3, 'n2', [promise(1, 5)]);
  expect(failures).toHaveLength(1);
});

describe('a word is broken', () => {
  it.each<[string, Message[], RegExp]>([
    ['by an OK vote after a promise', [promise(1, 0), ok(5)], /votes OK at 5, and has said that it did not/],
    ['by two OK votes', [ok(5), ok(6)], /votes OK at 6, and has said 5/],
    ['by an OK vote after a refusal', [refusal, ok(5)], /votes OK at 5, and has said that it did not/],
    ['by a promise below another', [promise(2, 0), promise(1, 0)], /promises ballot 1.n3, and has promised 2.n3/],
    ['by the same promise twice', [promise(2, 0), promise(2, 0)], /promises ballot 2.n3, and has promised 2.n3/],
    ['by another timestamp told to a recoverer', [ok(5), promise(1, 4)], /tells a recoverer that it has voted OK at 4, and has told that it has voted OK at 5/],
    ['by a vote kept from a recoverer', [ok(5), promise(1, 0)], /tells a recoverer that it has not voted OK/],
    ['by a refusal told as a vote', [refusal, promise(1, 5)], /and has told that it has not voted OK/],
    ['by an acceptance kept from a recoverer', [accepted(1), promise(2, 0)], /nothing of ballot 1.n3/],
    ['by an acceptance below a promise', [promise(2, 0), accepted(1)], /accepts in ballot 1.n3, and has promised 2.n3/],
    ['by a promise after an acknowledged outcome', [decided, promise(1, 5)], /makes a promise, and has acknowledged the outcome/],
    ['by an acceptance after an acknowledged outcome', [decided, accepted(1)], /accepts a proposal, and has acknowledged/],
  ])('%s', (_what, messages, words) => {
    says('n2', ...messages);
    expect(failures).toEqual([expect.stringMatching(words)]);
    expect(failures[0]).toMatch(/^broken-word: of n1:1:7: n2 /);
  });

  it('by two values in one ballot, and by two decisions, whoever says so', () => {
    says('n3', accept(1, 5), accept(2, ABORT), accept(1, ABORT));
    expect(failures.splice(0)).toEqual([expect.stringMatching(/proposes an abort in the ballot in which a commit at 5 was proposed/)]);
    says('n2', decide(5));
    says('n3', decide(6));
    says('n1', finished(5));
    expect(failures).toEqual([expect.stringMatching(/n3 says that it is decided, a commit at 6, and it has been said to be a commit at 5/)]);
  });
});

it('holds nobody to what its disk has lost', () => {
  testimony.said(1, 'n2', [promise(2, 5)]);
  testimony.said(2, 'n2', [promise(1, 0)], false);
  expect(failures).toEqual([]);
});
