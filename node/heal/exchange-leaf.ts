/**
 * What one side says of the versions that it has in a leaf, and how the other side finds what is not among them.
 *
 * A leaf holds some tens of keys, and mostly one or two of them differ. So the asker doesn't have them listed: it tells its newest
 * version, for what it missed is mostly newer than all it has, or a fingerprint of 32 bits for each version. Two versions may
 * have the same fingerprint; but it is salted, so the next time they will not, and until then the leaf's digest still differs. Who is in
 * doubt must not miss one even once, for it speaks when it has looked at a few others: it has all of the leaf named.
 */
import type { Key, Version } from '../../client/wire/messages.ts';
import { itemOf, slotOf } from '../store/hash.ts';
import type { Row } from '../store/rows.ts';

/** Part of the walk: a leaf that differs, or what is behind the key `after` of it. */
export interface Leaf {
  readonly partition: number;
  readonly leaf: number;
  readonly after: Key | null;
  /** Not only what is newer than all that we have there. */
  readonly isThorough: boolean;
  /** Then nothing is left to fingerprints. */
  readonly isDoubtful: boolean;
}

/** What we have of a leaf, up to `until` if there is more of it. */
export interface Piece {
  readonly versions: (readonly [Key, Version])[];
  readonly above: Version;
  readonly have: Uint8Array | null;
  readonly until: Key | null;
}

const fingerprintBytes = 4;
/** What going through a row counts for beside the bytes that are told of it: reading and checking it takes about as long as taking in so many. */
export const rowBytes = 32;

/** Takes `rowsMax` of the rows at most. */
export function pieceOf(rows: Iterable<readonly [Key, Row]>, { isThorough, isDoubtful }: Pick<Leaf, 'isThorough' | 'isDoubtful'>, salt: number, rowsMax: number): Piece {
  const versions: (readonly [Key, Version])[] = [];
  const have: number[] = [];
  let above = 0;
  let until: Key | null = null;
  for (const [key, row] of rows) {
    if (versions.length >= rowsMax) {
      until = versions.at(-1)?.[0] ?? null;
      break;
    }
    versions.push([key, row.version]);
    above = Math.max(above, row.version);
    if (isThorough && !isDoubtful) have.push(fingerprintOf(key, row, salt));
  }
  return { versions, above, have: isThorough ? packed(have) : null, until };
}

/** The fingerprints of a piece, with a bit for each that was met. */
export class Fingerprints {
  readonly met: Uint8Array;
  readonly #salt: number;
  readonly #places = new Map<number, number[]>();

  constructor(have: Uint8Array, salt: number) {
    const count = Math.floor(have.length / fingerprintBytes);
    this.met = new Uint8Array(Math.ceil(count / 8));
    this.#salt = salt;
    const view = new DataView(have.buffer, have.byteOffset, have.byteLength);
    for (let i = 0; i < count; i++) {
      const fingerprint = view.getUint32(i * fingerprintBytes, true);
      const places = this.#places.get(fingerprint);
      if (places === undefined) this.#places.set(fingerprint, [i]);
      else places.push(i);
    }
  }

  /** Is this version among them? */
  meets(key: Key, row: Row): boolean {
    const places = this.#places.get(fingerprintOf(key, row, this.#salt));
    for (const i of places ?? []) this.met[i >> 3] = (this.met[i >> 3] as number) | (1 << (i & 7));
    return places !== undefined;
  }
}

export function isMet(met: Uint8Array, i: number): boolean {
  return (((met[i >> 3] ?? 0) >> (i & 7)) & 1) === 1;
}

/** Does the first key lie behind the second in the order of a leaf's rows? */
export function isBehind(key: Key, other: Key): boolean {
  const [slot, otherSlot] = [slotOf(key), slotOf(other)];
  return slot === otherSlot ? key > other : slot > otherSlot;
}

/** Mixes with multipliers of xxHash: other salts make other pairs collide. */
function fingerprintOf(key: Key, { version, checksum, tombstone }: Row, salt: number): number {
  const { a } = itemOf(key, version, checksum, tombstone);
  const [low, high] = [Number(a & 0xffff_ffffn), Number(a >> 32n)];
  const mixed = Math.imul(low ^ salt, 0x9e37_79b1) ^ Math.imul((high + salt) | 0, 0x85eb_ca77);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2_ae3d) >>> 0;
}

function packed(fingerprints: readonly number[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(fingerprints.length * fingerprintBytes);
  fingerprints.forEach((fingerprint, i) => bytes.writeUInt32LE(fingerprint, i * fingerprintBytes));
  return bytes;
}
