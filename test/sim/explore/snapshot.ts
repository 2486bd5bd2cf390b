/**
 * A life written down: all that its future depends on, and nothing of how it came there.
 *
 * Left out are the times (only events of timers look at them, and those leap) and counters. What waits for the disk is a
 * closure that can't be looked into; so it is made to happen, at the end, when the life is of no more use.
 */
import { UNDECIDED, Vote, type Decision, type Version } from '../../../client/wire/messages.ts';
import type { Topology } from '../../../node/cluster/topology.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import type { Ledger } from '../../../node/txn/ledger.ts';
import type { MemoryStore } from './journal.ts';
import { restore, type Life } from './life.ts';
import type { Plan, Scope } from './scope.ts';

/** What is true of a life, for the explorer to judge. */
export interface View {
  readonly incarnation: number;
  /** By plan: its outcome, as far as this replica's memory goes. */
  readonly outcomes: readonly Decision[];
  /** By key, of those kept here: the version in memory. */
  readonly versions: readonly Version[];
  /** By key: the version that a restart would find. */
  readonly durableVersions: readonly Version[];
  /** By plan: would a restart find it prepared and undecided, with its locks? */
  readonly durablyLocked: readonly boolean[];
  /** Bit by node: the peers it believes to be connected. */
  readonly up: number;
  readonly hasVolatile: boolean;
  /** What waits longest for the disk is word of what may be forgotten. It takes effect only then; a floor does so too, but the prepares that it refuses can't come any more. */
  readonly flushForgets: boolean;
  /** How many transactions of its own it is in the middle of: for these a timer may matter. */
  readonly voting: number;
  readonly proposing: number;
  /** Its own undecided transactions and its recoveries: only these decide anything. */
  readonly deciding: number;
  /** Bit by plan: it is prepared and undecided here, or the batch is that goes by its name. */
  readonly locked: number;
  /** Bit by plan: a recovery of it is under way here, or somebody waits for what becomes of it. */
  readonly recovering: number;
  /** Nothing here waits for anything: no locks, no transaction of its own undecided, no recovery, nobody who asked. */
  readonly idle: boolean;
}

/** Writes down a ledger and the versions in its store, up to what a restart changes nothing about. */
function ledgerText({ nodes, keys, plans }: Scope, ledger: Ledger, store: MemoryStore): string {
  const lives = [...ledger.lives].map((life) => {
    const records = [...life.records].sort(([a], [b]) => a - b).map(([number, { id, state, epoch, protocol, timestamp, body, promised, accepted, outcome, others }]) => {
      if (id.number !== number) return [number, id.number];
      // Of what is decided the outcome is all that is ever looked at, and the writes, for those who ask.
      return state === 'decided' ? [number, state, outcome, body, others] : [number, state, epoch, protocol, timestamp, body, promised, accepted, outcome, others];
    });
    const retained = plans.map((plan, i) => (nodes[plan.coordinator] === life.node ? ledger.outcomeOfFinished({ node: life.node, incarnation: life.incarnation, number: i + 1 }) : null));
    return { name: `${life.node}:${life.incarnation}`, watermark: life.watermark, exceptions: [...life.exceptions], records, retained };
  }).filter(({ watermark, records }) => watermark > 0 || records.length > 0);
  lives.sort((a, b) => (a.name < b.name ? -1 : 1));
  return JSON.stringify([
    lives,
    nodes.map((node) => [ledger.lives.floorOf(node)?.incarnation ?? 0, ledger.lives.closedBelow(node)]),
    keys.map((key) => [store.versionOf(key), ledger.locks.holderOf(key, false)?.id.number ?? 0, ledger.locks.holderOf(key, true)?.id.number ?? 0]),
    ledger.locks.size,
    ledger.undecided.size,
  ]);
}

const watermarksOf = (scope: Scope, ledger: Ledger, life: Life): number[] => scope.keys.map((key) => ledger.readWatermark(life.topology.partitionOf(key)));

/** As a restart would find it. */
function restoreDurable(life: Life, durable: readonly JournalRecord[]): { ledger: Ledger; store: MemoryStore; clockLast: number } {
  const { ledger, store, clock } = restore(life.topology, durable, () => 0, life.mistake);
  return { ledger, store, clockLast: clock.last };
}

/** A life as text and as a view, and what it should not be, whatever the others are. It can't be lived on afterwards, unless nothing waits for its disk. */
export function examine(life: Life, scope: Scope, keeps: (record: JournalRecord) => boolean): { text: string; view: View; lockFault: string | null; restartFault: string | null } {
  const { ledger, store, coordinator, recovery, topology } = life;
  const kept = restoreDurable(life, store.durable.filter(keeps));
  const running = coordinator.describe();
  const attempts = recovery.describe();
  const now = ledgerText(scope, ledger, store);
  const later = ledgerText(scope, kept.ledger, kept.store);
  const view: View = {
    incarnation: life.incarnation,
    outcomes: scope.plans.map((plan, i) => outcomeOf(ledger, scope.nodes[plan.coordinator] as string, i + 1)),
    versions: scope.keys.map((key) => store.versionOf(key)),
    durableVersions: scope.keys.map((key) => kept.store.versionOf(key)),
    durablyLocked: scope.plans.map(({ batch, coordinator: by }) => [...kept.ledger.undecided].some(({ id }) => scope.plans[id.number - 1]!.batch === batch && id.node === scope.nodes[by])),
    up: scope.nodes.reduce((mask, node, i) => (life.up.has(node) ? mask | (1 << i) : mask), 0),
    hasVolatile: store.volatile.length > 0,
    flushForgets: store.volatile[0]?.some(([kind]) => kind === Kind.marks || kind === Kind.closed) ?? false,
    voting: running.filter(({ phase }) => phase === 'voting').length,
    proposing: running.filter(({ phase }) => phase === 'proposing').length,
    deciding: coordinator.undecidedCount + attempts.length,
    locked: [...ledger.undecided].reduce((mask, { id }) => mask | (1 << (id.number - 1)), 0),
    recovering: attempts.reduce((mask, { id }) => mask | (1 << (id.number - 1)), life.askedFor),
    idle: life.askedFor === 0 && ledger.undecided.size === 0 && ledger.locks.size === 0 && attempts.length === 0 && running.every(({ phase }) => phase === 'decided'),
  };
  const restartFault = store.volatile.length === 0 && now !== later ? `${topology.self} would not be the same after a restart: ${now} would be ${later}` : null;
  // Timestamps are proposed at the beginning of a transaction, and only there.
  const clockMatters = scope.plans.some(({ coordinator: by }, plan) => scope.nodes[by] === topology.self && !life.begun.has(plan));
  const text = [
    life.incarnation, view.up, life.askedFor, clockMatters ? life.clock.last : '', watermarksOf(scope, ledger, life).join(), now, JSON.stringify(running.sort((a, b) => a.number - b.number).map(essence)),
    JSON.stringify(attempts.map((attempt) => ({ ...attempt, witnesses: attempt.witnesses.sort((a, b) => (a.node < b.node ? -1 : 1)) })).sort((a, b) => a.id.number - b.id.number)),
    clockMatters ? kept.clockLast : '', watermarksOf(scope, kept.ledger, life).join(), later, JSON.stringify(store.volatile),
  ].join('\n');
  const lockFault = lockFaultOf(scope, ledger, topology);
  return { text: store.volatile.length === 0 ? text : `${text}\n${whatWaits(life)}`, view, lockFault, restartFault };
}

type Running = ReturnType<Life['coordinator']['describe']>[number];

/** Of a transaction that is decided the votes matter no more, but who voted OK has the writes; who acknowledged it matters while its client waits. */
function essence(running: Running): unknown {
  const { number, phase, votes, outcome, isAnswerDue, acknowledged, unacknowledged } = running;
  if (phase !== 'decided') return running;
  return { number, phase, outcome, acknowledged: isAnswerDue ? acknowledged : null, unacknowledged, recorded: votes.map((vote) => vote === Vote.ok) };
}

/** What the waiting closures will say and do, turn by turn; to whomever, for who is away may be back by then. */
function whatWaits(life: Life): string {
  const turns: string[] = [];
  for (const { id } of life.topology.view.members) if (id !== life.topology.self) life.up.add(id);
  try {
    while (life.store.volatile.length > 0) {
      life.said = [];
      life.handle({ kind: 'flush' });
      turns.push(JSON.stringify(life.said));
    }
  } catch (error) {
    // Its time to fail will come, if it comes to this.
    turns.push(String(error));
  }
  return turns.join('\n');
}

function outcomeOf(ledger: Ledger, node: string, number: number): Decision {
  for (const life of ledger.lives) {
    const outcome = life.node === node ? (life.records.get(number)?.outcome ?? UNDECIDED) : UNDECIDED;
    if (outcome !== UNDECIDED) return outcome;
  }
  return UNDECIDED;
}

/** A key is locked exactly while somebody prepared here and undecided wants it. */
function lockFaultOf({ keys, plans, batches }: Scope, ledger: Ledger, topology: Topology): string | null {
  const prepared = [...ledger.undecided].flatMap(({ id }) => batches[plans[id.number - 1]!.batch]!.map((plan) => ({ id, plan: plans[plan] as Plan })));
  for (const { id } of prepared) if (ledger.find(id)?.outcome !== UNDECIDED) return `${id.node}:${id.incarnation}:${id.number} is decided and counts as undecided`;
  for (const key of keys) {
    const writer = prepared.find(({ plan }) => plan.writes.includes(key));
    const reader = prepared.find(({ plan }) => plan.reads.includes(key));
    const holder = ledger.locks.holderOf(key, true);
    if (holder !== null && writer === undefined && reader === undefined) return `${key} is locked by ${holder.id.node}:${holder.id.number}, which is not prepared and undecided here`;
    if (holder === null && (writer ?? reader) !== undefined && topology.isMine(topology.partitionOf(key))) return `${key} is not locked, though ${(writer ?? reader)!.id.node}:${(writer ?? reader)!.id.number} is prepared and undecided here`;
  }
  return null;
}
