/**
 * Redis: a primary and two replicas, each with an append-only file that is flushed before an answer, and WAIT 1 after each write.
 *
 * A weaker promise than the others': a write is on two of three, but a failover may choose the third, and reads of a
 * primary that was cut off are old. Callers have connections of their own, up to a number: WAIT holds up all that
 * comes after it on the same one.
 */
import { Redis } from 'ioredis';
import { freePorts } from '../cluster.ts';
import { findProgram, Servers, untilServes, versionOf } from './servers.ts';
import { batches, inParallel, type Counters, type Entries, type Session } from './session.ts';
import type { Address, Running, Target } from './target.ts';

const connectionsMax = 128;
const keysPerBatch = 500;
const replicas = 2;

export const redis: Target = {
  name: 'redis',
  title: 'Redis',
  promise: 'weaker: an acknowledged write is flushed on the primary and has reached one replica, and can still be lost on failover',
  hasCounters: true,
  missing: () => (findProgram('redis-server') === null ? 'Redis is not installed; on Debian: apt-get install redis-server' : null),
  start,
  connect: async ({ urls }: Address) => new RedisSession(urls[0] as string),
};

async function start(): Promise<Running> {
  const program = findProgram('redis-server') as string;
  const servers = new Servers('redis');
  const ports = await freePorts(1 + replicas);
  const ids = ports.map((_, i) => (i === 0 ? 'primary' : `replica ${i}`));
  const definitions = ports.map((port, i) => ({
    id: ids[i] as string, port, program,
    args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', servers.makeDirectory(ids[i] as string), '--appendonly', 'yes', '--appendfsync', 'always', '--save', '', ...(i === 0 ? [] : ['--replicaof', `127.0.0.1 ${ports[0]}`])],
  }));
  const urls = ports.map((port) => `redis://127.0.0.1:${port}`);
  try {
    await servers.start(definitions);
    const primary = new Redis(urls[0] as string);
    await untilServes(async () => {
      await primary.set('', '');
      if (await primary.wait(replicas, 1_000) < replicas) throw new Error('the replicas are not in step');
    }).finally(() => primary.disconnect());
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return {
    address: { target: 'redis', urls },
    version: versionOf(program),
    settings: { appendonly: true, appendfsync: 'always', replicas, wait: 1, connectionsMax },
    get processes() {
      return servers.processes;
    },
    members: ids.slice(1),
    ...servers.faults,
    agreedAgain: null,
    stop: () => servers.stop(),
  };
}

interface Scripted extends Redis {
  addBoth(...keysAndDeltas: string[]): Promise<unknown>;
}

class RedisSession implements Session {
  readonly #url: string;
  readonly #idle: Scripted[] = [];
  readonly #waiting: ((connection: Scripted) => void)[] = [];
  readonly #all: Scripted[] = [];
  readonly counters: Counters;

  constructor(url: string) {
    this.#url = url;
    this.counters = {
      fill: async (keys, value) => {
        await inParallel(batches(keys, keysPerBatch), 8, (batch) => this.#with(async (connection) => {
          await replicated(connection, connection.mset(Object.fromEntries(batch.map((key) => [key, String(value)]))));
        }));
      },
      add: (changes) => this.#with(async (connection) => {
        await replicated(connection, connection.addBoth(...changes.map(([key]) => key), ...changes.map(([, delta]) => String(delta))));
      }),
      read: async (keys) => (await this.#with((connection) => connection.mget([...keys]))).map((text) => BigInt(text ?? 0)),
    };
  }

  get(key: string): Promise<Buffer | null> {
    return this.#with((connection) => connection.getBuffer(key));
  }

  put(key: string, value: Buffer): Promise<void> {
    return this.#with((connection) => replicated(connection, connection.set(key, value)));
  }

  async update(keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<number> {
    return await this.#with(async (connection) => {
      for (let attempts = 1; ; attempts++) {
        const [, values] = await Promise.all([connection.watch([...keys]), connection.mgetBuffer([...keys])]);
        const transaction = connection.multi();
        change(values).forEach((value, i) => transaction.set(keys[i] as string, value));
        const [done] = await Promise.all([transaction.exec(), connection.wait(1, 0)]);
        if (done !== null) return attempts;
      }
    });
  }

  async fill(entries: Entries): Promise<void> {
    await inParallel(batches(entries, keysPerBatch), 8, (batch) => this.#with((connection) => replicated(connection, connection.mset(new Map(batch)))));
  }

  async close(): Promise<void> {
    for (const connection of this.#all) connection.disconnect();
  }

  async #with<T>(work: (connection: Scripted) => Promise<T>): Promise<T> {
    const connection = this.#idle.pop() ?? (this.#all.length < connectionsMax ? this.#open() : await new Promise<Scripted>((resolve) => this.#waiting.push(resolve)));
    try {
      return await work(connection);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(connection);
      else next(connection);
    }
  }

  #open(): Scripted {
    const connection = new Redis(this.#url, { maxRetriesPerRequest: null }) as Scripted;
    connection.defineCommand('addBoth', { numberOfKeys: 2, lua: "redis.call('INCRBY', KEYS[1], ARGV[1]) redis.call('INCRBY', KEYS[2], ARGV[2])" });
    this.#all.push(connection);
    return connection;
  }
}

/** The write, and WAIT behind it, in one piece. */
async function replicated(connection: Redis, write: Promise<unknown>): Promise<void> {
  const [, copies] = await Promise.all([write, connection.wait(1, 0)]);
  if (copies < 1) throw new Error('no replica has it');
}
