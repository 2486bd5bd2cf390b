/** What a node may not say after what it was told. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { ABORT, Tag, UNDECIDED, Vote, type Key, type Message } from '../../../client/wire/messages.ts';
import { Placement } from '../../../client/wire/placement.ts';
import { Hearsay } from '../../sim/hearsay.ts';

const viewOf = (nodes: number, partitions: number) => ({
  epoch: 1, cluster: 'c', partitions, replicationFactor: 3, members: Array.from({ length: nodes }, (_, i) => ({ id: `n${i + 1}`, url: `ws://n${i + 1}:1`, weight: 1, zone: null })),
});
const txn = ['n1', 1, 7] as const;
const bodyOf = (...keys: Key[]): Uint8Array => Buffer.from(encodeBody([[], keys.flatMap((key) => [key, null])]));
const prepare = (body = bodyOf('k'), protocol = 0): Message => [Tag.prepare, ...txn, 1, 5, protocol, body];
const ok = (timestamp: number): Message => [Tag.vote, ...txn, Vote.ok, timestamp, null, null];
const refusal: Message = [Tag.vote, ...txn, Vote.stale, 3, 'k', null];
const promise = (round: number, proposer: string, timestamp: number, acceptedRound = -1, accepted: number = UNDECIDED): Message => [
  Tag.promise, ...txn, round, proposer, timestamp === 0 ? Vote.none : Vote.ok, timestamp, 1, 0, acceptedRound, acceptedRound < 0 ? '' : 'n1', accepted, null,
];
const accept = (round: number, proposer: string, decision: number): Message => [Tag.accept, ...txn, round, proposer, decision];
const accepted = (round: number, proposer: string): Message => [Tag.accepted, ...txn, round, proposer];
const decide = (decision: number): Message => [Tag.decide, ...txn, decision, null];
const finished = (decision: number): Message => [Tag.finished, ...txn, decision];
const resolve: Message = [Tag.resolve, 1, 1_000, ...txn, 1, [0]];
const aborted: Message = [Tag.aborted, 1, 1, null, null, 0, null];

let failures: string[];
let hearsay: Hearsay;
beforeEach(() => {
  failures = [];
  hearsay = new Hearsay(failures, new Placement(viewOf(3, 1)));
});

const says = (node: string, message: Message, life = 1): void => hearsay.said({ node, process: `${node}#${life}`, remembers: true }, [message]);
const hears = (node: string, from: string, message: Message, life = 1): void => hearsay.heard({ node, process: `${node}#${life}`, remembers: true }, from, [message]);
/** One node says it, and the other one hears it. */
function tells(from: string, to: string, message: Message): void {
  says(from, message);
  hears(to, from, message);
}
function answers(node: string, message: Message): void {
  hearsay.asked({ node, process: `${node}#1`, remembers: true }, 'c1', [resolve]);
  hearsay.answered({ node, process: `${node}#1`, remembers: true }, 'c1', [message]);
}

describe('nothing is wrong', () => {
  it('with a fast commit, and with those who pass it on', () => {
    tells('n1', 'n2', prepare());
    tells('n2', 'n1', ok(5));
    tells('n3', 'n1', ok(5));
    tells('n1', 'n2', decide(5));
    says('n2', decide(5));
    says('n2', finished(5));
    says('n1', decide(5), 2);
    expect(failures).toEqual([]);
  });

  it('with a slow commit, a recovery of it, and an outcome that was written down before anybody was told', () => {
    tells('n1', 'n2', prepare());
    tells('n2', 'n1', ok(6));
    tells('n1', 'n2', accept(0, 'n1', 6));
    tells('n2', 'n1', accepted(0, 'n1'));
    tells('n2', 'n3', promise(1, 'n3', 6, 0, 6));
    tells('n3', 'n2', accept(1, 'n3', 6));
    tells('n2', 'n3', accepted(1, 'n3'));
    says('n3', decide(6));
    says('n1', decide(6), 2);
    expect(failures).toEqual([]);
  });

  it('with an abort, by whoever voted and hears that it is finished, or by the coordinator on refusals', () => {
    tells('n1', 'n2', prepare());
    tells('n2', 'n1', ok(5));
    tells('n3', 'n1', refusal);
    says('n1', decide(ABORT));
    tells('n3', 'n2', finished(UNDECIDED));
    says('n2', decide(ABORT));
    expect(failures).toEqual([]);
  });

  it('with an abort by who has heard of no vote in time, and so does not know the protocol', () => {
    tells('n1', 'n2', prepare(bodyOf('k'), 1));
    tells('n2', 'n3', promise(1, 'n3', 0));
    tells('n3', 'n2', accept(1, 'n3', ABORT));
    tells('n1', 'n3', promise(1, 'n3', 5));
    tells('n2', 'n3', accepted(1, 'n3'));
    says('n3', decide(ABORT));
    expect(failures).toEqual([]);
  });

  it('with what nobody has heard the prepare of, or an operator has decided', () => {
    says('n2', decide(5));
    says('n1', prepare());
    says('n3', [Tag.settled, ...txn, ABORT, 0, 'n3']);
    says('n3', decide(ABORT));
    expect(failures).toEqual([]);
  });
});

describe('a word is broken', () => {
  beforeEach(() => tells('n1', 'n2', prepare()));

  it('by a proposal that the promises do not bear out', () => {
    tells('n1', 'n3', promise(1, 'n3', 5));
    tells('n2', 'n3', promise(1, 'n3', 7));
    says('n3', accept(1, 'n3', 5));
    // Its own word may be in place of that of n2; but then that would have come first.
    expect(failures).toEqual([]);
    says('n3', refusal);
    tells('n1', 'n3', promise(2, 'n3', 5));
    tells('n2', 'n3', promise(2, 'n3', 7));
    says('n3', accept(2, 'n3', 6));
    expect(failures).toEqual(['broken-word: of n1:1:7: n3 proposes a commit at 6 in ballot 2.n3 on promises: n1 has voted OK at 5; n2 has voted OK at 7']);
  });

  it('by a proposal on promises that an earlier life was told', () => {
    says('n3', refusal);
    tells('n1', 'n3', promise(1, 'n3', 5));
    says('n3', accept(1, 'n3', ABORT), 2);
    expect(failures).toEqual([expect.stringMatching(/an abort in ballot 1.n3 on no promises/)]);
  });

  it('by a proposal on the word of the home group alone', () => {
    const placement = new Placement(viewOf(5, 64));
    const keys = Array.from({ length: 64 }, (_, i) => `k${i}`);
    const groupOf = (key: Key) => placement.groupOf(placement.partitionOf(key));
    const [home] = keys as [Key];
    const other = keys.find((key) => groupOf(key).filter((member) => groupOf(home).includes(member)).length === 1) as Key;
    hearsay = new Hearsay(failures, placement);
    const stranger = groupOf(other).filter((member) => !groupOf(home).includes(member))[0] as string;
    says('n1', prepare(bodyOf(home, other)));
    for (const member of groupOf(home)) tells(member, stranger, promise(1, stranger, 5));
    says(stranger, accept(1, stranger, 5));
    // It is a replica of the other group itself, and one of home is: that is a majority.
    expect(failures).toEqual([]);
    hearsay = new Hearsay(failures, placement);
    says('n1', prepare(bodyOf(home, other)));
    for (const member of groupOf(home).filter((each) => !groupOf(other).includes(each))) tells(member, stranger, promise(1, stranger, 5));
    says(stranger, accept(1, stranger, 5));
    expect(failures).toEqual([expect.stringMatching(/proposes a commit at 5 in ballot 1/)]);
  });

  it('by a coordinator that proposes a commit on one vote', () => {
    tells('n2', 'n1', refusal);
    tells('n3', 'n1', refusal);
    says('n1', accept(0, 'n1', 5));
    expect(failures).toEqual(['broken-word: of n1:1:7: n1 proposes a commit at 5 on a refusal of n2, a refusal of n3']);
  });

  it('by a fast commit before all have voted, at another timestamp, or after another proposal', () => {
    tells('n2', 'n1', ok(5));
    says('n1', decide(5));
    expect(failures.splice(0)).toEqual(['broken-word: of n1:1:7: n1 says that it is decided, a commit at 5, on an OK of n2 at 5']);
    tells('n3', 'n1', ok(6));
    says('n1', decide(6));
    expect(failures.splice(0)).toHaveLength(1);
    says('n1', accept(0, 'n1', ABORT));
    says('n1', decide(ABORT));
    expect(failures).toHaveLength(1);
  });

  it('by a decision that too few have accepted, or that was told to somebody else', () => {
    tells('n1', 'n3', promise(1, 'n3', 5));
    tells('n2', 'n3', promise(1, 'n3', 5));
    tells('n3', 'n2', accept(1, 'n3', 5));
    says('n3', decide(5));
    says('n2', decide(5));
    expect(failures).toEqual([expect.stringMatching(/n3 says that it is decided, a commit at 5/), expect.stringMatching(/n2 says that it is decided/)]);
  });

  it('by an abort that a client is told on the word of too few, and not by one that enough know nothing of', () => {
    says('n2', refusal);
    hearsay = new Hearsay(failures, new Placement(viewOf(5, 1)));
    says('n1', prepare());
    const group = new Placement(viewOf(5, 1)).groupOf(0);
    const [stranger] = ['n2', 'n3', 'n4', 'n5'].filter((node) => !group.includes(node)) as [string];
    tells(group[0] as string, stranger, finished(ABORT));
    answers(stranger, aborted);
    expect(failures.splice(0)).toEqual([`broken-word: of n1:1:7: ${stranger} tells a client that asks that it is an abort`]);
    tells(group[1] as string, stranger, finished(ABORT));
    answers(stranger, aborted);
    answers(stranger, [Tag.committed, 1, 5, false]);
    expect(failures).toEqual([expect.stringMatching(/tells a client that asks that it is a commit at 5/)]);
  });
});
