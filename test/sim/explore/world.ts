/**
 * All nodes, what is under way between them, and what happened so far that matters: a state is a row of small numbers.
 *
 * An action is whatever may happen next: a message arrives, a journal is flushed, a transaction begins, a timer fires, a node
 * crashes and begins another life, a session breaks, is noticed to be closed, or is opened again. Sessions deliver in order;
 * one that breaks loses all that is under way (what it had delivered before, another order of the same actions delivers).
 * Until a node notices, what it says into a broken session is lost too.
 */
import { ABORT, UNDECIDED, type Decision, type Version } from '../../../client/wire/messages.ts';
import type { Happening } from './life.ts';
import { event, Kind, Machine, Messages, type Event } from './machine.ts';
import type { Mistake } from './mistake.ts';
import { faultOfOutcomes, faultOfReplicas } from './properties.ts';
import { closed, messageItems, Queues, welcome } from './queues.ts';
import { Bodies, type Plan, type Scope } from './scope.ts';

/** How often each kind of thing may go wrong; everything else happens in every order. */
export interface Faults {
  readonly crashes: number;
  readonly breaks: number;
  /** Ballots above round 0 that are begun by choice: recoveries, proposals given up, and further ballots of one. */
  readonly recoveries: number;
  /** How often a client asks some node what became of a transaction. */
  readonly asks: number;
  /** How often coordinators tell what may be forgotten. */
  readonly marks: number;
}

export const faultNames = ['crashes', 'breaks', 'recoveries', 'asks', 'marks'] as const satisfies readonly (keyof Faults)[];

export const Act = { deliver: 0, flush: 1, start: 2, connect: 3, wait: 4, expire: 5, handOver: 6, recover: 7, retry: 8, crash: 9, break: 10, marks: 11, ask: 12 } as const;
export type Act = (typeof Act)[keyof typeof Act];

/** What happens, in one number: its kind, a node or a queue or a pair or a plan, and a plan or a body. */
export type Action = number;
export const action = (act: Act, a = 0, b = 0): Action => act | (a << 4) | (b << 12);
export const actOf = (code: Action): Act => (code & 15) as Act;
export const firstOf = (code: Action): number => (code >> 4) & 255;
export const secondOf = (code: Action): number => code >> 12;

export type State = Int32Array;

/** At the end of each state, for whoever searches. */
export const searchWords = 2;

const faultBits = 6;
const faultMask = (1 << faultBits) - 1;
const faultShift = { crashes: 0, breaks: faultBits, recoveries: 2 * faultBits, asks: 3 * faultBits, marks: 4 * faultBits } as const satisfies Record<keyof Faults, number>;
const incarnationBits = 5;

export class World {
  readonly scope: Scope;
  readonly bodies: Bodies;
  readonly messages: Messages;
  readonly machines: readonly Machine[];
  readonly queues = new Queues();
  /** From and to, by number. */
  readonly links: readonly (readonly [from: number, to: number])[];
  readonly pairs: readonly (readonly [a: number, b: number])[];
  readonly length: number;
  readonly #nodeCount: number;
  /** Where in a state what lies: nodes first, then queues, then per batch its beginning and its decision, then flags and faults left. */
  readonly #begun: number;
  readonly #decided: number;
  readonly #flags: number;
  readonly #faults: number;

  constructor(scope: Scope, protocolNumbers: readonly number[], mistake: Mistake | null = null, strict = true) {
    this.scope = scope;
    this.bodies = new Bodies(scope);
    this.messages = new Messages();
    const happening: Happening = { scope, bodies: this.bodies, protocolNumbers, mistake };
    this.machines = scope.nodes.map((_node, self) => new Machine({ happening, messages: this.messages, self, strict }));
    const count = scope.nodes.length;
    this.#nodeCount = count;
    const others = (i: number) => scope.nodes.map((_node, j) => j).filter((j) => j !== i);
    this.links = scope.nodes.flatMap((_node, i) => others(i).map((j) => [i, j] as const));
    this.pairs = this.links.filter(([a, b]) => a < b);
    this.#begun = count + this.links.length;
    this.#decided = this.#begun + scope.batches.length;
    this.#flags = this.#decided + scope.batches.length;
    this.#faults = this.#flags + 1;
    this.length = this.#faults + 1 + searchWords;
  }

  initial(faults: Faults): State {
    const state = new Int32Array(this.length);
    state[this.#faults] = faultNames.reduce((all, name) => all | (faults[name] << faultShift[name]), 0);
    return state;
  }

  /** The same, with all that may still go wrong used up. */
  withoutFaults(state: State): State {
    const copy = state.slice();
    copy.fill(0, this.#faults);
    return copy;
  }

  /** What to call it. */
  nameOf(batch: number): string {
    return this.scope.batches[batch]!.map((plan) => `T${plan + 1}`).join('+');
  }

  queueOf(from: number, to: number): number {
    return this.#nodeCount + from * (this.#nodeCount - 1) + (to > from ? to - 1 : to);
  }

  view(state: State, node: number) {
    return this.machines[node]!.view(state[node]!);
  }

  isBegun(state: State, plan: number): boolean {
    return state[this.#begun + this.batchOf(plan)] !== 0;
  }

  /** What travels together ends together. */
  decisionOf(state: State, plan: number): Decision {
    return state[this.#decided + this.batchOf(plan)]! - 1;
  }

  versionsRead(state: State, plan: number): readonly Version[] {
    return this.bodies.versions((state[this.#begun + this.batchOf(plan)]! >> incarnationBits) - 1, plan);
  }

  batchOf(plan: number): number {
    return this.scope.plans[plan]!.batch;
  }

  /** Of the life in which its coordinator began it, or will unless it crashes. */
  #incarnationOf(state: State, plan: number): number {
    const begun = state[this.#begun + this.batchOf(plan)]!;
    return begun === 0 ? this.view(state, this.scope.plans[plan]!.coordinator).incarnation : begun & ((1 << incarnationBits) - 1);
  }

  /** Did the plan begin after the client of another one, not of its batch, had its answer? */
  beganAfterAnswer(state: State, plan: number): boolean {
    return (state[this.#flags]! & (1 << this.batchOf(plan))) !== 0;
  }

  left(state: State, fault: keyof Faults): number {
    return (state[this.#faults]! >> faultShift[fault]) & faultMask;
  }

  /** What happens by itself sooner or later: deliveries, flushes, sessions opened, transactions begun. */
  ordinaryActions(state: State, into: Action[]): void {
    const { nodes, batches } = this.scope;
    for (let batch = 0; batch < batches.length; batch++) if (state[this.#begun + batch] === 0) this.#beginnings(state, batch, into);
    for (let node = 0; node < nodes.length; node++) if (this.view(state, node).hasVolatile) into.push(action(Act.flush, node));
    for (let link = 0; link < this.links.length; link++) if (state[this.#nodeCount + link] !== 0) into.push(action(Act.deliver, link));
    for (let pair = 0; pair < this.pairs.length; pair++) if (this.#mayConnect(state, pair)) into.push(action(Act.connect, pair));
  }

  /**
   * What a coordinator does when it has waited. A timer that leaves all transactions where they are is not an action: it
   * would only be remembered, and the same comes of its firing later, when it has an effect.
   */
  timerActions(state: State, into: Action[]): void {
    for (let node = 0; node < this.#nodeCount; node++) {
      const { voting } = this.view(state, node);
      if (voting === 0) continue;
      for (const [act, kind] of [[Act.wait, Kind.wait], [Act.expire, Kind.expire]] as const) {
        if (this.#viewAfter(state, node, event(kind)).voting < voting) into.push(action(act, node));
      }
    }
  }

  /** What is bounded. */
  faultActions(state: State, into: Action[]): void {
    if (this.left(state, 'recoveries') > 0) this.recoveryActions(state, into);
    if (this.left(state, 'asks') > 0) this.#recoverings(state, Act.ask, into);
    if (this.left(state, 'crashes') > 0) for (let node = 0; node < this.#nodeCount; node++) into.push(action(Act.crash, node));
    if (this.left(state, 'breaks') > 0) for (let pair = 0; pair < this.pairs.length; pair++) if (this.#isConnected(state, pair)) into.push(action(Act.break, pair));
    if (this.left(state, 'marks') > 0) for (const { coordinator } of this.scope.plans) into.push(action(Act.marks, coordinator));
  }

  recoveryActions(state: State, into: Action[]): void {
    for (let node = 0; node < this.#nodeCount; node++) {
      const { recovering, proposing } = this.view(state, node);
      if (proposing > 0) into.push(action(Act.handOver, node));
      if (recovering !== 0) into.push(action(Act.retry, node));
    }
    this.#recoverings(state, Act.recover, into);
  }

  /** A client that lost its session may ask for what its coordinator has not begun yet, by a name that another life would not give it. */
  #recoverings(state: State, act: typeof Act.recover | typeof Act.ask, into: Action[]): void {
    const isEarly = act === Act.ask && this.left(state, 'crashes') === 0;
    for (let node = 0; node < this.#nodeCount; node++) {
      const { recovering, outcomes } = this.view(state, node);
      for (let plan = 0; plan < this.scope.plans.length; plan++) {
        if ((isEarly || this.isBegun(state, plan)) && (recovering & (1 << plan)) === 0 && outcomes[plan] === UNDECIDED) into.push(action(act, node, plan));
      }
    }
  }

  /** The state after the action, written into `next`, or what is wrong with it. Faults are not counted if `free`. */
  apply(state: State, code: Action, next: State, free = false): string | null {
    next.set(state);
    const a = firstOf(code);
    switch (actOf(code)) {
      case Act.deliver:
        return this.#deliver(next, a);
      case Act.flush:
        return this.#step(next, a, event(Kind.flush));
      case Act.start:
        return this.#start(next, a, secondOf(code));
      case Act.connect:
        return this.#connect(next, this.pairs[a]!);
      case Act.recover:
        if (!free) this.#spend(next, 'recoveries');
        return this.#step(next, a, event(Kind.recover, secondOf(code), this.#incarnationOf(next, secondOf(code))));
      case Act.ask:
        this.#spend(next, 'asks');
        return this.#step(next, a, event(Kind.ask, secondOf(code), this.#incarnationOf(next, secondOf(code))));
      case Act.retry:
        if (!free) this.#spend(next, 'recoveries');
        return this.#step(next, a, event(Kind.retry));
      case Act.handOver:
        if (!free) this.#spend(next, 'recoveries');
        return this.#step(next, a, event(Kind.handOver));
      case Act.wait:
        return this.#step(next, a, event(Kind.wait));
      case Act.expire:
        return this.#step(next, a, event(Kind.expire));
      case Act.crash:
        this.#spend(next, 'crashes');
        for (let peer = 0; peer < this.#nodeCount; peer++) if (peer !== a) this.#cut(next, a, peer);
        for (let peer = 0; peer < this.#nodeCount; peer++) if (peer !== a) next[this.queueOf(peer, a)] = 0;
        return this.#step(next, a, event(Kind.crash));
      case Act.break: {
        const [b, c] = this.pairs[a]!;
        this.#spend(next, 'breaks');
        this.#cut(next, b, c);
        return null;
      }
      case Act.marks:
        this.#spend(next, 'marks');
        return this.#step(next, a, event(Kind.marks, 0, this.#lowestPending(next, a)));
      default:
        throw new RangeError(`no such action: ${code}`);
    }
  }

  #deliver(next: State, link: number): string | null {
    const [from, to] = this.links[link]!;
    const at = this.#nodeCount + link;
    const item = this.queues.head(next[at]!);
    next[at] = this.queues.rest(next[at]!);
    if (item === closed) return this.#step(next, to, event(Kind.down, from));
    if (item === welcome) return this.#step(next, to, event(Kind.up, from, this.view(next, from).incarnation));
    return this.#step(next, to, event(Kind.deliver, from, item - messageItems));
  }

  #start(next: State, batch: number, body: number): string | null {
    const { coordinator } = this.#firstOf(batch);
    next[this.#begun + batch] = ((body + 1) << incarnationBits) | this.view(next, coordinator).incarnation;
    const answered = next[this.#flags]! >> this.scope.batches.length;
    if ((answered & ~(1 << batch)) !== 0) next[this.#flags]! |= 1 << batch;
    return this.#step(next, coordinator, event(Kind.start, batch, body));
  }

  /** Of each pair the second node is dialled: it knows of the new session first, and the first one when it is welcomed. */
  #connect(next: State, [dialler, dialled]: readonly [number, number]): string | null {
    next[this.queueOf(dialled, dialler)] = this.queues.append(0, welcome);
    return this.#step(next, dialled, event(Kind.up, dialler, this.view(next, dialler).incarnation));
  }

  /** What is under way is lost; who believes to be connected will notice. */
  #cut(next: State, a: number, b: number): void {
    next[this.queueOf(a, b)] = this.#isUp(next, b, a) ? this.queues.append(0, closed) : 0;
    next[this.queueOf(b, a)] = this.#isUp(next, a, b) ? this.queues.append(0, closed) : 0;
  }

  #step(next: State, node: number, code: Event): string | null {
    const { next: local, sends, facts, fault } = this.machines[node]!.step(next[node]!, code);
    if (fault !== null) return fault;
    next[node] = local;
    for (let i = 0; i < sends.length; i += 2) {
      const to = sends[i]!;
      // Said into a session whose end was not noticed yet.
      if (this.queues.head(next[this.queueOf(to, node)]!) === closed) continue;
      const at = this.queueOf(node, to);
      next[at] = this.queues.append(next[at]!, sends[i + 1]! + messageItems);
    }
    for (const { plan, decision } of facts) {
      const fault = this.#note(next, node, plan, decision);
      if (fault !== null) return fault;
      next[this.#flags]! |= 1 << (this.scope.batches.length + this.batchOf(plan));
    }
    const { outcomes } = this.view(next, node);
    for (let plan = 0; plan < outcomes.length; plan++) {
      const fault = outcomes[plan] === UNDECIDED ? null : this.#note(next, node, plan, outcomes[plan]!);
      if (fault !== null) return fault;
    }
    return faultOfReplicas(this, next, node) ?? faultOfOutcomes(this, next);
  }

  /** Whoever knows an outcome, be it a client or a replica: it is decided from then on. */
  #note(next: State, node: number, plan: number, decision: Decision): string | null {
    const known = this.decisionOf(next, plan);
    if (known !== UNDECIDED && known !== decision) return `${this.nameOf(this.batchOf(plan))} is decided twice: ${words(known)}, and now ${this.scope.nodes[node]} knows T${plan + 1} ${words(decision)}`;
    next[this.#decided + this.batchOf(plan)] = decision + 1;
    return null;
  }

  /** If it goes wrong it has an effect. */
  #viewAfter(state: State, node: number, code: Event): { readonly voting: number } {
    const { next, fault } = this.machines[node]!.step(state[node]!, code);
    return fault === null ? this.machines[node]!.view(next) : { voting: 0 };
  }

  #spend(next: State, fault: keyof Faults): void {
    next[this.#faults]! -= 1 << faultShift[fault];
  }

  #isUp(state: State, node: number, peer: number): boolean {
    return (this.view(state, node).up & (1 << peer)) !== 0;
  }

  #isConnected(state: State, pair: number): boolean {
    const [a, b] = this.pairs[pair]!;
    if (!this.#isUp(state, a, b) && !this.#isUp(state, b, a)) return false;
    return this.queues.head(state[this.queueOf(a, b)]!) !== closed && this.queues.head(state[this.queueOf(b, a)]!) !== closed;
  }

  #mayConnect(state: State, pair: number): boolean {
    const [a, b] = this.pairs[pair]!;
    return !this.#isUp(state, a, b) && !this.#isUp(state, b, a);
  }

  /** A client may have read any version that some replica has, or nothing yet. */
  #beginnings(state: State, batch: number, into: Action[]): void {
    let choices: Version[][] = [[]];
    for (const key of this.scope.batches[batch]!.flatMap((plan) => this.scope.plans[plan]!.reads)) {
      const at = this.scope.keys.indexOf(key);
      const versions = new Set([0, ...this.scope.groups[at]!.map((node) => this.view(state, node).versions[at]!)]);
      choices = choices.flatMap((choice) => [...versions].map((version) => [...choice, version]));
    }
    for (const versions of choices) into.push(action(Act.start, batch, this.bodies.of(batch, versions)));
  }

  #firstOf(batch: number): Plan {
    return this.scope.plans[this.scope.batches[batch]![0]!]!;
  }

  #lowestPending(state: State, node: number): number {
    const pending = this.scope.plans.findIndex(({ coordinator }, plan) => coordinator === node && !this.isBegun(state, plan));
    return (pending < 0 ? this.scope.plans.length : pending) + 1;
  }
}

export const words = (decision: Decision): string => (decision === UNDECIDED ? 'undecided' : decision === ABORT ? 'aborted' : `committed at ${decision}`);
