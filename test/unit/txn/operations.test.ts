import { describe, expect, it } from 'vitest';
import { AbortReason, operationKinds, type Key, type OperationKind, type Operations, type Value } from '../../../client/wire/messages.ts';
import { limits } from '../../../client/wire/limits.ts';
import { decodeValue, encodeValue } from '../../../client/wire/values.ts';
import { applyOperations, operationKeys } from '../../../node/txn/operations.ts';

interface Bounds {
  readonly min?: number | bigint;
  readonly max?: number | bigint;
}

const encoded = (value: unknown): Value => (value === undefined ? null : encodeValue(value));
const operation = (kind: OperationKind, key: Key, operand: unknown, { min, max }: Bounds = {}): Operations => [operationKinds.indexOf(kind), key, encoded(operand), encoded(min), encoded(max)];

/** Applies operations to values by key; each key's version is 5, or 0 where it is absent. */
function apply(operations: Operations[], values: Readonly<Record<Key, unknown>> = {}) {
  const { reads, writes, clash } = applyOperations(operations.flat(), (key) => (key in values ? { version: 5, value: encoded(values[key]) } : { version: 0, value: null }));
  const decode = (value: Value): unknown => (value === null ? null : decodeValue(value));
  return {
    reads: Object.fromEntries(reads),
    writes: Object.fromEntries([...writes].map(([key, value]) => [key, decode(value)])),
    clash: clash === null ? null : { ...clash, value: decode(clash.value) },
  };
}

describe('operations', () => {
  const results: [kind: OperationKind, present: unknown, operand: number | bigint, result: number | bigint][] = [
    ['add', 1, 2, 3], ['add', 1n, 2n, 3n], ['add', 2n ** 80n, -1n, 2n ** 80n - 1n], ['add', 0.5, -1, -0.5],
    ['min', 1, 2, 1], ['min', 3, 2, 2], ['min', -1n, 2n, -1n], ['min', 7n, 2n, 2n],
    ['max', 1, 2, 2], ['max', 3, 2, 3], ['max', -1n, 2n, 2n], ['max', 7n, 2n, 7n],
    ['min', 5, Number.POSITIVE_INFINITY, 5], ['max', 5, Number.NEGATIVE_INFINITY, 5],
  ];
  it.each(results)('%s of %s and %s is %s', (kind, present, operand, result) => {
    expect(apply([operation(kind, 'a', operand)], { a: present })).toEqual({ reads: { a: 5 }, writes: { a: result }, clash: null });
  });

  it.each(operationKinds)('%s takes an absent key for nothing, and a deleted one for the same', (kind) => {
    expect(apply([operation(kind, 'a', -7)])).toEqual({ reads: { a: 0 }, writes: { a: -7 }, clash: null });
    expect(apply([operation(kind, 'a', 7n)], { a: undefined })).toEqual({ reads: { a: 0 }, writes: { a: 7n }, clash: null });
  });

  it('build on each other, key by key', () => {
    const operations = [operation('add', 'a', 5), operation('add', 'b', 1), operation('max', 'a', 7), operation('add', 'a', -1)];
    expect(apply(operations, { a: 1 })).toEqual({ reads: { a: 5, b: 0 }, writes: { a: 6, b: 1 }, clash: null });
    expect(operationKeys(operations.flat())).toEqual(['a', 'b']);
  });

  const bounds: [kind: OperationKind, operand: number | bigint, bounds: Bounds, fits: boolean][] = [
    ['add', -10, { min: 0 }, true], ['add', -11, { min: 0 }, false], ['add', 5, { max: 15 }, true], ['add', 6, { max: 15 }, false],
    ['add', 0, { min: 10, max: 10 }, true], ['min', 3, { min: 4 }, false], ['max', 30, { max: 20 }, false], ['max', 20, { max: 20 }, true],
  ];
  it.each(bounds)('%s of 10 and %s within %j: %s', (kind, operand, within, fits) => {
    const { clash } = apply([operation(kind, 'a', operand, within)], { a: 10 });
    if (fits) expect(clash).toBe(null);
    else expect(clash).toEqual({ key: 'a', value: 10, reason: within.min === undefined ? AbortReason.boundMax : AbortReason.boundMin });
  });

  it('bound an absent key as any other, and say that nothing was there', () => {
    expect(apply([operation('add', 'a', -1, { min: 0 })]).clash).toEqual({ key: 'a', value: null, reason: AbortReason.boundMin });
  });

  const unfit: [what: string, present: unknown, operand: unknown, bounds: Bounds][] = [
    ['a text', 'ten', 1, {}], ['an object', { n: 1 }, 1, {}], ['null', null, 1, {}],
    ['a bigint and a number', 1n, 1, {}], ['a number and a bigint', 1, 1n, {}],
    ['a bound of another kind', 1, 1, { min: 0n }], ['an operand that is a text', 1, '1', {}], ['an operand that is missing', 1, undefined, {}],
    ['not a number', Number.NaN, 1, {}], ['an operand that is not a number', 1, Number.NaN, {}],
    ['an overflow', Number.MAX_VALUE, Number.MAX_VALUE, {}], ['an infinite operand', 1, Number.POSITIVE_INFINITY, {}],
  ];
  it.each(unfit)('refuse %s', (_what, present, operand, within) => {
    const { clash } = apply([operation('add', 'a', operand, within)], { a: present });
    expect(clash).toEqual({ key: 'a', value: present, reason: AbortReason.operand });
  });

  it('refuse a sum that is larger than values may be', () => {
    // The largest bigint that is a value: its encoding has as many bytes as may be.
    const largest = 2n ** BigInt(8 * (limits.valueBytesMax - 7) + 4) - 1n;
    expect(encodeValue(largest)).toHaveLength(limits.valueBytesMax);
    const { clash } = apply([operation('add', 'a', 1n)], { a: largest });
    expect(clash).toMatchObject({ key: 'a', reason: AbortReason.operand });
  });

  const garbage: [what: string, bytes: Uint8Array][] = [['a byte that begins no value', Uint8Array.of(0xc1)], ['nothing', Uint8Array.of()], ['a value cut short', Uint8Array.of(0xcb, 1)], ['two values', Uint8Array.of(1, 1)]];
  it.each(garbage)('refuse %s, stored or sent by some client, in place of a number', (_what, bytes) => {
    const one = encodeValue(1);
    const judge = (stored: Value, operations: Operations) => applyOperations(operations, () => ({ version: 5, value: stored })).clash;
    expect(judge(bytes, [0, 'a', one, null, null])).toEqual({ key: 'a', value: bytes, reason: AbortReason.operand });
    for (const operations of [[0, 'a', bytes, null, null], [0, 'a', one, bytes, null], [0, 'a', one, null, bytes]] satisfies Operations[]) {
      expect(judge(one, operations)).toEqual({ key: 'a', value: one, reason: AbortReason.operand });
    }
  });

  it('say by what value a later one was refused, and by which version it was judged', () => {
    const { clash, reads } = apply([operation('add', 'b', 1), operation('add', 'a', 1), operation('add', 'a', 5, { max: 6 })], { a: 1, b: 1 });
    expect(clash).toEqual({ key: 'a', value: 2, reason: AbortReason.boundMax });
    expect(reads).toEqual({ a: 5, b: 5 });
  });
});
