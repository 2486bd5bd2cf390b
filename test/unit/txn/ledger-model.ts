/**
 * What a ledger must be after some records, said without journal, table, segments or indices: a plain fold, to compare
 * the real one with after every kind of crash.
 */
import { ABORT, formatTxnId, UNDECIDED, type Decision, type Key, type TxnId } from '../../../client/wire/messages.ts';
import type { Topology } from '../../../node/cluster/topology.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import { parseBody } from '../../../node/txn/body.ts';
import type { Replica } from './replica.ts';

interface ModelTxn {
  readonly id: TxnId;
  timestamp: number;
  body: Uint8Array | null;
  promised: string;
  accepted: { readonly ballot: string; readonly decision: Decision } | null;
  outcome: Decision;
}

const ballotText = (round: number, proposer: string): string => `${String(round).padStart(6, '0')} ${proposer}`;

export class LedgerModel {
  readonly #topology: Topology;
  readonly #txns = new Map<string, ModelTxn>();
  readonly #committedHere = new Map<string, number>();
  readonly #data = new Map<Key, { version: number; text: string | null }>();
  readonly #watermarks = new Map<number, number>();
  readonly #marks = new Map<string, { watermark: number; exceptions: readonly number[] }>();
  readonly #floors = new Map<string, number>();
  readonly #closed = new Map<string, number>();

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  apply(record: JournalRecord): void {
    if (record[0] === Kind.floor) this.#floors.set(record[1], Math.max(record[3], this.#floors.get(record[1]) ?? 0));
    else if (record[0] === Kind.closed) this.#closed.set(record[1], Math.max(record[2], this.#closed.get(record[1]) ?? 0));
    else if (record[0] === Kind.marks) this.#marks.set(`${record[1]}:${record[2]}`, { watermark: record[3], exceptions: record[4] });
    else this.#applyToTxn(record);
    for (const [name, { id }] of this.#txns) if (this.isFinished(id)) this.#txns.delete(name);
  }

  isFinished({ node, incarnation, number }: TxnId): boolean {
    const marks = this.#marks.get(`${node}:${incarnation}`);
    return incarnation < (this.#closed.get(node) ?? 0) || (marks !== undefined && number < marks.watermark && !marks.exceptions.includes(number));
  }

  #applyToTxn(record: Exclude<JournalRecord, { 0: typeof Kind.floor | typeof Kind.closed | typeof Kind.marks }>): void {
    const id = { node: record[1], incarnation: record[2], number: record[3] };
    if (this.isFinished(id)) return;
    const name = formatTxnId(id);
    const txn = this.#txns.get(name) ?? { id, timestamp: 0, body: null, promised: '', accepted: null, outcome: UNDECIDED };
    this.#txns.set(name, txn);
    if (txn.outcome !== UNDECIDED) return;
    switch (record[0]) {
      case Kind.prepared:
        if (txn.timestamp === 0) [, , , , , , txn.timestamp, txn.body] = record;
        return;
      case Kind.promised:
      case Kind.accepted: {
        const ballot = ballotText(record[4], record[5]);
        if (ballot > txn.promised) txn.promised = ballot;
        if (record[0] === Kind.accepted && ballot >= (txn.accepted?.ballot ?? '')) txn.accepted = { ballot, decision: record[6] };
        return;
      }
      case Kind.outcome:
        txn.outcome = record[4];
        if (record[4] !== ABORT) this.#commit(id, txn.body ?? record[5], record[4]);
        return;
      default:
    }
  }

  #commit(id: TxnId, bytes: Uint8Array | null, timestamp: number): void {
    if (bytes === null) return;
    const body = parseBody(bytes, this.#topology.partitionOf);
    body.writeKeys.forEach((key, i) => {
      const value = body.writeValues[i] ?? null;
      if (!this.#topology.isMine(body.writePartitions[i] as number) || timestamp <= (this.#data.get(key)?.version ?? 0)) return;
      this.#data.set(key, { version: timestamp, text: value === null ? null : Buffer.from(value).toString() });
    });
    for (const partition of body.readPartitions) {
      if (this.#topology.isMine(partition)) this.#watermarks.set(partition, Math.max(timestamp, this.#watermarks.get(partition) ?? 0));
    }
    if (this.#topology.isMine(body.partitions[0] as number)) this.#committedHere.set(formatTxnId(id), timestamp);
  }

  /** Everything that can be asked about these transactions and keys, as one comparable object. */
  view(ids: readonly TxnId[], keys: readonly Key[]): object {
    const txns = ids.map((id) => {
      const name = formatTxnId(id);
      const txn = this.#txns.get(name);
      if (txn === undefined) return [name, this.isFinished(id) ? ['finished', this.#committedHere.get(name) ?? ABORT] : 'unknown'];
      if (txn.outcome !== UNDECIDED) return [name, ['decided', txn.outcome]];
      return [name, [txn.timestamp, txn.body === null ? null : Buffer.from(txn.body).toString('hex'), txn.promised, txn.accepted]];
    });
    const undecided = [...this.#txns.values()].filter(({ timestamp, outcome }) => timestamp !== 0 && outcome === UNDECIDED);
    const holders = (key: Key, of: 'readKeys' | 'writeKeys'): string[] => {
      if (!this.#topology.isMine(this.#topology.partitionOf(key))) return [];
      const holding = undecided.filter(({ body }) => parseBody(body as Uint8Array, this.#topology.partitionOf)[of].includes(key));
      return holding.map(({ id }) => formatTxnId(id));
    };
    return {
      txns: Object.fromEntries(txns),
      undecided: undecided.map(({ id }) => formatTxnId(id)).sort(),
      locked: Object.fromEntries(keys.map((key) => [key, holders(key, 'readKeys').length > 0 || holders(key, 'writeKeys').length > 0])),
      writeLocked: Object.fromEntries(keys.map((key) => [key, holders(key, 'writeKeys')[0] ?? null])),
      data: Object.fromEntries(keys.map((key) => [key, this.#data.get(key) ?? null])),
      watermarks: Array.from({ length: this.#topology.view.partitions }, (_, partition) => this.#watermarks.get(partition) ?? 0),
      floors: Object.fromEntries(this.#topology.view.members.map(({ id }) => [id, [this.#floors.get(id) ?? 0, this.#closed.get(id) ?? 0]])),
    };
  }
}

/** The same of a real replica. */
export function viewOfReplica(replica: Replica, ids: readonly TxnId[], keys: readonly Key[]): object {
  const { ledger, topology } = replica;
  const nameOf = (id: TxnId | null): string | null => (id === null ? null : formatTxnId(id));
  const txns = ids.map((id) => {
    const name = formatTxnId(id);
    const record = ledger.find(id);
    if (record === undefined) return [name, ledger.isFinished(id) ? ['finished', ledger.outcomeOfFinished(id)] : 'unknown'];
    if (record.outcome !== UNDECIDED) return [name, ['decided', record.outcome]];
    const { timestamp, body, promised, accepted } = record;
    const promisedText = promised.round === 0 && promised.proposer === '' ? '' : ballotText(promised.round, promised.proposer);
    const acceptedFacts = accepted === null ? null : { ballot: ballotText(accepted.ballot.round, accepted.ballot.proposer), decision: accepted.decision };
    return [name, [timestamp, body === null ? null : Buffer.from(body).toString('hex'), promisedText, acceptedFacts]];
  });
  return {
    txns: Object.fromEntries(txns),
    undecided: [...ledger.undecided].map(({ id }) => formatTxnId(id)).sort(),
    locked: Object.fromEntries(keys.map((key) => [key, replica.holder(key, true) !== null])),
    writeLocked: Object.fromEntries(keys.map((key) => [key, nameOf(replica.holder(key, false))])),
    data: Object.fromEntries(keys.map((key) => [key, entryOf(replica, key)])),
    watermarks: Array.from({ length: topology.view.partitions }, (_, partition) => ledger.readWatermark(partition)),
    floors: Object.fromEntries(topology.view.members.map(({ id }) => [id, [ledger.lives.floorOf(id)?.incarnation ?? 0, ledger.lives.closedBelow(id)]])),
  };
}

function entryOf(replica: Replica, key: Key): { version: number; text: string | null } | null {
  const entry = replica.store.entry(key);
  return entry === undefined ? null : { version: entry.version, text: replica.text(key) ?? null };
}
