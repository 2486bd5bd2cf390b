/** A log file of a simulated disk, open in one process. */
import type { LogFile } from '../../node/runtime/runtime.ts';
import type { SimDisk } from './disk.ts';
import type { SimProcess } from './process.ts';
import type { Event } from './scheduler.ts';

/** A drive writes a sector whole or not at all; between sectors anything goes. */
const sectorBytes = 512;
/** A file grows by blocks of this size. */
const blockBytes = 4_096;

type Done = (error?: Error) => void;
interface Write {
  readonly position: number;
  readonly bytes: Buffer;
  readonly originals: readonly Uint8Array[];
  readonly done: Done;
}
type State = 'filling' | 'idle' | 'writing' | 'closed';

export class SimLogFile implements LogFile {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  readonly #name: string;
  readonly #sizeBytes: number;
  readonly #onClosed: () => void;
  #state: State = 'idle';
  #closing = false;
  #error: Error | null = null;
  #waiting: Write | null = null;
  #writing: Write | null = null;
  /** The end of what the disk is doing for this file. */
  #completion: Event | null = null;

  constructor(disk: SimDisk, process: SimProcess, name: string, sizeBytes: number, onClosed: () => void) {
    this.#disk = disk;
    this.#process = process;
    this.#name = name;
    this.#sizeBytes = sizeBytes;
    this.#onClosed = onClosed;
    process.onEnd(() => this.#cut());
    const missing = sizeBytes - this.#bytes.length;
    if (missing > 0 && process.effect()) this.#fill(missing);
  }

  write(position: number, chunks: readonly Uint8Array[], done: Done): void {
    if (this.#closing) throw new Error(`${this.#name} is closed`);
    if (this.#state === 'writing' || this.#waiting !== null) throw new Error(`${this.#name}: a write is under way already`);
    if (!this.#process.effect()) return;
    const write = { position, bytes: Buffer.concat(chunks), originals: chunks, done };
    if (this.#state === 'filling') this.#waiting = write;
    else this.#begin(write);
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#state === 'idle') this.#release();
  }

  get #bytes(): Buffer {
    return this.#disk.logs.get(this.#name) ?? Buffer.alloc(0);
  }

  #fill(missing: number): void {
    this.#state = 'filling';
    this.#after(missing, () => {
      if (this.#disk.faults.full || this.#disk.faults.readOnly) return this.#settle(new Error(`${this.#name}: the disk is full`));
      this.#extend(this.#sizeBytes);
      this.#settle(null);
    });
  }

  #begin(write: Write): void {
    this.#state = 'writing';
    this.#writing = write;
    const { faults, random } = this.#disk;
    const grows = write.position + write.bytes.length > this.#bytes.length;
    const fails = this.#error !== null || faults.readOnly || (faults.full && grows) || (faults.logFailureChance > 0 && random.chance(faults.logFailureChance));
    this.#after(write.bytes.length, () => {
      if (!write.bytes.equals(Buffer.concat(write.originals))) throw new Error(`a buffer was changed while it was written to ${this.#name}`);
      this.#writing = null;
      if (fails) {
        this.#tear(write);
        this.#end(write, this.#error ?? new Error(`${this.#name}: the write failed`));
      } else {
        this.#apply(write.position, write.bytes);
        this.#disk.lastFlush = { name: this.#name, position: write.position, bytes: write.bytes.length };
        this.#end(write, null);
      }
    });
  }

  #end(write: Write, error: Error | null): void {
    if (error === null) this.#disk.trace.record(this.#disk.name, 'wrote', write.bytes);
    this.#disk.trace.record(this.#disk.name, error === null ? 'flushed' : 'failed', `${this.#name} ${write.position}+${write.bytes.length}`);
    this.#disk.scheduler.after(0, this.#process, () => {
      this.#settle(error);
      if (error === null) write.done();
      else write.done(error);
    });
  }

  #settle(error: Error | null): void {
    this.#error ??= error;
    this.#state = 'idle';
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) this.#begin(waiting);
    else if (this.#closing) this.#release();
  }

  #after(bytes: number, action: () => void): void {
    this.#completion = this.#disk.scheduler.after(this.#disk.durationMs(bytes), null, () => {
      this.#completion = null;
      action();
    });
  }

  #release(): void {
    this.#state = 'closed';
    this.#onClosed();
  }

  /** The process has ended: of what the disk had under way, anything may be there. */
  #cut(): void {
    if (this.#completion === null) return;
    this.#disk.scheduler.cancel(this.#completion);
    if (this.#writing !== null) this.#tear(this.#writing);
    else if (this.#state === 'filling') {
      const missing = this.#sizeBytes - this.#bytes.length;
      this.#extend(this.#bytes.length + Math.min(missing, blockBytes * this.#disk.random.below(Math.ceil(missing / blockBytes) + 1)));
    }
  }

  #tear({ position, bytes }: Write): void {
    const random = this.#disk.random;
    const kind = random.pick(['nothing', 'everything', 'prefix', 'sectors'] as const);
    this.#disk.trace.record(this.#disk.name, 'torn', `${this.#name} ${position}+${bytes.length}: ${kind}`);
    if (kind === 'everything') this.#apply(position, bytes);
    if (kind === 'prefix') this.#apply(position, bytes.subarray(0, random.below(bytes.length + 1)));
    if (kind !== 'sectors') return;
    const end = position + bytes.length;
    for (let start = position; start < end;) {
      const next = Math.min(end, (Math.floor(start / sectorBytes) + 1) * sectorBytes);
      if (random.chance(0.5)) this.#apply(start, bytes.subarray(start - position, next - position));
      start = next;
    }
  }

  #apply(position: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#extend(position + bytes.length);
    bytes.copy(this.#bytes, position);
  }

  #extend(sizeBytes: number): void {
    const old = this.#bytes;
    if (old.length < sizeBytes) this.#disk.logs.set(this.#name, Buffer.concat([old, Buffer.alloc(sizeBytes - old.length)]));
  }
}
