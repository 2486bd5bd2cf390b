/**
 * What a replica remembers of one transaction, and how that memory may change.
 *
 *   witnessed   no vote of ours: it was met through a recoverer's ballot
 *   prepared    we voted OK, durably, and hold its locks
 *   decided     its outcome is known and applied
 *
 * The table below is used when something happens and when the journal is replayed. A replay may meet a record twice
 * (records that outlive their segment are written again at the journal's head), so meeting again what is already
 * known is legal and changes nothing.
 */
import { UNDECIDED, type Decision, type TxnId } from '../../client/wire/messages.ts';
import { Kind } from '../store/records.ts';
import { noBallot, type Ballot } from './ballot.ts';

export type TxnState = 'witnessed' | 'prepared' | 'decided';

export interface TxnRecord {
  readonly id: TxnId;
  state: TxnState;
  /** The view it was coordinated in, and its commit protocol's number; known with a vote. */
  epoch: number;
  protocol: number;
  /** The timestamp of our OK vote; 0 for none. */
  timestamp: number;
  /** Reads and writes, as the client encoded them; null where we never had them. */
  body: Uint8Array | null;
  /** We take part in no ballot below this one. */
  promised: Ballot;
  accepted: { readonly ballot: Ballot; readonly decision: Decision } | null;
  outcome: Decision;
  /** Of a batch, the numbers of the other transactions that it is: they have no record but this one. */
  others: readonly number[];
  /** The journal segment that holds the oldest of what this record was made of. */
  segment: number;
  /** Monotonic milliseconds at which we first met it. */
  sinceMs: number;
}

type TxnEvent = typeof Kind.prepared | typeof Kind.promised | typeof Kind.accepted | typeof Kind.outcome;

/** From state and event to the next state; `null` where the event adds nothing. */
export const transitions: Readonly<Record<TxnState, Readonly<Record<TxnEvent, TxnState | null>>>> = {
  witnessed: { [Kind.prepared]: 'prepared', [Kind.promised]: 'witnessed', [Kind.accepted]: 'witnessed', [Kind.outcome]: 'decided' },
  prepared: { [Kind.prepared]: null, [Kind.promised]: 'prepared', [Kind.accepted]: 'prepared', [Kind.outcome]: 'decided' },
  decided: { [Kind.prepared]: null, [Kind.promised]: null, [Kind.accepted]: null, [Kind.outcome]: null },
};

export function newRecord(id: TxnId, segment: number, sinceMs: number): TxnRecord {
  return {
    id, state: 'witnessed', epoch: 0, protocol: 0, timestamp: 0, body: null,
    promised: noBallot, accepted: null, outcome: UNDECIDED, others: [], segment, sinceMs,
  };
}
