/** Keys, values, versions and transactions, short enough to be read by the hundred. */
import { decodeKey } from '../../../client/keys.ts';
import { decodeBody } from '../../../client/wire/codec.ts';
import { ABORT, UNDECIDED, type Decision, type Key, type Operations, operationKinds, operationStride, type Value } from '../../../client/wire/messages.ts';
import { decodeValue } from '../../../client/wire/values.ts';
import { ticksPerMs } from '../../../node/txn/clock.ts';

const valueLengthMax = 60;

export function key(encoded: Key): string {
  try {
    const decoded = decodeKey(encoded);
    return typeof decoded === 'string' ? decoded : decoded.map(String).join('/');
  } catch {
    return JSON.stringify(encoded);
  }
}

export function value(bytes: Value): string {
  if (bytes === null) return 'deleted';
  const text = plain(bytes);
  // What is new in a list is at its end.
  return text.length <= valueLengthMax ? text : `${text.slice(0, 10)}...${text.slice(-valueLengthMax + 13)}`;
}

function plain(bytes: Uint8Array): string {
  try {
    return JSON.stringify(decodeValue(bytes), (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)) ?? 'undefined';
  } catch {
    return `<${bytes.length} bytes>`;
  }
}

/** A timestamp as the milliseconds of the simulation that its maker's clock showed, and a counter. */
export function version(timestamp: number): string {
  return timestamp === 0 ? 'v0' : `v${Math.floor(timestamp / ticksPerMs)}.${timestamp % ticksPerMs}`;
}

export function decision(decided: Decision): string {
  if (decided === UNDECIDED) return 'undecided';
  return decided === ABORT ? 'ABORT' : `COMMIT ${version(decided)}`;
}

export function body(bytes: Uint8Array | null): string {
  if (bytes === null) return '';
  const [reads, writes] = decodeBody(bytes);
  const seen = pairs(reads).map(([name, at]) => `${key(name as Key)}@${version(at as number)}`);
  const written = pairs(writes).map(([name, to]) => `${key(name as Key)}=${value(to as Value)}`);
  return `{${[...(seen.length > 0 ? [`read ${seen.join(', ')}`] : []), ...(written.length > 0 ? [`write ${written.join(', ')}`] : [])].join('; ')}}`;
}

export function operations(flat: Operations | null): string {
  if (flat === null) return '';
  const words: string[] = [];
  for (let i = 0; i < flat.length; i += operationStride) words.push(`${operationKinds[flat[i] as number]} ${key(flat[i + 1] as Key)} ${value(flat[i + 2] as Value)}`);
  return words.join(', ');
}

export function pairs<T>(flat: readonly T[]): [T, T][] {
  return groups(flat, 2) as [T, T][];
}

export function groups<T>(flat: readonly T[], size: number): T[][] {
  return Array.from({ length: flat.length / size }, (_, i) => flat.slice(i * size, (i + 1) * size));
}
