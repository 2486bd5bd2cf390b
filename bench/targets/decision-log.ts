/** Where a coordinator of two-phase commits keeps what it decided: a file, flushed once for all that waits. */
import { open, type FileHandle } from 'node:fs/promises';

export class DecisionLog {
  readonly #file: Promise<FileHandle>;
  #waiting: { readonly line: string; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  #isWriting = false;

  constructor(file: string) {
    this.#file = open(file, 'a');
    // Whoever writes first hears of it.
    this.#file.catch(() => {});
  }

  /** Resolves when it is on the disk. */
  write(line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      if (!this.#isWriting) void this.#work();
    });
  }

  async close(): Promise<void> {
    await (await this.#file).close();
  }

  async #work(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const file = await this.#file;
        await file.appendFile(batch.map(({ line }) => `${line}\n`).join(''));
        await file.datasync();
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWriting = false;
  }
}
