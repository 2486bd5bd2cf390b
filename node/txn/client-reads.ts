/**
 * What clients read, outside of transactions and in them.
 *
 * A read in a transaction is answered from this replica alone: the commit will tell if that was old. But where this node was away it mostly
 * would be, and transactions would run in vain. There a majority is asked first, until healing has been through: what it has that is newer is taken
 * over, so the keys that are asked for most are healed first.
 */
import type { ErrorCode } from '../../client/wire/errors.ts';
import { limits } from '../../client/wire/limits.ts';
import { Tag, type Get, type Key, type Message, type Read, type Version } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Store } from '../store/store.ts';
import type { BlockedView } from './blocked.ts';
import { firstThatFit, type ReadEntry, type ReadFailure, type Reads } from './reads.ts';

export interface ClientReadsOptions {
  readonly topology: Topology;
  readonly store: Pick<Store, 'entry' | 'doubts' | 'versions'>;
  readonly reads: Pick<Reads, 'get' | 'pendingCount'>;
  readonly blocked: Pick<BlockedView, 'inTheWayOf'>;
  readonly nowMs: () => number;
  /** May other replicas have newer versions because this node was away? */
  readonly isBehind: (partition: number) => boolean;
  /** A majority was asked because of that, and had something newer, or not. */
  readonly askedMajority: (wasBehind: boolean) => void;
}

type Client = { send(message: Message): void };

/** As clients are told. */
const failures = {
  timeout: ['deadline-exceeded', 'no majority of replicas answered in time'],
  wrongView: ['wrong-view', 'a replica has a newer view'],
  unavailable: ['unavailable', 'too few replicas are connected, or sure of their copies, to make a majority: dtp status shows which'],
} as const satisfies Record<ReadFailure, readonly [ErrorCode, string]>;

export class ClientReads {
  readonly #options: ClientReadsOptions;

  constructor(options: ClientReadsOptions) {
    this.#options = options;
  }

  /** Linearizable. */
  onGet(client: Client, [, request, deadlineMs, epoch, keys]: Get): void {
    const { topology, reads, blocked } = this.#options;
    if (this.#isFull) return client.send([Tag.failed, request, 'overloaded', 'too many reads are under way here']);
    if (epoch !== topology.epoch) return client.send([Tag.failed, request, 'wrong-view', `the view is of epoch ${topology.epoch}, not ${epoch}`]);
    reads.get(
      keys,
      this.#deadlineAtMs(deadlineMs),
      (entries) => client.send([Tag.values, request, firstThatFit(entries)]),
      (why) => {
        const [code, words] = failures[why];
        client.send([Tag.failed, request, code, (why === 'timeout' ? blocked.inTheWayOf(keys) : null) ?? words]);
      },
    );
  }

  /** The latest that this node knows. */
  onRead(client: Client, message: Read): void {
    const [, request, deadlineMs, epoch, keys] = message;
    const { topology, store, reads, isBehind } = this.#options;
    const isHere = epoch === topology.epoch && keys.every((key) => topology.isMine(topology.partitionOf(key)));
    if (!isHere) return client.send([Tag.failed, request, 'wrong-view', 'this node keeps no replica of that key in the present view']);
    if (this.#isFull || !keys.some((key) => isBehind(topology.partitionOf(key)))) return this.#tellOwn(client, request, keys);
    const before = keys.map((key) => store.entry(key)?.version ?? 0);
    const caughtUp = (entries: readonly ReadEntry[]): void => {
      this.#options.askedMajority(entries.some(({ value, version }, i) => value !== null && version > (before[i] as Version)));
      this.#tellOwn(client, request, keys);
    };
    reads.get(keys, this.#deadlineAtMs(deadlineMs), caughtUp, () => this.#tellOwn(client, request, keys));
  }

  #tellOwn(client: Client, request: number, keys: readonly Key[]): void {
    const { topology, store } = this.#options;
    const values = firstThatFit(entriesOf(keys, this.#options));
    const isSure = keys.every((key) => store.doubts.isSure(topology.partitionOf(key)));
    client.send(isSure ? [Tag.values, request, values] : [Tag.failed, request, 'unavailable', this.#doubtInWords]);
  }

  get #isFull(): boolean {
    return this.#options.reads.pendingCount >= limits.coordinatorReadsMax;
  }

  #deadlineAtMs(deadlineMs: number): number {
    return this.#options.nowMs() + Math.min(deadlineMs, limits.deadlineMsMax);
  }

  get #doubtInWords(): string {
    const { topology, store } = this.#options;
    return `${topology.self} is in doubt about its copy of that key (${store.doubts.status?.why}) and does not speak for it before it has learned from the other replicas what it lacks; they must be up for that: see dtp status`;
  }
}

function* entriesOf(keys: readonly Key[], { store, topology }: Pick<ClientReadsOptions, 'store' | 'topology'>): Generator<ReadEntry> {
  for (const key of keys) yield store.entry(key) ?? { version: store.versions.absentAt(topology.partitionOf(key)), value: null };
}
