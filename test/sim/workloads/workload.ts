/** A workload: what the clients of a run do, and what must be true of what they saw. */
import type { Verdict } from '../checker/verdict.ts';
import type { Client } from '../client.ts';
import type { Random } from '../random.ts';

export interface Findings {
  /** What is wrong, each in words that begin with a name; none if nothing is. */
  readonly failures: readonly string[];
  /** How many observations that rests on: a run that saw nothing proves nothing. */
  readonly observations: number;
}

export interface Workload {
  /** Brings the database into its first state; run by one client, before any fault. */
  setUp(client: Client): Promise<void>;
  /** One operation of one client. It settles however the operation ends, unless the client is killed. */
  act(client: Client): Promise<void>;
  /** Reads the last state; run by one client after all faults. */
  finish(client: Client): Promise<void>;
  check(): Findings;
}

/** `random` is for what is decided once; the choices of the clients are drawn from streams of their own. */
export type MakeWorkload = (random: Random, nowMs: () => number) => Workload;

export function findingsOf({ anomalies, observations }: Verdict): Findings {
  return { failures: anomalies.map(({ message }) => message), observations };
}
