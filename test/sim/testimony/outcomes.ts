/**
 * Does who keeps outcomes keep them? Long after a transaction is finished the replicas of its home partition still know that it was committed, or say that they have
 * forgotten. What a majority of them knows as finished and none of them as committed counts as aborted, so one that denies what it has acknowledged
 * tells a client nothing wrong, until others do the same.
 */
import { ABORT, Tag, UNDECIDED } from '../../../client/wire/messages.ts';
import type { Annals, Heard } from './annals.ts';
import type { Court, Said } from './hearing.ts';

export class OutcomeTestimony {
  readonly #court: Court;
  readonly #annals: Annals;
  /** Who voted for it and has acknowledged what became of it, so that it knows. */
  readonly #acknowledged = new Map<Heard, Set<string>>();

  constructor(court: Court, annals: Annals) {
    this.#court = court;
    this.#annals = annals;
  }

  asked(): void {}

  hear({ atMs, by, message }: Said): void {
    if (message[0] === Tag.decided) {
      for (const number of message[3]) this.#acknowledges(by, this.#annals.matter(atMs, [0, message[1], message[2], number]));
    } else if (message[0] === Tag.finished && message[4] === ABORT) {
      const named = this.#annals.matter(atMs, message);
      const heard = this.#annals.batchOf(named.name) ?? named;
      if (this.#acknowledged.get(heard)?.has(by) === true) this.#court.judge(() => this.#judgeDenial(by, named.name, heard));
    }
  }

  #acknowledges(by: string, heard: Heard): void {
    if (!heard.votes.has(by)) return;
    this.#court.remember(() => {
      const known = this.#acknowledged.get(heard);
      if (known === undefined) this.#acknowledged.set(heard, new Set([by]));
      else known.add(by);
    });
  }

  #judgeDenial(by: string, name: string, { decision, writes: [home] }: Heard): void {
    if (decision === UNDECIDED || decision === ABORT || home === undefined || !this.#annals.isReplica(by, home)) return;
    this.#court.blame(`${by} says that it knows of no commit of ${name}, and has acknowledged that it is committed at ${decision}`);
  }
}
