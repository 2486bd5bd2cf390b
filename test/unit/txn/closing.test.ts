import { describe, expect, it } from 'vitest';
import { ABORT, Tag, type Key } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind } from '../../../node/store/records.ts';
import { Closing } from '../../../node/txn/closing.ts';
import { bodyOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { keysIn, viewOf } from './topologies.ts';

const topology = new Topology(viewOf(3), 'n1');
const [a] = keysIn(topology, 0, 1) as [Key];

/** Of claims, what closing is about. */
const brief = (claims: readonly (string | number)[]): (string | number)[] => claims.filter((_field, i) => [0, 2, 5].includes(i % 6));

function open(): { replica: Replica; closing: Closing; meet: (node: string, incarnation: number) => void; claims: () => unknown } {
  const replica = Replica.open(topology);
  const { ledger, outbox, store, loopback } = replica;
  const closing = new Closing({ topology, ledger, outbox, store, during: (work) => loopback.during(work) });
  const meet = (node: string, incarnation: number): void => {
    ledger.enterDurably([Kind.floor, node, 'disk', incarnation]);
    replica.settle();
  };
  const claims = (): unknown => {
    closing.tick();
    const sent = replica.settle();
    if (sent.length === 0) return null;
    expect(sent.map(([to]) => to)).toEqual(['n1', 'n2', 'n3']);
    const [, , told] = sent[0]?.[1] as [number, number, (string | number)[]];
    return brief(told);
  };
  return { replica, closing, meet, claims };
}

describe('the claims of a node', () => {
  it('name every node that was met, in its newest life', () => {
    const { meet, claims } = open();
    expect(claims()).toEqual([]);
    meet('n2', 1);
    expect(claims()).toEqual(['n2', 1, 1]);
    meet('n2', 2);
    meet('n1', 5);
    expect(claims()).toEqual(['n1', 5, 1, 'n2', 2, 1]);
  });

  it('say whether something from an earlier life is undecided here', () => {
    const { replica, meet, claims } = open();
    meet('n2', 3);
    replica.ledger.enter([Kind.prepared, 'n2', 3, 1, 7, 0, 50, bodyOf({}, { [a]: 'of this life' })]);
    expect(claims()).toEqual(['n2', 3, 1]);
    replica.ledger.enter([Kind.outcome, 'n2', 3, 1, ABORT, null]);
    replica.ledger.enter([Kind.prepared, 'n2', 2, 1, 7, 0, 50, bodyOf({}, { [a]: 'of the life before' })]);
    expect(claims()).toEqual(['n2', 3, 0]);
    replica.ledger.enter([Kind.outcome, 'n2', 2, 1, ABORT, null]);
    expect(claims()).toEqual(['n2', 3, 1]);
  });

  it('are told when all they rest on is durable: an outcome that a crash takes back would be undecided again, here alone', () => {
    const { replica, closing, meet } = open();
    meet('n2', 3);
    replica.ledger.enter([Kind.prepared, 'n2', 2, 1, 7, 0, 50, bodyOf({}, { [a]: 'x' })]);
    replica.settle();
    replica.ledger.enter([Kind.outcome, 'n2', 2, 1, ABORT, null]);
    closing.tick();
    expect(replica.outbox.take()).toEqual([]);
    expect(replica.settle().map(([, message]) => brief(message[2] as (string | number)[]))).toEqual([['n2', 3, 1], ['n2', 3, 1], ['n2', 3, 1]]);
  });
});

const about = (node: string, floor: number, clear: number): (string | number)[] => [node, `disk of ${node}`, floor, 0, 0, clear];

describe('dead lives', () => {
  it('are closed, durably, when all members are clear of them, up to the lowest floor', () => {
    const { replica, closing } = open();
    const { lives } = replica.ledger;
    replica.ledger.enter([Kind.outcome, 'n2', 2, 1, ABORT, null]);
    closing.onClaims('n1', [Tag.claims, 0, [...about('n2', 5, 1)]]);
    closing.onClaims('n2', [Tag.claims, 0, [...about('n2', 4, 1)]]);
    replica.settle();
    expect([lives.closedBelow('n2'), replica.ledger.recordCount]).toEqual([0, 1]);
    closing.onClaims('n3', [Tag.claims, 0, [...about('n2', 5, 0)]]);
    replica.settle();
    expect(lives.closedBelow('n2'), 'n3 holds something undecided').toBe(0);
    closing.onClaims('n3', [Tag.claims, 0, [...about('n1', 2, 1), ...about('n2', 5, 1)]]);
    expect(lives.closedBelow('n2'), 'not yet durable').toBe(0);
    replica.settle();
    expect([lives.closedBelow('n2'), lives.closedBelow('n1'), replica.ledger.recordCount]).toEqual([4, 0, 0]);
    expect(replica.crash(0).ledger.lives.closedBelow('n2')).toBe(4);
  });

  it('stay closed whatever is claimed later', () => {
    const { replica, closing } = open();
    for (const node of ['n1', 'n2', 'n3']) closing.onClaims(node, [Tag.claims, 0, [...about('n2', 5, 1)]]);
    replica.settle();
    for (const node of ['n1', 'n2', 'n3']) closing.onClaims(node, [Tag.claims, 0, [...about('n2', 3, 1)]]);
    replica.settle();
    expect(replica.ledger.lives.closedBelow('n2')).toBe(5);
    expect(replica.ledger.isFinished({ node: 'n2', incarnation: 4, number: 99 })).toBe(true);
  });
});
