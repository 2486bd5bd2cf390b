/** What a node writes to its journal: the changes of its state that outlive it. */
import { Unpackr } from 'msgpackr';
import { payloadAt } from '../../../node/store/block.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { body, decision, version } from './parts.ts';

const unpackr = new Unpackr({ useRecords: false });

/** The records of a block as it was written. */
export function blockInWords(block: Buffer): string {
  const records = unpackr.unpack(payloadAt(block, 0)) as JournalRecord[];
  return records.map(recordInWords).join('  +  ');
}

function recordInWords(record: JournalRecord): string {
  switch (record[0]) {
    case Kind.prepared:
      return `prepared ${nameOf(record)} at ${version(record[6])} ${body(record[7])}`;
    case Kind.promised:
      return `promised ${nameOf(record)} ballot ${record[4]}/${record[5]}`;
    case Kind.accepted:
      return `accepted ${nameOf(record)} ballot ${record[4]}/${record[5]} ${decision(record[6])}`;
    case Kind.outcome:
      return `outcome ${nameOf(record)} ${decision(record[4])} ${body(record[5])}`.trimEnd();
    case Kind.marks:
      return `marks of ${record[1]}:${record[2]}: all below ${record[3]} decided, unfinished: ${record[4].join(' ') || 'none'}`;
    case Kind.floor:
      return `met ${record[1]} in life ${record[3]}`;
    case Kind.closed:
      return `closed ${record[1]} below life ${record[2]}`;
    case Kind.settled:
      return `settled ${nameOf(record)} by an operator at ${record[6]}: ${decision(record[4])}`;
  }
}

function nameOf([, node, incarnation, number]: readonly [unknown, string, number, number, ...unknown[]]): string {
  return `${node}:${incarnation}:${number}`;
}
