/** Nodes that lose one another, while clients reach all of them. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { agreement } from '../../bench/agreement.ts';
import { Bank, Teller } from '../../bench/bank.ts';
import { connect, type Database } from '../../client/index.ts';
import { CuttableLink } from './cuttable.ts';
import { eventually, freePorts, TestNode, useClusters } from './harness.ts';

const makeCluster = useClusters();

/** Of each call. A client that is stuck with the wrong node is stuck for so long. */
const timeoutMs = 60_000;
/** Within which everybody must get on: a loss takes about two seconds. */
const patienceMs = 20_000;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Three nodes, each of which reaches those with higher ids, and so everybody everybody, through links of its own. */
async function makeNodes(): Promise<{ urls: string[]; links: Record<'n1-n2' | 'n1-n3' | 'n2-n3', CuttableLink> }> {
  const { directory } = await makeCluster();
  const ports = await freePorts(6);
  const [first, second, third, ...linkPorts] = ports as [number, number, number, number, number, number];
  const own = [first, second, third] as const;
  const links = {
    'n1-n2': await CuttableLink.open(linkPorts[0], second),
    'n1-n3': await CuttableLink.open(linkPorts[1], third),
    'n2-n3': await CuttableLink.open(linkPorts[2], third),
  };
  for (const link of Object.values(links)) cleanUps.push(() => link.close());
  // A node dials those that sort behind it.
  const views = [[first, links['n1-n2'].port, links['n1-n3'].port], [first, second, links['n2-n3'].port], own];
  const nodes = views.map((view, index) => {
    const id = `n${index + 1}`;
    const config = path.join(directory, `${id}.json`);
    const members = view.map((port, member) => ({ id: `n${member + 1}`, url: `ws://127.0.0.1:${port}` }));
    writeFileSync(config, JSON.stringify({ cluster: 'cut', nodes: members, timing: { healIntervalMs: 500 } }));
    return new TestNode(id, `ws://127.0.0.1:${own[index]}`, config);
  });
  await Promise.all(nodes.map((node) => node.start()));
  for (const node of nodes) cleanUps.push(() => node.stop());
  return { urls: nodes.map(({ url }) => url), links };
}

describe('a node that is cut off from the others, and not from its clients', () => {
  it.each(['cut', 'silence'] as const)('keeps nobody waiting and forgets nothing (%s)', async (how) => {
    const { urls, links } = await makeNodes();
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
