/**
 * What happens to others when a coordinator is killed in the middle of a transaction: how long reads and writes of its keys
 * stand still, and what becomes of it.
 *
 * In a simulated cluster under virtual time, for two reasons. The moments are exact: the process is gone between two
 * messages, at the same one each time. And the machine has no part in it: what is measured are the protocol's waits on
 * simulated links and disks, not the processors. Nodes and clients are the code of production; how long a
 * restarted process takes to load, which is some tenths of a second, is not in it.
 */
import type { CommitProtocol, Database } from '../client/index.ts';
import { simulate } from '../test/sim/testing.ts';
import { isAtRest } from './protocol-counters.ts';

/** How long a message takes, drawn for each seed. A flush takes as long, about. */
const latencyMs = [0.1, 0.3] as const;

/** Just before which message the coordinator is killed; `nth` of those it sends to, or gets from, the two other replicas. */
interface Moment {
  readonly message: string;
  readonly nth: number;
  readonly when: 'before' | 'after';
}

export interface Step {
  readonly name: string;
  readonly meaning: string;
  /** Null: nothing is under way. */
  moment(protocol: CommitProtocol): Moment | null;
}

/** On three replicas two OK votes decide, the coordinator's own being one; DTP waits for the third, which spares it a round. */
const decidingVote = (protocol: CommitProtocol): number => (protocol === 'dtp' ? 2 : 1);

export const steps: readonly Step[] = [
  { name: 'idle', meaning: 'no transaction is under way: what any loss of a node costs', moment: () => null },
  { name: 'prepares sent', meaning: 'the prepares have left, and no vote has come', moment: () => ({ message: 'send prepare', nth: 2, when: 'after' }) },
  { name: 'votes arrived', meaning: 'the vote that decides has arrived, and nothing was done about it', moment: (protocol) => ({ message: 'receive vote', nth: decidingVote(protocol), when: 'before' }) },
  { name: 'decision durable', meaning: 'it is decided and durable (in the log, at the acceptors, or in the votes), and nobody was told', moment: () => ({ message: 'send decide', nth: 1, when: 'before' }) },
  { name: 'first decide sent', meaning: 'one of the other two replicas was told', moment: () => ({ message: 'send decide', nth: 2, when: 'before' }) },
];

export interface LossOptions {
  readonly protocol: CommitProtocol;
  readonly step: Step;
  readonly seed: number;
  /** Milliseconds after which the coordinator is started again; null: while others are watched, it isn't. */
  readonly backAfterMs: number | null;
  /** How long others are watched. */
  readonly watchedMs: number;
}

export interface Loss {
  /** From the kill until another client had read, or written, the transaction's keys; null: not while it was watched. */
  readonly readBlockedMs: number | null;
  readonly writeBlockedMs: number | null;
  /** What became of the transaction in the end, all nodes being back. */
  readonly outcome: 'committed' | 'aborted' | 'none';
  /** What its own client was told, which had as much time. */
  readonly told: 'committed' | 'aborted' | 'unknown' | 'none';
}

const a = '{keys}a';
const b = '{keys}b';
/** Written by the transaction alone. */
const receipt = '{keys}receipt';

/** Rejects with SimulationFailed if the cluster does wrong: a client was told what is not so, or it does not come to rest. */
export async function loseCoordinator({ protocol, step, seed, backAfterMs, watchedMs }: LossOptions): Promise<Loss> {
  const { result } = await simulate({ seed: `${step.name}/${seed}`, nodes: 3 }, async ({ db, cluster, sleep, now, random }): Promise<Loss> => {
    const [coordinator] = cluster.replicasOf(a) as [string];
    const [reader, writer] = await Promise.all([cluster.connect(), cluster.connect()]);
    // The same for all messages, so that what has left arrives before the news that its sender is dead.
    cluster.slow(cluster.nodes, random.between(...latencyMs));
    await db.transaction((tx) => [a, b].forEach((key) => tx.set(key, 0)), { protocol, timeoutMs: watchedMs });
    while (!isAtRest(await db.status())) await sleep(10);

    const moment = step.moment(protocol);
    const killed = moment === null ? cluster.crash(coordinator) : cluster.crashAt(coordinator, moment.message, moment);
    const told = moment === null ? 'none' : commitOnce(db, protocol, watchedMs);
    await killed;
    const killedAtMs = now();
    const since = (): number => now() - killedAtMs;
    const back = backAfterMs === null ? null : sleep(backAfterMs).then(() => cluster.restart(coordinator));
    const options = { timeoutMs: watchedMs };
    const [readBlockedMs, writeBlockedMs] = await Promise.all([
      reader.get(a, options).then(since, () => null),
      writer.transaction(async (tx) => {
        const value = await tx.get<number>(a);
        for (const key of [a, b]) tx.set(key, value + 1);
      }, { ...options, protocol, maxAttempts: 1e6 }).then(since, () => null),
    ]);
    const toldInTheEnd = await told;
    await back;
    await cluster.calm();
    const outcome = moment === null ? 'none' : (await db.get(receipt, { timeoutMs: 60_000 })) === undefined ? 'aborted' : 'committed';
    if (toldInTheEnd !== 'unknown' && toldInTheEnd !== outcome) throw new Error(`the client was told that it is ${toldInTheEnd}, and it is ${outcome}`);
    return { readBlockedMs, writeBlockedMs, outcome, told: toldInTheEnd };
  });
  return result;
}

/** Without a second attempt: it must be known of which one the outcome is. */
async function commitOnce(db: Database, protocol: CommitProtocol, timeoutMs: number): Promise<'committed' | 'aborted' | 'unknown'> {
  try {
    await db.transaction((tx) => [a, b, receipt].forEach((key) => tx.set(key, 1)), { protocol, timeoutMs, maxAttempts: 1 });
    return 'committed';
  } catch (error) {
    const { definite } = error as { definite?: boolean };
    if (definite === undefined) throw error;
    return definite ? 'aborted' : 'unknown';
  }
}
