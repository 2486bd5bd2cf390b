/** What the chronicle is told of a client's request to commit. */
import { EventKind } from '../../client/wire/events.ts';
import { Tag, type Key, type Message } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Chronicle } from './chronicle.ts';
import type { Attempt } from './commit-attempt.ts';

export class CommitNotes {
  readonly #chronicle: Chronicle | undefined;
  readonly #self: string;
  readonly #incarnation: number;

  constructor({ chronicle, topology, incarnation }: { readonly chronicle?: Chronicle; readonly topology: Topology; readonly incarnation: number }) {
    this.#chronicle = chronicle;
    this.#self = topology.self;
    this.#incarnation = incarnation;
  }

  note(kind: EventKind, { number }: Attempt, about = 0, first = 0, second = 0, key: Key | null = null, text: string | null = null, peer: string | null = null): void {
    this.#chronicle?.note(kind, this.#self, this.#incarnation, number, about, peer, first, second, key, text);
  }

  answered(attempt: Attempt, message: Message): void {
    if (message[0] === Tag.committed) this.note(EventKind.answered, attempt, Tag.committed, 0, message[2]);
    else if (message[0] === Tag.aborted) this.note(EventKind.answered, attempt, Tag.aborted, message[2], 0, message[3]);
    else if (message[0] === Tag.failed) this.note(EventKind.answered, attempt, Tag.failed, 0, 0, null, message[2]);
  }
}
