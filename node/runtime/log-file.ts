/**
 * A preallocated log file whose writes are durable when they are done.
 *
 * The file is filled with real zeros before its first write, and that is flushed together with its directory entry.
 * So a later write changes no metadata, and `O_DSYNC` makes it durable with one flush of its own blocks: a third of
 * the cost of write and fsync on a growing file. Where the system's `O_DSYNC` does not reach the platter (it does on
 * Linux), fdatasync follows the write.
 *
 * After a failed write the kernel may have dropped the very pages that it could not write, and a second flush of them
 * would succeed without them on disk ("Can Applications Recover from fsync Failures?", Rebello et al., 2020). So an
 * error stays: every later write of this handle fails with it.
 */
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import type { LogFile } from './runtime.ts';

const flushesByItself = process.platform === 'linux';
const openFlags = fs.constants.O_RDWR | fs.constants.O_CREAT | (flushesByItself ? fs.constants.O_DSYNC : 0);

/** Zeros are written in pieces of this size, each with a flush: few flushes, and little memory. */
const fillChunk = Buffer.alloc(4 * 1_024 * 1_024);

/** IOV_MAX of Linux. More buffers than that would take several writes, each with a flush of its own. */
const chunksMax = 1_024;

type Done = (error?: Error) => void;
interface Write {
  readonly position: number;
  readonly chunks: readonly Uint8Array[];
  readonly done: Done;
}
type State = 'filling' | 'idle' | 'writing' | 'closed';

export class RealLogFile implements LogFile {
  readonly #path: string;
  readonly #onClosed: () => void;
  #state: State = 'filling';
  #closing = false;
  #error: Error | null = null;
  #descriptor = -1;
  /** The write that came while the file was still being filled. */
  #waiting: Write | null = null;

  /** `onClosed` is called once the file is closed and its last write has ended. */
  constructor(path: string, sizeBytes: number, onClosed: () => void) {
    this.#path = path;
    this.#onClosed = onClosed;
    try {
      this.#descriptor = fs.openSync(path, openFlags, 0o644);
      this.#fill(fs.fstatSync(this.#descriptor).size, sizeBytes);
    } catch (error) {
      this.#settle(error instanceof Error ? error : new Error(String(error)));
    }
  }

  write(position: number, chunks: readonly Uint8Array[], done: Done): void {
    if (this.#closing) throw new Error(`${this.#path} is closed`);
    if (this.#state === 'writing' || this.#waiting !== null) throw new Error(`${this.#path}: a write is under way already`);
    const write = { position, chunks: chunks.length > chunksMax ? [Buffer.concat(chunks)] : chunks, done };
    if (this.#state === 'filling') this.#waiting = write;
    else this.#begin(write);
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#state === 'idle') this.#release();
  }

  #begin(write: Write): void {
    this.#state = 'writing';
    if (this.#error === null) this.#step(write, write.position, write.chunks);
    else setImmediate(() => this.#end(write, this.#error));
  }

  /** The kernel may take fewer bytes than offered. */
  #step(write: Write, position: number, chunks: readonly Uint8Array[]): void {
    fs.writev(this.#descriptor, chunks, position, (error, written) => {
      if (error !== null) return this.#end(write, error);
      const rest = dropBytes(chunks, written);
      if (rest.length > 0) return written > 0 ? this.#step(write, position + written, rest) : this.#end(write, this.#full());
      if (flushesByItself) this.#end(write, null);
      else fs.fdatasync(this.#descriptor, (failed) => this.#end(write, failed));
    });
  }

  #end(write: Write, error: Error | null): void {
    this.#settle(error);
    if (error === null) write.done();
    else write.done(error);
  }

  /** Fills up to `sizeBytes`: a new file from its start, one that a crash left short from where it ends. */
  #fill(position: number, sizeBytes: number): void {
    if (position >= sizeBytes) return this.#flush();
    fs.write(this.#descriptor, fillChunk, 0, Math.min(fillChunk.length, sizeBytes - position), position, (error, written) => {
      if (error !== null || written === 0) this.#settle(error ?? this.#full());
      else this.#fill(position + written, sizeBytes);
    });
  }

  #flush(): void {
    fs.fsync(this.#descriptor, (error) => {
      if (error !== null) return this.#settle(error);
      fs.open(dirname(this.#path), fs.constants.O_RDONLY, (failed, directory) => {
        if (failed !== null) return this.#settle(failed);
        fs.fsync(directory, (unsynced) => fs.close(directory, () => this.#settle(unsynced)));
      });
    });
  }

  /** A step has ended: what waited for it goes on. */
  #settle(error: Error | null): void {
    this.#error ??= error;
    this.#state = 'idle';
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) this.#begin(waiting);
    else if (this.#closing) this.#release();
  }

  #release(): void {
    this.#state = 'closed';
    if (this.#descriptor !== -1) fs.closeSync(this.#descriptor);
    this.#onClosed();
  }

  #full(): Error {
    return new Error(`${this.#path}: the disk takes no more bytes`);
  }
}

function dropBytes(chunks: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let index = 0;
  let left = count;
  for (; index < chunks.length && left >= chunks[index]!.byteLength; index++) left -= chunks[index]!.byteLength;
  if (index === chunks.length) return [];
  return left === 0 ? chunks.slice(index) : [chunks[index]!.subarray(left), ...chunks.slice(index + 1)];
}

/** Makes renames, removals and creations in a directory durable. */
export function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
