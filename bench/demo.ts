/**
 * `npm run demo`: a bank on three nodes, one of which is killed with SIGKILL and started again every few seconds, each
 * in turn, while tellers move money and auditors add it up. In the end every coin is accounted for (bank.ts), or the
 * exit code is 1.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { connect, type Database } from '../client/index.ts';
import { agreement } from './agreement.ts';
import { Bank, Teller, type Outcome } from './bank.ts';
import { exitOnSignals, LocalCluster } from './cluster.ts';
import { runProgram, whole } from './options.ts';
import { milliseconds, number, table } from './report/table.ts';

const bankOptions = { branches: 20, accountsPerBranch: 50, openingBalance: 1_000n };
/** The replicas are compared this often, so that the end of the show doesn't wait for the default of 30 s. */
const settings = { timing: { healIntervalMs: 1_000 } };
/** From one event of a node to the next: running, killed, started again, running. */
const calmMs = 2_000;
const downMs = 1_500;
const reportIntervalMs = 1_000;
const agreementTimeoutMs = 60_000;

interface Options {
  readonly seconds: number;
  readonly clients: number;
  readonly tellers: number;
  readonly keep: boolean;
}

/** One line that is overwritten on a terminal, and a line each time elsewhere. */
class Progress {
  readonly #isTerminal = process.stdout.isTTY === true;

  say(line: string): void {
    process.stdout.write(`${this.#isTerminal ? '\r\x1b[K' : ''}${line}\n`);
  }

  live(line: string): void {
    if (this.#isTerminal) process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 80) - 1)}`);
    else process.stdout.write(`${line}\n`);
  }
}

/** All that the show is made of, and its figures. */
class Show {
  readonly #options: Options;
  readonly #cluster: LocalCluster;
  readonly #progress: Progress;
  readonly #bank = new Bank(bankOptions);
  readonly #clients: Database[] = [];
  readonly #tellers: Teller[] = [];
  readonly #faults: string[] = [];
  #lastReported = 0;
  #audits = 0;
  #auditsGivenUp = 0;
  #kills = 0;
  #killedAtMs = 0;
  #goesOn = true;
  #down = '';

  constructor(options: Options, cluster: LocalCluster, progress: Progress) {
    this.#options = options;
    this.#cluster = cluster;
    this.#progress = progress;
  }

  /** Resolves with what is wrong in the end. */
  async run(): Promise<readonly string[]> {
    const { seconds, clients, tellers } = this.#options;
    this.#cluster.onFailure = (failure) => this.#faults.push(failure.message);
    for (let i = 0; i < clients; i++) this.#clients.push(await connect({ nodes: this.#cluster.urls }));
    const [db] = this.#clients as [Database];
    await this.#bank.open(db);
    for (let i = 0; i < clients * tellers; i++) this.#tellers.push(new Teller(this.#bank, this.#clients[i % clients] as Database, i));
    this.#progress.say(`${bankOptions.branches * bankOptions.accountsPerBranch} accounts hold ${this.#bank.sum}. ${this.#tellers.length} tellers of ${clients} clients move money for ${seconds} s, while nodes are killed.`);

    const startedAtMs = performance.now();
    const work = [...this.#tellers.map((teller) => teller.work(() => this.#goesOn)), this.#audit(db)];
    const reports = setInterval(() => this.#report(performance.now() - startedAtMs), reportIntervalMs);
    // What goes wrong in the work ends the killing too.
    await Promise.race([this.#killInTurn(startedAtMs + seconds * 1_000), Promise.all(work)]).finally(() => clearInterval(reports));
    this.#goesOn = false;
    await Promise.all(work);
    const quietSinceMs = performance.now();

    this.#progress.say('Transfers have ended. Waiting until all replicas agree, then checking every account and every receipt ...');
    const { atMs, digest } = await agreement(db, quietSinceMs, agreementTimeoutMs);
    this.#faults.push(...(await this.#bank.verify(db, this.#tellers)));
    const [tookMs, sinceQuietMs, sinceKillMs] = [quietSinceMs - startedAtMs, atMs - quietSinceMs, this.#kills === 0 ? null : atMs - this.#killedAtMs];
    this.#progress.say(this.#summary(tookMs, [
      ['all replicas equal, after the last kill', sinceKillMs === null ? '–' : milliseconds(sinceKillMs)],
      ['  after the last transfer', milliseconds(sinceQuietMs)],
      ['  as the digest that each of them tells', digest],
    ]));
    return this.#faults;
  }

  async close(): Promise<void> {
    this.#goesOn = false;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** Ends with all nodes running. */
  async #killInTurn(untilMs: number): Promise<void> {
    for (let turn = 0; ; turn++) {
      const restMs = untilMs - performance.now();
      if (restMs < calmMs + downMs) return void (await delay(Math.max(0, restMs)));
      await delay(calmMs);
      const { id } = this.#cluster.nodes[turn % this.#cluster.nodes.length] as { id: string };
      await this.#cluster.kill(id);
      this.#kills++;
      this.#killedAtMs = performance.now();
      this.#down = id;
      await delay(downMs);
      await this.#cluster.start(id);
      this.#down = '';
    }
  }

  /** One branch after another. */
  async #audit(db: Database): Promise<void> {
    for (let branch = 0; this.#goesOn; branch = (branch + 1) % this.#bank.branches) {
      try {
        const fault = await this.#bank.audit(db, branch);
        this.#audits++;
        if (fault !== null) this.#faults.push(`during the transfers, ${fault}`);
      } catch {
        // No answer is no wrong answer; how often is told in the end.
        this.#auditsGivenUp++;
      }
    }
  }

  #count(outcome: Outcome): number {
    return this.#tellers.reduce((sum, { counts }) => sum + counts[outcome], 0);
  }

  #report(elapsedMs: number): void {
    const made = this.#count('acknowledged');
    const rate = ((made - this.#lastReported) * 1_000) / reportIntervalMs;
    this.#lastReported = made;
    const sums = this.#faults.length === 0 ? `${this.#audits} sums right` : `${this.#faults.length} FAULTS`;
    const nodes = this.#down === '' ? 'all up' : `${this.#down} down`;
    const kills = `${this.#kills} ${this.#kills === 1 ? 'kill' : 'kills'}`;
    this.#progress.live(`${(elapsedMs / 1_000).toFixed(0).padStart(3)} s  ${number(rate).padStart(6)} transfers/s  ${number(made).padStart(8)} in all  ${kills}, ${nodes.padEnd(7)}  ${sums}`);
  }

  #summary(tookMs: number, agreed: readonly (readonly string[])[]): string {
    const made = this.#count('acknowledged');
    const sum = (count: (client: Database) => number): number => this.#clients.reduce((total, client) => total + count(client), 0);
    const errors = new Map<string, number>();
    for (const teller of this.#tellers) for (const [code, count] of teller.errors) errors.set(code, (errors.get(code) ?? 0) + count);
    return table([
      ['', ''],
      ['transfers committed', number(made)],
      ['  a second', number(made / (tookMs / 1_000))],
      ['refused by the bank, for want of money', number(this.#count('refused'))],
      ['attempts that had to be repeated', number(sum(({ stats }) => stats.retries))],
      ['outcomes unknown for a moment, then resolved', number(sum(({ stats }) => stats.resolved))],
      ['outcomes unknown to the end', number(this.#count('unknown'))],
      ['given up, nothing written', number(this.#count('failed'))],
      ...[...errors].map(([code, count]) => [`  ${code}`, number(count)]),
      ['audits of a branch, while money moved', number(this.#audits)],
      ['audits given up', number(this.#auditsGivenUp)],
      ['kills', number(this.#kills)],
      ['longest time without a success of one teller', milliseconds(Math.max(...this.#tellers.map((teller) => teller.longestPauseMs)))],
      ['longest single transfer', milliseconds(Math.max(...this.#tellers.map((teller) => teller.longestCallMs)))],
      ...agreed,
      ['', ''],
    ]);
  }
}

async function main(options: Options): Promise<number> {
  const progress = new Progress();
  exitOnSignals();
  progress.say('Starting three nodes ...');
  const cluster = await LocalCluster.start({ settings, keepDirectory: options.keep });
  const show = new Show(options, cluster, progress);
  const faults = await show.run().catch((error: Error) => [error.stack ?? error.message]);
  progress.say(faults.length === 0 ? 'Every account, every receipt and the sum are right.' : `${faults.length} FAULTS:\n${faults.slice(0, 20).join('\n')}`);
  // A fault's evidence stays.
  cluster.keepDirectory ||= faults.length > 0;
  await show.close();
  await cluster.stop();
  if (cluster.keepDirectory) progress.say(`Data and logs of the nodes are in ${cluster.directory}`);
  return faults.length === 0 ? 0 : 1;
}

await runProgram(new Command('npm run demo --')
  .description('A bank on three nodes that are killed in turn while money moves; in the end every coin is accounted for.')
  .option('--seconds <n>', 'how long transfers go on', whole(1, 3_600), 30)
  .option('--clients <n>', 'database handles, each with connections of its own', whole(1, 100), 4)
  .option('--tellers <n>', 'transfers under way at once on each of them', whole(1, 1_000), 8)
  .option('--keep', "leave the nodes' data and logs behind", false)
  .action(async (options: Options) => {
    process.exitCode = await main(options);
  }));
