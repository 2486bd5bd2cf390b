/**
 * The commit protocols, by the number that stands for each on the wire and in the journal: its index here, for ever.
 * A cluster can run all of them at once; each transaction is of one.
 */
import { DtpError } from './errors.ts';

export const commitProtocols = ['dtp', '2pc', 'o2pc', '3pc'] as const;
export type CommitProtocolName = (typeof commitProtocols)[number];

/** Those that nodes of this version coordinate. */
export const availableProtocols = ['dtp'] as const satisfies readonly CommitProtocolName[];
export type CommitProtocol = (typeof availableProtocols)[number];

/** @throws DtpError `unknown-protocol`, which lists the ones available. */
export function protocolNumber(name: string): number {
  if ((availableProtocols as readonly string[]).includes(name)) return (commitProtocols as readonly string[]).indexOf(name);
  throw new DtpError('unknown-protocol', `There is no commit protocol '${name}' here; available: ${availableProtocols.join(', ')}.`, { protocol: name, available: availableProtocols });
}
