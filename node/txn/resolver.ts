/** Clients that lost their coordinator ask here what became of their transaction, by its name. */
import { ABORT, AbortReason, formatTxnId, Tag, UNDECIDED, type Decision, type Resolve, type TxnId } from '../../client/wire/messages.ts';
import { limits } from '../../client/wire/limits.ts';
import type { Topology } from '../cluster/topology.ts';
import type { BlockedView } from './blocked.ts';
import type { Client } from './commit-attempt.ts';
import type { Ledger } from './ledger.ts';
import type { Recovery } from './recovery.ts';

/**
 * A coordinator may have died before we met it in that life, and its clients must not wait until it is back. But a number
 * that no restarts can have come to was made up, and what is remembered of such a life would stay for ever.
 */
const unmetLivesMax = 1_000;

export interface ResolverOptions {
  readonly topology: Topology;
  readonly ledger: Ledger;
  readonly recovery: Recovery;
  readonly blocked: Pick<BlockedView, 'inWords'>;
  readonly nowMs: () => number;
}

interface Asker {
  readonly id: TxnId;
  readonly client: Client;
  readonly request: number;
  readonly untilMs: number;
}

export class Resolver {
  readonly #options: ResolverOptions;
  /** By the names of the transactions that are being recovered, who still waits. A recovery goes on while a majority is away; a client does not. */
  readonly #askers = new Map<string, Asker[]>();
  #askerCount = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Answers with the true outcome, now or when a recovery has found or settled it. Of what the client says the name counts; the rest tells where to look first. */
  onResolve(client: Client, [, request, deadlineMs, node, incarnation, number, epoch, partitions]: Resolve): void {
    const { topology, ledger, recovery, nowMs } = this.#options;
    const id = { node, incarnation, number };
    const known = ledger.find(id)?.outcome ?? UNDECIDED;
    if (known !== UNDECIDED) return answer(client, request, known);
    if (epoch !== topology.epoch) return client.send([Tag.failed, request, 'wrong-view', `the view is of epoch ${topology.epoch}, not ${epoch}`]);
    const isMember = topology.view.members.some((member) => member.id === node);
    if (!isMember || incarnation === 0 || partitions.length === 0 || partitions.some((partition) => partition >= topology.view.partitions)) {
      return client.send([Tag.failed, request, 'invalid-argument', 'a transaction of no member, of no life of one, or of no partition']);
    }
    if (incarnation > (ledger.lives.floorOf(node)?.incarnation ?? 0) + unmetLivesMax) return client.send([Tag.failed, request, 'invalid-argument', `node ${node} can't have come to life ${incarnation}`]);
    if (Math.max(recovery.activeCount, this.#askerCount) >= limits.coordinatorTransactionsMax) return client.send([Tag.failed, request, 'overloaded', 'too many recoveries are under way here']);
    const name = formatTxnId(id);
    const asker: Asker = { id, client, request, untilMs: nowMs() + Math.min(deadlineMs, limits.deadlineMsMax) };
    this.#askerCount++;
    const others = this.#askers.get(name);
    if (others !== undefined) return void others.push(asker);
    this.#askers.set(name, [asker]);
    recovery.start({ id, epoch, protocolNumber: null, partitions }, 'a client asks', (decision) => this.#learn(name, decision));
  }

  tick(): void {
    const now = this.#options.nowMs();
    for (const [name, askers] of this.#askers) {
      if (askers.every(({ untilMs }) => now < untilMs)) continue;
      for (const { id, client, request, untilMs } of askers) if (now >= untilMs) client.send([Tag.failed, request, 'outcome-unknown', this.#whyUnknown(id)]);
      const left = askers.filter(({ untilMs }) => now < untilMs);
      this.#askerCount -= askers.length - left.length;
      this.#askers.set(name, left);
    }
  }

  #whyUnknown(id: TxnId): string {
    const blocked = this.#options.recovery.blockedAt(id);
    return blocked === null ? 'no majority told before the deadline' : `undecided before the deadline: it is ${this.#options.blocked.inWords(blocked)}`;
  }

  #learn(name: string, decision: Decision): void {
    const askers = this.#askers.get(name) ?? [];
    this.#askers.delete(name);
    this.#askerCount -= askers.length;
    for (const { client, request } of askers) answer(client, request, decision);
  }
}

function answer(client: Client, request: number, decision: Decision): void {
  if (decision === UNDECIDED) client.send([Tag.failed, request, 'outcome-unknown', 'the outcome is older than outcomes are kept']);
  else if (decision === ABORT) client.send([Tag.aborted, request, AbortReason.superseded, null, null, 0, null]);
  else client.send([Tag.committed, request, decision, false]);
}
