/** When something failed: whether to try again, where, and after what pause. */
import type { Environment } from './wire/environment.ts';
import { DtpError, isErrorCode, type ErrorCode } from './wire/errors.ts';
import type { Failed } from './wire/messages.ts';

/**
 * What to do about a node's `failed`:
 * - `again`: nothing happened; the same node will do.
 * - `elsewhere`: nothing happened; better ask another node, if there is one.
 * - `refresh`: nothing happened; ask again with the view of now.
 * - `unknown`: something may have happened.
 * - `final`: nothing happened, and the caller is to know.
 */
export type Remedy = 'again' | 'elsewhere' | 'refresh' | 'unknown' | 'final';

const remedies: Partial<Record<ErrorCode, Remedy>> = {
  'overloaded': 'again',
  'number-void': 'again',
  'not-ready': 'elsewhere',
  'unavailable': 'elsewhere',
  'unreachable': 'elsewhere',
  // Nodes are given less time than the caller has.
  'deadline-exceeded': 'elsewhere',
  'wrong-view': 'refresh',
  'outcome-unknown': 'unknown',
};

export function remedyFor([, , code]: Failed): Remedy {
  // A code of a later version says nothing about what happened.
  return isErrorCode(code) ? (remedies[code] ?? 'final') : 'unknown';
}

export function errorOf([, , code, message]: Failed): DtpError {
  return isErrorCode(code) ? new DtpError(code, message) : new DtpError('unavailable', `${code}: ${message}`);
}

/** A commit on loopback takes about a millisecond: less would only meet the same obstacle again. */
const backoffBaseMs = 1;
/** By then it is no collision but an outage; ten questions a second from each caller are enough. */
const backoffMaxMs = 100;

/** Between half and all of a span that doubles with each failure in a row: colliding callers come back at different times. */
export function backoffMs(environment: Environment, failuresInRow: number): number {
  const spanMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(failuresInRow - 1, 10));
  return spanMs * (0.5 + environment.randomUint32() / 2 ** 33);
}
