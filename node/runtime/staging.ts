/**
 * Putting a recovery point in the place of a node's data, so that a crash at any moment leaves the one or the other.
 *
 * The copy is made beside the data, checked there, and moved into place last. Meanwhile `data` is missing, and that is how a node
 * that is started then sees that it must not begin as an empty one. What was there before is moved aside, never deleted.
 */
import * as fs from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { syncDirectory } from './log-file.ts';
import { RealDisk } from './real-disk.ts';
import type { Disk } from './runtime.ts';

const stage = '.restoring';
const parts = ['journal', 'data'] as const;

/** A restore was cut after it had moved the node's data aside. */
export function isInterrupted(directory: string): boolean {
  return fs.existsSync(join(directory, stage)) && !fs.existsSync(join(directory, 'data'));
}

/** The directory of a recovery point: a path, or the name of one that the node keeps. */
export function findPoint(directory: string, from: string): string {
  const kept = join(directory, 'recovery-points', from);
  return !from.includes(sep) && fs.existsSync(kept) ? kept : resolve(from);
}

export class Staging {
  readonly #directory: string;
  readonly #stage: string;
  /** The copy, as a disk with an empty journal. Nobody else uses it. */
  readonly disk: Disk;
  readonly note: string;
  readonly bytes: number;

  /** Copies the point; `directory` is the node's, and locked. Throws what the file system throws. */
  constructor(directory: string, point: string) {
    this.#directory = directory;
    this.#stage = join(directory, stage);
    this.note = fs.readFileSync(join(point, 'point.json'), 'utf8');
    this.discard();
    fs.mkdirSync(join(this.#stage, 'data'), { recursive: true });
    const copy = join(this.#stage, 'data', 'data.mdb');
    fs.copyFileSync(join(point, 'data.mdb'), copy, fs.constants.COPYFILE_FICLONE);
    const descriptor = fs.openSync(copy, 'r+');
    fs.fsyncSync(descriptor);
    this.bytes = fs.fstatSync(descriptor).size;
    fs.closeSync(descriptor);
    this.disk = new RealDisk(this.#stage);
  }

  /** Puts the copy in place. Returns where the node's data is now, or null if it had none. */
  swap(stamp: string): string | null {
    const aside = join(this.#directory, `replaced-${stamp}`);
    // `data` goes first, and comes last.
    const present = [...parts].reverse().filter((part) => fs.existsSync(join(this.#directory, part)));
    if (present.length > 0) fs.mkdirSync(aside);
    for (const part of present) fs.renameSync(join(this.#directory, part), join(aside, part));
    if (present.length > 0) syncDirectory(aside);
    syncDirectory(this.#directory);
    for (const part of parts) {
      fs.renameSync(join(this.#stage, part), join(this.#directory, part));
      syncDirectory(this.#directory);
    }
    this.discard();
    return present.length > 0 ? aside : null;
  }

  /** Removes the copy: nothing else was changed. */
  discard(): void {
    fs.rmSync(this.#stage, { recursive: true, force: true });
  }
}
