/**
 * The other side of a doubt (doubt.ts): what a replica says for one that may have forgotten.
 *
 * It vouches for a partition from the moment at which all that it had voted for there when it was asked is decided and
 * applied, until it finds damage of its own there or the session ends.
 */
import { Tag, type Attest, type Vouch } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Doubts } from '../store/doubts.ts';

/** A transaction that this node voted for and does not know the outcome of. */
interface Undecided {
  readonly body: Uint8Array | null;
}

export interface VouchingOptions {
  readonly topology: Topology;
  readonly store: { readonly doubts: Pick<Doubts, 'isSure' | 'count'>; readonly standing: { readonly isUnfounded: boolean; readonly life: { readonly rebornAt: number } }; whenDurable(action: () => void): void };
  readonly ledger: { readonly undecided: ReadonlySet<Undecided>; parse(body: Uint8Array): { readonly partitions: readonly number[] } };
  readonly clock: { readonly last: number };
  readonly outbox: Outbox;
  readonly during: (work: () => void) => void;
  readonly incarnation: number;
  /** No transaction of this life with this number, or one above it, has begun. */
  readonly nextNumber: () => number;
}

interface Charge {
  readonly request: number;
  isFenced: boolean;
  /** What is awaited in each partition: the transactions that were undecided there; null where this node is in doubt itself, and can't say. */
  readonly waiting: Map<number, Set<Undecided> | null>;
  readonly drained: Set<number>;
}

export class Vouching {
  readonly #options: VouchingOptions;
  /** By who asked. */
  readonly #charges = new Map<string, Charge>();

  constructor(options: VouchingOptions) {
    this.#options = options;
  }

  /** Answered when all that is known of the asker's lives is durable. */
  onVouch(from: string, [, request, partitions]: Vouch): void {
    const { topology, store, outbox, during } = this.#options;
    this.#charges.delete(from);
    store.whenDurable(() => during(() => {
      if (!outbox.isUp(from)) return;
      const shared = partitions.filter((partition) => topology.isMine(partition) && topology.groupOf(partition).members.includes(from));
      this.#charges.set(from, { request, isFenced: false, waiting: new Map(shared.map((partition) => [partition, null])), drained: new Set() });
      this.tick();
    }));
  }

  onAttest(from: string, [, request, partitions]: Attest): void {
    const charge = this.#charges.get(from);
    if (charge?.request !== request) return;
    this.#options.outbox.send(from, [Tag.attested, request, partitions.filter((partition) => charge.drained.has(partition))]);
  }

  peerDown(peer: string): void {
    this.#charges.delete(peer);
  }

  /** This node has become doubtful itself. */
  doubted(partition: number): void {
    for (const { waiting, drained } of this.#charges.values()) if (drained.delete(partition) || waiting.has(partition)) waiting.set(partition, null);
  }

  tick(): void {
    const { store: { doubts, standing }, outbox, clock, incarnation, nextNumber } = this.#options;
    // Who is new may be in the place of one that was lost, and who was reborn may have been so before and not know it: its life need not be above all those that it has forgotten until others have let it speak.
    const mayFence = !standing.isUnfounded && (standing.life.rebornAt === 0 || doubts.count === 0);
    for (const [peer, charge] of this.#charges) {
      const { request, waiting, drained } = charge;
      if (mayFence && !charge.isFenced) charge.isFenced = outbox.send(peer, [Tag.fenced, request, incarnation, nextNumber()]);
      const due = [...waiting].filter(([partition, awaited]) => awaited === null && doubts.isSure(partition)).map(([partition]) => partition);
      if (due.length > 0) this.#takeStock(due, waiting);
      const now: number[] = [];
      for (const [partition, awaited] of waiting) {
        if (awaited === null || [...awaited].some((record) => this.#options.ledger.undecided.has(record))) continue;
        waiting.delete(partition);
        drained.add(partition);
        now.push(partition);
      }
      if (now.length > 0) outbox.send(peer, [Tag.drained, request, now, clock.last]);
    }
  }

  #takeStock(due: readonly number[], waiting: Charge['waiting']): void {
    const { ledger } = this.#options;
    const partitions = new Set(due);
    for (const partition of partitions) waiting.set(partition, new Set());
    for (const record of ledger.undecided) {
      if (record.body === null) continue;
      for (const partition of ledger.parse(record.body).partitions) if (partitions.has(partition)) waiting.get(partition)?.add(record);
    }
  }
}
