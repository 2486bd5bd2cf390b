/** All workloads, by name. */
import type { Distribution } from '../load/choosers.ts';
import { MixWorkload } from './mix.ts';
import { ServerSideWorkload } from './server-side.ts';
import { TransferWorkload } from './transfers.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

interface Definition {
  readonly meaning: string;
  readonly make: (options: WorkloadOptions) => Workload;
  /** In place of what was asked for. */
  readonly keys?: number;
  readonly distribution?: Distribution;
  /** The target must have counters. */
  readonly serverSide?: true;
}

const hotKeys = 10;
const transfer = (options: WorkloadOptions): Workload => new TransferWorkload({ accounts: 2, readShare: 0 }, options);
const mix = (readShare: number, inserts = false) => (options: WorkloadOptions): Workload => new MixWorkload({ readShare, inserts }, options);
const serverSide = (options: WorkloadOptions): Workload => new ServerSideWorkload(options);

export const definitions = {
  'put': { meaning: 'W1: blind writes of single keys', make: mix(0) },
  'get': { meaning: 'W2: linearizable reads of single keys', make: mix(1) },
  'transfer': { meaning: 'W3: transactions that read two keys and write both', make: transfer },
  'hot': { meaning: `W4: the same on ${hotKeys} keys`, make: transfer, keys: hotKeys, distribution: 'uniform' },
  'call': { meaning: 'W5: transfers as one call that the server applies', make: serverSide, serverSide: true },
  'hot-call': { meaning: `W6: the same on ${hotKeys} keys`, make: serverSide, keys: hotKeys, distribution: 'uniform', serverSide: true },
  'ycsb-a': { meaning: 'half reads, half writes, popular keys', make: mix(0.5), distribution: 'zipf' },
  'ycsb-b': { meaning: '95 % reads, 5 % writes, popular keys', make: mix(0.95), distribution: 'zipf' },
  'ycsb-c': { meaning: 'reads of popular keys', make: mix(1), distribution: 'zipf' },
  'ycsb-d': { meaning: '95 % reads of the latest keys, 5 % new keys', make: mix(0.95, true), distribution: 'zipf' },
  'ycsb-f': { meaning: 'half reads, half transactions that read and write one key, popular keys', make: (options) => new TransferWorkload({ accounts: 1, readShare: 0.5 }, options), distribution: 'zipf' },
} as const satisfies Record<string, Definition>;

export type WorkloadName = keyof typeof definitions;
export const workloadNames = Object.keys(definitions) as WorkloadName[];

export function definitionOf(name: WorkloadName): Definition {
  return definitions[name];
}

/** With what the workload itself says in place of what was asked for. */
export function makeWorkload(name: WorkloadName, options: WorkloadOptions): Workload {
  const { make, keys, distribution } = definitionOf(name);
  return make({ ...options, keys: keys ?? options.keys, distribution: distribution ?? options.distribution });
}
