/** A simulated client: a production database handle, and what a workload needs to work with it. */
import { Database } from '../../client/cluster.ts';
import { DtpError, type CommitProtocol, type TransactionOptions } from '../../client/index.ts';
import { settingsOf } from '../../client/options.ts';
import { Router } from '../../client/routing.ts';
import { limits } from '../../client/wire/limits.ts';
import type { Outcome } from './checker/history.ts';
import { urlOf, type SimCluster } from './cluster.ts';
import { askLate, type Committed } from './late-question.ts';
import type { Random } from './random.ts';
import type { SimRuntime } from './runtime.ts';
import { bend, type Routing } from './wilful.ts';

export interface ClientOptions {
  readonly random: Random;
  /** At times gives its operations up early, by a short timeout or a signal. Other clients wait long, and nothing may go wrong for them. */
  readonly hasty: boolean;
  /** Its operations use one or another of these; without, what the cluster is configured for. */
  readonly protocols?: readonly CommitProtocol[];
  /** As clients do, unless told. */
  readonly routing?: Routing;
  readonly cacheBytes?: number;
}

/** What a client's code gets to work with. */
export interface Client {
  readonly db: Database;
  /** Which process it is, from 1: one that is killed does not come back under its number. */
  readonly process: number;
  readonly name: string;
  readonly hasty: boolean;
  readonly random: Random;
  /** True once the workload shall end. */
  readonly over: () => boolean;
  readonly sleep: (ms: number) => Promise<void>;
  /** Options for an operation; `done` must be called when it has ended. */
  readonly terms: () => { options: TransactionOptions; done: () => void };
  /** Throws if a node denies that it is committed. */
  readonly askLate: (committed: Committed) => Promise<void>;
  /** Tells the trace what it does. */
  readonly tell: (what: string, detail: string) => void;
  /** The same for the end of an operation, which counts. */
  readonly ended: (outcome: Outcome, detail: string) => void;
}

/** Long enough to outlast the loss of a node, short enough to be seen to expire. */
const patientMs = 3_000;
/** For what is done before the faults and after them. A run may have drawn a network on which most attempts time out, and still the next one may not. */
export const undisturbedMs = limits.deadlineMsMax;

/** Connects, and again if that fails, until it does or all is over; runs `main`; takes leave. */
export async function runClient(cluster: SimCluster, runtime: SimRuntime, process: number, { random, hasty, protocols, routing = 'led', cacheBytes }: ClientOptions, main: (client: Client) => Promise<void>): Promise<void> {
  const sleep = (ms: number) => new Promise<void>((resolve) => void runtime.after(ms, resolve));
  const name = runtime.process.host;
  const tell = (what: string, detail: string): void => cluster.world.trace.record(runtime.process.name, what, detail);
  const ended = (outcome: Outcome, detail: string): void => {
    if (hasty) cluster.outcomes[outcome]++;
    tell(outcome, detail);
  };
  for (;;) {
    let router: Router;
    try {
      router = await Router.open(settingsOf({ nodes: random.shuffled(cluster.ids).map(urlOf), cacheBytes }), runtime);
    } catch (error) {
      if (!(error instanceof DtpError)) throw error;
      if (cluster.over) return;
      await sleep(200);
      continue;
    }
    bend(router, routing, random.fork('routing'));
    const db = new Database(router);
    const terms = () => (hasty ? drawTerms(runtime, random, protocols) : { options: { timeoutMs: undisturbedMs }, done: () => {} });
    await main({ db, process, name, hasty, random, over: () => cluster.over, sleep, terms, askLate: (committed) => askLate(router, (nodes) => random.pick(nodes), committed), tell, ended });
    return db.close();
  }
}

/** Most callers wait; some give an operation hardly time to begin, some take it back while it is under way. */
function drawTerms(runtime: SimRuntime, random: Random, protocols: readonly CommitProtocol[] | undefined): { options: TransactionOptions; done: () => void } {
  const protocol = protocols === undefined ? undefined : random.pick(protocols);
  const draw = random.float();
  if (draw < 0.05) return { options: { protocol, timeoutMs: 1 + Math.floor(random.exponential(50)) }, done: () => {} };
  if (draw < 0.9) return { options: { protocol, timeoutMs: patientMs }, done: () => {} };
  if (draw < 0.95) return { options: { protocol, timeoutMs: patientMs, maxAttempts: 1 + random.below(3) }, done: () => {} };
  const controller = new AbortController();
  const timer = runtime.after(random.exponential(20), () => controller.abort(new Error('the caller has changed its mind')));
  return { options: { protocol, timeoutMs: patientMs, signal: controller.signal }, done: () => timer.cancel() };
}
