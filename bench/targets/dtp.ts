/** This cluster: three nodes, three replicas, every vote flushed. */
import { readFileSync } from 'node:fs';
import { connect, limits, type CommitProtocol, type Database } from '../../client/index.ts';
import { agreedAgain } from '../agreement.ts';
import { LocalCluster } from '../cluster.ts';
import { batches, inParallel, type Counters, type Entries, type Session } from './session.ts';
import type { Address, Running, Target } from './target.ts';

const agreementTimeoutMs = 30_000;
/** Of a bulk load: large enough to be quick, small enough that no node is held for long. */
const keysPerTransaction = Math.min(500, limits.transactionKeysMax);
const transactionsAtOnce = 8;
const patientMs = 60_000;

export const dtp: Target = {
  name: 'dtp',
  title: 'dtp-cluster',
  promise: 'strictly serializable, flushed at a majority; every vote flushed',
  hasCounters: true,
  missing: () => null,
  start: async ({ flags } = {}) => running(await LocalCluster.start({ nodeFlags: flags })),
  connect: async ({ urls, variant }: Address) => new DtpSession(await connect({ nodes: urls, protocol: variant as CommitProtocol | undefined })),
};

function running(cluster: LocalCluster): Running {
  return {
    address: { target: 'dtp', urls: cluster.urls },
    version: (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version,
    settings: { nodes: cluster.nodes.length, replicas: 3 },
    get processes() {
      return Object.fromEntries(cluster.nodes.map(({ id, pid }) => [id, pid]));
    },
    members: cluster.nodes.map(({ id }) => id),
    kill: (id) => cluster.kill(id),
    restart: (id) => cluster.start(id),
    pause: (id) => cluster.pause(id),
    resume: (id) => cluster.resume(id),
    agreedAgain: async (id) => {
      await using db = await connect({ nodes: cluster.urls });
      return await agreedAgain(db, id, agreementTimeoutMs);
    },
    stop: () => cluster.stop(),
  };
}

class DtpSession implements Session {
  readonly #db: Database;
  readonly counters: Counters;

  constructor(db: Database) {
    this.#db = db;
    this.counters = {
      fill: (keys, value) => this.#fill(keys.map((key) => [key, value] as const)),
      add: (changes) => db.transaction((tx) => {
        for (const [key, delta] of changes) tx.add(key, delta);
      }),
      read: async (keys) => {
        const values: bigint[] = [];
        for (const batch of batches(keys, keysPerTransaction)) values.push(...(await db.getMany<bigint>(batch)));
        return values;
      },
    };
  }

  async get(key: string): Promise<Buffer | null> {
    return bufferOf(await this.#db.get<Uint8Array | undefined>(key));
  }

  async put(key: string, value: Buffer): Promise<void> {
    await this.#db.set(key, value);
  }

  async update(keys: readonly string[], change: (values: readonly (Buffer | null)[]) => readonly Buffer[]): Promise<number> {
    let attempts = 0;
    await this.#db.transaction(async (tx) => {
      attempts++;
      const values = keys.length === 1 ? [await tx.get<Uint8Array | undefined>(keys[0] as string)] : await tx.getMany<Uint8Array | undefined>(keys);
      change(values.map(bufferOf)).forEach((value, i) => tx.set(keys[i] as string, value));
    });
    return attempts;
  }

  fill(entries: Entries): Promise<void> {
    return this.#fill(entries);
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  #fill(entries: readonly (readonly [string, unknown])[]): Promise<void> {
    return inParallel(batches(entries, keysPerTransaction), transactionsAtOnce, (batch) => this.#db.transaction((tx) => {
      for (const [key, value] of batch) tx.set(key, value);
    }, { timeoutMs: patientMs }));
  }
}

function bufferOf(value: Uint8Array | undefined): Buffer | null {
  return value === undefined ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
