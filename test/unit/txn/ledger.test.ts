/** The ledger on a disk that crashes: after every restart it is what the records that reached the disk make of it. */
import { describe, expect, it } from 'vitest';
import { ABORT, formatTxnId, UNDECIDED, Vote, type Key, type TxnId } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { Random } from '../../sim/random.ts';
import { bodyOf } from './bodies.ts';
import { LedgerModel, viewOfReplica } from './ledger-model.ts';
import { Replica, retentionMs } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const topology = new Topology(viewOf(4), 'n1');
const away = partitionWhere(topology, (members) => !members.includes('n1'));
const [here, here2] = [0, 1].map((skip) => partitionWhere(topology, (members, partition) => members.includes('n1') && partition >= 8 * skip)) as [number, number];
const keys: readonly Key[] = [...keysIn(topology, here, 3), ...keysIn(topology, here2, 2), ...keysIn(topology, away, 1)];
const names = ['n1', 'n2', 'n3', 'n4'];

/** Random but lawful records, as handlers would enter them, with crashes at any point; the model sees what reached the disk. */
class Run {
  readonly #random: Random;
  #replica = Replica.open(topology);
  #model = new LedgerModel(topology);
  /** Entered since the model's state, in order. */
  #pending: JournalRecord[] = [];
  /** How many of them are known to be durable. */
  #durable = 0;
  readonly #ids: TxnId[] = [];
  readonly #incarnations = new Map(names.map((name) => [name, 1]));
  readonly #numbers = new Map<string, number>();

  constructor(seed: number) {
    this.#random = new Random(`ledger ${seed}`);
  }

  get replica(): Replica {
    return this.#replica;
  }

  step(): void {
    const actions: [weight: number, action: () => void][] = [
      [10, () => this.#prepare()],
      [4, () => this.#promiseOrAccept()],
      [8, () => this.#decide()],
      [2, () => this.#mark()],
      [1, () => this.#liveOn()],
      [6, () => void this.#replica.runtime.step()],
      [3, () => this.#replica.runtime.advance(this.#random.below(1_500))],
      [2, () => this.crash()],
    ];
    let at = this.#random.below(actions.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, action] of actions) {
      if (at < weight) return action();
      at -= weight;
    }
  }

  /** Ends this life in the middle of whatever the disk does; the next one must be the fold of a prefix that has all that was durable. */
  crash(): void {
    this.#replica = this.#replica.crash(this.#random.float());
    const found = JSON.stringify(viewOfReplica(this.#replica, this.#ids, keys));
    for (const record of this.#pending.splice(0, this.#durable)) this.#model.apply(record);
    this.#durable = 0;
    const durable = this.#model.view(this.#ids, keys);
    while (JSON.stringify(this.#model.view(this.#ids, keys)) !== found) {
      const next = this.#pending.shift();
      // No prefix fits: show what differs from the least there must be.
      if (next === undefined) expect(JSON.parse(found), 'after a crash').toEqual(durable);
      else this.#model.apply(next);
    }
    this.#pending = [];
    this.#checkDigests();
  }

  /** With all on the disk, memory is what the model says. */
  settle(): void {
    this.#replica.runtime.settle();
    for (const record of this.#pending.splice(0)) this.#model.apply(record);
    this.#durable = 0;
    expect(viewOfReplica(this.#replica, this.#ids, keys)).toEqual(this.#model.view(this.#ids, keys));
    this.#checkDigests();
  }

  /** Decides everything and has all coordinators say that it is finished. */
  finish(): void {
    for (const record of [...this.#replica.ledger.undecided]) this.#enter([Kind.outcome, ...nameOf(record.id), ABORT, null]);
    this.settle();
    for (const [life, number] of this.#numbers) {
      const [node, incarnation] = life.split(':') as [string, string];
      this.#enterDurably([Kind.marks, node, Number(incarnation), number + 1, []]);
    }
  }

  #enter(record: JournalRecord): void {
    this.#replica.ledger.enter(record);
    this.#note(record);
  }

  /** Marks and the like take effect in memory when they are durable, so nothing is left under way around them. */
  #enterDurably(record: JournalRecord): void {
    this.settle();
    this.#replica.ledger.enterDurably(record);
    this.#note(record);
    this.settle();
  }

  #note(record: JournalRecord): void {
    this.#pending.push(record);
    const count = this.#pending.length;
    const { replica } = this;
    replica.store.whenDurable(() => {
      if (replica === this.#replica) this.#durable = Math.max(this.#durable, Math.min(count, this.#pending.length));
    });
  }

  #newId(): TxnId {
    const node = this.#random.pick(names);
    const incarnation = this.#incarnations.get(node) as number;
    const life = `${node}:${incarnation}`;
    const number = (this.#numbers.get(life) ?? 0) + 1 + this.#random.below(3);
    this.#numbers.set(life, number);
    const id = { node, incarnation, number };
    this.#ids.push(id);
    return id;
  }

  #someId(): TxnId {
    const { ledger } = this.#replica;
    const open = this.#ids.filter((id) => !ledger.isFinished(id) && (ledger.find(id)?.outcome ?? UNDECIDED) === UNDECIDED);
    return open.length === 0 || this.#random.chance(0.2) ? this.#newId() : this.#random.pick(open);
  }

  #someBody(): Uint8Array {
    const chosen = this.#random.shuffled(keys).slice(0, 1 + this.#random.below(3));
    const writes = chosen.filter((_, i) => i === 0 || this.#random.chance(0.5));
    const reads = chosen.filter((key) => !writes.includes(key) || this.#random.chance(0.3));
    const text = (): string | null => (this.#random.chance(0.2) ? null : 'v'.repeat(this.#random.below(600)) + this.#random.uint32());
    return bodyOf(
      Object.fromEntries(reads.map((key) => [key, this.#replica.store.head(key)?.version ?? 0])),
      Object.fromEntries(writes.map((key) => [key, text()])),
    );
  }

  #prepare(): void {
    const { ledger, clock } = this.#replica;
    const id = this.#newId();
    const bytes = this.#someBody();
    const body = ledger.parse(bytes);
    if (ledger.objection(body) !== null) return;
    this.#enter([Kind.prepared, ...nameOf(id), 7, 0, ledger.timestampFor(body, clock.next()), bytes]);
  }

  #promiseOrAccept(): void {
    const id = this.#someId();
    const { round, proposer } = this.#replica.ledger.find(id)?.promised ?? { round: 0, proposer: '' };
    const next = this.#random.pick(names);
    if (this.#random.chance(0.5)) return this.#enter([Kind.promised, ...nameOf(id), round + 1, next]);
    // Round 0 is the coordinator's own; a ballot that was promised may be accepted, and one above it. One has one value.
    const acceptor = round === 0 ? id.node : next > proposer ? next : proposer;
    this.#enter([Kind.accepted, ...nameOf(id), round, acceptor, (round + acceptor.charCodeAt(1)) % 3 === 0 ? ABORT : 1_000 + round]);
  }

  #decide(): void {
    const id = this.#someId();
    const known = this.#replica.ledger.find(id);
    const commit = this.#random.chance(0.7);
    const body = known?.body ?? (commit ? this.#someBody() : null);
    const decision = commit ? Math.max(known?.timestamp ?? 0, this.#replica.clock.next()) : ABORT;
    // What was journalled with the vote need not be journalled again.
    this.#enter([Kind.outcome, ...nameOf(id), decision, known !== undefined && known.timestamp !== 0 && this.#random.chance(0.7) ? null : body]);
  }

  #mark(): void {
    const { ledger } = this.#replica;
    const node = this.#random.pick(names);
    const life = `${node}:${this.#incarnations.get(node) as number}`;
    const mine = this.#ids.filter(({ node: of, incarnation }) => `${of}:${incarnation}` === life);
    const watermark = Math.max(0, ...mine.map(({ number }) => number)) + 1;
    const open = mine.filter((id) => !ledger.isFinished(id) && (ledger.find(id)?.outcome ?? UNDECIDED) === UNDECIDED);
    const slow = mine.filter((id) => !ledger.isFinished(id) && this.#random.chance(0.2));
    const exceptions = [...new Set([...open, ...slow].map(({ number }) => number))];
    // Exceptions never come back, and neither do numbers that were passed over.
    if (mine.length > 0) this.#enterDurably([Kind.marks, node, this.#incarnations.get(node) as number, watermark, exceptions]);
    this.#numbers.set(life, Math.max(this.#numbers.get(life) ?? 0, watermark));
  }

  /** A node restarts; its former life is closed once nothing of it is undecided here. */
  #liveOn(): void {
    const node = this.#random.pick(names);
    const incarnation = (this.#incarnations.get(node) as number) + 1;
    this.#incarnations.set(node, incarnation);
    this.#enterDurably([Kind.floor, node, 'disk', incarnation]);
    for (const { id } of [...this.#replica.ledger.undecided]) {
      if (id.node === node) this.#enter([Kind.outcome, ...nameOf(id), ABORT, null]);
    }
    this.#enterDurably([Kind.closed, node, incarnation]);
  }

  #checkDigests(): void {
    const { store } = this.#replica;
    for (const partition of [here, here2]) expect(Buffer.compare(store.tree.leaves(partition), store.rebuildLeaves(partition))).toBe(0);
  }
}

const nameOf = ({ node, incarnation, number }: TxnId): [string, number, number] => [node, incarnation, number];

describe('the ledger', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))('is the fold of what reached the disk, whatever crashes (seed %i)', (seed) => {
    const run = new Run(seed);
    for (let i = 0; i < 150; i++) run.step();
    run.settle();
    run.crash();
    run.finish();
    const { ledger, store, runtime } = run.replica;
    expect([ledger.recordCount, ledger.undecided.size, ledger.locks.size]).toEqual([0, 0, 0]);
    runtime.advance(3_000);
    expect(store.stats.journalSegments, 'nothing is left to keep old segments for').toBeLessThan(8);
    run.crash();
  });

  it('keeps what is undecided through any number of journal segments', () => {
    let replica = Replica.open(topology);
    const [a, b] = keysIn(topology, here, 2) as [Key, Key];
    const prepared: TxnId = { node: 'n2', incarnation: 1, number: 1 };
    const promised: TxnId = { node: 'n2', incarnation: 1, number: 2 };
    const bytes = bodyOf({ [b]: 0 }, { [a]: 'kept' });
    replica.ledger.enter([Kind.prepared, ...nameOf(prepared), 7, 0, 50, bytes]);
    replica.ledger.enter([Kind.accepted, ...nameOf(prepared), 0, 'n2', 51]);
    replica.ledger.enter([Kind.promised, ...nameOf(promised), 3, 'n4']);
    for (let number = 10; number < 400; number++) {
      const other = bodyOf({}, { [`other${number % 7}`]: 'x'.repeat(500) });
      replica.ledger.enter([Kind.prepared, 'n3', 1, number, 7, 0, 100 + number, other]);
      replica.ledger.enter([Kind.outcome, 'n3', 1, number, 100 + number, null]);
      replica.runtime.advance(100);
      if (number % 130 === 0) replica = replica.crash(1);
      if (number % 50 === 0) replica.ledger.enterDurably([Kind.marks, 'n3', 1, number, []]);
    }
    replica.runtime.advance(2_000);
    expect(replica.store.stats.journalSegments).toBeLessThan(10);
    replica = replica.crash(1);
    const record = replica.ledger.find(prepared);
    expect(record).toMatchObject({ state: 'prepared', epoch: 7, protocol: 0, timestamp: 50, outcome: UNDECIDED, accepted: { ballot: { round: 0, proposer: 'n2' }, decision: 51 } });
    expect(Buffer.from(record?.body as Uint8Array)).toEqual(Buffer.from(bytes));
    expect(replica.ledger.find(promised)).toMatchObject({ state: 'witnessed', promised: { round: 3, proposer: 'n4' } });
    expect([replica.holder(a, false), replica.holder(b, false), replica.holder(b, true)]).toEqual([prepared, null, prepared]);
    replica.ledger.enter([Kind.outcome, ...nameOf(prepared), 60, null]);
    expect([replica.text(a), replica.holder(a, true), replica.ledger.readWatermark(here)]).toEqual(['kept', null, 60]);
  });

  it.each(['voted for', 'heard of late'])('knows each part of a batch that it has %s until that is finished, and its outcome then, a restart or not', (when) => {
    let replica = Replica.open(topology);
    const [a, b] = keysIn(topology, here, 2) as [Key, Key];
    const [part, batch] = [3, 7].map((number): TxnId => ({ node: 'n2', incarnation: 1, number })) as [TxnId, TxnId];
    const bytes = bodyOf({}, { [a]: 'x', [b]: 'y' }, [part.number]);
    const known = (): unknown => [replica.ledger.find(part)?.outcome, replica.ledger.outcomeOfFinished(part), replica.ledger.find(batch)?.outcome];
    const restart = (): void => {
      replica.runtime.advance(3_000);
      replica = replica.crash(1);
    };
    if (when === 'voted for') {
      replica.ledger.enter([Kind.prepared, ...nameOf(batch), 7, 0, 50, bytes]);
      expect(replica.ledger.find(part)?.id).toEqual(batch);
      replica.ledger.enter([Kind.outcome, ...nameOf(batch), 60, null]);
      expect(known()).toEqual([60, 60, 60]);
      restart();
      expect(known()).toEqual([60, 60, 60]);
    } else {
      replica.ledger.enter([Kind.promised, ...nameOf(part), 1, 'n3']);
    }
    // A number between theirs is not used yet.
    replica.ledger.enterDurably([Kind.marks, 'n2', 1, 5, []]);
    if (when === 'heard of late') replica.ledger.enter([Kind.outcome, ...nameOf(batch), 60, bytes]);
    replica.runtime.settle();
    expect([known(), replica.ledger.recordCount]).toEqual([[undefined, 60, 60], 1]);
    restart();
    expect([known(), replica.ledger.recordCount]).toEqual([[undefined, 60, 60], 1]);
  });

  it('knows the parts of a batch when the vote is in a segment that has gone, and the outcome in one that has not', () => {
    let replica = Replica.open(topology);
    const [a] = keysIn(topology, here, 1) as [Key];
    const [part, batch] = [3, 7].map((number): TxnId => ({ node: 'n2', incarnation: 1, number })) as [TxnId, TxnId];
    // As a restart reads it: the outcome, which names no parts for the vote did, and then the record that was journalled again instead of the vote.
    replica.ledger.replay([Kind.outcome, ...nameOf(batch), 60, null]);
    expect(replica.ledger.find(part)).toBeUndefined();
    replica.ledger.replay([Kind.outcome, ...nameOf(batch), 60, null, [part.number]]);
    expect(replica.ledger.find(part)?.id).toEqual(batch);
    replica = Replica.open(topology);
    replica.ledger.replay([Kind.prepared, ...nameOf(batch), 7, 0, 50, bodyOf({}, { [a]: 'x' }, [part.number])]);
    replica.ledger.replay([Kind.outcome, ...nameOf(batch), 60, null]);
    expect(replica.ledger.find(part)?.id).toEqual(batch);
  });

  it('installs only what it keeps a replica of, and nothing older than what it has', () => {
    const replica = Replica.open(topology);
    const [a] = keysIn(topology, here, 1) as [Key];
    const [far] = keysIn(topology, away, 1) as [Key];
    replica.ledger.enter([Kind.outcome, 'n2', 1, 1, 80, bodyOf({}, { [a]: 'newer', [far]: 'elsewhere' })]);
    replica.ledger.enter([Kind.outcome, 'n3', 1, 1, 70, bodyOf({}, { [a]: 'older' })]);
    expect([replica.text(a), replica.text(far)]).toEqual(['newer', undefined]);
  });

  it('stops the node rather than decide a transaction twice', () => {
    const replica = Replica.open(topology);
    replica.ledger.enter([Kind.outcome, 'n2', 1, 1, ABORT, null]);
    replica.ledger.enter([Kind.outcome, 'n2', 1, 1, ABORT, null]);
    expect(() => replica.ledger.enter([Kind.outcome, 'n2', 1, 1, 80, null])).toThrow(/n2:1:1 decided twice/);
  });
});

describe('the objection to a transaction', () => {
  const replica = Replica.open(topology);
  const { ledger } = replica;
  const [read, written, read2, written2] = keysIn(topology, here, 4) as [Key, Key, Key, Key];
  const [far] = keysIn(topology, away, 1) as [Key];
  ledger.enter([Kind.outcome, 'n2', 1, 1, 80, bodyOf({ [read2]: 0 }, { [read2]: 'x', [written2]: 'y', [far]: 'z' })]);
  ledger.enter([Kind.prepared, 'n2', 1, 2, 7, 0, 90, bodyOf({ [read]: 0 }, { [written]: 'v', [far]: 'v' })]);
  const objectionTo = (reads: Record<Key, number>, writes: Record<Key, string>) => {
    const objection = ledger.objection(ledger.parse(bodyOf(reads, writes)));
    return objection !== null && 'holder' in objection ? { ...objection, holder: formatTxnId(objection.holder.id) } : objection;
  };

  it('is a read of something older, not of something this replica has not seen yet', () => {
    expect(objectionTo({ [read2]: 79 }, {})).toEqual({ vote: Vote.stale, key: read2, version: 80 });
    expect(objectionTo({ [read2]: 80 }, {})).toBe(null);
    expect(objectionTo({ [read2]: 81 }, {})).toBe(null);
  });

  it('is who writes what it reads, or has what it writes', () => {
    const holder = 'n2:1:2';
    expect(objectionTo({ [written]: 0 }, {})).toEqual({ vote: Vote.conflict, key: written, holder });
    expect(objectionTo({}, { [written]: 'w' })).toEqual({ vote: Vote.conflict, key: written, holder });
    expect(objectionTo({}, { [read]: 'w' })).toEqual({ vote: Vote.conflict, key: read, holder });
    expect(objectionTo({ [read]: 0 }, {})).toBe(null);
  });

  it('is nothing about keys that are kept elsewhere', () => {
    expect(objectionTo({ [far]: 0 }, { [far]: 'w' })).toBe(null);
  });

  it('being none, the timestamp is the least above every version and every read of what is written', () => {
    const timestampFor = (reads: Record<Key, number>, writes: Record<Key, string>, proposed: number): number => ledger.timestampFor(ledger.parse(bodyOf(reads, writes)), proposed);
    expect(ledger.readWatermark(here)).toBe(80);
    const [fresh] = keysIn(topology, here2, 1) as [Key];
    expect(timestampFor({}, { [fresh]: 'w' }, 5)).toBe(5);
    expect(timestampFor({ [written2]: 80 }, { [fresh]: 'w' }, 5)).toBe(81);
    expect(timestampFor({}, { [read2]: 'w' }, 5)).toBe(81);
    expect(timestampFor({}, { [read2]: 'w' }, 500)).toBe(500);
    expect(timestampFor({ [far]: 0 }, { [far]: 'w' }, 5)).toBe(5);
    // A key never written, in a partition of which something was read at 80.
    const [unwritten] = keysIn(topology, here, 6).slice(5) as [Key];
    expect(timestampFor({}, { [unwritten]: 'w' }, 5)).toBe(81);
  });
});

describe('retained outcomes of the ledger', () => {
  it('tell of finished transactions for the retention time, through restarts, and then say that they have forgotten', () => {
    let replica = Replica.open(topology);
    const [a] = keysIn(topology, here, 1) as [Key];
    const [committed, aborted] = [1, 2].map((number): TxnId => ({ node: 'n2', incarnation: 1, number })) as [TxnId, TxnId];
    replica.ledger.enter([Kind.outcome, ...nameOf(committed), 80, bodyOf({}, { [a]: 'x' })]);
    replica.ledger.enter([Kind.outcome, ...nameOf(aborted), ABORT, null]);
    replica.ledger.enterDurably([Kind.marks, 'n2', 1, 10, []]);
    const outcomes = (): number[] => [committed, aborted].map((id) => replica.ledger.outcomeOfFinished(id));
    replica.runtime.settle();
    expect(replica.ledger.recordCount).toBe(0);
    expect(outcomes()).toEqual([80, ABORT]);
    replica = replica.crash(0);
    replica.runtime.advance(5_000);
    replica = replica.crash(0);
    expect(outcomes()).toEqual([80, ABORT]);
    replica.runtime.advance(retentionMs + 5_000);
    // Expiry is looked after when something is written anyway.
    replica.ledger.enter([Kind.outcome, 'n3', 1, 1, ABORT, null]);
    replica.runtime.advance(5_000);
    expect(outcomes()).toEqual([UNDECIDED, UNDECIDED]);
  });
});
