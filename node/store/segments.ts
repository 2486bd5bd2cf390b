/**
 * The journal's files and their succession. They are preallocated, for a write that grows a file costs a second flush
 * (of its size), and used again when trimmed, for making one (zeros written and flushed) holds the event loop for tens of milliseconds.
 * A trimmed file gets the name of a segment to come; its old blocks carry its old number, so they are not valid there.
 */
import type { Disk, LogFile } from '../runtime/runtime.ts';
import { sectorBytes } from './block.ts';
import { segmentName, type Position, type Survey } from './survey.ts';

/**
 * Files kept for later. A checkpoint comes at the latest when the overlay is half full, after two or three
 * segments of journal on default sizes, and those it trims are what the next one needs; one more for an uneven load.
 */
const sparesMax = 4;

interface File {
  readonly sequence: number;
  readonly fileBytes: number;
}

export class Segments {
  readonly #disk: Disk;
  readonly #segmentBytes: number;
  /** Closed segments whose records may still be needed, oldest first. */
  readonly #closed: File[] = [];
  readonly #spares: File[] = [];
  #sequence: number;
  /** Null until the segment gets its first block: only then is it known how large the file must be. */
  #current: { readonly log: LogFile; readonly fileBytes: number } | null = null;
  #offset = 0;
  /** Where the segment before this one ended. */
  #follows: number;

  /** Goes on behind what the survey found, in a segment of its own. */
  constructor(disk: Disk, segmentBytes: number, survey: Survey) {
    this.#disk = disk;
    this.#segmentBytes = Math.ceil(segmentBytes / sectorBytes) * sectorBytes;
    this.#sequence = survey.next;
    this.#follows = survey.end.offset;
    this.#closed.push(...survey.segments);
    for (const name of survey.leftovers) disk.removeLog(name);
    // Files of another size (the setting was changed, or a crash cut them short) or out of sequence are of no use; nor is one with part of a torn block, for
    // together with part of another one that would look whole.
    for (const spare of survey.spares) {
      if (spare.scan.unused && spare.sequence === this.#nextFree && spare.fileBytes === this.#segmentBytes && this.#spares.length < sparesMax) this.#spares.push(spare);
      else disk.removeLog(segmentName(spare.sequence));
    }
  }

  get sequence(): number {
    return this.#sequence;
  }

  get oldest(): number {
    return this.#closed[0]?.sequence ?? this.#sequence;
  }

  /** Behind the last block. */
  get position(): Position {
    return { sequence: this.#sequence, offset: this.#offset };
  }

  /** What the header of the block at `position` says it follows. */
  get follows(): number {
    return this.#offset === 0 ? this.#follows : this.#offset;
  }

  get fileCount(): number {
    return this.#closed.length + (this.#current === null ? 0 : 1) + this.#spares.length;
  }

  /** Makes room for a block: goes on to the next segment if this one can't take it. No write may be under way. */
  reserve(blockBytes: number): void {
    if (this.#current !== null) {
      if (this.#offset + blockBytes <= this.#current.fileBytes) return;
      this.#current.log.close();
      this.#closed.push({ sequence: this.#sequence, fileBytes: this.#current.fileBytes });
      this.#sequence++;
      this.#follows = this.#offset;
      this.#offset = 0;
    }
    const name = segmentName(this.#sequence);
    const fileBytes = Math.max(this.#segmentBytes, blockBytes);
    const spare = this.#spares.shift();
    if (spare !== undefined && spare.fileBytes !== fileBytes) this.#disk.removeLog(name);
    this.#current = { log: this.#disk.openLog(name, fileBytes), fileBytes };
  }

  /** Writes a block that there is room for. `position` is behind it at once; it is durable when `done` comes. */
  write(block: Uint8Array, done: (error?: Error) => void): void {
    const at = this.#offset;
    this.#offset += block.length;
    (this.#current as { log: LogFile }).log.write(at, [block], done);
  }

  /** Lets go of the segments before this one. The table says already that they don't count, so a crash in between leaves none that do. */
  trim(before: number): void {
    while ((this.#closed[0]?.sequence ?? before) < before) {
      const { sequence, fileBytes } = this.#closed.shift() as File;
      if (this.#spares.length >= sparesMax || fileBytes !== this.#segmentBytes) {
        this.#disk.removeLog(segmentName(sequence));
        continue;
      }
      const spare = { sequence: this.#nextFree, fileBytes };
      this.#disk.renameLog(segmentName(sequence), segmentName(spare.sequence));
      this.#spares.push(spare);
    }
  }

  close(): void {
    this.#current?.log.close();
  }

  /** The first segment number that has no file yet. */
  get #nextFree(): number {
    return this.#sequence + this.#spares.length + (this.#current === null ? 0 : 1);
  }
}
