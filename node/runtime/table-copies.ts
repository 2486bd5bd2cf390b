/**
 * The copies of the table that are kept, each in a directory of its name: LMDB's file, and a note beside it.
 *
 * A copy is made under a name that no copy can have, flushed, and then renamed; one that is removed loses its name first.
 * So a crash leaves whole copies and rubbish, never half a copy, and rubbish is swept away at the next start.
 */
import * as fs from 'node:fs';
import { mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { syncDirectory } from './log-file.ts';
import type { CopySteps, KeptCopy } from './runtime.ts';

const unfinished = '.unfinished';
const removed = '.removed';
const noteFile = 'point.json';
const tableFile = 'data.mdb';

/** Left free beside a copy: a node whose checkpoints find no room on the disk stops voting. */
const reserveBytes = 64 * 1_024 * 1_024;
const beginningPollMs = 2;

export class TableCopies {
  readonly #directory: string;
  #isBusy = false;

  /** `directory` is made with the first copy. */
  constructor(directory: string) {
    this.#directory = directory;
    for (const rubbish of [unfinished, removed]) fs.rmSync(join(directory, rubbish), { recursive: true, force: true });
  }

  list(): KeptCopy[] {
    if (!fs.existsSync(this.#directory)) return [];
    const names = fs.readdirSync(this.#directory).filter((name) => !name.startsWith('.') && fs.existsSync(join(this.#directory, name, noteFile)));
    return names.sort().map((name) => ({ name, note: fs.readFileSync(join(this.#directory, name, noteFile), 'utf8') }));
  }

  /**
   * Has `write` write the copy of a table of about so many bytes into a directory that it is given; `begun` comes when the first bytes are there.
   * Throws if the name is taken or a copy is being made.
   */
  make(name: string, tableBytes: number, note: (bytes: number) => string, write: (directory: string) => Promise<void>, { begun, done }: CopySteps): void {
    const path = this.#path(name);
    if (this.#isBusy) throw new Error('a copy is being made already');
    if (fs.existsSync(path)) throw new Error(`there is a copy ${name} already`);
    this.#isBusy = true;
    const end = (error?: Error): void => {
      this.#isBusy = false;
      queueMicrotask(() => (error === undefined ? done() : done(error)));
    };
    this.#make(path, tableBytes, note, write, () => queueMicrotask(begun)).then(
      () => end(),
      (error: unknown) => void rm(join(this.#directory, unfinished), { recursive: true, force: true }).catch(() => {}).then(() => end(withCode(error))),
    );
  }

  remove(name: string, done: (error?: Error) => void): void {
    this.#remove(this.#path(name)).then(() => queueMicrotask(done), (error: unknown) => queueMicrotask(() => done(withCode(error))));
  }

  async #make(path: string, tableBytes: number, note: (bytes: number) => string, write: (directory: string) => Promise<void>, begun: () => void): Promise<void> {
    const into = join(this.#directory, unfinished);
    const file = join(into, tableFile);
    if (!fs.existsSync(this.#directory)) {
      await mkdir(this.#directory);
      syncDirectory(dirname(this.#directory));
    }
    await mkdir(into);
    const { bavail, bsize } = await statfs(into);
    if (bavail * bsize < tableBytes + reserveBytes) throw full(`${bavail * bsize} bytes are free, a copy takes ${tableBytes}, and ${reserveBytes} are to be left`);

    const written = write(into);
    let isWriting = true;
    const stop = (): void => void (isWriting = false);
    written.then(stop, stop);
    // LMDB holds the snapshot before it writes the first byte, and does not tell.
    while (isWriting && !(await hasBytes(file))) await pause(beginningPollMs);
    if (!isWriting) await written;
    begun();
    await written;

    await flush(file);
    const { size } = await stat(file);
    const text = await open(join(into, noteFile), 'wx');
    try {
      await text.writeFile(note(size));
      await text.sync();
    } finally {
      await text.close();
    }
    syncDirectory(into);
    await rename(into, path);
    syncDirectory(this.#directory);
  }

  async #remove(path: string): Promise<void> {
    const away = join(this.#directory, removed);
    await rm(away, { recursive: true, force: true });
    await rename(path, away);
    syncDirectory(this.#directory);
    await rm(away, { recursive: true });
    syncDirectory(this.#directory);
  }

  #path(name: string): string {
    const path = join(this.#directory, name);
    if (name.startsWith('.') || dirname(path) !== this.#directory) throw new Error(`${name} is no copy’s name`);
    return path;
  }
}

async function hasBytes(file: string): Promise<boolean> {
  return stat(file).then(({ size }) => size > 0, () => false);
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function full(message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no space left on the disk: ${message}`), { code: 'ENOSPC' });
}

/** LMDB tells what the system told in words alone. */
function withCode(error: unknown): NodeJS.ErrnoException {
  const known: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error));
  if (known.code === undefined && /no space left|quota exceeded/i.test(known.message)) known.code = 'ENOSPC';
  return known;
}
