/** Transaction bodies and values as a client would encode them. */
import { encodeBody } from '../../../client/wire/codec.ts';
import type { Key, Value, Version } from '../../../client/wire/messages.ts';

export const valueOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

/** `writes`: a text, or null for a deletion; `others`: of a batch, the numbers of its other transactions. */
export function bodyOf(reads: Readonly<Record<Key, Version>>, writes: Readonly<Record<Key, string | null>>, others: readonly number[] = []): Uint8Array {
  const flatWrites: (Key | Value)[] = Object.entries(writes).flatMap(([key, text]) => [key, text === null ? null : valueOf(text)]);
  // A copy of its own: the parse of a body is remembered by the bytes.
  return Uint8Array.from(encodeBody(others.length === 0 ? [Object.entries(reads).flat(), flatWrites] : [Object.entries(reads).flat(), flatWrites, [...others]]));
}
