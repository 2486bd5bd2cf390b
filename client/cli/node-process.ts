/**
 * A node as a child process: started, heard of when it serves, and stopped within a bounded time.
 *
 * Each node leads a process group of its own, so that Ctrl-C in a terminal reaches only its parent, which then stops
 * the nodes in its own way. It can't outlive the parent either: it stops when the channel between them closes.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from '../index.ts';

/** A node takes a last checkpoint before it ends: a fraction of a second, unless its disk is slow. */
const stopTimeoutMs = 10_000;

const program = fileURLToPath(new URL('../../node/main.js', import.meta.url));

export interface NodeOptions {
  readonly id: string;
  /** The configuration file. */
  readonly config: string;
  readonly dataDirectory?: string | undefined;
  /** Log as JSON even to a terminal. */
  readonly json?: boolean | undefined;
  /** The compiled node/main; the one beside this program unless told. */
  readonly program?: string | undefined;
  /** Instead of serving, put this recovery point in the place of the node's data. */
  readonly restore?: { readonly from: string; readonly acceptLoss: boolean } | undefined;
}

/** How a process ended: by an exit code or by a signal. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface NodeProcess {
  readonly id: string;
  readonly child: ChildProcess;
  /** Resolves when the node serves; never if it ends before. */
  readonly ready: Promise<void>;
  readonly ended: Promise<Ended>;
  /** Asks it to stop, and kills it if it doesn't within ten seconds. */
  stop(): Promise<Ended>;
}

/** Each line that the node writes, without its end. */
export type OnLine = (stream: 'stdout' | 'stderr', line: string) => void;

/** With `onLine` the node's lines go there, else to this process's own output. */
export function spawnNode(options: NodeOptions, onLine?: OnLine): NodeProcess {
  const { id, config, dataDirectory, json = false, restore } = options;
  const output = onLine === undefined ? 'inherit' : 'pipe';
  const stdio: StdioOptions = ['ignore', output, output, 'ipc'];
  const flags = ['--config', config, '--id', id, ...(dataDirectory === undefined ? [] : ['--data-directory', dataDirectory]), ...(json ? ['--json'] : []), ...(restore === undefined ? [] : ['--restore', restore.from, ...(restore.acceptLoss ? ['--accept-loss'] : [])])];
  const child = spawn(process.execPath, [...nodeFlags, options.program ?? program, ...flags], { stdio, detached: true });
  if (onLine !== undefined) {
    for (const stream of ['stdout', 'stderr'] as const) {
      const input = child[stream];
      if (input !== null) createInterface({ input, crlfDelay: Infinity }).on('line', (line) => onLine(stream, line));
    }
  }
  const ready = new Promise<void>((resolve) => {
    child.on('message', (message: { event?: unknown }) => {
      if (message.event === 'ready') resolve();
    });
  });
  const ended = new Promise<Ended>((resolve) => {
    // `close`, not `exit`: its last lines, which say why it ended, have been read then.
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => {
      onLine?.('stderr', `can't be started: ${error.message}`);
      if (child.pid === undefined) resolve({ code: 70, signal: null });
    });
  });
  const stop = async (): Promise<Ended> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    try {
      return await ended;
    } finally {
      clearTimeout(timer);
    }
  };
  return { id, child, ready, ended, stop };
}

/** What is wrong with the configuration, in lines as the node itself says it, or undefined. */
export function faultOfConfig(config: string): { readonly lines: string; readonly code: number } | undefined {
  const { status, stderr, error } = spawnSync(process.execPath, [program, '--config', config, '--check'], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  if (error !== undefined) throw error;
  return status === 0 ? undefined : { lines: stderr.trimEnd(), code: status ?? 70 };
}

/** As shells give it: the code, or 128 and the signal's number. */
export function shellCode({ code, signal }: Ended): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

export function describeEnding({ code, signal }: Ended): string {
  return signal === null ? `exit code ${code}` : `ended by ${signal}`;
}

/** How a process ends that read what was not there: LMDB reads its file as memory, and believes every page of it. */
const faultSignals: ReadonlySet<NodeJS.Signals | null> = new Set<NodeJS.Signals>(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL', 'SIGFPE']);

/** What to do about a node that ended so, before it is started again; null if that is all there is to do. `directory`: where its data is. */
export function adviceAfter({ signal }: Ended, directory: string): string | null {
  if (!faultSignals.has(signal)) return null;
  return `A node that ends by ${signal} has most likely met damage in its data table, and will end so again. Move ${directory} away, and keep it for a post-mortem; then start the node again: it comes back with an empty directory and learns from the others what it lacks.`;
}
