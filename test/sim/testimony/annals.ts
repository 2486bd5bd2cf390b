/**
 * What all the world could know of a cluster's transactions and of its nodes' lives if it heard every message: the ground on which testimony is
 * judged. It decides nothing.
 */
import { decodeBody } from '../../../client/wire/codec.ts';
import { ABORT, Tag, UNDECIDED, Vote, type Body, type Decision, type Key, type Version } from '../../../client/wire/messages.ts';
import { Placement } from '../../../client/wire/placement.ts';
import type { View } from '../../../client/wire/view.ts';
import type { Said } from './hearing.ts';

/** A transaction, as all have heard of it. */
export interface Heard {
  readonly name: string;
  /** When its first message was sent. */
  readonly sinceMs: number;
  reads: readonly (readonly [Key, Version])[];
  writes: readonly Key[];
  /** Of a batch, the names of the transactions that are in it besides that of its own name. */
  others: readonly string[];
  decision: Decision;
  /** Who made a proposal. */
  readonly recoverers: Set<string>;
  /** Who voted OK. */
  readonly votes: Map<string, { readonly timestamp: number; readonly atMs: number }>;
}

/** A question about keys to a replica. */
export interface Question {
  readonly keys: readonly Key[];
  /** For a confirmation: those to be confirmed. */
  readonly versions: readonly Version[];
  /** Of each key, all that is committed when it is asked must be known. */
  readonly isLinearizable: boolean;
}

/** One life of a node. */
export interface HeardLife {
  readonly name: string;
  readonly rebornAt: number;
  /** When the node was first heard after it had lost its memory; -1 if it never had. */
  readonly rebornAtMs: number;
}

export const inWords = (key: Key): string => Buffer.from(key, 'latin1').toString('hex');

export class Annals {
  readonly placement: Placement;
  readonly #matters = new Map<string, Heard>();
  /** By the names of those in a batch, but for that by which it goes. */
  readonly #batches = new Map<string, Heard>();
  readonly #lives = new Map<string, HeardLife>();
  /** By who asks, who is asked, and the question's number; null if it is answered, or two have the same. */
  readonly #questions = new Map<string, Question | null>();
  /** That which the present message answers. */
  question: Question | null = null;
  /** Transactions that delete the key. */
  readonly #deletions = new Map<Key, Heard[]>();
  /** The newest version of each key that was said to be committed. */
  readonly committed = new Map<Key, Version>();
  /** The latest timestamp up to which tombstones of a partition may have been collected. */
  readonly #collected = new Map<number, number>();
  readonly undecided = new Set<Heard>();
  /** Called when a transaction is said to be committed, for the first time. */
  readonly onCommitted: ((heard: Heard) => void)[] = [];
  /** Called when a node speaks for the first time in a life that begins without memory. */
  readonly onReborn: ((node: string) => void)[] = [];

  constructor(view: View) {
    this.placement = new Placement(view);
  }

  isReplica(node: string, key: Key): boolean {
    return this.placement.groupOf(this.placement.partitionOf(key)).includes(node);
  }

  /** A message about a transaction has its name behind the tag. */
  matter(atMs: number, message: readonly unknown[]): Heard {
    const name = message.slice(1, 4).join(':');
    let heard = this.#matters.get(name);
    if (heard !== undefined) return heard;
    heard = { name, sinceMs: atMs, reads: [], writes: [], others: [], decision: UNDECIDED, recoverers: new Set(), votes: new Map() };
    this.#matters.set(name, heard);
    this.undecided.add(heard);
    return heard;
  }

  /** The batch in which the transaction of this name travels with others under the name of one of them. */
  batchOf(name: string): Heard | undefined {
    return this.#batches.get(name);
  }

  lifeOf(node: string): HeardLife | undefined {
    return this.#lives.get(node);
  }

  /** May the key be deleted since it had this version? What is undecided may come to either, and of what happens on one replica alone nobody else hears. */
  mayBeDeleted(key: Key, since: Version): boolean {
    return this.placement.view.replicationFactor === 1 || (this.#deletions.get(key) ?? []).some(({ decision }) => decision === UNDECIDED || decision >= since);
  }

  /** And may there be no trace left of that? */
  mayBeCollected(key: Key, since: Version): boolean {
    const collected = this.#collected.get(this.placement.partitionOf(key)) ?? 0;
    return this.placement.view.replicationFactor === 1 || (this.#deletions.get(key) ?? []).some(({ decision }) => decision === UNDECIDED || (decision >= since && decision <= collected));
  }

  /** The question of that number, if it is still to be answered. */
  questionOf(by: string, to: string, request: number): Question | null {
    return this.#questions.get(`${by}>${to}:${request}`) ?? null;
  }

  hear({ atMs, by, to, message }: Said): void {
    this.question = null;
    switch (message[0]) {
      case Tag.hello:
      case Tag.welcome:
        // What was asked in an earlier session is not answered any more.
        for (const question of this.#questions.keys()) if (question.startsWith(`${by}>${to}:`) || question.startsWith(`${to}>${by}:`)) this.#questions.delete(question);
        return message[3] === null ? undefined : this.#noteLife(atMs, by, message.slice(4, 8));
      case Tag.peek: return this.#ask(`${by}>${to}:${message[1]}`, { keys: message[3], versions: [], isLinearizable: false });
      case Tag.confirm: return this.#ask(`${by}>${to}:${message[1]}`, { keys: message[3], versions: message[4], isLinearizable: false });
      case Tag.read: return this.#ask(`${by}>${to}:${message[1]}`, { keys: message[4], versions: [], isLinearizable: false });
      case Tag.get: return this.#ask(`${by}>${to}:${message[1]}`, { keys: message[4], versions: [], isLinearizable: true });
      case Tag.peeked:
      case Tag.confirmed:
      case Tag.declined:
      case Tag.values:
        this.question = this.#questions.get(`${to}>${by}:${message[1]}`) ?? null;
        this.#questions.set(`${to}>${by}:${message[1]}`, null);
        return;
      case Tag.accept: return void this.matter(atMs, message).recoverers.add(by);
      case Tag.prepare: return this.#noteBody(this.matter(atMs, message), message[7]);
      case Tag.promise:
        if (message[13] !== null) this.#noteBody(this.matter(atMs, message), message[13]);
        return;
      case Tag.vote:
        if (message[4] === Vote.ok) this.matter(atMs, message).votes.set(by, { timestamp: message[5], atMs });
        return;
      case Tag.decide:
        if (message[5] !== null) this.#noteBody(this.matter(atMs, message), message[5]);
        return this.#noteDecision(this.matter(atMs, message), message[4]);
      case Tag.finished:
        // That a node keeps no commit of that name does not say that there was none.
        return message[4] === ABORT ? undefined : this.#noteDecision(this.matter(atMs, message), message[4]);
      case Tag.bar:
        for (const partition of message[2]) this.#collected.set(partition, Math.max(message[1], this.#collected.get(partition) ?? 0));
        return;
      default:
    }
  }

  /** A number is for one question of a session. Somebody hostile may use it for several. */
  #ask(name: string, question: Question | null): void {
    this.#questions.set(name, this.#questions.has(name) ? null : question);
  }

  #noteLife(atMs: number, node: string, life: readonly unknown[]): void {
    const name = life.join(':');
    const rebornAt = life[2] as number;
    const before = this.#lives.get(node);
    if (before?.name === name) return;
    const isReborn = rebornAt > 0 && before?.rebornAt !== rebornAt;
    this.#lives.set(node, { name, rebornAt, rebornAtMs: isReborn ? atMs : rebornAt > 0 ? (before?.rebornAtMs ?? -1) : -1 });
    if (isReborn) for (const told of this.onReborn) told(node);
  }

  #noteBody(heard: Heard, bytes: Uint8Array): void {
    if (heard.writes.length + heard.reads.length > 0) return;
    const [reads, writes, others = []]: Body = decodeBody(bytes);
    heard.others = others.map((number) => heard.name.replace(/\d+$/, `${number}`));
    for (const other of heard.others) this.#batches.set(other, heard);
    heard.reads = Array.from({ length: reads.length / 2 }, (_, i) => [reads[2 * i] as Key, reads[2 * i + 1] as Version] as const);
    heard.writes = Array.from({ length: writes.length / 2 }, (_, i) => writes[2 * i] as Key);
    for (let i = 0; i < writes.length; i += 2) {
      if (writes[i + 1] !== null) continue;
      const key = writes[i] as Key;
      const deletions = this.#deletions.get(key);
      if (deletions === undefined) this.#deletions.set(key, [heard]);
      else deletions.push(heard);
    }
  }

  #noteDecision(heard: Heard, decision: Decision): void {
    if (decision === UNDECIDED || heard.decision !== UNDECIDED) return;
    heard.decision = decision;
    this.undecided.delete(heard);
    if (decision === ABORT) return;
    for (const key of heard.writes) this.committed.set(key, Math.max(decision, this.committed.get(key) ?? 0));
    for (const told of this.onCommitted) told(heard);
  }
}
