/**
 * A transaction's reads and writes, parsed once per node.
 *
 * The body crosses the network and the journal as opaque bytes, encoded by the client. Every part of a node that needs
 * to look inside asks here; the bytes themselves are the memo's key, so coordinator, participant and ledger of one
 * node share one parse, and the memo lives exactly as long as the bytes do.
 */
import { decodeBody } from '../../client/wire/codec.ts';
import { Tag, type Body, type Key, type Value, type Version } from '../../client/wire/messages.ts';
import type { SessionMessage } from '../../client/wire/session.ts';

export interface ParsedBody {
  readonly readKeys: readonly Key[];
  /** What the transaction saw, key by key as in `readKeys`; 0 for absent. */
  readonly readVersions: readonly Version[];
  readonly readPartitions: readonly number[];
  readonly writeKeys: readonly Key[];
  readonly writeValues: readonly Value[];
  readonly writePartitions: readonly number[];
  /** Every partition touched, once; the home partition first: that of the first write, or of the first read. */
  readonly partitions: readonly number[];
  /** Of a batch, the numbers of the other transactions that it is. */
  readonly others: readonly number[];
}

const memo = Symbol('what these bytes hold');

/** A property of the bytes, and no WeakMap: each entry of one is work for every collection of garbage, and there are thousands a second. */
interface Remembering extends Uint8Array {
  [memo]?: ParsedBody;
}

/** Throws BadFrame if the bytes are no transaction body. */
export function parseBody(bytes: Uint8Array, partitionOf: (key: Key) => number): ParsedBody {
  return ((bytes as Remembering)[memo] ??= parse(decodeBody(bytes), partitionOf));
}

/** The opaque transaction body of the messages that carry one. */
export function bodyOf(message: SessionMessage): Uint8Array | null {
  switch (message[0]) {
    case Tag.prepare:
      return message[7];
    case Tag.decide:
      return message[5];
    case Tag.promise:
      return message[13];
    case Tag.commit:
      return message[8];
    default:
      return null;
  }
}

function parse([reads, writes, others = []]: Body, partitionOf: (key: Key) => number): ParsedBody {
  const readKeys: Key[] = [];
  const readVersions: Version[] = [];
  const readPartitions: number[] = [];
  const writeKeys: Key[] = [];
  const writeValues: Value[] = [];
  const writePartitions: number[] = [];
  for (let i = 0; i < writes.length; i += 2) {
    const key = writes[i] as Key;
    writeKeys.push(key);
    writeValues.push(writes[i + 1] as Value);
    writePartitions.push(partitionOf(key));
  }
  for (let i = 0; i < reads.length; i += 2) {
    const key = reads[i] as Key;
    readKeys.push(key);
    readVersions.push(reads[i + 1] as Version);
    readPartitions.push(partitionOf(key));
  }
  return { readKeys, readVersions, readPartitions, writeKeys, writeValues, writePartitions, partitions: [...new Set([...writePartitions, ...readPartitions])], others };
}
