/**
 * The journal's unit of writing and of checking: a block, all records of one group commit, in sectors of its own.
 *
 *   magic u32 | crc u32 | payload bytes u32 | segment u32 | follows offset u32 | follows segment u32 | payload
 *
 * in little-endian, cut into pieces of 508 bytes, each of which makes a sector of the file with a stamp of 4 bytes behind it.
 * The CRC-32 covers everything behind itself but the stamps. `segment` is the sequence
 * number of the segment file: files are used again under new numbers, and a block of a former use must never look
 * valid. `follows` is where the block before ended: within a segment that is this block's own offset, so a block is
 * valid at its own place alone; for a segment's first block it is the end of an earlier segment, so one whose
 * last blocks were lost is told from one that ended early (a new one begins with every start of the node, and whenever a
 * write has failed), and what lies behind that end, or in segments between, is known not to count.
 *
 * The stamps tell a block that was written to its end and has changed since from one that a crash tore, which the CRC
 * can't: a durable vote with a flipped bit must not be cut off as if nobody had been told of it. A disk writes a sector whole or not at all. So a torn block has a
 * sector that still ends as it did before, and no former use of the file left there the stamp of this segment; where all stamps are new,
 * up to that of a last sector, all was written. (SQL Server's log has parity bits in its sectors for that, InnoDB's redo log
 * numbers its 512-byte blocks; etcd looks for sectors of zeros, as its files aren't used again.) Stamps are no part of
 * what the CRC covers: a flipped bit in one does no harm to a block that is otherwise good.
 */
import { crc32 } from 'node:zlib';

export const sectorBytes = 512;
const stampBytes = 4;
const pieceBytes = sectorBytes - stampBytes;
export const headerBytes = 24;
const magic = 0x4a50_5444; // "DTPJ"
const magicBytes = Buffer.from('DTPJ', 'latin1');

/** A place in the journal: everything before this byte of this segment. */
export interface Position {
  readonly sequence: number;
  readonly offset: number;
}

/** What a block takes in the file. */
export function blockBytes(payloadBytes: number): number {
  return Math.ceil((headerBytes + payloadBytes) / pieceBytes) * sectorBytes;
}

/** What a sector of a block ends with. An odd factor spreads the numbers, so that stamps of different segments differ in many bits, and from zeros. */
function stampOf(segment: number, isLast: boolean): number {
  return Math.imul(2 * segment + (isLast ? 1 : 0), 0x9e37_79b1) >>> 0;
}

/** Makes the block with this payload. */
export function seal(payload: Buffer, segment: number, follows: Position): Buffer {
  const block = Buffer.allocUnsafe(blockBytes(payload.length));
  block.writeUInt32LE(magic, 0);
  block.writeUInt32LE(payload.length, 8);
  block.writeUInt32LE(segment, 12);
  block.writeUInt32LE(follows.offset, 16);
  block.writeUInt32LE(follows.sequence, 20);
  block.writeUInt32LE(checksum(block, 0, payload), 4);
  let taken = 0;
  for (let sector = 0; sector < block.length; sector += sectorBytes) {
    const from = sector === 0 ? headerBytes : sector;
    const to = sector + pieceBytes;
    const copied = payload.copy(block, from, taken, taken + to - from);
    block.fill(0, from + copied, to);
    taken += copied;
    block.writeUInt32LE(stampOf(segment, sector + sectorBytes === block.length), to);
  }
  return block;
}

function checksum(file: Buffer, offset: number, payload: Buffer): number {
  return crc32(payload, crc32(file.subarray(offset + 8, offset + headerBytes)));
}

/** The payload of the block at `offset`, of which the file holds all. */
export function payloadAt(file: Buffer, offset: number): Buffer {
  const bytes = file.readUInt32LE(offset + 8);
  const payload = Buffer.allocUnsafe(bytes);
  for (let taken = 0, from = offset + headerBytes, to = offset + pieceBytes; taken < bytes; from = to + stampBytes, to += sectorBytes) {
    taken += file.copy(payload, taken, from, Math.min(to, from + bytes - taken));
  }
  return payload;
}

/** The end of the valid block at this offset, or -1. */
function endOfBlock(file: Buffer, offset: number, segment: number): number {
  if (offset + sectorBytes > file.length || file.readUInt32LE(offset) !== magic || file.readUInt32LE(offset + 12) !== segment) return -1;
  if (offset > 0 && (file.readUInt32LE(offset + 16) !== offset || file.readUInt32LE(offset + 20) !== segment)) return -1;
  const end = offset + blockBytes(file.readUInt32LE(offset + 8));
  if (end > file.length || checksum(file, offset, payloadAt(file, offset)) !== file.readUInt32LE(offset + 4)) return -1;
  return end;
}

/** Was a block written here, to its end, whatever has become of it? */
function wasWritten(file: Buffer, offset: number, segment: number): boolean {
  for (let at = offset + pieceBytes; at + stampBytes <= file.length; at += sectorBytes) {
    const stamp = file.readUInt32LE(at);
    if (stamp === stampOf(segment, true)) return true;
    if (stamp !== stampOf(segment, false)) return false;
  }
  return false;
}

function holdsStamps(file: Buffer, segment: number): boolean {
  for (let at = pieceBytes; at + stampBytes <= file.length; at += sectorBytes) {
    const stamp = file.readUInt32LE(at);
    if (stamp === stampOf(segment, true) || stamp === stampOf(segment, false)) return true;
  }
  return false;
}

export interface Scan {
  /** Where each valid block ends, from the start of the segment on without a gap. */
  readonly ends: readonly number[];
  /** The end of an earlier segment behind which the first block says it was written; null without blocks. */
  readonly follows: Position | null;
  /** The offset of a valid block behind the first place that holds none; -1 if there is none. */
  readonly stray: number;
  /** The first place without a valid block held one: it was written whole, and has changed since. */
  readonly spoilt: boolean;
  /** Nothing of this segment was ever written here, not even a part of a block. */
  readonly unused: boolean;
}

export function scan(file: Buffer, segment: number): Scan {
  const ends: number[] = [];
  let end = 0;
  for (let next = endOfBlock(file, 0, segment); next >= 0; next = endOfBlock(file, end, segment)) {
    end = next;
    ends.push(end);
  }
  let stray = -1;
  for (let at = file.indexOf(magicBytes, end); at >= 0 && stray < 0; at = file.indexOf(magicBytes, at + 1)) {
    if (at % sectorBytes === 0 && endOfBlock(file, at, segment) >= 0) stray = at;
  }
  const follows = ends.length === 0 ? null : { sequence: file.readUInt32LE(20), offset: file.readUInt32LE(16) };
  return { ends, follows, stray, spoilt: wasWritten(file, end, segment), unused: !holdsStamps(file, segment) };
}
