/**
 * Do replicas keep their word about versions? What each has told of a key, or is bound to know of it, held against what it says later.
 *
 * That is what quorums rest on: any two majorities share a replica, and that one must not have become younger since. A client sees the harm only
 * if the other replicas of its majority happen to lag behind, which healing sees to within milliseconds. But the word itself is
 * broken, and that is on the wire. What binds a replica:
 *
 * - in the same life, whatever version it has told: what is in its store is only ever replaced by something newer;
 * - in all its lives, what it voted OK on and is committed: it holds the lock until it has the version, and both are on its disk. Where it has lost
 *   its memory it says nothing before it has been told again;
 * - where it has lost its memory, all that was committed before, by whomever: it can't know what it was part of.
 *
 * An answer may have waited for locks, and a vote for the disk or for room, so these are held against what was so when they were asked for.
 * To a reader a deleted key is like one that never was, and the trace of a deletion may be collected: version 0 breaks no word where the key may have been deleted.
 * What a doubtful replica declines says nothing, nor does a list of what it has.
 *
 * And whoever answers a linearizable read is bound to know all that anybody had been told to be committed when the question arrived.
 */
import { ABORT, Tag, UNDECIDED, Vote, type Key, type Value, type Version } from '../../../client/wire/messages.ts';
import type { Court, Said } from './hearing.ts';
import { inWords, type Annals, type Heard, type Question } from './annals.ts';

/** By key, the oldest version that the replica may speak of. */
type Versions = Map<Key, Version>;

interface Replica {
  /** The life in which it told those. */
  life: string;
  told: Versions;
  /** What it voted for and is committed, and what it is to be told before it speaks again. */
  readonly sworn: Versions;
  /** Of that, what it said is applied: known even where nobody waits for locks. */
  readonly applied: Versions;
}

const raise = (versions: Versions, key: Key, version: Version): void => {
  if (version > (versions.get(key) ?? 0)) versions.set(key, version);
};

export class VersionTestimony {
  readonly #court: Court;
  readonly #annals: Annals;
  readonly #replicas = new Map<string, Replica>();
  /** What the replica was bound to when it was asked, key by key. */
  readonly #boundWhenAsked = new WeakMap<Question, readonly Version[]>();
  /** What each voter was bound to when it was asked for its vote. */
  readonly #prepares = new Map<string, ReadonlyMap<Key, Version>>();

  constructor(court: Court, annals: Annals) {
    this.#court = court;
    this.#annals = annals;
    annals.onCommitted.push((heard) => court.remember(() => heard.votes.forEach((_vote, voter) => this.#swear(voter, heard))));
    annals.onReborn.push((node) => {
      const { sworn, applied } = this.#replica(node);
      for (const [key, version] of annals.committed) {
        if (!annals.isReplica(node, key)) continue;
        raise(sworn, key, version);
        raise(applied, key, version);
      }
    });
  }

  /** What the replica is bound to when it is asked counts, whatever else it hears until it answers. */
  asked({ atMs, by, to, message }: Said): void {
    switch (message[0]) {
      case Tag.prepare: {
        const { reads, writes } = this.#annals.matter(atMs, message);
        const keys = [...reads.map(([key]) => key), ...writes];
        this.#prepares.set(nameOf(to, message), new Map(keys.map((key) => [key, this.#boundTo(to, key, 'sworn')])));
        return;
      }
      case Tag.peek:
      case Tag.confirm:
      case Tag.read:
      case Tag.get: {
        const question = this.#annals.questionOf(by, to, message[1]);
        const boundTo = (key: Key): Version => (question?.isLinearizable === true ? this.#annals.committed.get(key) ?? 0 : this.#boundTo(to, key, 'sworn'));
        if (question !== null) this.#boundWhenAsked.set(question, question.keys.map(boundTo));
        return;
      }
      default:
    }
  }

  hear({ atMs, by, message }: Said): void {
    const { question } = this.#annals;
    switch (message[0]) {
      case Tag.vote:
        if (message[4] === Vote.ok) this.#judgeVote(by, this.#annals.matter(atMs, message), message[5], this.#prepares.get(nameOf(by, message)));
        return;
      case Tag.decided:
        for (const number of message[3]) this.#acknowledged(by, this.#annals.matter(atMs, [0, message[1], message[2], number]));
        return;
      case Tag.promise:
      case Tag.accepted:
        return this.#judgeRemembering(by, this.#annals.matter(atMs, message), `says ${message[0] === Tag.promise ? 'what it voted on' : 'that it accepted'}`);
      case Tag.finished:
        if (message[4] === ABORT) this.#judgeRemembering(by, this.#annals.matter(atMs, message), 'says that it knows of no commit of');
        return;
      case Tag.peeked:
        return question === null || message[2] !== 0 ? undefined : this.#judgeAnswer(by, question, question.keys.map((_key, i) => message[4][2 * i] as Version), 'of traces');
      case Tag.values:
        if (question?.isLinearizable === true) return this.#judgeLinearizable(by, question, message[2]);
        return question === null ? undefined : this.#judgeAnswer(by, question, Array.from({ length: message[2].length / 2 }, (_, i) => message[2][2 * i] as Version), 'without waiting', (i) => message[2][2 * i + 1] === null);
      case Tag.confirmed:
        return question === null || message[2] !== 0 || message[3] !== null ? undefined : this.#judgeAnswer(by, question, question.versions, 'of what is there');
      case Tag.listed: {
        const [, , , news, others] = message;
        for (const flat of [news, others]) for (let i = 0; i < flat.length; i += 3) this.#tells(by, flat[i] as Key, flat[i + 1] as Version);
        return;
      }
      case Tag.pulled:
        for (let i = 0; i < message[2].length; i += 3) this.#tells(by, message[2][i] as Key, message[2][i + 1] as Version);
        return;
      default:
    }
  }

  /** Who doesn't wait for locks knows what is applied. */
  #judgeAnswer(by: string, question: Question, versions: readonly Version[], how: 'of traces' | 'of what is there' | 'without waiting', isAbsent = (_i: number): boolean => false): void {
    const keys = question.keys.slice(0, versions.length);
    const bound = how === 'without waiting' ? undefined : this.#boundWhenAsked.get(question);
    this.#court.judge(() => keys.forEach((key, i) => this.#judgeVersion(by, key, versions[i] as Version, Math.max(bound?.[i] ?? 0, this.#boundTo(by, key, 'applied')), how === 'of traces')));
    // Of what is absent a reader is told up to when that is known, which need not be a version.
    if (how !== 'of what is there') keys.forEach((key, i) => isAbsent(i) || this.#tells(by, key, versions[i] as Version));
  }

  /** What is newer by now need not be in it, whoever has it. Of what is absent it tells up to when that is known. */
  #judgeLinearizable(by: string, question: Question, versionsAndValues: readonly (Version | Value)[]): void {
    const bound = this.#boundWhenAsked.get(question);
    this.#court.judge(() => bound?.forEach((known, i) => {
      if (2 * i >= versionsAndValues.length) return; // The rest is asked for anew.
      const version = versionsAndValues[2 * i + 1] === null ? 0 : versionsAndValues[2 * i] as Version;
      this.#judgeVersion(by, question.keys[i] as Key, version, known, false);
    }));
  }

  #tells(by: string, key: Key, version: Version): void {
    const { told } = this.#replica(by);
    this.#court.remember(() => raise(told, key, version));
  }

  #judgeVersion(by: string, key: Key, version: Version, bound: Version, isOfTraces: boolean): void {
    if (version >= bound || (version === 0 && (isOfTraces ? this.#annals.mayBeCollected(key, bound) : this.#annals.mayBeDeleted(key, bound)))) return;
    this.#blame(by, `tells version ${version} of key ${inWords(key)}, and is bound to know ${bound}`);
  }

  #judgeVote(by: string, heard: Heard, timestamp: number, bound: ReadonlyMap<Key, Version> | undefined): void {
    this.#court.remember(() => this.#swear(by, heard));
    if (bound === undefined) return;
    this.#court.judge(() => {
      for (const [key, version] of heard.reads) this.#judgeVersion(by, key, version, bound.get(key) ?? 0, false);
      for (const key of heard.writes) {
        const known = bound.get(key) ?? 0;
        if (timestamp <= known) this.#blame(by, `votes for version ${timestamp} of key ${inWords(key)}, and is bound to know ${known}`);
      }
    });
    this.#judgeRemembering(by, heard, 'votes on');
  }

  /** Of what began before it lost its memory a node says nothing. */
  #judgeRemembering(by: string, { name, sinceMs }: Heard, what: string): void {
    const { rebornAtMs = -1 } = this.#annals.lifeOf(by) ?? {};
    if (sinceMs < rebornAtMs) this.#court.judge(() => this.#blame(by, `${what} ${name}, and has lost its memory since that began`));
  }

  #acknowledged(by: string, heard: Heard): void {
    if (!heard.votes.has(by)) return;
    this.#court.remember(() => {
      if (heard.decision === UNDECIDED || heard.decision === ABORT) return;
      const { applied } = this.#replica(by);
      for (const key of heard.writes) if (this.#annals.isReplica(by, key)) raise(applied, key, heard.decision);
    });
  }

  #swear(by: string, { decision, writes, votes }: Heard): void {
    if (decision === UNDECIDED || decision === ABORT || !votes.has(by)) return;
    const { sworn } = this.#replica(by);
    for (const key of writes) if (this.#annals.isReplica(by, key)) raise(sworn, key, decision);
  }

  #boundTo(node: string, key: Key, by: 'sworn' | 'applied'): Version {
    const replica = this.#replica(node);
    return Math.max(replica.told.get(key) ?? 0, replica[by].get(key) ?? 0);
  }

  /** As of its present life. */
  #replica(node: string): Replica {
    const life = this.#annals.lifeOf(node)?.name ?? '';
    let replica = this.#replicas.get(node);
    if (replica === undefined) this.#replicas.set(node, (replica = { life, told: new Map(), sworn: new Map(), applied: new Map() }));
    if (replica.life !== life) Object.assign(replica, { life, told: new Map() });
    return replica;
  }

  #blame(by: string, what: string): void {
    this.#court.blame(`${by} ${what}`);
  }
}

function nameOf(node: string, message: readonly unknown[]): string {
  return `${node} ${message.slice(1, 4).join(':')}`;
}
