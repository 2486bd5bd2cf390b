/**
 * A replica's memory of transactions: the fold of its journal.
 *
 * Whatever a replica must not forget is said as a journal record, and `enter` is the one way to say it: it applies the
 * record to memory and queues it for the disk. A restart applies the same records through the same function, so what
 * was true before a crash is true after it: votes, promises, acceptances, outcomes, locks and read watermarks.
 *
 * Forgetting: a coordinator tells its watermark (all its numbers below are decided) and the exceptions (decided, but some
 * replica has not acknowledged it yet). Everything below the watermark that is no exception is *finished*: no replica
 * can be undecided about it, so its record may go, and no message about it may ever change anything again.
 *
 * Transactions that a coordinator commits as one batch share one record. While it is undecided it is found under the number of each of
 * them, then until that is finished; it lives by the number of the batch, which is the highest of them.
 */
import { ABORT, formatTxnId, UNDECIDED, Vote, type Decision, type Key, type TxnId } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import { invariant } from '../invariant.ts';
import type { Doubts } from '../store/doubts.ts';
import { Kind, type JournalRecord } from '../store/records.ts';
import type { JournalOwner, Store } from '../store/store.ts';
import { compareBallots } from './ballot.ts';
import { parseBody, type ParsedBody } from './body.ts';
import type { HybridClock } from './clock.ts';
import { Lives, type Life } from './lives.ts';
import { LockTable } from './locks.ts';
import { newRecord, transitions, type TxnRecord } from './record.ts';
import { RetainedOutcomes } from './retention.ts';
import { Settlements } from './settlements.ts';

/** What a ledger does with its store. */
export type LedgerStore = Pick<Store, 'append' | 'alongWithNext' | 'head' | 'install' | 'segment'> & {
  readonly standing: { readonly life: { readonly rebornAt: number } };
  readonly doubts: Pick<Doubts, 'isSure'>;
  readonly versions: Pick<Store['versions'], 'newerThan'> & { readonly tombstones: Pick<Store['versions']['tombstones'], 'collected'> };
};

export interface LedgerOptions {
  readonly topology: Topology;
  readonly store: LedgerStore;
  readonly clock: HybridClock;
  readonly nowMs: () => number;
  readonly outcomeRetentionMs: number;
}

export class Ledger implements JournalOwner {
  readonly locks = new LockTable<TxnRecord>();
  /** Records with an OK vote of ours and no outcome: they hold locks, and somebody must decide them. */
  readonly undecided = new Set<TxnRecord>();
  readonly lives = new Lives();
  readonly settlements = new Settlements();
  readonly #topology: Topology;
  readonly #store: LedgerStore;
  readonly #clock: HybridClock;
  readonly #nowMs: () => number;
  readonly #retained: RetainedOutcomes;
  /** Per partition, the highest timestamp at which a committed transaction read one of its keys: later writes come after it. */
  readonly #readWatermarks: Float64Array;
  #readWatermarksChanged = false;

  constructor({ topology, store, clock, nowMs, outcomeRetentionMs }: LedgerOptions) {
    this.#topology = topology;
    this.#store = store;
    this.#clock = clock;
    this.#nowMs = nowMs;
    this.#retained = new RetainedOutcomes(outcomeRetentionMs);
    this.#readWatermarks = new Float64Array(topology.view.partitions);
  }

  /** Applies a record to memory and queues it for the journal. Whoever tells others of it does so in `store.whenDurable`. */
  enter(record: JournalRecord): void {
    this.#store.append(record);
    this.#apply(record);
  }

  /** The same, but memory changes only when the disk has, which may take a while: for what lets records be dropped. */
  enterDurably(record: JournalRecord): void {
    this.#store.append(record);
    this.#store.alongWithNext(() => this.#apply(record));
  }

  replay(record: JournalRecord): void {
    this.#apply(record);
  }

  /** The transaction's record, or that of the batch that it is part of. */
  find(id: TxnId): TxnRecord | undefined {
    return this.lives.find(id.node, id.incarnation)?.records.get(id.number);
  }

  /** Has this replica voted OK on it, under this name, and not heard what became of it? */
  holds(id: TxnId): boolean {
    const record = this.find(id);
    return record?.state === 'prepared' && record.id.number === id.number;
  }

  /** Can nothing about this transaction change any more, here or anywhere? What is part of a batch is finished when that is: its own number may lie below the watermark long before. */
  isFinished(id: TxnId): boolean {
    return this.lives.isFinished(this.find(id)?.id ?? id);
  }

  /** A finished transaction's commit timestamp, ABORT as far as this replica knows, or UNDECIDED where that has been forgotten. */
  outcomeOfFinished(id: TxnId): Decision {
    const outcome = this.#retained.find(id);
    return outcome === ABORT && this.#isForeign(id) ? UNDECIDED : outcome;
  }

  /**
   * Was this node reborn since the transaction began, so that it does not know what it said about it? Then it says nothing:
   * no vote, no promise, no acceptance, for none of them could be squared with those forgotten. Where it has a record, it began later.
   */
  hasForgotten(id: TxnId): boolean {
    return this.#isForeign(id) && this.find(id) === undefined;
  }

  /** It may be a transaction of which only this node's former self knew. */
  #isForeign(id: TxnId): boolean {
    const { self } = this.#topology;
    const { rebornAt } = this.#store.standing.life;
    if (rebornAt === 0) return false;
    return id.node === self ? id.incarnation < rebornAt : this.lives.floors.isBeforeFence(id);
  }

  parse(body: Uint8Array): ParsedBody {
    return parseBody(body, this.#topology.partitionOf);
  }

  readWatermark(partition: number): number {
    return this.#readWatermarks[partition] as number;
  }

  /** Why this replica can't vote OK, or null if it can: the newer version held, or who is in the way. */
  objection(body: ParsedBody): { vote: typeof Vote.stale; key: Key; version: number } | { vote: typeof Vote.conflict; key: Key; holder: TxnRecord } | null {
    for (let i = 0; i < body.readKeys.length; i++) {
      if (!this.#topology.isMine(body.readPartitions[i] as number)) continue;
      const key = body.readKeys[i] as Key;
      const holder = this.locks.holderOf(key, false);
      if (holder !== null) return { vote: Vote.conflict, key, holder };
      const version = this.#store.versions.newerThan(body.readPartitions[i] as number, key, body.readVersions[i] as number);
      if (version > 0) return { vote: Vote.stale, key, version };
    }
    for (let i = 0; i < body.writeKeys.length; i++) {
      if (!this.#topology.isMine(body.writePartitions[i] as number)) continue;
      const key = body.writeKeys[i] as Key;
      const holder = this.locks.holderOf(key, true);
      if (holder !== null) return { vote: Vote.conflict, key, holder };
    }
    return null;
  }

  /** May this replica vote OK at all, on what the transaction touches here? */
  isSureOf({ partitions }: ParsedBody): boolean {
    return partitions.every((partition) => !this.#topology.isMine(partition) || this.#store.doubts.isSure(partition));
  }

  /**
   * The least timestamp from `proposed` on that is above every version, collected ones too, and read watermark the transaction
   * must follow here.
   */
  timestampFor(body: ParsedBody, proposed: number): number {
    let timestamp = proposed;
    for (let i = 0; i < body.readKeys.length; i++) {
      const partition = body.readPartitions[i] as number;
      if (this.#topology.isMine(partition)) timestamp = Math.max(timestamp, this.#latest(partition, body.readKeys[i] as Key) + 1);
    }
    for (let i = 0; i < body.writeKeys.length; i++) {
      const partition = body.writePartitions[i] as number;
      if (this.#topology.isMine(partition)) timestamp = Math.max(timestamp, this.#latest(partition, body.writeKeys[i] as Key) + 1, this.readWatermark(partition) + 1);
    }
    return timestamp;
  }

  #latest(partition: number, key: Key): number {
    return this.#store.head(key)?.version ?? this.#store.versions.tombstones.collected(partition);
  }

  /** From now on this replica votes for no write to the partition at or below the timestamp; after a crash too, once the state of now is on the disk. */
  raiseReadWatermark(partition: number, timestamp: number): void {
    if ((this.#readWatermarks[partition] as number) >= timestamp) return;
    this.#readWatermarks[partition] = timestamp;
    this.#readWatermarksChanged = true;
  }

  /** Partitions in which writes that this replica voted for, at or below the timestamp, may still be committed. */
  undecidedUpTo(timestamp: number): Set<number> {
    const partitions = new Set<number>();
    for (const record of this.undecided) {
      if (record.timestamp <= timestamp) for (const partition of this.parse(record.body as Uint8Array).writePartitions) partitions.add(partition);
    }
    return partitions;
  }

  /** Records that must outlive the journal's segments before this one. */
  carry(beforeSegment: number): JournalRecord[] {
    const carried: JournalRecord[] = [];
    for (const life of this.lives) {
      for (const record of life.records.values()) {
        if (record.segment >= beforeSegment) continue;
        carried.push(...recordsOf(record));
        record.segment = this.#store.segment;
      }
    }
    return carried;
  }

  persist(): [suffix: string, value: Buffer | null][] {
    this.#retained.expire(this.#nowMs());
    const puts: [string, Buffer | null][] = [...this.#retained.persist(), ...this.lives.persist(), ...this.settlements.persist(), ['clock', Buffer.from(String(this.#clock.last))]];
    if (this.#readWatermarksChanged) puts.push(['readWatermarks', Buffer.from(this.#readWatermarks.slice().buffer)]);
    this.#readWatermarksChanged = false;
    return puts;
  }

  /** Takes back what `persist` gave, before the replay. */
  restore(suffix: string, value: Buffer): void {
    if (suffix === 'clock') this.#clock.observe(Number(value.toString()));
    else if (suffix === 'readWatermarks') value.copy(Buffer.from(this.#readWatermarks.buffer));
    else invariant(this.lives.restore(suffix, value) || this.settlements.restore(suffix, value) || this.#retained.restore(suffix, value, this.#nowMs()), `unknown state ${suffix} in the store`);
  }

  get recordCount(): number {
    let count = 0;
    for (const life of this.lives) count += life.records.size;
    return count;
  }

  #apply(record: JournalRecord): void {
    switch (record[0]) {
      case Kind.marks:
        return this.#applyMarks(record[1], record[2], record[3], record[4]);
      case Kind.floor:
        return this.lives.raiseFloor(record[1], { storeId: record[2], incarnation: record[3], rebornAt: record[4] ?? 0, nonce: record[5] ?? 0 });
      case Kind.closed:
        for (const life of this.lives.close(record[1], record[2])) this.#forget(life, () => true);
        return;
      case Kind.settled:
        return this.settlements.add({ id: { node: record[1], incarnation: record[2], number: record[3] }, decision: record[4], atMs: record[5], node: record[6] });
      default:
    }
    const id: TxnId = { node: record[1], incarnation: record[2], number: record[3] };
    const txn = this.#recordOf(id);
    if (txn === null) return; // a finished transaction: all it did here is in the table
    const next = transitions[txn.state][record[0]];
    if (next === null) {
      if (record[0] !== Kind.outcome) return;
      invariant(txn.outcome === record[4], `${formatTxnId(id)} decided twice: ${txn.outcome} and ${record[4]}`);
      // The first one named no parts, for the vote did, which is in a segment that has gone since; this one was journalled again because of that.
      return this.#gather(txn, record[6] ?? []);
    }
    txn.state = next;
    switch (record[0]) {
      case Kind.prepared:
        [, , , , txn.epoch, txn.protocol, txn.timestamp, txn.body] = record;
        this.#clock.observe(txn.timestamp);
        this.#gather(txn, this.parse(txn.body).others);
        this.#lock(txn, this.parse(txn.body));
        return;
      case Kind.accepted:
      case Kind.promised: {
        const ballot = { round: record[4], proposer: record[5] };
        if (compareBallots(ballot, txn.promised) > 0) txn.promised = ballot;
        if (record[0] === Kind.accepted && (txn.accepted === null || compareBallots(ballot, txn.accepted.ballot) >= 0)) txn.accepted = { ballot, decision: record[6] };
        return;
      }
      case Kind.outcome:
        this.#decide(txn, record[4], txn.body ?? record[5]);
        return this.#gather(txn, record[6] ?? []);
      default:
    }
  }

  /** From now on these are found under the record of their batch, those that are finished only as long as it is undecided. */
  #gather(batch: TxnRecord, others: readonly number[]): void {
    if (batch.others.length === 0) batch.others = others;
    if (batch.others.length === 0) return;
    const life = this.lives.of(batch.id.node, batch.id.incarnation);
    for (const number of batch.others) {
      const known = life.records.get(number);
      if (batch.outcome === UNDECIDED || !life.isFinished(number)) {
        if (known === undefined) life.records.set(number, batch);
      } else if (known === batch) life.records.delete(number);
    }
  }

  /** Null for a transaction that is finished: its record is gone and must not come back. */
  #recordOf(id: TxnId): TxnRecord | null {
    const life = this.lives.of(id.node, id.incarnation);
    const known = life.records.get(id.number);
    if (known !== undefined) return known;
    if (this.lives.isFinished(id)) return null;
    const record = newRecord(id, this.#store.segment, this.#nowMs());
    life.records.set(id.number, record);
    return record;
  }

  #lock(txn: TxnRecord, body: ParsedBody): void {
    this.undecided.add(txn);
    for (let i = 0; i < body.readKeys.length; i++) {
      if (this.#topology.isMine(body.readPartitions[i] as number)) this.locks.lockShared(body.readKeys[i] as Key, txn);
    }
    for (let i = 0; i < body.writeKeys.length; i++) {
      if (this.#topology.isMine(body.writePartitions[i] as number)) this.locks.lockExclusive(body.writeKeys[i] as Key, txn);
    }
  }

  #unlock(txn: TxnRecord, body: ParsedBody): void {
    this.undecided.delete(txn);
    const ready: (() => void)[] = [];
    for (const key of body.readKeys) this.locks.release(key, txn, ready);
    for (const key of body.writeKeys) this.locks.release(key, txn, ready);
    for (const action of ready) action();
  }

  #decide(txn: TxnRecord, decision: Decision, body: Uint8Array | null): void {
    txn.outcome = decision;
    if (body === null) return;
    const parsed = this.parse(body);
    this.#gather(txn, parsed.others);
    if (decision !== ABORT) this.#install(txn.id, parsed, decision);
    if (txn.timestamp !== 0) this.#unlock(txn, parsed);
  }

  #install(id: TxnId, body: ParsedBody, timestamp: number): void {
    this.#clock.observe(timestamp);
    for (let i = 0; i < body.writeKeys.length; i++) {
      const partition = body.writePartitions[i] as number;
      if (this.#topology.isMine(partition)) this.#store.install(partition, body.writeKeys[i] as Key, timestamp, body.writeValues[i] as Uint8Array | null);
    }
    for (const partition of body.readPartitions) {
      if (this.#topology.isMine(partition)) this.raiseReadWatermark(partition, timestamp);
    }
    const [home] = body.partitions;
    if (home === undefined || !this.#topology.isMine(home)) return;
    this.#retained.add(id, timestamp, this.#nowMs());
    for (const number of body.others) this.#retained.add({ ...id, number }, timestamp, this.#nowMs());
  }

  #applyMarks(node: string, incarnation: number, watermark: number, exceptions: readonly number[]): void {
    const life = this.lives.of(node, incarnation);
    if (!life.mark(watermark, exceptions)) return;
    this.#forget(life, (number) => life.isFinished(number));
  }

  #forget(life: Life, isFinished: (number: number) => boolean): void {
    for (const [number, record] of life.records) {
      // A batch that is undecided here is found under all its names: whoever asks for one of them is turned to it.
      if (!isFinished(record.outcome === UNDECIDED ? record.id.number : number)) continue;
      life.records.delete(number);
      if (record.id.number !== number) continue;
      // Nobody who was sent the prepare can be undecided any more, so this is a lock that nothing will ever ask for again.
      if (record.outcome === UNDECIDED && record.timestamp !== 0 && record.body !== null) this.#unlock(record, this.parse(record.body));
    }
  }
}

/** What the journal must say to bring this record back. A decided one's data is in the table by the time its segment goes. */
function recordsOf({ id, timestamp, epoch, protocol, body, promised, accepted, outcome, others }: TxnRecord): JournalRecord[] {
  const name = [id.node, id.incarnation, id.number] as const;
  if (outcome !== UNDECIDED) return [others.length === 0 ? [Kind.outcome, ...name, outcome, null] : [Kind.outcome, ...name, outcome, null, [...others]]];
  const records: JournalRecord[] = [];
  if (timestamp !== 0 && body !== null) records.push([Kind.prepared, ...name, epoch, protocol, timestamp, body]);
  if (promised.round > 0) records.push([Kind.promised, ...name, promised.round, promised.proposer]);
  if (accepted !== null) records.push([Kind.accepted, ...name, accepted.ballot.round, accepted.ballot.proposer, accepted.decision]);
  return records;
}
