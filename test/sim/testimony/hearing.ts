/**
 * Where testimony is heard: every message, in the order in which they are sent.
 *
 * What a node says in one turn leaves in any order, and what it says rests on what others are told in the same instant. So a word is judged when all messages of
 * its instant are known, against what was said in earlier ones, and only then remembered.
 */
import type { Message } from '../../../client/wire/messages.ts';
import type { View } from '../../../client/wire/view.ts';
import { HealingTestimony } from './healing.ts';
import { Annals } from './annals.ts';
import { AnswerTestimony } from './answers.ts';
import { LockTestimony } from './locks.ts';
import { OutcomeTestimony } from './outcomes.ts';
import { PartTestimony } from './parts.ts';
import { RequestTestimony } from './requests.ts';
import { VersionTestimony } from './versions.ts';

/** A message that leaves a node or a client for a node or a client. */
export interface Said {
  readonly atMs: number;
  readonly by: string;
  readonly to: string;
  readonly message: Message;
}

/** What a kind of testimony makes of what is said, each of them to be called at the end of the instant: first all that judge, then all that remember. */
export interface Court {
  judge(judge: () => void): void;
  remember(remember: () => void): void;
  blame(what: string): void;
}

export class Hearing {
  readonly #failures: string[];
  readonly #annals: Annals;
  readonly #testimonies: readonly { hear(said: Said): void; asked(said: Said): void }[];
  #judgements: (() => void)[] = [];
  #memories: (() => void)[] = [];
  #holds = true;
  #atMs = 0;

  /** Whatever is found goes there, in words that begin with `broken-word`. */
  constructor(failures: string[], view: View) {
    this.#failures = failures;
    this.#annals = new Annals(view);
    const court: Court = {
      judge: (judge) => {
        if (this.#holds) this.#judgements.push(judge);
      },
      remember: (remember) => void this.#memories.push(remember),
      blame: (what) => void this.#failures.push(`broken-word: ${what}`),
    };
    this.#testimonies = [
      new VersionTestimony(court, this.#annals), new HealingTestimony(court, this.#annals), new OutcomeTestimony(court, this.#annals), new PartTestimony(court, this.#annals),
      new LockTestimony(court, this.#annals), new RequestTestimony(court), new AnswerTestimony(court),
    ];
  }

  /** A frame is being handled: what was said before may count against what is answered. */
  received(atMs: number, by: string, from: string, messages: readonly Message[]): void {
    if (atMs > this.#atMs) this.settle();
    this.#atMs = atMs;
    for (const message of messages) for (const testimony of this.#testimonies) testimony.asked({ atMs, by: from, to: by, message });
  }

  /** `holds`: the sender can be held to it, as nothing on its disk has changed behind its back. */
  said(atMs: number, by: string, to: string, messages: readonly Message[], holds = true): void {
    if (atMs > this.#atMs) this.settle();
    this.#atMs = atMs;
    this.#holds = holds;
    for (const message of messages) {
      const said = { atMs, by, to, message };
      this.#annals.hear(said);
      for (const testimony of this.#testimonies) testimony.hear(said);
    }
  }

  /** Judges what was said last. */
  settle(): void {
    for (const judge of this.#judgements.splice(0)) judge();
    for (const remember of this.#memories.splice(0)) remember();
  }
}
