/**
 * Keys: what a user names a value by, and the bytes it becomes.
 *
 * The encoding is FoundationDB's tuple layer (https://github.com/apple/foundationdb/blob/main/design/tuple.md), by the
 * library `fdb-tuple`. It keeps order: encoded keys sort, byte by byte, as their tuples do, part by part, and a tuple
 * before every tuple it is a prefix of. Parts of different types sort as
 *
 *     bytes < string < bigint < number < false < true
 *
 * bytes by their values, strings by code point, bigints and numbers by size. A number and a bigint are different parts,
 * `1` and `1n` name different keys; so every number travels as a double, whole or not. `-0` is `0`.
 */
import { pack, unpack } from 'fdb-tuple';
import { DtpError } from './wire/errors.ts';
import { limits } from './wire/limits.ts';
import type { Key as EncodedKey } from './wire/messages.ts';

export type KeyPart = string | number | bigint | boolean | Uint8Array;

/** The name of a value: a string, or a tuple of at least one part. `'a'` and `['a']` are the same key. */
export type Key = string | readonly KeyPart[];

export type { EncodedKey };

/** The format's own maximum for one integer, in bytes. */
const bigintBytesMax = 255;

/**
 * The key as it travels: a binary string, one character per byte.
 *
 * @throws DtpError `key-unsupported` (names the position and the type of the offending part) or `key-too-large`.
 */
export function encodeKey(key: Key): EncodedKey {
  let encoded: string;
  if (typeof key === 'string') {
    encoded = encodeString(key, 0);
  } else {
    if (!Array.isArray(key)) throw new DtpError('key-unsupported', `A key is a string or an array, not ${typeName(key)}.`, { key });
    if (key.length === 0) throw new DtpError('key-unsupported', 'A key tuple needs at least one part.', { key });
    encoded = encodePart(key[0], 0);
    for (let position = 1; position < key.length; position++) encoded += encodePart(key[position], position);
  }
  if (encoded.length > limits.keyBytesMax) throw tooLarge(key, encoded.length);
  return encoded;
}

/** The key that `encodeKey` made this of; a tuple of one string comes back as that string. */
export function decodeKey(encoded: EncodedKey): Key {
  const parts = unpack(Buffer.from(encoded, 'latin1'), true).map((part): KeyPart => {
    switch (typeof part) {
      case 'string':
      case 'boolean':
      case 'bigint':
        return part;
      case 'number': // The library's short form of a small integer; doubles come as objects.
        return BigInt(part);
      default:
        if (Buffer.isBuffer(part)) return new Uint8Array(part);
        if (part !== null && 'type' in part && part.type === 'double') return part.value;
        throw new DtpError('bad-message', 'A key holds a part of a type that keys do not have.', { encoded });
    }
  });
  const only = parts[0];
  return parts.length === 1 && typeof only === 'string' ? only : parts;
}

function encodePart(part: unknown, position: number): string {
  switch (typeof part) {
    case 'string':
      return encodeString(part, position);
    case 'number':
      if (Number.isNaN(part)) throw unsupported(position, 'NaN, which has no place in an order');
      return binary(pack([{ type: 'double', value: part === 0 ? 0 : part }]));
    case 'bigint':
      return encodeBigint(part, position);
    case 'boolean':
      return binary(pack([part]));
    default:
      if (part instanceof Uint8Array) return binary(pack([Buffer.from(part.buffer, part.byteOffset, part.byteLength)]));
      throw unsupported(position, typeName(part));
  }
}

/** Plain ASCII, as nearly all parts are, is its own encoding between two marks: some twenty times cheaper than the general way. */
function encodeString(part: string, position: number): string {
  // Before the work: a part this long is too large in any encoding.
  if (part.length > limits.keyBytesMax) throw tooLarge(part, part.length);
  for (let i = 0; i < part.length; i++) {
    const unit = part.charCodeAt(i);
    if (unit === 0 || unit > 0x7f) {
      if (!(part as WellFormable).isWellFormed()) throw unsupported(position, 'a string with half of a surrogate pair, which has no UTF-8');
      return binary(pack([part]));
    }
  }
  return `\x02${part}\0`;
}

function encodeBigint(part: bigint, position: number): string {
  const magnitude = part < 0n ? -part : part;
  if (magnitude >> BigInt(8 * bigintBytesMax) !== 0n) {
    throw new DtpError('key-too-large', `Part ${position} of the key is a bigint of more than ${bigintBytesMax} bytes.`, { position, allowed: bigintBytesMax });
  }
  return binary(pack([part]));
}

/** Node 20 has it; the ES2023 typings do not. */
type WellFormable = string & { isWellFormed(): boolean };

const binary = (bytes: Buffer): string => bytes.toString('latin1');

function unsupported(position: number, what: string): DtpError {
  return new DtpError('key-unsupported', `Part ${position} of the key is ${what}; a part is a string, number, bigint, boolean or Uint8Array.`, { position });
}

function tooLarge(key: unknown, actual: number): DtpError {
  return new DtpError('key-too-large', `The key takes at least ${actual} bytes; ${limits.keyBytesMax} are allowed.`, { key, actual, allowed: limits.keyBytesMax });
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return `an object (${value.constructor?.name ?? 'no prototype'})`;
  return typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`;
}
