/**
 * The simulated network: hosts by name, listeners by address, and between any two hosts a link in each direction.
 *
 * What it keeps is the transport contract of the design (frames in order, each at most once; when a connection breaks
 * any suffix is lost, and nothing is delivered after its end). What it doesn't keep is anything else: latencies vary,
 * links clog, narrow or part, in one direction or both, ends vanish without the other hearing of it.
 */
import type { Connection } from '../../client/wire/environment.ts';
import type { Listener } from '../../node/runtime/runtime.ts';
import { SimConnection } from './connection.ts';
import { Link } from './link.ts';
import type { LinkOptions } from './link.ts';
import type { SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

export interface NetworkOptions extends LinkOptions {
  /** What fits into a receiver's buffer before its process takes it. */
  readonly windowBytes: number;
  /** How often the end of one side stays unknown to the other, 0 to 1. */
  readonly halfOpenChance: number;
}

/** A local network on a good day. */
export const defaultNetwork: NetworkOptions = {
  latency: { baseMs: 0.1, jitterMs: 0.2, tailChance: 0.001, tailMs: 5 },
  bytesPerMs: Infinity,
  turnMs: 0.05,
  windowBytes: 1_024 * 1_024,
  halfOpenChance: 0,
};

/** No host has this name. */
const anybody = '';

/** Something wrong that lasts until it is healed. */
export interface Fault {
  heal(): void;
}

interface Partition {
  readonly from: ReadonlySet<string>;
  readonly to: ReadonlySet<string>;
  readonly bothWays: boolean;
}

interface Registration {
  readonly process: SimProcess;
  readonly onConnection: (connection: Connection) => void;
}

export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #options: NetworkOptions;
  readonly #links = new Map<string, Link>();
  readonly #listeners = new Map<string, Registration>();
  readonly #connections = new Set<SimConnection>();
  readonly #partitions = new Set<Partition>();
  readonly #refusals = new Set<readonly [from: string, by: string]>();
  #halfOpenChance: number;
  /** Sees each frame just before a process sends it, or handles it; what it does to the process counts at once. */
  onFrame: ((direction: 'send' | 'receive', host: string, remoteHost: string, frame: Uint8Array) => void) | null = null;
  /** Sees each frame that has left a process, whether it will arrive or not. */
  onSent: ((host: string, remoteHost: string, frame: Uint8Array) => void) | null = null;
  /** Sees each frame that a process is handling from now on. */
  onReceived: ((host: string, remoteHost: string, frame: Uint8Array) => void) | null = null;

  constructor(scheduler: Scheduler, random: Random, trace: Trace, options: NetworkOptions) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#trace = trace;
    this.#options = options;
    this.#halfOpenChance = options.halfOpenChance;
  }

  /* What a process can do */

  listen(process: SimProcess, url: string, onConnection: (connection: Connection) => void, done: (error?: Error) => void): Listener {
    const answer = (error?: Error): void => void this.#scheduler.after(0, process, () => (error === undefined ? done() : done(error)));
    const address = parse(url);
    const registration = { process, onConnection };
    if (address === null || address.hostname !== process.host) answer(new Error(`cannot listen on ${url}: ${process.host} has no such address`));
    else if (this.#listeners.has(address.host)) answer(new Error(`cannot listen on ${url}: another process listens there already`));
    else if (process.effect()) {
      this.#listeners.set(address.host, registration);
      answer();
    }
    const close = (): void => {
      if (address !== null && this.#listeners.get(address.host) === registration) this.#listeners.delete(address.host);
    };
    process.onEnd(close);
    return { close };
  }

  dial(process: SimProcess, url: string): Connection {
    const address = parse(url);
    const connection = this.#connection(process, address?.hostname ?? 'nowhere');
    if (!process.effect()) this.#connections.delete(connection);
    else if (address === null) this.#scheduler.after(0, process, () => connection.finish(`${url} is no address`));
    else {
      connection.awaitAnswer();
      this.link(process.host, address.hostname).carry(null, () => this.#knock(connection, address.host));
    }
    return connection;
  }

  /** A process has ended: its connections are gone, and their peers hear of it in time, or don't. */
  processEnded(process: SimProcess): void {
    for (const connection of [...this.#connections].filter((candidate) => candidate.process === process)) {
      connection.vanish();
      connection.finish('its process ended');
    }
  }

  /* Faults */

  /** The link from one host to another: its latency and bandwidth can be set at any time. */
  link(from: string, to: string): Link {
    const name = `${from}>${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = new Link(this.#scheduler, this.#random.fork(`link ${name}`), from, to, this.#options);
      this.#links.set(name, link);
      link.blocked = this.#parts(link);
    }
    return link;
  }

  /** Nothing gets from one set of hosts to the other; back neither, unless it is one-way. */
  partition(from: Iterable<string>, to: Iterable<string>, direction: 'both' | 'one-way' = 'both'): Fault {
    const partition = { from: new Set(from), to: new Set(to), bothWays: direction === 'both' };
    this.#trace.record('network', 'partition', `${[...partition.from].join(',')} ${partition.bothWays ? '<->' : '->'} ${[...partition.to].join(',')}`);
    this.#partitions.add(partition);
    this.#reconsider();
    return {
      heal: () => {
        if (!this.#partitions.delete(partition)) return;
        this.#trace.record('network', 'healed', `${[...partition.from].join(',')} | ${[...partition.to].join(',')}`);
        this.#reconsider();
      },
    };
  }

  /** Nothing gets from one host to another for so long. */
  clog(from: string, to: string, forMs: number): void {
    const { heal } = this.partition([from], [to], 'one-way');
    this.#scheduler.after(forMs, null, heal);
  }

  /** The host turns every new connection away, or those from one host. */
  refuse(host: string, from: string = anybody): Fault {
    const refusal = [from, host] as const;
    this.#refusals.add(refusal);
    return { heal: () => void this.#refusals.delete(refusal) };
  }

  /** Breaks the connections between two hosts, for both ends, at moments of their own: any suffix under way is lost. */
  reset(a: string, b: string): void {
    for (const connection of this.#between(a, b)) {
      this.link(connection.remoteHost, connection.process.host).carry(connection.process, () => connection.finish('the connection was reset'));
    }
  }

  /** Ends the connections between two hosts for the one, while the other goes on sending into the void. */
  halfOpen(ended: string, deceived: string): void {
    for (const connection of this.#between(ended, deceived)) {
      if (connection.process.host === ended) this.#scheduler.after(0, connection.process, () => connection.finish('the connection was lost'));
    }
  }

  /** Breaks the connections between two hosts, for both ends; all that is under way, and all that is sent from now on, is lost. */
  sever(a: string, b: string): void {
    for (const connection of this.#between(a, b)) {
      connection.lose();
      this.#scheduler.after(0, connection.process, () => connection.finish('the connection was lost'));
    }
  }

  /** Sets how often the end of one side stays unknown to the other. */
  set halfOpenChance(chance: number) {
    this.#halfOpenChance = chance;
  }

  /** Connections that their owner has not seen closed. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  #knock(connection: SimConnection, authority: string): void {
    if (connection.state !== 'connecting' || connection.process.condition === 'dead') return;
    const listener = this.#listeners.get(authority);
    const refuses = [...this.#refusals].some(([from, by]) => by === connection.remoteHost && (from === anybody || from === connection.process.host));
    if (listener === undefined || refuses) {
      this.link(connection.remoteHost, connection.process.host).carry(connection.process, () => connection.finish(`connect ECONNREFUSED ${authority}`));
      return;
    }
    this.#scheduler.after(0, listener.process, () => {
      // Either side may have given up while the other's process was paused.
      if (this.#listeners.get(authority) !== listener) return this.#knock(connection, authority);
      if (connection.state !== 'connecting' || connection.process.condition === 'dead') return;
      const accepted = this.#connection(listener.process, connection.process.host);
      connection.join(accepted);
      accepted.join(connection);
      listener.onConnection(accepted);
      accepted.welcome();
    });
  }

  #connection(process: SimProcess, remoteHost: string): SimConnection {
    const connection = new SimConnection(this.#scheduler, this.#trace, {
      process,
      remoteHost,
      name: `${process.name}>${remoteHost}`,
      link: this.link(process.host, remoteHost),
      back: this.link(remoteHost, process.host),
      windowBytes: this.#options.windowBytes,
      onClosed: (closed) => this.#connections.delete(closed),
      onFrame: (direction, frame) => this.onFrame?.(direction, process.host, remoteHost, frame),
      onSent: (frame) => this.onSent?.(process.host, remoteHost, frame),
      onReceived: (frame) => this.onReceived?.(process.host, remoteHost, frame),
      newsIsLost: () => this.#halfOpenChance > 0 && this.#random.chance(this.#halfOpenChance),
    });
    this.#connections.add(connection);
    return connection;
  }

  #between(a: string, b: string): SimConnection[] {
    return [...this.#connections].filter(({ process: { host }, remoteHost }) => (host === a && remoteHost === b) || (host === b && remoteHost === a));
  }

  #reconsider(): void {
    for (const link of this.#links.values()) {
      const blocked = this.#parts(link);
      if (blocked !== link.blocked) link.blocked = blocked;
    }
  }

  #parts({ from, to }: Link): boolean {
    for (const partition of this.#partitions) {
      if (partition.from.has(from) && partition.to.has(to)) return true;
      if (partition.bothWays && partition.to.has(from) && partition.from.has(to)) return true;
    }
    return false;
  }
}

function parse(url: string): URL | null {
  if (!URL.canParse(url)) return null;
  const parsed = new URL(url);
  return parsed.protocol === 'ws:' && parsed.port !== '' ? parsed : null;
}
