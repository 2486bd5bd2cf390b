/**
 * Is a part of a batch safe under its own name? It is if no replica both votes for the batch and takes part in a ballot on the part alone: then a majority
 * of some group has no vote for the batch, or whoever asks for the part meets the batch.
 */
import { Tag, Vote } from '../../../client/wire/messages.ts';
import type { Annals } from './annals.ts';
import type { Court, Said } from './hearing.ts';

export class PartTestimony {
  readonly #court: Court;
  readonly #annals: Annals;
  /** By transaction, who has promised something about it, or accepted something. */
  readonly #voters = new Map<string, Set<string>>();

  constructor(court: Court, annals: Annals) {
    this.#court = court;
    this.#annals = annals;
  }

  asked(): void {}

  hear({ atMs, by, message }: Said): void {
    if (message[0] === Tag.promise || message[0] === Tag.accepted) {
      const { name } = this.#annals.matter(atMs, message);
      this.#court.judge(() => this.#judgeBallot(atMs, by, name));
      this.#court.remember(() => this.#voters.set(name, (this.#voters.get(name) ?? new Set()).add(by)));
    } else if (message[0] === Tag.vote && message[4] === Vote.ok) {
      const { name, others } = this.#annals.matter(atMs, message);
      this.#court.judge(() => {
        for (const other of others) if (this.#voters.get(other)?.has(by) === true) this.#court.blame(`${by} votes for ${name}, and has taken part in a ballot on ${other} alone, which is in that batch`);
      });
    }
  }

  #judgeBallot(atMs: number, by: string, name: string): void {
    const batch = this.#annals.batchOf(name);
    const vote = batch?.votes.get(by);
    if (batch === undefined || vote === undefined || vote.atMs >= atMs) return;
    // What it was before it lost its memory is another matter, and judged with versions.
    if (batch.sinceMs < (this.#annals.lifeOf(by)?.rebornAtMs ?? -1)) return;
    this.#court.blame(`${by} takes part in a ballot on ${name} alone, and has voted for ${batch.name}, of which that is a part`);
  }
}
