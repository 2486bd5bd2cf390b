/**
 * What is left of the journal, looked over before any of it is believed.
 *
 * The segments that count are a chain, read from its end: the first block of each names the end of the one before it. The
 * chain ends with the last segment whose first block is good, and only there may a block be torn, for only one
 * write is under way at a time, so no block can have been written behind it. Hence the rule: the first bad place with nothing valid behind it
 * is the torn tail, and is cut, if what is there shows that it was torn (block.ts). A bad place that had been written whole, or has valid
 * blocks behind it, a missing segment, or a journal that ends before a point known to have been durable is damage, and the
 * node must not go on as if it remembered its votes.
 *
 * A block whose write failed may be there all the same, whole or in part. Either the node went on behind the last end that was
 * durable, in a new segment, and what failed is no link of the chain; or it is the end of the chain: then nobody was told
 * of it, and it is believed, or cut, like a block that a crash interrupted.
 */
import { Unpackr } from 'msgpackr';
import type { Disk } from '../runtime/runtime.ts';
import { payloadAt, scan, type Position, type Scan } from './block.ts';
import type { JournalRecord } from './records.ts';
import { replaceNode, StoreError } from './store-error.ts';

const namePattern = /^journal-(\d{8,})\.log$/;

export function segmentName(sequence: number): string {
  return `journal-${String(sequence).padStart(8, '0')}.log`;
}

/** The first segment behind all that there are. */
export function segmentBehind(disk: Disk): number {
  return disk.logs().reduce((next, name) => Math.max(next, Number(namePattern.exec(name)?.[1] ?? 0) + 1), 1);
}

/** A place as one number that grows with the journal. Segments have less than 4 GiB. */
export function asNumber({ sequence, offset }: Position): number {
  return sequence * 2 ** 32 + offset;
}

export interface Segment {
  readonly sequence: number;
  readonly fileBytes: number;
  readonly scan: Scan;
  /** Blocks count up to here. */
  end: number;
}

export interface Survey {
  /** Segments with records that count, oldest first. */
  readonly segments: readonly Segment[];
  /** Unused files prepared for later, behind all others, oldest first. */
  readonly spares: readonly Pick<Segment, 'sequence' | 'fileBytes'>[];
  /** Files that nothing needs: what a crash left over of a trim, and of writes that failed. */
  readonly leftovers: readonly string[];
  /** Behind the last record. */
  readonly end: Position;
  /** The segment to go on with: never one that holds parts of blocks, so what a torn one left behind can't be mistaken. */
  readonly next: number;
  /** No file has this number or a higher one. */
  readonly free: number;
}

/**
 * Looks over the segments from `first` on, which are known to have been durable up to `reached`. Writes nothing.
 * Throws StoreError 'corrupt-journal'.
 */
export function surveyJournal(disk: Disk, first: number, reached: Position): Survey {
  const names = new Map<number, string>();
  for (const name of disk.logs()) {
    const match = namePattern.exec(name);
    if (match !== null) names.set(Number(match[1]), name);
  }
  const scanned = [...names.keys()].filter((sequence) => sequence >= first).sort((a, b) => a - b).map((sequence): Segment => {
    const file = disk.readLog(segmentName(sequence));
    const found = scan(file, sequence);
    return { sequence, fileBytes: file.length, scan: found, end: found.ends.at(-1) ?? 0 };
  });

  const count = scanned.findLastIndex(({ scan: { ends } }) => ends.length > 0) + 1;
  for (const segment of scanned.slice(Math.max(0, count - 1))) checkTail(segment);
  const segments = chainOf(scanned.slice(0, count), first);
  const last = segments.at(-1);
  const end = last === undefined ? { sequence: first, offset: 0 } : { sequence: last.sequence, offset: last.end };
  if (reached.sequence >= first && reached.offset > (segments.find(({ sequence }) => sequence === reached.sequence)?.end ?? 0)) {
    throw damaged(end, `it ends there, but was durable up to byte ${reached.offset} of ${segmentName(reached.sequence)}`);
  }
  const written = scanned.findLast(({ scan: { ends, unused } }) => ends.length > 0 || !unused);
  const next = written === undefined ? first : written.sequence + 1;
  const spares = scanned.filter(({ sequence }) => sequence >= next);
  const needed = new Set([...segments, ...spares].map(({ sequence }) => sequence));
  const leftovers = [...names].filter(([sequence]) => !needed.has(sequence)).map(([, name]) => name);
  return { segments, spares, leftovers, end, next, free: 1 + Math.max(next - 1, ...names.keys()) };
}

/** The end of the chain, or a file behind it: may have a torn block, and nothing else that is no good. */
function checkTail({ sequence, end, scan: { stray, spoilt } }: Segment): void {
  if (stray >= 0) throw damaged({ sequence, offset: end }, `valid records follow at byte ${stray}, so this is not the torn tail of a crash`);
  if (spoilt) throw damaged({ sequence, offset: end }, 'records that were written there can’t be read back');
}

/** Those of the segments that count, given that the last one does. */
function chainOf(scanned: readonly Segment[], first: number): Segment[] {
  const chain: Segment[] = [];
  let segment = scanned.at(-1);
  while (segment !== undefined) {
    chain.unshift(segment);
    const { sequence, scan: { follows } } = segment;
    if (follows === null || follows.sequence < first || follows.offset === 0) break;
    const before = scanned.find((each) => each.sequence === follows.sequence);
    if (before === undefined || before.sequence >= sequence) throw damaged({ ...follows, offset: 0 }, `the file is missing, but ${segmentName(sequence)} follows records of it`);
    if (!before.scan.ends.includes(follows.offset)) {
      throw damaged({ ...follows, offset: Math.min(before.end, follows.offset) }, `${segmentName(sequence)} follows records up to byte ${follows.offset}`);
    }
    before.end = follows.offset;
    segment = before;
  }
  return chain;
}

function damaged(at: Position, problem: string): StoreError {
  const segment = segmentName(at.sequence);
  return new StoreError('corrupt-journal', `${segment} is damaged at byte ${at.offset}: ${problem}. ${replaceNode}`, { segment, offset: at.offset });
}

const unpackr = new Unpackr({ useRecords: false, copyBuffers: true });

/** Gives every record of the surveyed segments, in order, with the segment it lies in. Returns how many there were. */
export function replayJournal(disk: Disk, { segments }: Survey, each: (record: JournalRecord, sequence: number) => void): number {
  let count = 0;
  for (const { sequence, scan: { ends }, end } of segments) {
    const file = disk.readLog(segmentName(sequence));
    let offset = 0;
    for (const blockEnd of ends) {
      if (blockEnd > end) break;
      for (const record of unpackr.unpack(payloadAt(file, offset)) as JournalRecord[]) {
        each(record, sequence);
        count++;
      }
      offset = blockEnd;
    }
  }
  return count;
}
