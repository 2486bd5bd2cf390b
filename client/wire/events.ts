/**
 * What a node notes of a transaction for `dtp explain`, as rows of positional fields: what happened, when by the node's own
 * clock, and a few details whose meaning depends on the kind.
 */
import type { Key } from './messages.ts';

export const EventKind = {
  /** A client's commit arrived. `first`: the protocol's number. */
  requested: 1,
  /** It waits for `key`: behind others in line, or for the lock of the transaction named by `text`. */
  queued: 2,
  /** It only reads: a majority is asked whether what it read is current. */
  confirming: 3,
  /** A message (`about`: its tag) to `peer`, or from it; or one that could not be sent, for want of a session. Details by tag, below. */
  sent: 4,
  unsent: 5,
  received: 6,
  /** The record that the message with the tag `about` speaks of is on the disk: a forced write. Details as of that message. */
  forced: 7,
  /** `peer` was lost before it voted: it can't vote any more. */
  lost: 8,
  /** The coordinator decided. `first`: 1 if on the votes alone, 0 after a proposal; `second`: the decision. */
  decided: 9,
  /** The coordinator can't decide it any more. */
  handedOver: 10,
  /** The client has its answer. `about`: its tag; `first`: why it aborted; `second`: the version; `key` in the way; `text`: the error's code. */
  answered: 11,
  /** The outcome (`second`) took effect here: its writes are visible, its locks released. */
  applied: 12,
  /** A recovery began here. `text`: why. */
  recovering: 13,
  /** A recovery waits for `peer`, which is away. */
  blocked: 14,
  /** A recovery ended. `first`: how many ballots it took; `second`: the outcome. */
  recovered: 15,
  /** An operator decided it in place of its coordinator (`second`), by way of this node. `text`: what was wished, 'commit' or 'abort'. */
  settled: 16,
  /** Its client is told that the likes of it had better go to `peer`, where others on the same keys meet. */
  led: 17,
  /** It is committed as part of a batch, in the name of another transaction of the same life. `first`: the number of that. */
  batched: 18,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

/*
 * Of messages:      first           second                              key         text
 *   prepare         protocol        timestamp proposed
 *   vote            vote            detail, as in the message           in the way  its holder
 *   accept          round           decision
 *   accepted        round
 *   recover         round
 *   promise         round           decision accepted before, or -1                 'ok' if it had voted so
 *   rejected        round           round promised                                  to whom
 *   decide                          decision
 *   decided
 *   finished                        outcome, or -1
 */
export type EventRow = [
  node: string, incarnation: number, number: number,
  kind: EventKind, about: number, atMs: number, peer: string | null, first: number, second: number, key: Key | null, text: string | null,
];

/** Fields per event in `explained`. */
export const eventStride = 11;
