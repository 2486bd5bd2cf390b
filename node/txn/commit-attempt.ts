/** A client's request to commit, from its arrival to its answer, and the place in line that goes with it. */
import type { Message, Operations } from '../../client/wire/messages.ts';
import type { ParsedBody } from './body.ts';
import type { Place } from './key-queue.ts';
import type { CommitProtocol } from './protocols/protocol.ts';

/** A client's session, as far as this matters here. */
export interface Client {
  send(message: Message): void;
  readonly open: boolean;
}

export interface Attempt {
  readonly client: Client;
  readonly request: number;
  readonly number: number;
  readonly deadlineAtMs: number;
  readonly protocolNumber: number;
  readonly protocol: CommitProtocol;
  readonly wantTurn: boolean;
  /** Turns that were given with its place before it came. */
  readonly turns: number;
  readonly operations: Operations | null;
  bytes: Uint8Array;
  body: ParsedBody;
  place: Place;
  /** waiting: in line. running: the replicas are being asked. applying: committed, and out of the line. offering: fresh values for its turn are being read. leased: the client has its turn. */
  state: 'waiting' | 'running' | 'applying' | 'offering' | 'leased';
  /** May it be applied to what others leave that are not committed yet? It reads nothing by itself, and will travel with them. */
  readonly mayFollow: boolean;
  /** It is out of the line before it is decided: others may follow it in its batch. */
  isFollowed: boolean;
  /** Another one of its batch has written one of its keys after it. */
  isOverwritten: boolean;
  leaseUntilMs: number;
  answered: boolean;
}
