/**
 * Does who has voted for a transaction keep others off its keys? From its OK vote until it has heard the outcome a replica votes for nothing that writes what
 * the transaction reads or writes, or reads what it writes. Two that each write what the other reads do harm only if each is voted for by majorities of two groups
 * before the other one arrives there, which takes two coordinators and much luck; that one replica votes for both is seen whenever they meet.
 *
 * What a node tells itself is not heard, so nothing is said of its own transactions; and whoever recovers one may have decided it.
 */
import { Tag, Vote, type Key } from '../../../client/wire/messages.ts';
import { inWords, type Annals, type Heard } from './annals.ts';
import type { Court, Said } from './hearing.ts';

interface Held {
  readonly heard: Heard;
  readonly coordinator: string;
  readonly number: number;
}

export class LockTestimony {
  readonly #court: Court;
  readonly #annals: Annals;
  /** By replica, what it has voted OK on and has not heard the outcome of. */
  readonly #held = new Map<string, Set<Held>>();
  /** Who knows what became of a transaction, or may have found out. */
  readonly #informed = new Map<Heard, Set<string>>();
  /** By replica and coordinator's life: what it may have forgotten, for it was told that nobody can be undecided about it. */
  readonly #finishedBelow = new Map<string, number>();
  readonly #incarnations = new Map<string, number>();

  constructor(court: Court, annals: Annals) {
    this.#court = court;
    this.#annals = annals;
    // It votes on nothing before it has been told again what it voted for.
    annals.onReborn.push((node) => this.#held.delete(node));
  }

  asked({ atMs, by, to, message }: Said): void {
    switch (message[0]) {
      case Tag.decide:
      case Tag.finished:
        return this.#informs(to, this.#annals.matter(atMs, message));
      case Tag.marks: {
        const [, watermark] = message;
        this.#finishedBelow.set(`${to} ${by}:${this.#incarnations.get(by)}`, watermark);
        for (const held of this.#heldBy(to)) if (held.coordinator === by && held.number < watermark) this.#heldBy(to).delete(held);
        return;
      }
      default:
    }
  }

  hear({ atMs, by, to, message }: Said): void {
    switch (message[0]) {
      case Tag.hello:
      case Tag.welcome:
        if (message[3] !== null) this.#incarnations.set(message[3], message[5]);
        return;
      case Tag.recover:
        return this.#informs(by, this.#annals.matter(atMs, message));
      case Tag.vote:
        if (message[4] === Vote.ok) this.#votes(by, to, message[2], message[3], this.#annals.matter(atMs, message));
        return;
      default:
    }
  }

  #votes(by: string, coordinator: string, incarnation: number, number: number, heard: Heard): void {
    // Where there is one replica alone nobody else hears what it recovers.
    if (this.#annals.placement.view.replicationFactor === 1 || this.#knows(by, heard)) return;
    if (incarnation !== this.#incarnations.get(coordinator) || number < (this.#finishedBelow.get(`${by} ${coordinator}:${incarnation}`) ?? 0)) return;
    const held: Held = { heard, coordinator, number };
    this.#heldBy(by).add(held);
    this.#court.judge(() => {
      // What it was told in this instant may have come first.
      if (this.#heldBy(by).has(held)) for (const other of this.#heldBy(by)) this.#judgePair(by, heard, other.heard);
    });
  }

  #judgePair(by: string, heard: Heard, before: Heard): void {
    if (before === heard) return;
    const isHere = (key: Key): boolean => this.#annals.isReplica(by, key);
    const isRead = (reader: Heard, key: Key): boolean => reader.reads.some(([read]) => read === key);
    const key = heard.writes.find((written) => (before.writes.includes(written) || isRead(before, written)) && isHere(written)) ?? before.writes.find((written) => isRead(heard, written) && isHere(written));
    if (key !== undefined) this.#court.blame(`${by} votes for ${heard.name}, and has voted for ${before.name}, which is in its way at key ${inWords(key)}, and not heard what became of that`);
  }

  #informs(node: string, heard: Heard): void {
    const informed = this.#informed.get(heard);
    if (informed === undefined) this.#informed.set(heard, new Set([node]));
    else informed.add(node);
    for (const held of this.#heldBy(node)) if (held.heard === heard) this.#heldBy(node).delete(held);
  }

  #knows(node: string, heard: Heard): boolean {
    return this.#informed.get(heard)?.has(node) === true;
  }

  #heldBy(node: string): Set<Held> {
    let held = this.#held.get(node);
    if (held === undefined) this.#held.set(node, (held = new Set()));
    return held;
  }
}
