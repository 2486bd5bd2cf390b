/**
 * The one table of error codes. A code exists only if some caller would act differently on it.
 *
 * - `definite`: the operation certainly had no effect. Where it is false, the effect may exist.
 * - `retryable`: the same call may succeed later, unchanged.
 */
export const errorCodes = {
  'conflict': { definite: true, retryable: true, advice: 'Other transactions kept changing the same keys; try again, allow more attempts, or use tx.add for counters.' },
  'bound-crossed': { definite: true, retryable: false, advice: 'The operation would take the value past the bound you gave; nothing was written.' },
  'outcome-unknown': { definite: false, retryable: false, advice: 'No majority answered in time. The transaction may or may not have been committed: read before you repeat it.' },
  'deadline-exceeded': { definite: true, retryable: true, advice: 'Allow more time (timeoutMs), or find out why the cluster is slow (dtp status).' },
  'cancelled': { definite: true, retryable: true, advice: 'The caller’s AbortSignal fired before anything was committed.' },
  'unreachable': { definite: true, retryable: true, advice: 'Check that the nodes run and that their addresses are right (dtp status).' },
  'unavailable': { definite: true, retryable: true, advice: 'A majority of some replica group is not up, or not sure of its copies; start the missing nodes, and wait until dtp status shows none in doubt.' },
  'overloaded': { definite: true, retryable: true, advice: 'A bounded queue is full; slow down and try again.' },
  'wrong-view': { definite: true, retryable: true, advice: 'The cluster’s membership changed; the client fetches the new view and tries again by itself.' },
  'number-void': { definite: true, retryable: true, advice: 'The transaction number was not granted to this session, or was taken back; the client draws a new one by itself.' },
  'not-ready': { definite: true, retryable: true, advice: 'The node is starting or stopping; use another one.' },
  'closed': { definite: true, retryable: false, advice: 'This database handle was closed; connect again.' },
  'key-unsupported': { definite: true, retryable: false, advice: 'A key is a string or a tuple of string, number, bigint, boolean and bytes.' },
  'key-too-large': { definite: true, retryable: false, advice: 'Use a shorter key, for example a hash of the long part.' },
  'value-unsupported': { definite: true, retryable: false, advice: 'A value is what MessagePack carries: null, undefined, booleans, numbers, bigints, strings, bytes, Date, arrays, plain objects, Map and Set.' },
  'value-too-large': { definite: true, retryable: false, advice: 'Split the value over several keys and write them in one transaction.' },
  'operand-unsupported': { definite: true, retryable: false, advice: 'add, min and max need a number or a bigint, of the same kind as the stored value.' },
  'transaction-too-large': { definite: true, retryable: false, advice: 'Split the work over several transactions.' },
  'invalid-argument': { definite: true, retryable: false, advice: 'Read the message: it names the argument and what is allowed.' },
  'unknown-protocol': { definite: true, retryable: false, advice: 'Name one of the commit protocols that the message lists.' },
  'not-blocked': { definite: true, retryable: false, advice: 'Only a transaction that waits for a coordinator that is away takes an operator’s decision; dtp status lists them.' },
  'point-exists': { definite: true, retryable: false, advice: 'Choose another name, or remove that recovery point first (dtp checkpoint --remove).' },
  'point-unknown': { definite: true, retryable: false, advice: 'dtp checkpoint --list shows which recovery points there are.' },
  'disk-full': { definite: true, retryable: true, advice: 'Make room on the node’s disk, for example by removing recovery points that are not needed any more (dtp checkpoint --remove).' },
  'disk-failed': { definite: true, retryable: true, advice: 'The message says what the node’s disk refused; look at that disk.' },
  'bad-message': { definite: true, retryable: false, advice: 'The peer does not speak this protocol; check what connects to this address.' },
  'wrong-version': { definite: true, retryable: false, advice: 'Client and nodes must speak the same protocol version; upgrade the older one.' },
  'wrong-cluster': { definite: true, retryable: false, advice: 'This address belongs to another cluster; check the configuration.' },
  'wrong-node': { definite: true, retryable: false, advice: 'Another node answers at this address; check the addresses in the configuration.' },
  'stale-incarnation': { definite: true, retryable: false, advice: 'The node’s disk was lost or rolled back, so it has forgotten what it did. It begins a new life by itself, and learns from the others what it lacks.' },
} as const satisfies Record<string, { definite: boolean; retryable: boolean; advice: string }>;

export type ErrorCode = keyof typeof errorCodes;

/** Every error that the client throws on purpose. `code` is stable; the message says what and where. */
export class DtpError extends Error {
  readonly code: ErrorCode;
  /** What is needed to act on the error by program: the key, the limit, the value found. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.details = details;
  }

  /** True if the operation certainly had no effect. */
  get definite(): boolean {
    return errorCodes[this.code].definite;
  }

  /** True if the same call may succeed later, unchanged. */
  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }

  /** What to do about it, in a sentence. */
  get advice(): string {
    return errorCodes[this.code].advice;
  }
}

/** No majority answered before the deadline: the transaction may have been committed or not. Never retried silently. */
export class TransactionOutcomeUnknown extends DtpError {
  constructor(message: string, details: Record<string, unknown> = {}, options?: ErrorOptions) {
    super('outcome-unknown', message, details, options);
  }
}

/** `tx.add` would have taken a value past its `min` or `max`. Nothing of the transaction was written. */
export class BoundCrossed extends DtpError {
  constructor(message: string, details: { key: unknown; value: number | bigint | undefined; bound: 'min' | 'max' }) {
    super('bound-crossed', message, details);
  }
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}
