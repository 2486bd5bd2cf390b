/** The decoder of values: trusts nothing, for what is stored was encoded by some client. The format is in value-types.ts. */
import { BadFrame } from './codec.ts';
import { limits } from './limits.ts';
import { dateMsMax, Extension } from './value-types.ts';

/**
 * The value that these bytes encode. It shares no memory with them.
 *
 * @throws BadFrame, and nothing else, whatever the bytes.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  if (bytes.length > limits.valueBytesMax) throw bad(`${bytes.length} bytes, more than ${limits.valueBytesMax}`);
  const reader = new Reader(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const value = reader.read(0);
  reader.finish();
  return value;
}

/** For a double, whose bytes may lie anywhere. */
const double = new DataView(new ArrayBuffer(8));

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  /** Behind the last byte of what is being read: the whole, or an extension's content. */
  #end: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  finish(): void {
    if (this.#at !== this.#end) throw bad('bytes behind its end');
  }

  read(depth: number): unknown {
    const token = this.#uint8();
    if (token < 0x80) return token;
    if (token >= 0xe0) return token - 0x100;
    if (token < 0x90) return this.#object(token & 0x0f, depth);
    if (token < 0xa0) return this.#array(token & 0x0f, depth);
    if (token < 0xc0) return this.#string(token & 0x1f);
    switch (token) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.#copy(this.#uint8());
      case 0xc5: return this.#copy(this.#uint16());
      case 0xc6: return this.#copy(this.#uint32());
      case 0xc7: return this.#extension(this.#uint8(), depth);
      case 0xc8: return this.#extension(this.#uint16(), depth);
      case 0xc9: return this.#extension(this.#uint32(), depth);
      case 0xca: return this.#bytes.readFloatBE(this.#skip(4));
      case 0xcb: return this.#double();
      case 0xcc: return this.#uint8();
      case 0xcd: return this.#uint16();
      case 0xce: return this.#uint32();
      case 0xcf: return numberIfSafe(this.#bytes.readBigUInt64BE(this.#skip(8)));
      case 0xd0: return this.#bytes.readInt8(this.#skip(1));
      case 0xd1: return this.#bytes.readInt16BE(this.#skip(2));
      case 0xd2: return this.#bytes.readInt32BE(this.#skip(4));
      case 0xd3: return numberIfSafe(this.#bytes.readBigInt64BE(this.#skip(8)));
      case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return this.#extension(1 << (token - 0xd4), depth);
      case 0xd9: return this.#string(this.#uint8());
      case 0xda: return this.#string(this.#uint16());
      case 0xdb: return this.#string(this.#uint32());
      case 0xdc: return this.#array(this.#uint16(), depth);
      case 0xdd: return this.#array(this.#uint32(), depth);
      case 0xde: return this.#object(this.#uint16(), depth);
      case 0xdf: return this.#object(this.#uint32(), depth);
      default: throw bad('a byte that begins no value');
    }
  }

  /** The position of the next `count` bytes, which are passed. */
  #skip(count: number): number {
    const start = this.#at;
    if (count > this.#end - start) throw bad('an early end');
    this.#at = start + count;
    return start;
  }

  #uint8(): number {
    return this.#bytes[this.#skip(1)] as number;
  }

  #uint16(): number {
    const at = this.#skip(2);
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  #uint32(): number {
    const at = this.#skip(4);
    return ((this.#bytes[at]! << 24) | (this.#bytes[at + 1]! << 16) | (this.#bytes[at + 2]! << 8) | this.#bytes[at + 3]!) >>> 0;
  }

  #double(): number {
    const at = this.#skip(8);
    for (let i = 0; i < 8; i++) double.setUint8(i, this.#bytes[at + i]!);
    return double.getFloat64(0);
  }

  /** Short plain ASCII character by character: a call into the engine costs more than that. */
  #string(length: number): string {
    const start = this.#skip(length);
    if (length > 12) return this.#bytes.toString('utf8', start, this.#at);
    let string = '';
    for (let i = start; i < this.#at; i++) {
      const byte = this.#bytes[i] as number;
      if (byte > 0x7f) return this.#bytes.toString('utf8', start, this.#at);
      string += String.fromCharCode(byte);
    }
    return string;
  }

  #copy(length: number): Uint8Array {
    const start = this.#skip(length);
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(start, this.#at));
    return copy;
  }

  #array(length: number, depth: number): unknown[] {
    this.#enter(length, depth);
    // Not made at its length: the length is only a claim, and large arrays made so are slow ones.
    const array: unknown[] = [];
    for (let i = 0; i < length; i++) array.push(this.read(depth + 1));
    return array;
  }

  #object(size: number, depth: number): Record<string, unknown> {
    this.#enter(2 * size, depth);
    const object: Record<string, unknown> = {};
    for (let i = 0; i < size; i++) {
      const key = this.read(depth + 1);
      if (typeof key !== 'string') throw bad('a map with a key that is no string');
      const value = this.read(depth + 1);
      // Assigned, this one key would be the object's prototype.
      if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      else object[key] = value;
    }
    return object;
  }

  #enter(values: number, depth: number): void {
    if (depth >= limits.nestingMax) throw bad(`more than ${limits.nestingMax} levels of nesting`);
    // Every value takes a byte at least: a count beyond what is left can never be met.
    if (values > this.#end - this.#at) throw bad('an early end');
  }

  #extension(length: number, depth: number): unknown {
    const type = this.#uint8();
    const start = this.#skip(length);
    switch (type) {
      case Extension.undefined: return undefined;
      case Extension.bigint: return this.#bigint(start, length);
      case Extension.date: return this.#date(start, length);
      case Extension.map: return mapOf(this.#content(start, depth));
      case Extension.set: return new Set(this.#content(start, depth));
      default: throw bad('an unknown extension type');
    }
  }

  /** The array inside an extension, at whose end the reader already stands. */
  #content(start: number, depth: number): unknown[] {
    const [end, outerEnd] = [this.#at, this.#end];
    this.#at = start;
    this.#end = end;
    const content = this.read(depth);
    this.finish();
    this.#end = outerEnd;
    if (!Array.isArray(content)) throw bad('a Map or Set without an array');
    return content as unknown[];
  }

  #bigint(start: number, length: number): bigint {
    if (length === 0) throw bad('a bigint without bytes');
    if (length === 4) return BigInt(this.#bytes.readInt32BE(start));
    if (length === 8) return this.#bytes.readBigInt64BE(start);
    return BigInt.asIntN(8 * length, BigInt(`0x${this.#bytes.toString('hex', start, start + length)}`));
  }

  #date(start: number, length: number): Date {
    let ms: number;
    if (length === 4) {
      ms = this.#bytes.readUInt32BE(start) * 1_000;
    } else if (length === 8) {
      const high = this.#bytes.readUInt32BE(start);
      ms = ((high & 3) * 0x1_0000_0000 + this.#bytes.readUInt32BE(start + 4)) * 1_000 + Math.floor((high >>> 2) / 1_000_000);
    } else if (length === 12) {
      ms = Number(this.#bytes.readBigInt64BE(start + 4)) * 1_000 + Math.floor(this.#bytes.readUInt32BE(start) / 1_000_000);
    } else {
      throw bad('a date of no known length');
    }
    if (Math.abs(ms) > dateMsMax) throw bad('a date that is out of range');
    return new Date(ms);
  }
}

function mapOf(content: readonly unknown[]): Map<unknown, unknown> {
  if (content.length % 2 !== 0) throw bad('a Map with a key without a value');
  const map = new Map<unknown, unknown>();
  for (let i = 0; i < content.length; i += 2) map.set(content[i], content[i + 1]);
  return map;
}

function numberIfSafe(integer: bigint): number | bigint {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}

function bad(what: string): BadFrame {
  return new BadFrame(`a value with ${what}`);
}
