/**
 * A commit under way, from an order to its outcome.
 *
 * It goes to the coordinator of its home partition, the first live node in an order that all partitions with the same replicas
 * share (wire/placement.ts): there transactions on the same keys meet and queue. Or to that of the partition that leads its
 * keys, where they contended with transactions that go elsewhere (wire/leads.ts). Until it is sent, and whenever a node says
 * that nothing happened, it may simply be sent again. But when the session breaks under it, nobody here knows whether it
 * arrived: it may still be committed, so it must not be sent a second time. Then it is resolved: any other node is asked
 * what became of that very transaction, by its name; if it was never decided, asking decides it. The question is repeated, at
 * one node after another, until there is an answer or no time left.
 */
import type { Obstacle } from './call.ts';
import { keysOf, type Order } from './footprint.ts';
import type { Answer, Exchange, NumberSeeker, Peer } from './peer.ts';
import { backoffMs, errorOf, remedyFor } from './retry.ts';
import type { Router } from './routing.ts';
import { encodeBody } from './wire/codec.ts';
import type { Timer } from './wire/environment.ts';
import { DtpError } from './wire/errors.ts';
import { formatTxnId, Tag, type Aborted, type TxnId, type Version } from './wire/messages.ts';
import type { Session } from './wire/session.ts';

/** For whom it is committed. One of these is called, once, unless the commit is abandoned first. */
export interface Committer {
  readonly deadlineAtMs: number;
  /** `isLast`: what it wrote is what was left at that version, and not what another transaction with the same version wrote after it. */
  committed(version: Version, isLast: boolean): void;
  /** `turn` is the one that came with the abort, if one did. */
  aborted(answer: Aborted, turn: Turn | null): void;
  /** Certainly not committed. */
  commitFails(error: DtpError): void;
}

/** A place at the head of a coordinator's queue, held for a moment. It is good for one commit, in the session that gave it. */
export class Turn {
  readonly lease: number;
  readonly peer: Peer;
  readonly #session: Session | null;
  readonly #home: number;

  constructor(lease: number, peer: Peer, home: number) {
    this.lease = lease;
    this.peer = peer;
    this.#session = peer.session;
    this.#home = home;
  }

  /** Whether this transaction can use it: elsewhere, or for other keys, it is worth nothing. */
  serves(order: Order): boolean {
    return this.#alive && order.partitions[0] === this.#home;
  }

  /** Lets the next one in line go ahead. */
  giveUp(): void {
    if (this.#alive) this.peer.send([Tag.giveUp, this.lease]);
  }

  get #alive(): boolean {
    return this.#session !== null && this.#session === this.peer.session;
  }
}

/** `routing` and `numbering`: nothing was sent. From `sent` on there may be an effect. */
type Stage = 'routing' | 'numbering' | 'sent' | 'resolving';

/** An answer that comes just before the caller stops waiting is worth more than one that comes just after. */
const answerMarginMs = 250;
/** One node's chance to resolve: if it is cut off from the majority, another one may not be. */
const resolveAttemptMs = 1_000;

export class Commit implements Exchange, NumberSeeker {
  readonly #router: Router;
  readonly #committer: Committer;
  readonly #order: Order;
  readonly #body: Uint8Array;
  readonly #protocol: number | null;
  readonly #wantTurn: boolean;
  /** Until it is used: a node that turns the commit down has taken the turn back. */
  #turn: Turn | null;

  #stage: Stage = 'routing';
  #peer: Peer | null = null;
  #request = 0;
  #timer: Timer | null = null;
  #failures = 0;
  /** What was sent, and in which view: by this it is resolved. */
  #txn: TxnId | null = null;
  #epoch = 0;
  /** How many nodes were asked what became of it. */
  #resolvesSent = 0;
  /** Why it could not be sent, or was turned down, the last time. */
  obstacle: Obstacle | null = null;

  constructor(router: Router, committer: Committer, order: Order, protocol: number | null, wantTurn: boolean, turn: Turn | null) {
    this.#router = router;
    this.#committer = committer;
    this.#order = order;
    this.#body = encodeBody([order.reads, order.writes]);
    this.#protocol = protocol;
    this.#wantTurn = wantTurn;
    this.#turn = turn;
  }

  start(): void {
    this.#route(null);
  }

  /** The name of the transaction that was sent last, if one was that may have an effect, or had none. */
  get name(): string | undefined {
    return this.#txn === null ? undefined : formatTxnId(this.#txn);
  }

  /** A message has left that may have an effect. */
  get inFlight(): boolean {
    return this.#stage === 'sent' || this.#stage === 'resolving';
  }

  abandon(): void {
    this.#timer?.cancel();
    this.#peer?.stopSeeking(this);
    this.#peer?.forget(this.#request);
    this.#timer = this.#peer = null;
  }

  #route(avoid: Peer | null): void {
    this.#timer = null;
    const turn = this.#turn?.serves(this.#order) === true ? this.#turn : null;
    const peer = turn?.peer ?? this.#leader ?? this.#router.coordinatorFor(this.#order.partitions[0] as number, avoid);
    if (peer === null) {
      this.obstacle = 'unreachable';
      return this.#later(() => this.#route(null));
    }
    if (peer.full) return this.#committer.commitFails(new DtpError('overloaded', `Too many requests are under way to node ${peer.id}.`, { node: peer.id }));
    if (this.obstacle === 'unreachable') this.obstacle = null;
    this.#stage = 'numbering';
    this.#peer = peer;
    peer.seekNumber(this);
  }

  /** Where others on the same keys meet, if it is known. Not if that has failed once: nothing may fail for it. */
  get #leader(): Peer | null {
    if (this.#failures > 0) return null;
    const partition = this.#router.leads.least(keysOf(this.#order), this.#router.nowMs());
    const peer = partition === null ? null : this.#router.coordinatorFor(partition, null);
    return peer?.full === true ? null : peer;
  }

  numbered(number: number): void {
    const peer = this.#peer as Peer;
    const session = peer.session;
    if (session === null) return this.#later(() => this.#route(null)); // Broken at this very moment: nothing was sent.
    this.#stage = 'sent';
    this.#txn = { node: peer.id, incarnation: session.peer.incarnation, number };
    this.#epoch = this.#router.epoch;
    this.#request = peer.expect(this);
    const lease = this.#turn?.serves(this.#order) === true ? this.#turn.lease : 0;
    this.#turn = null;
    const remainingMs = this.#committer.deadlineAtMs - this.#router.nowMs();
    const deadlineMs = Math.max(1, Math.floor(remainingMs - Math.min(answerMarginMs, remainingMs / 8)));
    session.send([Tag.commit, this.#request, deadlineMs, number, this.#epoch, this.#protocol, lease, this.#wantTurn, this.#body, this.#order.operations]);
  }

  lost(): void {
    this.#timer?.cancel();
    this.#peer = null;
    if (this.inFlight) this.#resolve();
    else this.#route(null);
  }

  answered(answer: Answer): void {
    const peer = this.#peer as Peer;
    this.#timer?.cancel();
    this.#peer = null;
    if (this.#stage === 'resolving' && (answer[0] === Tag.committed || answer[0] === Tag.aborted)) this.#router.stats.resolved++;
    switch (answer[0]) {
      case Tag.committed:
        return this.#committer.committed(answer[2], answer[3]);
      case Tag.aborted:
        return this.#committer.aborted(answer, answer[5] === 0 ? null : new Turn(answer[5], peer, this.#order.partitions[0] as number));
      case Tag.failed:
        if (this.#stage === 'resolving') return this.#later(() => this.#resolve());
        return this.#failed(answer, peer);
      default: // An answer to some other question leaves this one open.
        return this.#resolve();
    }
  }

  #failed(answer: Answer & [typeof Tag.failed, ...unknown[]], peer: Peer): void {
    const remedy = remedyFor(answer);
    if (remedy === 'unknown') return this.#resolve();
    this.obstacle = answer;
    this.#stage = 'routing';
    this.#txn = null;
    if (remedy === 'final') return this.#committer.commitFails(errorOf(answer));
    if (remedy === 'refresh') this.#router.refreshView(peer);
    this.#later(() => this.#route(remedy === 'elsewhere' ? peer : null));
  }

  /** Asks the next node what became of the transaction. */
  #resolve(): void {
    this.#timer = null;
    if (this.#stage !== 'resolving') this.#router.stats.lost++;
    this.#stage = 'resolving';
    const txn = this.#txn as TxnId;
    const nodes = this.#router.liveNodes(this.#order.partitions[0] as number, txn.node);
    const peer = nodes[this.#resolvesSent++ % nodes.length];
    if (peer === undefined || peer.full) return this.#later(() => this.#resolve());
    this.#peer = peer;
    this.#request = peer.expect(this);
    const deadlineMs = Math.max(1, Math.ceil(Math.min(resolveAttemptMs, this.#committer.deadlineAtMs - this.#router.nowMs())));
    peer.send([Tag.resolve, this.#request, deadlineMs, txn.node, txn.incarnation, txn.number, this.#epoch, this.#order.partitions]);
    // A node may take too long, for want of a majority on its side perhaps.
    this.#timer = this.#router.later(deadlineMs + answerMarginMs, () => {
      peer.forget(this.#request);
      this.#resolve();
    });
  }

  #later(action: () => void): void {
    this.#timer = this.#router.later(backoffMs(this.#router.environment, ++this.#failures), action);
  }
}
