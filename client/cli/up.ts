/**
 * `dtp up`: all nodes of the configuration as processes of this machine, until Ctrl-C.
 *
 * It restarts nothing: a node that stopped itself had a reason, which somebody should see.
 */
import path from 'node:path';
import type { Command } from 'commander';
import type { NodeStatus } from '../index.ts';
import { clusterFileDefault, readClusterFile } from './cluster-file.ts';
import type { ClusterFile } from './cluster-file.ts';
import { exitCodes, processExitCodesHelp } from './exit-codes.ts';
import { formatLogLine, isForOperator, LogFile, parseLogLine } from './node-log.ts';
import { adviceAfter, describeEnding, faultOfConfig, shellCode, spawnNode } from './node-process.ts';
import type { Ended, NodeProcess } from './node-process.ts';
import { describeDoubts } from './status-text.ts';
import type { Terminal } from './terminal.ts';
import { untilFounded } from './until-founded.ts';

/** Said when a node takes long: it may be replaying its journal, and silence looks like a fault. */
const patienceMs = 5_000;
/** Ctrl-C comes twice, from the terminal and from npm. A second signal after this time is a person who won't wait. */
const insistenceMs = 1_000;

/** As a node that can't have its data directory ends. */
const directoryExitCode = 73;

interface UpOptions {
  readonly config: string;
  readonly dataDirectory?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function registerUp(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  program
    .command('up')
    .summary('start all nodes of the configuration on this machine')
    .description('Start all nodes of the configuration on this machine, each in a process of its own, and stop them on Ctrl-C. Their logs are in files beside their data; warnings are shown.')
    .option('--config <file>', 'the cluster’s configuration', clusterFileDefault)
    .option('--data-directory <directory>', 'where the nodes keep their data, in place of what the configuration says')
    .option('--verbose', 'show every line of the nodes’ logs')
    .option('--json', 'one JSON object a line for each event')
    .addHelpText('after', processExitCodesHelp)
    .action(async (options: UpOptions) => finish(await up(options, terminal)));
}

async function up(options: UpOptions, terminal: Terminal): Promise<number> {
  const fault = faultOfConfig(options.config);
  if (fault !== undefined) {
    terminal.note(fault.lines);
    return fault.code;
  }
  const file = readClusterFile(options.config);
  return new Cluster({ ...file, dataDirectory: path.resolve(options.dataDirectory ?? file.dataDirectory) }, options, terminal).run();
}

class Cluster {
  readonly #file: ClusterFile;
  readonly #options: UpOptions;
  readonly #terminal: Terminal;
  readonly #running = new Map<string, NodeProcess>();
  readonly #ready = new Set<string>();
  readonly #logs = new Map<string, LogFile>();
  readonly #idWidth: number;
  #state: 'starting' | 'up' | 'stopping' = 'starting';
  /** What the nodes said of themselves last, when all of them served. */
  #answers: readonly NodeStatus[] = [];
  #stoppedAtMs = 0;
  #logsFail = false;
  #code: number = exitCodes.done;

  constructor(file: ClusterFile, options: UpOptions, terminal: Terminal) {
    this.#file = file;
    this.#options = options;
    this.#terminal = terminal;
    this.#idWidth = Math.max(...file.nodes.map(({ id }) => id.length));
  }

  /** Resolves with the exit code when all nodes have ended. */
  async run(): Promise<number> {
    const { nodes, cluster, dataDirectory } = this.#file;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => this.#onSignal());
    // Whoever read our output is gone, as a closed terminal is.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => this.#stop());
    try {
      for (const { id } of nodes) this.#logs.set(id, new LogFile(path.join(dataDirectory, 'logs', `${id}.log`)));
    } catch (error) {
      this.#terminal.note(`the logs of the nodes can’t be written: ${(error as Error).message}. Choose another dataDirectory, or give this user the right to write there.`);
      return directoryExitCode;
    }
    this.#say('starting', { cluster, dataDirectory }, `Starting the ${nodes.length === 1 ? 'node' : `${nodes.length} nodes`} of cluster "${cluster}", data in ${this.#relative(dataDirectory)}`);

    const slow = setTimeout(() => this.#sayWaiting(), patienceMs);
    const ends = nodes.map(({ id, url }) => this.#start(id, url));
    await Promise.all(ends);
    clearTimeout(slow);
    for (const log of this.#logs.values()) log.close();
    this.#say('stopped', { code: this.#code }, this.#code === exitCodes.done ? 'All nodes have stopped.' : `All nodes have stopped; exit code ${this.#code}.`);
    return this.#code;
  }

  /** Resolves when the node has ended. */
  async #start(id: string, url: string): Promise<void> {
    const { config } = this.#options;
    const node = spawnNode({ id, config, dataDirectory: this.#file.dataDirectory, json: true }, (stream, line) => {
      this.#record(id, line);
      this.#show(id, stream, line);
    });
    this.#running.set(id, node);
    void node.ready.then(() => this.#onReady(id, url, node.child.pid));
    const ended = await node.ended;
    this.#running.delete(id);
    this.#onEnded(id, ended);
  }

  #onReady(id: string, url: string, pid: number | undefined): void {
    if (this.#state !== 'starting') return;
    this.#ready.add(id);
    this.#say('ready', { id, url, pid }, `  ${this.#terminal.paint('green', '●')} ${this.#terminal.paint('bold', id.padEnd(this.#idWidth))}  ${url}`);
    if (this.#ready.size === this.#file.nodes.length) void this.#awaitFounding();
  }

  async #awaitFounding(): Promise<void> {
    const { nodes, cluster } = this.#file;
    const isStarting = (): boolean => this.#state === 'starting';
    if (!(await untilFounded(nodes.map(({ url }) => url), cluster, isStarting, (answers) => (this.#answers = answers))) || !isStarting()) return;
    this.#state = 'up';
    this.#say('up', { nodes }, [...this.#answers.flatMap(describeDoubts).map((line) => this.#terminal.paint('yellow', `  ${line}`)), this.#nextSteps()].join('\n'));
  }

  #onEnded(id: string, ended: Ended): void {
    // Stopped as asked; by the signal itself where the program had not been loaded yet.
    if (this.#state === 'stopping' && (ended.code === exitCodes.done || (ended.signal === 'SIGTERM' && !this.#ready.has(id)))) return;
    const ending = describeEnding(ended);
    const { dataDirectory } = this.#options;
    let text: string;
    if (!this.#ready.has(id)) {
      text = `${id} did not start (${ending})${this.#state === 'starting' ? '; stopping the others' : ''}.`;
      // A node that ends without a fault before it serves was stopped by somebody else.
      this.#fail(shellCode(ended) || exitCodes.internal);
      this.#stop();
    } else if (this.#state === 'stopping') {
      text = `${id} did not stop cleanly (${ending}); what it acknowledged is on its disk.`;
      this.#fail(shellCode(ended));
    } else if (this.#running.size === 0) {
      text = `${id}, the last one, is gone (${ending}).`;
      this.#fail(shellCode(ended));
    } else {
      const rest = this.#state === 'up' ? 'The others go on' : 'The cluster takes no transactions before all its nodes have been connected once';
      text = `${id} is gone (${ending}). ${rest}; to start it again: npx dtp node --id ${id}${this.#where()}${dataDirectory === undefined ? '' : ` --data-directory ${dataDirectory}`}`;
    }
    const advice = adviceAfter(ended, path.join(this.#file.dataDirectory, id));
    if (advice !== null) text += `\n  ${advice}`;
    this.#say('exited', { id, code: ended.code, signal: ended.signal }, this.#terminal.paint('yellow', text));
  }

  /** The first fault is the one to tell. */
  #fail(code: number): void {
    if (this.#code === exitCodes.done) this.#code = code;
  }

  #onSignal(): void {
    if (this.#state !== 'stopping') {
      this.#say('stopping', {}, 'Stopping ...');
      this.#stop();
    } else if (performance.now() - this.#stoppedAtMs > insistenceMs) {
      for (const node of this.#running.values()) node.child.kill('SIGKILL');
    }
  }

  #stop(): void {
    if (this.#state === 'stopping') return;
    this.#state = 'stopping';
    this.#stoppedAtMs = performance.now();
    for (const node of this.#running.values()) void node.stop();
  }

  /** A full disk must not end a cluster that would live on. */
  #record(id: string, line: string): void {
    try {
      this.#logs.get(id)?.append(line);
    } catch (error) {
      if (!this.#logsFail) this.#terminal.note(this.#terminal.paint('yellow', `Lines of the nodes’ logs are lost: ${(error as Error).message}`));
      this.#logsFail = true;
    }
  }

  /** A line that a node wrote. */
  #show(id: string, stream: 'stdout' | 'stderr', line: string): void {
    const parsed = stream === 'stdout' ? parseLogLine(line) : undefined;
    // The nodes lose sight of one another while they stop, one by one: nothing to look at.
    if (parsed !== undefined && this.#options.verbose !== true && (!isForOperator(parsed) || (this.#state === 'stopping' && parsed.level === 'warn'))) return;
    if (this.#options.json === true) return this.#terminal.note(line);
    const style = parsed === undefined || parsed.level === 'error' || parsed.level === 'fatal' ? 'red' : parsed.level === 'warn' ? 'yellow' : 'dim';
    this.#terminal.note(`${this.#terminal.paint('dim', `${id.padEnd(this.#idWidth)} │`)} ${this.#terminal.paint(style, parsed === undefined ? line : formatLogLine(parsed))}`);
  }

  #sayWaiting(): void {
    if (this.#state !== 'starting') return;
    const waiting = this.#file.nodes.map(({ id }) => id).filter((id) => !this.#ready.has(id));
    const text = waiting.length > 0 ? `for ${waiting.join(', ')}; after an unclean stop a node reads its journal first` : 'until all nodes are connected with one another: a new cluster takes no transactions before';
    this.#say('waiting', { nodes: waiting }, `  still waiting ${text}`);
  }

  #say(event: string, details: object, text: string): void {
    this.#terminal.out(this.#options.json === true ? JSON.stringify({ event, ...details }) : text);
  }

  #relative(directory: string): string {
    const relative = path.relative('', directory);
    return relative.startsWith('..') ? directory : relative || '.';
  }

  #where(): string {
    const { config } = this.#options;
    return config === clusterFileDefault ? '' : ` --config ${config}`;
  }

  #nextSteps(): string {
    const { paint } = this.#terminal;
    const commands = [`set greeting '"hello"'`, 'get greeting', 'status'].map((command) => `  ${paint('cyan', `npx dtp ${command}${this.#where()}`)}`);
    const logs = path.join(this.#relative(this.#file.dataDirectory), 'logs');
    return ['', 'The cluster is up. Try, in another terminal:', ...commands, '', paint('dim', `Logs are in ${logs}. Ctrl-C stops the cluster.`)].join('\n');
  }
}
