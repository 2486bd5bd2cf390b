/**
 * The real clock, timers, chance and network, for clients and nodes alike.
 *
 * Timers keep the process alive, as sockets do: a program that awaits an operation must not end because the only
 * thing under way is a pause before the next attempt. So whoever starts a timer cancels it when it is closed, and
 * what was closed leaves nothing running.
 */
import { randomFillSync } from 'node:crypto';
import type { Connection, Environment, Timer } from './environment.ts';
import { WebSocketConnection } from './websocket-connection.ts';

/** setTimeout takes a signed 32-bit number and fires at once beyond it; one millisecond is added below. */
export const timerDelayMsMax = 2 ** 31 - 2;

/** Random words drawn from the system at once: a call for each would cost a microsecond. */
const randomPoolWords = 1_024;

export function realEnvironment(): Environment {
  const pool = new Uint32Array(randomPoolWords);
  let taken = randomPoolWords;
  return {
    clock: { monotonicMs: () => performance.now(), wallMs: () => Date.now() },
    randomUint32() {
      if (taken === randomPoolWords) {
        randomFillSync(pool);
        taken = 0;
      }
      return pool[taken++]!;
    },
    after,
    defer: (action) => void setImmediate(action),
    dial,
  };
}

/**
 * Node counts timers in whole milliseconds of a truncated clock, so that one can fire up to a millisecond early by
 * `monotonicMs`. A deadline that is checked by its own timer must have passed then: hence one more.
 */
function after(delayMs: number, action: () => void): Timer {
  if (!(delayMs <= timerDelayMsMax)) throw new RangeError(`a timer's delay is a number up to ${timerDelayMsMax}, not ${delayMs}`);
  const timeout = setTimeout(action, Math.ceil(Math.max(0, delayMs)) + 1);
  return { cancel: () => clearTimeout(timeout) };
}

function dial(url: string): Connection {
  try {
    return WebSocketConnection.dial(url);
  } catch (error) {
    return stillborn(error instanceof Error ? error.message : String(error));
  }
}

/** A connection that could not even be tried: its owner hears of it as of any other failure. */
function stillborn(reason: string): Connection {
  const connection: Connection = {
    onOpen() {},
    onFrame() {},
    onClose() {},
    send() {},
    bufferedBytes: 0,
    close() {},
    abort() {},
  };
  setImmediate(() => connection.onClose(reason));
  return connection;
}
