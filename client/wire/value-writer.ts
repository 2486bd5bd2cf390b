/** The encoder of values: one pass, which refuses the unsupported where it meets it. The format is in value-types.ts. */
import { DtpError } from './errors.ts';
import { limits } from './limits.ts';
import { containers, describe, hole, keys, pathTo, tooDeep } from './value-path.ts';
import type { Container } from './value-path.ts';
import { Extension } from './value-types.ts';

/** Room for the longest header and a number behind the last check. */
const slackBytes = 16;

/** Made at the first use: half a megabyte, of which the system provides what is touched. */
let scratch = Buffer.alloc(0);
let view = new DataView(scratch.buffer);
let at = 0;

/**
 * The bytes of a value.
 *
 * @throws DtpError `value-unsupported`, with the path to what is unsupported in message and details; `value-too-large`.
 */
export function encodeValue(value: unknown): Uint8Array {
  if (scratch.length === 0) {
    scratch = Buffer.allocUnsafeSlow(limits.valueBytesMax + slackBytes);
    view = new DataView(scratch.buffer, scratch.byteOffset, scratch.length);
  }
  // A getter inside the value may encode another one: that goes behind what is written so far.
  const start = at;
  try {
    write(value, 0);
    if (at - start > limits.valueBytesMax) throw tooLarge();
    return Buffer.from(scratch.subarray(start, at));
  } finally {
    at = start;
  }
}

function write(value: unknown, depth: number): void {
  if (at > limits.valueBytesMax) throw tooLarge();
  switch (typeof value) {
    case 'string': return writeString(value, depth);
    case 'number': return writeNumber(value);
    case 'boolean': scratch[at++] = value ? 0xc3 : 0xc2; return;
    case 'bigint': return writeBigint(value);
    case 'undefined':
      scratch[at++] = 0xd4;
      scratch[at++] = Extension.undefined;
      scratch[at++] = 0;
      return;
    case 'object':
      if (value === null) scratch[at++] = 0xc0;
      else writeObject(value, depth);
      return;
    default: throw unsupported(value, depth);
  }
}

/** By prototype: an instance of a class, a subclass of Array or Map among them, would not come back as it is. */
function writeObject(value: object, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return writePlain(value as Record<string, unknown>, depth);
  if (prototype === Array.prototype && Array.isArray(value)) return writeArray(value, depth);
  if (prototype === Uint8Array.prototype || prototype === Buffer.prototype) return writeBytes(value as Uint8Array);
  if (prototype === Date.prototype) return writeDate(value as Date, depth);
  if (prototype === Map.prototype) return writeMap(value as Map<unknown, unknown>, depth);
  if (prototype === Set.prototype) return writeSet(value as Set<unknown>, depth);
  throw unsupported(value, depth);
}

function writePlain(object: Record<string, unknown>, depth: number): void {
  enter('object', depth);
  const names = Object.keys(object);
  writeHeader(names.length, 0x80, 0x0f, 0xde);
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string;
    keys[depth] = name;
    writeString(name, depth + 1);
    write(object[name], depth + 1);
  }
  const symbol = Object.getOwnPropertySymbols(object)[0];
  if (symbol !== undefined) {
    keys[depth] = symbol.toString();
    throw unsupported(symbol, depth + 1);
  }
}

function writeArray(array: readonly unknown[], depth: number): void {
  enter('array', depth);
  writeHeader(array.length, 0x90, 0x0f, 0xdc);
  for (let i = 0; i < array.length; i++) {
    keys[depth] = i;
    const element = array[i];
    if (element === undefined && !Object.hasOwn(array, i)) throw unsupported(hole, depth + 1);
    write(element, depth + 1);
  }
}

/** The length comes before the contents and is known after them, so it has the widest form. */
function writeMap(map: ReadonlyMap<unknown, unknown>, depth: number): void {
  enter('map', depth);
  const start = beginExtension(Extension.map);
  writeHeader(2 * map.size, 0x90, 0x0f, 0xdc);
  let position = 0;
  for (const [key, value] of map) {
    keys[depth] = position++;
    write(key, depth + 1);
    keys[depth] = position++;
    write(value, depth + 1);
  }
  endExtension(start);
}

function writeSet(set: ReadonlySet<unknown>, depth: number): void {
  enter('set', depth);
  const start = beginExtension(Extension.set);
  writeHeader(set.size, 0x90, 0x0f, 0xdc);
  let position = 0;
  for (const element of set) {
    keys[depth] = position++;
    write(element, depth + 1);
  }
  endExtension(start);
}

function beginExtension(type: number): number {
  scratch[at] = 0xc9;
  scratch[at + 5] = type;
  at += 6;
  return at;
}

function endExtension(start: number): void {
  view.setUint32(start - 5, at - start);
}

/** A container's token and count: in the token if it is short, behind `wide` in 16 bits, or behind `wide + 1` in 32. */
function writeHeader(count: number, short: number, shortMax: number, wide: number): void {
  if (count <= shortMax) {
    scratch[at++] = short | count;
  } else if (count < 0x10000) {
    scratch[at++] = wide;
    view.setUint16(at, count);
    at += 2;
  } else {
    scratch[at++] = wide + 1;
    view.setUint32(at, count);
    at += 4;
  }
}

function writeNumber(value: number): void {
  if (value >>> 0 === value && !Object.is(value, -0)) {
    if (value < 0x80) scratch[at++] = value;
    else writeUint(value);
  } else if (value >> 0 === value && value !== 0) {
    if (value >= -0x20) scratch[at++] = value & 0xff;
    else writeInt(value);
  } else if (Number.isSafeInteger(value) && value !== 0) {
    scratch[at] = value < 0 ? 0xd3 : 0xcf;
    view.setInt32(at + 1, Math.floor(value / 0x1_0000_0000));
    view.setUint32(at + 5, value >>> 0);
    at += 9;
  } else {
    scratch[at] = 0xcb;
    view.setFloat64(at + 1, value);
    at += 9;
  }
}

function writeUint(value: number): void {
  if (value < 0x100) {
    scratch[at] = 0xcc;
    scratch[at + 1] = value;
    at += 2;
  } else if (value < 0x10000) {
    scratch[at] = 0xcd;
    view.setUint16(at + 1, value);
    at += 3;
  } else {
    scratch[at] = 0xce;
    view.setUint32(at + 1, value);
    at += 5;
  }
}

function writeInt(value: number): void {
  if (value >= -0x80) {
    scratch[at] = 0xd0;
    view.setInt8(at + 1, value);
    at += 2;
  } else if (value >= -0x8000) {
    scratch[at] = 0xd1;
    view.setInt16(at + 1, value);
    at += 3;
  } else {
    scratch[at] = 0xd2;
    view.setInt32(at + 1, value);
    at += 5;
  }
}

function writeBigint(value: bigint): void {
  if (BigInt.asIntN(32, value) === value) {
    scratch[at] = 0xd6;
    scratch[at + 1] = Extension.bigint;
    view.setInt32(at + 2, Number(value));
    at += 6;
  } else if (BigInt.asIntN(64, value) === value) {
    scratch[at] = 0xd7;
    scratch[at + 1] = Extension.bigint;
    view.setBigInt64(at + 2, value);
    at += 10;
  } else {
    // Hexadecimal is the fast way out of a large bigint. ~n is -n - 1, so a negative number's complement is its complement's digits inverted.
    const digits = (value < 0n ? ~value : value).toString(16);
    const bytes = (digits.length >> 1) + 1;
    reserve(bytes);
    const start = beginExtension(Extension.bigint);
    scratch.write(digits.padStart(2 * bytes, '0'), at, 'hex');
    if (value < 0n) for (let i = at; i < at + bytes; i++) scratch[i] = ~scratch[i]!;
    at += bytes;
    endExtension(start);
  }
}

/** The three forms of MessagePack's timestamp: whole seconds of 32 bits; 30 bits of ns and 34 of s; 32 bits of ns and 64 of s. */
function writeDate(date: Date, depth: number): void {
  const ms = date.getTime();
  if (Number.isNaN(ms)) throw unsupported(date, depth);
  const seconds = Math.floor(ms / 1_000);
  const nanoseconds = (ms - seconds * 1_000) * 1_000_000;
  if (nanoseconds === 0 && seconds >= 0 && seconds < 0x1_0000_0000) {
    scratch[at] = 0xd6;
    scratch[at + 1] = Extension.date;
    view.setUint32(at + 2, seconds);
    at += 6;
  } else if (seconds >= 0 && seconds < 0x4_0000_0000) {
    scratch[at] = 0xd7;
    scratch[at + 1] = Extension.date;
    view.setUint32(at + 2, nanoseconds * 4 + Math.floor(seconds / 0x1_0000_0000));
    view.setUint32(at + 6, seconds >>> 0);
    at += 10;
  } else {
    scratch[at] = 0xc7;
    scratch[at + 1] = 12;
    scratch[at + 2] = Extension.date;
    view.setUint32(at + 3, nanoseconds);
    view.setInt32(at + 7, Math.floor(seconds / 0x1_0000_0000));
    view.setUint32(at + 11, seconds >>> 0);
    at += 15;
  }
}

function writeBytes(bytes: Uint8Array): void {
  const length = bytes.length;
  reserve(length);
  if (length < 0x100) {
    scratch[at] = 0xc4;
    scratch[at + 1] = length;
    at += 2;
  } else {
    writeHeader(length, 0, -1, 0xc5);
  }
  scratch.set(bytes, at);
  at += length;
}

/** Short plain ASCII, as most keys and many values are, byte by byte: a call into the engine costs more than that. */
function writeString(string: string, depth: number): void {
  const length = string.length;
  reserve(length);
  if (length < 0x20) {
    let i = 0;
    for (; i < length; i++) {
      const unit = string.charCodeAt(i);
      if (unit > 0x7f) break;
      scratch[at + 1 + i] = unit;
    }
    if (i === length) {
      scratch[at] = 0xa0 | length;
      at += 1 + length;
      return;
    }
  }
  if (!(string as WellFormable).isWellFormed()) throw unsupported(string, depth);
  const bytes = Buffer.byteLength(string);
  reserve(bytes);
  if (bytes >= 0x20 && bytes < 0x100) {
    scratch[at] = 0xd9;
    scratch[at + 1] = bytes;
    at += 2;
  } else {
    writeHeader(bytes, 0xa0, 0x1f, 0xda);
  }
  at += scratch.write(string, at);
}

/** Node 20 has it; the ES2023 typings do not. */
type WellFormable = string & { isWellFormed(): boolean };

function reserve(bytes: number): void {
  if (at + bytes > limits.valueBytesMax) throw tooLarge();
}

function enter(container: Container, depth: number): void {
  // A circle is endless nesting. Nothing else goes this deep but by mistake, so looking for circles all the time is not worth it.
  if (depth >= limits.nestingMax) throw unsupported(tooDeep, depth);
  containers[depth] = container;
}

function unsupported(value: unknown, depth: number): DtpError {
  // All of a path this long is of no help: a few steps show a circle too.
  const path = value === tooDeep ? `${pathTo(8)}...` : pathTo(depth);
  return new DtpError('value-unsupported', `${path} is ${describe(value)}`, { path });
}

function tooLarge(): DtpError {
  return new DtpError('value-too-large', `the value takes more than ${limits.valueBytesMax} bytes`, { allowed: limits.valueBytesMax });
}
