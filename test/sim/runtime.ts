/** The doors of one simulated process: what `Runtime` (and, for a client, `Environment`) is in a simulation. */
import type { Clock, Connection, Timer } from '../../client/wire/environment.ts';
import type { Disk, Listener, Log, Runtime } from '../../node/runtime/runtime.ts';
import type { SimClock } from './clock.ts';
import type { Network } from './network.ts';
import { ProcessEnded } from './process.ts';
import type { SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** A timer is never early, and late by up to this, as a busy event loop's timers are. */
const timerLatenessMs = { least: 0.01, most: 1 };
/** setTimeout's bound, kept here too so that nobody relies on more. */
const timerDelayMsMax = 2 ** 31 - 2;

export interface SimRuntimeOptions {
  readonly process: SimProcess;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly clock: SimClock;
  readonly disk: Disk;
  readonly random: Random;
  readonly trace: Trace;
  /** Whether debug lines are kept. */
  readonly verbose: boolean;
}

export class SimRuntime implements Runtime {
  readonly process: SimProcess;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #localClock: SimClock;
  readonly #random: Random;

  constructor({ process, scheduler, network, clock, disk, random, trace, verbose }: SimRuntimeOptions) {
    this.process = process;
    this.clock = clock;
    this.disk = disk;
    this.#scheduler = scheduler;
    this.#network = network;
    this.#localClock = clock;
    this.#random = random;
    const line = (level: string) => (details: object, event: string): void => {
      if (process.condition !== 'dead') trace.record(process.name, level, `${event} ${readable(details)}`);
    };
    this.log = { debug: verbose ? line('debug') : () => {}, info: line('info'), warn: line('warn'), error: line('error') };
  }

  randomUint32(): number {
    return this.#random.uint32();
  }

  after(delayMs: number, action: () => void): Timer {
    if (!(delayMs <= timerDelayMsMax)) throw new RangeError(`a timer's delay is a number up to ${timerDelayMsMax}, not ${delayMs}`);
    const delay = this.#localClock.virtualDelayMs(Math.max(0, delayMs)) + this.#random.between(timerLatenessMs.least, timerLatenessMs.most);
    const event = this.#scheduler.after(delay, this.process, action);
    return { cancel: () => this.#scheduler.cancel(event) };
  }

  defer(action: () => void): void {
    this.#scheduler.after(0, this.process, action);
  }

  dial(url: string): Connection {
    return this.#network.dial(this.process, url);
  }

  listen(url: string, onConnection: (connection: Connection) => void, done: (error?: Error) => void): Listener {
    return this.#network.listen(this.process, url, onConnection, done);
  }

  fatal(reason: string, details: Record<string, unknown> = {}): never {
    this.process.end({ kind: 'fatal', reason: `${reason} ${readable(details)}`.trimEnd(), details });
    throw new ProcessEnded(this.process);
  }
}

/** Log details on one line. */
function readable(details: object): string {
  return JSON.stringify(details, (_key, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    return value;
  });
}
