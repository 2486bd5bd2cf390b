/** The commit protocols by their number in messages and records. A fifth one is a file beside its siblings and a line here. */
import type { CommitProtocol } from './protocol.ts';
import { dtp } from './dtp.ts';

export const protocols: readonly (CommitProtocol | undefined)[] = [dtp];
