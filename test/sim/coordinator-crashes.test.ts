/**
 * The coordinator killed at every step of a commit, under each protocol, while another client works on the same keys
 * under another one. Both keys are counted up together, so they must stay equal; every acknowledged step is counted once.
 */
import { describe, expect, it } from 'vitest';
import { commitProtocols, TransactionOutcomeUnknown, type CommitProtocol, type Database } from '../../client/index.ts';
import { simulate, type Simulation } from './testing.ts';

interface Step {
  readonly moment: string;
  readonly nth?: number;
  readonly when?: 'before' | 'after';
  /** Protocols whose commits come to it when nothing else goes wrong. */
  readonly of: readonly CommitProtocol[];
}

const steps: readonly Step[] = [
  { moment: 'receive commit', of: commitProtocols },
  { moment: 'send prepare', of: commitProtocols },
  { moment: 'send prepare', when: 'after', of: commitProtocols },
  { moment: 'send prepare', nth: 2, when: 'after', of: commitProtocols },
  { moment: 'receive vote', of: commitProtocols },
  { moment: 'receive vote', nth: 2, of: commitProtocols },
  { moment: 'send accept', of: ['3pc'] },
  { moment: 'send accept', when: 'after', of: ['3pc'] },
  { moment: 'receive accepted', of: ['3pc'] },
  { moment: 'receive accepted', nth: 2, of: ['3pc'] },
  { moment: 'send committed', of: commitProtocols },
  { moment: 'send committed', when: 'after', of: commitProtocols },
  { moment: 'send decide', of: commitProtocols },
  { moment: 'send decide', when: 'after', of: commitProtocols },
  { moment: 'send decide', nth: 2, when: 'after', of: commitProtocols },
  { moment: 'receive decided', of: commitProtocols },
  { moment: 'receive decided', nth: 2, of: commitProtocols },
];

/** In one partition, so that one node coordinates all. */
const [left, right] = ['{pair}left', '{pair}right'];
const rounds = 4;
const downMs = 1_500;

/** Counts both keys up; false if nobody could say whether it did. */
async function countUp(db: Database, protocol: CommitProtocol): Promise<boolean> {
  try {
    await db.transaction(async (tx) => {
      const [one, other] = await tx.getMany<number>([left, right]) as [number, number];
      expect(one).toBe(other);
      tx.set(left, one + 1);
      tx.set(right, other + 1);
    }, { protocol, timeoutMs: 20_000 });
    return true;
  } catch (error) {
    if (error instanceof TransactionOutcomeUnknown) return false;
    throw error;
  }
}

async function run({ db, cluster, sleep }: Simulation, protocol: CommitProtocol, other: CommitProtocol, { moment, nth = 1, when = 'before' }: Step): Promise<void> {
  const [coordinator] = cluster.replicasOf(left) as [string];
  await db.transaction((tx) => {
    tx.set(left, 0);
    tx.set(right, 0);
  });
  const second = await cluster.connect();
  const died = cluster.crashAt(coordinator, moment, { nth, when });
  const back = died.then(() => sleep(downMs)).then(() => cluster.restart(coordinator));
  const work = async (client: Database, by: CommitProtocol): Promise<boolean[]> => {
    const told: boolean[] = [];
    for (let round = 0; round < rounds; round++) told.push(await countUp(client, by));
    return told;
  };
  const told = (await Promise.all([work(db, protocol), work(second, other), back])).slice(0, 2).flat();
  const [one, both] = await db.getMany<number>([left, right]) as [number, number];
  expect(one).toBe(both);
  expect(one).toBeGreaterThanOrEqual(told.filter((isDone) => isDone).length);
  expect(one).toBeLessThanOrEqual(2 * rounds);
}

describe.each(commitProtocols)('a coordinator of %s', (protocol) => {
  const own = steps.filter(({ of }) => of.includes(protocol));

  it.each(own.map((step) => [`${step.when ?? 'before'} ${step.moment} ${step.nth ?? 1}`, step] as const))('killed %s leaves every transaction whole', async (_name, step) => {
    for (const [i, other] of commitProtocols.entries()) await simulate({ seed: i, nodes: 3 }, (simulation) => run(simulation, protocol, other, step));
  });
});
