/**
 * ZooKeeper's `sync`, without which a read may be old, and which this client's library lacks.
 *
 * It is put into the library's queue, so that it keeps its place among other requests: as one whose answer the library takes
 * without looking into it, and whose type is changed when its bytes are made.
 */
import { createRequire } from 'node:module';
import type { Client, Exception } from 'node-zookeeper-client';

interface Request {
  toBuffer(): Buffer;
}

interface Jute {
  readonly OP_CODES: { readonly SYNC: number; readonly SET_WATCHES: number };
  readonly protocol: {
    readonly RequestHeader: new () => { type: number };
    readonly GetDataRequest: new () => { path: string; watch: boolean };
  };
  readonly Request: new (header: { type: number }, payload: object) => Request;
}

interface Internals {
  readonly connectionManager: { queue(request: Request, callback: (error: Error | Exception | null) => void): void };
}

const { OP_CODES, protocol, Request } = createRequire(import.meta.url)('node-zookeeper-client/lib/jute') as Jute;

/** Behind the length of the whole and the request's number, four bytes each. */
const typeOffset = 8;

/** What is read behind it, on the same connection, is as new as any write that was acknowledged before it was called. */
export function sync(client: Client, path: string): Promise<void> {
  const header = new protocol.RequestHeader();
  header.type = OP_CODES.SET_WATCHES;
  // Begins with the path, which is all that is read of it.
  const payload = new protocol.GetDataRequest();
  payload.path = path;
  payload.watch = false;
  const request = new Request(header, payload);
  const encoded = request.toBuffer.bind(request);
  request.toBuffer = () => {
    const bytes = encoded();
    bytes.writeInt32BE(OP_CODES.SYNC, typeOffset);
    return bytes;
  };
  return new Promise((resolve, reject) => (client as unknown as Internals).connectionManager.queue(request, (error) => (error === null || error === undefined ? resolve() : reject(error instanceof Error ? error : new Error(String(error))))));
}
