/**
 * Values on a command line: JSON, with the kinds that JSON lacks written as objects of one key that begins with `$`.
 *
 *     {"$bigint":"100"}  {"$date":"2025-01-31T12:00:00.000Z"}  {"$bytes":"aGVsbG8="} (base64)  {"$undefined":true}
 *     {"$map":[["key",1]]}  {"$set":[1,2]}  {"$number":"NaN"} (or Infinity, -Infinity, -0)
 *     {"$object":{"$date":"..."}}: the object itself, that happens to look like one of these
 *
 * What `toTypedJson` gives, `fromTypedJson` takes back to an equal value.
 */

/** The text stands for no value; the message says what is wrong and what is allowed. */
export class TypedJsonError extends Error {}

interface Kind {
  readonly expects: string;
  /** The value that the content stands for; undefined where it is no such content. */
  decode(content: unknown): { readonly value: unknown } | undefined;
}

const oddNumbers: Record<string, number> = { 'NaN': NaN, 'Infinity': Infinity, '-Infinity': -Infinity, '-0': -0 };

const kinds: Record<string, Kind> = {
  $bigint: {
    expects: 'digits in quotes',
    decode: (content) => (typeof content === 'string' && /^-?\d+$/.test(content) ? { value: BigInt(content) } : undefined),
  },
  $date: {
    expects: 'an ISO 8601 date in quotes, or null for an invalid one',
    decode: (content) => {
      if (content === null) return { value: new Date(NaN) };
      const date = typeof content === 'string' ? new Date(content) : undefined;
      return date === undefined || Number.isNaN(date.getTime()) ? undefined : { value: date };
    },
  },
  $bytes: {
    expects: 'base64 in quotes',
    decode: (content) => {
      if (typeof content !== 'string') return undefined;
      const bytes = Buffer.from(content, 'base64');
      return bytes.toString('base64').replace(/=+$/, '') === content.replace(/=+$/, '') ? { value: new Uint8Array(bytes) } : undefined;
    },
  },
  $undefined: { expects: 'true', decode: (content) => (content === true ? { value: undefined } : undefined) },
  $number: {
    expects: `one of ${Object.keys(oddNumbers).join(', ')} in quotes`,
    decode: (content) => (typeof content === 'string' && Object.hasOwn(oddNumbers, content) ? { value: oddNumbers[content] } : undefined),
  },
  $map: {
    expects: 'an array of [key, value] pairs',
    decode: (content) => {
      if (!Array.isArray(content) || !content.every((pair) => Array.isArray(pair) && pair.length === 2)) return undefined;
      return { value: new Map((content as [unknown, unknown][]).map(([key, value]) => [fromTypedJson(key), fromTypedJson(value)])) };
    },
  },
  $set: { expects: 'an array', decode: (content) => (Array.isArray(content) ? { value: new Set(content.map(fromTypedJson)) } : undefined) },
  $object: { expects: 'an object', decode: (content) => (isPlain(content) ? { value: mapObject(content, fromTypedJson) } : undefined) },
};

/** @throws TypedJsonError */
export function parseTypedJson(text: string): unknown {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new TypedJsonError(`not JSON: ${(error as Error).message}`);
  }
  const imprecise = impreciseInteger(text);
  if (imprecise !== undefined) throw new TypedJsonError(`the number ${imprecise} would lose digits; write {"$bigint":"${imprecise}"}`);
  return fromTypedJson(content);
}

export function formatTypedJson(value: unknown): string {
  return JSON.stringify(toTypedJson(value));
}

/** @throws TypedJsonError */
export function fromTypedJson(content: unknown): unknown {
  if (Array.isArray(content)) return content.map(fromTypedJson);
  if (!isPlain(content)) return content;
  const tag = tagOf(content);
  if (tag === undefined) return mapObject(content, fromTypedJson);
  const kind = Object.hasOwn(kinds, tag) ? kinds[tag] : undefined;
  if (kind === undefined) throw new TypedJsonError(`unknown kind "${tag}"; known are ${Object.keys(kinds).join(', ')}; an object with just that key is written {"$object":{"${tag}":...}}`);
  const decoded = kind.decode(content[tag]);
  if (decoded === undefined) throw new TypedJsonError(`"${tag}" takes ${kind.expects}`);
  return decoded.value;
}

/** JSON content that stands for any value which the client can read. */
export function toTypedJson(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return { $bigint: String(value) };
    case 'undefined':
      return { $undefined: true };
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $number: Object.is(value, -0) ? '-0' : String(value) };
    case 'object':
      return value === null ? null : objectToTypedJson(value);
    default:
      return value;
  }
}

function objectToTypedJson(value: object): unknown {
  if (Array.isArray(value)) return Array.from(value, toTypedJson);
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
  if (value instanceof Map) return { $map: [...value].map(([key, entry]) => [toTypedJson(key), toTypedJson(entry)]) };
  if (value instanceof Set) return { $set: [...value].map(toTypedJson) };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  const content = mapObject(value as Record<string, unknown>, toTypedJson);
  return tagOf(content) === undefined ? content : { $object: content };
}

/** The only key of an object, if it begins with `$`. */
function tagOf(content: Record<string, unknown>): string | undefined {
  const keys = Object.keys(content);
  return keys.length === 1 && keys[0]?.startsWith('$') === true ? keys[0] : undefined;
}

function isPlain(content: unknown): content is Record<string, unknown> {
  return typeof content === 'object' && content !== null && !Array.isArray(content);
}

/** `fromEntries` defines its keys: one named `__proto__` stays a key. */
function mapObject(content: Record<string, unknown>, map: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(content).map(([key, value]) => [key, map(value)]));
}

/** An integer in the text that a number can't hold, which JSON.parse rounds without a word. */
function impreciseInteger(text: string): string | undefined {
  const withoutStrings = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  const integers = withoutStrings.match(/-?\d+(?![\d.eE])(?<![.eE][+-]?\d*)/g) ?? [];
  return integers.find((digits) => digits.length > 15 && String(Number(digits)) !== digits);
}
