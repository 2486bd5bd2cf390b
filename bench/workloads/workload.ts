/** What the callers of a benchmark do, and how it is known afterwards that it was done. */
import type { Distribution } from '../load/choosers.ts';
import type { Session } from '../targets/session.ts';

export interface WorkloadOptions {
  readonly keys: number;
  readonly valueBytes: number;
  readonly distribution: Distribution;
  /** Tells processes that write the same keys apart: 0, 1, ... */
  readonly writer: number;
}

export interface Workload {
  /** Puts there what the calls need; one process does it for all. Resolves to how many entries that were. */
  prepare(session: Session): Promise<number>;
  /** Resolves to the number of attempts. */
  call(session: Session): Promise<number>;
  /** What this process knows of what must be there. It travels as a message. */
  evidence(): unknown;
  /** Everything that is wrong when all calls are over, given the evidence of all processes. */
  verify(session: Session, evidence: readonly unknown[]): Promise<string[]>;
}

export const valueBytesMin = 32;
