/**
 * PostgreSQL: three instances, each with a third of the keys, no copies; transactions over two of them by PREPARE
 * TRANSACTION, under a coordinator in the client's process that logs its decisions durably before it tells them.
 *
 * Rows are locked in the order of their keys, wherever they lie, so that nobody deadlocks and nothing has to be retried.
 */
import path from 'node:path';
import pg from 'pg';
import { freePorts } from '../cluster.ts';
import { DecisionLog } from './decision-log.ts';
import { findProgram, runOnce, Servers, untilServes, versionOf } from './servers.ts';
import { batches, inParallel, type Entries, type Session } from './session.ts';
import type { Address, Running, Target } from './target.ts';

const instances = 3;
/** Of one client's process with each instance. */
const connectionsMax = 64;
const maxConnections = 300;
const rowsPerInsert = 1_000;

/** Where Debian puts it, by version. */
function programs(): { readonly initdb: string; readonly postgres: string } | null {
  const elsewhere = Array.from({ length: 10 }, (_, i) => path.join(path.sep, 'usr', 'lib', 'postgresql', String(20 - i), 'bin'));
  const [initdb, postgres] = [findProgram('initdb', elsewhere), findProgram('postgres', elsewhere)];
  return initdb === null || postgres === null ? null : { initdb, postgres };
}

export const postgres: Target = {
  name: 'postgres',
  title: 'PostgreSQL',
  promise: 'flushed on the one instance that holds a key, no copies; across instances two-phase commit, which blocks while its coordinator is away',
  hasCounters: false,
  missing: () => (programs() === null ? 'PostgreSQL is not installed; on Debian: apt-get install postgresql' : null),
  start,
  connect: async ({ urls, directory }: Address) => new PostgresSession(urls, directory as string),
};

async function start(): Promise<Running> {
  const { initdb, postgres: program } = programs() as { initdb: string; postgres: string };
  const servers = new Servers('postgres');
  const ports = await freePorts(instances);
  const ids = ports.map((_, i) => `p${i + 1}`);
  const settings = { fsync: 'on', synchronous_commit: 'on', max_connections: maxConnections, max_prepared_transactions: maxConnections, shared_buffers: '256MB' };
  const urls = ports.map((port) => `postgres://bench@127.0.0.1:${port}/postgres`);
  try {
    const directories = ids.map((id) => servers.makeDirectory(id, true));
    for (const directory of directories) runOnce(initdb, ['-D', path.join(directory, 'data'), '-U', 'bench', '-A', 'trust', '--no-sync', '--no-instructions'], { cwd: directory, unprivileged: true });
    await servers.start(ports.map((port, i) => ({
      id: ids[i] as string, port, program, unprivileged: true,
      args: ['-D', path.join(directories[i] as string, 'data'), '-p', String(port), '-k', directories[i] as string, '-c', 'listen_addresses=127.0.0.1', ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    })));
    for (const url of urls) {
      await untilServes(async () => {
        const client = new pg.Client(url);
        await client.connect();
        await client.query('CREATE TABLE IF NOT EXISTS entries (k text PRIMARY KEY, v bytea NOT NULL)').finally(() => client.end());
      });
    }
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return {
    address: { target: 'postgres', urls, directory: servers.directory },
    version: versionOf(program),
    settings: { instances, connectionsMax, ...settings },
    get processes() {
      return servers.processes;
    },
    members: ids,
    ...servers.faults,
    agreedAgain: null,
    stop: () => servers.stop(),
  };
}

interface Participant {
  readonly instance: number;
  readonly client: pg.PoolClient;
}

class PostgresSession implements Session {
  readonly #pools: readonly pg.Pool[];
  readonly #log: DecisionLog;
  #transactions = 0;
  readonly counters = null;

  constructor(urls: readonly string[], directory: string) {
    this.#pools = urls.map((connectionString) => new pg.Pool({ connectionString, max: connectionsMax }));
    // A server that is killed ends connections that nobody is using.
    for (const pool of this.#pools) pool.on('error', () => {});
    this.#log = new DecisionLog(path.join(directory, `decisions-${process.pid}.log`));
  }

  async get(key: string): Promise<Buffer | null> {
    const { rows } = await this.#poolOf(key).query<{ v: Buffer }>({ name: 'get', text: 'SELECT v FROM entries WHERE k = $1', values: [key] });
    return rows[0]?.v ?? null;
  }

  async put(key: string, value: Buffer): Promise<void> {
    await this.#poolOf(key).query({ name: 'put', text: 'INSERT INTO entries VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v', values: [key, value] });
  }

  async update(keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<number> {
    // In the same order everywhere, or callers wait for each other's connections for ever.
    const needed = [...new Set(keys.map((key) => this.#instanceOf(key)))].sort();
    const participants: Participant[] = [];
    try {
      for (const instance of needed) participants.push({ instance, client: await (this.#pools[instance] as pg.Pool).connect() });
      await this.#transact(participants, keys, change);
      for (const { client } of participants) client.release();
    } catch (error) {
      // What such a connection was in the middle of ends with it.
      for (const { client } of participants) client.release(true);
      throw error;
    }
    return 1;
  }

  async fill(entries: Entries): Promise<void> {
    await inParallel(this.#pools.map((_, instance) => instance), instances, async (instance) => {
      for (const batch of batches(entries.filter(([key]) => this.#instanceOf(key) === instance), rowsPerInsert)) {
        await (this.#pools[instance] as pg.Pool).query({ text: 'INSERT INTO entries SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT (k) DO UPDATE SET v = excluded.v', values: [batch.map(([key]) => key), batch.map(([, value]) => value)] });
      }
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()));
    await this.#log.close();
  }

  async #transact(participants: readonly Participant[], keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<void> {
    const clientOf = (key: string): pg.PoolClient => (participants.find(({ instance }) => instance === this.#instanceOf(key)) as Participant).client;
    await all(participants, 'BEGIN');
    const found = new Map<string, Buffer | null>();
    for (const key of [...keys].sort()) {
      const { rows } = await clientOf(key).query<{ v: Buffer }>({ name: 'lock', text: 'SELECT v FROM entries WHERE k = $1 FOR UPDATE', values: [key] });
      found.set(key, rows[0]?.v ?? null);
    }
    const changed = change(keys.map((key) => found.get(key) ?? null));
    await Promise.all(keys.map((key, i) => clientOf(key).query({ name: 'set', text: 'UPDATE entries SET v = $2 WHERE k = $1', values: [key, changed[i]] })));
    if (participants.length === 1) return await all(participants, 'COMMIT');
    const name = `${process.pid}-${++this.#transactions}`;
    await all(participants, `PREPARE TRANSACTION '${name}'`);
    await this.#log.write(`commit ${name}`);
    await all(participants, `COMMIT PREPARED '${name}'`);
  }

  #instanceOf(key: string): number {
    let hash = 0;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x0100_0193);
    return (hash >>> 8) % this.#pools.length;
  }

  #poolOf(key: string): pg.Pool {
    return this.#pools[this.#instanceOf(key)] as pg.Pool;
  }
}

async function all(participants: readonly Participant[], statement: string): Promise<void> {
  await Promise.all(participants.map(({ client }) => client.query(statement)));
}
