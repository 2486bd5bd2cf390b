/**
 * The commit protocols in turns on one cluster of real processes: the same callers, connections, disks and keys, and in each
 * round one short turn for each protocol, every round beginning with another one. So whatever else the machine does hits
 * all of them alike, and the figures that count are ratios within a round.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type CommitProtocol, type Database } from '../client/index.ts';
import { LocalCluster } from './cluster.ts';
import { Load } from './load/client.ts';
import type { LoopResult } from './load/recorder.ts';
import { countersAtRest, difference, type Counters } from './protocol-counters.ts';
import { processorMs } from './usage.ts';
import type { WorkloadName } from './workloads/registry.ts';

export interface TurnsOptions {
  readonly protocols: readonly CommitProtocol[];
  readonly workload: WorkloadName;
  readonly callers: readonly number[];
  readonly rounds: number;
  /** Measured in each turn, after a third of that to warm up. */
  readonly seconds: number;
  readonly say: (line: string) => void;
}

export interface Turn {
  readonly round: number;
  readonly protocol: CommitProtocol;
  readonly callers: number;
  readonly result: LoopResult;
  /** By the nodes, over all of the turn, from rest to rest. */
  readonly counted: Counters;
  /** Of the nodes, over all of the turn. */
  readonly processorMs: number;
}

const quietTimeoutMs = 30_000;

/** `faults`: what was wrong with the data in the end. */
export async function takeTurns({ protocols, workload, callers, rounds, seconds, say }: TurnsOptions): Promise<{ turns: Turn[]; faults: readonly string[] }> {
  const cluster = await LocalCluster.start();
  const load = new Load();
  const observer = await connect({ nodes: cluster.urls });
  const turns: Turn[] = [];
  try {
    await load.prepare({ target: 'dtp', urls: cluster.urls }, workload, { keys: 10_000, valueBytes: 100, distribution: 'uniform' });
    for (const count of callers) {
      for (let round = 0; round < rounds; round++) {
        for (const protocol of rotated(protocols, round)) {
          const before = await atRest(observer);
          const usedMs = nodesProcessorMs(cluster);
          const result = await load.run({ callers: count, warmUpMs: (seconds * 1_000) / 3, measureMs: seconds * 1_000, variant: protocol });
          const counted = difference(await atRest(observer), before);
          turns.push({ round, protocol, callers: count, result, counted, processorMs: nodesProcessorMs(cluster) - usedMs });
          say(`${protocol}, ${count === 1 ? '1 caller' : `${count} callers`}, round ${round + 1} of ${rounds}: ${Math.round(result.perSecond)} committed/s`);
        }
      }
    }
    return { turns, faults: await load.verify() };
  } finally {
    await load.stop();
    await observer.close();
    await cluster.stop();
  }
}

function rotated<T>(items: readonly T[], by: number): T[] {
  return items.map((_, i) => items[(i + by) % items.length] as T);
}

function nodesProcessorMs({ nodes }: LocalCluster): number {
  return nodes.reduce((sum, { pid }) => sum + processorMs(pid), 0);
}

function atRest(observer: Database): Promise<Counters> {
  const untilMs = performance.now() + quietTimeoutMs;
  return countersAtRest(() => observer.status(), async () => {
    if (performance.now() > untilMs) throw new Error(`the nodes are still at work ${quietTimeoutMs} ms after the last call`);
    await delay(20);
  });
}
