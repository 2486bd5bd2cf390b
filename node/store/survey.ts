/**
 * What is left of the journal, looked over before any of it is believed.
 *
 * A crash may tear the block that was being written, and nothing else: only one write is under way at a time, so no
 * block can have been written behind it. Hence the rule: the first bad place with nothing valid behind it is the torn
 * tail, and is cut, if what is there shows that it was torn (block.ts). A bad place that had been written whole, or has valid
 * blocks behind it, a missing segment, or a journal that ends before a point known to have been durable is damage, and the
 * node must not go on as if it remembered its votes.
 */
import { Unpackr } from 'msgpackr';
import type { Disk } from '../runtime/runtime.ts';
import { payloadAt, scan, type Scan } from './block.ts';
import type { JournalRecord } from './records.ts';
import { replaceNode, StoreError } from './store-error.ts';

/** A place in the journal: everything before this byte of this segment. */
export interface Position {
  readonly sequence: number;
  readonly offset: number;
}

export function isBefore(a: Position, b: Position): boolean {
  return a.sequence !== b.sequence ? a.sequence < b.sequence : a.offset < b.offset;
}

const namePattern = /^journal-(\d{8,})\.log$/;

export function segmentName(sequence: number): string {
  return `journal-${String(sequence).padStart(8, '0')}.log`;
}

interface Segment {
  readonly sequence: number;
  readonly fileBytes: number;
  readonly scan: Scan;
  /** Blocks count up to here. */
  end: number;
}

export interface Survey {
  /** Segments with records, oldest first. */
  readonly segments: readonly Segment[];
  /** Files prepared for later, oldest first. */
  readonly spares: readonly Pick<Segment, 'sequence' | 'fileBytes' | 'scan'>[];
  /** Files from before the first segment that counts: what a crash left over of a trim. */
  readonly leftovers: readonly string[];
  /** Behind the last record. */
  readonly end: Position;
  /** The segment to go on with: never one that holds blocks, so what a torn one left behind can't be mistaken. */
  readonly next: number;
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
  const leftovers = [...names].filter(([sequence]) => sequence < first).map(([, name]) => name);
  const scanned = [...names.keys()].filter((sequence) => sequence >= first).sort((a, b) => a - b).map((sequence): Segment => {
    const file = disk.readLog(segmentName(sequence));
    const found = scan(file, sequence);
    return { sequence, fileBytes: file.length, scan: found, end: found.ends.at(-1) ?? 0 };
  });

  const count = scanned.findLastIndex(({ scan: { ends, stray, spoilt } }) => ends.length > 0 || stray >= 0 || spoilt) + 1;
  const segments = scanned.slice(0, count);
  for (const [i, segment] of segments.entries()) checkSegment(segment, first + i, segments[i + 1]);
  const last = segments.at(-1);
  const end = last === undefined ? { sequence: first, offset: 0 } : { sequence: last.sequence, offset: last.end };
  if (reached.sequence >= first && isBefore(end, reached)) {
    throw damaged(end, `it ends there, but was durable up to byte ${reached.offset} of ${segmentName(reached.sequence)}`);
  }
  return { segments, spares: scanned.slice(count), leftovers, end, next: last === undefined ? first : last.sequence + 1 };
}

function checkSegment(segment: Segment, expected: number, next: Segment | undefined): void {
  const { sequence, scan: { ends, stray, spoilt } } = segment;
  if (sequence !== expected) throw damaged({ sequence: expected, offset: 0 }, `the file is missing, but ${segmentName(sequence)} holds records`);
  if (next === undefined || next.scan.follows < 0) {
    if (stray >= 0) throw damaged({ sequence, offset: segment.end }, `valid records follow at byte ${stray}, so this is not the torn tail of a crash`);
    if (spoilt) throw damaged({ sequence, offset: segment.end }, 'records that were written there can’t be read back');
    if (next !== undefined && ends.length === 0) throw damaged({ sequence, offset: 0 }, `valid records follow in ${segmentName(next.sequence)}`);
    return;
  }
  // The next segment says where this one ended when the node last went on from it; a torn block behind that was cut then.
  const told = next.scan.follows;
  if (!ends.includes(told)) throw damaged({ sequence, offset: Math.min(segment.end, told) }, `${segmentName(next.sequence)} follows records up to byte ${told}`);
  segment.end = told;
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
