/** How a command ends, for scripts to trust: the numbers never change their meaning. */
import type { ErrorCode } from '../index.ts';

export const exitCodes = {
  done: 0,
  /** `get`: a key is absent. `status`, `verify`, `checkpoint --list`: a node does not answer. `explain`: nothing is known of it. */
  absent: 1,
  /** Certainly without effect, and it may succeed when tried again: a conflict, a deadline, an overload. */
  aborted: 2,
  /** Certainly without effect: no node, or too few of them, could be reached. */
  unreachable: 3,
  /** It may have taken effect or not: read before you repeat it. */
  unknown: 4,
  /** The nodes there are not those meant, or speak another version; `resolve`: the transaction is not as the operator thinks; `checkpoint`: the name is taken, or not known. */
  refused: 5,
  /** `verify`: replicas have diverged. */
  diverged: 6,
  /** The command line is wrong. */
  usage: 64,
  /** A key, a value or the configuration is wrong. */
  input: 65,
  /** A fault of this program. */
  internal: 70,
} as const;
export type Ending = keyof typeof exitCodes;

const endings: Record<ErrorCode, Ending> = {
  'conflict': 'aborted',
  'bound-crossed': 'aborted',
  'deadline-exceeded': 'aborted',
  'cancelled': 'aborted',
  'overloaded': 'aborted',
  'wrong-view': 'aborted',
  'number-void': 'aborted',
  'outcome-unknown': 'unknown',
  'unreachable': 'unreachable',
  'unavailable': 'unreachable',
  'not-ready': 'unreachable',
  'closed': 'internal',
  'not-blocked': 'refused',
  'point-exists': 'refused',
  'point-unknown': 'refused',
  'disk-full': 'aborted',
  'disk-failed': 'aborted',
  'bad-message': 'refused',
  'wrong-version': 'refused',
  'wrong-cluster': 'refused',
  'wrong-node': 'refused',
  'stale-incarnation': 'refused',
  'key-unsupported': 'input',
  'key-too-large': 'input',
  'value-unsupported': 'input',
  'value-too-large': 'input',
  'operand-unsupported': 'input',
  'transaction-too-large': 'input',
  'invalid-argument': 'input',
  'unknown-protocol': 'input',
};

export function endingOf(code: ErrorCode): Ending {
  return endings[code];
}

/** What the person or script at the command line gave is wrong, before anything was sent. */
export class InputError extends Error {
  readonly ending: Ending;

  constructor(message: string, ending: Ending = 'input') {
    super(message);
    this.ending = ending;
  }
}

export const exitCodesHelp = `
Exit codes:
  0   done
  1   get: a key is absent; status, verify, checkpoint --list: a node does not answer; explain: nothing is known
  2   no effect, may be tried again (conflict, deadline, overload, full disk)
  3   no effect, too few nodes could be reached
  4   unknown whether it took effect: read before you repeat it
  5   refused: other nodes than those meant, or another version; resolve: what is known of the transaction speaks against it; checkpoint: the name is taken, or not known
  6   verify: replicas have diverged
  64  wrong command line
  65  wrong key, value or configuration
  70  a fault of this program`;

export const processExitCodesHelp = `
Exit codes:
  0   stopped as asked
  64  wrong command line
  65  wrong configuration
  69  an address can't be had: in use, or not of this machine
  70  a node stopped itself: an invariant is broken or its disk can't be trusted
  73  a data directory is in use, is another node's, or can't be made
  74  a disk fails, or what is on it is damaged`;
