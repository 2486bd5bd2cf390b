/**
 * Servers of others as processes on this machine: programs that are installed, in a temporary directory that goes when they
 * do, on free ports of the loopback interface.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { accessSync, chownSync, closeSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Running } from './target.ts';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;

export interface ServerDefinition {
  readonly id: string;
  readonly port: number;
  readonly program: string;
  readonly args: readonly string[];
  /** Some refuse to be root. */
  readonly unprivileged?: boolean;
}

interface Server extends ServerDefinition {
  child: ChildProcess | null;
  ended: Promise<void>;
}

export class Servers {
  readonly directory: string;
  readonly #servers: Server[] = [];
  readonly #onExit = (): void => this.#endNow();
  #stopping = false;

  constructor(name: string) {
    this.directory = mkdtempSync(path.join(os.tmpdir(), `dtp-bench-${name}-`));
    process.on('exit', this.#onExit);
  }

  /** A directory of one server's own, empty. */
  makeDirectory(id: string, unprivileged = false): string {
    const directory = path.join(this.directory, id);
    mkdirSync(directory, { recursive: true });
    const user = unprivileged ? unprivilegedUser() : null;
    if (user === null) return directory;
    for (const each of [this.directory, directory]) chownSync(each, user.uid, user.gid);
    return directory;
  }

  /** Starts all of them and waits until each accepts connections. Rejects with what a server wrote last if it ends before. */
  async start(definitions: readonly ServerDefinition[]): Promise<void> {
    for (const definition of definitions) this.#servers.push({ ...definition, child: null, ended: Promise.resolve() });
    await Promise.all(definitions.map(({ id }) => this.restart(id)));
  }

  async restart(id: string): Promise<void> {
    const server = this.#find(id);
    const log = openSync(this.#logFile(id), 'a');
    const child = spawn(server.program, [...server.args], { cwd: path.join(this.directory, id), stdio: ['ignore', log, log], detached: true, ...(server.unprivileged === true && unprivilegedUser()) });
    closeSync(log);
    server.child = child;
    server.ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    const hasEnded = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
    for (const untilMs = performance.now() + startTimeoutMs; !(await accepts(server.port)); await delay(20)) {
      if (hasEnded() || performance.now() > untilMs) throw new Error(`${server.program} (${id}) ${hasEnded() ? 'ended' : 'does not accept connections'}:\n${this.#logTail(id)}`);
    }
  }

  async kill(id: string): Promise<void> {
    const server = this.#find(id);
    signal(server.child, 'SIGKILL');
    await server.ended;
  }

  /** What a target lets happen to its members. */
  readonly faults: Pick<Running, 'kill' | 'restart' | 'pause' | 'resume'> = {
    kill: (id) => this.kill(id),
    restart: (id) => this.restart(id),
    pause: (id) => signal(this.#find(id).child, 'SIGSTOP'),
    resume: (id) => signal(this.#find(id).child, 'SIGCONT'),
  };

  get processes(): Record<string, number> {
    return Object.fromEntries(this.#servers.map(({ id, child }) => [id, child?.pid ?? 0]));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { child } of this.#servers) {
      signal(child, 'SIGCONT');
      child?.kill('SIGTERM');
    }
    const all = Promise.all(this.#servers.map(({ ended }) => ended));
    await Promise.race([all, delay(stopTimeoutMs, undefined, { ref: false })]);
    for (const { child } of this.#servers) signal(child, 'SIGKILL');
    await all;
    process.off('exit', this.#onExit);
    this.#remove();
  }

  #endNow(): void {
    if (!this.#stopping) for (const { child } of this.#servers) signal(child, 'SIGKILL');
    this.#remove();
  }

  #remove(): void {
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  #find(id: string): Server {
    return this.#servers.find((server) => server.id === id) as Server;
  }

  #logFile(id: string): string {
    return path.join(this.directory, `${id}.log`);
  }

  #logTail(id: string): string {
    return readFileSync(this.#logFile(id), 'utf8').trimEnd().split('\n').slice(-12).join('\n');
  }
}

/** To all processes of its group: some servers are many. */
function signal(child: ChildProcess | null, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // It has ended by itself.
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const told = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => told(true));
    socket.once('error', () => told(false));
  });
}

/** Who owns nothing; null if this process has no privilege to give up. */
function unprivilegedUser(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const ids = (flag: string): number => Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout);
  return { uid: ids('-u'), gid: ids('-g') };
}

/** Where a program is: in the directories of PATH, then in others. Null if nowhere. */
export function findProgram(name: string, elsewhere: readonly string[] = []): string | null {
  for (const directory of [...(process.env['PATH'] ?? '').split(path.delimiter), ...elsewhere]) {
    const file = path.join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not there.
    }
  }
  return null;
}

/** What a program prints of its version, in a line. */
export function versionOf(program: string, args: readonly string[] = ['--version']): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return (`${stdout}${stderr}`.trim().split('\n')[0] ?? '').trim();
}

/** Runs a program to its end, as the servers are run. Throws with what it wrote if it fails. */
export function runOnce(program: string, args: readonly string[], { cwd, unprivileged = false }: { readonly cwd: string; readonly unprivileged?: boolean }): void {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', ...(unprivileged && unprivilegedUser()) });
  if (status !== 0) throw new Error(`${program} failed:\n${stdout}${stderr}`);
}

/** Tries until it works: a server accepts connections before it serves, and a group must elect a leader. */
export async function untilServes(work: () => Promise<void>): Promise<void> {
  for (const untilMs = performance.now() + startTimeoutMs; ; await delay(100)) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > untilMs) throw error;
    }
  }
}
