/**
 * Random lives of a store against a model of what must be true after any crash: what comes back is exactly the effect of
 * a prefix of the records ever appended, and that prefix holds every record whose action ran. Now and then tombstones are collected: then a
 * deleted key may be absent, and nothing from before may bring it back.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Key } from '../../../client/wire/messages.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { Store, type JournalOwner, type StoreOptions } from '../../../node/store/store.ts';
import { identity, partitionOf, partitions, rowsOf, toValue } from './helpers.ts';
import { MemoryDisk, MemoryRuntime, sectors } from './memory-runtime.ts';

const options: StoreOptions = {
  journalSegmentBytes: 8_192,
  journalBlockBytesMax: 2_048,
  overlayBytesMax: 30_000,
  journalBytesMax: 60_000,
  checkpointIntervalMs: 1_000,
  checkpointSliceKeys: 3,
  headCacheEntries: 5,
};

const decode = (body: Uint8Array): [Key, string | null] => JSON.parse(Buffer.from(body).toString()) as [Key, string | null];

/** What records amount to: the newest version of each key, and the prepared ones that are undecided. */
class Fold {
  readonly versions = new Map<Key, [version: number, value: string | null]>();
  readonly prepared = new Map<number, Uint8Array>();

  apply(record: JournalRecord): void {
    if (record[0] === Kind.prepared) this.prepared.set(record[3], record[7]);
    if (record[0] !== Kind.outcome) return;
    const [key, value] = decode(this.prepared.get(record[3]) as Uint8Array);
    this.prepared.delete(record[3]);
    if (record[4] > (this.versions.get(key)?.[0] ?? 0)) this.versions.set(key, [record[4], value]);
  }

  /** A deleted key is as good as one that never was. */
  toString(): string {
    return JSON.stringify([[...this.versions].filter(([, [, value]]) => value !== null).sort(), [...this.prepared.keys()].sort((a, b) => a - b)]);
  }
}

/** Undecided transactions: values are journalled once, with `prepared`, and must outlive their segment. */
class Transactions implements JournalOwner {
  readonly store: Store;
  readonly undecided = new Map<number, { segment: number; record: JournalRecord; body: Uint8Array }>();
  decided = 0;

  constructor(store: Store) {
    this.store = store;
  }

  enter(record: JournalRecord): void {
    this.store.append(record);
    this.replay(record);
  }

  replay(record: JournalRecord): void {
    const number = record[3] as number;
    if (record[0] === Kind.prepared) this.undecided.set(number, { segment: this.undecided.get(number)?.segment ?? this.store.segment, record, body: record[7] });
    if (record[0] !== Kind.outcome) return;
    const known = this.undecided.get(number);
    // Its data is in the table: the prepared record went with its segment, and this one is left over.
    if (known === undefined) return;
    this.undecided.delete(number);
    const [key, value] = decode(known.body);
    this.store.install(partitionOf(key), key, record[4] as number, toValue(value));
    this.decided++;
  }

  carry(beforeSegment: number): JournalRecord[] {
    const old = [...this.undecided.values()].filter(({ segment }) => segment < beforeSegment);
    for (const each of old) each.segment = this.store.segment;
    return old.map(({ record }) => record);
  }

  persist(): [string, Buffer | null][] {
    return [['decided', Buffer.from(String(this.decided))]];
  }
}

interface Life {
  readonly runtime: MemoryRuntime;
  readonly store: Store;
  readonly owner: Transactions;
}

function begin(disk: MemoryDisk): Life {
  const runtime = new MemoryRuntime(disk);
  const store = new Store(runtime, options, identity, partitionOf);
  runtime.idle = () => store.flush();
  const owner = new Transactions(store);
  let ready = false;
  store.open(owner, (suffix, value) => expect([suffix, Number(value.toString()) >= 0]).toEqual(['decided', true]), () => (ready = true));
  runtime.settle();
  expect(ready).toBe(true);
  return { runtime, store, owner };
}

function stateOf({ store, owner }: Life): string {
  const found = new Fold();
  for (let partition = 0; partition < partitions; partition++) {
    for (const [key, { version, checksum }] of rowsOf(store, partition)) {
      const entry = store.entry(key);
      const head = store.head(key);
      if (entry?.version !== version || head?.version !== version || head.checksum !== checksum || head.tombstone !== (entry.value === null)) throw new Error(`rows, entry and head of ${key} differ`);
      found.versions.set(key, [version, entry?.value == null ? null : Buffer.from(entry.value).toString()]);
    }
  }
  for (const [number, { body }] of owner.undecided) found.prepared.set(number, body);
  return found.toString();
}

function expectTrueDigests({ store }: Life, partition: number): void {
  if (Buffer.compare(store.tree.leaves(partition), store.rebuildLeaves(partition)) !== 0) throw new Error(`digests of partition ${partition} are not those of its rows`);
}

const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('prepare' as const), key: fc.nat(29), size: fc.oneof(fc.constant(0), fc.nat(600)) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('decide' as const), pick: fc.nat(1_000), delta: fc.integer({ min: -8, max: 12 }) }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('step' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 1_500 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crashAfter' as const), effects: fc.nat(12), mask: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'close' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('collect' as const), partition: fc.nat(partitions - 1), rows: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('trouble' as const), log: fc.boolean(), table: fc.boolean(), directory: fc.constantFrom('well', 'fails', 'fails late'), mask: fc.nat() }) },
  { weight: 2, arbitrary: fc.constant({ do: 'repair' as const }) },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

function run(actions: readonly Action[]): { crashes: number; checkpoints: number; failures: number; collected: number } {
  let life = begin(new MemoryDisk());
  let log: JournalRecord[] = [];
  let acknowledged = 0;
  let number = 0;
  /** Nothing is committed below any more, but what something newer has taken the place of. */
  let barred = 0;
  const counts = { crashes: 0, checkpoints: 0, failures: 0, collected: 0 };

  const enter = (record: JournalRecord): void => {
    const { owner, store } = life;
    owner.enter(record);
    const position = log.push(record);
    store.whenDurable(() => {
      if (position !== acknowledged + 1) throw new Error(`action ${position} ran after ${acknowledged}`);
      acknowledged = position;
    });
  };
  const foldOf = (count: number): Fold => {
    const fold = new Fold();
    for (const record of log.slice(0, count)) fold.apply(record);
    return fold;
  };
  const restart = (disk: MemoryDisk): void => {
    counts.checkpoints += life.store.stats.checkpoints;
    counts.failures += life.store.trouble.status.journalFailures;
    life = begin(disk);
    const found = stateOf(life);
    const fold = foldOf(acknowledged);
    let prefix = acknowledged;
    while (fold.toString() !== found && prefix < log.length) fold.apply(log[prefix++] as JournalRecord);
    expect(found).toBe(fold.toString());
    log = log.slice(0, prefix);
    acknowledged = prefix;
    for (let partition = 0; partition < partitions; partition++) expectTrueDigests(life, partition);
  };

  for (const each of actions) {
    if (life.runtime.dead) {
      counts.crashes++;
      restart(life.runtime.store);
    }
    if (each.do === 'prepare') {
      enter([Kind.prepared, 'n1', 1, ++number, 1, 0, 0, Buffer.from(JSON.stringify([`k${each.key}`, each.size === 0 ? null : 'v'.repeat(each.size)]))]);
    } else if (each.do === 'decide') {
      const undecided = [...life.owner.undecided.keys()];
      if (undecided.length === 0) continue;
      const number = undecided[each.pick % undecided.length] as number;
      const [key] = decode((life.owner.undecided.get(number) as { body: Uint8Array }).body);
      // Some versions come late, below what is installed already.
      const version = Math.max(1, 10 * log.length + each.delta * 20);
      const isLate = version <= (foldOf(log.length).versions.get(key)?.[0] ?? 0);
      enter([Kind.outcome, 'n1', 1, number, isLate ? version : Math.max(version, barred + 1), null]);
    } else if (each.do === 'collect') {
      const { store } = life;
      barred = Math.max(barred, ...[...foldOf(log.length).versions.values()].map(([version]) => version));
      const at = barred;
      store.atRest((_rest, resume) => {
        resume();
        store.versions.collect(each.partition, at);
        for (let after: Key | null = null, more = true; more; more = after !== null) {
          const swept = store.sweep(each.partition, after, each.rows);
          counts.collected += swept.removed;
          after = swept.after;
        }
      });
    } else if (each.do === 'step') {
      for (let i = 0; i < each.count; i++) life.runtime.step();
      if (!life.runtime.dead) expectTrueDigests(life, each.count % partitions);
    } else if (each.do === 'time') {
      life.runtime.leap(each.ms);
    } else if (each.do === 'crash') {
      counts.crashes++;
      restart(life.runtime.crash(each.share));
    } else if (each.do === 'crashAfter') {
      life.runtime.crashAfter(each.effects, sectors(each.mask));
    } else if (each.do === 'trouble') {
      const error = new Error('no space left');
      life.runtime.logError = each.log ? error : null;
      life.runtime.logTear = sectors(each.mask);
      life.runtime.tableError = each.table ? error : null;
      life.runtime.directoryError = each.directory === 'well' ? null : { error, late: each.directory === 'fails late' };
    } else if (each.do === 'repair') {
      repair(life);
    } else {
      const { state, troubles } = life.store.trouble.status;
      let closed = false;
      life.store.close(() => (closed = true));
      life.runtime.settle();
      if (life.runtime.dead) continue;
      expect(closed).toBe(true);
      if (state === 'sound' && life.store.trouble.status.troubles === troubles) expect(acknowledged).toBe(log.length);
      restart(life.runtime.store);
    }
  }
  repair(life);
  life.runtime.advance(5_000);
  if (life.runtime.dead) restart(life.runtime.store);
  life.runtime.crashAfter(Infinity, sectors(0));
  expect(acknowledged).toBe(log.length);
  expect(stateOf(life)).toBe(foldOf(log.length).toString());
  life.runtime.advance(10_000);
  expect(life.runtime.store.logs.size).toBeLessThan(8);
  expectSameDigestsInAnyOrder(life);
  restart(life.runtime.crash(0));
  return counts;
}

function repair({ runtime }: Life): void {
  Object.assign(runtime, { logError: null, tableError: null, directoryError: null });
}

function expectSameDigestsInAnyOrder({ store }: Life): void {
  const other = begin(new MemoryDisk());
  for (let partition = 0; partition < partitions; partition++) {
    const rows = [...store.rows(partition, null)];
    expect(store.versions.tombstones.kept(partition), 'tombstones counted').toBe(rows.filter(([, { tombstone }]) => tombstone).length);
    for (const [key, { version, value }] of rows.reverse()) other.store.install(partition, key, version, value);
  }
  for (let partition = 0; partition < partitions; partition++) expect(other.store.root(partition)).toEqual(store.root(partition));
}

describe('a store under random writes, checkpoints, disk troubles, crashes and restarts', () => {
  it('comes back as a prefix of what was appended, with everything that was acknowledged', () => {
    const total = { crashes: 0, checkpoints: 0, failures: 0, collected: 0 };
    fc.assert(fc.property(fc.array(action, { minLength: 20, maxLength: 400, size: 'max' }), (actions) => {
      const { crashes, checkpoints, failures, collected } = run(actions);
      total.crashes += crashes;
      total.checkpoints += checkpoints;
      total.failures += failures;
      total.collected += collected;
    }), { numRuns: 60 });
    expect(total.crashes).toBeGreaterThan(100);
    expect(total.checkpoints).toBeGreaterThan(100);
    expect(total.failures).toBeGreaterThan(100);
    expect(total.collected).toBeGreaterThan(100);
  }, 60_000);
});
