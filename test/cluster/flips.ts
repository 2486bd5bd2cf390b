/** Bits flipped in the files of a node's data directory, at places drawn by a seed. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Random } from '../sim/random.ts';

const pageBytes = 4_096;
/** What LMDB finds its rows by stands in the first bytes of a page: header, and where its rows begin. */
const pageHeadBytes = 96;

/** Flips one bit, as a process that has the file open sees at once, and says where. */
function flip(file: string, byte: number, bit: number): string {
  const handle = openSync(file, 'r+');
  try {
    const bytes = Buffer.alloc(1);
    readSync(handle, bytes, 0, 1, byte);
    bytes[0] = (bytes[0] as number) ^ (1 << bit);
    writeSync(handle, bytes, 0, 1, byte);
  } finally {
    closeSync(handle);
  }
  return `bit ${bit} of byte ${byte} of ${path.basename(file)}`;
}

/** In any page of the table; half of the time in what the rows are found by. */
export function flipInTable(directory: string, random: Random): string {
  const file = path.join(directory, 'data', 'data.mdb');
  const handle = openSync(file, 'r');
  const pages = Math.floor(fstatSync(handle).size / pageBytes);
  closeSync(handle);
  return flip(file, random.below(pages) * pageBytes + random.below(random.chance(0.5) ? pageHeadBytes : pageBytes), random.below(8));
}

/** In what has been written of any segment of the journal. */
export function flipInJournal(directory: string, random: Random): string {
  const journal = path.join(directory, 'journal');
  const segments = readdirSync(journal).map((name) => path.join(journal, name)).map((file) => ({ file, bytes: readFileSync(file).findLastIndex((byte) => byte !== 0) + 1 })).filter(({ bytes }) => bytes > 0);
  if (segments.length === 0) return 'nothing, for there is no journal';
  const { file, bytes } = random.pick(segments);
  return flip(file, random.below(bytes), random.below(8));
}
