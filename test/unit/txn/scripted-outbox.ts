/** An outbox that only writes down what is said to whom; who is down is the test's to say. */
import { tagNames, type Message, type MessageOf, type Tag } from '../../../client/wire/messages.ts';
import type { Outbox } from '../../../node/cluster/outbox.ts';

export type Sent = readonly [to: string, message: Message];

export class ScriptedOutbox implements Outbox {
  readonly down = new Set<string>();
  #sent: Sent[] = [];

  send(to: string, message: Message): boolean {
    if (this.down.has(to)) return false;
    this.#sent.push([to, message]);
    return true;
  }

  isUp(node: string): boolean {
    return !this.down.has(node);
  }

  /** All that was said since the last call. */
  take(): Sent[] {
    return this.#sent.splice(0);
  }

  /** As `take`, each as 'tag>node', sorted: for what matters is who was told what kind of thing. */
  takeNames(): string[] {
    return this.take().map(([to, message]) => `${tagNames.get(message[0])}>${to}`).sort();
  }
}

/** Of what was sent, the messages of one kind, with their addressees. */
export function only<K extends Tag>(sent: readonly Sent[], tag: K): [to: string, message: MessageOf<K>][] {
  return sent.filter(([, message]) => message[0] === tag) as unknown as [string, MessageOf<K>][];
}
