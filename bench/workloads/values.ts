/** Values that say what they are: whose key, and which write of which process, or how often it was changed. */
import { valueBytesMin } from './workload.ts';

export function keyOf(kind: string, index: number): string {
  return `${kind}:${String(index).padStart(9, '0')}`;
}

/** Bytes behind the fields, which nothing can compress; the same in all values. */
const filler = Buffer.from(Array.from({ length: 1_024 }, (_, i) => (Math.imul(i + 1, 0x9e37_79b1) >>> 16) & 0xff));

function blank(valueBytes: number, index: number): Buffer {
  const value = Buffer.allocUnsafe(Math.max(valueBytes, valueBytesMin));
  for (let at = 0; at < value.length; at += filler.length) filler.copy(value, at);
  value.writeUInt32LE(index, 0);
  return value;
}

/** A value as one write left it. Sequence 0 of writer 0: as it was prepared. */
export function stamped(valueBytes: number, index: number, writer: number, sequence: number): Buffer {
  const value = blank(valueBytes, index);
  value.writeUInt32LE(writer, 4);
  value.writeDoubleLE(sequence, 8);
  return value;
}

export interface Stamp {
  readonly index: number;
  readonly writer: number;
  readonly sequence: number;
}

export function stampOf(value: Buffer): Stamp {
  return { index: value.readUInt32LE(0), writer: value.readUInt32LE(4), sequence: value.readDoubleLE(8) };
}

/** An account: a balance, and how often it was changed. */
export interface Account {
  readonly balance: number;
  readonly changes: number;
}

export function accountValue(valueBytes: number, index: number, { balance, changes }: Account): Buffer {
  const value = blank(valueBytes, index);
  value.writeDoubleLE(balance, 8);
  value.writeDoubleLE(changes, 16);
  return value;
}

export function accountOf(value: Buffer): Account {
  return { balance: value.readDoubleLE(8), changes: value.readDoubleLE(16) };
}
