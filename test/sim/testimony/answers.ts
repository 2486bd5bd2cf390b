/**
 * Does every answer have its question in the same session? A session joins two processes, and the numbers of questions mean nothing beyond it: what was
 * found out for a process that is gone must not be told to the next one, which may have given the number to another question.
 */
import { Tag } from '../../../client/wire/messages.ts';
import type { Court, Said } from './hearing.ts';

export class AnswerTestimony {
  readonly #court: Court;
  /** By who was asked and who asked: the numbers of what reached the former in the session of now, as it knows it. */
  readonly #questions = new Map<string, Set<number>>();

  constructor(court: Court) {
    this.#court = court;
  }

  asked({ by, to, message }: Said): void {
    if (message[0] !== Tag.peek && message[0] !== Tag.confirm) return;
    const questions = this.#questions.get(`${to} ${by}`);
    if (questions === undefined) this.#questions.set(`${to} ${by}`, new Set([message[1]]));
    else questions.add(message[1]);
  }

  hear({ by, to, message }: Said): void {
    switch (message[0]) {
      case Tag.hello:
      case Tag.welcome:
        this.#questions.delete(`${by} ${to}`);
        return;
      case Tag.peeked:
      case Tag.confirmed:
      case Tag.declined:
        if (this.#questions.get(`${by} ${to}`)?.has(message[1]) !== true) this.#court.judge(() => this.#court.blame(`${by} answers question ${message[1]} of ${to}, which nobody asked in this session`));
        return;
      default:
    }
  }
}
