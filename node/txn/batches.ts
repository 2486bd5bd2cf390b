/**
 * Group commit of transactions: what comes while the replicas are busy with those before travels as one.
 *
 * A batch is to the replicas a single transaction: one prepare, one record, one vote of each, one decision, and all of it is
 * committed at one instant, or nothing is. It goes by the highest of their numbers and names the others. What a replica
 * does for a transaction it does for a batch, so a busy coordinator costs the others little more than an idle one. (Group commit:
 * Gray and Reuter 1993; batches of a commit proxy: FoundationDB, SIGMOD 2021.)
 *
 * By the highest, since numbers come in any order, and what is below the coordinator's watermark is forgotten: so a batch goes when
 * all of its parts may, and none is ever unknown and yet not finished, which would be as if it had never begun.
 *
 * To the clients they are different transactions still, each with its name, by which anybody may ask for its outcome. So a
 * number is in one batch and never in another one, nor alone after that: a batch that is aborted is aborted for all, and their
 * clients try again. Who is asked about a part of it tells of the batch; who promised to have no vote for a part has none for the batch
 * (participant.ts): if a majority of some group has, the batch can't be committed any more.
 *
 * Those that read nothing but what they change, as operations and blind writes do, may follow one another on the same key within
 * a batch: each is applied to what the one before it leaves, and only what the last one leaves is written. So a hot key bears as many
 * of them as a batch holds, and not one for each commit. What reads by itself waits for them.
 *
 * Nothing waits where nothing is under way. The more often batches are aborted, the smaller they get, and the other way round.
 */
import { encodeBody } from '../../client/wire/codec.ts';
import { EventKind } from '../../client/wire/events.ts';
import { limits } from '../../client/wire/limits.ts';
import { ABORT, AbortReason, type Key, type Value, type Version } from '../../client/wire/messages.ts';
import type { Group, Topology } from '../cluster/topology.ts';
import { parseBody } from './body.ts';
import type { Chronicle } from './chronicle.ts';
import type { HybridClock } from './clock.ts';
import type { Coordinator } from './coordinator.ts';
import type { ReadEntry } from './reads.ts';
import type { Refusal, Start } from './running.ts';

/** One of the transactions of a batch. */
export interface Part extends Omit<Start, 'timestamp'> {
  /** Called at most once, before its outcome is told: it is followed by another one that writes one of its keys. */
  readonly onOverwritten?: () => void;
}

export interface BatchesOptions {
  readonly topology: Topology;
  readonly coordinator: Pick<Coordinator, 'start'>;
  readonly clock: Pick<HybridClock, 'next'>;
  readonly incarnation: number;
  /** Runs a piece of work as an entrance from outside (see Loopback). */
  readonly during: (work: () => void) => void;
  /** Runs an action at the end of this turn of the event loop. */
  readonly defer: (action: () => void) => void;
  readonly chronicle?: Chronicle;
}

/** Batches of one group and protocol that are under way at once. */
const underWayMax = 2;
const partsMax = 64;
/** About what one frame holds. */
const bytesMax = limits.frameBytesTarget;
/** Those of more keys travel alone. */
const keysMax = 16;

/** What travels together: the transactions of one protocol that touch one group, and no other. */
interface Lane {
  /** What has not departed yet. */
  open: Open;
  /** What is under way. */
  readonly departed: Set<Open>;
  /** At most so many parts to a batch. */
  partsMax: number;
}

interface Open {
  readonly parts: Part[];
  bytes: number;
  /** What those of the parts leave that others may follow. */
  readonly left: Map<Key, Value>;
  /** What waits until all of this is over. */
  readonly then: (() => void)[];
}

const nothing = (): Open => ({ parts: [], bytes: 0, left: new Map(), then: [] });

export class Batches {
  readonly #options: BatchesOptions;
  readonly #lanes = new Map<Group, Map<number, Lane>>();
  readonly counters = { batches: 0, batched: 0, abortedTogether: 0 };

  constructor(options: BatchesOptions) {
    this.#options = options;
  }

  /**
   * Precondition: of those that were added and have no outcome, none writes what this one reads or writes, nor reads what this one
   * writes - but for those that it follows, which `left` told.
   *
   * `isFollowed`: others may follow it until it departs. Returns whether they still may: false too if it has departed at once.
   */
  add(part: Part, isFollowed = false): boolean {
    const group = this.#soleGroup(part.body.partitions);
    if (group === null || Math.max(part.body.readKeys.length, part.body.writeKeys.length) > keysMax) {
      this.#start([part], null, null);
      return false;
    }
    const lane = this.#laneOf(group, part.protocolNumber);
    const { open } = lane;
    open.parts.push(part);
    open.bytes += part.bytes.length;
    if (open.parts.length >= lane.partsMax || open.bytes >= bytesMax) {
      this.#depart(lane);
      return false;
    }
    if (open.parts.length === 1) this.#options.defer(() => this.#options.during(() => this.#departIfFree(lane)));
    if (isFollowed) part.body.writeKeys.forEach((key, i) => open.left.set(key, part.body.writeValues[i] as Value));
    return isFollowed;
  }

  /** May what reads and writes no more than these keys travel with others? */
  takes(keys: readonly Key[]): boolean {
    return keys.length <= keysMax && this.#soleGroup(keys.map(this.#options.topology.partitionOf)) !== null;
  }

  #soleGroup(partitions: readonly number[]): Group | null {
    const [group, another] = this.#options.topology.groupsOf(partitions);
    return another === undefined ? (group ?? null) : null;
  }

  /** What is left of the key by those that a transaction of this protocol may follow; undefined if nobody who has not departed changes it. Its version is yet to come. */
  left(key: Key, protocolNumber: number): ReadEntry | undefined {
    const { topology } = this.#options;
    const value = this.#lanes.get(topology.groupOf(topology.partitionOf(key)))?.get(protocolNumber)?.open.left.get(key);
    return value === undefined ? undefined : { version: 0, value };
  }

  /** If one of these keys is being changed by what others may follow, or might have, runs the action when that is over, and returns true. `follows`: unless it is what a transaction of that protocol still may. */
  wait(keys: readonly Key[], follows: number | null, action: () => void): boolean {
    const { topology } = this.#options;
    for (const key of keys) {
      for (const [protocolNumber, { open, departed }] of this.#lanes.get(topology.groupOf(topology.partitionOf(key))) ?? []) {
        if (protocolNumber !== follows && waitFor(open, key, action)) return true;
        for (const batch of departed) if (waitFor(batch, key, action)) return true;
      }
    }
    return false;
  }

  #departIfFree(lane: Lane): void {
    if (lane.open.parts.length > 0 && lane.departed.size < underWayMax) this.#depart(lane);
  }

  #laneOf(group: Group, protocol: number): Lane {
    let lanes = this.#lanes.get(group);
    if (lanes === undefined) this.#lanes.set(group, (lanes = new Map()));
    let lane = lanes.get(protocol);
    if (lane === undefined) lanes.set(protocol, (lane = { open: nothing(), departed: new Set(), partsMax }));
    return lane;
  }

  #depart(lane: Lane): void {
    const { open } = lane;
    lane.open = nothing();
    lane.departed.add(open);
    this.#start(open.parts, lane, open);
  }

  #start(parts: readonly Part[], lane: Lane | null, batch: Open | null): void {
    const { coordinator, clock } = this.#options;
    const [first] = parts as [Part];
    const over = (): void => {
      if (lane === null || batch === null || !lane.departed.delete(batch)) return;
      for (const action of batch.then) action();
      this.#departIfFree(lane);
    };
    coordinator.start({
      ...(parts.length === 1 ? first : this.#join(parts, batch !== null && batch.left.size > 0)),
      timestamp: clock.next(),
      onOutcome: (decision, refusal) => {
        if (lane !== null && parts.length > 1) this.#learn(lane, decision === ABORT);
        for (const part of parts) part.onOutcome(decision, decision === ABORT && parts.length > 1 ? refusalOf(part, refusal) : refusal);
        over();
      },
      onApplying: () => {
        for (const part of parts) part.onApplying?.();
        over();
      },
      onDoubt: () => {
        for (const part of parts) part.onDoubt();
        over();
      },
    });
  }

  /** Additive increase, multiplicative decrease, as of a window of TCP. */
  #learn(lane: Lane, isAborted: boolean): void {
    if (isAborted) this.counters.abortedTogether++;
    lane.partsMax = isAborted ? Math.max(1, lane.partsMax >> 1) : Math.min(partsMax, lane.partsMax + 1);
  }

  #join(parts: readonly Part[], someFollow: boolean): Part {
    const { topology, chronicle, incarnation } = this.#options;
    const leader = parts.reduce((highest, part) => (part.number > highest.number ? part : highest));
    const others = parts.filter((part) => part !== leader);
    this.counters.batches++;
    this.counters.batched += parts.length;
    const reads = new Map<Key, Version>();
    const writes = new Map<Key, Value>();
    for (const { body: { readKeys, readVersions, writeKeys, writeValues } } of parts) {
      // Of what two have read, the older version has to be current.
      for (let i = 0; i < readKeys.length; i++) reads.set(readKeys[i] as Key, Math.min(readVersions[i] as Version, reads.get(readKeys[i] as Key) ?? Number.POSITIVE_INFINITY));
      for (let i = 0; i < writeKeys.length; i++) writes.set(writeKeys[i] as Key, writeValues[i] as Value);
    }
    if (someFollow) for (const { body: { writeKeys, writeValues }, onOverwritten } of parts) if (writeKeys.some((key, i) => writes.get(key) !== writeValues[i])) onOverwritten?.();
    for (const { number } of others) chronicle?.note(EventKind.batched, topology.self, incarnation, number, 0, null, leader.number);
    const bytes = encodeBody([[...reads].flat(), [...writes].flat(), others.map(({ number }) => number)]);
    return { ...leader, bytes, body: parseBody(bytes, topology.partitionOf), deadlineAtMs: Math.max(...parts.map(({ deadlineAtMs }) => deadlineAtMs)) };
  }
}

function waitFor({ left, then }: Open, key: Key, action: () => void): boolean {
  if (!left.has(key)) return false;
  then.push(action);
  return true;
}

/** Why this one was aborted, given why the batch was: for its own sake, or because of the company that it was in. */
function refusalOf({ body }: Part, refusal: Refusal): Refusal {
  const isOwn = refusal.key === null || body.readKeys.includes(refusal.key) || body.writeKeys.includes(refusal.key);
  return isOwn ? refusal : { reason: AbortReason.conflict, key: null };
}
