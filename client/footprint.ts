/**
 * What one attempt of a transaction has read and is about to change, key by key.
 *
 * A change is kept in its encoded form from the moment it is made: a value that can't be encoded fails at the line that
 * set it, and an object changed afterwards doesn't change what is written. Maxima are enforced here, so nothing that is
 * too large ever leaves the process.
 */
import { encodeKey, decodeKey, type EncodedKey, type Key } from './keys.ts';
import { DtpError } from './wire/errors.ts';
import { limits } from './wire/limits.ts';
import type { Cache } from './cache.ts';
import type { Operations, Value, Version } from './wire/messages.ts';
import { operationKinds, operationStride, type OperationKind } from './wire/messages.ts';

export interface Write {
  readonly kind: 'write';
  /** `null` deletes. */
  readonly value: Value;
}

/** Operations that the coordinator will apply, one after another, to the value it finds. */
export interface Operate {
  readonly kind: 'operate';
  readonly operations: readonly Operation[];
}

/** Operand and bounds as encoded values. */
export interface Operation {
  readonly kind: OperationKind;
  readonly operand: Uint8Array;
  readonly min: Value;
  readonly max: Value;
}

export type Change = Write | Operate;

/** A key that the attempt touches. */
export interface Entry {
  readonly key: EncodedKey;
  readonly partition: number;
  /**
   * What is known of the stored value: nothing; what came with a turn or from the cache, not looked at yet, so no read; it has been asked
   * for; the function has seen it, so that the commit depends on it.
   */
  read: 'unknown' | 'offered' | 'asked' | 'seen';
  /** What was offered is from the cache. */
  isCached: boolean;
  /** Of what was offered or seen. */
  version: Version;
  value: Value;
  /** Who waits for what was asked for. */
  waiters: Waiter[];
  change: Change | null;
}

/** A read that waits for its answer. One of these is called, once. */
export interface Waiter {
  give(version: Version, value: Value): void;
  reject(error: DtpError): void;
  /** Rejects, but nobody need be there to hear it. */
  abandon(error: DtpError): void;
}

interface Offered {
  readonly version: Version;
  readonly value: Value;
}

/** A transaction as it is sent, keys in the order of (partition, key) that all nodes agree on. */
export interface Order {
  readonly reads: (EncodedKey | Version)[];
  readonly writes: (EncodedKey | Value)[];
  readonly operations: Operations | null;
  /** Every partition touched, once; the home partition, which decides who coordinates, first. */
  readonly partitions: number[];
}

/** What an entry has before anybody waits: shared, never written to. */
export const noWaiters: Waiter[] = [];

export class Footprint {
  readonly #partitionOf: (key: EncodedKey) => number;
  readonly #cache: Cache;
  readonly #entries = new Map<EncodedKey, Entry>();
  /** What came with the turn; null: what is cached is good enough. */
  readonly #fresh: ReadonlyMap<EncodedKey, Offered> | null;
  #bytes = 0;
  #operations = 0;

  /** `fresh`: flat key, version, value. */
  constructor(partitionOf: (key: EncodedKey) => number, cache: Cache, fresh: readonly (EncodedKey | Version | Value)[] | null) {
    this.#partitionOf = partitionOf;
    this.#cache = cache;
    this.#fresh = fresh === null ? null : offeredBy(fresh);
  }

  /** The entry of a key, from now on a part of the transaction. Throws what `encodeKey` throws, and `transaction-too-large`. */
  reach(key: Key): Entry {
    const encoded = encodeKey(key);
    const known = this.#entries.get(encoded);
    if (known !== undefined) return known;
    if (this.#entries.size === limits.transactionKeysMax) throw tooLarge('keys', limits.transactionKeysMax + 1, limits.transactionKeysMax);
    this.#grow(encoded.length);
    const entry: Entry = { key: encoded, partition: this.#partitionOf(encoded), read: 'unknown', isCached: false, version: 0, value: null, waiters: noWaiters, change: null };
    const offered = this.#fresh === null ? this.#cache.find(encoded) : this.#fresh.get(encoded);
    if (offered !== undefined) {
      entry.read = 'offered';
      entry.isCached = this.#fresh === null;
      entry.version = offered.version;
      entry.value = offered.value;
    }
    this.#entries.set(encoded, entry);
    return entry;
  }

  write(entry: Entry, value: Value): void {
    const before = entry.change?.kind === 'write' ? entry.change.value : null;
    this.#grow((value?.length ?? 0) - (before?.length ?? 0));
    entry.change = { kind: 'write', value };
  }

  /** Adds an operation behind those that the key has already. */
  operate(entry: Entry, operation: Operation): void {
    if (this.#operations === limits.transactionKeysMax) throw tooLarge('operations', limits.transactionKeysMax + 1, limits.transactionKeysMax);
    this.#grow(entry.key.length + operation.operand.length + (operation.min?.length ?? 0) + (operation.max?.length ?? 0));
    this.#operations++;
    const before = entry.change?.kind === 'operate' ? entry.change.operations : [];
    entry.change = { kind: 'operate', operations: [...before, operation] };
  }

  /** The user's form of a key that a node named, if it is one of this transaction's. */
  nameOf(key: EncodedKey | null): Key | undefined {
    return key !== null && this.#entries.has(key) ? decodeKey(key) : undefined;
  }

  /** All entries, in the order in which they were reached. */
  get entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  get hasReads(): boolean {
    for (const entry of this.#entries.values()) if (entry.read === 'seen') return true;
    return false;
  }

  get hasChanges(): boolean {
    for (const entry of this.#entries.values()) if (entry.change !== null) return true;
    return false;
  }

  /** What is being written may be something else soon, whatever becomes of it. */
  forgetChanged(): void {
    for (const { key, change } of this.#entries.values()) if (change !== null) this.#cache.forget(key);
  }

  /** What was written stands at that version. */
  learnWritten(version: Version): void {
    for (const { key, change } of this.#entries.values()) if (change?.kind === 'write') this.#cache.learn(key, version, change.value);
  }

  /** It was found that another version of that key than the one read, or of some key if it is not told which, is current. */
  unlearn(stale: EncodedKey | null): void {
    for (const { key, isCached } of this.#entries.values()) if (isCached && (stale === null || key === stale)) this.#cache.misled(key);
  }

  /** What to send. `what`: all of it, or only the reads, to learn whether they hold. */
  order(what: 'all' | 'reads'): Order {
    const reads: Entry[] = [];
    const changes: Entry[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.read === 'seen') reads.push(entry);
      if (entry.change !== null && what === 'all') changes.push(entry);
    }
    return orderOf(reads.sort(byPartitionAndKey), changes.sort(byPartitionAndKey));
  }

  #grow(bytes: number): void {
    const grown = this.#bytes + bytes;
    if (grown > limits.transactionBytesMax) throw tooLarge('bytes of keys and values', grown, limits.transactionBytesMax);
    this.#bytes = grown;
  }
}

/** `fresh`: flat key, version, value. */
function offeredBy(fresh: readonly (EncodedKey | Version | Value)[]): Map<EncodedKey, Offered> {
  const offered = new Map<EncodedKey, Offered>();
  for (let i = 0; i < fresh.length; i += 3) offered.set(fresh[i] as EncodedKey, { version: fresh[i + 1] as Version, value: fresh[i + 2] as Value });
  return offered;
}

/** Of entries sorted by partition and key. */
function orderOf(reads: readonly Entry[], changes: readonly Entry[]): Order {
  const order = { reads: [] as (EncodedKey | Version)[], writes: [] as (EncodedKey | Value)[], operations: null as Operations | null, partitions: [] as number[] };
  // Changes first: the home is the partition of the first of them, if there are any. Sorted, so equal partitions are neighbours.
  for (const { key, partition, change } of changes) {
    if (order.partitions.at(-1) !== partition) order.partitions.push(partition);
    if (change?.kind === 'write') order.writes.push(key, change.value);
    else for (const { kind, operand, min, max } of change?.operations ?? []) (order.operations ??= []).push(operationKinds.indexOf(kind), key, operand, min, max);
  }
  for (const { key, partition, version } of reads) {
    if (order.partitions.at(-1) !== partition && !order.partitions.includes(partition)) order.partitions.push(partition);
    order.reads.push(key, version);
  }
  return order;
}

/** All keys of an order, some of them twice. */
export function* keysOf({ reads, writes, operations }: Order): Generator<EncodedKey> {
  for (let i = 0; i < writes.length; i += 2) yield writes[i] as EncodedKey;
  for (let i = 0; i < reads.length; i += 2) yield reads[i] as EncodedKey;
  for (let i = 1; operations !== null && i < operations.length; i += operationStride) yield operations[i] as EncodedKey;
}

/** The order of a lone write, as a whole transaction. */
export function orderOfWrite(key: EncodedKey, partition: number, value: Value): Order {
  return { reads: [], writes: [key, value], operations: null, partitions: [partition] };
}

function byPartitionAndKey(a: Entry, b: Entry): number {
  // One character is one byte, so the strings compare as the bytes do.
  return a.partition - b.partition || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}

function tooLarge(what: string, actual: number, allowed: number): DtpError {
  return new DtpError('transaction-too-large', `The transaction has ${actual} ${what}; ${allowed} are allowed.`, { actual, allowed, unit: what });
}
