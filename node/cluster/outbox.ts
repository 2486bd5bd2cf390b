/**
 * Where the logic puts what it has to say to nodes, itself included.
 *
 * A message to oneself is not handled at once: the handler that says it may be in the middle of a change. It waits until
 * the present piece of work is done. Every entrance from outside (a frame, a timer, a finished write) runs inside
 * `during`, at whose end the messages to oneself are handled, one after another.
 */
import type { Message } from '../../client/wire/messages.ts';

export interface Outbox {
  /** Sends to a member, or to oneself. False if there is no session with it: then nothing was sent, nor will be. */
  send(to: string, message: Message): boolean;
  /** Is there a session with it? Always true for oneself. */
  isUp(node: string): boolean;
}

export class Loopback {
  readonly #handle: (message: Message) => void;
  readonly #queue: Message[] = [];
  #depth = 0;

  constructor(handle: (message: Message) => void) {
    this.#handle = handle;
  }

  push(message: Message): void {
    this.#queue.push(message);
  }

  /** Runs `work`, then handles what it said to ourselves, and what that led to. */
  during(work: () => void): void {
    this.#depth++;
    work();
    this.#depth--;
    if (this.#depth > 0) return;
    this.#depth++;
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) this.#handle(message);
    this.#depth--;
  }
}
