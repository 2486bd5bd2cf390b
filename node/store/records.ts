/**
 * What the journal keeps, as positional arrays. A replica's memory of its transactions is the fold of these records:
 * the same function applies one when it is made and when it is replayed after a restart (`txn/ledger.ts`).
 */
import type { Decision } from '../../client/wire/messages.ts';

type Id = [node: string, incarnation: number, number: number];

export const Kind = { prepared: 1, promised: 2, accepted: 3, outcome: 4, marks: 5, floor: 6, closed: 7, settled: 8 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** The replica voted OK at `timestamp` and holds the transaction's locks. */
export type Prepared = [kind: typeof Kind.prepared, ...Id, epoch: number, protocol: number, timestamp: number, body: Uint8Array];
/** The replica takes part in no ballot below this one. */
export type PromisedRecord = [kind: typeof Kind.promised, ...Id, round: number, proposer: string];
export type AcceptedRecord = [kind: typeof Kind.accepted, ...Id, round: number, proposer: string, decision: Decision];
/** The transaction is decided. `body` only where no `prepared` record says what to apply; `others` only where neither says that it is a batch. */
export type Outcome = [kind: typeof Kind.outcome, ...Id, decision: Decision, body: Uint8Array | null, others?: number[]];
/** What a coordinator said of its own transactions (see Marks in client/wire/messages.ts). */
export type MarksRecord = [kind: typeof Kind.marks, node: string, incarnation: number, watermark: number, exceptions: number[]];
/** A node was met in this life, or heard of; none of its earlier ones gets a vote. */
export type Floor = [kind: typeof Kind.floor, node: string, storeId: string, incarnation: number, rebornAt?: number, nonce?: number];
/** All transactions of the node's lives before this incarnation are finished everywhere. */
export type Closed = [kind: typeof Kind.closed, node: string, incarnation: number];
/** An operator decided the transaction in place of its coordinator (see Settled in client/wire/messages.ts). */
export type SettledRecord = [kind: typeof Kind.settled, ...Id, decision: Decision, atMs: number, by: string];

export type JournalRecord = Prepared | PromisedRecord | AcceptedRecord | Outcome | MarksRecord | Floor | Closed | SettledRecord;
