/** A store on a runtime in memory, and the smallest owner of a journal. */
import type { Key, Value } from '../../../client/wire/messages.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import type { Row } from '../../../node/store/rows.ts';
import { Store, type JournalOwner, type StoreOptions } from '../../../node/store/store.ts';
import { MemoryDisk, MemoryRuntime } from './memory-runtime.ts';

export const partitions = 4;
export const identity = { cluster: 'c', node: 'n1', partitions, placement: '1 replica on n1' };
export const partitionOf = (key: Key): number => key.charCodeAt(key.length - 1) % partitions;

export const smallOptions: StoreOptions = {
  journalSegmentBytes: 4_096,
  journalBlockBytesMax: 1_024,
  overlayBytesMax: 1_000_000,
  journalBytesMax: 100_000_000,
  checkpointIntervalMs: 1_000,
  checkpointSliceKeys: 5,
  headCacheEntries: 20,
};

/** Outcome records stand for committed writes: their number is the version, their body [key, value] in JSON. */
export function write(key: Key, version: number, value: string | null): JournalRecord {
  return [Kind.outcome, 'n1', 1, version, version, Buffer.from(JSON.stringify([key, value]))];
}

export class Owner implements JournalOwner {
  readonly store: Store;
  readonly replayed: JournalRecord[] = [];
  readonly replayedIn: number[] = [];
  readonly state = new Map<string, string>();
  readonly carryCalls: number[] = [];
  carried: JournalRecord[] = [];
  changes: [string, Buffer | null][] = [];

  constructor(store: Store) {
    this.store = store;
  }

  replay(record: JournalRecord): void {
    this.replayed.push(record);
    this.replayedIn.push(this.store.segment);
    if (record[0] === Kind.outcome) this.install(record);
  }

  carry(beforeSegment: number): JournalRecord[] {
    this.carryCalls.push(beforeSegment);
    return this.carried;
  }

  persist(): [string, Buffer | null][] {
    return this.changes.splice(0);
  }

  /** As the node does: a record is queued and takes effect in the same turn. */
  commit(key: Key, version: number, value: string | null): void {
    const record = write(key, version, value);
    this.store.append(record);
    this.install(record);
  }

  install(record: JournalRecord): void {
    const [key, value] = JSON.parse(Buffer.from(record[5] as Uint8Array).toString()) as [Key, string | null];
    this.store.install(partitionOf(key), key, record[3] as number, toValue(value));
  }
}

export const toValue = (value: string | null): Value => (value === null ? null : Buffer.from(value));

/** All rows of a partition. */
export function rowsOf(store: Store, partition: number): (readonly [Key, Row])[] {
  return [...store.rows(partition, null)];
}

export interface Opened {
  readonly runtime: MemoryRuntime;
  readonly store: Store;
  readonly owner: Owner;
}

/** Opens a store, ready. Throws what opening throws. */
export function openStore(disk = new MemoryDisk(), options: Partial<StoreOptions> = {}, who: Partial<typeof identity> = {}): Opened {
  const runtime = new MemoryRuntime(disk);
  const store = new Store(runtime, { ...smallOptions, ...options }, { ...identity, ...who }, partitionOf);
  runtime.idle = () => store.flush();
  const owner = new Owner(store);
  let outcome: Error | 'ready' | null = null;
  store.open(owner, (suffix, value) => void owner.state.set(suffix, value.toString()), (error) => (outcome = error ?? 'ready'));
  runtime.settle();
  if (outcome !== 'ready') throw outcome ?? new Error('the store never got ready');
  return { runtime, store, owner };
}

export function closeStore({ runtime, store }: Opened): MemoryDisk {
  let closed = false;
  store.close(() => (closed = true));
  runtime.settle();
  if (!closed) throw new Error('the store never closed');
  return runtime.store;
}
