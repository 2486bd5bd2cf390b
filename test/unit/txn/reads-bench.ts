/** The node n1 that reads from a majority; the test plays the other replicas, and time. */
import { expect } from 'vitest';
import { Tag, type Confirm, type Key, type Peek, type Value, type Version } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind } from '../../../node/store/records.ts';
import { Reads, type ReadEntry, type ReadFailure } from '../../../node/txn/reads.ts';
import { bodyOf, valueOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { viewOf } from './topologies.ts';

/** All replicas of everything. */
export const three = new Topology(viewOf(3), 'n1');
export const hedgeMs = 20;
export const deadlineMs = 1_000;

export class Bench {
  readonly topology: Topology;
  readonly replica: Replica;
  readonly reads: Reads;
  readonly results: ReadEntry[][] = [];
  readonly staleKeys: (Key | null)[] = [];
  readonly repairs: [member: string, entries: unknown[]][] = [];
  readonly failures: ReadFailure[] = [];
  nowMs = 10_000;
  #transactions = 0;

  constructor(topology = three) {
    this.topology = topology;
    this.replica = Replica.open(topology);
    const { store, ledger, outbox, loopback } = this.replica;
    this.reads = new Reads({ topology, store, ledger, outbox, nowMs: () => this.nowMs, during: (work) => loopback.during(work), hedgeMs, repair: (member, entries) => void this.repairs.push([member, entries]) });
  }

  get(...keys: Key[]): void {
    this.reads.get(keys, this.nowMs + deadlineMs, (entries) => this.results.push(entries), (why) => this.failures.push(why));
  }

  confirm(versions: Readonly<Record<Key, Version>>): void {
    this.reads.confirm(Object.keys(versions), Object.values(versions), this.nowMs + deadlineMs, (staleKey) => this.staleKeys.push(staleKey), (why) => this.failures.push(why));
  }

  /** What others are asked, by whom is asked; what n1 asks itself, it answers at once. */
  asked(): Record<string, Peek | Confirm> {
    const asked: Record<string, Peek | Confirm> = {};
    for (let sent = this.replica.outbox.take(); sent.length > 0; sent = this.replica.outbox.take()) {
      for (const [to, message] of sent) {
        if (to !== 'n1') {
          expect(Object.hasOwn(asked, to), `${to} is asked twice`).toBe(false);
          asked[to] = message as Peek | Confirm;
        } else if (message[0] === Tag.peek) this.reads.onPeek('n1', message);
        else if (message[0] === Tag.confirm) this.reads.onConfirm('n1', message);
        else if (message[0] === Tag.peeked) this.reads.onPeeked('n1', message);
        else if (message[0] === Tag.confirmed) this.reads.onConfirmed('n1', message);
        else if (message[0] === Tag.declined) this.reads.onDeclined('n1', message);
      }
    }
    return asked;
  }

  /** A replica answers what it was asked, out of these entries; a key that is missing there is absent. */
  answer(from: string, question: Peek | Confirm | undefined, entries: Readonly<Record<Key, readonly [Version, string | null]>>): void {
    if (question?.[0] !== Tag.peek) throw new Error(`${from} was not asked for versions`);
    const [, request, , keys, withValues] = question;
    const flat = keys.flatMap((key): (Version | Value)[] => {
      const [version, text] = entries[key] ?? [0, null];
      return [version, withValues && text !== null ? valueOf(text) : null];
    });
    this.reads.onPeeked(from, [Tag.peeked, request, 0, withValues, flat]);
  }

  /** A replica says that these versions are current there, or which key is not. */
  agree(from: string, question: Peek | Confirm | undefined, staleKey: Key | null = null): void {
    this.reads.onConfirmed(from, [Tag.confirmed, (question as Confirm)[1], 0, staleKey]);
  }

  /** A replica is in doubt and does not say what it was asked. */
  decline(from: string, question: Peek | Confirm | undefined): void {
    this.reads.onDeclined(from, [Tag.declined, (question as Peek)[1]]);
  }

  /** Commits into n1's own store. */
  write(key: Key, version: Version, text: string | null): void {
    this.replica.ledger.enter([Kind.outcome, 'n9', 1, ++this.#transactions, version, bodyOf({}, { [key]: text })]);
  }

  /** Locks a key for writing at n1; the function given back ends that with the decision. */
  lock(key: Key): (version: Version, text?: string) => void {
    const number = ++this.#transactions;
    this.replica.ledger.enter([Kind.prepared, 'n9', 1, number, 7, 0, 50, bodyOf({}, { [key]: `locked ${number}` })]);
    return (version) => this.replica.ledger.enter([Kind.outcome, 'n9', 1, number, version, null]);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.reads.tick();
  }

  get texts(): [Version, string | null][][] {
    return this.results.map((entries) => entries.map(({ version, value }) => [version, value === null ? null : Buffer.from(value).toString()]));
  }
}
