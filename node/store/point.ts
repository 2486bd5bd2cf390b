/**
 * What is written beside a recovery point: whose data it is, from when, and what all of it must add up to.
 *
 * A recovery point is a copy of the table between two checkpoints: exactly what was committed and applied here up to one
 * moment, with the digests of it, and nothing of what the node had promised to transactions under way.
 */
import type { Identity } from './meta.ts';

/** Raised when the fields below change their meaning. */
const format = 1;

export interface Point extends Identity {
  /** The disk that it was taken from, and in which of that disk's lives. */
  readonly storeId: string;
  readonly incarnation: number;
  /** Of the wall clock, ISO 8601. */
  readonly takenAt: string;
  /** The newest timestamp that the node had seen: no version in it is newer. */
  readonly timestamp: number;
  readonly bytes: number;
  /** Of all its data rows: 32 hex digits. */
  readonly digest: string;
}

export function encodePoint(point: Point): string {
  return `${JSON.stringify({ format, ...point }, null, 2)}\n`;
}

const texts = ['cluster', 'node', 'placement', 'storeId', 'takenAt', 'digest'] as const;
const numbers = ['partitions', 'incarnation', 'timestamp', 'bytes'] as const;

/** Null if it is not what `encodePoint` gives. */
export function decodePoint(note: string): Point | null {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(note) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof fields !== 'object' || fields === null || fields['format'] !== format) return null;
  const isWhole = texts.every((name) => typeof fields[name] === 'string') && numbers.every((name) => Number.isSafeInteger(fields[name]));
  return isWhole ? (fields as unknown as Point) : null;
}

/** Becomes a directory's name: 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first. */
export function isPointName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,63}$/i.test(name);
}
