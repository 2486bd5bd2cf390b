/**
 * A simulated world: hosts with disks and clocks, a network between them, and one thread of virtual time.
 *
 * The same seed and the same calls give the same run, to the last byte: `traceHash` tells two runs apart. The rule for
 * whoever drives it: draw chance from `random` (or a fork of it) alone, act from events (`after`) or between runs, and
 * await nothing but what the simulation resolves.
 */
import { SimClock } from './clock.ts';
import { defaultDisk, SimDisk } from './disk.ts';
import type { DiskOptions } from './disk.ts';
import { defaultNetwork, Network } from './network.ts';
import type { NetworkOptions } from './network.ts';
import { SimProcess } from './process.ts';
import type { Exit } from './process.ts';
import { Random } from './random.ts';
import { SimRuntime } from './runtime.ts';
import { Scheduler } from './scheduler.ts';
import type { RunEnd, RunOptions } from './scheduler.ts';
import { Trace } from './trace.ts';
import type { Printer } from './trace.ts';

export interface WorldOptions {
  readonly seed: string | number;
  readonly network?: Partial<NetworkOptions>;
  readonly disk?: Partial<DiskOptions>;
  /** Bounds the events of the whole simulation: one that exceeds it runs in circles. */
  readonly stepsMax?: number;
  /** Trace entries kept for printing. */
  readonly traceLength?: number;
  /** Makes bytes in the trace readable. */
  readonly print?: Printer;
  /** Whether debug lines of the log go into the trace. */
  readonly verbose?: boolean;
}

export interface HostOptions {
  /** How far its wall clock is from the true time at first. */
  readonly skewMs?: number;
  /** How many microseconds a second its clocks gain at first (lose, below 0). */
  readonly driftPpm?: number;
  /** True for a host whose processes go on in promises, as clients do. */
  readonly usesPromises?: boolean;
}

export class World {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly trace: Trace;
  readonly network: Network;
  /** Called, in an event of its own, when a process has ended. */
  onExit: (host: Host, exit: Exit) => void = () => {};
  readonly #options: WorldOptions;
  readonly #hosts = new Map<string, Host>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.scheduler = new Scheduler(options.stepsMax ?? 100_000_000, () => this.story(200));
    this.random = new Random(String(options.seed));
    this.trace = new Trace(() => this.scheduler.nowMs, options.traceLength ?? 10_000);
    this.network = new Network(this.scheduler, this.random.fork('network'), this.trace, { ...defaultNetwork, ...options.network });
  }

  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  /** Makes a host with an empty disk and a clock. Its name is what addresses use: ws://name:port. */
  addHost(name: string, options: HostOptions = {}): Host {
    if (this.#hosts.has(name)) throw new Error(`there is a host ${name} already`);
    const random = this.random.fork(`host ${name}`);
    const disk = new SimDisk(`${name}/disk`, this.scheduler, random.fork('disk'), this.trace, { ...defaultDisk, ...this.#options.disk });
    const host = new Host(this, name, disk, random, options, this.#options.verbose ?? false);
    this.#hosts.set(name, host);
    return host;
  }

  hasHost(name: string): boolean {
    return this.#hosts.has(name);
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return host;
  }

  hosts(): Host[] {
    return [...this.#hosts.values()];
  }

  /** Has something done in so long, by nobody in particular. */
  after(delayMs: number, action: () => void): void {
    this.scheduler.after(delayMs, null, action);
  }

  /** Lets time pass until a condition holds, a time has come, or nothing is left to happen. Rejects with what an event threw. */
  run(options: RunOptions): Promise<RunEnd> {
    return this.scheduler.run(options);
  }

  runFor(ms: number): Promise<RunEnd> {
    return this.run({ untilMs: this.nowMs + ms });
  }

  /** Lets time pass until the condition holds; throws, with the last of the story, if it doesn't within so long. */
  async until(condition: () => boolean, withinMs = 60_000): Promise<void> {
    const end = await this.run({ until: condition, untilMs: this.nowMs + withinMs });
    if (end !== 'condition' && !condition()) throw new Error(`the condition did not come true within ${withinMs} ms (${end}):\n${this.story(50)}`);
  }

  /** Lets time pass until a promise that the simulation resolves is settled. */
  async settle<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    promise.then(note, note);
    await this.until(() => settled, withinMs);
    return promise;
  }

  /** Two runs with the same hash were the same. */
  traceHash(): string {
    return this.trace.hash();
  }

  /** The last entries of the trace, readable. */
  story(lines?: number): string {
    return this.trace.lines(lines, this.#options.print).join('\n');
  }
}

/** A machine: its disk and its clock outlive its processes, of which it runs one at a time. */
export class Host {
  readonly name: string;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  readonly #world: World;
  readonly #random: Random;
  readonly #usesPromises: boolean;
  readonly #verbose: boolean;
  #process: SimProcess | null = null;
  #generation = 0;

  constructor(world: World, name: string, disk: SimDisk, random: Random, { skewMs = 0, driftPpm = 0, usesPromises = false }: HostOptions, verbose: boolean) {
    this.name = name;
    this.disk = disk;
    this.clock = new SimClock(() => world.nowMs, random.between(0, 1e6), skewMs, driftPpm);
    this.#world = world;
    this.#random = random;
    this.#usesPromises = usesPromises;
    this.#verbose = verbose;
  }

  /** The process that runs now, or null. */
  get process(): SimProcess | null {
    return this.#process;
  }

  /** Starts a process whose code the caller runs with the runtime returned. */
  boot(): SimRuntime {
    if (this.#process !== null) throw new Error(`${this.name} runs ${this.#process.name} already`);
    const { scheduler, network, trace } = this.#world;
    const process = new SimProcess(scheduler, trace, { host: this.name, generation: ++this.#generation, usesPromises: this.#usesPromises });
    this.#process = process;
    process.onEnd((exit) => {
      this.#process = null;
      network.processEnded(process);
      scheduler.after(0, null, () => this.#world.onExit(this, exit));
    });
    trace.record(process.name, 'started');
    const random = this.#random.fork(`process ${this.#generation}`);
    return new SimRuntime({ process, scheduler, network, clock: this.clock, disk: this.disk.mount(process), random, trace, verbose: this.#verbose });
  }

  /** Starts a process in an event of its own, so that its first lines can crash and be fatal like all others. */
  start(main: (runtime: SimRuntime, host: Host) => void): SimProcess {
    const runtime = this.boot();
    this.#world.scheduler.after(0, runtime.process, () => main(runtime, this));
    return runtime.process;
  }

  /** Kills the process that runs, if one does. */
  crash(reason = 'killed'): void {
    this.#process?.crash(reason);
  }

  /** Holds the process that runs, if one does, for so long. */
  pause(forMs: number): void {
    this.#process?.pause(forMs);
  }
}
