/** The replica's side of commit, message by message; a *journal* that is still writing keeps every promise back. */
import { describe, expect, it } from 'vitest';
import { ABORT, Tag, UNDECIDED, Vote, type Accept, type Decide, type Decision, type Key, type Message, type Prepare, type Recover } from '../../../client/wire/messages.ts';
import { protocolNumber } from '../../../client/wire/protocols.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind } from '../../../node/store/records.ts';
import { bodyOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const topology = new Topology(viewOf(4), 'n1');
const home = partitionWhere(topology, (members) => members.includes('n1') && members.includes('n2'));
const [a, b, c] = keysIn(topology, home, 3) as [Key, Key, Key];
const bytes = bodyOf({ [b]: 0 }, { [a]: 'x' });

/** Protocols by their numbers. */
const [dtp, twoPhase, optimized] = ['dtp', '2pc', 'o2pc'].map(protocolNumber) as [number, number, number];

type Name = [node: string, incarnation: number, number: number];
const txn: Name = ['n2', 1, 5];
const prepare = (body = bytes, name = txn, timestamp = 100, epoch = 7, protocol = dtp): Prepare => [Tag.prepare, ...name, epoch, timestamp, protocol, body];
const accept = (round: number, proposer: string, decision: Decision, name = txn): Accept => [Tag.accept, ...name, round, proposer, decision];
const recover = (round: number, proposer: string, name = txn): Recover => [Tag.recover, ...name, round, proposer, 7];
const decide = (decision: Decision, body: Uint8Array | null = null, name = txn): Decide => [Tag.decide, ...name, decision, body];

/** Says one thing to the replica: what it answers at once, and what it answers when its journal is on the disk. */
function say(replica: Replica, from: string, message: Message): { atOnce: Message[]; durably: Message[] } {
  const answers = (sent: readonly (readonly [string, Message])[]): Message[] => sent.map(([to, answer]) => {
    expect(to).toBe(from);
    return answer;
  });
  const atOnce = replica.enter((participant) => {
    if (message[0] === Tag.prepare) participant.onPrepare(from, message);
    else if (message[0] === Tag.accept) participant.onAccept(from, message);
    else if (message[0] === Tag.recover) participant.onRecover(from, message);
    else if (message[0] === Tag.decide) participant.onDecide(from, message);
    else throw new Error(`${message[0]} is not for a participant`);
  });
  return { atOnce: answers(atOnce), durably: answers(replica.settle()) };
}

const durably = (...messages: Message[]) => ({ atOnce: [], durably: messages });
const atOnce = (...messages: Message[]) => ({ atOnce: messages, durably: [] });

describe('a prepare', () => {
  it('that touches a doubtful partition is voted NO, without a lock; what else is said there stays as it was', () => {
    const replica = Replica.open(topology);
    replica.store.doubts.doubt([home], 'of a test');
    expect(say(replica, 'n2', prepare())).toEqual(atOnce([Tag.vote, ...txn, Vote.unsure, 0, null, null]));
    expect([replica.holder(a, true), replica.ledger.undecided.size]).toEqual([null, 0]);
    expect(say(replica, 'n2', recover(3, 'n2')).durably).toMatchObject([[Tag.promise, ...txn, 3, 'n2', Vote.none, 0, 0, 0, -1, '', -1, null]]);
    expect(say(replica, 'n2', decide(120, bytes)).durably).toEqual([[Tag.decided, 'n2', 1, [5]]]);
    expect(replica.text(a)).toBe('x');
    replica.store.doubts.trust(home);
    const next: Name = ['n2', 1, 6];
    expect(say(replica, 'n2', prepare(bodyOf({}, { [c]: 'y' }), next)).durably).toEqual([[Tag.vote, ...next, Vote.ok, expect.any(Number), null, null]]);
  });

  it('is voted OK when the record is durable, with locks held from before', () => {
    const replica = Replica.open(topology);
    expect(replica.enter((participant) => participant.onPrepare('n2', prepare()))).toEqual([]);
    expect([replica.holder(a, false)?.number, replica.holder(b, true)?.number]).toEqual([5, 5]);
    expect(replica.settle()).toEqual([['n2', [Tag.vote, ...txn, Vote.ok, 100, null, null]]]);
    expect(replica.clock.last).toBeGreaterThanOrEqual(100);
  });

  it('of this node’s own coordinator is voted OK before it is durable where its decision will make it so', () => {
    for (const [protocol, waits] of [[dtp, true], [twoPhase, true], [optimized, false]] as const) {
      const own: Name = ['n1', 1, 5];
      const vote = ['n1', [Tag.vote, ...own, Vote.ok, 100, null, null]];
      let replica = Replica.open(topology);
      replica.runtime.idle = () => {};
      expect(replica.enter((participant) => participant.onPrepare('n1', prepare(bytes, own, 100, 7, protocol)))).toEqual(waits ? [] : [vote]);
      expect(replica.settle()).toEqual(waits ? [vote] : []);
      const flushes = replica.store.stats.flushes;
      expect(say(replica, 'n1', accept(0, 'n1', 120, own)).durably).toEqual([[Tag.accepted, ...own, 0, 'n1']]);
      expect(replica.store.stats.flushes).toBe(flushes + 1);
      replica = replica.crash(0);
      expect(replica.ledger.find({ node: 'n1', incarnation: 1, number: 5 })).toMatchObject({ timestamp: 100, accepted: { decision: 120 } });
      expect(replica.holder(a, true)?.number).toBe(5);
    }
  });

  it('that was not durable when the node crashed got no vote, and no lock is left; one that was keeps both', () => {
    let replica = Replica.open(topology);
    expect(replica.enter((participant) => participant.onPrepare('n2', prepare()))).toEqual([]);
    replica = replica.crash(0);
    expect([replica.ledger.find({ node: 'n2', incarnation: 1, number: 5 }), replica.holder(a, true)]).toEqual([undefined, null]);
    say(replica, 'n2', prepare());
    replica = replica.crash(0);
    expect(replica.holder(a, false)?.number).toBe(5);
    expect(say(replica, 'n2', prepare(bodyOf({}, { [a]: 'y' }), ['n3', 1, 1])).atOnce).toEqual([[Tag.vote, 'n3', 1, 1, Vote.conflict, 0, a, 'n2:1:5']]);
  });

  it('is voted at a later timestamp if something newer is there, and NO if it read something older', () => {
    const replica = Replica.open(topology);
    replica.ledger.enter([Kind.outcome, 'n3', 1, 1, 200, bodyOf({ [b]: 0 }, { [a]: 'x' })]);
    expect(say(replica, 'n2', prepare(bodyOf({}, { [b]: 'x' })))).toEqual(durably([Tag.vote, ...txn, Vote.ok, 201, null, null]));
    expect(say(replica, 'n2', prepare(bodyOf({ [a]: 150 }, { [c]: 'x' }), ['n2', 1, 6]))).toEqual(atOnce([Tag.vote, 'n2', 1, 6, Vote.stale, 200, a, null]));
  });

  it('is refused, with the key and its holder, while another transaction is in the way', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    expect(say(replica, 'n3', prepare(bodyOf({}, { [b]: 'y' }), ['n3', 2, 1]))).toEqual(atOnce([Tag.vote, 'n3', 2, 1, Vote.conflict, 0, b, 'n2:1:5']));
    expect(say(replica, 'n3', prepare(bodyOf({ [a]: 0 }, { [c]: 'y' }), ['n3', 2, 2]))).toEqual(atOnce([Tag.vote, 'n3', 2, 2, Vote.conflict, 0, a, 'n2:1:5']));
    expect(say(replica, 'n3', prepare(bodyOf({ [b]: 0 }, { [c]: 'y' }), ['n3', 2, 3])).durably).toHaveLength(1);
  });

  it('of another view is refused with the epoch here', () => {
    const replica = Replica.open(topology);
    expect(say(replica, 'n2', prepare(bytes, txn, 100, 6))).toEqual(atOnce([Tag.vote, ...txn, Vote.wrongView, 7, null, null]));
    expect(replica.ledger.locks.size).toBe(0);
  });

  it('is superseded after a promise, or when its coordinator has begun a new life', () => {
    const replica = Replica.open(topology);
    say(replica, 'n3', recover(1, 'n3'));
    expect(say(replica, 'n2', prepare())).toEqual(atOnce([Tag.vote, ...txn, Vote.superseded, 0, null, null]));
    replica.ledger.enterDurably([Kind.floor, 'n2', 'disk', 2]);
    replica.settle();
    expect(say(replica, 'n2', prepare(bytes, ['n2', 1, 6]))).toEqual(atOnce([Tag.vote, 'n2', 1, 6, Vote.superseded, 0, null, null]));
    expect(say(replica, 'n2', prepare(bytes, ['n2', 2, 6])).durably).toHaveLength(1);
  });

  it('of what is decided is answered with the outcome, and of what is finished with that', () => {
    const replica = Replica.open(topology);
    say(replica, 'n3', decide(ABORT));
    expect(say(replica, 'n2', prepare())).toEqual(atOnce([Tag.decide, ...txn, ABORT, null]));
    replica.enter((participant) => participant.onMarks('n2', 1, [Tag.marks, 10, []]));
    replica.settle();
    expect(say(replica, 'n2', prepare())).toEqual(atOnce([Tag.finished, ...txn, ABORT]));
    expect(replica.ledger.recordCount).toBe(0);
  });

  it('twice is a fault of the coordinator', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    expect(() => say(replica, 'n2', prepare())).toThrow(/a second prepare for n2:1:5/);
  });
});

describe('a store that is full', () => {
  /** So small that one committed value fills it until the next checkpoint. */
  function fullReplica(): Replica {
    const replica = Replica.open(topology, undefined, { overlayBytesMax: 2_000 });
    replica.ledger.enter([Kind.outcome, 'n4', 1, 1, 50, bodyOf({}, { [c]: 'x'.repeat(3_000) })]);
    expect(replica.store.full).toBe(true);
    return replica;
  }

  it('keeps prepares waiting, and votes in their order when there is room', () => {
    const replica = fullReplica();
    for (const number of [1, 2, 3]) expect(replica.enter((participant) => participant.onPrepare('n2', prepare(bodyOf({}, { [`${a}${number}`]: 'x' }), ['n2', 1, number])))).toEqual([]);
    expect(replica.ledger.undecided.size).toBe(0);
    expect(replica.settle().map(([, message]) => message[3])).toEqual([1, 2, 3]);
  });

  it('answers an accept that overtakes its prepare, and then still votes', () => {
    const replica = fullReplica();
    replica.enter((participant) => participant.onPrepare('n2', prepare()));
    replica.enter((participant) => participant.onAccept('n2', accept(0, 'n2', ABORT)));
    expect(replica.settle()).toEqual([
      ['n2', [Tag.accepted, ...txn, 0, 'n2']],
      ['n2', [Tag.vote, ...txn, Vote.ok, 100, null, null]],
    ]);
    expect(replica.ledger.find({ node: 'n2', incarnation: 1, number: 5 })).toMatchObject({ timestamp: 100, accepted: { decision: ABORT } });
  });

  it('votes no more on what was decided, recovered or finished meanwhile', () => {
    const replica = fullReplica();
    const names: Name[] = [1, 2, 3].map((number): Name => ['n2', 1, number]);
    names.forEach((name, i) => replica.enter((participant) => participant.onPrepare('n2', prepare(bodyOf({}, { [`${a}${i}`]: 'x' }), name))));
    const [decided, recovered, finished] = names as [Name, Name, Name];
    replica.enter((participant) => {
      participant.onDecide('n3', decide(ABORT, null, decided));
      participant.onRecover('n3', recover(1, 'n3', recovered));
      participant.onMarks('n2', 1, [Tag.marks, 4, [1, 2]]);
    });
    const answers = replica.settle().filter(([to]) => to === 'n2').map(([, message]) => message);
    expect(answers).toEqual([[Tag.decide, ...decided, ABORT, null], [Tag.vote, ...recovered, Vote.superseded, 0, null, null], [Tag.finished, ...finished, ABORT]]);
    expect(replica.ledger.locks.size).toBe(0);
  });
});

describe('a recover', () => {
  it('is promised durably, with the vote, what was accepted and the body', () => {
    let replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    say(replica, 'n2', accept(0, 'n2', 120));
    expect(say(replica, 'n3', recover(1, 'n3'))).toEqual(durably([Tag.promise, ...txn, 1, 'n3', Vote.ok, 100, 7, 0, 0, 'n2', 120, bytes]));
    replica = replica.crash(0);
    expect(say(replica, 'n4', recover(1, 'n2'))).toEqual(atOnce([Tag.rejected, ...txn, 1, 'n2', 1, 'n3']));
    const [again] = say(replica, 'n4', recover(1, 'n4')).durably;
    expect(again?.slice(0, 13)).toEqual([Tag.promise, ...txn, 1, 'n4', Vote.ok, 100, 7, 0, 0, 'n2', 120]);
    expect(Buffer.compare(again?.[13] as Uint8Array, bytes)).toBe(0);
  });

  it('of what was never seen here is promised with no vote, and none will be cast', () => {
    let replica = Replica.open(topology);
    expect(say(replica, 'n3', recover(1, 'n3'))).toEqual(durably([Tag.promise, ...txn, 1, 'n3', Vote.none, 0, 0, 0, -1, '', UNDECIDED, null]));
    replica = replica.crash(0);
    expect(say(replica, 'n2', prepare()).atOnce).toEqual([[Tag.vote, ...txn, Vote.superseded, 0, null, null]]);
  });

  it('of a ballot that is not above the promised one is refused', () => {
    const replica = Replica.open(topology);
    say(replica, 'n3', recover(2, 'n3'));
    for (const [round, proposer] of [[1, 'n4'], [2, 'n2'], [2, 'n3']] as const) {
      expect(say(replica, 'n4', recover(round, proposer))).toEqual(atOnce([Tag.rejected, ...txn, round, proposer, 2, 'n3']));
    }
    expect(say(replica, 'n4', recover(2, 'n4')).durably).toHaveLength(1);
  });

  it('is answered with the outcome where it is known', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    say(replica, 'n3', decide(130));
    expect(say(replica, 'n3', recover(1, 'n3'))).toEqual(atOnce([Tag.decide, ...txn, 130, bytes]));
    replica.enter((participant) => participant.onMarks('n2', 1, [Tag.marks, 10, []]));
    replica.settle();
    expect(say(replica, 'n3', recover(1, 'n3'))).toEqual(atOnce([Tag.finished, ...txn, 130]));
  });
});

describe('an accept', () => {
  it('is acknowledged when it is durable, and raises the promise', () => {
    let replica = Replica.open(topology);
    expect(say(replica, 'n3', accept(2, 'n3', 120))).toEqual(durably([Tag.accepted, ...txn, 2, 'n3']));
    replica = replica.crash(0);
    expect(say(replica, 'n4', recover(2, 'n2')).atOnce).toEqual([[Tag.rejected, ...txn, 2, 'n2', 2, 'n3']]);
    expect(say(replica, 'n4', accept(2, 'n2', ABORT)).atOnce).toEqual([[Tag.rejected, ...txn, 2, 'n2', 2, 'n3']]);
    expect(say(replica, 'n4', accept(2, 'n3', 120)).durably).toEqual([[Tag.accepted, ...txn, 2, 'n3']]);
    expect(say(replica, 'n2', prepare()).atOnce).toEqual([[Tag.vote, ...txn, Vote.superseded, 0, null, null]]);
  });

  it('of the coordinator is granted until somebody else has a promise', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    expect(say(replica, 'n2', accept(0, 'n2', 120)).durably).toEqual([[Tag.accepted, ...txn, 0, 'n2']]);
    say(replica, 'n3', recover(1, 'n3'));
    expect(say(replica, 'n2', accept(0, 'n2', 120))).toEqual(atOnce([Tag.rejected, ...txn, 0, 'n2', 1, 'n3']));
    expect(say(replica, 'n3', accept(1, 'n3', ABORT)).durably).toHaveLength(1);
  });

  it('of what is decided or finished is answered with the outcome, and changes nothing', () => {
    const replica = Replica.open(topology);
    say(replica, 'n3', decide(ABORT));
    expect(say(replica, 'n3', accept(3, 'n3', 120))).toEqual(atOnce([Tag.decide, ...txn, ABORT, null]));
    replica.enter((participant) => participant.onMarks('n2', 1, [Tag.marks, 10, []]));
    replica.settle();
    expect(say(replica, 'n3', accept(3, 'n3', 120))).toEqual(atOnce([Tag.finished, ...txn, ABORT]));
    expect(replica.ledger.recordCount).toBe(0);
  });
});

describe('an outcome', () => {
  it('applies what the vote holds, releases the locks, and is acknowledged to the coordinator when it is durable', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    expect(replica.enter((participant) => participant.onDecide('n2', decide(120)))).toEqual([]);
    expect([replica.text(a), replica.store.head(a)?.version, replica.ledger.locks.size, replica.ledger.readWatermark(home)]).toEqual(['x', 120, 0, 120]);
    expect(replica.settle()).toEqual([['n2', [Tag.decided, 'n2', 1, [5]]]]);
  });

  it('survives a crash with its data, though its body was journalled with the vote only', () => {
    let replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    say(replica, 'n2', decide(120));
    replica = replica.crash(0);
    expect([replica.text(a), replica.ledger.locks.size, replica.ledger.readWatermark(home)]).toEqual(['x', 0, 120]);
  });

  it.each(['before', 'during', 'after'])('survives a crash %s the checkpoint that follows a vote of long ago', (when) => {
    let replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    const first = replica.store.segment;
    for (let number = 1; number <= 20; number++) {
      replica.ledger.enter([Kind.outcome, 'n3', 1, number, 100 + number, bodyOf({}, { [`${c}${number}`]: 'x'.repeat(2_000) })]);
      replica.runtime.advance(100);
    }
    expect(replica.store.segment).toBeGreaterThan(first + 5);
    say(replica, 'n2', decide(120));
    if (when === 'during') {
      replica.runtime.leap(1_000);
      for (let i = 0; i < 5; i++) replica.runtime.step();
    } else if (when === 'after') replica.runtime.advance(3_000);
    replica = replica.crash(0);
    expect([replica.text(a), replica.store.head(a)?.version, replica.ledger.locks.size, replica.ledger.readWatermark(home)]).toEqual(['x', 120, 0, 120]);
  });

  it('of an abort releases the locks and leaves the data', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    expect(say(replica, 'n2', decide(ABORT)).durably).toEqual([[Tag.decided, 'n2', 1, [5]]]);
    expect([replica.text(a), replica.ledger.locks.size]).toEqual([undefined, 0]);
  });

  it('brings its body to who did not vote; without one, nothing is learned and nothing acknowledged', () => {
    const replica = Replica.open(topology);
    expect(say(replica, 'n2', decide(120))).toEqual(atOnce());
    expect(replica.ledger.recordCount).toBe(0);
    expect(say(replica, 'n2', decide(120, bytes)).durably).toEqual([[Tag.decided, 'n2', 1, [5]]]);
    expect(replica.text(a)).toBe('x');
  });

  it('from a recoverer is applied, but acknowledged only to the coordinator, when that tells it too', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare());
    expect(say(replica, 'n3', decide(120))).toEqual(atOnce());
    expect(replica.text(a)).toBe('x');
    expect(say(replica, 'n2', decide(120)).durably).toEqual([[Tag.decided, 'n2', 1, [5]]]);
  });

  it('of what is finished is acknowledged and changes nothing', () => {
    const replica = Replica.open(topology);
    replica.enter((participant) => participant.onMarks('n2', 1, [Tag.marks, 10, []]));
    replica.settle();
    expect(say(replica, 'n2', decide(120, bytes)).durably).toEqual([[Tag.decided, 'n2', 1, [5]]]);
    expect([replica.text(a), replica.ledger.recordCount]).toEqual([undefined, 0]);
  });

  it('is written for its own sake only where the coordinator waits to hear of it', () => {
    for (const [protocol, hurried] of [[dtp, false], [optimized, false], [twoPhase, true]] as const) {
      const replica = Replica.open(topology);
      replica.runtime.idle = () => {};
      say(replica, 'n2', prepare(bytes, txn, 100, 7, protocol));
      const acknowledgement = [Tag.decided, 'n2', 1, [5]];
      expect(say(replica, 'n2', decide(120)).durably).toEqual(hurried ? [acknowledgement] : []);
      replica.store.flush();
      expect(replica.settle()).toEqual(hurried ? [] : [['n2', acknowledgement]]);
    }
  });

  it('of an abort that is presumed releases the locks and is not acknowledged', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', prepare(bytes, txn, 100, 7, optimized));
    expect(say(replica, 'n2', decide(ABORT))).toEqual(atOnce());
    expect([replica.ledger.locks.size, replica.text(a)]).toEqual([0, undefined]);
  });

  it('that contradicts the one known stops the node', () => {
    const replica = Replica.open(topology);
    say(replica, 'n2', decide(ABORT));
    expect(() => say(replica, 'n3', decide(120, bytes))).toThrow(/n2:1:5 decided twice: 0 and 120/);
  });

  it('is acknowledged together with all the others of one turn, a message for each coordinator', () => {
    const replica = Replica.open(topology);
    const sent = replica.enter((participant) => {
      for (const number of [1, 2, 3]) participant.onDecide('n2', decide(ABORT, null, ['n2', 1, number]));
      participant.onDecide('n3', decide(ABORT, null, ['n3', 4, 9]));
    });
    expect(sent).toEqual([]);
    expect(replica.settle()).toEqual([['n2', [Tag.decided, 'n2', 1, [1, 2, 3]]], ['n3', [Tag.decided, 'n3', 4, [9]]]]);
  });
});

describe('marks', () => {
  it('let go of what is finished when they are durable, and of nothing else', () => {
    let replica = Replica.open(topology);
    for (const number of [1, 2, 3]) say(replica, 'n2', decide(ABORT, null, ['n2', 1, number]));
    say(replica, 'n2', decide(ABORT, null, ['n2', 2, 1]));
    say(replica, 'n2', prepare(bytes, ['n2', 1, 4]));
    expect(replica.enter((participant) => participant.onMarks('n2', 1, [Tag.marks, 4, [2]]))).toEqual([]);
    expect(replica.ledger.recordCount, 'not yet durable').toBe(5);
    replica.settle();
    const left = (): number[][] => [...replica.ledger.lives].flatMap(({ incarnation, records }) => [...records.keys()].map((number) => [incarnation, number])).sort();
    expect(left()).toEqual([[1, 2], [1, 4], [2, 1]]);
    replica = replica.crash(0);
    expect(left()).toEqual([[1, 2], [1, 4], [2, 1]]);
    expect(replica.holder(a, false)?.number).toBe(4);
  });
});
