/** etcd: three members, its defaults, by an ordinary gRPC client. */
import { Etcd3 } from 'etcd3';
import { freePorts } from '../cluster.ts';
import { findProgram, Servers, untilServes, versionOf } from './servers.ts';
import { batches, inParallel, type Entries, type Session } from './session.ts';
import type { Address, Running, Target } from './target.ts';

const memberCount = 3;
/** Of one transaction, by default. */
const operationsMax = 128;
const fillsAtOnce = 16;
const heartbeatIntervalMs = 100;
/** Its default is 1,000; on a machine that is busy by intention leaders must not be lost. */
const electionTimeoutMs = 2_000;

export const etcd: Target = {
  name: 'etcd',
  title: 'etcd',
  promise: 'strictly serializable, flushed at a majority',
  hasCounters: false,
  missing: () => (findProgram('etcd') === null ? 'etcd is not installed; on Debian: apt-get install etcd-server' : null),
  start,
  connect: async ({ urls }: Address) => new EtcdSession(urls),
};

async function start(): Promise<Running> {
  const program = findProgram('etcd') as string;
  const servers = new Servers('etcd');
  const ports = await freePorts(2 * memberCount);
  const members = Array.from({ length: memberCount }, (_, i) => ({ id: `e${i + 1}`, client: `http://127.0.0.1:${ports[2 * i]}`, peer: `http://127.0.0.1:${ports[2 * i + 1]}`, port: ports[2 * i] as number }));
  const cluster = members.map(({ id, peer }) => `${id}=${peer}`).join();
  const urls = members.map(({ client }) => client);
  try {
    await servers.start(members.map(({ id, client, peer, port }) => ({
      id, port, program,
      args: [
        '--name', id, '--data-dir', servers.makeDirectory(id), '--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
        '--initial-cluster', cluster, '--initial-cluster-state', 'new', '--heartbeat-interval', String(heartbeatIntervalMs), '--election-timeout', String(electionTimeoutMs), '--log-level', 'error',
      ],
    })));
    const session = new EtcdSession(urls);
    await untilServes(() => session.put('ready', Buffer.alloc(1))).finally(() => session.close());
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return {
    address: { target: 'etcd', urls },
    version: versionOf(program),
    settings: { members: memberCount, heartbeatIntervalMs, electionTimeoutMs },
    get processes() {
      return servers.processes;
    },
    members: members.map(({ id }) => id),
    ...servers.faults,
    agreedAgain: null,
    stop: () => servers.stop(),
  };
}

class EtcdSession implements Session {
  readonly #client: Etcd3;
  readonly counters = null;

  constructor(urls: readonly string[]) {
    this.#client = new Etcd3({ hosts: [...urls] });
  }

  get(key: string): Promise<Buffer | null> {
    return this.#client.get(key).buffer();
  }

  async put(key: string, value: Buffer): Promise<void> {
    await this.#client.put(key).value(value);
  }

  async update(keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<number> {
    const [first, ...others] = keys as readonly [string, ...string[]];
    for (let attempts = 1; ; attempts++) {
      // A condition that always holds: both are read in one call.
      const read = await this.#client.if(first, 'Version', '>', -1).then(...keys.map((key) => this.#client.get(key))).commit();
      const found = read.responses.map(({ response_range: range }) => range?.kvs[0]);
      const changed = change(found.map((each) => each?.value ?? null));
      const revision = (i: number): number => Number(found[i]?.mod_revision ?? 0);
      let transaction = this.#client.if(first, 'Mod', '==', revision(0));
      others.forEach((key, i) => (transaction = transaction.and(key, 'Mod', '==', revision(i + 1))));
      const { succeeded } = await transaction.then(...keys.map((key, i) => this.#client.put(key).value(changed[i] as Buffer))).commit();
      if (succeeded) return attempts;
    }
  }

  async fill(entries: Entries): Promise<void> {
    await inParallel(batches(entries, operationsMax), fillsAtOnce, async (batch) => {
      const [[first]] = batch as [[string, Buffer]];
      await this.#client.if(first, 'Version', '>', -1).then(...batch.map(([key, value]) => this.#client.put(key).value(value))).commit();
    });
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}
