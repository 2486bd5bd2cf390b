/**
 * Has transactions that contend meet at one coordinator (client/wire/leads.ts tells how).
 *
 * A transaction of ours that finds a key in the hands of another coordinator's has met it. When that has happened a few times
 * within a moment, a partition is found that leads all the contended keys of both transactions; the other coordinator is told,
 * so that both know the same, and each tells those clients that come to it although they had better go elsewhere.
 */
import { Leads } from '../../client/wire/leads.ts';
import { Tag, type Key, type Lead, type Message, type TxnId } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Ledger } from './ledger.ts';

export interface LeadingOptions {
  readonly topology: Topology;
  readonly outbox: Outbox;
  readonly ledger: Pick<Ledger, 'find' | 'parse'>;
  readonly nowMs: () => number;
}

/** Meetings at one key within so long that are no accident any more. With fewer, thousands of keys that happen to be met now and then would all be tied together. */
const meetingsMin = 3;
const windowMs = 1_000;
/** Keys in one message. */
const keysMax = 64;

export class Leading {
  readonly #options: LeadingOptions;
  readonly #leads = new Leads();
  /** How often each key was the place of a meeting since `#sinceMs`. */
  readonly #meetings = new Map<Key, number>();
  #sinceMs = 0;
  /** `met`: transactions of other coordinators that ours found in their way; `led`: commits whose clients were told of another node that they should go to. */
  readonly counters = { met: 0, led: 0 };

  constructor(options: LeadingOptions) {
    this.#options = options;
  }

  /** The holder, by its name, of a key that one of our own transactions needs; `keys`: all that ours touches. */
  met(key: Key, keys: readonly Key[], holder: string): void {
    const { topology, outbox, nowMs } = this.#options;
    const id = parseTxnId(holder);
    if (id.node === topology.self) return;
    this.counters.met++;
    if (!this.#isUsual(key)) return;
    const now = nowMs();
    const bundle = [...new Set([key, ...keys, ...this.#keysOf(id)])].filter((each) => each === key || this.#leads.of(each, now) !== undefined).slice(0, keysMax);
    const partition = Math.min(topology.partitionOf(key), this.#leads.least(bundle, now) ?? Number.POSITIVE_INFINITY);
    this.#leads.learn(bundle, partition, now);
    outbox.send(id.node, [Tag.lead, bundle, partition]);
  }

  /** Another coordinator has met ours. */
  onLead([, keys, partition]: Lead): void {
    const { topology, nowMs } = this.#options;
    if (partition < topology.view.partitions) this.#leads.learn(keys, partition, nowMs());
  }

  /** A client's commit has come here. Returns the node that it should have gone to, having told the client; null if that is this one. */
  arrived(client: { send(message: Message): void }, keys: readonly Key[]): string | null {
    const { topology, outbox, nowMs } = this.#options;
    const now = nowMs();
    const partition = this.#leads.least(keys, now);
    if (partition === null) return null;
    const leader = topology.coordinatorsOf(partition).find((node) => outbox.isUp(node));
    if (leader === undefined || leader === topology.self) return null;
    this.counters.led++;
    client.send([Tag.lead, keys.filter((key) => this.#leads.of(key, now) !== undefined).slice(0, keysMax), partition]);
    return leader;
  }

  #isUsual(key: Key): boolean {
    const now = this.#options.nowMs();
    if (now - this.#sinceMs >= windowMs) {
      this.#meetings.clear();
      this.#sinceMs = now;
    }
    const meetings = (this.#meetings.get(key) ?? 0) + 1;
    this.#meetings.set(key, meetings);
    return meetings >= meetingsMin || this.#leads.of(key, now) !== undefined;
  }

  /** All that the transaction touches, if this replica has it. */
  #keysOf(id: TxnId): readonly Key[] {
    const { ledger } = this.#options;
    const body = ledger.find(id)?.body ?? null;
    if (body === null) return [];
    const { readKeys, writeKeys } = ledger.parse(body);
    return [...readKeys, ...writeKeys];
  }
}

/** The opposite of `formatTxnId`. */
function parseTxnId(name: string): TxnId {
  const parts = name.split(':');
  return { number: Number(parts.pop()), incarnation: Number(parts.pop()), node: parts.join(':') };
}
