/**
 * A cluster on this machine for as long as somebody needs one: nodes as processes of their own, on free ports, with
 * their data in a directory that goes when they do.
 *
 * Each node leads a process group of its own, so that Ctrl-C reaches only this process, which then ends the nodes; and
 * each stops by itself when the channel to this process closes, so none is left behind even if this one is killed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from '../client/index.ts';

/** A node serves within a fraction of a second; on a busy machine with a long journal it may take some. */
const readyTimeoutMs = 30_000;
const stopTimeoutMs = 10_000;
/** Below the ports that systems give to outgoing connections: such a one could take the place of a node that is down for a moment. */
const portMin = 10_000;
const portMax = 32_000;

export interface LocalClusterOptions {
  /** How many nodes, named n1, n2, ... By default three. */
  readonly size?: number | undefined;
  /** Sections of cluster.config.json beside the nodes, as `{ timing: { healIntervalMs: 1000 } }`. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** Flags of the node processes' own Node.js, as `--cpu-prof`. */
  readonly nodeFlags?: readonly string[] | undefined;
  /** Leave the directory behind. */
  readonly keepDirectory?: boolean | undefined;
}

const program = fileURLToPath(new URL('../node/main.js', import.meta.url));

/** `up` from when it serves. */
type NodeState = 'starting' | 'up' | 'paused' | 'down';

export interface LocalNode {
  readonly id: string;
  readonly url: string;
  readonly state: NodeState;
  /** Of the present or the last process. */
  readonly pid: number;
}

interface Managed {
  readonly id: string;
  readonly url: string;
  state: NodeState;
  pid: number;
  child: ChildProcess | null;
  ended: Promise<void>;
}

export class LocalCluster {
  /** Holds configuration, data and logs. */
  readonly directory: string;
  keepDirectory: boolean;
  readonly #options: LocalClusterOptions;
  readonly #nodes: Managed[];
  readonly #configFile: string;
  readonly #onExit = (): void => this.#endNow();
  #stopping = false;
  /** Told when a node ends that nobody asked to. */
  onFailure: (failure: Error) => void = () => {};
  /** What a node's process sends besides that it serves. */
  onMessage: (id: string, message: object) => void = () => {};

  /** Resolves when all nodes serve. */
  static async start(options: LocalClusterOptions = {}): Promise<LocalCluster> {
    const ids = Array.from({ length: options.size ?? 3 }, (_, index) => `n${index + 1}`);
    const ports = await freePorts(ids.length);
    const cluster = new LocalCluster(options, ids.map((id, index) => ({ id, url: `ws://127.0.0.1:${ports[index]}` })));
    try {
      await Promise.all(ids.map((id) => cluster.start(id)));
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  private constructor(options: LocalClusterOptions, nodes: readonly { id: string; url: string }[]) {
    this.#options = options;
    this.keepDirectory = options.keepDirectory ?? false;
    this.directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-cluster-'));
    this.#configFile = path.join(this.directory, 'cluster.config.json');
    writeFileSync(this.#configFile, JSON.stringify({ ...options.settings, cluster: 'bench', dataDirectory: 'data', nodes }, null, 2));
    this.#nodes = nodes.map(({ id, url }) => ({ id, url, state: 'down', pid: 0, child: null, ended: Promise.resolve() }));
    process.on('exit', this.#onExit);
  }

  get nodes(): readonly LocalNode[] {
    return this.#nodes;
  }

  get urls(): string[] {
    return this.#nodes.map(({ url }) => url);
  }

  /** Starts a node that is down. Resolves when it serves. */
  async start(id: string): Promise<void> {
    const node = this.#node(id);
    if (node.state !== 'down') throw new Error(`node ${id} is ${node.state}`);
    const log = openSync(this.logFile(id), 'a');
    const child = spawn(process.execPath, [...nodeFlags, ...(this.#options.nodeFlags ?? []), program, '--config', this.#configFile, '--id', id, '--json'], {
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    });
    closeSync(log);
    Object.assign(node, { state: 'starting', child, pid: child.pid ?? 0 });
    node.ended = new Promise((resolve) => {
      child.once('exit', () => {
        node.state = 'down';
        resolve();
      });
      child.once('error', () => resolve());
    });
    const ready = new Promise<void>((resolve) => {
      child.on('message', (message: { event?: unknown }) => {
        if (message.event === 'ready') resolve();
        else this.onMessage(id, message);
      });
    });
    const outcome = await Promise.race([
      ready.then(() => 'ready' as const),
      node.ended.then(() => 'ended' as const),
      after(readyTimeoutMs).then(() => 'late' as const),
    ]);
    if (outcome !== 'ready') throw new Error(`node ${id} ${outcome === 'ended' ? 'ended before it served' : `did not serve within ${readyTimeoutMs} ms`}:\n${this.logTail(id)}`);
    node.state = 'up';
    child.once('exit', (code, signal) => {
      if (!this.#stopping && signal !== 'SIGKILL') this.onFailure(new Error(`node ${id} ended by itself (${signal ?? `exit code ${code}`}):\n${this.logTail(id)}`));
    });
  }

  /** Ends the process at once, as a crash would. Resolves when it is gone. */
  async kill(id: string): Promise<void> {
    const node = this.#node(id);
    node.child?.kill('SIGKILL');
    await node.ended;
  }

  /** Stops the process where it is, as a machine that hangs would. */
  pause(id: string): void {
    const node = this.#node(id);
    node.child?.kill('SIGSTOP');
    node.state = 'paused';
  }

  resume(id: string): void {
    const node = this.#node(id);
    node.child?.kill('SIGCONT');
    node.state = 'up';
  }

  /** Stops all nodes and removes the directory, unless it is to be kept. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const running = this.#nodes.filter(({ state }) => state !== 'down');
    for (const { child } of running) {
      child?.kill('SIGCONT');
      child?.kill('SIGTERM');
    }
    await Promise.race([Promise.all(running.map(({ ended }) => ended)), after(stopTimeoutMs)]);
    for (const { child, state } of this.#nodes) if (state !== 'down') child?.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    process.off('exit', this.#onExit);
    this.#removeDirectory();
  }

  /** Of one node. */
  dataDirectory(id: string): string {
    return path.join(this.directory, 'data', id);
  }

  logFile(id: string): string {
    return path.join(this.directory, `${id}.log`);
  }

  /** The last lines that a node wrote. */
  logTail(id: string, lines = 12): string {
    return readFileSync(this.logFile(id), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  #node(id: string): Managed {
    const node = this.#nodes.find((each) => each.id === id);
    if (node === undefined) throw new Error(`the cluster has no node ${id}`);
    return node;
  }

  /** This process ends and can't wait. */
  #endNow(): void {
    for (const { child } of this.#nodes) child?.kill('SIGKILL');
    this.#removeDirectory();
  }

  #removeDirectory(): void {
    if (this.keepDirectory) return;
    // Again if need be: a process that was just killed may still have been making a file.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

/**
 * Lets signals end this process by its own hand, with what clusters do on exit; by default they end it on the spot. Call it
 * before the first cluster is started.
 */
export function exitOnSignals(): void {
  for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]] as const) process.on(signal, () => process.exit(128 + number));
}

/** Resolves later, without keeping the process alive. */
function after(delayMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, delayMs).unref());
}

/** Of the loopback interface, at the time of the call. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
