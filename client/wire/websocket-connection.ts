/**
 * A `Connection` over one WebSocket: frames are binary messages, so the stream arrives already cut into frames and
 * any WebSocket tool can look at it.
 *
 * The settings are measured ones. Compression is off (it costs twelve times the throughput). The mask is all zeros,
 * which makes masking free: the random mask that RFC 6455 asks of clients protects the caches of HTTP proxies
 * against browsers, and neither is here. The largest frame is bounded, so a peer can't make us allocate without end.
 *
 * After `close` or `abort` the owner hears nothing but `onClose`: a frame that was already on its way is dropped, so
 * nobody has to handle messages of a connection that it gave up.
 */
import { WebSocket } from 'ws';
import type { Connection } from './environment.ts';
import { limits } from './limits.ts';

/** How long a peer may take to answer a dial or a close before the connection is cut. */
export const handshakeTimeoutMs = 5_000;

/** Settings that both ends of a WebSocket share. */
export const socketOptions = { perMessageDeflate: false, maxPayload: limits.frameBytesMax, closeTimeout: handshakeTimeoutMs } as const;

/** RFC 6455's close codes, those used here. */
const closeCodes = { normal: 1_000, unsupportedData: 1_003 } as const;
/** A close frame's reason is at most this long (RFC 6455, 5.5). */
const closeReasonBytesMax = 123;

type State = 'connecting' | 'open' | 'closing' | 'closed';

export class WebSocketConnection implements Connection {
  onOpen: () => void = nothing;
  onFrame: (frame: Uint8Array) => void = nothing;
  onClose: (reason: string) => void = nothing;

  readonly #socket: WebSocket;
  #state: State = 'connecting';
  /** Why it ends; the first cause counts. */
  #reason: string | null = null;
  /** Frames sent before the connection was open. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #dialTimer: NodeJS.Timeout | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('error', (error) => {
      this.#reason ??= describe(error);
    });
    socket.on('close', (code, text) => this.#closed(code, text));
  }

  /** Throws a SyntaxError if it is no WebSocket address. */
  static dial(url: string, timeoutMs = handshakeTimeoutMs): WebSocketConnection {
    const connection = new WebSocketConnection(new WebSocket(url, { ...socketOptions, generateMask: zeroMask }));
    connection.#socket.on('open', () => connection.#opened());
    connection.#dialTimer = setTimeout(() => connection.abort(`no answer from ${url} within ${timeoutMs} ms`), timeoutMs);
    return connection;
  }

  /** Takes over a socket that a server accepted and that is open already. */
  static accepted(socket: WebSocket): WebSocketConnection {
    const connection = new WebSocketConnection(socket);
    setImmediate(() => connection.#opened());
    return connection;
  }

  send(frame: Uint8Array): void {
    if (this.#state === 'open') this.#socket.send(frame);
    else if (this.#state === 'connecting') {
      this.#early.push(frame);
      this.#earlyBytes += frame.byteLength;
    }
  }

  get bufferedBytes(): number {
    return this.#state === 'closed' ? 0 : this.#earlyBytes + this.#socket.bufferedAmount;
  }

  close(reason: string): void {
    if (this.#state === 'connecting') return this.abort(reason);
    if (this.#state === 'open') this.#leave(reason, closeCodes.normal);
  }

  abort(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    this.#reason ??= reason;
    this.#dropEarly();
    this.#socket.terminate();
  }

  #opened(): void {
    if (this.#state !== 'connecting') return;
    clearTimeout(this.#dialTimer);
    this.#state = 'open';
    const early = this.#early;
    this.#dropEarly();
    for (const frame of early) this.#socket.send(frame);
    this.onOpen();
  }

  #received(data: unknown, isBinary: boolean): void {
    // An accepted socket's first frame can overtake the turn in which it is declared open.
    if (this.#state === 'connecting') this.#opened();
    if (this.#state !== 'open') return;
    if (isBinary && data instanceof Uint8Array) this.onFrame(data);
    else this.#leave('the peer sent text; frames are binary', closeCodes.unsupportedData);
  }

  #leave(reason: string, code: number): void {
    this.#state = 'closing';
    this.#reason ??= reason;
    this.#socket.close(code, Buffer.from(reason).subarray(0, closeReasonBytesMax));
  }

  #closed(code: number, text: Buffer): void {
    if (this.#state === 'closed') return;
    clearTimeout(this.#dialTimer);
    this.#state = 'closed';
    this.#dropEarly();
    this.onClose(this.#reason ?? (text.length > 0 ? `closed by the peer: ${text.toString()}` : `closed by the peer (code ${code})`));
  }

  #dropEarly(): void {
    this.#early = [];
    this.#earlyBytes = 0;
  }
}

/** Fills nothing: the mask stays the zeros that the library hands in. */
function zeroMask(): void {}

function nothing(): void {}

/** An error's message; a name that resolves to several addresses gives an AggregateError, which has none of its own. */
function describe(error: Error): string {
  if (error.message !== '') return error.message;
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return first instanceof Error ? first.message : String(error);
}
