/**
 * Every maximum of the system in one place, enforced where a thing enters: on the client before it is sent, on the
 * node before it is believed. Raising one is a protocol change: all processes of a cluster must agree.
 */
export const limits = {
  /** An encoded key. LMDB takes 1,978 bytes, of which the store's prefix needs a few. */
  keyBytesMax: 1_024,
  /** An encoded value. Larger things belong into an object store with their address kept here. */
  valueBytesMax: 512 * 1_024,
  /** Distinct keys a transaction reads, writes or operates on. */
  transactionKeysMax: 1_000,
  /** Values in one answer to a read, and to a lost attempt, which hold the first of what was asked for: as many as stay below this, but one at least. */
  answerBytesTarget: 4 * 1_024 * 1_024,
  /** All encoded keys and values of one transaction, as one `prepare` carries them. */
  transactionBytesMax: 4 * 1_024 * 1_024,
  /** One frame. The sender splits a turn's messages over frames of `frameBytesTarget`; one message may exceed that, never this. */
  frameBytesMax: 8 * 1_024 * 1_024,
  frameBytesTarget: 256 * 1_024,
  /** Messages in one frame. */
  frameMessagesMax: 16_384,
  /** Values in one frame, containers and what is in them: each may cost its decoder a hundred bytes. A frame of `frameBytesTarget` can't hold more, and a larger message holds few, large ones. */
  frameValuesMax: 262_144,
  /** The first frame of a session, from a peer of whom nothing is known yet. A welcome carries the view of `membersMax` nodes. */
  greetingBytesMax: 64 * 1_024,
  /** Nesting of arrays in a frame or of containers in a value. Deeper input exhausts the decoder's stack. */
  nestingMax: 64,
  /** Bytes that may wait for one peer. Beyond it requests get `overloaded`, and a peer node is cut off as if it were down. */
  sessionQueueBytesMax: 64 * 1_024 * 1_024,
  /** Requests of one client session that may be under way at once. */
  sessionRequestsMax: 16_384,
  /** Transactions that one coordinator holds at once, running or queued. */
  coordinatorTransactionsMax: 20_000,
  /** Reads from a majority that one node conducts at once. */
  coordinatorReadsMax: 50_000,
  /** How long a caller may ask an operation to be tried. Outcomes are kept for longer than this (see `outcomeRetentionMs`). */
  deadlineMsMax: 60_000,
  /** How long a decided transaction's outcome can be asked for. More than twice `deadlineMsMax`, so no client asks too late. */
  outcomeRetentionMs: 150_000,
  /** What one node tells of a transaction when it is asked to explain it: the latest so many events. */
  explainedEventsMax: 4_096,
  /** How many transactions are told of when the latest ones are asked for. */
  recentTransactionsMax: 500,
  /** Nodes of a cluster. */
  membersMax: 64,
  /** Partitions of a cluster. Each costs every node a few hundred bytes and each view the time to place it. */
  partitionsMax: 16_384,
  /** A node's share relative to weight 1. A ring grows with it, by 1,024 points a unit, and a node that is lighter takes long to be met on it. */
  memberWeightMin: 0.1,
  memberWeightMax: 16,
  /** Characters of a node id, a cluster name, a zone. */
  nameLengthMax: 64,
} as const;
