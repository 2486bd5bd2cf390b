/**
 * How long a restart takes after SIGKILL when the journal is at its largest.
 *
 * The journal holds what came since the last complete checkpoint, and the bound of the overlay is what makes it end if time does
 * not. So here time never does, rows are written as fast as they are taken, and the node is killed when its overlay is as
 * full as it was ever seen.
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../client/index.ts';
import { LocalCluster } from '../cluster.ts';
import { dtp } from '../targets/dtp.ts';
import { Dataset } from './dataset.ts';
import { Observer } from './observer.ts';

export interface Restart {
  readonly journalBytes: number;
  readonly overlayBytes: number;
  readonly replayedRecords: number;
  readonly replayMs: number;
  /** From the start of the process until it served. */
  readonly startMs: number;
}

export interface RestartOptions {
  readonly times: number;
  /** In which the fullest state is looked for. */
  readonly seconds: number;
  readonly keys: number;
  readonly valueBytes: number;
}

const settings = { store: { checkpointIntervalMs: 600_000 } };
const pollMs = 10;
const nearlyAsFull = 0.95;
const killWithinMs = 120_000;

export async function restartAtFullest({ times, seconds, keys, valueBytes }: RestartOptions): Promise<{ readonly restarts: readonly Restart[]; readonly faults: readonly string[] }> {
  const cluster = await LocalCluster.start({ settings });
  const db = await connect({ nodes: cluster.urls });
  const session = await dtp.connect({ target: 'dtp', urls: cluster.urls });
  const dataset = new Dataset(session, keys, valueBytes);
  const observer = new Observer(db);
  const { id } = cluster.nodes.at(-1) as { id: string };
  const overlayBytes = async (): Promise<number> => (await observer.node(id)).store?.overlayBytes ?? 0;
  let goesOn = true;
  const writing = (async () => {
    while (goesOn) await dataset.write();
  })();
  const stopped = writing.catch(() => {});
  const restarts: Restart[] = [];
  try {
    let fullest = 0;
    for (const untilMs = performance.now() + seconds * 1_000; performance.now() < untilMs; await delay(pollMs)) fullest = Math.max(fullest, await overlayBytes());
    for (let i = 0; i < times; i++) {
      // It gets less full as the table grows, and the machine does not always give as much.
      let wanted = nearlyAsFull * fullest;
      const sinceMs = performance.now();
      let full = await overlayBytes();
      while (full < wanted) {
        await Promise.race([delay(pollMs), writing]);
        full = await overlayBytes();
        if (performance.now() - sinceMs > killWithinMs) wanted *= nearlyAsFull;
      }
      await cluster.kill(id);
      const journalBytes = bytesOf(path.join(cluster.dataDirectory(id), 'journal'));
      const startedAtMs = performance.now();
      await cluster.start(id);
      const startMs = performance.now() - startedAtMs;
      await observer.whole(60_000);
      const { store } = await observer.node(id);
      restarts.push({ journalBytes, overlayBytes: full, replayedRecords: store?.replayedRecords ?? Number.NaN, replayMs: store?.replayMs ?? Number.NaN, startMs });
    }
    goesOn = false;
    await writing;
    return { restarts, faults: await dataset.verify() };
  } finally {
    goesOn = false;
    await stopped;
    await session.close();
    await db.close();
    await cluster.stop();
  }
}

function bytesOf(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(path.join(directory, name)).size, 0);
}
