/**
 * A node's memory: a journal for what it promised and decided, a table for the data, an overlay between them.
 *
 *   append ──► journal (durable in one flush with others)
 *   install ─► overlay ──checkpoint──► table, whereupon the journal is trimmed
 *   head, entry, rows ◄── overlay, then table
 *
 * After a restart the table is as some checkpoint left it, perhaps in the middle; the journal still holds everything
 * that came since the last complete one, and replaying it changes nothing where the table already has it, because only
 * a newer version is ever installed.
 *
 * Every row is checked when it is read. One of the store's own that is not as it was written keeps the store from opening. A damaged data
 * row is taken out, and its partition is in doubt from then on (doubts.ts): the node can't say what it no longer
 * knows, and to say less would be a wrong answer or a wrong vote.
 */
import type { Key, Value, Version } from '../../client/wire/messages.ts';
import { invariant } from '../invariant.ts';
import type { Put, Runtime } from '../runtime/runtime.ts';
import { Checkpoints } from './checkpoints.ts';
import type { Tree } from './digests.ts';
import { Damage } from './damage.ts';
import { Doubts } from './doubts.ts';
import { Intake } from './intake.ts';
import { InventoriedTable } from './inventory.ts';
import { Journal } from './journal.ts';
import { readFacts, type Identity } from './meta.ts';
import { isForgotten, nextLife, openingPuts, surveyFor } from './rebirth.ts';
import type { JournalRecord } from './records.ts';
import { bookkeepingValue, ownerBounds, suffixOfOwnerKey, type Row } from './rows.ts';
import { Standing } from './standing.ts';
import { unwritten } from './store-error.ts';
import { asNumber, replayJournal } from './survey.ts';
import { TableWriter } from './table-writer.ts';
import { Trouble } from './trouble.ts';
import type { Entry, Head, JournalOwner, Rest, StoreOptions, StoreStats } from './types.ts';
import { Versions, type Finding } from './versions.ts';

export { CorruptValue, StoreError, type StoreErrorCode } from './store-error.ts';
export type { Entry, Head, JournalOwner, Rest, StoreOptions, StoreStats } from './types.ts';

type State = 'new' | 'opening' | 'open' | 'closing' | 'closed';

export class Store {
  readonly #runtime: Runtime;
  readonly #options: StoreOptions;
  readonly #identity: Identity;
  readonly #partitionOf: (key: Key) => number;
  /** How the disk is. */
  readonly trouble: Trouble;
  /** Whether new work is taken in, however long it would wait. What is known stays readable in any case. */
  readonly intake: Intake;
  #state: State = 'new';
  #standing!: Standing;
  #owner!: JournalOwner;
  #versions!: Versions;
  #doubts!: Doubts;
  #damage!: Damage;
  #journal!: Journal;
  #tableWriter!: TableWriter;
  #checkpoints!: Checkpoints;
  /** The segment being replayed; null from then on. */
  #replaying: number | null = 0;
  readonly #counts = { replayedRecords: 0, replayMs: 0, replayedBytes: 0 };
  #onClosed: () => void = () => {};

  /** `partitionOf` must be the same for all of the store's life, and agree with the partitions that `install` is told. */
  constructor(runtime: Runtime, options: StoreOptions, identity: Identity, partitionOf: (key: Key) => number) {
    invariant(identity.partitions > 0 && identity.partitions <= 65_536, `${identity.partitions} partitions; the table's keys have 16 bits for one`);
    this.#runtime = runtime;
    this.#options = options;
    this.#identity = identity;
    this.#partitionOf = partitionOf;
    this.trouble = new Trouble(runtime, () => this.#troubleChanged());
    this.intake = new Intake({ trouble: this.trouble, log: runtime.log, isFull: () => this.full, defer: (action) => runtime.defer(action) });
  }

  /**
   * Opens the table, restores the owner's state and replays the journal, all within this call; then makes the new
   * incarnation durable and calls `ready`. Throws StoreError, with nothing changed on the disk, if what is there belongs
   * to another node or is damaged.
   */
  open(owner: JournalOwner, ownerState: (suffix: string, value: Buffer) => void, ready: (error?: Error) => void): void {
    invariant(this.#state === 'new', 'a store is opened once');
    this.#state = 'opening';
    this.#owner = owner;
    const table = new InventoriedTable(this.#runtime.disk.openTable());
    let puts: Put[];
    try {
      puts = this.#restore(table, ownerState);
    } catch (error) {
      this.#state = 'closed';
      table.close(() => {});
      throw error;
    }
    table.write(puts, (error) => {
      if (this.#state !== 'opening') return;
      if (error !== undefined) return ready(unwritten(error));
      this.#state = 'open';
      this.#damage.opened();
      this.#checkpoints.begin();
      ready();
    });
  }

  /** Once it is open. */
  get standing(): Standing {
    return this.#standing;
  }

  get storeId(): string {
    return this.#standing.life.storeId;
  }

  get incarnation(): number {
    return this.#standing.life.incarnation;
  }

  /** How far the journal is durable, as a number that grows with it. */
  get reachedAt(): number {
    return asNumber(this.#journal.durable);
  }

  /** The journal segment that the next record goes to, or one before it: no record lies in an older one than this said when it was appended. During the replay, the segment of the record being replayed. */
  get segment(): number {
    return this.#replaying ?? this.#journal.segment;
  }

  /** Queues a record for the journal. */
  append(record: JournalRecord): void {
    this.#checkpoints.appended();
    this.#journal.append(record);
  }

  /** Runs the action when all that was appended so far is durable, for which it is flushed; at once if it is. Actions run in order of calls. */
  whenDurable(action: () => void): void {
    this.#journal.whenDurable(action);
  }

  /** The same without a flush of its own: with that of others, or of `flush`. */
  alongWithNext(action: () => void): void {
    this.#journal.alongWithNext(action);
  }

  /** Has written what was appended and nobody waits for, and looks after writes that don't end. To be called now and then. */
  flush(): void {
    this.#journal.flush();
    this.trouble.tick();
    this.#tableWriter.tick();
    this.#damage.tick();
    this.#checkpoints.look();
  }

  /** For which partitions this store still has all that it ever had. Who speaks of what it read asks afterwards. Once it is open. */
  get doubts(): Doubts {
    return this.#doubts;
  }

  /** The newest committed version here, a tombstone too; undefined for a key that never had one, or has lost it. */
  head(key: Key): Head | undefined {
    return this.#versions.head(key);
  }

  /** As `head`, with the value. */
  entry(key: Key): Entry | undefined {
    return this.#versions.entry(key);
  }

  /** Takes in a committed version if it is newer than what is there, and says whether it was. */
  install(partition: number, key: Key, version: Version, value: Value): boolean {
    const isNewer = this.#versions.install(partition, key, version, value);
    if (isNewer && this.#state === 'open') this.#checkpoints.look();
    return isNewer;
  }

  /** What else there is to ask about versions, and what is done with those that were deleted. Once the store is open, or is being replayed. */
  get versions(): Pick<Versions, 'newerThan' | 'changedSince' | 'absentAt' | 'isNewer' | 'collect' | 'remove' | 'tombstones' | 'cuts'> {
    return this.#versions;
  }

  /** Takes away collected tombstones, among so many rows of the partition from behind `after` on. Gives how many, and behind which key to go on; null at the end. */
  sweep(partition: number, after: Key | null, rowsMax: number): { removed: number; after: Key | null } {
    this.#checkpoints.look();
    return this.#versions.sweep(partition, after, rowsMax);
  }

  /** The overlay (with the journal's backlog) or the journal is at its bound: no new work may be taken in. */
  get full(): boolean {
    const { backlogBytes, liveBytes } = this.#journal;
    return this.#versions.overlay.bytes + backlogBytes >= this.#options.overlayBytesMax || liveBytes + backlogBytes >= this.#options.journalBytesMax;
  }

  /** Runs the action when there is room: at once if there is. Actions run in order; how many wait is the caller's to bound. */
  whenRoom(action: () => void): void {
    this.intake.room.wait(action);
  }

  /** The digest of a partition: 16 bytes, equal on replicas that hold the same versions. */
  root(partition: number): Uint8Array {
    return this.#versions.digests.root(partition);
  }

  /** One digest of all that is held: for seeing that nodes which replicate the same partitions are equal. */
  digest(): Uint8Array {
    return this.#versions.digests.whole();
  }

  /** The digests of all that is held. */
  get tree(): Tree {
    return this.#versions.digests;
  }

  /** Keys with their newest versions, tombstones too, of a leaf of the digests (null: of the whole partition), in an order that is the same on all replicas, from behind the key `after` on. To be gone through at once: what is installed meanwhile may be missed or met. */
  rows(partition: number, leaf: number | null, after: Key | null = null): Iterable<readonly [Key, Row]> {
    return this.#versions.rows(partition, leaf, after);
  }

  /** A partition's leaves computed anew from every row: what the tree must say. */
  rebuildLeaves(partition: number): Uint8Array {
    return this.#versions.rebuildLeaves(partition);
  }

  /** Takes a checkpoint of all there is, then runs the action: the table holds that, and nothing later until `resume` is called. Soon, for until then the overlay fills. Not called if the store is closed first. */
  atRest(action: (rest: Rest, resume: () => void) => void): void {
    this.#checkpoints.atRest(action);
  }

  get stats(): StoreStats {
    const { flushes, bytesWritten, fileCount, liveBytes, backlogBytes } = this.#journal;
    return { flushes, journalBytesWritten: bytesWritten, journalSegments: fileCount, journalBytes: liveBytes, backlogBytes, overlayBytes: this.#versions.overlay.bytes, damagedRows: this.#damage.rows, ...this.#counts, ...this.#checkpoints.stats };
  }

  /** Takes a last checkpoint and closes. Nothing may be appended or read afterwards. A disk in trouble is not waited for: what it did not take was told to nobody, and the next start finds the rest. */
  close(done: () => void): void {
    const before = this.#state;
    if (before !== 'open' && before !== 'opening') return done();
    this.#state = 'closing';
    this.#onClosed = done;
    const shut = (): void => {
      if (this.#state !== 'closing') return;
      if (this.#journal.backlogBytes > 0) return this.#journal.whenDurable(shut);
      this.#shut();
    };
    if (this.trouble.status.state !== 'sound') this.#shut();
    else if (before === 'opening') shut();
    else this.#checkpoints.finish(shut);
  }

  #shut(): void {
    if (this.#state !== 'closing') return;
    this.#state = 'closed';
    this.#checkpoints.stop();
    this.#tableWriter.close();
    this.#journal.close();
    // A write that never ends must not keep the node from ending.
    if (this.trouble.status.state === 'stalled') this.#onClosed();
    else this.#versions.table.close(this.#onClosed);
  }

  /** Reads everything back; gives what must be written before the store is ready. */
  #restore(table: InventoriedTable, ownerState: (suffix: string, value: Buffer) => void): Put[] {
    const { disk, clock } = this.#runtime;
    const startedMs = clock.monotonicMs();
    const facts = readFacts(table, this.#identity);
    table.check();
    const lost = facts?.lost ?? null;
    const survey = surveyFor(disk, facts);
    this.#tableWriter = new TableWriter(this.#runtime, table, this.trouble);
    this.#doubts = new Doubts(table, this.#identity.partitions, () => clock.wallMs());
    this.#damage = new Damage({ versions: () => this.#versions, doubts: this.#doubts, table: this.#tableWriter, runtime: this.#runtime });
    const life = nextLife(facts, () => this.#runtime.randomUint32(), asNumber(survey.end));
    this.#standing = new Standing(life, facts === null || (facts.isUnfounded && lost === null), this.#doubts, this.#tableWriter);
    this.#versions = new Versions(table, this.#options.headCacheEntries, this.#identity.partitions, this.#partitionOf, (partition, error) => this.#damage.found(partition, error), this.#options.digestDepth);
    for (const partition of this.#doubts.damaged) this.#versions.distrust(partition);
    for (const partition of this.#versions.tombstones.damaged) this.doubt(partition, 'its record of what was deleted was damaged');
    for (const { key, value } of table.range(...ownerBounds)) {
      const suffix = suffixOfOwnerKey(key);
      if (lost === null || !isForgotten(suffix)) ownerState(suffix, bookkeepingValue(key, value));
    }
    this.#counts.replayedRecords = replayJournal(disk, survey, (record, sequence) => {
      this.#replaying = sequence;
      this.#owner.replay(record);
    });
    this.#counts.replayedBytes = survey.segments.reduce((bytes, { end }) => bytes + end, 0);
    this.#replaying = null;
    this.#counts.replayMs = clock.monotonicMs() - startedMs;

    this.#journal = new Journal({
      disk,
      defer: (action) => this.#runtime.defer(action),
      after: (delayMs, action) => this.#runtime.after(delayMs, action),
      trouble: this.trouble,
      untrimmed: (error) => this.#runtime.log.warn({ error: String(error) }, 'journal files can’t be removed'),
      written: () => this.#relieve(),
    }, this.#options, survey);
    this.#checkpoints = new Checkpoints({
      runtime: this.#runtime,
      options: this.#options,
      owner: this.#owner,
      parts: { versions: this.#versions, journal: this.#journal, doubts: this.#doubts, write: (puts, done) => this.#tableWriter.write(puts, done) },
      identity: () => ({ ...this.#identity, storeId: this.storeId, incarnation: this.incarnation }),
      ended: () => this.#relieve(),
    });
    const puts = [...openingPuts(table, this.#identity, life, facts, survey), ...this.#versions.damagedDigests];
    if (lost === null) return this.#doubts.count === 0 ? puts : [...puts, this.#doubts.put()];
    this.#runtime.log.warn({ storeId: this.storeId, incarnation: this.incarnation, why: lost.why }, 'reborn');
    if (lost.isFinal !== true) this.#doubts.doubt(Array.from({ length: this.#identity.partitions }, (_, partition) => partition), lost.why);
    return [...puts, this.#doubts.put()];
  }

  /** Something that was here is not here any more: the partition is in doubt, and mended from now on. */
  doubt(partition: number, why: string): void {
    this.#damage.doubt(partition, why);
  }

  /** Reads the rows of the 16 leaves of a branch as they are now, and says whether they are as they were written. */
  check(partition: number, branch: number): Finding {
    return this.#damage.check(partition, branch);
  }

  /** A part of the disk got into trouble or out of it. */
  #troubleChanged(): void {
    this.#runtime.defer(() => (this.#state === 'closing' && this.trouble.status.state !== 'sound' ? this.#shut() : this.#relieve()));
  }

  #relieve(): void {
    if (this.#state === 'open') this.intake.relieve();
  }
}
