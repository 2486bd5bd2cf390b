/**
 * Reads that need a majority.
 *
 * *Linearizable get*: a majority of each key's replicas say which version they hold; one that is write-locked answers when
 * the lock is gone, for its holder may be committed already; the highest version counts. Every committed write left
 * its lock or its version on a majority before anybody was told, and any two majorities share a replica.
 *
 * *Confirm*: a majority of each key's replicas say that the version seen is still the newest they know. Then all versions
 * were current together at the instant the round began.
 *
 * The least number of replicas is asked first; if one of them is slow or goes away, the others are asked too.
 */
import { limits } from '../../client/wire/limits.ts';
import { Tag, type Confirm, type Confirmed, type Declined, type Key, type Message, type Peek, type Peeked, type Value, type Version } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Group, Topology } from '../cluster/topology.ts';
import type { Store } from '../store/store.ts';
import type { Ledger } from './ledger.ts';

export interface ReadsOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly outbox: Outbox;
  readonly nowMs: () => number;
  /** Runs a piece of work as an entrance from outside (see Loopback). */
  readonly during: (work: () => void) => void;
  /** After this long without an answer the replicas that were not asked at first are asked too. */
  readonly hedgeMs: number;
  /** Another replica had something newer of this key than we had. */
  readonly outdone?: (partition: number, key: Key) => void;
  /** Tells another replica newer versions than those it has; flat: key, version, value. Nothing depends on it. */
  readonly repair?: (member: string, entries: (Key | Version | Value)[]) => void;
}

export interface ReadEntry {
  readonly version: Version;
  readonly value: Value;
}

/** Why a read came to nothing. `unavailable`: fewer replicas are connected than make a majority. */
export type ReadFailure = 'timeout' | 'wrongView' | 'unavailable';

/** So that the values of all keys of a round fit one message, however large they are. */
const keysPerRound = Math.floor(limits.frameBytesMax / 2 / limits.valueBytesMax);

interface KeyState {
  readonly key: Key;
  readonly partition: number;
  readonly group: Group;
  answers: number;
  version: Version;
  value: Value;
  /** Which versions were reported by whom. */
  readonly told: (readonly [member: string, version: Version])[];
  /** Who reported the highest version without its value, if its value is missing. */
  valueAt: string | null;
  /** From whom the missing value is being fetched. */
  fetchedFrom: string | null;
  /** Who was asked about this key and has not gone away since; for its value, once that is being fetched. */
  asked: string[];
  /** Who is in doubt about its own copy and will not answer. */
  declined: string[];
}

interface Round {
  readonly keys: readonly KeyState[];
  readonly deadlineAtMs: number;
  /** When the replicas were last asked of which the answers are awaited first. */
  askedAtMs: number;
  readonly question: (request: number, member: string, keys: readonly KeyState[]) => Message;
  readonly failed: (why: ReadFailure) => void;
}

interface GetRound extends Round {
  readonly kind: 'get';
  readonly done: (entries: ReadEntry[]) => void;
}

interface ConfirmRound extends Round {
  readonly kind: 'confirm';
  readonly done: (staleKey: Key | null) => void;
}

/** What one replica is asked in one message. A round may ask it again, about other keys: each answer must find its own question. */
interface Question {
  readonly round: GetRound | ConfirmRound;
  readonly member: string;
  readonly keys: readonly KeyState[];
}

export class Reads {
  readonly #options: ReadsOptions;
  readonly #rounds = new Set<GetRound | ConfirmRound>();
  readonly #questions = new Map<number, Question>();
  #lastRequest = 0;
  /** How many sessions have ended, by peer. */
  readonly #sessionsEnded = new Map<string, number>();

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#rounds.size;
  }

  /** The newest committed entry of each key. A newer one than ours is taken over into our own store. */
  get(keys: readonly Key[], deadlineAtMs: number, done: (entries: ReadEntry[]) => void, failed: (why: ReadFailure) => void): void {
    if (keys.length === 0) return done([]);
    if (keys.length <= keysPerRound) return this.#getRound(keys, deadlineAtMs, done, failed);
    const parts: ReadEntry[][] = [];
    let missing = Math.ceil(keys.length / keysPerRound);
    let over = false;
    for (let part = 0; part * keysPerRound < keys.length; part++) {
      const arrived = (entries: ReadEntry[]): void => {
        parts[part] = entries;
        if (--missing === 0) done(parts.flat());
      };
      this.#getRound(keys.slice(part * keysPerRound, (part + 1) * keysPerRound), deadlineAtMs, arrived, (why) => {
        if (!over) failed(why);
        over = true;
      });
    }
  }

  #getRound(keys: readonly Key[], deadlineAtMs: number, done: (entries: ReadEntry[]) => void, failed: (why: ReadFailure) => void): void {
    const { topology, nowMs } = this.#options;
    const states = keys.map((key) => this.#stateOf(key));
    const question = (request: number, member: string, asked: readonly KeyState[]): Message => {
      const withValues = member === topology.self || asked.some((state) => state.valueAt !== null || !state.group.members.includes(topology.self));
      return [Tag.peek, request, topology.epoch, asked.map((state) => state.key), withValues];
    };
    this.#begin({ kind: 'get', keys: states, deadlineAtMs, askedAtMs: nowMs(), question, failed, done });
  }

  /** Calls `done` with null if all these versions were the newest at one instant since the call, else with a key that was not. */
  confirm(keys: readonly Key[], versions: readonly Version[], deadlineAtMs: number, done: (staleKey: Key | null) => void, failed: (why: ReadFailure) => void): void {
    const { topology, nowMs } = this.#options;
    const states = keys.map((key, i) => ({ ...this.#stateOf(key), version: versions[i] as Version }));
    const question = (request: number, _member: string, asked: readonly KeyState[]): Message =>
      [Tag.confirm, request, topology.epoch, asked.map((state) => state.key), asked.map((state) => state.version)];
    this.#begin({ kind: 'confirm', keys: states, deadlineAtMs, askedAtMs: nowMs(), question, failed, done });
  }

  /** A replica is asked for versions: it answers when none of the keys is write-locked any more. */
  onPeek(from: string, [, request, epoch, keys, withValues]: Peek): void {
    const { topology, store } = this.#options;
    const answerTo = this.#answerTo(from);
    if (epoch !== topology.epoch) return answerTo([Tag.peeked, request, topology.epoch, withValues, []]);
    if (!this.#isSureOf(keys)) return answerTo([Tag.declined, request]);
    this.#whenUnlocked(keys, () => {
      const answer: (Version | Value)[] = [];
      for (const key of keys) {
        if (withValues) {
          const entry = store.entry(key);
          answer.push(entry?.version ?? 0, entry?.value ?? null);
        } else answer.push(store.head(key)?.version ?? 0, null);
      }
      answerTo(this.#isSureOf(keys) ? [Tag.peeked, request, 0, withValues, answer] : [Tag.declined, request]);
    });
  }

  onConfirm(from: string, [, request, epoch, keys, versions]: Confirm): void {
    const { topology, store } = this.#options;
    const answerTo = this.#answerTo(from);
    if (epoch !== topology.epoch) return answerTo([Tag.confirmed, request, topology.epoch, null]);
    if (!this.#isSureOf(keys)) return answerTo([Tag.declined, request]);
    this.#whenUnlocked(keys, () => {
      const staleKey = keys.find((key, i) => store.versions.changedSince(topology.partitionOf(key), key, versions[i] as Version) > 0) ?? null;
      answerTo(this.#isSureOf(keys) ? [Tag.confirmed, request, 0, staleKey] : [Tag.declined, request]);
    });
  }

  /** Answers in the session of the question: in a later one a new life of the peer may have given the same number to another question. */
  #answerTo(from: string): (answer: Message) => void {
    const session = this.#sessionsEnded.get(from);
    return (answer) => {
      if (this.#sessionsEnded.get(from) === session) this.#options.outbox.send(from, answer);
    };
  }

  onPeeked(from: string, [, request, refusedEpoch, withValues, answer]: Peeked): void {
    const question = this.#answered(from, request);
    if (question?.round.kind !== 'get') return;
    const { round, keys } = question;
    if (refusedEpoch !== 0) return this.#fail(round, 'wrongView');
    if (answer.length !== 2 * keys.length) return;
    for (let i = 0; i < keys.length; i++) take(keys[i] as KeyState, from, answer[2 * i] as Version, withValues, answer[2 * i + 1] as Value);
    this.#finishGet(round);
  }

  onConfirmed(from: string, [, request, refusedEpoch, staleKey]: Confirmed): void {
    const question = this.#answered(from, request);
    if (question?.round.kind !== 'confirm') return;
    const { round, keys } = question;
    if (refusedEpoch !== 0) return this.#fail(round, 'wrongView');
    for (const state of keys) state.answers++;
    if (staleKey === null && !round.keys.every(isComplete)) return;
    this.#rounds.delete(round);
    round.done(staleKey);
  }

  /** The others are asked at once. */
  onDeclined(from: string, [, request]: Declined): void {
    const question = this.#answered(from, request);
    if (question === null) return;
    for (const state of question.keys) state.declined.push(from);
    this.#askOthers(question.round);
  }

  /** What the peer was asked goes to others, and to itself again if it comes back. */
  peerDown(peer: string): void {
    this.#sessionsEnded.set(peer, (this.#sessionsEnded.get(peer) ?? 0) + 1);
    for (const [request, { round, member, keys }] of [...this.#questions]) {
      if (member !== peer) continue;
      this.#questions.delete(request);
      for (const state of keys) state.asked = state.asked.filter((other) => other !== peer);
      if (!this.#rounds.has(round)) continue;
      this.#askOthers(round);
    }
  }

  tick(): void {
    const now = this.#options.nowMs();
    for (const round of [...this.#rounds]) {
      if (now >= round.deadlineAtMs) this.#fail(round, 'timeout');
      else if (now - round.askedAtMs >= this.#options.hedgeMs) this.#ask(round, everybody);
    }
    for (const [request, { round }] of this.#questions) if (!this.#rounds.has(round)) this.#questions.delete(request);
  }

  #askOthers(round: GetRound | ConfirmRound): void {
    if (this.#isHopeless(round)) this.#fail(round, 'unavailable');
    else this.#ask(round, everybody);
  }

  /** What was read of these keys may be said: to be asked when all of it is read, and before waiting for locks, for who must not answer need not wait. */
  #isSureOf(keys: readonly Key[]): boolean {
    const { topology, store } = this.#options;
    return keys.every((key) => store.doubts.isSure(topology.partitionOf(key)));
  }

  #stateOf(key: Key): KeyState {
    const partition = this.#options.topology.partitionOf(key);
    return { key, partition, group: this.#options.topology.groupOf(partition), answers: 0, told: [], version: -1, value: null, valueAt: null, fetchedFrom: null, asked: [], declined: [] };
  }

  /** Asks ourselves and as many live replicas, in the ring's order, as make majorities. */
  #begin(round: GetRound | ConfirmRound): void {
    const { topology, store, outbox } = this.#options;
    if (this.#isHopeless(round)) return round.failed('unavailable');
    this.#rounds.add(round);
    this.#ask(round, ({ group: { members, majority }, partition }) => {
      const self = members.includes(topology.self) && store.doubts.isSure(partition) ? [topology.self] : [];
      const others = topology.preferenceOf(partition).filter((member) => member !== topology.self && outbox.isUp(member));
      return [...self, ...others].slice(0, majority);
    });
  }

  /** Too few replicas of some key are left that have answered, or can: whoever asks had better ask another node. */
  #isHopeless({ keys }: Round): boolean {
    const { outbox } = this.#options;
    return keys.some(({ answers, asked, declined, group: { members, majority } }) => answers < majority && members.filter((member) => !declined.includes(member) && (asked.includes(member) || outbox.isUp(member))).length < majority);
  }

  /** Asks about every key that is not complete those replicas that are chosen for it and were not asked yet; each of them in one message. */
  #ask(round: GetRound | ConfirmRound, choose: (state: KeyState) => readonly string[]): void {
    const byMember = new Map<string, KeyState[]>();
    for (const state of round.keys) {
      if (isComplete(state)) continue;
      for (const member of choose(state)) {
        if (state.asked.includes(member) || state.declined.includes(member)) continue;
        const keys = byMember.get(member);
        if (keys === undefined) byMember.set(member, [state]);
        else keys.push(state);
      }
    }
    for (const [member, keys] of byMember) {
      const request = ++this.#lastRequest;
      if (!this.#options.outbox.send(member, round.question(request, member, keys))) continue;
      this.#questions.set(request, { round, member, keys });
      for (const state of keys) state.asked.push(member);
    }
  }

  /** The question that this answers, if the answer still matters. */
  #answered(from: string, request: number): Question | null {
    const question = this.#questions.get(request);
    if (question === undefined || question.member !== from) return null;
    this.#questions.delete(request);
    return this.#rounds.has(question.round) ? question : null;
  }

  /** With majorities for all keys, the read is done unless the newest value of some key is still elsewhere: then it is fetched. */
  #finishGet(round: GetRound): void {
    const { topology, store, nowMs } = this.#options;
    if (round.keys.some((state) => state.answers < state.group.majority)) return;
    if (round.keys.every(isComplete)) {
      this.#rounds.delete(round);
      for (const { partition, key, version, value } of round.keys) {
        // Where there is no room, healing brings it later.
        if (version > 0 && topology.isMine(partition) && !store.full && store.install(partition, key, version, value)) this.#options.outdone?.(partition, key);
      }
      this.#repair(round);
      return round.done(round.keys.map(({ partition, version, value }) => ({ version: version === 0 && topology.isMine(partition) ? store.versions.absentAt(partition) : version, value })));
    }
    const missing = round.keys.filter((state) => state.valueAt !== state.fetchedFrom);
    if (missing.length === 0) return;
    for (const state of missing) Object.assign(state, { fetchedFrom: state.valueAt, asked: [] });
    round.askedAtMs = nowMs();
    this.#ask(round, (state) => (state.valueAt === null ? [] : [state.valueAt]));
  }

  /** What was read is committed: who answered with an older version is told. */
  #repair({ keys }: GetRound): void {
    const entries = new Map<string, (Key | Version | Value)[]>();
    for (const { key, version, value, told } of keys) {
      for (const [member, theirs] of told) {
        if (theirs >= version || member === this.#options.topology.self) continue;
        const flat = entries.get(member) ?? [];
        entries.set(member, flat);
        flat.push(key, version, value);
      }
    }
    for (const [member, flat] of entries) this.#options.repair?.(member, flat);
  }

  #fail(round: GetRound | ConfirmRound, why: ReadFailure): void {
    this.#rounds.delete(round);
    round.failed(why);
  }

  /**
   * Waits for the locks of all keys, one after another: none of them can have been passed over by a write committed before we
   * were asked. A key that is locked again meanwhile is not waited for again, or hot keys would keep each other waiting.
   */
  #whenUnlocked(keys: readonly Key[], action: () => void, from = 0): void {
    const { ledger: { locks }, nowMs, during } = this.#options;
    for (let i = from; i < keys.length; i++) {
      const key = keys[i] as Key;
      if (locks.holderOf(key, false) === null) continue;
      const untilMs = nowMs() + limits.deadlineMsMax; // Nobody waits longer for an answer.
      return locks.whenFree(key, false, () => during(() => this.#whenUnlocked(keys, action, i + 1)), () => nowMs() >= untilMs);
    }
    action();
  }
}

const everybody = ({ group }: KeyState): readonly string[] => group.members;

function isComplete({ answers, group, valueAt }: KeyState): boolean {
  return answers >= group.majority && valueAt === null;
}

/** Version and value of the first entries, flat: as many as an answer holds. */
export function firstThatFit(entries: Iterable<ReadEntry>): (Version | Value)[] {
  const flat: (Version | Value)[] = [];
  let bytes = 0;
  for (const { version, value } of entries) {
    bytes += value?.length ?? 0;
    if (bytes > limits.answerBytesTarget && flat.length > 0) break;
    flat.push(version, value);
  }
  return flat;
}

/** Keys, versions and values, flat, of the first keys that an answer holds. */
export function freshValues(keys: readonly Key[], entries: readonly ReadEntry[]): (Key | Version | Value)[] {
  const fitting = firstThatFit(entries);
  return keys.slice(0, fitting.length / 2).flatMap((key, i) => [key, fitting[2 * i] as Version, fitting[2 * i + 1] as Value]);
}

function take(state: KeyState, from: string, version: Version, withValue: boolean, value: Value): void {
  state.answers++;
  state.told.push([from, version]);
  const valueAt = withValue || version === 0 ? null : from;
  const newer = version > state.version;
  const completes = version === state.version && state.valueAt !== null && valueAt === null;
  if (newer || completes) Object.assign(state, { version, value, valueAt });
}
