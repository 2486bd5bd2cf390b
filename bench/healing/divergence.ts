/** A node misses writes, or loses its disk: what it takes until all replicas are equal again. */
import { rmSync } from 'node:fs';
import type { LocalCluster } from '../cluster.ts';
import type { Dataset } from './dataset.ts';
import type { ByNode, Observer } from './observer.ts';

export interface Divergence {
  readonly what: string;
  readonly keys: number;
  /** Keys and values that differed. */
  readonly bytes: number;
  readonly keysPulled: number;
  /** By all nodes together, each byte once; and how many each received. */
  readonly bytesExchanged: number | null;
  readonly bytesReceived: ByNode | null;
  /** From the start of its process until it served. */
  readonly startMs: number;
  /** From when it served until all replicas were equal. */
  readonly healMs: number;
}

export interface Stage {
  readonly cluster: LocalCluster;
  readonly observer: Observer;
  readonly dataset: Dataset;
  /** The node that is lost each time. */
  readonly lost: string;
}

const restTimeoutMs = 60_000;
/** A node that the others don't take back heals never. */
const wholeTimeoutMs = 30_000;
const healTimeoutMs = 10 * 60_000;

/** The node is away while this is done. `keys`: how many differ afterwards. */
export async function heal({ cluster, observer, dataset, lost }: Stage, what: string, keys: () => number, meanwhile: () => Promise<void>): Promise<Divergence> {
  // What it knew and had not written down yet, a kill would add to what it misses.
  await observer.atRest(restTimeoutMs);
  await cluster.kill(lost);
  await observer.gone(lost, restTimeoutMs);
  await meanwhile();
  await observer.atRest(restTimeoutMs);
  const bytesBefore = await observer.bytes();
  const startedAtMs = performance.now();
  await cluster.start(lost);
  const servedAtMs = performance.now();
  await observer.whole(wholeTimeoutMs);
  const { atMs, keysPulled, bytes } = await observer.equal(lost, bytesBefore, healTimeoutMs);
  return { what, keys: keys(), bytes: dataset.bytesOf(keys()), keysPulled, bytesExchanged: bytes === null ? null : Object.values(bytes).reduce((sum, count) => sum + count, 0), bytesReceived: bytes, startMs: servedAtMs - startedAtMs, healMs: atMs - servedAtMs };
}

/** So many keys are written while it is away. */
export function missKeys(stage: Stage, count: number): Promise<Divergence> {
  const { keys } = stage.dataset;
  return heal(stage, count === 1 ? '1 key' : `${count} keys, ${((100 * count) / keys).toFixed(0)} %`, () => count, () => stage.dataset.write(count));
}

/** It comes back without its data. `others`: keys of about the same length that are not in the dataset. */
export function loseDisk(stage: Stage, others: number): Promise<Divergence> {
  const { cluster, dataset, lost } = stage;
  return heal(stage, 'an empty disk', () => dataset.keys + others, async () => rmSync(cluster.dataDirectory(lost), { recursive: true, force: true }));
}
