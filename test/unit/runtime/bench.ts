/** A bench on this machine, for the conformance suite and for what only the real runtime has. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from '../../../client/wire/environment.ts';
import { makeLog } from '../../../node/runtime/log.ts';
import { realRuntime } from '../../../node/runtime/real.ts';
import type { Listener, Runtime } from '../../../node/runtime/runtime.ts';
import type { Bench } from './conformance.ts';

/** Every listener and connection made on it is closed at the end, and its directory removed. */
export async function realBench(): Promise<Bench> {
  const directory = temporaryDirectory();
  const listeners: Listener[] = [];
  const connections: Connection[] = [];
  return {
    start(machine): Runtime {
      const runtime = realRuntime({ directory: join(directory.path, machine), log: makeLog({ level: 'silent', node: machine }) });
      return {
        ...runtime,
        dial: (url) => kept(connections, runtime.dial(url)),
        listen: (url, onConnection, done) => kept(listeners, runtime.listen(url, (connection) => onConnection(kept(connections, connection)), done)),
      };
    },
    address: async () => `ws://127.0.0.1:${await freePort()}`,
    until,
    async dispose() {
      for (const listener of listeners) listener.close();
      for (const connection of connections) connection.abort('the test is over');
      directory.remove();
    },
  };
}

export function temporaryDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'dtp-runtime-'));
  return { path, remove: () => rmSync(path, { recursive: true }) };
}

/** Checks the condition once a turn of the event loop, for at most ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('the condition did not come true within ten seconds');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

function kept<T>(list: T[], item: T): T {
  list.push(item);
  return item;
}
