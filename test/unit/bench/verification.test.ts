/** What a run that lost or invented something is caught by. */
import { describe, expect, it } from 'vitest';
import { makeWorkload, workloadNames, type WorkloadName } from '../../../bench/workloads/registry.ts';
import { stamped } from '../../../bench/workloads/values.ts';
import { possibleContents, Writes } from '../../../bench/workloads/writes.ts';
import { FakeSession, type Faults } from './fake-session.ts';

const callsOfOne = 200;

/** Two processes, each with one caller, on one database. */
async function faultsAfter(name: WorkloadName, faults: Faults, after: (session: FakeSession) => void = () => {}): Promise<string[]> {
  const session = new FakeSession(faults);
  const workloads = [0, 1].map((writer) => makeWorkload(name, { keys: 20, valueBytes: 40, distribution: 'uniform', writer }));
  await workloads[0]?.prepare(session);
  for (const workload of workloads) for (let i = 0; i < callsOfOne; i++) await workload.call(session).catch(() => {});
  after(session);
  return (await workloads[0]?.verify(session, workloads.map((workload) => workload.evidence()))) as string[];
}

const names = workloadNames.map((name) => [name] as const);
const transactions = ['transfer', 'hot', 'call', 'hot-call'] as const;

describe('verification', () => {
  it.each(names)('%s: nothing is wrong with a database that does what it says', async (name) => {
    expect(await faultsAfter(name, {})).toEqual([]);
  });

  it.each(names)('%s: nor with a write of which nobody knows', async (name) => {
    expect(await faultsAfter(name, { doubts: 7 })).toEqual([]);
  });

  it.each(transactions.map((name) => [name] as const))('%s: one lost transaction is caught', async (name) => {
    expect((await faultsAfter(name, { loses: 300 })).join()).toContain('were changed by 399 transactions; 400 were acknowledged');
  });

  it('transfer: a lost update is caught', async () => {
    expect((await faultsAfter('transfer', { overwrites: 300 })).join()).toMatch(/were changed by|where they must hold/);
  });

  it('put: the last write of a key being lost is caught', async () => {
    // The very last write of all: nothing came after it.
    expect((await faultsAfter('put', { loses: 2 * callsOfOne })).join()).toMatch(/key \d+ holds write .* it can only hold .*200 of 2/);
  });

  it('ycsb-d: an added key that is lost is caught', async () => {
    expect((await faultsAfter('ycsb-d', { loses: 3 })).join()).toContain('holds nothing');
  });

  it('get: a value that belongs to another key is caught', async () => {
    expect((await faultsAfter('get', {}, ({ data }) => void data.set('mix:000000003', stamped(40, 4, 0, 0)))).join()).toContain('key 3 holds');
  });

  it('put: a write that nobody made is caught', async () => {
    expect((await faultsAfter('put', {}, ({ data }) => void data.set('mix:000000003', stamped(40, 3, 9, 9)))).join()).toContain('key 3 holds write 9 of writer 9');
  });
});

describe('writes of one key', () => {
  const write = (writer: number, sequence: number, begunAtMs: number, endedAtMs: number) => ({ writer, sequence, begunAtMs, endedAtMs });
  const after = (...writes: ReturnType<typeof write>[]): number[] => {
    const byWriter = [1, 2].map((writer) => {
      const evidence = new Writes();
      for (const each of writes.filter((one) => one.writer === writer)) evidence.acknowledged(0, each);
      return evidence;
    });
    return (possibleContents(byWriter).get(0) ?? []).map(({ sequence }) => sequence).sort();
  };

  it('one after another: the last', () => expect(after(write(1, 1, 0, 10), write(1, 2, 11, 20))).toEqual([2]));
  it('at the same time: either', () => expect(after(write(1, 1, 0, 10), write(1, 2, 5, 20))).toEqual([1, 2]));
  it('by two processes, well apart: the last', () => expect(after(write(1, 1, 0, 10), write(2, 2, 30, 40))).toEqual([2]));
  it('by two processes, closer than their clocks: either', () => expect(after(write(1, 1, 0, 10), write(2, 2, 11, 40))).toEqual([1, 2]));
  it('told in another order than begun', () => expect(after(write(1, 2, 11, 20), write(1, 1, 0, 10))).toEqual([2]));
});
