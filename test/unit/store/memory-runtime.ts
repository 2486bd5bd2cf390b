/**
 * A runtime in memory, driven by hand: `step` runs what is deferred or ends one disk write, `advance` lets virtual time
 * pass. A crash ends a life at any moment, in the middle of a handler too (`crashAfter`): nothing of it is called again,
 * whatever the handler still does to the disk is not done, a log write under way leaves any part of its bytes that the
 * `tear` picks, and batches of the table that were not done are there whole or not at all.
 */
import type { Connection, Timer } from '../../../client/wire/environment.ts';
import type { Disk, Listener, LogFile, Put, Runtime, Table } from '../../../node/runtime/runtime.ts';

export class Fatal extends Error {}

interface Pending {
  readonly complete: () => void;
  readonly tear: (tear: Tear) => void;
}

/** Which bytes of a log write under way a crash leaves on the disk, and whether it leaves a batch of the table. */
export interface Tear {
  keeps(byte: number, bytes: number): boolean;
  readonly keepsBatch: boolean;
}

/** The first part of the log write is on the disk, from nothing (0) to all (1). */
export const prefix = (share: number): Tear => ({ keeps: (byte, bytes) => byte < Math.floor(share * bytes), keepsBatch: share > 0.5 });

/** Any of the sectors are, and no others. */
export const sectors = (mask: number): Tear => ({ keeps: (byte) => ((mask >>> ((byte >>> 9) % 31)) & 1) === 1, keepsBatch: (mask & 1) === 1 });

/** What outlives a crash. */
export class MemoryDisk {
  logs = new Map<string, Buffer>();
  table = new Map<string, Buffer>();
  copies = new Map<string, { readonly table: ReadonlyMap<string, Buffer>; readonly note: string }>();
  /** Rows that whoever passes by meets and who looks for them by their key does not, as in a tree of which a page has changed. */
  hidden = new Set<string>();
}

export class MemoryRuntime implements Runtime {
  readonly store: MemoryDisk;
  readonly disk: Disk;
  readonly log = {
    debug() {},
    info: (details: object, event: string) => void this.lines.push(`info ${event} ${JSON.stringify(details)}`),
    warn: (details: object, event: string) => void this.lines.push(`warn ${event} ${JSON.stringify(details)}`),
    error() {},
  };
  readonly clock = { monotonicMs: () => this.#nowMs, wallMs: () => this.#nowMs };
  /** Sizes of the table's batches, in the order of their completion. */
  readonly batches: number[] = [];
  /** The error that the next writes of log files or table end with. */
  logError: Error | null = null;
  tableError: Error | null = null;
  copyError: NodeJS.ErrnoException | null = null;
  /** What a log write that fails leaves on the disk all the same. */
  logTear = prefix(0);
  /** The error that making, renaming and removing log files ends with; `late`: they have been done, but may not last. */
  directoryError: { readonly error: Error; readonly late: boolean } | null = null;
  /** Writes of log files begin and don't end, until this is false again. */
  hangs = false;
  readonly lines: string[] = [];
  /** What happens when there is nothing else to do: whoever has a store here lets it write what nobody waits for. */
  idle: () => void = () => {};
  #nowMs = 0;
  #random: number;
  #dead = false;
  #effectsLeft = Infinity;
  #tear = prefix(0);
  #deferred: (() => void)[] = [];
  #writes: Pending[] = [];
  #timers: { atMs: number; action: () => void }[] = [];
  #openLogs = new Set<string>();

  constructor(store = new MemoryDisk(), seed = 1) {
    this.store = store;
    this.#random = seed;
    this.disk = this.#makeDisk();
  }

  randomUint32(): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#random;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  defer(action: () => void): void {
    this.#deferred.push(action);
  }

  dial(): Connection {
    throw new Error('no network here');
  }

  listen(): Listener {
    throw new Error('no network here');
  }

  fatal(reason: string, details?: Record<string, unknown>): never {
    this.#dead = true;
    throw new Fatal(`${reason} ${JSON.stringify(details)}`);
  }

  /** Runs what is deferred, then ends the oldest write under way. False if there was nothing to do. */
  step(): boolean {
    if (this.#dead) return false;
    const deferred = this.#deferred.splice(0);
    for (const action of deferred) if (!this.#dead) action();
    const write = deferred.length > 0 || this.hangs ? undefined : this.#writes.shift();
    write?.complete();
    if (deferred.length > 0 || write !== undefined) return true;
    this.idle();
    return this.#deferred.length > 0;
  }

  settle(): void {
    for (let i = 0; this.step(); i++) if (i > 100_000) throw new Error('it never settles');
  }

  /** Lets time pass, with everything settled at every instant at which a timer is due. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      this.settle();
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || this.#dead) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = next.atMs;
      next.action();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass without ending any write: only what timers do of themselves happens. */
  leap(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { action } of due) action();
  }

  /** Is a write under way? */
  get writing(): boolean {
    return this.#writes.length > 0;
  }

  /** Ends this life, leaving so much of the log write under way; gives what the next one finds. */
  crash(share: number): MemoryDisk {
    this.#die(prefix(share));
    return this.store;
  }

  /** Ends this life in place of an effect on the disk after so many more. */
  crashAfter(effects: number, tear: Tear): void {
    this.#effectsLeft = effects;
    this.#tear = tear;
  }

  get dead(): boolean {
    return this.#dead;
  }

  #die(tear: Tear): void {
    if (this.#dead) return;
    this.#dead = true;
    for (const write of this.#writes) write.tear(tear);
  }

  /** May this effect on the disk be had? */
  #effect(): boolean {
    if (this.#effectsLeft-- <= 0) this.#die(this.#tear);
    return !this.#dead;
  }

  #makeDisk(): Disk {
    const { store } = this;
    return {
      logs: () => [...store.logs.keys()].sort(),
      readLog: (name) => Buffer.from(store.logs.get(name) as Buffer),
      openLog: (name, sizeBytes) => this.#openLog(name, sizeBytes),
      renameLog: (from, to) => {
        if (this.#openLogs.has(from) || store.logs.has(to)) throw new Error(`rename ${from} to ${to}`);
        this.#changeDirectory(() => {
          store.logs.set(to, store.logs.get(from) as Buffer);
          store.logs.delete(from);
        });
      },
      removeLog: (name) => {
        if (this.#openLogs.has(name) || !store.logs.has(name)) throw new Error(`remove ${name}`);
        this.#changeDirectory(() => store.logs.delete(name));
      },
      openTable: () => this.#openTable(),
      copies: () => [...store.copies].map(([name, { note }]) => ({ name, note })),
      removeCopy: (name, done) => this.#writes.push({ complete: () => (store.copies.delete(name), done()), tear: () => {} }),
    };
  }

  #changeDirectory(change: () => void): void {
    if (!this.#effect()) return;
    if (this.directoryError === null || this.directoryError.late) change();
    if (this.directoryError !== null) throw this.directoryError.error;
  }

  #openLog(name: string, sizeBytes: number): LogFile {
    if (this.#openLogs.has(name)) throw new Error(`${name} is open`);
    if (!this.store.logs.has(name)) this.#changeDirectory(() => this.store.logs.set(name, Buffer.alloc(sizeBytes)));
    this.#openLogs.add(name);
    let writing = false;
    return {
      write: (position, chunks, done) => {
        if (writing || !this.#openLogs.has(name)) throw new Error(`${name}: a write too many`);
        writing = true;
        if (!this.#effect()) return;
        const bytes = Buffer.concat(chunks);
        const file = this.store.logs.get(name) as Buffer;
        if (position + bytes.length > file.length) throw new Error(`${name}: a write past its end`);
        const keep = (tear: Tear): void => {
          for (let i = 0; i < bytes.length; i++) if (tear.keeps(i, bytes.length)) file[position + i] = bytes[i] as number;
        };
        const error = this.logError;
        const tear = error === null ? prefix(1) : this.logTear;
        this.#writes.push({
          complete: () => {
            writing = false;
            keep(tear);
            if (error === null) done();
            else done(error);
          },
          tear: keep,
        });
      },
      close: () => void this.#openLogs.delete(name),
    };
  }

  #openTable(): Table {
    const { table, hidden } = this.store;
    return {
      get: (key) => {
        const value = hidden.has(key.toString('latin1')) ? undefined : table.get(key.toString('latin1'));
        return value === undefined ? undefined : Buffer.from(value);
      },
      range: (from, to) => {
        const [low, high] = [from.toString('latin1'), to.toString('latin1')];
        return [...table.keys()].filter((key) => key >= low && key < high).sort()
          .map((key) => ({ key: Buffer.from(key, 'latin1'), value: Buffer.from(table.get(key) as Buffer) }));
      },
      write: (puts, done) => {
        if (!this.#effect()) return;
        const error = this.tableError;
        const apply = (): void => {
          for (const put of puts) if (!hidden.has(put[0].toString('latin1'))) applyPut(table, put);
        };
        this.#writes.push({
          complete: () => {
            if (error !== null) return done(error);
            apply();
            this.batches.push(puts.length);
            done();
          },
          tear: (tear) => (tear.keepsBatch ? apply() : undefined),
        });
      },
      copy: (name, note, { begun, done }) => {
        const error = this.copyError;
        const step = (complete: () => void): void => void this.#writes.push({ complete, tear: () => {} });
        // LMDB takes the snapshot in another thread, which may dawdle while batches are written.
        const begin = (dawdle: number): void => {
          if (dawdle > 0) return step(() => begin(dawdle - 1));
          const copy = new Map(table);
          step(() => {
            if (error !== null) return done(error);
            this.store.copies.set(name, { table: copy, note: note(copy.size) });
            done();
          });
          begun();
        };
        step(() => begin(8));
      },
      close: (done) => this.#writes.push({ complete: done, tear: () => {} }),
    };
  }
}

function applyPut(table: Map<string, Buffer>, [key, value]: Put): void {
  if (value === null) table.delete(key.toString('latin1'));
  else table.set(key.toString('latin1'), Buffer.from(value));
}
