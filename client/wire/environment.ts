/**
 * The doors to the outside world that the client and the nodes share: time, chance and the network.
 *
 * Nothing else in the client's routing or in a node's logic may look at a clock, draw a random number or open a
 * socket. That is what lets a whole cluster, clients included, run in one thread under virtual time, and lets one
 * number replay any failure. A node's further doors (its disk, its log) are in `node/runtime`.
 */
export interface Environment {
  readonly clock: Clock;

  /** A uniformly distributed integer in [0, 2^32). */
  randomUint32(): number;

  /** Runs `action` once, `delayMs` from now or a little later. */
  after(delayMs: number, action: () => void): Timer;

  /** Runs `action` once at the end of this turn of the event loop, after the input that is already waiting. */
  defer(action: () => void): void;

  /** Opens a connection to a listening node. Failure to connect is reported by `onClose`. */
  dial(url: string): Connection;
}

export interface Clock {
  /** Milliseconds since an arbitrary instant; never goes back; fractions are welcome. For every duration. */
  monotonicMs(): number;
  /** Milliseconds since 1970. May jump either way. A hint for timestamps, never for durations or for safety. */
  wallMs(): number;
}

export interface Timer {
  /** After this the action does not run. Harmless when it already ran. */
  cancel(): void;
}

/**
 * A stream of frames between two processes, in order, each at most once. When it breaks, any suffix of what was
 * sent is lost; nothing is delivered after `onClose`, and nothing but `onClose` after `close` or `abort`.
 *
 * The owner assigns the three callbacks in the same turn in which it obtained the connection.
 */
export interface Connection {
  /** The frames can flow. Called at once (in a later turn) for an accepted connection too. */
  onOpen: () => void;
  onFrame: (frame: Uint8Array) => void;
  /** Called exactly once, whoever closed, also when the connection never opened. */
  onClose: (reason: string) => void;

  /** Queues a frame; the buffer must not be changed afterwards. Ignored once the connection is closing. */
  send(frame: Uint8Array): void;

  /** Bytes queued here that the network has not taken yet. `send` never blocks: whoever sends watches this. */
  readonly bufferedBytes: number;

  /** Closes after what is queued has been sent. `onClose` follows. */
  close(reason: string): void;

  /** Closes at once; what is queued is lost. `onClose` follows. */
  abort(reason: string): void;
}
