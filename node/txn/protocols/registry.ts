/** The commit protocols by their number in messages and records. A fifth one is a file beside its siblings, a line here, and its name in client/wire/protocols.ts. */
import { commitProtocols, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import { dtp } from './dtp.ts';
import { optimizedTwoPhase } from './optimized-two-phase.ts';
import type { CommitProtocol } from './protocol.ts';
import { threePhase } from './three-phase.ts';
import { twoPhase } from './two-phase.ts';

const byName: Readonly<Record<CommitProtocolName, CommitProtocol>> = { dtp, '2pc': twoPhase, o2pc: optimizedTwoPhase, '3pc': threePhase };

export const protocols: readonly CommitProtocol[] = commitProtocols.map((name) => byName[name]);
