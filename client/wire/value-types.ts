/**
 * How values become bytes, and back exactly as they were. What MessagePack has no type for has an extension type here;
 * all of it is plain MessagePack to a library that knows these five.
 *
 * General MessagePack libraries for JavaScript lose what matters to a database: an object's key `__proto__` is renamed
 * or refused, Map and plain object become one, half a surrogate pair turns into bytes that are no UTF-8, class
 * instances into what they happen to have inside, and extensions are registered for the whole process, its other
 * users included. Hence an encoder that refuses what it can't bring back, and tells where in the value it sits.
 *
 *     null, true, false   nil, true, false
 *     number              the shortest integer, if it is one and safe (up to 2^53 - 1), else float 64: -0, NaN and Infinity too
 *     string              str; half of a surrogate pair is refused
 *     Uint8Array, Buffer  bin; comes back as a Uint8Array of its own
 *     Array               array; holes are refused
 *     plain object        map with str keys, in the object's order; an object without prototype comes back with one
 *     others              extensions, below
 *
 * A reader takes an integer of any width for a number, or for a bigint if no number can hold it exactly.
 */
export const Extension = {
  /** One byte, ignored. */
  undefined: 0x00,
  /** Two's complement, big-endian. */
  bigint: 0x42,
  /** A MessagePack array: key, value, key, value, ... */
  map: 0x4d,
  /** A MessagePack array. */
  set: 0x53,
  /** Date, as MessagePack's own timestamp type (-1). Milliseconds; finer parts are cut. */
  date: 0xff,
} as const;

/** The farthest instants that a Date can be, in ms from 1970. */
export const dateMsMax = 8.64e15;
