/** A question to every node. Those that don't answer in time are told with the reason, so it always succeeds. */
import { Call, type Obstacle } from './call.ts';
import type { OperationOptions } from './options.ts';
import type { Answer, Exchange, Peer } from './peer.ts';
import type { Router } from './routing.ts';
import type { DtpError } from './wire/errors.ts';
import { Tag, type Message } from './wire/messages.ts';

/** What a node is asked, and what is made of its answer, or of its silence. */
export interface Inquiry<R> {
  readonly message: (request: number) => Message;
  readonly answered: (node: Member, answer: Answer) => R;
  readonly silent: (node: Member, reason: string) => R;
}

export interface Member {
  readonly id: string;
  /** Its address, as the cluster's members know it. */
  readonly url: string;
}

/** Resolves to one result for each member, in the view's order. */
export class InquiryCall<R> extends Call<R[]> {
  readonly #inquiry: Inquiry<R>;
  readonly #questions: Question<R>[] = [];

  constructor(router: Router, options: OperationOptions | undefined, inquiry: Inquiry<R>) {
    super(router, options);
    this.#inquiry = inquiry;
  }

  protected start(): void {
    for (const { id, url, peer } of this.router.members) this.#questions.push(new Question(this.#inquiry, { id, url }, peer, () => this.#check()));
    for (const question of this.#questions) question.ask();
    this.#check();
  }

  protected get inFlight(): boolean {
    return false;
  }

  protected get obstacle(): Obstacle | null {
    return null;
  }

  protected details(): Record<string, unknown> {
    return {};
  }

  protected release(): void {
    for (const question of this.#questions) question.abandon();
  }

  protected override stopped(error: DtpError): void {
    if (error.code !== 'deadline-exceeded') return this.fail(error);
    this.succeed(this.#questions.map(({ node, result }) => (result === null ? this.#inquiry.silent(node, `no answer within ${this.timeoutMs} ms`) : result.of)));
  }

  #check(): void {
    const results: R[] = [];
    for (const { result } of this.#questions) if (result !== null) results.push(result.of);
    if (results.length === this.#questions.length) this.succeed(results);
  }
}

class Question<R> implements Exchange {
  readonly node: Member;
  result: { readonly of: R } | null = null;
  readonly #inquiry: Inquiry<R>;
  readonly #peer: Peer;
  readonly #done: () => void;
  #request = 0;

  constructor(inquiry: Inquiry<R>, node: Member, peer: Peer, done: () => void) {
    this.#inquiry = inquiry;
    this.node = node;
    this.#peer = peer;
    this.#done = done;
  }

  ask(): void {
    if (this.#peer.session === null) {
      this.result = { of: this.#inquiry.silent(this.node, this.#peer.downReason || 'it has not answered yet') };
      return;
    }
    this.#request = this.#peer.expect(this);
    this.#peer.send(this.#inquiry.message(this.#request));
  }

  abandon(): void {
    this.#peer.forget(this.#request);
  }

  answered(answer: Answer): void {
    this.result = { of: answer[0] === Tag.failed ? this.#inquiry.silent(this.node, `${answer[2]}: ${answer[3]}`) : this.#inquiry.answered(this.node, answer) };
    this.#done();
  }

  lost(): void {
    this.result = { of: this.#inquiry.silent(this.node, this.#peer.downReason) };
    this.#done();
  }
}
