/**
 * Accepts connections at a ws://host:port address, and nowhere else: the address given is the interface bound.
 *
 * A request with an `Origin` header comes from a web page, and pages of any site can reach the ports of the machine
 * that their reader sits at. Nodes have no business with browsers, so such requests are refused.
 */
import type { IncomingMessage } from 'node:http';
import { WebSocketServer } from 'ws';
import { socketOptions, WebSocketConnection } from '../../client/wire/websocket-connection.ts';
import type { Connection } from '../../client/wire/environment.ts';
import type { Listener, Log } from './runtime.ts';

export function listen(url: string, log: Log, onConnection: (connection: Connection) => void, done: (error?: Error) => void): Listener {
  let address: { host: string; port: number };
  try {
    address = parse(url);
  } catch (error) {
    setImmediate(() => done(error instanceof Error ? error : new Error(String(error))));
    return { close() {} };
  }
  const server = new WebSocketServer({ ...address, ...socketOptions, clientTracking: false, verifyClient: isNoBrowser });
  let state: 'opening' | 'open' | 'failed' = 'opening';
  server.on('listening', () => {
    state = 'open';
    done();
  });
  server.on('error', (error) => {
    if (state === 'opening') {
      state = 'failed';
      done(new Error(`cannot listen on ${url}: ${explain(error)}`, { cause: error }));
    } else log.error({ url, error: error.message }, 'listener failed');
  });
  server.on('connection', (socket) => onConnection(WebSocketConnection.accepted(socket)));
  return { close: () => server.close() };
}

/** Throws a TypeError that says what is wrong with the address. */
function parse(url: string): { host: string; port: number } {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol !== 'ws:' || port === '' || pathname !== '/') throw new TypeError(`a node's address is ws://host:port, not ${url}`);
  return { host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname, port: Number(port) };
}

function isNoBrowser({ req }: { req: IncomingMessage }): boolean {
  return req.headers.origin === undefined;
}

const explanations: Record<string, string> = {
  EADDRINUSE: 'another process listens there already',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'the system does not allow it (ports below 1024 need a privilege)',
  ENOTFOUND: 'the host name is unknown',
};

function explain(error: NodeJS.ErrnoException): string {
  return explanations[error.code ?? ''] ?? error.message;
}
