/**
 * Clusters of real processes for tests: made in a temporary directory on free ports, killed, paused and restarted at
 * will, and gone with all their files when the test file ends, whatever happened in it.
 *
 * Nodes and the command line run as compiled (`npm run build`); tests only talk to them.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from '../../client/index.ts';
import { afterAll, afterEach } from 'vitest';
import { describeEnding, spawnNode } from '../../client/cli/node-process.ts';
import type { Ended, NodeProcess } from '../../client/cli/node-process.ts';

const compiled = (file: string): string => fileURLToPath(new URL(`../../dist/${file}`, import.meta.url));
const nodeProgram = compiled('node/main.js');
const cliProgram = compiled('client/cli/main.js');

/** A node on a busy machine starts in a second or two; more means that it does not. */
const startTimeoutMs = 30_000;
/** Kept of each node's output; the rest is of no use in a failure's report. */
const linesMax = 5_000;

export interface ClusterOptions {
  /** How many; named n1, n2, ... */
  readonly nodes?: number;
  /** Further content of the configuration file, over what the harness writes. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Waits until the condition holds. Throws with `what` if it doesn't in time. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > untilMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

/** Waits until the client reaches every node, every node every other, and the cluster is founded: until then a write may do without some replica, and who is killed is missed. */
export function untilWhole(db: Database): Promise<void> {
  return eventually('everybody is connected with everybody, and nobody in doubt', async () => {
    const nodes = await db.status({ timeoutMs: 1_000 });
    return nodes.every((node) => node.reachable && node['doubtful'] === null && (node['peers'] as { up: boolean }[]).every(({ up }) => up));
  });
}

/** Ports below those that systems give to outgoing connections, so that none of those takes one meanwhile. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
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

export class TestNode {
  readonly id: string;
  readonly url: string;
  /** Of all its lives, the latest last. */
  readonly lines: string[] = [];
  readonly #config: string;
  #process: NodeProcess | undefined;

  constructor(id: string, url: string, config: string) {
    this.id = id;
    this.url = url;
    this.#config = config;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  get pid(): number | undefined {
    return this.#process?.child.pid;
  }

  /** Starts the process without waiting for it. Resolves when it has ended. */
  launch(): Promise<Ended> {
    if (this.#process !== undefined) throw new Error(`${this.id} is running already`);
    const started = spawnNode({ id: this.id, config: this.#config, program: nodeProgram }, (_stream, line) => this.#keep(line));
    this.#process = started;
    live.add(started.child);
    return started.ended.then((ended) => {
      live.delete(started.child);
      this.#keep(`[${describeEnding(ended)}]`);
      this.#process = undefined;
      return ended;
    });
  }

  /** Starts the process and waits until the node serves. */
  async start(): Promise<void> {
    const ended = this.launch();
    const started = this.#process as NodeProcess;
    const failed = ended.then((ending) => Promise.reject(new Error(`${this.id} did not start: ${describeEnding(ending)}\n${this.tail()}`)));
    await within(startTimeoutMs, `${this.id} to serve`, Promise.race([started.ready, failed]));
    failed.catch(() => {});
  }

  /** SIGKILL: what a crash of the process is. */
  kill(): Promise<Ended | undefined> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM: what an operator does. */
  stop(): Promise<Ended | undefined> {
    return this.#end('SIGTERM');
  }

  /** SIGSTOP: what a long pause of the machine looks like from outside. */
  pause(): void {
    this.#process?.child.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.child.kill('SIGCONT');
  }

  tail(lines = 30): string {
    return this.lines.slice(-lines).map((line) => `${this.id} │ ${line}`).join('\n');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<Ended | undefined> {
    const running = this.#process;
    if (running === undefined) return undefined;
    running.child.kill(signal);
    return within(startTimeoutMs, `${this.id} to end`, running.ended);
  }

  #keep(line: string): void {
    this.lines.push(line);
    if (this.lines.length > linesMax) this.lines.splice(0, linesMax / 2);
  }
}

export class TestCluster {
  readonly directory: string;
  readonly configFile: string;
  readonly dataDirectory: string;
  readonly nodes: readonly TestNode[];

  constructor(directory: string, urls: readonly string[], config: Readonly<Record<string, unknown>>) {
    this.directory = directory;
    this.configFile = path.join(directory, 'cluster.config.json');
    this.dataDirectory = path.join(directory, 'data');
    this.nodes = urls.map((url, index) => new TestNode(`n${index + 1}`, url, this.configFile));
    this.writeConfig(config);
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  node(id: string): TestNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`there is no ${id}`);
    return found;
  }

  /** Writes the configuration anew, with these changes to what the harness makes. */
  writeConfig(changes: Readonly<Record<string, unknown>> = {}): void {
    const content = { cluster: 'test', replicationFactor: Math.min(3, this.nodes.length), nodes: this.nodes.map(({ id, url }) => ({ id, url })), ...changes };
    writeFileSync(this.configFile, JSON.stringify(content, null, 2));
  }

  /** Starts all nodes that don't run. */
  async start(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => !node.isRunning).map((node) => node.start()));
  }

  /** Stops all nodes; kills those that don't within their time. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => {
      node.resume();
      return node.stop().catch(() => node.kill());
    }));
  }

  /** Runs the command line in the directory of the configuration. */
  dtp(...words: string[]): Promise<Finished> {
    return runDtp(words, this.directory);
  }
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `dtp` that has been started. */
export class Dtp {
  readonly child: ChildProcess;
  readonly ended: Promise<Finished>;
  stdout = '';
  stderr = '';

  constructor(words: readonly string[], cwd: string) {
    const child = spawn(process.execPath, [cliProgram, ...words], { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
    this.child = child;
    live.add(child);
    child.stdout.setEncoding('utf8').on('data', (text: string) => void (this.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => void (this.stderr += text));
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        live.delete(child);
        resolve({ code, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }
}

/** Runs `dtp` to its end; kills it if it takes longer than a minute. */
export function runDtp(words: readonly string[], cwd: string): Promise<Finished> {
  const dtp = new Dtp(words, cwd);
  return within(60_000, `dtp ${words.join(' ')} to end`, dtp.ended).catch((error: unknown) => {
    dtp.child.kill('SIGKILL');
    throw error;
  });
}

function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Processes that a dying test process must not leave behind; a paused one would notice nothing. */
const live = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of live) child.kill('SIGKILL');
});

/**
 * Call it at the top of a test file: gives the maker of its clusters, and cleans up behind them. When a test fails, the
 * last lines of all nodes are shown.
 */
export function useClusters(): (options?: ClusterOptions) => Promise<TestCluster> {
  if (!existsSync(nodeProgram)) throw new Error(`${path.relative('', nodeProgram)} is missing: npm run build`);
  const clusters: TestCluster[] = [];
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') for (const cluster of clusters) for (const node of cluster.nodes) if (node.lines.length > 0) console.error(node.tail());
  });
  afterAll(async () => {
    await Promise.allSettled(clusters.map((cluster) => cluster.stop()));
    for (const child of live) child.kill('SIGKILL');
    for (const cluster of clusters) rmSync(cluster.directory, { recursive: true, force: true, maxRetries: 5 });
  });
  return async ({ nodes = 3, config = {} } = {}) => {
    const ports = await freePorts(nodes);
    const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-cluster-test-'));
    const cluster = new TestCluster(directory, ports.map((port) => `ws://127.0.0.1:${port}`), config);
    clusters.push(cluster);
    return cluster;
  };
}
