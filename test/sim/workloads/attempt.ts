/**
 * One operation of a client, from its call to its outcome, as the history has it.
 *
 * There are three outcomes. What the client was told is *ok*; what it was told has certainly not happened has *failed*, and
 * the checkers hold the database to that; in all other cases, also when the client dies or takes its word back, it is *unknown*.
 */
import { DtpError, type ErrorCode, type TransactionOptions } from '../../../client/index.ts';
import type { MicroOperation, Outcome } from '../checker/history.ts';
import type { Recorder } from '../checker/recorder.ts';
import type { Client } from '../client.ts';

/** Errors that a correct program may see while nodes die; any other one is a failure of the database or of the workload. */
const expectedErrors: ReadonlySet<ErrorCode> = new Set(['conflict', 'outcome-unknown', 'deadline-exceeded', 'cancelled', 'unreachable', 'unavailable', 'overloaded', 'not-ready']);

/** Thrown by the code inside a transaction to leave it: nothing of it may be written then. */
export class Leave {}

export interface Ended<R> {
  readonly outcome: Outcome;
  /** What the operation gave, if it is ok. */
  readonly result?: R;
  readonly error?: DtpError;
}

/** Waits for the end of an operation. `alsoExpected`: errors that it may have besides those that all may have. */
export async function ended<R>(operation: Promise<R>, alsoExpected: readonly ErrorCode[] = []): Promise<Ended<R>> {
  try {
    return { outcome: 'ok', result: await operation };
  } catch (error) {
    if (error instanceof Leave) return { outcome: 'failed' };
    if (!(error instanceof DtpError) || !(expectedErrors.has(error.code) || alsoExpected.includes(error.code))) throw error;
    return { outcome: error.definite ? 'failed' : 'unknown', error };
  }
}

/** What an operation is to its attempt: what it may do, and what it has done when it is ok. */
export interface Step<M extends MicroOperation> {
  /** What it would do, as far as that is known before. */
  readonly planned: readonly M[];
  /** Runs it and gives what it did, with the answers in place. `plan` must be told before the end what it does now, if that isn't what was planned. */
  run(options: TransactionOptions, plan: (operations: readonly M[]) => void): Promise<readonly M[]>;
}

/** Has a client do something, and records it. */
export async function attempt<M extends MicroOperation>(client: Client, recorder: Recorder<M>, { planned, run }: Step<M>): Promise<Outcome> {
  const { options, done } = client.terms();
  const id = recorder.begin(client.process, planned);
  client.tell('begins', `T${id} ${inWords(planned)}`);
  const { outcome, result, error } = await ended(run(options, (operations) => recorder.plan(id, operations)));
  done();
  if (outcome === 'ok') recorder.ok(id, result);
  else if (outcome === 'failed') recorder.fail(id);
  else recorder.unknown(id);
  if (outcome !== 'ok' && !client.hasty) throw new Error(`T${id} ${inWords(planned)} is ${outcome} while there are no faults: ${error?.message}`);
  client.ended(outcome, `T${id} ${result !== undefined ? inWords(result) : error === undefined ? 'has left' : `${error.code}: ${error.message}`}`);
  return outcome;
}

function inWords(operations: readonly MicroOperation[]): string {
  return operations.map(({ type, key, ...rest }) => `${type} ${key} ${JSON.stringify(Object.values(rest)[0] ?? '')}`).join(', ');
}
