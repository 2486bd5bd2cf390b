/**
 * A look over MessagePack bytes before they are decoded: are they one well-formed value, of plain types, of bounded
 * depth and size?
 *
 * A general decoder trusts its input too much. It recurses (deep nesting exhausts the stack), it allocates ahead of
 * the data, a byte of input may cost it a hundred of heap (an empty `bin` becomes a view), and its extension types
 * build regular expressions, errors and cyclic objects. One pass over the headers, without recursion and without
 * allocation, rules all of that out, so what follows may be fast rather than careful. It costs about a tenth of the
 * decoding, for it jumps over the contents of strings and bytes.
 */
import { limits } from './limits.ts';

/** Containers open at the moment: how many of their values are still to come. Shared, for a scan never runs inside another. */
const pending = new Int32Array(limits.nestingMax + 1);

/**
 * What is wrong with the bytes, or null. `valuesMax` bounds the values, containers and their contents alike: the time
 * and the memory that decoding can cost.
 */
export function faultOfEncoding(bytes: Uint8Array, valuesMax: number): string | null {
  const end = bytes.length;
  let at = 0;
  let depth = 0;
  let count = 0;
  pending[0] = 1;
  for (;;) {
    while (pending[depth] === 0) {
      if (depth === 0) return at === end ? null : 'bytes behind its end';
      depth--;
    }
    pending[depth]!--;
    if (at >= end) return 'an early end';
    if (++count > valuesMax) return `more than ${valuesMax} values`;
    const token = bytes[at++] as number;
    let values = -1;
    if (token < 0x80 || token >= 0xe0) continue;
    if (token < 0x90) values = 2 * (token & 0x0f);
    else if (token < 0xa0) values = token & 0x0f;
    else if (token < 0xc0) at += token & 0x1f;
    else {
      const header = headerBytes[token - 0xc0] as number;
      if (header < 0) return token === 0xc1 ? 'a byte that begins no value' : 'an extension type';
      if (at + header > end) return 'an early end';
      const kind = kinds[token - 0xc0];
      if (kind !== Kind.fixed) {
        const size = header === 1 ? bytes[at]! : header === 2 ? (bytes[at]! << 8) | bytes[at + 1]! : uint32(bytes, at);
        if (kind === Kind.content) at += size;
        else values = kind === Kind.array ? size : 2 * size;
      }
      at += header;
    }
    if (at > end) return 'an early end';
    if (values >= 0) {
      // Every value takes a byte at least: a count beyond what is left can never be met.
      if (values > end - at) return 'an early end';
      if (++depth > limits.nestingMax) return `more than ${limits.nestingMax} levels of nesting`;
      pending[depth] = values;
    }
  }
}

const Kind = { fixed: 0, content: 1, array: 2, map: 3 } as const;

/** For the tokens from 0xc0 to 0xdf: the bytes of the number or size that follows, -1 for what is not plain. */
const headerBytes = new Int8Array([
  0, -1, 0, 0, 1, 2, 4, -1, -1, -1, 4, 8, 1, 2, 4, 8, // nil, unused, false, true, bin, ext, float, uint
  1, 2, 4, 8, -1, -1, -1, -1, -1, 1, 2, 4, 2, 4, 2, 4, // int, fixext, str, array, map
]);
/** And what such a size is of. */
const kinds = new Uint8Array([
  0, 0, 0, 0, Kind.content, Kind.content, Kind.content, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, Kind.content, Kind.content, Kind.content, Kind.array, Kind.array, Kind.map, Kind.map,
]);

function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
