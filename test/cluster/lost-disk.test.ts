/** A node of a real cluster loses its disk, or gets an older one, under load: it is recognised, begins a new life, and is sure again when it has its data from the others. */
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { agreement } from '../../bench/agreement.ts';
import { Bank, Teller } from '../../bench/bank.ts';
import { connect, type Database, type NodeStatus } from '../../client/index.ts';
import { eventually, untilWhole, useClusters, type TestCluster, type TestNode } from './harness.ts';

const makeCluster = useClusters();
const timeoutMs = 60_000;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A cluster on which money is moved. */
class Stage {
  readonly cluster: TestCluster;
  readonly db: Database;
  readonly victim: TestNode;
  readonly directory: string;
  readonly #bank = new Bank({ branches: 2, accountsPerBranch: 8, openingBalance: 200n });
  readonly #tellers: readonly Teller[];
  #goesOn = true;
  /** The victim's, in its first life. */
  #incarnation = 0;
  #work: Promise<unknown> = Promise.resolve();

  private constructor(cluster: TestCluster, db: Database) {
    this.cluster = cluster;
    this.db = db;
    [this.victim] = cluster.nodes as [TestNode];
    this.directory = path.join(cluster.dataDirectory, this.victim.id);
    this.#tellers = Array.from({ length: 4 }, (_, id) => new Teller(this.#bank, db, id));
  }

  static async open(): Promise<Stage> {
    const cluster = await makeCluster({ config: { timing: { healIntervalMs: 500 } } });
    await cluster.start();
    const db = await connect({ nodes: cluster.urls, timeoutMs, maxAttempts: 10_000 });
    cleanUps.push(() => db.close());
    await untilWhole(db);
    const stage = new Stage(cluster, db);
    stage.#incarnation = Number((await stage.#statusOfVictim())?.['incarnation']);
    await stage.#bank.open(db);
    stage.#work = Promise.all(stage.#tellers.map((teller) => teller.work(() => stage.#goesOn)));
    return stage;
  }

  async progress(during: string): Promise<void> {
    const made = (): number => this.#tellers.reduce((sum, { counts }) => sum + counts.acknowledged, 0);
    const before = made();
    await eventually(`transfers ${during}`, () => made() > before + 20, timeoutMs);
  }

  /** Reborn: no start counts so far. */
  async untilReborn(): Promise<void> {
    await eventually('it is sure again of all that it has, in a new life', async () => {
      const status = await this.#statusOfVictim();
      return status?.reachable === true && Math.abs(Number(status['incarnation']) - this.#incarnation) > 1_000 && status['doubtful'] === null;
    }, timeoutMs);
  }

  async #statusOfVictim(): Promise<NodeStatus | undefined> {
    return (await this.db.status()).find(({ id }) => id === this.victim.id);
  }

  async end(): Promise<void> {
    this.#goesOn = false;
    await this.#work;
    await agreement(this.db, performance.now(), timeoutMs);
    expect(await this.#bank.verify(this.db, this.#tellers)).toEqual([]);
    expect(await this.cluster.dtp('verify')).toMatchObject({ code: 0 });
  }
}

describe('a node that lost its disk', () => {
  it('comes back empty, in a new life, and gets everything from the others, while money is moved', async () => {
    const stage = await Stage.open();
    await stage.progress('before the loss');
    await stage.victim.kill();
    rmSync(stage.directory, { recursive: true });
    await stage.progress('without it');
    await stage.victim.start();
    await stage.untilReborn();
    await stage.progress('with it');
    await stage.end();
  });
});

describe('a node that gets an older image of its disk, of which nobody told it', () => {
  it.each([
    ['of a node that was killed', async (node: TestNode) => void await node.kill(), async () => {}],
    ['with another node started again in between', async (node: TestNode) => void await node.stop(), async (other: TestNode) => {
      await other.kill();
      await other.start();
    }],
  ])('is told so by the others, begins a new life, and heals (%s)', async (_what, end, between) => {
    const stage = await Stage.open();
    const { cluster, victim, directory } = stage;
    const image = path.join(cluster.directory, 'image');
    await stage.progress('before the image is taken');
    await end(victim);
    cpSync(directory, image, { recursive: true });
    await victim.start();
    await stage.progress('behind the image');
    await end(victim);
    await between(cluster.nodes[1] as TestNode);
    rmSync(directory, { recursive: true });
    cpSync(image, directory, { recursive: true });
    await stage.progress('without it');
    await victim.start();
    await stage.untilReborn();
    await stage.progress('with it');
    await stage.end();
  });
});
