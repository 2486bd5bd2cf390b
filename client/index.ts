/** The public surface of the client: what `import ... from 'dtp-cluster'` gives. */
export { connect, Database } from './cluster.ts';
export type { Key, KeyPart } from './keys.ts';
export type { ConnectOptions, OperationOptions, TransactionOptions, WriteOptions } from './options.ts';
export type { NodeRecoveryPoints, RecoveryPoint } from './recovery-points.ts';
export type { ClientStats } from './routing.ts';
export type { Settled } from './settle.ts';
export type { NodeStatus, Written } from './single.ts';
export type { Story, StoryDecision, StoryEvent, StoryMessage, StoryVote, StoryWhat, TransactionSummary } from './story.ts';
export type { Bounds, Transaction, VersionedValue } from './transaction.ts';
export type { NodeVerification, PartitionDivergence, ReplicaFaults, Verification, VerifyOptions } from './verify.ts';
export { BoundCrossed, DtpError, errorCodes, TransactionOutcomeUnknown, type ErrorCode } from './wire/errors.ts';
export { limits } from './wire/limits.ts';
export { commitProtocols, type CommitProtocolName as CommitProtocol } from './wire/protocols.ts';
export { nodeFlags } from './node-flags.ts';
