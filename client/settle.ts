/**
 * An operator's decision on a transaction that waits for a coordinator that is away. The nodes are asked one after another,
 * until one takes it: which of them have the transaction, and wait for it, the caller need not know.
 */
import { Call, type Obstacle } from './call.ts';
import { invalid, type OperationOptions } from './options.ts';
import type { Answer, Exchange, Peer } from './peer.ts';
import { errorOf } from './retry.ts';
import type { Router } from './routing.ts';
import { parseTransaction } from './story.ts';
import { DtpError, TransactionOutcomeUnknown } from './wire/errors.ts';
import { Tag, type TxnId } from './wire/messages.ts';

/** What the transaction is from now on; `version` is the one that its writes have. */
export type Settled = { readonly outcome: 'committed'; readonly version: number } | { readonly outcome: 'aborted' };

/** Nodes are given less time than the caller has, so that their answer comes in time. */
const answerMarginMs = 50;

export class SettleCall extends Call<Settled> implements Exchange {
  readonly #transaction: string;
  readonly #txn: TxnId;
  readonly #commit: boolean;
  readonly #waiting: { readonly id: string; readonly peer: Peer }[] = [];
  /** What each node said that did not take it. */
  readonly #refusals: string[] = [];
  #asked: { readonly id: string; readonly peer: Peer; readonly request: number } | null = null;

  constructor(router: Router, transaction: string, decision: 'commit' | 'abort', options: OperationOptions | undefined) {
    super(router, options);
    if (decision !== 'commit' && decision !== 'abort') throw invalid('decision', `'commit' or 'abort'`, decision);
    this.#transaction = transaction;
    this.#txn = parseTransaction(transaction);
    this.#commit = decision === 'commit';
  }

  protected start(): void {
    this.#waiting.push(...this.router.members);
    this.#next();
  }

  protected get inFlight(): boolean {
    return false;
  }

  protected get obstacle(): Obstacle | null {
    return null;
  }

  protected details(): Record<string, unknown> {
    return { transaction: this.#transaction };
  }

  protected release(): void {
    this.#asked?.peer.forget(this.#asked.request);
  }

  protected override stopped(error: DtpError): void {
    this.fail(this.#asked === null ? error : this.#unknown(`node ${this.#asked.id} has not answered`));
  }

  answered(answer: Answer): void {
    const { id } = this.#asked as { id: string };
    this.#asked = null;
    if (answer[0] === Tag.committed) return this.succeed({ outcome: 'committed', version: answer[2] });
    if (answer[0] === Tag.aborted) return this.succeed({ outcome: 'aborted' });
    if (answer[0] !== Tag.failed) return this.fail(this.#unknown(`node ${id} answered something else`));
    const error = errorOf(answer);
    if (error.code !== 'not-blocked') return this.fail(error);
    this.#refusals.push(`node ${id}: ${error.message}`);
    this.#next();
  }

  lost(): void {
    this.fail(this.#unknown(`node ${this.#asked?.id} was lost`));
  }

  #next(): void {
    const node = this.#waiting.shift();
    if (node === undefined) return this.fail(new DtpError('not-blocked', this.#refusals.join('\n'), this.details()));
    const { id, peer } = node;
    if (peer.session === null) {
      this.#refusals.push(`node ${id} does not answer: ${peer.downReason || 'no reason is known'}`);
      return this.#next();
    }
    const request = peer.expect(this);
    this.#asked = { id, peer, request };
    const remainingMs = this.deadlineAtMs - this.router.nowMs();
    const deadlineMs = Math.max(1, Math.floor(remainingMs - Math.min(answerMarginMs, remainingMs / 4)));
    peer.send([Tag.settle, request, deadlineMs, this.#txn.node, this.#txn.incarnation, this.#txn.number, this.#commit]);
  }

  #unknown(event: string): DtpError {
    return new TransactionOutcomeUnknown(`The decision on ${this.#transaction} was sent, and ${event}: it may stand or not. Look at dtp status, and decide again if it is still blocked.`, this.details());
  }
}
