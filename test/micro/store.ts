/**
 * The parts that need a disk: the journal, installing versions, and checkpoints; and what of the latter two is due to the
 * digests.
 *
 * That is found by doing without: a store whose digests add nothing up, on a table that leaves their rows out. It can't be opened again,
 * but it installs and checkpoints like any other. Only the hashing of items stays in, which is measured by itself
 * (parts.ts) and counted to the digests.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Placement } from '../../client/wire/placement.ts';
import { checkConfig } from '../../node/config.ts';
import { makeLog } from '../../node/runtime/log.ts';
import { realRuntime } from '../../node/runtime/real.ts';
import type { Runtime, Table } from '../../node/runtime/runtime.ts';
import { Digests } from '../../node/store/digests.ts';
import { Kind } from '../../node/store/records.ts';
import { digestBounds } from '../../node/store/rows.ts';
import { Store, type JournalOwner } from '../../node/store/store.ts';
import { microOf, type Micro } from './measure.ts';

const checked = checkConfig({ cluster: 'micro', nodes: ['n1', 'n2', 'n3'].map((id, i) => ({ id, url: `ws://127.0.0.1:${7_101 + i}` })), store: { checkpointIntervalMs: 600_000, overlayBytesMax: 1_024 * 1_024 * 1_024 } });
if ('faults' in checked) throw new Error(JSON.stringify(checked.faults));
const { view, store: settings } = checked.config;
const placement = new Placement(view);

const rounds = 5;
const value = Buffer.alloc(100, 7);
const owner: JournalOwner = { replay() {}, carry: () => [], persist: () => [] };

class Bench {
  readonly #directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-micro-'));
  readonly #withDigests: boolean;

  constructor(withDigests: boolean) {
    this.#withDigests = withDigests;
  }

  /** Resolves when the store is open. */
  open(): Promise<Store> {
    const runtime = realRuntime({ directory: this.#directory, log: makeLog({ level: 'silent', node: 'n1' }) });
    const store = new Store(this.#withDigests ? runtime : withoutDigestRows(runtime), settings, { cluster: view.cluster, node: 'n1', partitions: view.partitions, placement: 'micro' }, (key) => placement.partitionOf(key));
    return new Promise((resolve, reject) => store.open(owner, () => {}, (error) => (error === undefined ? resolve(store) : reject(error))));
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function withoutDigestRows(runtime: Runtime): Runtime {
  const { disk } = runtime;
  const openTable = (): Table => {
    const table = disk.openTable();
    return new Proxy(table, {
      get: (target, name) => {
        if (name === 'write') return (puts: Parameters<Table['write']>[0], done: Parameters<Table['write']>[1]) => target.write(puts.filter(([key]) => !isDigestKey(key)), done);
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) as unknown : member;
      },
    });
  };
  return { ...runtime, disk: new Proxy(disk, { get: (target, name) => (name === 'openTable' ? openTable : bound(target, name)) }) };
}

function bound(target: object, name: string | symbol): unknown {
  const member: unknown = Reflect.get(target, name, target);
  return typeof member === 'function' ? member.bind(target) as unknown : member;
}

function isDigestKey(key: Buffer): boolean {
  return key[0] === digestBounds[0][0];
}

export async function measureJournal(): Promise<Micro[]> {
  const bench = new Bench(true);
  const store = await bench.open();
  const rate = async (records: number, flushes: number): Promise<number> => {
    const startedAtMs = performance.now();
    let number = 0;
    for (let flush = 0; flush < flushes; flush++) {
      for (let i = 0; i < records; i++) store.append([Kind.prepared, 'n1', 1, ++number, 1, 1, number, value]);
      await new Promise<void>((resolve) => store.whenDurable(resolve));
    }
    return (records * flushes * 1_000) / (performance.now() - startedAtMs);
  };
  const sizes = [[1, 300], [64, 100], [1_000, 20]] as const;
  const results: Micro[] = [];
  for (const [records, flushes] of sizes) {
    const values: number[] = [];
    for (let round = 0; round < rounds; round++) values.push(await rate(records, flushes));
    results.push(microOf(`journal: records a second, ${records} a flush`, 'per second', values));
  }
  await new Promise<void>((resolve) => store.close(resolve));
  bench.remove();
  return results;
}

interface Pass {
  readonly installNs: number;
  readonly checkpointNs: number;
}

/** Overwrites all keys, each of which the table has, in an order of chance; then takes the checkpoint. Per key. */
async function pass(withDigests: boolean, keys: readonly string[]): Promise<Pass> {
  const bench = new Bench(withDigests);
  const store = await bench.open();
  const change = Digests.prototype.change;
  if (!withDigests) Digests.prototype.change = () => {};
  try {
    const partitions = keys.map((key) => placement.partitionOf(key));
    keys.forEach((key, i) => store.install(partitions[i] as number, key, 1, value));
    // The first half of the work fills the table and the cache of versions; the second one is measured.
    await checkpoint(store);
    let startedAtMs = performance.now();
    keys.forEach((key, i) => store.install(partitions[i] as number, key, 2, value));
    const installNs = ((performance.now() - startedAtMs) * 1e6) / keys.length;
    startedAtMs = performance.now();
    await new Promise<void>((resolve) => store.close(resolve));
    return { installNs, checkpointNs: ((performance.now() - startedAtMs) * 1e6) / keys.length };
  } finally {
    Digests.prototype.change = change;
    bench.remove();
  }
}

async function checkpoint(store: Store): Promise<void> {
  await new Promise<void>((resolve) => store.atRest((_rest, resume) => {
    resume();
    resolve();
  }));
}

/** `itemNs`: what one item takes to hash, of which an overwriting has two. */
export async function measureStore(keyCount: number, itemNs: number): Promise<Micro[]> {
  const keys = Array.from({ length: keyCount }, (_, i) => `row:${String((i * 7_919) % keyCount).padStart(9, '0')}`);
  const passes: { readonly with: Pass[]; readonly without: Pass[] } = { with: [], without: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const kind of ['with', 'without'] as const) {
      const result = await pass(kind === 'with', keys);
      if (round > 0) passes[kind].push(result);
    }
  }
  const install = microOf('store: install a version over another', 'ns', passes.with.map(({ installNs }) => installNs));
  const checkpointed = microOf('store: checkpoint, a key', 'ns', passes.with.map(({ checkpointNs }) => checkpointNs));
  const digests = passes.with.map((one, i) => {
    const other = passes.without[i] as Pass;
    return one.installNs - other.installNs + one.checkpointNs - other.checkpointNs + 2 * itemNs;
  });
  return [
    install, checkpointed,
    microOf('store: install, digests not added up', 'ns', passes.without.map(({ installNs }) => installNs)),
    microOf('store: checkpoint, a key, without rows of digests', 'ns', passes.without.map(({ checkpointNs }) => checkpointNs)),
    microOf('digests: all of their cost, a write', 'ns', digests),
  ];
}
