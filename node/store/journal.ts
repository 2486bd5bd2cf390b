/**
 * The journal: what a node must remember of transactions, on the disk before anyone is told.
 *
 * Group commit: records gather in a batch while the batch before is being written and flushed; then they go together, as one
 * block with one write. The disk sets the pace: the busier it is, the more records share a flush. An action that
 * must come after the records appended so far (a vote that leaves, say) rides with their batch. A flush is what a commit
 * costs most, so one is made only for who waits; records that nobody waits for (an outcome that the votes
 * already imply) go along with the next one, at the latest when `flush` is called.
 *
 * A disk that refuses a write keeps everybody waiting and loses nothing: the records are still here, nobody was told of
 * them, and they are written again, whole, in another file (segments.ts), until the disk takes them.
 */
import { Packr } from 'msgpackr';
import type { Timer } from '../../client/wire/environment.ts';
import type { Disk } from '../runtime/runtime.ts';
import { blockBytes, seal, type Position } from './block.ts';
import type { JournalRecord } from './records.ts';
import { Segments } from './segments.ts';
import type { Survey } from './survey.ts';
import type { Trouble } from './trouble.ts';

const packr = new Packr({ useRecords: false });

interface Batch {
  readonly records: JournalRecord[];
  readonly actions: (() => void)[];
  bytes: number;
  /** Somebody waits for it; without, it goes along with the next one that somebody waits for. */
  forced: boolean;
}

export interface JournalOptions {
  readonly journalSegmentBytes: number;
  readonly journalBlockBytesMax: number;
}

export interface JournalEnvironment {
  readonly disk: Disk;
  /** Runs an action at the end of the turn. */
  defer(action: () => void): void;
  after(delayMs: number, action: () => void): Timer;
  readonly trouble: Trouble;
  /** Files could not be renamed or removed. That is tried again with the next ones. */
  untrimmed(error: unknown): void;
  /** A batch is durable and its actions have run. */
  written(): void;
}

export class Journal {
  readonly #environment: JournalEnvironment;
  readonly #blockBytesMax: number;
  readonly #segments: Segments;
  /** Waiting to be written, in order; each will be one block. */
  readonly #waiting: Batch[] = [];
  #underWay: Batch | null = null;
  /** The actions that are just being run, of records that are durable. */
  #running: (() => void)[] | null = null;
  #scheduled = false;
  #closed = false;
  #retry: Timer | null = null;
  flushes = 0;
  bytesWritten = 0;
  /** Bytes, as estimated, of the records that are not durable yet. */
  backlogBytes = 0;

  constructor(environment: JournalEnvironment, options: JournalOptions, survey: Survey) {
    this.#environment = environment;
    this.#blockBytesMax = options.journalBlockBytesMax;
    this.#segments = new Segments(environment.disk, options.journalSegmentBytes, survey);
  }

  /** The segment that the next record goes to, or one before it: a record is never in an older one than this said. */
  get segment(): number {
    return this.#segments.sequence;
  }

  /** The oldest segment that is kept. */
  get oldest(): number {
    return this.#segments.oldest;
  }

  get fileCount(): number {
    return this.#segments.fileCount;
  }

  /** Behind the last durable record. */
  get durable(): Position {
    return this.#segments.position;
  }

  /** What a restart would have to read, in bytes. */
  get liveBytes(): number {
    return this.#segments.liveBytes;
  }

  append(record: JournalRecord): void {
    if (this.#closed) throw new Error('a record for a closed journal');
    const bytes = estimateBytes(record);
    this.backlogBytes += bytes;
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.bytes + bytes <= this.#blockBytesMax) {
      last.records.push(record);
      last.bytes += bytes;
      return;
    }
    this.#waiting.push({ records: [record], actions: [], bytes, forced: false });
    // A whole block need not wait for more.
    if (last !== undefined) this.#force(last);
  }

  /** Runs the action when all records appended so far are durable, now if they are, and has them written for it. Actions run in order. */
  whenDurable(action: () => void): void {
    this.alongWithNext(action);
    this.flush();
  }

  /** The same, but in no hurry: when others have the records written, or `flush` does. */
  alongWithNext(action: () => void): void {
    const batch = this.#waiting.at(-1) ?? this.#underWay;
    if (batch !== null) batch.actions.push(action);
    else if (this.#running !== null) this.#running.push(action);
    else action();
  }

  /** Has written whatever was appended and nobody waits for. */
  flush(): void {
    const last = this.#waiting.at(-1);
    if (last !== undefined) this.#force(last);
  }

  /** Lets go of the segments before this one. */
  trim(before: number): void {
    try {
      this.#segments.trim(before);
    } catch (error) {
      this.#environment.untrimmed(error);
    }
  }

  /** What is not durable by now is given up: nobody was told of it. */
  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#segments.close();
  }

  /** Records are written in order, so with a batch go all before it. */
  #force(batch: Batch): void {
    batch.forced = true;
    if (this.#closed || this.#scheduled || this.#underWay !== null) return;
    this.#scheduled = true;
    this.#environment.defer(() => {
      this.#scheduled = false;
      this.#write();
    });
  }

  #write(): void {
    if (this.#closed || this.#underWay !== null || !this.#waiting.some(({ forced }) => forced)) return;
    const batch = this.#waiting.shift() as Batch;
    this.#underWay = batch;
    this.#attempt(packr.pack(batch.records));
  }

  #attempt(payload: Buffer): void {
    this.#environment.trouble.began('journal');
    try {
      this.#segments.reserve(blockBytes(payload.length));
      const block = seal(payload, this.#segments.sequence, this.#segments.position);
      this.#segments.write(block, (error) => (error === undefined ? this.#written(block.length) : this.#failed(error, payload)));
    } catch (error) {
      this.#failed(error, payload);
    }
  }

  /** Whatever is in that file now, nobody may come to rely on it. */
  #failed(error: unknown, payload: Buffer): void {
    if (this.#closed) return;
    this.#segments.abandon();
    const pauseMs = this.#environment.trouble.failed('journal', error);
    this.#retry = this.#environment.after(pauseMs, () => this.#attempt(payload));
  }

  #written(bytesWritten: number): void {
    if (this.#closed) return;
    const { actions, bytes } = this.#underWay as Batch;
    this.#underWay = null;
    this.#environment.trouble.succeeded('journal');
    this.flushes++;
    this.bytesWritten += bytesWritten;
    this.backlogBytes -= bytes;
    // The disk goes on with what has gathered while this batch's actions run.
    this.#write();
    this.#running = actions;
    for (let i = 0; i < actions.length; i++) (actions[i] as () => void)();
    this.#running = null;
    this.#environment.written();
  }
}

/** The size of a record in MessagePack, a little too much rather than too little. */
function estimateBytes(record: JournalRecord): number {
  let bytes = 3;
  for (const field of record) {
    if (typeof field === 'number' || field === null || field === undefined) bytes += 9;
    else if (typeof field === 'string') bytes += 5 + 3 * field.length;
    else if (field instanceof Uint8Array) bytes += 5 + field.length;
    else bytes += 5 + 9 * field.length;
  }
  return bytes;
}
