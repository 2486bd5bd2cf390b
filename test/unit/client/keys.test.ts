import fc from 'fast-check';
import { pack } from 'fdb-tuple';
import { describe, expect, it } from 'vitest';
import { decodeKey, encodeKey, type Key, type KeyPart } from '../../../client/keys.ts';
import { DtpError } from '../../../client/wire/errors.ts';
import { limits } from '../../../client/wire/limits.ts';

const text = fc.string({ unit: 'binary', maxLength: 30 });
const bytes = fc.uint8Array({ maxLength: 30 });
const integer = fc.bigInt({ min: -(1n << 200n), max: 1n << 200n });
const nearByteBoundary = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: -2, max: 2 }), fc.boolean())
  .map(([byteCount, delta, negative]) => (negative ? -1n : 1n) * ((1n << BigInt(8 * byteCount)) + BigInt(delta)));
const bigint = fc.oneof(integer, nearByteBoundary, fc.bigInt({ min: -70_000n, max: 70_000n }));
const number = fc.oneof(fc.double({ noNaN: true }), fc.integer());
const part: fc.Arbitrary<KeyPart> = fc.oneof(text, number, bigint, fc.boolean(), bytes);
const key: fc.Arbitrary<Key> = fc.oneof(text, fc.array(part, { minLength: 1, maxLength: 6 }));

const withoutNegativeZero = (value: KeyPart): KeyPart => (value === 0 ? 0 : value);

/** The documented order, told without the encoding: by type, then within the type. */
function compareParts(a: KeyPart, b: KeyPart): number {
  const rank = (value: KeyPart): number => {
    if (value instanceof Uint8Array) return 0;
    return { string: 1, bigint: 2, number: 3, boolean: 4 }[typeof value as 'string' | 'bigint' | 'number' | 'boolean'];
  };
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array);
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string)); // UTF-8 sorts by code point
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareTuples(a: readonly KeyPart[], b: readonly KeyPart[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareParts(a[i] as KeyPart, b[i] as KeyPart);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

const tupleOf = (value: Key): readonly KeyPart[] => (typeof value === 'string' ? [value] : value);
const sign = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function errorOf(value: unknown): DtpError {
  try {
    encodeKey(value as Key);
  } catch (error) {
    if (error instanceof DtpError) return error;
    throw error;
  }
  throw new Error('encodeKey accepted it');
}

describe('encodeKey', () => {
  it('comes back as it went in', () => {
    fc.assert(fc.property(key, (original) => {
      expect(tupleOf(decodeKey(encodeKey(original)))).toEqual(tupleOf(original).map(withoutNegativeZero));
    }), { numRuns: 2_000 });
  });

  it('keeps the documented order, within a type and across types', () => {
    fc.assert(fc.property(key, key, (a, b) => {
      expect(sign(encodeKey(a), encodeKey(b))).toBe(Math.sign(compareTuples(tupleOf(a).map(withoutNegativeZero), tupleOf(b).map(withoutNegativeZero))));
    }), { numRuns: 3_000 });
  });

  it.each([
    ['strings', text], ['bytes', bytes], ['bigints', bigint], ['numbers', number], ['booleans', fc.boolean()],
  ] as [string, fc.Arbitrary<KeyPart>][])('sorts %s among themselves', (_name, arbitrary) => {
    fc.assert(fc.property(arbitrary, arbitrary, (a, b) => {
      expect(sign(encodeKey([a]), encodeKey([b]))).toBe(Math.sign(compareParts(withoutNegativeZero(a), withoutNegativeZero(b))));
    }), { numRuns: 1_000 });
  });

  it('is one character per byte of the tuple encoding, also on the short way for ASCII', () => {
    fc.assert(fc.property(fc.oneof(text, fc.string({ unit: 'grapheme-ascii' })), (value) => {
      expect(encodeKey(value)).toBe(pack([value]).toString('latin1'));
      expect(encodeKey([value, value])).toBe(pack([value, value]).toString('latin1'));
    }), { numRuns: 1_000 });
  });

  it('tells 1 from 1n, and takes a lone string for the tuple of it', () => {
    expect(encodeKey([1])).not.toBe(encodeKey([1n]));
    expect(decodeKey(encodeKey([1, 1n]))).toEqual([1, 1n]);
    expect(encodeKey('a')).toBe(encodeKey(['a']));
    expect(encodeKey([-0])).toBe(encodeKey([0]));
  });

  it('gives bytes back as a plain Uint8Array, also from a view into a larger buffer', () => {
    const [back] = decodeKey(encodeKey([new Uint8Array([9, 0, 255, 9]).subarray(1, 3)])) as [Uint8Array];
    expect(back).toEqual(new Uint8Array([0, 255]));
    expect(Buffer.isBuffer(back)).toBe(false);
  });

  it('refuses what is no key and says where and what', () => {
    expect(errorOf([])).toMatchObject({ code: 'key-unsupported' });
    expect(errorOf(undefined).message).toContain('undefined');
    expect(errorOf(7)).toMatchObject({ code: 'key-unsupported' });
    for (const [bad, name] of [[null, 'null'], [undefined, 'undefined'], [['a'], 'an array'], [new Date(), 'Date'], [NaN, 'NaN'], [Symbol('s'), 'symbol'], ['\ud800', 'surrogate']] as const) {
      const error = errorOf(['ok', bad]);
      expect(error).toMatchObject({ code: 'key-unsupported', details: { position: 1 } });
      expect(error.message).toContain(name);
    }
  });

  it('refuses what is too large and says how large and what is allowed', () => {
    const marks = 2;
    expect(encodeKey('k'.repeat(limits.keyBytesMax - marks))).toHaveLength(limits.keyBytesMax);
    expect(errorOf('k'.repeat(limits.keyBytesMax - marks + 1))).toMatchObject({ code: 'key-too-large', details: { actual: limits.keyBytesMax + 1, allowed: limits.keyBytesMax } });
    expect(errorOf(['\0'.repeat(600)])).toMatchObject({ code: 'key-too-large' });
    expect(errorOf(['x'.repeat(10_000_000)])).toMatchObject({ code: 'key-too-large' });
    expect(encodeKey([(1n << 2040n) - 1n])).toHaveLength(257);
    expect(errorOf([1n << 2040n])).toMatchObject({ code: 'key-too-large' });
    expect(errorOf([-(1n << 2040n)])).toMatchObject({ code: 'key-too-large' });
  });
});
