/**
 * Whether a ws:// address can be listened on, asked before anything on the disk is touched: a node whose port is
 * taken must leave no trace. Somebody may still take it between the question and the listening, which then fails.
 */
import { createServer } from 'node:net';

/** Rejects with what the system says, its `code` as EADDRINUSE. */
export function probeAddress(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }, () => server.close(() => resolve()));
  });
}
