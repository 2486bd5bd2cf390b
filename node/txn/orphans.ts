/**
 * Watches over locks whose transactions nobody seems to decide, and has them recovered.
 *
 * A live coordinator gets time; one that is gone (no session, or a newer life of it was met) does not. The replicas of the
 * home group take turns by rank and chance, so that usually one of them recovers a transaction and the others just
 * hear the outcome.
 */
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Ledger } from './ledger.ts';
import type { Recovery } from './recovery.ts';
import type { TxnRecord } from './record.ts';

export interface OrphansOptions {
  readonly topology: Topology;
  readonly ledger: Ledger;
  readonly outbox: Outbox;
  readonly recovery: Recovery;
  readonly incarnation: number;
  readonly nowMs: () => number;
  readonly randomUint32: () => number;
  /** Is this transaction of our own still in the coordinator's hands? */
  readonly isRunning: (number: number) => boolean;
  readonly recoveryDelayMs: number;
  readonly orphanRecoveryDelayMs: number;
}

export class Orphans {
  readonly #options: OrphansOptions;

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  tick(): void {
    const { ledger, recovery, nowMs, randomUint32 } = this.#options;
    const now = nowMs();
    for (const record of ledger.undecided) {
      const ageMs = now - record.sinceMs;
      if (ageMs < this.#options.orphanRecoveryDelayMs || ageMs < this.#delayMs(record)) continue;
      // About one look in two, so that replicas of the same rank do not all start in the same instant.
      if (randomUint32() % 2 === 0 || recovery.isActive(record.id) || record.body === null) continue;
      recovery.start(
        { id: record.id, epoch: record.epoch, protocolNumber: record.protocol, partitions: ledger.parse(record.body).partitions },
        `locks held for ${Math.round(ageMs)} ms`,
      );
    }
  }

  #delayMs({ id, body }: TxnRecord): number {
    const { topology, ledger, outbox, incarnation, isRunning, recoveryDelayMs, orphanRecoveryDelayMs } = this.#options;
    const own = id.node === topology.self && id.incarnation === incarnation;
    if (own && isRunning(id.number)) return Number.POSITIVE_INFINITY;
    const floor = ledger.lives.floorOf(id.node)?.incarnation ?? 0;
    const alive = own || (id.node !== topology.self && outbox.isUp(id.node) && floor <= id.incarnation);
    const home = topology.groupOf(body === null ? 0 : (ledger.parse(body).partitions[0] as number));
    const live = home.members.filter((member) => outbox.isUp(member));
    const rank = live.indexOf(topology.self) < 0 ? live.length : live.indexOf(topology.self);
    return alive ? recoveryDelayMs * (1 + rank / 2) : orphanRecoveryDelayMs * (1 + rank);
  }
}
