/** A question to one node, named by its id. */
import { Call, type Obstacle } from './call.ts';
import { invalid, type OperationOptions } from './options.ts';
import type { Answer, Exchange, Peer } from './peer.ts';
import { errorOf } from './retry.ts';
import type { Router } from './routing.ts';
import { DtpError } from './wire/errors.ts';
import { Tag, type Message } from './wire/messages.ts';

export class NodeCall<A extends Answer> extends Call<A> implements Exchange {
  readonly #node: string;
  readonly #peer: Peer;
  readonly #message: (request: number) => Message;
  readonly #answerTag: A[0];
  /** What must be said of it if its answer is lost: null for a question that changes nothing. */
  readonly #change: string | null;
  #request = 0;

  /** Rejects with `unreachable` if there is no connection with the node, and with what the node answers as `failed`. */
  constructor(router: Router, options: OperationOptions | undefined, node: string, message: (request: number) => Message, answerTag: A[0], change: string | null) {
    super(router, options);
    const member = router.members.find(({ id }) => id === node);
    if (member === undefined) throw invalid('node', `one of ${router.members.map(({ id }) => id).join(', ')}`, node);
    this.#node = node;
    this.#peer = member.peer;
    this.#message = message;
    this.#answerTag = answerTag;
    this.#change = change;
  }

  protected start(): void {
    if (this.#peer.session === null) return this.fail(new DtpError('unreachable', `Node ${this.#node} does not answer: ${this.#peer.downReason || 'it has not answered yet'}.`, this.details()));
    this.#request = this.#peer.expect(this);
    this.#peer.send(this.#message(this.#request));
  }

  protected get inFlight(): boolean {
    return false;
  }

  protected get obstacle(): Obstacle | null {
    return null;
  }

  protected details(): Record<string, unknown> {
    return { node: this.#node };
  }

  protected release(): void {
    this.#peer.forget(this.#request);
  }

  protected override stopped(error: DtpError): void {
    if (this.#change === null || this.#request === 0) return this.fail(error);
    this.#failUnknown('had not answered in time', error);
  }

  answered(answer: Answer): void {
    if (answer[0] === this.#answerTag) return this.succeed(answer as A);
    this.fail(answer[0] === Tag.failed ? errorOf(answer) : new DtpError('bad-message', `Node ${this.#node} answered something else.`, this.details()));
  }

  lost(): void {
    if (this.#change !== null) return this.#failUnknown('was lost');
    this.fail(new DtpError('unreachable', `Node ${this.#node} was lost: ${this.#peer.downReason}.`, this.details()));
  }

  #failUnknown(event: string, cause?: unknown): void {
    this.fail(new DtpError('outcome-unknown', `Node ${this.#node} was asked to ${this.#change}, and ${event}: it may do so or not.`, this.details(), cause === undefined ? undefined : { cause }));
  }
}
