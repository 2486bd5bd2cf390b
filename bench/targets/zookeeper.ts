/** ZooKeeper: three members, every transaction forced to the log. Reads are linearizable only behind a sync, so each gets one. */
import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import zookeeperClient, { type Client, type Exception, type Stat } from 'node-zookeeper-client';
import { freePorts } from '../cluster.ts';
import { findProgram, Servers, untilServes } from './servers.ts';
import { batches, inParallel, type Entries, type Session } from './session.ts';
import type { Address, Running, Target } from './target.ts';
import { sync } from './zookeeper-sync.ts';

const { createClient, Exception: exceptions } = zookeeperClient;

const memberCount = 3;
const root = '/bench';
const entriesPerTransaction = 200;
const fillsAtOnce = 8;
const connectTimeoutMs = 20_000;
/** Two seconds is its own; three processes and their callers share few processors here. */
const tickTimeMs = 2_000;

/** As Debian installs it. */
const jar = path.join(path.sep, 'usr', 'share', 'java', 'zookeeper.jar');
const heapMiB = 512;

export const zookeeper: Target = {
  name: 'zookeeper',
  title: 'ZooKeeper',
  promise: 'strictly serializable (reads behind a sync), flushed at a majority',
  hasCounters: false,
  missing: () => (existsSync(jar) && findProgram('java') !== null ? null : 'ZooKeeper is not installed; on Debian: apt-get install zookeeper default-jre-headless'),
  start,
  connect: async ({ urls }: Address) => ZooKeeperSession.open(urls),
};

async function start(): Promise<Running> {
  const servers = new Servers('zookeeper');
  const ports = await freePorts(3 * memberCount);
  const members = Array.from({ length: memberCount }, (_, i) => ({ id: `z${i + 1}`, port: ports[3 * i] as number, peers: ports[3 * i + 1], election: ports[3 * i + 2] }));
  const urls = members.map(({ port }) => `127.0.0.1:${port}`);
  const group = members.map(({ peers, election }, i) => `server.${i + 1}=127.0.0.1:${peers}:${election}`);
  try {
    await servers.start(members.map(({ id, port }, i) => {
      const directory = servers.makeDirectory(id);
      const config = path.join(directory, 'zoo.cfg');
      writeFileSync(path.join(directory, 'myid'), `${i + 1}\n`);
      const lines = [`dataDir=${directory}`, `clientPort=${port}`, 'clientPortAddress=127.0.0.1', `tickTime=${tickTimeMs}`, 'initLimit=10', 'syncLimit=5', 'admin.enableServer=false', 'maxClientCnxns=0', 'forceSync=yes', ...group];
      writeFileSync(config, `${lines.join('\n')}\n`);
      return { id, port, program: findProgram('java') as string, args: [`-Xmx${heapMiB}m`, '-cp', jar, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', config] };
    }));
    await untilServes(async () => (await ZooKeeperSession.open(urls)).close());
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return {
    address: { target: 'zookeeper', urls },
    version: realpathSync(jar).replace(/^.*zookeeper-|\.jar$/g, ''),
    settings: { members: memberCount, forceSync: true, tickTimeMs, heapMiB },
    get processes() {
      return servers.processes;
    },
    members: members.map(({ id }) => id),
    ...servers.faults,
    agreedAgain: null,
    stop: () => servers.stop(),
  };
}

type Callback<T> = (error: Error | Exception | null, result: T) => void;

function promised<T>(begin: (callback: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => begin((error, result) => (error === null || error === undefined ? resolve(result) : reject(Object.assign(new Error(String(error)), { code: codeOf(error) })))));
}

function codeOf(error: Error | Exception): number | undefined {
  return (error as { code?: number }).code;
}

class ZooKeeperSession implements Session {
  readonly #client: Client;
  readonly counters = null;

  static async open(urls: readonly string[]): Promise<ZooKeeperSession> {
    const client = createClient(urls.join(), { sessionTimeout: 30_000 });
    const connected = new Promise<void>((resolve, reject) => {
      client.once('connected' as 'state', () => resolve());
      setTimeout(() => reject(new Error(`no member of ${urls.join()} answers`)), connectTimeoutMs).unref();
    });
    client.connect();
    try {
      await connected;
      await promised((done) => client.create(root, done)).catch((error: { code?: number }) => {
        if (error.code !== exceptions.NODE_EXISTS) throw error;
      });
    } catch (error) {
      client.close();
      throw error;
    }
    return new ZooKeeperSession(client);
  }

  private constructor(client: Client) {
    this.#client = client;
  }

  async get(key: string): Promise<Buffer | null> {
    // Sent one behind the other; the server keeps their order.
    const [, found] = await Promise.all([sync(this.#client, pathOf(key)), this.#read(key)]);
    return found?.value ?? null;
  }

  async put(key: string, value: Buffer): Promise<void> {
    try {
      await promised<Stat>((done) => this.#client.setData(pathOf(key), value, done));
    } catch (error) {
      if ((error as { code?: number }).code !== exceptions.NO_NODE) throw error;
      await promised<string>((done) => this.#client.create(pathOf(key), value, done));
    }
  }

  async update(keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<number> {
    for (let attempts = 1; ; attempts++) {
      const found = await Promise.all(keys.map((key) => this.#read(key)));
      const changed = change(found.map((each) => each?.value ?? null));
      const transaction = this.#client.transaction();
      keys.forEach((key, i) => transaction.setData(pathOf(key), changed[i] as Buffer, versionOf(found[i])));
      try {
        await promised((done) => transaction.commit(done));
        return attempts;
      } catch (error) {
        if ((error as { code?: number }).code !== exceptions.BAD_VERSION) throw error;
      }
    }
  }

  async fill(entries: Entries): Promise<void> {
    await inParallel(batches(entries, entriesPerTransaction), fillsAtOnce, async (batch) => {
      const transaction = this.#client.transaction();
      // Set once more: the client takes version 0, that of an entry which was only created, for "any version".
      for (const [key, value] of batch) transaction.create(pathOf(key), value).setData(pathOf(key), value, -1);
      await promised((done) => transaction.commit(done));
    });
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  #read(key: string): Promise<{ readonly value: Buffer; readonly version: number } | null> {
    return new Promise((resolve, reject) => this.#client.getData(pathOf(key), (error, value, stat) => {
      if (error === null || error === undefined) resolve({ value, version: stat.version });
      else if (codeOf(error) === exceptions.NO_NODE) resolve(null);
      else reject(Object.assign(new Error(String(error)), { code: codeOf(error) }));
    }));
  }
}

function versionOf(found: { readonly version: number } | null | undefined): number {
  if (found === null || found === undefined || found.version < 1) throw new Error('an entry that was never set can\'t be changed safely');
  return found.version;
}

function pathOf(key: string): string {
  return `${root}/${key}`;
}
