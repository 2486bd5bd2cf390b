/**
 * A cluster of production nodes and production clients in a simulated world, with someone who starts what has ended: as a
 * service manager does, after a while.
 */
import { limits } from '../../client/wire/limits.ts';
import { checkConfig, type ClusterConfig } from '../../node/config.ts';
import { Node } from '../../node/node.ts';
import type { Runtime } from '../../node/runtime/runtime.ts';
import { StoreError } from '../../node/store/store.ts';
import type { Outcome } from './checker/history.ts';
import { runClient, type Client, type ClientOptions } from './client.ts';
import { nodeIds } from './plan/shape.ts';
import type { Conditions } from './plan/conditions.ts';
import type { ClusterShape } from './plan/shape.ts';
import type { DiskImage } from './disk.ts';
import type { Exit } from './process.ts';
import type { SimRuntime } from './runtime.ts';
import { listenTo } from './witness.ts';
import type { World } from './world.ts';

/** Makes a node; a test may plant a mistake in it. */
export type MakeNode = (runtime: Runtime, config: ClusterConfig, id: string) => Node;

/** Why a node stops that begins anew on the same disk, at once. */
const reborn = 'its disk has forgotten';
/** With what words a node ends that finds a disk at its start which takes no writes. Later it waits for the disk. */
const startFailure = 'the node could not start';
/** It is tried again this often. */
const retryStartMs = 300;

interface Member {
  /** Milliseconds until it is started again when it has ended. */
  downMs: number;
  /** Its next start is killed after so many effects; null: it isn't. */
  effectsOfNextStart: number | null;
  /** Faults of its disk for which it may not start. */
  diskFaults: number;
  /** It has had such faults since it was started. */
  excused: boolean;
  /** Has its disk changed what was durable, and is it something that the node can't start without? */
  spoilt: 'no' | 'perhaps' | 'surely';
  /** It has been at some time, so that an image of the disk may be. */
  wasSpoilt: boolean;
  readonly start: () => void;
}

export class SimCluster {
  readonly world: World;
  readonly config: ClusterConfig;
  readonly ids: readonly string[];
  /** The running nodes; those that are still starting or have ended are missing. */
  readonly nodes = new Map<string, Node>();
  /** What ended a client's code or a node's that should not have ended. */
  readonly failures: string[] = [];
  /** Nodes that found out that their disk has changed, and were given an empty one, as they had asked for. */
  readonly replaced = new Set<string>();
  /** How the operations of clients ended. */
  readonly outcomes: Record<Outcome, number> = { ok: 0, failed: 0, unknown: 0 };
  /** True once clients shall come to an end. */
  over = false;
  readonly #makeNode: MakeNode;
  readonly #members = new Map<string, Member>();
  readonly #workingClients = new Set<string>();
  /** Passes of their scrubs that don't count, as they began while there were faults. */
  readonly #passesBefore = new Map<Node, number>();
  #processes = 0;
  /** Faults have ended: whatever is down is started at once. */
  #recovering = false;
  #stopping = false;

  constructor(world: World, shape: ClusterShape, { clocks, detours }: Conditions, makeNode: MakeNode = (...parts) => new Node(...parts)) {
    this.world = world;
    this.config = configOf(shape);
    this.ids = nodeIds(shape.nodes);
    this.#makeNode = makeNode;
    world.onExit = (host, exit) => this.#onExit(host.name, exit);
    listenTo(world, this.config.view, this.failures);
    for (const { from, to, extraMs } of detours) {
      const link = world.network.link(from, to);
      link.latency = { ...link.latency, baseMs: link.latency.baseMs + extraMs };
    }
    this.ids.forEach((id, i) => {
      world.addHost(id, clocks[i] ?? {});
      this.#members.set(id, member(() => this.#startNode(id)));
    });
  }

  start(host: string): void {
    if (!this.isRunning(host)) this.#memberAt(host).start();
  }

  isRunning(host: string): boolean {
    return this.world.host(host).process !== null;
  }

  /** Kills what runs there, and starts it again after so long. */
  crash(host: string, downMs: number): void {
    this.#memberAt(host).downMs = downMs;
    this.world.host(host).crash();
  }

  /** The same, in place of the effect that follows so many. */
  crashAfter(host: string, effects: number, downMs: number): void {
    this.#memberAt(host).downMs = downMs;
    this.world.host(host).process?.crashAfter(effects);
  }

  /** The same for the process that is started there next. */
  crashNextStart(host: string, effects: number, downMs: number): void {
    const at = this.#memberAt(host);
    at.downMs = downMs;
    at.effectsOfNextStart = effects;
  }

  /** Until `end`, and for the life that it has then, the node may fail to start because it can't write. */
  excuseFatal(id: string): { end: () => void } {
    const at = this.#memberAt(id);
    at.diskFaults++;
    at.excused = true;
    return { end: () => void at.diskFaults-- };
  }

  /** From now on the node may find that its disk is damaged, or surely does when it is started; then it is given an empty one. */
  spoil(id: string, how: 'perhaps' | 'surely'): void {
    const at = this.#memberAt(id);
    at.wasSpoilt = true;
    if (at.spoilt !== 'surely') at.spoilt = how;
  }

  spoilt(id: string): 'no' | 'perhaps' | 'surely' {
    return this.#memberAt(id).spoilt;
  }

  /** Whoever runs there next finds an empty disk. Nobody may run there now. */
  wipe(id: string): void {
    this.world.host(id).disk.wipe();
    this.#memberAt(id).spoilt = 'no';
  }

  /** Whoever runs there next finds this on the disk. Nobody may run there now. */
  restore(id: string, image: DiskImage): void {
    const at = this.#memberAt(id);
    this.world.host(id).disk.restore(image);
    at.spoilt = at.wasSpoilt ? 'perhaps' : 'no';
  }

  /** From now on nobody is killed, and nobody stays down. */
  recover(): void {
    this.#recovering = true;
    for (const node of this.nodes.values()) this.#passesBefore.set(node, scrubOf(node).passes + 1);
    for (const [host, at] of this.#members) {
      at.effectsOfNextStart = null;
      this.world.host(host).process?.crashAfter(Infinity);
      if (this.#isNeeded(host)) this.start(host);
    }
  }

  /** What a node's scrub has still to do, or has done wrong: all of a disk with damage is to be read once more after the faults, and no other damage is to be found. */
  unscrubbed(id: string, node: Node): string | null {
    const { passes, damagedBranches } = scrubOf(node);
    if (this.spoilt(id) === 'no') return damagedBranches === 0 ? null : `${id} has found damage that there is not`;
    return passes > (this.#passesBefore.get(node) ?? 0) ? null : `${id} has not read all of its disk again`;
  }

  /** Starts a client on a host of its own, which runs `main` and is done. If it is killed, another one takes over. */
  addClient(name: string, options: ClientOptions, main: (client: Client) => Promise<void>): void {
    this.world.addHost(name, { usesPromises: true });
    this.#members.set(name, member(() => this.#startClient(name, options, main)));
    this.start(name);
  }

  /** No client is at work or will be. */
  get clientsDone(): boolean {
    return this.#workingClients.size === 0;
  }

  /** Is this client at work, or will be when it has been started again? */
  isWorking(client: string): boolean {
    return this.#workingClients.has(client);
  }

  /** Asks a node to stop in good order, and starts it again so long after it has. False if it doesn't serve. */
  stopNode(id: string, downMs: number): boolean {
    const node = this.nodes.get(id);
    const { process } = this.world.host(id);
    if (node === undefined || process === null) return false;
    this.#memberAt(id).downMs = downMs;
    this.nodes.delete(id);
    this.world.scheduler.after(0, process, () => node.stop(() => process.end({ kind: 'stopped', reason: 'asked to' })));
    return true;
  }

  /** Asks all nodes to stop, for good. */
  stop(): void {
    this.#stopping = true;
    for (const id of this.ids) this.stopNode(id, 0);
  }

  #startNode(id: string): void {
    const at = this.#memberAt(id);
    at.excused = at.diskFaults > 0;
    const process = this.world.host(id).start((runtime: SimRuntime) => {
      const node = this.#makeNode(runtime, this.config, id);
      node.onLost = () => runtime.process.end({ kind: 'stopped', reason: reborn });
      try {
        node.start((error) => {
          if (error !== undefined) return runtime.fatal('the node could not start', { error });
          this.nodes.set(id, node);
          if (at.spoilt === 'surely') this.failures.push(`rot-unnoticed: ${id} serves, and a record of its journal that was durable has changed`);
        });
      } catch (error) {
        if (error instanceof StoreError) runtime.fatal('the node could not start', { code: error.code, error });
        throw error;
      }
    });
    if (at.effectsOfNextStart !== null) process.crashAfter(at.effectsOfNextStart);
    at.effectsOfNextStart = null;
  }

  #startClient(name: string, options: ClientOptions, main: (client: Client) => Promise<void>): void {
    this.#workingClients.add(name);
    const number = ++this.#processes;
    this.world.host(name).start((runtime) => {
      const done = (): void => {
        if (runtime.process.condition !== 'dead') this.#workingClients.delete(name);
      };
      runClient(this, runtime, number, options, main).then(done, (error: unknown) => {
        done();
        this.failures.push(`client-failed: ${name}: ${error instanceof Error ? error.stack : String(error)}`);
      });
    });
  }

  #onExit(host: string, exit: Exit): void {
    const at = this.#memberAt(host);
    this.nodes.delete(host);
    if (at.spoilt !== 'no' && foundDamage(exit)) {
      this.replaced.add(host);
      this.wipe(host);
    } else if (exit.kind === 'fatal' && !(at.excused && exit.reason.startsWith(startFailure))) this.failures.push(`fatal: ${host} stopped itself: ${exit.reason}`);
    const afterMs = exit.reason === reborn ? 0 : exit.kind === 'fatal' || this.#recovering ? retryStartMs : at.downMs;
    this.world.after(afterMs, () => {
      if (this.#isNeeded(host)) this.start(host);
    });
  }

  /** A client that is done need not come back, nor anybody after the end. */
  #isNeeded(host: string): boolean {
    return !this.#stopping && (this.#workingClients.has(host) || this.ids.includes(host));
  }

  #memberAt(host: string): Member {
    const at = this.#members.get(host);
    if (at === undefined) throw new Error(`nothing is started on ${host}`);
    return at;
  }
}

/** Did the node stop because what it read was not what it had written, and did it say what to do? */
function foundDamage(exit: Exit): boolean {
  return exit.kind === 'fatal' && String(exit.details['code']).startsWith('corrupt-') && exit.reason.includes('Move its data directory away');
}

function scrubOf(node: Node): { passes: number; damagedBranches: number } {
  return node.status['scrub'] as { passes: number; damagedBranches: number };
}

function member(start: () => void): Member {
  return { downMs: 0, effectsOfNextStart: null, diskFaults: 0, excused: false, spoilt: 'no', wasSpoilt: false, start };
}

function configOf({ nodes, replicationFactor, partitions, timing: { outcomeRetentionMs = limits.outcomeRetentionMs, ...timing }, store, healing: { bytesPerSecondMax, ...healing } = {}, sizes }: ClusterShape): ClusterConfig {
  const content = { cluster: 'simulated', partitions, replicationFactor, timing, healing, nodes: nodeIds(nodes).map((id) => ({ id, url: urlOf(id) })) };
  const checked = checkConfig(content);
  if ('faults' in checked) throw new Error(checked.faults.map(({ path, message }) => `${path} ${message}`).join('; '));
  // Less than a configuration may ask for: see shape.ts.
  return {
    ...checked.config, timing: { ...checked.config.timing, outcomeRetentionMs }, store: { ...checked.config.store, ...store },
    healing: { ...checked.config.healing, ...(bytesPerSecondMax !== undefined && { bytesPerSecondMax }) }, ...(sizes !== undefined && { sizes }),
  };
}

export function urlOf(id: string): string {
  return `ws://${id}:7100`;
}
