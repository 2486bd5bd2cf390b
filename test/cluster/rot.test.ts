/**
 * Bits that flip in the files of a real node under load, a round for each. Whatever it hits: nobody ever reads what was never written,
 * and the node heals, or ends with words that say how to replace it; then it is replaced so, and in the end all replicas are the same.
 *
 *   DTP_ROT_SECONDS=600 DTP_ROT_SEED=x npx vitest run test/cluster/rot.test.ts
 */
import { renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { agreement } from '../../bench/agreement.ts';
import { Bank, Teller } from '../../bench/bank.ts';
import { adviceAfter, type Ended } from '../../client/cli/node-process.ts';
import { connect, type Database, type NodeStatus } from '../../client/index.ts';
import { Random } from '../sim/random.ts';
import { flipInJournal, flipInTable } from './flips.ts';
import { eventually, untilWhole, useClusters, type TestCluster, type TestNode } from './harness.ts';

const makeCluster = useClusters();
const seconds = Number(process.env['DTP_ROT_SECONDS'] ?? 15);
const seed = process.env['DTP_ROT_SEED'] ?? 'rot';
const patienceMs = 60_000;
/** Everything is read again this often, so that no round has to wait for long. */
const config = { partitions: 64, timing: { healIntervalMs: 300 }, healing: { scrubIntervalMs: 500 }, store: { checkpointIntervalMs: 100, headCacheEntries: 50 } };

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** The node whose disk rots, with somebody who starts it again. */
class Victim {
  readonly node: TestNode;
  readonly directory: string;
  readonly #db: Database;
  readonly #outcomes: string[] = [];
  #ended: Ended | null = null;
  #linesBefore = 0;

  constructor(cluster: TestCluster, db: Database) {
    [this.node] = cluster.nodes as [TestNode];
    this.directory = path.join(cluster.dataDirectory, this.node.id);
    this.#db = db;
  }

  /** How often each outcome came. */
  get tally(): Record<string, number> {
    const tally: Record<string, number> = {};
    for (const outcome of this.#outcomes) tally[outcome] = (tally[outcome] ?? 0) + 1;
    return tally;
  }

  async kill(): Promise<void> {
    await this.node.kill();
  }

  launch(): void {
    this.#ended = null;
    this.#linesBefore = this.node.lines.length;
    void this.node.launch().then((ended) => (this.#ended = ended));
  }

  /** Waits until the node has read all that it has, and knows all that it should; where it ends, starts it again, and gives it an empty directory when it ends again. */
  async settle(what: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (!this.node.isRunning) this.launch();
      if (await this.#isWell(what)) return void this.#outcomes.push(attempt === 1 ? 'goes on' : attempt === 2 ? 'ends, and is started again' : 'ends, and is replaced');
      const ended = this.#ended as Ended;
      const said = this.node.lines.slice(this.#linesBefore).join('\n');
      if (!(ended.code === 74 && said.includes('Move its data directory away')) && adviceAfter(ended, this.directory) === null) throw new Error(`${what}: ${this.node.id} ended without a word of what to do\n${this.node.tail()}`);
      if (attempt < 2) continue;
      if (attempt > 2) throw new Error(`${what}: ${this.node.id} does not start with an empty directory\n${this.node.tail()}`);
      renameSync(this.directory, `${this.directory}-damaged`);
      rmSync(`${this.directory}-damaged`, { recursive: true });
    }
  }

  async #isWell(what: string): Promise<boolean> {
    let passes: number | null = null;
    await eventually(`${this.node.id} is well, or has ended (${what})`, async () => {
      if (this.#ended !== null) return true;
      const status = (await this.#db.status({ timeoutMs: 2_000 })).find(({ id }) => id === this.node.id) as NodeStatus;
      if (!status.reachable || status['doubtful'] !== null) return false;
      const { passes: now } = status['scrub'] as { passes: number };
      passes ??= now;
      // The pass that was under way, and one that began after.
      return now >= passes + 2;
    }, patienceMs);
    return this.#ended === null;
  }
}

describe('a node whose disk rots', () => {
  it('tells nobody what was never written, and heals, or says how to replace it', async () => {
    const random = new Random(seed);
    const cluster = await makeCluster({ config });
    await cluster.start();
    const db = await connect({ nodes: cluster.urls, timeoutMs: patienceMs, maxAttempts: 10_000 });
    cleanUps.push(() => db.close());
    await untilWhole(db);
    const victim = new Victim(cluster, db);
    await victim.kill();

    const bank = new Bank({ branches: 3, accountsPerBranch: 12, openingBalance: 200n });
    await bank.open(db);
    const constants = Array.from({ length: 400 }, (_, i) => [i, `${i} of a constant `.repeat(1 + (i % 7) ** 4 / 4)] as const);
    for (const [i, text] of constants) await db.set(['constant', i], text);
    const tellers = Array.from({ length: 3 }, (_, id) => new Teller(bank, db, id));
    let goesOn = true;
    const wrong: string[] = [];
    const audit = async (): Promise<void> => {
      for (let i = 0; goesOn; i++) {
        const fault = await bank.audit(db, i % bank.branches);
        if (fault !== null) wrong.push(fault);
        const [at, text] = constants[i * 37 % constants.length] as (typeof constants)[number];
        if (await db.get(['constant', at]) !== text) wrong.push(`constant ${at}`);
        if (await db.transaction((tx) => tx.get(['constant', at])) !== text) wrong.push(`constant ${at} in a transaction`);
      }
    };
    const work = Promise.all([audit(), ...tellers.map((teller) => teller.work(() => goesOn))]);
    let broken: unknown = null;
    work.catch((error: unknown) => (broken = error));

    const rounds: readonly (() => Promise<string>)[] = [
      async () => flipInTable(victim.directory, random),
      async () => `${flipInJournal(victim.directory, random)} while it ran, and ${await victim.kill().then(() => 'was killed')}`,
      async () => victim.kill().then(() => flipInTable(victim.directory, random)),
      async () => flipInTable(victim.directory, random),
      async () => victim.kill().then(() => flipInJournal(victim.directory, random)),
    ];
    victim.launch();
    await victim.settle('at first');
    const untilMs = performance.now() + seconds * 1_000;
    for (let round = 0; performance.now() < untilMs || round < rounds.length; round++) {
      const what = await (rounds[round % rounds.length] as (typeof rounds)[number])();
      await victim.settle(`round ${round}, ${what}`);
      if (broken !== null) throw broken;
      expect(wrong, `round ${round}, ${what}`).toEqual([]);
    }
    goesOn = false;
    await work;

    await agreement(db, performance.now(), patienceMs);
    const { code, stdout } = await cluster.dtp('verify');
    expect([code, stdout]).toEqual([0, expect.stringContaining('All replicas are identical')]);
    expect(await bank.verify(db, tellers)).toEqual([]);
    expect(wrong).toEqual([]);
    if (process.env['DTP_ROT_SECONDS'] !== undefined) console.log(victim.tally);
  }, 120_000 + 2_000 * seconds);
});
