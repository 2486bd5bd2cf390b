/**
 * What every runtime keeps to, whether the world behind it is real or simulated. A node that relies on more than this
 * works in one of them by accident.
 */
import { afterEach, beforeEach, describe } from 'vitest';
import type { Runtime } from '../../../node/runtime/runtime.ts';
import { diskConformance } from './disk-conformance.ts';
import { networkConformance } from './network-conformance.ts';
import { tableConformance } from './table-conformance.ts';
import { timeConformance } from './time-conformance.ts';

/** A place to run runtimes in. */
export interface Bench {
  /** A process on this machine. Its predecessor there, if there was one, has closed its files; their content stays. */
  start(machine: string): Runtime;
  /** An address on which nobody listens and this machine can. */
  address(machine: string): Promise<string>;
  /** Lets time pass until the condition holds; throws if it doesn't within a few seconds. */
  until(condition: () => boolean): Promise<void>;
  dispose(): Promise<void>;
}

/** The bench of the test that runs. */
export type Current = () => Bench;

export function conformance(name: string, make: () => Promise<Bench>): void {
  describe(`a ${name} runtime`, () => {
    let bench: Bench;
    beforeEach(async () => {
      bench = await make();
    });
    afterEach(() => bench.dispose());

    describe('time and chance', () => timeConformance(() => bench));
    describe('network', () => networkConformance(() => bench));
    describe('log files', () => diskConformance(() => bench));
    describe('table', () => tableConformance(() => bench));
  });
}
