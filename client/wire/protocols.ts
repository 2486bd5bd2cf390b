/**
 * The commit protocols, by the number that stands for each on the wire and in the journal: its index here, for ever.
 * A cluster runs all of them at once; each transaction is of one.
 */
import { DtpError } from './errors.ts';

export const commitProtocols = ['dtp', '2pc', 'o2pc', '3pc'] as const;
export type CommitProtocolName = (typeof commitProtocols)[number];

/** @throws DtpError `unknown-protocol`, which lists the four. */
export function protocolNumber(name: string): number {
  const number = (commitProtocols as readonly string[]).indexOf(name);
  if (number >= 0) return number;
  throw new DtpError('unknown-protocol', `There is no commit protocol '${name}'; there are ${commitProtocols.join(', ')}.`, { protocol: name, available: commitProtocols });
}
