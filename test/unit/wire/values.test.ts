import fc from 'fast-check';
import { pack as referencePack, Unpackr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { BadFrame } from '../../../client/wire/codec.ts';
import { DtpError } from '../../../client/wire/errors.ts';
import { limits } from '../../../client/wire/limits.ts';
import { decodeValue, encodeValue } from '../../../client/wire/values.ts';

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value));

/** Prototype, own keys in order, and values, all the way down: stricter than toEqual, which ignores undefined members. */
function identical(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b);
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array) === 0;
  const parts = (value: object): unknown[] => (value instanceof Map ? [...value].flat(1) : value instanceof Set ? [...value] : Array.isArray(value) ? (value as unknown[]) : Object.entries(value).flat(1));
  const [left, right] = [parts(a), parts(b)];
  return left.length === right.length && left.every((part, i) => identical(part, right[i]));
}

const text = fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', '{', '\0', 'é', '漢', '😀', '\x7f', '\x80'), maxLength: 80 });
const bytes = fc.uint8Array({ maxLength: 300 });
const leaf = fc.oneof(
  fc.constantFrom(null, undefined, true, false, -0, 0, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 1 - 2 ** 53, 2 ** 53, -(2 ** 53), Number.MIN_VALUE, Number.MAX_VALUE),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.bigInt(),
  fc.nat(400).map((bits) => 2n ** BigInt(bits)),
  fc.nat(400).map((bits) => -(2n ** BigInt(bits))),
  text,
  bytes,
  fc.date({ noInvalidDate: true, min: new Date(-8.64e15), max: new Date(8.64e15) }),
  fc.date({ noInvalidDate: true, min: new Date(-1e12), max: new Date(2e13) }),
);
const name = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'toJSON', 'length', '0', '1', '-1', ''));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 8 }).map((entries) => Object.fromEntries(entries)),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 5 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 5 }).map((elements) => new Set(elements)),
  ),
}));

describe('a value', () => {
  it('comes back exactly as it was, whatever it is made of', () => {
    fc.assert(
      fc.property(value, (original) => identical(original, roundTrip(original))),
      { numRuns: 3_000, seed: 3 },
    );
  });

  it('tells absent, undefined, null and empty apart, inside other things too', () => {
    for (const original of [undefined, null, '', 0, false, [undefined, null], { a: undefined, b: null }, new Map([[undefined, null]]), new Set([undefined, null]), [], {}, new Map(), new Set()]) {
      expect(identical(roundTrip(original), original)).toBe(true);
    }
    expect(Object.hasOwn(roundTrip({ a: undefined }) as object, 'a')).toBe(true);
  });

  it('keeps number and bigint apart, and -0 and 0', () => {
    expect(roundTrip([1, 1n, -0, 0, 2 ** 40, 2n ** 40n, -1n, 2n ** 63n, -(2n ** 63n) - 1n])).toEqual([1, 1n, -0, 0, 2 ** 40, 2n ** 40n, -1n, 2n ** 63n, -(2n ** 63n) - 1n]);
  });

  it('gives bytes of its own: changing them changes neither what was stored nor its neighbours', () => {
    const original = Buffer.from('abc');
    const encoded = encodeValue({ first: original, second: original });
    const before = Buffer.from(encoded);
    const decoded = decodeValue(encoded) as { first: Uint8Array; second: Uint8Array };
    expect(Object.getPrototypeOf(decoded.first)).toBe(Uint8Array.prototype);
    decoded.first.fill(0);
    original.fill(0);
    expect(Buffer.from(decoded.second).toString()).toBe('abc');
    expect(Buffer.compare(encoded, before)).toBe(0);
  });

  it('with keys named like parts of Object leaves prototypes alone', () => {
    const original = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toJSON":1,"hasOwnProperty":0}') as Record<string, unknown>;
    const decoded = roundTrip(original) as Record<string, unknown>;
    expect(identical(decoded, original)).toBe(true);
    expect(Object.keys(decoded)).toEqual(Object.keys(original));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('that is an object without prototype comes back as a plain one', () => {
    expect(identical(roundTrip(Object.assign(Object.create(null) as object, { a: 1 })), { a: 1 })).toBe(true);
  });

  it('may hold the same thing twice', () => {
    const shared = { n: 1 };
    expect(roundTrip([shared, shared])).toEqual([{ n: 1 }, { n: 1 }]);
  });

  it('is independent of values that its getters encode meanwhile', () => {
    const original = { a: 'before', get b() { return encodeValue({ other: [1, 2, 3] }).length; }, c: 'after' };
    expect(roundTrip(original)).toEqual({ a: 'before', b: encodeValue({ other: [1, 2, 3] }).length, c: 'after' });
  });

  it('is plain MessagePack: another library reads it, and what that writes is read', () => {
    const plain = { text: 'größer', list: [1, -200, 70_000, 1.5, 2 ** 40], yes: true, none: null, when: new Date(1_763_700_000_123), long: 'x'.repeat(300) };
    const extensions = new Unpackr({ useRecords: false, int64AsType: 'number' });
    expect(extensions.unpack(encodeValue(plain))).toEqual(plain);
    expect(extensions.unpack(encodeValue([undefined, 5n, -(2n ** 100n), 2n ** 64n]))).toEqual([undefined, 5n, -(2n ** 100n), 2n ** 64n]);
    expect(decodeValue(referencePack(plain))).toEqual(plain);
    expect(decodeValue(Uint8Array.of(0xcf, 0, 0, 0, 0, 0, 0, 0, 7))).toBe(7);
    expect(decodeValue(Uint8Array.of(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0))).toBe(-(2n ** 63n));
    expect(decodeValue(Uint8Array.of(0xca, 0x3f, 0xc0, 0, 0))).toBe(1.5);
  });

  it('has these bytes, for ever', () => {
    const original = { id: 7, 'größe': -1.5, when: new Date(1_763_700_000_123), big: 2n ** 70n, set: new Set([1n]), map: new Map([['k', undefined]]), raw: Uint8Array.of(255) };
    expect(Buffer.from(encodeValue(original)).toString('hex')).toBe(
      '87a2696407a76772c3b6c39f65cbbff8000000000000a47768656ed7ff1d535300691fed20a3626967c90000000a4200400000000000000000' +
        'a3736574c9000000075391d64200000001a36d6170c9000000064d92a16bd40000a3726177c401ff',
    );
  });
});

describe('what can not come back is refused, with the place where it sits:', () => {
  class Account {
    balance = 1;
  }
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const cases: [name: string, value: unknown, path: string, what: string][] = [
    ['a function', { a: [1, { f: () => 1 }] }, 'value.a[1].f', 'a function'],
    ['a symbol', [Symbol('x')], 'value[0]', 'a symbol'],
    ['a class instance', { accounts: { 'alice smith': new Account() } }, 'value.accounts["alice smith"]', 'an instance of Account'],
    ['a subclass of Map', new (class Register extends Map {})(), 'value', 'an instance of Register'],
    ['a typed array', { a: new Float64Array(1) }, 'value.a', 'an instance of Float64Array'],
    ['a regular expression in a set', new Set([1, /x/]), 'value<entry 1>', 'an instance of RegExp'],
    ['an error under a key of a map', new Map([['k', 1], ['l', new Error('x') as unknown]] as [string, unknown][]), 'value<value of entry 1>', 'an instance of Error'],
    ['a promise', { a: Promise.resolve(1) }, 'value.a', 'a Promise; await it first'],
    ['an invalid date', [new Date(NaN)], 'value[0]', 'an invalid Date'],
    ['half a surrogate pair', ['ok', 'x\ud800'], 'value[1]', 'half of a surrogate pair'],
    ['half a surrogate pair in a long string', `${'x'.repeat(100)}\udc00`, 'value', 'half of a surrogate pair'],
    ['half a surrogate pair in a key', { '\ud800': 1 }, 'value["\\ud800"]', 'half of a surrogate pair'],
    ['a hole', { list: Object.assign(new Array(3), { 0: 1, 2: 3 }) }, 'value.list[1]', 'a hole in an array'],
    ['a symbol for a key', { [Symbol('hidden')]: 1 }, 'value["Symbol(hidden)"]', 'a symbol'],
    ['a circle', circular, 'value.self.self.self.self.self.self.self.self...', 'contains itself'],
    ['a boxed number', { n: Object(1) as unknown }, 'value.n', 'an instance of Number'],
  ];
  it.each(cases)('%s', (_name, original, path, what) => {
    expect(() => encodeValue(original)).toThrow(expect.objectContaining({ code: 'value-unsupported', message: expect.stringContaining(what) as string, details: { path } }) as DtpError);
    expect(roundTrip('and the next value is fine')).toBe('and the next value is fine');
  });

  it('nesting up to the limit is fine, beyond it is not', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(roundTrip(nested(limits.nestingMax))).toEqual(nested(limits.nestingMax));
    expect(() => encodeValue(nested(limits.nestingMax + 1))).toThrow(expect.objectContaining({ code: 'value-unsupported' }) as DtpError);
    const maps = (depth: number): unknown => (depth === 0 ? 1 : new Map([[maps(depth - 1), new Set([depth])]]));
    expect(identical(roundTrip(maps(limits.nestingMax - 1)), maps(limits.nestingMax - 1))).toBe(true);
  });

  it('what is too large', () => {
    const largest = new Uint8Array(limits.valueBytesMax - 5);
    expect(encodeValue(largest)).toHaveLength(limits.valueBytesMax);
    const tooLarge = [
      new Uint8Array(limits.valueBytesMax - 4),
      'x'.repeat(limits.valueBytesMax),
      '漢'.repeat(limits.valueBytesMax / 3),
      new Array(limits.valueBytesMax).fill(1),
      Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key ${i}`, i])),
      1n << BigInt(8 * limits.valueBytesMax),
      [new Uint8Array(limits.valueBytesMax - 50), new Date(), new Date(), new Date(), new Date(), new Date(), new Date()],
    ];
    for (const original of tooLarge) {
      expect(() => encodeValue(original)).toThrow(expect.objectContaining({ code: 'value-too-large', details: { allowed: limits.valueBytesMax } }) as DtpError);
    }
    expect(roundTrip(1)).toBe(1);
  });
});

describe('bytes that are no value are refused:', () => {
  const cases: [name: string, bytes: number[], reason: RegExp][] = [
    ['none', [], /early end/],
    ['more than one value', [1, 2], /behind its end/],
    ['a cut string', [0xa5, 0x61], /early end/],
    ['a count that can not be', [0xdd, 0xff, 0xff, 0xff, 0xff], /early end/],
    ['a map key that is no string', [0x81, 1, 2], /key that is no string/],
    ['an unknown extension', [0xd4, 5, 0], /unknown extension/],
    ['a Map that is no array', [0xd4, 0x4d, 1], /without an array/],
    ['a Map with a key too many', [0xd5, 0x4d, 0x91, 1], /key without a value/],
    ['a Set whose content reaches beyond it', [0xd4, 0x53, 0x92, 1, 1], /early end/],
    ['a Set with something behind its content', [0xd5, 0x53, 0x90, 1], /behind its end/],
    ['an empty bigint', [0xc7, 0, 0x42], /bigint without bytes/],
    ['a date of five bytes', [0xc7, 5, 0xff, 0, 0, 0, 0, 0], /date of no known length/],
    ['a date beyond all dates', [0xc7, 12, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0], /out of range/],
    ['a byte that begins nothing', [0xc1], /begins no value/],
    ['too many', Array.from({ length: limits.valueBytesMax + 1 }, () => 0xc0), /524289 bytes/],
    ['too deep nesting', Array.from({ length: 100 }, () => 0x91), /levels of nesting/],
  ];
  it.each(cases)('%s', (_name, encoded, reason) => {
    expect(() => decodeValue(Uint8Array.from(encoded))).toThrow(BadFrame);
    expect(() => decodeValue(Uint8Array.from(encoded))).toThrow(reason);
  });
});
