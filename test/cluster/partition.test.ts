/** Nodes that lose one another, while clients reach all of them. */
import { afterEach, describe, expect, it } from 'vitest';
import { agreement } from '../../bench/agreement.ts';
import { Bank, Teller } from '../../bench/bank.ts';
import { connect, type Database } from '../../client/index.ts';
import { eventually, useClusters } from './harness.ts';
import { makeLinkedNodes } from './linked-nodes.ts';

const makeCluster = useClusters();

/** Of each call. A client that is stuck with the wrong node is stuck for so long. */
const timeoutMs = 60_000;
/** Within which everybody must get on: a loss takes about two seconds. */
const patienceMs = 20_000;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

describe('a node that is cut off from the others, and not from its clients', () => {
  it.each(['cut', 'silence'] as const)('keeps nobody waiting and forgets nothing (%s)', async (how) => {
    const { urls, links } = await makeLinkedNodes(await makeCluster(), cleanUps);
    // The view of the last node has everybody's own address.
    const db: Database = await connect({ nodes: urls.slice(2), timeoutMs, maxAttempts: 10_000 });
    cleanUps.push(() => db.close());
    const bank = new Bank({ branches: 4, accountsPerBranch: 20, openingBalance: 200n });
    await bank.open(db);
    const tellers = Array.from({ length: 8 }, (_, id) => new Teller(bank, db, id));
    let goesOn = true;
    let audits = 0;
    let reads = 0;
    const faults: string[] = [];
    const audit = async (): Promise<void> => {
      for (let branch = 0; goesOn; branch = (branch + 1) % bank.branches) {
        const fault = await bank.audit(db, branch);
        if (fault !== null) faults.push(fault);
        audits++;
      }
    };
    const read = async (): Promise<void> => {
      for (; goesOn; reads++) await db.get(bank.accountKey(reads % bank.branches, reads % 20));
    };
    const work = Promise.all([audit(), read(), ...tellers.map((teller) => teller.work(() => goesOn))]);
    let broken: unknown = null;
    work.catch((error: unknown) => (broken = error));
    const progress = async (when: string): Promise<void> => {
      const before = [audits, reads, ...tellers.map(({ counts }) => counts.acknowledged)];
      await eventually(`everybody gets on ${when}`, () => {
        if (broken !== null) throw broken;
        return [audits, reads, ...tellers.map(({ counts }) => counts.acknowledged)].every((count, index) => count >= (before[index] as number) + 5);
      }, patienceMs);
    };

    await progress('at first');
    for (const [node, cut] of [['n1', [links['n1-n2'], links['n1-n3']]], ['n3', [links['n1-n3'], links['n2-n3']]]] as const) {
      for (const link of cut) link[how]();
      await progress(`without ${node}`);
      for (const link of cut) link.heal();
      await progress(`with ${node} back`);
    }
    links['n1-n2'][how]();
    await progress('with two that have lost each other alone');
    links['n1-n2'].heal();
    goesOn = false;
    await work;

    await agreement(db, performance.now(), timeoutMs);
    expect(await bank.verify(db, tellers)).toEqual([]);
    expect(faults).toEqual([]);
    expect(tellers.flatMap(({ errors }) => [...errors])).toEqual([]);
  });
});
