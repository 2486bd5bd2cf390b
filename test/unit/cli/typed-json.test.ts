import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTypedJson, parseTypedJson, TypedJsonError } from '../../../client/cli/typed-json.ts';

/** Any value that a database can hold. */
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc.constantFrom<unknown>(null, undefined, true, false, NaN, Infinity, -Infinity, -0, 2 ** 60, 1e300),
      fc.string(), fc.double(), fc.integer(), fc.bigInt(), fc.date({ noInvalidDate: true }), fc.uint8Array({ maxLength: 9 }),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('$date', '$bigint', '$object', '$other', '__proto__', 'constructor')), tie('value'), { maxKeys: 3, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 3 }).map((entries) => new Set(entries)),
  ),
}));

describe('typed JSON', () => {
  it('brings every value back as it was', () => {
    fc.assert(fc.property(value, (original) => {
      // Not toStrictEqual: it takes a key named `constructor` for the type.
      expect(isDeepStrictEqual(parseTypedJson(formatTypedJson(original)), original)).toBe(true);
    }), { numRuns: 500 });
  });

  it('brings an invalid date back', () => expect(parseTypedJson(formatTypedJson([new Date(NaN)]))).toStrictEqual([new Date(NaN)]));

  it.each([
    ['{"$bigint":"-100"}', -100n],
    ['{"$date":"2025-01-31"}', new Date('2025-01-31T00:00:00.000Z')],
    ['{"$bytes":"aGVsbG8"}', new Uint8Array([104, 101, 108, 108, 111])],
    ['{"$map":[["a",{"$set":[1]}]]}', new Map([['a', new Set([1])]])],
    ['{"$undefined":true}', undefined],
    ['{"$object":{"$date":1}}', { $date: 1 }],
    ['{"$date":1,"b":2}', { $date: 1, b: 2 }],
    ['{"price":{"$bigint":"1"},"tags":["a"]}', { price: 1n, tags: ['a'] }],
    ['9007199254740993000000000000.5', 9007199254740993000000000000.5],
    ['["12345678901234567890", 1.12345678901234567890, 1e25]', ['12345678901234567890', 1.1234567890123457, 1e25]],
  ])('%s', (text, expected) => expect(parseTypedJson(text)).toStrictEqual(expected));

  it.each([
    ['hello', /not JSON/],
    ['', /not JSON/],
    ['{"$bigint":100}', /"\$bigint" takes digits in quotes/],
    ['{"$bigint":"1.5"}', /"\$bigint" takes/],
    ['{"$date":"yesterday"}', /"\$date" takes an ISO 8601 date/],
    ['{"$bytes":"%%%"}', /"\$bytes" takes base64/],
    ['{"$map":{"a":1}}', /"\$map" takes an array of \[key, value\] pairs/],
    ['{"$number":"toString"}', /"\$number" takes one of NaN/],
    ['{"$decimal":"1.5"}', /unknown kind "\$decimal"; known are \$bigint, \$date/],
    ['{"$toString":1}', /unknown kind/],
    ['[{"a":{"$set":1}}]', /"\$set" takes an array/],
    ['{"a":12345678901234567890}', /12345678901234567890 would lose digits; write \{"\$bigint":"12345678901234567890"\}/],
  ])('%s is refused', (text, message) => {
    expect(() => parseTypedJson(text)).toThrow(TypedJsonError);
    expect(() => parseTypedJson(text)).toThrow(message);
  });

  it('does not change a prototype', () => {
    const parsed = parseTypedJson('{"__proto__":{"polluted":1}}') as Record<string, unknown>;
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
    expect(Object.keys(parsed)).toEqual(['__proto__']);
  });
});
