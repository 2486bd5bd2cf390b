/** The node n1 as clients see it: its queue, its coordinator and its reads. The test plays the clients, the other replicas and time. */
import { expect } from 'vitest';
import { encodeBody } from '../../../client/wire/codec.ts';
import { Tag, Vote, type Commit, type Key, type Message, type Operations, type Prepare, type Value, type Version } from '../../../client/wire/messages.ts';
import { encodeValue } from '../../../client/wire/values.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind } from '../../../node/store/records.ts';
import type { Client } from '../../../node/txn/commit-attempt.ts';
import { Commits } from '../../../node/txn/commits.ts';
import { Coordinator } from '../../../node/txn/coordinator.ts';
import { Leading } from '../../../node/txn/leading.ts';
import { Reads } from '../../../node/txn/reads.ts';
import { bodyOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const three = new Topology(viewOf(3), 'n1');
export const home = partitionWhere(three, () => true);
/** Keys of one partition, so that `a` and `b` have the same replicas. */
export const [a, b, c] = keysIn(three, home, 3) as [Key, Key, Key];
const timing = { fastCommitWaitMs: 20, prepareTimeoutMs: 2_000, recoveryDelayMs: 1_000, turnLeaseMs: 250, hedgeMs: 20 };

export class FakeClient implements Client {
  open = true;
  readonly received: Message[] = [];
  #next = 0;
  #end = 0;

  send(message: Message): void {
    if (message[0] === Tag.grant) [this.#next, this.#end] = [message[1], message[1] + message[2]];
    else this.received.push(message);
  }

  nextNumber(): number {
    expect(this.#next).toBeLessThan(this.#end);
    return this.#next++;
  }

  /** The answers so far, each once. */
  take(): Message[] {
    return this.received.splice(0);
  }
}

export interface Ask {
  readonly reads?: Readonly<Record<Key, Version>>;
  readonly writes?: Readonly<Record<Key, string | null>>;
  readonly operations?: Operations | null;
  readonly deadlineMs?: number;
  readonly lease?: number;
  readonly wantTurn?: boolean;
  readonly number?: number;
  readonly epoch?: number;
  readonly protocol?: number | null;
}

export class Bench {
  readonly replica: Replica;
  readonly commits: Commits;
  readonly leading: Leading;
  /** The blocked transaction in the way of all keys, in words. */
  blocker: string | null = null;
  readonly coordinator: Coordinator;
  readonly reads: Reads;
  nowMs = 10_000;
  /** What n2 and n3 were asked and have not answered. */
  #asked: [to: string, message: Message][] = [];
  #foreign = 0;
  /** What is to be done at the end of this turn. */
  readonly #deferred: (() => void)[] = [];

  constructor(topology = three) {
    this.replica = Replica.open(topology);
    const { store, ledger, clock, outbox, loopback } = this.replica;
    const shared = { ...timing, topology, store, ledger, clock, outbox, nowMs: () => this.nowMs, during: (work: () => void) => loopback.during(work), defer: (action: () => void) => void this.#deferred.push(action), incarnation: 1 };
    this.coordinator = new Coordinator({ ...shared, recover: () => {} });
    this.reads = new Reads(shared);
    this.leading = new Leading(shared);
    this.commits = new Commits({ ...shared, coordinator: this.coordinator, reads: this.reads, leading: this.leading, blocked: { inTheWayOf: () => this.blocker }, defaultProtocol: 2 });
  }

  client(): FakeClient {
    const client = new FakeClient();
    this.commits.clientOpened(client);
    return client;
  }

  commit(client: FakeClient, request: number, { reads = {}, writes = {}, operations = null, deadlineMs = 5_000, lease = 0, wantTurn = false, number, epoch = 7, protocol = 0 }: Ask): void {
    const message: Commit = [Tag.commit, request, deadlineMs, number ?? client.nextNumber(), epoch, protocol, lease, wantTurn, bodyOf(reads, writes), operations];
    this.commits.onCommit(client, message);
    this.run();
  }

  /** Lets n1 do what it has to do with itself, its disk included. */
  run(): void {
    const endTurn = (): ReturnType<Replica['settle']> => {
      for (const action of this.#deferred.splice(0)) action();
      return this.replica.settle();
    };
    for (let sent = endTurn(); sent.length > 0 || this.#deferred.length > 0; sent = endTurn()) {
      for (const [to, message] of sent) {
        if (to === 'n1') this.#handle('n1', message);
        else this.#asked.push([to, message]);
      }
    }
  }

  #handle(from: string, message: Message): void {
    const { participant } = this.replica;
    if (message[0] === Tag.prepare) participant.onPrepare(from, message);
    else if (message[0] === Tag.vote) this.coordinator.onVote(from, message);
    else if (message[0] === Tag.accept) participant.onAccept(from, message);
    else if (message[0] === Tag.accepted) this.coordinator.onAccepted(from, message);
    else if (message[0] === Tag.decide) participant.onDecide(from, message);
    else if (message[0] === Tag.decided) this.coordinator.onDecided(from, message);
    else if (message[0] === Tag.peek) this.reads.onPeek(from, message);
    else if (message[0] === Tag.peeked) this.reads.onPeeked(from, message);
    else if (message[0] === Tag.confirm) this.reads.onConfirm(from, message);
    else if (message[0] === Tag.confirmed) this.reads.onConfirmed(from, message);
    else throw new Error(`message ${message[0]}`);
  }

  /** The prepares that the others were sent, each once. */
  prepares(): Prepare[] {
    const prepares = this.#asked.filter(([to, message]) => to === 'n2' && message[0] === Tag.prepare).map(([, message]) => message as Prepare);
    this.#asked = this.#asked.filter(([, message]) => message[0] !== Tag.prepare);
    return prepares;
  }

  /** What other coordinators were told of leads, each once. */
  takeTold(): Message[] {
    const told = this.#asked.filter(([, message]) => message[0] === Tag.lead).map(([, message]) => message);
    this.#asked = this.#asked.filter(([, message]) => message[0] !== Tag.lead);
    return told;
  }

  vote(prepare: Prepare, vote: Vote = Vote.ok, detail = prepare[5]): void {
    for (const node of ['n2', 'n3']) this.coordinator.onVote(node, [Tag.vote, prepare[1], prepare[2], prepare[3], vote, detail, vote === Vote.ok ? null : a, null]);
    this.run();
  }

  /** n2 answers reads; its data is like n1's except for these. */
  answerReads(newer: Readonly<Record<Key, readonly [Version, Uint8Array]>> = {}): void {
    for (let asked = this.#takeReads(); asked.length > 0; asked = this.#takeReads()) {
      for (const [from, message] of asked) {
        const versionAt = (key: Key): Version => newer[key]?.[0] ?? this.replica.store.head(key)?.version ?? 0;
        if (message[0] === Tag.peek) {
          const [, request, , keys, withValues] = message;
          const valueAt = (key: Key): Value => newer[key]?.[1] ?? this.replica.store.entry(key)?.value ?? null;
          this.reads.onPeeked(from, [Tag.peeked, request, 0, withValues, keys.flatMap((key) => [versionAt(key), withValues ? valueAt(key) : null])]);
        } else if (message[0] === Tag.confirm) {
          const [, request, , keys, versions] = message;
          this.reads.onConfirmed(from, [Tag.confirmed, request, 0, keys.find((key, i) => versionAt(key) > (versions[i] as Version)) ?? null]);
        }
        this.run();
      }
    }
  }

  #takeReads(): [string, Message][] {
    const isRead = ([, message]: [string, Message]): boolean => message[0] === Tag.peek || message[0] === Tag.confirm;
    const reads = this.#asked.filter(isRead);
    this.#asked = this.#asked.filter((asked) => !isRead(asked));
    return reads;
  }

  /** A commit of another coordinator, known here. */
  write(key: Key, version: Version, value: unknown): void {
    this.replica.ledger.enter([Kind.outcome, 'n9', 1, ++this.#foreign, version, bodyWith(key, value)]);
  }

  /** A lock of another coordinator's transaction; the function given back ends it. */
  lock(key: Key): (version: Version) => void {
    const number = ++this.#foreign;
    this.replica.ledger.enter([Kind.prepared, 'n9', 1, number, 7, 0, 50, bodyWith(key, 'locked')]);
    return (version) => {
      this.replica.ledger.enter([Kind.outcome, 'n9', 1, number, version, null]);
      this.run();
    };
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.coordinator.tick();
    this.reads.tick();
    this.commits.tick();
    this.run();
  }
}

const bodyWith = (key: Key, value: unknown): Uint8Array => Uint8Array.from(encodeBody([[], [key, encodeValue(value)]]));
