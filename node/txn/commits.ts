/**
 * Commit requests of clients: from their arrival, through the queue of their keys, to the answer.
 *
 * A transaction waits until it is first in line for all its keys and none of them is locked here by somebody else's;
 * only then is it worth asking the replicas. If what it read is stale by then, which on a hot key it nearly always is,
 * it would lose for ever: so instead of leaving the line it keeps its place for a short lease, and the client is told to
 * run again on the fresh values that come with the answer. Its second attempt starts at the head of the line.
 *
 * Server-side operations need none of that: they are applied to the values of the moment they are first in line.
 */
import type { ErrorCode } from '../../client/wire/errors.ts';
import { EventKind } from '../../client/wire/events.ts';
import { limits } from '../../client/wire/limits.ts';
import { ABORT, AbortReason, formatTxnId, Tag, type Commit, type Decision, type Key, type Message, type Operations, type Value, type Version } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Store } from '../store/store.ts';
import type { BlockedView } from './blocked.ts';
import { Batches } from './batches.ts';
import { parseBody } from './body.ts';
import type { Chronicle } from './chronicle.ts';
import type { HybridClock } from './clock.ts';
import type { Attempt, Client } from './commit-attempt.ts';
import { CommitNotes } from './commit-notes.ts';
import type { Coordinator } from './coordinator.ts';
import { covers, KeyQueue, placeFor } from './key-queue.ts';
import type { Leading } from './leading.ts';
import type { Ledger } from './ledger.ts';
import { Numbers } from './numbers.ts';
import { applyOperations, bodyWith, operationKeys, type Applied, type Clash } from './operations.ts';
import { ownEntries } from './own-entries.ts';
import { protocols } from './protocols/registry.ts';
import { groupDown } from './reachable.ts';
import { freshValues, type ReadEntry, type ReadFailure, type Reads } from './reads.ts';
import { inabilities, type Refusal } from './running.ts';

export interface CommitsOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly clock: HybridClock;
  readonly outbox: Outbox;
  readonly coordinator: Coordinator;
  readonly reads: Reads;
  readonly leading: Leading;
  readonly blocked: Pick<BlockedView, 'inTheWayOf'>;
  readonly nowMs: () => number;
  readonly during: (work: () => void) => void;
  /** Runs an action at the end of this turn of the event loop. */
  readonly defer: (action: () => void) => void;
  readonly turnLeaseMs: number;
  /** The protocol of transactions that name none, by its number. */
  readonly defaultProtocol: number;
  readonly incarnation: number;
  /** Where what happens is noted for whoever asks how a transaction went; nothing depends on it. */
  readonly chronicle?: Chronicle;
}

/** What MessagePack adds to the keys and values of the largest transaction. */
const bodyOverheadBytesMax = 32 * limits.transactionKeysMax;
/** More keys than this get no turn: their fresh values would not fit an answer, and so much can't be reserved. */
const leaseKeysMax = 64;
/** Turns in a row at one place. Who lost so often at the head of the line, with fresh values, does something else than run again; others wait. */
const turnsMax = 16;

export class Commits {
  readonly #options: CommitsOptions;
  readonly #queue = new KeyQueue();
  readonly #batches: Batches;
  readonly #notes: CommitNotes;
  readonly #numbers = new Numbers<Client>();
  readonly #attempts = new Set<Attempt>();
  readonly #leases = new Map<number, Attempt>();
  #lastLease = 0;
  readonly counters = { requests: 0, turnsOffered: 0, turnsTaken: 0, turnsExpired: 0 };

  constructor(options: CommitsOptions) {
    this.#options = options;
    this.#batches = new Batches(options);
    this.#notes = new CommitNotes(options);
  }

  get batches(): Readonly<Batches['counters']> {
    return this.#batches.counters;
  }

  get attemptCount(): number {
    return this.#attempts.size;
  }

  /** All numbers below are void, or were handed to the coordinator, or never will be. */
  get lowestPending(): number {
    let lowest = this.#numbers.lowestUnused;
    for (const { state, number } of this.#attempts) if (state === 'waiting' || state === 'running') lowest = Math.min(lowest, number);
    return lowest;
  }

  /** No transaction of this life with this number, or one above it, has begun. */
  get nextNumber(): number {
    return this.#numbers.next;
  }

  clientOpened(client: Client): void {
    const { first, count } = this.#numbers.grant(client);
    client.send([Tag.grant, first, count]);
  }

  /** What has not been asked of the replicas yet is dropped: its client will learn that nothing happened. */
  clientClosed(client: Client): void {
    this.#numbers.revoke(client);
    for (const attempt of [...this.#attempts]) {
      if (attempt.client === client && attempt.state !== 'running') this.#leave(attempt);
    }
  }

  /** Those who wait in vain here may find a majority at another node. All are answered before any leaves, or each would let the next one go ahead. */
  peerDown(): void {
    const { topology, outbox } = this.#options;
    const stranded = [...this.#attempts].filter((attempt) => {
      const down = attempt.state === 'waiting' ? groupDown(topology, outbox, attempt.place.keys) : null;
      if (down !== null) this.#answer(attempt, [Tag.failed, attempt.request, 'unavailable', down]);
      return down !== null;
    });
    for (const attempt of stranded) this.#leave(attempt);
  }

  /** Why this node coordinates no writes, in words: another one, whose disk is well, had better. */
  get #unable(): string | null {
    return this.#options.store.intake.refusal === null ? null : `on node ${this.#options.topology.self} ${this.#options.store.intake.refusal}`;
  }

  onCommit(client: Client, [, request, deadlineMs, number, epoch, namedProtocol, lease, wantTurn, bytes, operations]: Commit): void {
    const { topology, store, outbox, coordinator, leading, nowMs, defaultProtocol } = this.#options;
    this.counters.requests++;
    const held = this.#takeLease(client, lease);
    const refuse = (code: ErrorCode, message: string) => {
      if (held !== null) this.#leave(held);
      client.send([Tag.failed, request, code, message]);
    };
    const granted = this.#numbers.take(client, number);
    if (this.#numbers.wants(client)) this.clientOpened(client);
    if (!granted || store.standing.isUnfounded) return granted ? refuse('unavailable', 'this node is new, and has not been connected with all others at once') : refuse('number-void', `transaction number ${number} is not granted to this session`);
    if (epoch !== topology.epoch) return refuse('wrong-view', `the view is of epoch ${topology.epoch}, not ${epoch}`);
    const protocolNumber = namedProtocol ?? defaultProtocol;
    const protocol = protocols[protocolNumber];
    if (protocol === undefined) return refuse('unknown-protocol', `no commit protocol has number ${protocolNumber}`);
    if (this.#attempts.size + coordinator.busyCount >= limits.coordinatorTransactionsMax) return refuse('overloaded', 'too many transactions are under way here');
    const body = parseBody(bytes, topology.partitionOf);
    const operands = operations === null ? [] : operationKeys(operations);
    if (bytes.length > limits.transactionBytesMax + bodyOverheadBytesMax || operands.length > limits.transactionKeysMax) return refuse('transaction-too-large', 'more keys or bytes than a transaction may have');
    if (body.partitions.length === 0 && operands.length === 0) return refuse('invalid-argument', 'a transaction that reads and writes nothing');
    if (operands.some((key) => body.writeKeys.includes(key))) return refuse('invalid-argument', 'a transaction that writes a key and operates on it');
    const place = placeFor(body.readKeys, [...body.writeKeys, ...operands], () => this.#run(attempt));
    const down = groupDown(topology, outbox, place.keys);
    if (down !== null) return refuse('unavailable', down);
    const unable = body.writeKeys.length + operands.length > 0 ? this.#unable : null;
    if (unable !== null) return refuse('unavailable', unable);
    const attempt: Attempt = {
      client, request, number, deadlineAtMs: nowMs() + Math.min(deadlineMs, limits.deadlineMsMax), protocolNumber, protocol, wantTurn, turns: held === null ? 0 : held.turns + 1,
      operations: operations !== null && operations.length > 0 ? operations : null,
      bytes, body, place, mayFollow: body.readKeys.length === 0 && this.#batches.takes(place.keys), state: 'waiting', isFollowed: false, isOverwritten: false, leaseUntilMs: 0, answered: false,
    };
    this.#attempts.add(attempt);
    this.#notes.note(EventKind.requested, attempt, 0, protocolNumber);
    const leader = leading.arrived(client, place.keys);
    if (leader !== null) this.#notes.note(EventKind.led, attempt, 0, 0, 0, null, null, leader);
    this.#begin(attempt, held);
  }

  onGiveUp(client: Client, lease: number): void {
    const held = this.#takeLease(client, lease);
    if (held !== null) this.#leave(held);
  }

  tick(): void {
    const now = this.#options.nowMs();
    for (const attempt of [...this.#attempts]) {
      if (attempt.state === 'leased') {
        if (now < attempt.leaseUntilMs) continue;
        this.counters.turnsExpired++;
        this.#leave(attempt);
      } else if (now >= attempt.deadlineAtMs && !attempt.answered) {
        if (attempt.state === 'running') this.#answer(attempt, [Tag.failed, attempt.request, 'outcome-unknown', 'no decision before the deadline']);
        else if (attempt.state === 'applying') this.#answer(attempt, [Tag.failed, attempt.request, 'outcome-unknown', 'no majority has applied it before the deadline']);
        else this.#timeOut(attempt);
      }
    }
    for (const [lease, attempt] of this.#leases) if (!this.#attempts.has(attempt)) this.#leases.delete(lease);
    for (const client of this.#numbers.revokeLagging()) this.clientOpened(client);
  }

  #begin(attempt: Attempt, held: Attempt | null): void {
    if (held !== null && covers(held.place, attempt.place)) {
      // The new attempt steps into the place of the old one.
      this.counters.turnsTaken++;
      this.#attempts.delete(held);
      attempt.place = held.place;
      attempt.place.onTurn = () => this.#run(attempt);
      return this.#run(attempt);
    }
    if (held !== null) this.#leave(held);
    // Reads alone are in nobody's way, so they don't stand in line either.
    if (isReadOnly(attempt)) this.#confirm(attempt, false);
    else this.#queueUp(attempt);
  }

  /** First in line. Waits for locks of others on this replica, then asks all replicas. */
  #run(attempt: Attempt): void {
    const { ledger, topology, store, leading, during } = this.#options;
    if (!this.#attempts.has(attempt) || attempt.answered || !attempt.client.open) return this.#leave(attempt);
    const { keys, exclusive } = attempt.place;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as Key;
      const holder = ledger.locks.holderOf(key, exclusive[i] as boolean);
      if (holder === null) continue;
      this.#notes.note(EventKind.queued, attempt, 0, 0, 0, key, formatTxnId(holder.id));
      leading.met(key, keys, formatTxnId(holder.id));
      return ledger.locks.whenFree(key, exclusive[i] as boolean, () => during(() => this.#run(attempt)), () => !this.#attempts.has(attempt));
    }
    if (this.#waitForBatch(attempt, attempt.mayFollow ? attempt.protocolNumber : null)) return;
    const { readKeys, readVersions, readPartitions } = attempt.body;
    const stale = readKeys.findIndex((key, i) => topology.isMine(readPartitions[i] as number) && store.versions.newerThan(readPartitions[i] as number, key, readVersions[i] as Version) > 0);
    // This replica knows better, and nobody has a lock here: what it has itself is as good a guess as what a majority has.
    if (stale >= 0) return this.#lost(attempt, { reason: AbortReason.stale, key: readKeys[stale] as Key }, ownEntries(keys, this.#options));
    if (isReadOnly(attempt)) return this.#confirm(attempt, true);
    if (this.#unable !== null) return this.#fail(attempt, this.#unable);
    attempt.state = 'running';
    if (attempt.operations === null) return this.#start(attempt);
    this.#operate(attempt, attempt.operations);
  }

  #start(attempt: Attempt): void {
    const { clock } = this.#options;
    for (const version of attempt.body.readVersions) clock.observeClaim(version);
    const isFollowed = this.#batches.add({
      number: attempt.number, protocolNumber: attempt.protocolNumber, protocol: attempt.protocol,
      bytes: attempt.bytes, body: attempt.body, deadlineAtMs: attempt.deadlineAtMs,
      onOutcome: (decision, refusal) => this.#decided(attempt, decision, refusal),
      onOverwritten: () => void (attempt.isOverwritten = true),
      onApplying: () => {
        attempt.state = 'applying';
        this.#queue.leave(attempt.place);
      },
      // A node that is cut off may never learn it; the client, if it asks elsewhere, soon will.
      onDoubt: () => this.#answer(attempt, [Tag.failed, attempt.request, 'outcome-unknown', 'the coordinator can not decide it']),
    }, attempt.mayFollow);
    if (!isFollowed) return;
    attempt.isFollowed = true;
    this.#queue.leave(attempt.place);
  }

  #operate(attempt: Attempt, operations: Operations): void {
    const { reads } = this.#options;
    const keys = operationKeys(operations);
    const own = ownEntries(keys, this.#options);
    if (own !== null) {
      const applied = applyOperations(operations, (key) => this.#batches.left(key, attempt.protocolNumber) ?? own[keys.indexOf(key)] ?? absent);
      const { clash } = applied;
      // That it fails must be true of what is committed.
      if (clash !== null && this.#waitForBatch(attempt, null)) return;
      for (const key of keys) if (this.#batches.left(key, attempt.protocolNumber) !== undefined) applied.reads.delete(key);
      return this.#apply(attempt, applied);
    }
    if (this.#waitForBatch(attempt, null)) return;
    reads.get(
      keys,
      attempt.deadlineAtMs,
      (entries) => this.#apply(attempt, applyOperations(operations, (key) => entries[keys.indexOf(key)] ?? absent)),
      (why) => this.#readFailed(attempt, why),
    );
  }

  /** Looks again when those are decided that are out of the line and change one of its keys; returns false if there are none that it may not follow. */
  #waitForBatch(attempt: Attempt, follows: number | null): boolean {
    const isInTheWay = this.#batches.wait(attempt.place.keys, follows, () => this.#options.during(() => this.#run(attempt)));
    if (isInTheWay) attempt.state = 'waiting';
    return isInTheWay;
  }

  #apply(attempt: Attempt, applied: Applied): void {
    const { clash, reads } = applied;
    if (clash !== null) return this.#clashed(attempt, clash, reads.get(clash.key) as Version);
    const { topology } = this.#options;
    const bytes = bodyWith(attempt.body, applied, topology.partitionOf);
    if (typeof bytes === 'string') return this.#lost(attempt, { reason: AbortReason.stale, key: bytes });
    attempt.bytes = bytes;
    attempt.body = parseBody(bytes, topology.partitionOf);
    this.#start(attempt);
  }

  /** That a bound would be crossed is an answer like a read's, so it must be true of the newest value. */
  #clashed(attempt: Attempt, { reason, key, value }: Clash, version: Version): void {
    this.#options.reads.confirm(
      [key], [version], attempt.deadlineAtMs,
      (staleKey) => (staleKey === null ? this.#abort(attempt, reason, key, value) : this.#lost(attempt, { reason: AbortReason.stale, key })),
      (why) => this.#readFailed(attempt, why),
    );
  }

  #confirm(attempt: Attempt, inLine: boolean): void {
    attempt.state = 'running';
    this.#notes.note(EventKind.confirming, attempt);
    const { readKeys, readVersions } = attempt.body;
    this.#options.reads.confirm(
      readKeys, readVersions, attempt.deadlineAtMs,
      (staleKey) => {
        if (staleKey === null) return this.#decided(attempt, 0, null);
        if (inLine || !attempt.wantTurn) return this.#lost(attempt, { reason: AbortReason.stale, key: staleKey });
        attempt.state = 'waiting';
        attempt.place.onTurn = () => this.#lost(attempt, { reason: AbortReason.stale, key: staleKey });
        this.#queueUp(attempt);
      },
      (why) => this.#readFailed(attempt, why),
    );
  }

  /** `refusal` is null for a transaction that only read: it is committed, at no time of its own. */
  #decided(attempt: Attempt, decision: Decision, refusal: Refusal | null): void {
    if (refusal !== null && decision === ABORT) return this.#lost(attempt, refusal);
    this.#answer(attempt, [Tag.committed, attempt.request, decision, !attempt.isOverwritten]);
    this.#leave(attempt);
  }

  /** It lost to others. Whoever wants another turn keeps the place and gets fresh values, those that are `known`; else a majority's, by which a stale replica of ours catches up. */
  #lost(attempt: Attempt, { reason, key, holder = null }: Refusal, known: ReadEntry[] | null = null): void {
    const { reads, leading, nowMs, turnLeaseMs } = this.#options;
    if (typeof reason === 'string') return this.#fail(attempt, inabilities[reason]);
    const keys = attempt.place.keys;
    if (key !== null && holder !== null) leading.met(key, keys, holder);
    // It may have lost for the company that it was in alone.
    const worthIt = reason === AbortReason.stale || (reason === AbortReason.conflict && (key !== null || attempt.wantTurn));
    if (!worthIt || attempt.isFollowed || !attempt.client.open || attempt.answered || keys.length > leaseKeysMax) return this.#abort(attempt, reason, key, null);
    attempt.state = 'offering';
    const offer = (entries: ReadEntry[]) => {
      if (!this.#attempts.has(attempt) || attempt.answered) return;
      if (!attempt.wantTurn || attempt.turns >= turnsMax) return this.#abort(attempt, reason, key, null);
      attempt.state = 'leased';
      attempt.leaseUntilMs = nowMs() + turnLeaseMs;
      const lease = ++this.#lastLease;
      this.#leases.set(lease, attempt);
      this.counters.turnsOffered++;
      this.#answer(attempt, [Tag.aborted, attempt.request, reason, key, null, lease, freshValues(keys, entries)]);
    };
    if (known !== null) return offer(known);
    reads.get(keys, Math.min(attempt.deadlineAtMs, nowMs() + 4 * turnLeaseMs), offer, () => this.#abort(attempt, reason, key, null));
  }

  /** The replicas were asked for nothing but what they hold. */
  #readFailed(attempt: Attempt, why: ReadFailure): void {
    if (why === 'unavailable') this.#fail(attempt, 'too few replicas are connected, or sure of their copies, to make a majority: dtp status shows which');
    else this.#abort(attempt, AbortReason.timeout, null, null);
  }

  /** Nothing was written; another node may be able to. */
  #fail(attempt: Attempt, words: string): void {
    this.#answer(attempt, [Tag.failed, attempt.request, 'unavailable', words]);
    this.#leave(attempt);
  }

  /** In vain it waited in line; the client is told if that was for somebody who may never come. */
  #timeOut(attempt: Attempt): void {
    const blocker = this.#options.blocked.inTheWayOf(attempt.place.keys);
    if (blocker === null) return this.#abort(attempt, AbortReason.timeout, null, null);
    this.#answer(attempt, [Tag.failed, attempt.request, 'deadline-exceeded', blocker]);
    this.#leave(attempt);
  }

  #abort(attempt: Attempt, reason: AbortReason, key: Key | null, value: Value): void {
    this.#answer(attempt, [Tag.aborted, attempt.request, reason, key, value, 0, null]);
    this.#leave(attempt);
  }

  #answer(attempt: Attempt, message: Message): void {
    if (attempt.answered) return;
    attempt.answered = true;
    this.#notes.answered(attempt, message);
    attempt.client.send(message);
  }

  #queueUp(attempt: Attempt): void {
    const behind = this.#queue.enter(attempt.place);
    if (behind !== null) this.#notes.note(EventKind.queued, attempt, 0, 0, 0, behind);
  }

  #leave(attempt: Attempt): void {
    if (this.#attempts.delete(attempt)) this.#queue.leave(attempt.place);
  }

  #takeLease(client: Client, lease: number): Attempt | null {
    const held = this.#leases.get(lease);
    if (held === undefined || held.client !== client || !this.#attempts.has(held)) return null;
    this.#leases.delete(lease);
    return held;
  }
}

const absent: ReadEntry = { version: 0, value: null };
function isReadOnly({ body, operations }: Attempt): boolean {
  return operations === null && body.writeKeys.length === 0;
}
