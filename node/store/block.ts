/**
 * The journal's unit of writing and of checking: a block, all records of one group commit.
 *
 *   magic u32 | crc u32 | payload bytes u32 | segment u32 | follows u32 | payload
 *
 * in little-endian, starting at a multiple of 16 bytes. The CRC-32 covers everything behind itself. `segment` is the sequence
 * number of the segment file: files are used again under new numbers, and a block of a former use must never look
 * valid. `follows` is where the block before ended: within a segment that is this block's own offset, so a block is
 * valid at its own place alone; for a segment's first block it is the end of the segment before, so a segment whose
 * last blocks were lost is told from one that ended early (the next one begins with every start of the node).
 */
import { crc32 } from 'node:zlib';

export const headerBytes = 20;
const alignment = 16;
const magic = 0x4a50_5444; // "DTPJ"
const magicBytes = Buffer.from('DTPJ', 'latin1');

export function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Fills in the header of a block whose payload is in place behind it. */
export function seal(block: Buffer, segment: number, follows: number): void {
  block.writeUInt32LE(magic, 0);
  block.writeUInt32LE(block.length - headerBytes, 8);
  block.writeUInt32LE(segment, 12);
  block.writeUInt32LE(follows, 16);
  block.writeUInt32LE(crc32(block.subarray(8)), 4);
}

/** The end of the valid block at this offset, or -1. */
function endOfBlock(file: Buffer, offset: number, segment: number): number {
  if (offset + headerBytes > file.length || file.readUInt32LE(offset) !== magic || file.readUInt32LE(offset + 12) !== segment) return -1;
  if (offset > 0 && file.readUInt32LE(offset + 16) !== offset) return -1;
  const end = offset + headerBytes + file.readUInt32LE(offset + 8);
  if (end > file.length || crc32(file.subarray(offset + 8, end)) !== file.readUInt32LE(offset + 4)) return -1;
  return end;
}

export interface Scan {
  /** Where each valid block ends, aligned, from the start of the segment on without a gap. */
  readonly ends: readonly number[];
  /** The end that the first block says the segment before has; -1 without blocks. */
  readonly follows: number;
  /** The offset of a valid block behind the first place that holds none; -1 if there is none. */
  readonly stray: number;
}

export function scan(file: Buffer, segment: number): Scan {
  const ends: number[] = [];
  let end = 0;
  for (let next = endOfBlock(file, 0, segment); next >= 0; next = endOfBlock(file, end, segment)) {
    end = aligned(next);
    ends.push(end);
  }
  let stray = -1;
  for (let at = file.indexOf(magicBytes, end); at >= 0 && stray < 0; at = file.indexOf(magicBytes, at + 1)) {
    if (at % alignment === 0 && endOfBlock(file, at, segment) >= 0) stray = at;
  }
  return { ends, follows: ends.length === 0 ? -1 : file.readUInt32LE(16), stray };
}

/** The payload of the block at `offset`, which was found valid. */
export function payloadAt(file: Buffer, offset: number): Buffer {
  return file.subarray(offset + headerBytes, offset + headerBytes + file.readUInt32LE(offset + 8));
}
