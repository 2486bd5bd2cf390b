/**
 * What the disk itself takes, all the time: a sector of a file of its own beside the nodes' files is written through every ten milliseconds, at
 * the same offset of zeros that are there already. What this waits no node could have spared its callers; three nodes on one disk all wait for it.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Histogram } from 'hdr-histogram-js';
import { latencies, record } from '../load/histogram.ts';

const everyMs = 10;
const sectorBytes = 512;
const epochMs = (): number => performance.timeOrigin + performance.now();

export class BareFlush {
  readonly #flushes: { readonly atMs: number; readonly ms: number }[] = [];
  #goesOn = true;
  readonly #ended: Promise<void>;

  /** The file is left for whoever removes the directory. */
  constructor(directory: string) {
    this.#ended = this.#probe(path.join(directory, 'bare-flush'));
  }

  /** Of those that ended between two moments since 1970. */
  between(fromMs: number, toMs: number): Histogram {
    const histogram = latencies(2);
    for (const { atMs, ms } of this.#flushes) if (atMs >= fromMs && atMs < toMs) record(histogram, ms);
    return histogram;
  }

  /** Rejects if the file could not be written. */
  async stop(): Promise<void> {
    this.#goesOn = false;
    await this.#ended;
  }

  async #probe(name: string): Promise<void> {
    await using file = await open(name, constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC);
    const sector = Buffer.alloc(sectorBytes);
    for (; this.#goesOn; await delay(everyMs)) {
      const beganAtMs = performance.now();
      await file.write(sector, 0, sectorBytes, 0);
      this.#flushes.push({ atMs: epochMs(), ms: performance.now() - beganAtMs });
    }
  }
}
