/** The simulated cluster as a test sees it: its nodes, its network, and clients of it. */
import type { ConnectOptions, Database, Key } from '../../../client/index.ts';
import { inspect } from '../../../client/inspect.ts';
import { encodeKey } from '../../../client/keys.ts';
import { settingsOf } from '../../../client/options.ts';
import { Router } from '../../../client/routing.ts';
import { Placement } from '../../../client/wire/placement.ts';
import { tagNames } from '../../../client/wire/messages.ts';
import type { Node } from '../../../node/node.ts';
import { urlOf, type SimCluster } from '../cluster.ts';
import { FrameWatch } from '../faults/frame-watch.ts';
import type { Latency } from '../latency.ts';
import type { Random } from '../random.ts';
import { Chaos, chaosLevels, type ChaosLevel } from './chaos.ts';
import type { Driver } from './driver.ts';
import { Calls, TracedDatabase } from './traced-database.ts';

/** Options of `connect` that make sense here, and the client's name among the hosts; by default c2, c3 and so on. */
export interface ClientOptions extends Omit<ConnectOptions, 'nodes' | 'cluster'> {
  name?: string | undefined;
}

/** Which of the messages kills it, and how. */
export interface CrashAtOptions {
  /** The first, by default, or a later one of those messages from now on. */
  nth?: number | undefined;
  /** Kill it before the message is sent or handled, which is the default, or, for one that is sent, right after it has left. */
  when?: 'before' | 'after' | undefined;
}

/** Until somebody restarts it: the simulation never gets there. */
const foreverMs = 1e15;
/** How often a condition of the cluster is looked at while somebody waits for it. */
const lookIntervalMs = 5;

export class TestCluster {
  /** The ids of the nodes: n1, n2 and so on. */
  readonly nodes: readonly string[];
  readonly #sim: SimCluster;
  readonly #driver: Driver;
  readonly #random: Random;
  readonly #placement: Placement;
  readonly #calls = new Map<string, Calls>();
  readonly #heals = new Set<() => void>();
  /** Nodes that the test wants to be down. */
  readonly #down = new Set<string>();
  /** Killed here; the simulation takes note of it an event later. */
  readonly #killed = new Map<string, Node>();
  readonly #injected: Record<string, number> = {};
  readonly #frames: FrameWatch;
  #chaos: Chaos | null = null;
  #chaosCount = 0;

  /** Made by `simulate`. */
  constructor(sim: SimCluster, driver: Driver, random: Random) {
    this.nodes = sim.ids;
    this.#sim = sim;
    this.#driver = driver;
    this.#random = random;
    this.#placement = new Placement(sim.config.view);
    this.#frames = new FrameWatch(sim.world.network);
  }

  /** Names of the clients, in the order in which they were made: c1, whose handle is `db`, first. */
  get clients(): string[] {
    return [...this.#calls.keys()];
  }

  /** One more client, on a machine of its own. Rejects as `connect` of the package does. */
  connect({ name = `c${this.#calls.size + 1}`, ...options }: ClientOptions = {}): Promise<Database> {
    if (this.#sim.world.hasHost(name)) return Promise.reject(new RangeError(`there is a host ${name} already`));
    const settings = settingsOf({ ...options, nodes: this.nodes.map(urlOf) });
    const { world } = this.#sim;
    const calls = new Calls(name, (what, detail) => world.trace.record(name, what, detail));
    this.#calls.set(name, calls);
    return new Promise((resolve, reject) => {
      world.addHost(name, { usesPromises: true }).start((runtime) => {
        Router.open(settings, runtime).then((router) => resolve(new TracedDatabase(router, calls)), reject);
      });
    });
  }

  /** The nodes that keep the key. The first coordinates transactions that write it before any other key, while it lives. */
  replicasOf(key: Key): readonly string[] {
    return this.#placement.coordinatorsOf(this.#placement.partitionOf(encodeKey(key)));
  }

  /** Whether the node runs and serves. */
  isUp(node: string): boolean {
    const running = this.#sim.nodes.get(this.#knownNode(node));
    return running !== undefined && running !== this.#killed.get(node);
  }

  /** Kills the node's process, as SIGKILL or a loss of power does: what its disk had not flushed may be gone. It stays down until it is restarted. */
  crash(node: string): void {
    const running = this.#sim.nodes.get(this.#knownNode(node));
    if (running !== undefined) this.#killed.set(node, running);
    this.#down.add(node);
    this.#sim.crash(node, foreverMs);
  }

  /**
   * The same at the moment when the node is about to send, or to handle, a message: `send decide`, `receive vote`; the names are
   * those of client/wire/PROTOCOL.md. Resolves when it is dead.
   */
  crashAt(node: string, moment: string, { nth = 1, when = 'before' }: CrashAtOptions = {}): Promise<void> {
    const [direction, name, ...more] = moment.split(' ');
    const isMoment = (direction === 'send' || direction === 'receive') && [...tagNames.values()].includes(name as string) && more.length === 0;
    if (!isMoment) throw new RangeError(`crashAt: 'send' or 'receive' and the name of a message expected, not ${inspect(moment)}`);
    if (when === 'after' && direction === 'receive') throw new RangeError(`crashAt: after 'send' only; what a message that is received leads to is a moment of its own`);
    this.#knownNode(node);
    return new Promise((resolve) => {
      const die = (): void => {
        const { process } = this.#sim.world.host(node);
        // What a dead process says in its last handler reaches nobody.
        if (process === null || process.condition === 'dead') return watch(1);
        process.onEnd(() => void this.#driver.begin(() => resolve()));
        if (when === 'before') return this.crash(node);
        this.#down.add(node);
        this.#sim.crashAfter(node, 1, foreverMs);
      };
      const watch = (left: number): void => void this.#frames.once(node, moment, () => (left > 1 ? watch(left - 1) : die()));
      watch(nth);
    });
  }

  /** Starts the node with what is on its disk, killing it first if it runs. Resolves when it serves again; not before, whatever happens to it meanwhile. */
  restart(node: string): Promise<void> {
    this.crash(node);
    this.#down.delete(node);
    return this.#serving([node]);
  }

  /** Stops a node or a client for so long, as SIGSTOP or a long garbage collection does; then it goes on as if nothing had happened. */
  pause(host: string, ms: number): void {
    this.#sim.world.host(this.#known(host)).pause(ms);
  }

  /** Nothing gets from the hosts (nodes or clients) of the one side to those of the other; nor back, unless it is `one-way`. Until `heal`, its own or the cluster's. */
  partition(one: readonly string[], other: readonly string[], direction: 'both' | 'one-way' = 'both'): { heal(): void } {
    const { heal } = this.#sim.world.network.partition(this.#allKnown(one), this.#allKnown(other), direction);
    return this.#lasting(heal);
  }

  /** Each message to and from these hosts takes so long. Until `heal`, its own or the cluster's. */
  slow(hosts: readonly string[], latencyMs: number): { heal(): void } {
    const { network } = this.#sim.world;
    const latency: Latency = { baseMs: latencyMs, jitterMs: 0, tailChance: 0, tailMs: 0 };
    const all = this.#sim.world.hosts().map((host) => host.name);
    const links = this.#allKnown(hosts).flatMap((host) => all.filter((other) => other !== host).flatMap((other) => [network.link(host, other), network.link(other, host)]));
    const before = new Map(links.map((link) => [link, link.latency]));
    for (const link of before.keys()) link.latency = latency;
    return this.#lasting(() => {
      for (const [link, was] of before) link.latency = was;
    });
  }

  /** Ends all partitions and slow links that the test made. */
  heal(): void {
    for (const heal of [...this.#heals]) heal();
  }

  /** Random faults from now on, drawn from the seed; in place of those of another level. */
  chaos(level: ChaosLevel = 'normal'): void {
    if (!chaosLevels.includes(level)) throw new RangeError(`chaos: one of ${chaosLevels.join(', ')} expected, not ${inspect(level)}`);
    this.#endChaos();
    this.#chaos = new Chaos(this.#sim, this.#frames, this.#random.fork(`chaos ${++this.#chaosCount}`), level, () => this.clients, this.#injected);
  }

  /** Ends all faults, random ones and the test's own, and starts every node that is down. Resolves when all nodes serve: for looking at what is left. */
  calm(): Promise<void> {
    this.#endChaos();
    this.heal();
    this.#down.clear();
    return this.#serving(this.nodes);
  }

  /** How often each kind of random fault has happened. */
  get faults(): Readonly<Record<string, number>> {
    return { ...this.#injected };
  }

  /** Calls that clients still wait for, in words. @internal */
  get openCalls(): string[] {
    return [...this.#calls.values()].flatMap((calls) => calls.open);
  }

  #endChaos(): void {
    if (this.#chaos === null) return;
    this.#chaos.end();
    this.#chaos = null;
    for (const node of this.nodes) {
      // Deaths that were set and have not come: not in this life, nor in the next.
      this.#sim.world.host(node).process?.crashAfter(Infinity);
      this.#sim.crashNextStart(node, Infinity, 0);
    }
  }

  #lasting(end: () => void): { heal(): void } {
    const heal = (): void => {
      if (this.#heals.delete(heal)) end();
    };
    this.#heals.add(heal);
    return { heal };
  }

  /** Sees these nodes up, starting them as often as it takes. */
  async #serving(nodes: readonly string[]): Promise<void> {
    while (!nodes.every((node) => this.isUp(node))) {
      for (const node of nodes) if (!this.#down.has(node)) this.#sim.start(node);
      await this.#driver.sleep(lookIntervalMs);
    }
  }

  #known(host: string): string {
    if (this.#sim.world.hasHost(host)) return host;
    throw new RangeError(`there is no host ${inspect(host)}; there are ${[...this.nodes, ...this.clients].join(', ')}`);
  }

  #knownNode(node: string): string {
    if (this.nodes.includes(this.#known(node))) return node;
    throw new RangeError(`there is no node ${inspect(node)}; there are ${this.nodes.join(', ')}`);
  }

  #allKnown(hosts: readonly string[]): string[] {
    return hosts.map((host) => this.#known(host));
  }
}
