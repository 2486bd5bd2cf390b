/**
 * Server-side operations: `add`, `min`, `max` applied by the coordinator to the value of the moment, so that a counter or a
 * transfer is one call and never a retry. An absent key counts as zero (add) or as the operand (min, max).
 */
import { DtpError } from '../../client/wire/errors.ts';
import { AbortReason, operationStride, type Key, type Operations, type Value, type Version } from '../../client/wire/messages.ts';
import { encodeBody } from '../../client/wire/codec.ts';
import { encodeValue, decodeValue } from '../../client/wire/values.ts';
import type { ParsedBody } from './body.ts';

type Numeric = number | bigint;

/** A bound that would be crossed, or a value that is no number: what the client is told, with the version it was judged by. */
export interface Clash {
  readonly reason: typeof AbortReason.boundMin | typeof AbortReason.boundMax | typeof AbortReason.operand;
  readonly key: Key;
  readonly value: Value;
}

export interface Applied {
  /** Each key once, with the version the result was computed from; 0 for none, deleted or never written. */
  readonly reads: Map<Key, Version>;
  readonly writes: Map<Key, Value>;
  /** If set, nothing may be written. */
  readonly clash: Clash | null;
}

/** The keys that the operations touch, each once. */
export function operationKeys(operations: Operations): Key[] {
  const keys = new Set<Key>();
  for (let i = 0; i < operations.length; i += operationStride) keys.add(operations[i + 1] as Key);
  return [...keys];
}

/** Applies operations one after another to the entries that `entryOf` finds. Several on one key build on each other. */
export function applyOperations(operations: Operations, entryOf: (key: Key) => { version: Version; value: Value }): Applied {
  const reads = new Map<Key, Version>();
  const writes = new Map<Key, Value>();
  for (let i = 0; i < operations.length; i += operationStride) {
    const [kind, key, operandBytes, minBytes, maxBytes] = operations.slice(i, i + operationStride) as [number, Key, Value, Value, Value];
    if (!reads.has(key)) {
      const entry = entryOf(key);
      reads.set(key, entry.value === null ? 0 : entry.version);
      writes.set(key, entry.value);
    }
    const present = writes.get(key) ?? null;
    const clash = (reason: Clash['reason']): Applied => ({ reads, writes, clash: { reason, key, value: present } });
    const current = numeric(present);
    const operand = numeric(operandBytes);
    const min = numeric(minBytes);
    const max = numeric(maxBytes);
    if (current === 'other' || operand === 'other' || operand === null || min === 'other' || max === 'other') return clash(AbortReason.operand);
    for (const number of [current, min, max]) if (number !== null && typeof number !== typeof operand) return clash(AbortReason.operand);
    const result = compute(kind, current, operand);
    if (typeof result === 'number' && !Number.isFinite(result)) return clash(AbortReason.operand);
    if (min !== null && result < min) return clash(AbortReason.boundMin);
    if (max !== null && result > max) return clash(AbortReason.boundMax);
    const encoded = orNull(() => encodeValue(result));
    if (encoded === null) return clash(AbortReason.operand); // a bigint larger than values may be
    writes.set(key, encoded);
  }
  return { reads, writes, clash: null };
}

/**
 * The body of a transaction whose operations came to this. If what the client saw of a key and what the operation was applied to can't both be
 * current, that key.
 */
export function bodyWith({ readKeys, readVersions, writeKeys, writeValues }: ParsedBody, { reads, writes }: Applied, partitionOf: (key: Key) => number): Uint8Array | Key {
  const torn = readKeys.find((key, i) => reads.has(key) && (reads.get(key) === 0) !== (readVersions[i] === 0));
  if (torn !== undefined) return torn;
  // Both must be current: the older of the two says whether they are.
  readKeys.forEach((key, i) => reads.set(key, Math.min(readVersions[i] as Version, reads.get(key) ?? Number.POSITIVE_INFINITY)));
  writeKeys.forEach((key, i) => writes.set(key, writeValues[i] as Value));
  // Sorted as the client sorts, so that both name the same home partition.
  const sorted = [...writes].map(([key, value]) => ({ key, value, partition: partitionOf(key) }));
  sorted.sort((a, b) => a.partition - b.partition || (a.key < b.key ? -1 : 1));
  return encodeBody([[...reads].flat(), sorted.flatMap(({ key, value }) => [key, value])]);
}

/** By the order of `operationKinds`: add, min, max. */
function compute(kind: number, current: Numeric | null, operand: Numeric): Numeric {
  if (current === null) return operand;
  if (kind === 1) return current < operand ? current : operand;
  if (kind === 2) return current > operand ? current : operand;
  return typeof current === 'bigint' ? current + (operand as bigint) : current + (operand as number);
}

function numeric(value: Value): Numeric | null | 'other' {
  if (value === null) return null;
  const decoded = orNull(() => decodeValue(value)); // Nobody has looked yet whether a client's bytes are a value at all.
  return typeof decoded === 'number' || typeof decoded === 'bigint' ? decoded : 'other';
}

function orNull<T>(attempt: () => T): T | null {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof DtpError) return null;
    throw error;
  }
}
