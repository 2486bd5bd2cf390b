/**
 * The journal's files and their succession. They are preallocated, for a write that grows a file costs a second flush
 * (of its size), and used again when trimmed, for making one (zeros written and flushed) holds the event loop for tens of milliseconds.
 * A trimmed file gets the name of a segment to come; its old blocks carry its old number, so they are not valid there.
 *
 * A file in which a write failed is never written again. After a failed flush the kernel may have dropped the pages that it could not
 * write, and say of a second flush of them that all is well (Rebello et al., "Can Applications Recover from fsync
 * Failures?", USENIX ATC 2020). So the journal goes on in another file, behind the last end that was durable, and
 * numbers are used once: a file that could not be removed may come back after a loss of power.
 */
import type { Disk, LogFile } from '../runtime/runtime.ts';
import { sectorBytes, type Position } from './block.ts';
import { segmentName, type Survey } from './survey.ts';

/**
 * Files kept for later. A checkpoint comes at the latest when the overlay is half full, after two or three
 * segments of journal on default sizes, and those it trims are what the next one needs; one more for an uneven load.
 */
const sparesMax = 4;
/** Files that the disk would not let us remove; with more, no further ones are made, or a disk that takes no writes would be filled with them. */
const doomedMax = 3;

interface File {
  readonly sequence: number;
  readonly fileBytes: number;
}

export class Segments {
  readonly #disk: Disk;
  readonly #segmentBytes: number;
  /** Segments that are not written any more and whose records may still be needed, oldest first; blocks count up to `end`. */
  readonly #closed: (File & { readonly end: number })[] = [];
  readonly #spares: File[] = [];
  /** Files that are to be removed, as soon as the disk lets us. */
  readonly #doomed = new Set<string>();
  #sequence: number;
  /** No file ever had this number or a higher one. */
  #free: number;
  /** Null until the segment gets its first block: only then is it known how large the file must be. */
  #current: { readonly log: LogFile; readonly fileBytes: number } | null = null;
  /** Behind the last block of the segment that is durable. */
  #offset = 0;
  /** Behind the last durable block before this segment. */
  #follows: Position;

  /** Goes on behind what the survey found, in a segment of its own. */
  constructor(disk: Disk, segmentBytes: number, survey: Survey) {
    this.#disk = disk;
    this.#segmentBytes = Math.ceil(segmentBytes / sectorBytes) * sectorBytes;
    this.#sequence = survey.next;
    this.#free = survey.free;
    this.#follows = survey.end;
    this.#closed.push(...survey.segments);
    for (const name of survey.leftovers) this.#doomed.add(name);
    // Files of another size are of no use: the setting was changed, or a crash cut them short.
    for (const spare of survey.spares) {
      if (spare.fileBytes === this.#segmentBytes && this.#spares.length < sparesMax) this.#spares.push(spare);
      else this.#doomed.add(segmentName(spare.sequence));
    }
  }

  /** The segment that is written; while there is none, one that the next one does not come before. */
  get sequence(): number {
    return this.#sequence;
  }

  get oldest(): number {
    return this.#closed[0]?.sequence ?? this.#sequence;
  }

  /** Behind the last durable block. */
  get position(): Position {
    return this.#offset === 0 ? this.#follows : { sequence: this.#sequence, offset: this.#offset };
  }

  get fileCount(): number {
    return this.#closed.length + (this.#current === null ? 0 : 1) + this.#spares.length + this.#doomed.size;
  }

  /** What a restart would have to read. */
  get liveBytes(): number {
    return this.#closed.reduce((bytes, { end }) => bytes + end, this.#offset);
  }

  /** Makes room for a block: goes on to another segment if this one can't take it. No write may be under way. Throws what the disk throws. */
  reserve(blockBytes: number): void {
    if (this.#current !== null) {
      if (this.#offset + blockBytes <= this.#current.fileBytes) return;
      this.#leave(this.#current.fileBytes);
    }
    try {
      this.#sweep();
    } catch (error) {
      if (this.#doomed.size > doomedMax) throw error;
    }
    const fileBytes = Math.max(this.#segmentBytes, blockBytes);
    const spare = this.#spares.shift();
    this.#sequence = spare?.sequence ?? this.#free++;
    const name = segmentName(this.#sequence);
    try {
      if (spare !== undefined && spare.fileBytes !== fileBytes) this.#disk.removeLog(name);
      this.#current = { log: this.#disk.openLog(name, fileBytes), fileBytes };
    } catch (error) {
      this.#doomed.add(name);
      this.#sequence++;
      throw error;
    }
  }

  /** Writes a block that there is room for. It is durable, and `position` behind it, when `done` comes without an error; after one the segment is to be abandoned. */
  write(block: Uint8Array, done: (error?: Error) => void): void {
    const end = this.#offset + block.length;
    (this.#current as { log: LogFile }).log.write(this.#offset, [block], (error) => {
      if (error === undefined) this.#offset = end;
      done(error);
    });
  }

  /** The last write failed: nothing is written to this file any more. */
  abandon(): void {
    if (this.#current !== null) this.#leave(0);
  }

  /** Lets go of the segments before this one. The table says already that they don't count, so a crash in between leaves none that do. Throws what the disk throws; what is left is tried again the next time. */
  trim(before: number): void {
    while ((this.#closed[0]?.sequence ?? before) < before) {
      const { sequence, fileBytes } = this.#closed.shift() as File;
      if (this.#spares.length < sparesMax && fileBytes === this.#segmentBytes) this.#recycle(sequence, fileBytes);
      else this.#doomed.add(segmentName(sequence));
    }
    this.#sweep();
  }

  close(): void {
    this.#current?.log.close();
  }

  #leave(fileBytes: number): void {
    this.#current?.log.close();
    this.#current = null;
    if (this.#offset > 0) this.#closed.push({ sequence: this.#sequence, fileBytes, end: this.#offset });
    else this.#doomed.add(segmentName(this.#sequence));
    this.#follows = this.position;
    this.#offset = 0;
    this.#sequence++;
  }

  /** If the disk does not say that a file has its new name, it may have either one after a loss of power: then neither is used. */
  #recycle(sequence: number, fileBytes: number): void {
    const from = segmentName(sequence);
    const spare = { sequence: this.#free++, fileBytes };
    const to = segmentName(spare.sequence);
    try {
      this.#disk.renameLog(from, to);
    } catch (error) {
      this.#doomed.add(from).add(to);
      throw error;
    }
    this.#spares.push(spare);
  }

  #sweep(): void {
    if (this.#doomed.size === 0) return;
    const present = new Set(this.#disk.logs());
    for (const name of this.#doomed) {
      if (present.has(name)) this.#disk.removeLog(name);
      this.#doomed.delete(name);
    }
  }
}
