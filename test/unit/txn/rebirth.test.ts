/** What a node says that has forgotten, and what others say to it, rule by rule. */
import { describe, expect, it } from 'vitest';
import { ABORT, Tag, UNDECIDED, Vote, type Key, type Message } from '../../../client/wire/messages.ts';
import { mayCome, succeeds, type Floor, type Life } from '../../../node/cluster/succession.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Founding } from '../../../node/heal/founding.ts';
import { Acquaintance } from '../../../node/txn/acquaintance.ts';
import { Floors } from '../../../node/txn/floors.ts';
import { Gate } from '../../../node/txn/gate.ts';
import { Kind } from '../../../node/store/records.ts';
import { bodyOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const topology = new Topology(viewOf(3), 'n1');
const home = partitionWhere(topology, () => true);
const [a] = keysIn(topology, home, 1) as [Key];
const life = (fields: Partial<Life> = {}): Life => ({ storeId: 'disk', incarnation: 8, rebornAt: 0, nonce: 5, ...fields });
const floor = (fields: Partial<Floor> = {}): Floor => ({ ...life(), position: 100, ...fields });

/** The replica n1, closed, marked as lost and opened again. */
function reborn(before: Replica = Replica.open(topology), above = 8): Replica {
  before.store.standing.lose({ above, why: 'of a test' }, () => {});
  before.runtime.settle();
  return before.crash(1);
}

describe('the succession of lives', () => {
  it.each<[what: string, known: Floor | null, next: Life, position: number, mayCome: boolean]>([
    ['anybody is let in where nothing is known', null, life({ storeId: 'any' }), 0, true],
    ['the next life', floor(), life({ incarnation: 9 }), 100, true],
    ['the next life, which has forgotten the end of this one', floor(), life({ incarnation: 9 }), 99, false],
    ['the same life again', floor(), life(), 0, true],
    ['the same life, begun twice', floor(), life({ nonce: 6 }), 100, false],
    ['the same life, of which only hearsay is known', floor({ nonce: 0 }), life({ nonce: 6 }), 0, true],
    ['an earlier life', floor(), life({ incarnation: 7 }), 200, false],
    ['another disk', floor(), life({ storeId: 'new', incarnation: 20 }), 200, false],
    ['a disk reborn above it', floor(), life({ storeId: 'new', incarnation: 20, rebornAt: 20 }), 0, true],
    ['a later life of a disk reborn above it', floor(), life({ storeId: 'new', incarnation: 30, rebornAt: 20 }), 0, true],
    ['a disk reborn at it', floor(), life({ storeId: 'new', incarnation: 20, rebornAt: 8 }), 0, false],
    ['the former self of a reborn one', floor({ storeId: 'new', incarnation: 20, rebornAt: 20 }), life({ incarnation: 9 }), 200, false],
  ])('%s', (_what, known, next, position, allowed) => {
    expect(mayCome(known, next, position)).toBe(allowed);
    if (succeeds(known, next)) expect(mayCome(known, next, 1_000)).toBe(true);
  });
});

describe('floors', () => {
  it('rise along the succession, tell of rebirths, and come back from the disk', () => {
    const floors = new Floors();
    floors.raise('n2', life());
    floors.reached('n2', 8, 70);
    floors.reached('n2', 8, 60);
    floors.reached('n2', 9, 80);
    const before = floors.rebirths;
    floors.raise('n2', life({ storeId: 'wiped', incarnation: 30 }));
    expect(floors.of('n2')).toEqual(floor({ position: 70 }));
    floors.raise('n2', life({ storeId: 'new', incarnation: 20, rebornAt: 20 }));
    expect([floors.of('n2')?.position, [...floors.rebirths], before.size, floors.rebirthCount]).toEqual([0, [['n2', 20]], 0, 1]);
    floors.fence('n3', 4, 1_025);
    floors.fence('n3', 9, 2_049);
    const again = new Floors();
    again.restore(JSON.parse(JSON.stringify(floors.stored())) as ReturnType<Floors['stored']>);
    again.restoreFences(JSON.parse(JSON.stringify(floors.storedFences())) as ReturnType<Floors['storedFences']>);
    expect([again.of('n2'), [...again.rebirths], again.isFenced('n3'), again.isFenced('n2')]).toEqual([floors.of('n2'), [['n2', 20]], true, false]);
    const before3 = (incarnation: number, number: number): boolean => again.isBeforeFence({ node: 'n3', incarnation, number });
    expect([before3(3, 9_999), before3(4, 1_024), before3(4, 1_025), before3(5, 1)]).toEqual([true, true, false, false]);
    expect(again.isBeforeFence({ node: 'n2', incarnation: 99, number: 1 })).toBe(true);
  });
});

describe('the gate', () => {
  it('is open to coordinators that have told of every rebirth, in this session and before the prepare', () => {
    const floors = new Floors();
    const gate = new Gate('n1', floors);
    expect(gate.isOpenTo(gate.toldBy('n2'))).toBe(true);
    const early = gate.toldBy('n2');
    floors.raise('n3', life({ rebornAt: 8 }));
    expect([gate.isOpenTo(gate.toldBy('n2')), gate.isOpenTo(gate.toldBy('n1'))]).toEqual([false, true]);
    gate.heard('n2', new Map([['n3', 7]]));
    expect(gate.isOpenTo(gate.toldBy('n2'))).toBe(false);
    gate.heard('n2', new Map([['n3', 8]]));
    expect([gate.isOpenTo(gate.toldBy('n2')), gate.isOpenTo(early)]).toEqual([true, false]);
    gate.forget('n2');
    expect(gate.isOpenTo(gate.toldBy('n2'))).toBe(false);
  });
});

describe('a store that is opened with the mark of loss', () => {
  it('has another name and a life above all others, keeps its data, forgets its transactions, and is in doubt of everything', () => {
    const before = Replica.open(topology);
    before.ledger.enter([Kind.outcome, 'n2', 1, 5, 60, bodyOf({}, { [a]: 'x' })]);
    before.ledger.enter([Kind.marks, 'n2', 1, 9, []]);
    before.runtime.advance(2_000);
    before.ledger.enter([Kind.prepared, 'n2', 1, 20, 7, 0, 70, bodyOf({}, { [a]: 'y' })]);
    before.settle();
    const after = reborn(before);
    expect(after.store.storeId).not.toBe(before.store.storeId);
    expect(after.store.incarnation).toBeGreaterThan(8);
    expect(after.store.standing.life.rebornAt).toBe(after.store.incarnation);
    expect(after.store.doubts.count).toBe(16);
    expect([after.text(a), after.holder(a, true), after.ledger.recordCount, after.ledger.undecided.size]).toEqual(['x', null, 0, 0]);
    const next = after.crash(0);
    expect([next.store.storeId, next.store.incarnation, next.store.standing.life.rebornAt, next.store.doubts.count]).toEqual([after.store.storeId, after.store.incarnation + 1, after.store.incarnation, 16]);
    const twice = reborn(next, next.store.incarnation + 1_000);
    expect(twice.store.incarnation).toBeGreaterThan(next.store.incarnation + 1_000);
  });

  it('is whole or not at all, wherever a crash comes', () => {
    for (const share of [0, 1]) {
      const before = Replica.open(topology);
      before.store.standing.lose({ above: 8, why: 'of a test' }, () => {});
      before.runtime.settle();
      const disk = before.runtime.crash(1);
      const opening = Replica.open(topology, disk);
      const again = Replica.open(topology, opening.runtime.crash(share));
      expect([again.store.standing.life.rebornAt > 8, again.store.doubts.count]).toEqual([true, 16]);
    }
  });
});

describe('a node that was reborn', () => {
  const old = ['n2', 4, 1_000] as const;
  const fresh = ['n2', 4, 1_025] as const;
  const say = (replica: Replica, message: Message): Message[] => [...replica.enter((participant) => {
    if (message[0] === Tag.recover) participant.onRecover('n3', message);
    if (message[0] === Tag.accept) participant.onAccept('n3', message);
    if (message[0] === Tag.decide) participant.onDecide('n2', message);
    if (message[0] === Tag.prepare) participant.onPrepare('n2', message);
  }), ...replica.settle()].map(([, answer]) => answer);

  it('says nothing of transactions that began before the fence, and all of those that began behind it', () => {
    const replica = reborn();
    for (const id of [old, fresh]) expect(say(replica, [Tag.recover, ...id, 1, 'n3', 7])).toEqual([[Tag.forgot, ...id, 1, 'n3']]);
    replica.ledger.lives.floors.fence('n2', 4, 1_025);
    expect(say(replica, [Tag.recover, ...old, 1, 'n3', 7])).toEqual([[Tag.forgot, ...old, 1, 'n3']]);
    expect(say(replica, [Tag.accept, ...old, 1, 'n3', 90])).toEqual([[Tag.forgot, ...old, 1, 'n3']]);
    expect(say(replica, [Tag.recover, ...fresh, 1, 'n3', 7])).toMatchObject([[Tag.promise, ...fresh, 1, 'n3', Vote.none, 0, 0, 0, -1, '', -1, null]]);
    const own = ['n1', 8, 3] as const;
    expect(say(replica, [Tag.recover, ...own, 1, 'n3', 7])).toEqual([[Tag.forgot, ...own, 1, 'n3']]);
  });

  it('takes in, applies and acknowledges outcomes of any, and speaks of those from then on', () => {
    const replica = reborn();
    expect(say(replica, [Tag.decide, ...old, 90, bodyOf({}, { [a]: 'late' })])).toEqual([[Tag.decided, 'n2', 4, [1_000]]]);
    expect(replica.text(a)).toBe('late');
    expect(say(replica, [Tag.recover, ...old, 1, 'n3', 7])).toEqual([[Tag.decide, ...old, 90, null]]);
  });

  it('votes on none that its former self may have promised not to vote for', () => {
    const replica = reborn();
    for (let partition = 0; partition < 16; partition++) replica.store.doubts.trust(partition);
    replica.ledger.lives.floors.fence('n2', 4, 1_025);
    const prepare = (id: readonly [string, number, number]): Message => [Tag.prepare, ...id, 7, 50, 0, bodyOf({}, { [a]: 'z' })];
    expect(say(replica, prepare(old))[0]?.slice(0, 5)).toEqual([Tag.vote, ...old, Vote.unsure]);
    expect(say(replica, prepare(fresh))[0]?.slice(0, 5)).toEqual([Tag.vote, ...fresh, Vote.ok]);
    expect(say(replica, [Tag.recover, ...fresh, 1, 'n3', 7])[0]?.slice(0, 7)).toEqual([Tag.promise, ...fresh, 1, 'n3', Vote.ok]);
  });

  it('that is reborn once more has forgotten where the fences of the life before stood', () => {
    const first = reborn();
    first.ledger.lives.floors.fence('n2', 4, 1_025);
    first.runtime.advance(10_000);
    first.settle();
    const again = first.crash(1);
    expect(again.ledger.lives.floors.isFenced('n2')).toBe(true);
    const second = reborn(again, 2 ** 40);
    expect(second.ledger.lives.floors.isFenced('n2')).toBe(false);
    expect(say(second, [Tag.recover, ...fresh, 1, 'n3', 7])).toEqual([[Tag.forgot, ...fresh, 1, 'n3']]);
  });

  it('does not take for aborted what it has no outcome of', () => {
    const replica = reborn();
    replica.ledger.lives.floors.fence('n2', 4, 1_025);
    const outcome = ([node, incarnation, number]: readonly [string, number, number]): number => replica.ledger.outcomeOfFinished({ node, incarnation, number });
    expect([outcome(old), outcome(fresh), outcome(['n1', 8, 1])]).toEqual([UNDECIDED, ABORT, UNDECIDED]);
  });

  it('gives no vote to coordinators that have not heard of somebody’s rebirth', () => {
    const replica = Replica.open(topology);
    const floors = replica.ledger.lives.floors;
    const gate = new Gate('n1', floors);
    floors.raise('n3', life({ rebornAt: 8 }));
    expect(gate.isOpenTo(gate.toldBy('n2'))).toBe(false);
  });
});

describe('acquaintance', () => {
  function open() {
    const replica = Replica.open(topology);
    const gate = new Gate('n1', replica.ledger.lives.floors);
    const log: string[] = [];
    const acquaintance = new Acquaintance({
      topology, store: replica.store, ledger: replica.ledger, gate, during: (work) => replica.loopback.during(work),
      part: (node) => log.push(`part ${node}`), tell: (nodes) => log.push(`tell ${nodes.join()}`), reborn: (node) => log.push(`reborn ${node}`),
      known: (by) => log.push(`known by ${by}`), refused: (by, above) => log.push(`refused by ${by}, above ${above}`),
    });
    return { replica, gate, log, acquaintance };
  }

  it('makes a rebirth durable, then parts with the former self, then tells everybody', () => {
    const { replica, log, acquaintance } = open();
    acquaintance.heard('n2', 7, new Map([['n3', life({ storeId: 'new', incarnation: 20, rebornAt: 20 })], ['n9', life()]]));
    expect([log, replica.ledger.lives.floorOf('n3')]).toEqual([[], null]);
    replica.settle();
    expect(log).toEqual(['part n3', 'reborn n3', 'tell n1,n2,n3']);
    expect(replica.crash(0).ledger.lives.floors.rebirths.get('n3')).toBe(20);
  });

  it('tells who is met in the life that is known, and forgets what it had told', () => {
    const { replica, gate, log, acquaintance } = open();
    acquaintance.met('n2', life());
    replica.settle();
    gate.heard('n2', new Map([['n3', 8]]));
    acquaintance.met('n2', life());
    replica.settle();
    expect([log, gate.toldBy('n2').size]).toEqual([['part n2', 'tell n1,n2,n3', 'tell n2'], 0]);
  });

  it('finds out what others know of this node', () => {
    const { replica, log, acquaintance } = open();
    const { storeId, nonce, incarnation } = replica.store.standing.life;
    const told: Life[] = [
      life({ storeId, incarnation, nonce }), life({ storeId, incarnation, nonce: nonce + 1 }), life({ storeId, incarnation: incarnation + 1, nonce }), life({ storeId, incarnation: incarnation - 1 }),
      // Of two disks, one of which is not reborn, the greater number is not the later one.
      life({ storeId: 'another', incarnation }), life({ storeId: 'another', incarnation: 1 }),
    ];
    for (const each of told) acquaintance.heard('n2', 0, new Map([['n1', each]]));
    expect(log).toEqual(['known by n2', `refused by n2, above ${incarnation}`, `refused by n2, above ${incarnation + 1}`, `refused by n2, above ${incarnation}`, 'refused by n2, above 1']);
  });
});

describe('founding', () => {
  it('waits for all others at once, each of which must know this very life', () => {
    const doubted: number[] = [];
    let founded = 0;
    const standing = { isUnfounded: true, found: () => void (founded++, (standing.isUnfounded = false)) };
    const doubts = { doubt: (partitions: Iterable<number>) => doubted.push(...partitions) };
    const founding = new Founding({ topology, store: { standing, doubts: doubts as never, storeId: 'disk', incarnation: 1 }, log: { info: () => {} } });
    expect(doubted.length).toBe(16);
    founding.onKnown('n2', 'disk', 1);
    founding.onKnown('n3', 'another disk', 1);
    founding.onKnown('n3', 'disk', 0);
    founding.peerDown('n2');
    founding.onKnown('n3', 'disk', 1);
    expect(founded).toBe(0);
    founding.onKnown('n2', 'disk', 1);
    founding.onKnown('n2', 'disk', 1);
    expect(founded).toBe(1);
  });
});
