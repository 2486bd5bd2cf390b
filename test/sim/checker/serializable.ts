/**
 * Strict serializability of transactions that read and write registers, each written value unique to its key: transfers, for example, that write a
 * balance together with their own id.
 *
 * A register forgets its past, so the order of its versions is known only in part. A transaction that reads v and writes w to the same key makes w
 * the version right after v: such pairs form chains, without gaps. Where each write is of this kind, there is one chain from the first value on, and
 * the check is exact. A blind write starts a chain of its own, of which it is known only that it comes after the one from the first value, for that
 * has no gap it could be in. What can't be derived is not held against the system: with blind writes, a history found right may yet be wrong.
 *
 * Reference: Kingsbury & Alvaro, "Elle", VLDB 2020 (registers, inferred version orders).
 */

import { findCycles, type TransactionNode } from './cycles.ts';
import { GraphBuilder, RT, RW, WR, WW } from './graph.ts';
import { assertWellFormed, type History, type Key, type ReadRegister, type Scalar, type WriteRegister } from './history.ts';
import { linkRealTime } from './real-time.ts';
import {
  committedOf, type InitialValues, type RegisterTransaction, type VersionRead, versionReads, type Write, writesOf,
} from './serializable-reads.ts';
import { Findings, scalarInWords, type Verdict } from './verdict.ts';

/**
 * `initial`: what the keys held before the history; those not named: absent.
 * Throws MalformedHistory where times make no sense or values are not unique.
 */
export function checkSerializable(history: History<ReadRegister | WriteRegister>, initial: InitialValues = new Map()): Verdict {
  assertWellFormed(history);
  const findings = new Findings();
  const writes = writesOf(history, initial);
  const committed = committedOf(history, writes);
  const readsByKey = new Map<Key, VersionRead[]>();
  let observations = 0;
  for (const [position, transaction] of committed.entries()) {
    for (const read of versionReads(transaction, position, findings)) {
      const ofKey = readsByKey.get(read.key);
      if (ofKey === undefined) readsByKey.set(read.key, [read]);
      else ofKey.push(read);
      observations += 1;
    }
  }
  const nodes: TransactionNode[] = committed.map(({ id, invokedAt, completedAt, outcome }) => (
    { id, invokedAt, completedAt: outcome === 'ok' && completedAt !== null ? completedAt : Number.POSITIVE_INFINITY }
  ));
  const positionOf = new Map(committed.map(({ id }, position) => [id, position]));
  const graph = new GraphBuilder(committed.length);
  for (const [key, reads] of readsByKey) {
    const evidence = { key, first: initial.get(key) ?? null, reads, writes: writes.get(key) ?? new Map<Scalar, Write>(), positionOf };
    judgeReads(evidence, findings);
    linkKey(graph, evidence, findings);
  }
  linkRealTime(nodes, (from, to) => graph.edge(from, to, RT));
  for (const { name, words, transactions } of findCycles(graph.build(), nodes)) findings.add(name, words, transactions);
  return findings.verdict(observations);
}

/** What is known of one key. */
interface KeyEvidence {
  readonly key: Key;
  /** Its value before the history. */
  readonly first: Scalar;
  readonly reads: readonly VersionRead[];
  /** By value. */
  readonly writes: ReadonlyMap<Scalar, Write>;
  /** The node of each committed transaction, by id. */
  readonly positionOf: ReadonlyMap<number, number>;
}

function judgeReads({ key, first, reads, writes }: KeyEvidence, findings: Findings): void {
  for (const { by, value } of reads) {
    if (value === first) continue;
    const write = writes.get(value);
    const words = `T${by.id} read ${key}=${scalarInWords(value)}`;
    if (write === undefined) findings.add('unwritten-read', `${words}, which nobody wrote`, [by.id]);
    else if (write.by.outcome === 'failed') findings.add('G1a', `${words} of T${write.by.id}, which failed`, [by.id, write.by.id]);
    else if (!write.isLast) findings.add('G1b', `${words}, which was not the last that T${write.by.id} wrote to it`, [by.id, write.by.id]);
  }
}

function linkKey(graph: GraphBuilder, { key, first, reads, writes, positionOf }: KeyEvidence, findings: Findings): void {
  const nodeOf = (value: Scalar): number | undefined => positionOf.get(writes.get(value)?.by.id ?? -1);
  const readersOf = new Map<Scalar, VersionRead[]>();
  for (const read of reads) {
    const readers = readersOf.get(read.value);
    if (readers === undefined) readersOf.set(read.value, [read]);
    else readers.push(read);
  }
  // A version has one successor. Where it has more, an update is lost; two of them make the cycle that shows it.
  const updatersOf = (value: Scalar): VersionRead[] => (readersOf.get(value) ?? []).filter(({ replacedBy }) => replacedBy !== undefined).slice(0, 2);

  for (const [value, readers] of readersOf) {
    const writer = nodeOf(value);
    const updaters = updatersOf(value);
    for (const reader of readers) {
      if (writer !== undefined) graph.edge(writer, reader.position, WR, () => readFrom(reader, writes.get(value)!));
      for (const { by, position, replacedBy } of updaters) {
        graph.edge(reader.position, position, RW, () => missed(reader) + itsWrite(by, replacedBy!));
      }
    }
    for (const { by, position, replacedBy } of updaters) {
      if (writer !== undefined) graph.edge(writer, position, WW, () => replaced(key, writes.get(value)!, by, replacedBy!));
    }
    const [one, other] = updaters;
    if (one === undefined || other === undefined) continue;
    const words = `T${one.by.id} and T${other.by.id} both read ${key}=${scalarInWords(value)} and both replaced it`;
    findings.add('lost-update', words, [one.by.id, other.by.id]);
  }

  // The chain from the first value on has no gaps: blind writes come after all of it.
  let last = first;
  const chain = new Set<Scalar>();
  for (let next: Scalar | undefined = first; next !== undefined && !chain.has(next); next = updatersOf(next)[0]?.replacedBy) {
    chain.add(next);
    last = next;
  }
  const updates = new Set(reads.map(({ replacedBy }) => replacedBy));
  const blind = [...writes.values()].filter(({ by, value, isLast }) => isLast && positionOf.has(by.id) && !updates.has(value));
  if (blind.length === 0) return;
  const hub = graph.hub();
  const lastWriter = nodeOf(last);
  for (const { by, value } of blind) {
    const node = positionOf.get(by.id)!;
    graph.edge(hub, node, RW, () => itsWrite(by, value));
    if (lastWriter !== undefined) graph.edge(lastWriter, node, WW, () => replaced(key, writes.get(last)!, by, value));
  }
  for (const reader of readersOf.get(last) ?? []) graph.edge(reader.position, hub, RW, () => missed(reader));
}

function readFrom({ by, key, value }: VersionRead, write: Write): string {
  return `T${write.by.id} wrote ${key}=${scalarInWords(value)}, which T${by.id} read (wr)`;
}

function replaced(key: Key, { by: former, value: version }: Write, by: RegisterTransaction, value: Scalar): string {
  return `T${former.id} wrote ${key}=${scalarInWords(version)} before T${by.id} wrote ${scalarInWords(value)} (ww)`;
}

function missed({ by, key, value }: VersionRead): string {
  return `T${by.id} read ${key}=${scalarInWords(value)} and missed `;
}

function itsWrite({ id }: RegisterTransaction, value: Scalar): string {
  return `T${id}'s write of ${scalarInWords(value)} (rw)`;
}
