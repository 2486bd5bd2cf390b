/**
 * One process per data directory.
 *
 * Two processes on one journal would destroy it, so the second must be refused, and at once; but a node that was
 * killed must find its directory free. Node.js has no flock, and a file that says "locked" outlives its writer. A
 * listening socket doesn't: the kernel closes it with the process, however that ends.
 *
 * On Linux it is a socket in the abstract namespace, whose name is taken atomically and vanishes with its holder. It is
 * named by the directory's device and inode, so that two paths to one directory meet. (Abstract names belong to a
 * network namespace: two containers that share a volume, but no network, don't see each other's lock.)
 * Elsewhere it is a socket file in the system's temporary directory. A killed holder leaves the file but not the
 * listener, so whoever finds one connects to it: refused means stale. (Two processes that find the same stale file in
 * the same few microseconds could both take it; systems with an abstract namespace have no such gap.)
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface DirectoryLock {
  release(): Promise<void>;
}

export class DirectoryLocked extends Error {
  readonly directory: string;

  constructor(directory: string) {
    super(`the data directory ${directory} is in use by another process`);
    this.name = 'DirectoryLocked';
    this.directory = directory;
  }
}

/**
 * Takes the directory, making it if need be. Rejects with `DirectoryLocked` if another process (or this one) has it.
 * The lock does not keep the process alive, and ends with it.
 */
export async function lockDirectory(directory: string, platform: NodeJS.Platform = process.platform): Promise<DirectoryLock> {
  mkdirSync(directory, { recursive: true });
  const { dev, ino } = statSync(directory, { bigint: true });
  const name = `dtp-cluster-${createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32)}`;
  const address = platform === 'linux' ? `\0${name}` : platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);

  const server = await bind(address) ?? (await isStale(address) ? await bindAgain(address) : null);
  if (server === null) throw new DirectoryLocked(directory);
  server.unref();
  return { release: () => new Promise((released) => server.close(() => released())) };
}

/** The listening server, or null if the address is taken. */
function bind(address: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen(address, () => resolve(server));
  });
}

/** True if the address is a socket file that nobody listens on. */
function isStale(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' && !address.startsWith('\0')));
  });
}

function bindAgain(address: string): Promise<Server | null> {
  rmSync(address, { force: true });
  return bind(address);
}
