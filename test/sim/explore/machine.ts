/**
 * The nodes as tables.
 *
 * Nodes share nothing: what one does next follows from its own state and the event that reaches it. And though the states
 * of the whole are legion, those of one node are few; each is met again and again beside other states of the others. So
 * the real parts run once for each pair of a local state and an event, and the outcome is kept: the next local state,
 * what was said, what is wrong. Objects can't be copied, so a life is made again by living it: from the journal that it
 * began with, event by event.
 */
import { createHash } from 'node:crypto';
import { Tag, type Message } from '../../../client/wire/messages.ts';
import type { JournalRecord } from '../../../node/store/records.ts';
import { firstJournal, Life, type Fact, type Happening, type LifeEvent } from './life.ts';
import { examine, type View } from './snapshot.ts';

/** An event of one node: its kind, a node, a plan or a batch, and a message, a body or an incarnation. */
export type Event = number;

export const Kind = { deliver: 0, flush: 1, start: 2, wait: 3, expire: 4, handOver: 5, recover: 6, retry: 7, up: 8, down: 9, crash: 10, marks: 11, ask: 12 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export const event = (kind: Kind, who = 0, what = 0): Event => kind | (who << 4) | (what << 8);
export const kindOf = (code: Event): Kind => (code & 15) as Kind;
export const whoOf = (code: Event): number => (code >> 4) & 15;
export const whatOf = (code: Event): number => code >> 8;

export interface Transition {
  /** The next local state; meaningless if there is a fault. */
  readonly next: number;
  /** Flat: to whom, which message. */
  readonly sends: readonly number[];
  readonly facts: readonly Fact[];
  /** Is anything heard by the node itself but acknowledgements? */
  readonly inward: boolean;
  readonly fault: string | null;
}

interface LocalState {
  readonly view: View;
  readonly fault: string | null;
  /** How this state was first come to: from which other one, by which event; or by a restart on this journal. */
  readonly from: { readonly state: number; readonly event: Event } | { readonly journal: readonly JournalRecord[]; readonly incarnation: number };
  /** What a restart would find, kept where it is needed. */
  readonly durable: readonly JournalRecord[];
  readonly transitions: Map<Event, Transition>;
}

/** Messages by number: equal ones have the same. */
export class Messages {
  readonly #all: { readonly message: Message; readonly incarnation: number }[] = [];
  readonly #numbers = new Map<string, number>();

  /** Only marks are heard differently from another life of the same sender. */
  numberOf(message: Message, incarnation: number): number {
    const heardOf = message[0] === Tag.marks ? incarnation : 0;
    const name = `${heardOf}${JSON.stringify(message)}`;
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#all.push({ message, incarnation: heardOf }) - 1;
    this.#numbers.set(name, number);
    return number;
  }

  get(number: number): { readonly message: Message; readonly incarnation: number } {
    return this.#all[number]!;
  }

  get count(): number {
    return this.#all.length;
  }

  tagOf(number: number): Tag {
    return this.#all[number]!.message[0];
  }

  /** Which plan it is about, if it is a message about one. */
  planOf(number: number): number {
    return (this.#all[number]!.message[3] as number) - 1;
  }

  /** Who is concerned by what others reply, if it is a reply. */
  audienceOf(number: number): 'coordinator' | 'recoverer' | 'everybody' | 'replica' {
    const { message } = this.#all[number]!;
    switch (message[0]) {
      case Tag.vote:
        return 'coordinator';
      case Tag.accepted:
      case Tag.rejected:
        return message[4] === 0 ? 'coordinator' : 'recoverer';
      case Tag.promise:
      case Tag.finished:
      case Tag.batched:
        return 'recoverer';
      case Tag.decide:
        return 'everybody';
      default:
        return 'replica';
    }
  }
}

export interface MachineOptions {
  readonly happening: Happening;
  readonly messages: Messages;
  readonly self: number;
  /** Are promises without a record, and restarts that change something, faults? If not, only what comes of them is. */
  readonly strict: boolean;
}

/** All states of one node that were met so far, numbered; 0 is the first. */
export class Machine {
  readonly #options: MachineOptions;
  readonly #states: LocalState[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #keeps: (record: JournalRecord) => boolean;
  /** The last life that was made, if it can be lived on, and in which state it is. */
  #alive: { readonly state: number; readonly life: Life } | null = null;
  transitionCount = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#keeps = options.happening.mistake?.keeps ?? (() => true);
    const from = { journal: firstJournal(options.happening.scope), incarnation: 1 };
    this.#enter(this.#born(from), from);
  }

  get stateCount(): number {
    return this.#states.length;
  }

  view(state: number): View {
    return this.#states[state]!.view;
  }

  step(state: number, code: Event): Transition {
    const { transitions } = this.#states[state]!;
    let transition = transitions.get(code);
    if (transition === undefined) {
      transition = kindOf(code) === Kind.crash ? this.#restart(state) : this.#live(state, code);
      transitions.set(code, transition);
      this.transitionCount++;
    }
    return transition;
  }

  /**
   * Goes to each state by every way that is known and on from there by every event, and says where it goes on otherwise
   * than by the first way: then what is written down of a life is not all that its future depends on.
   */
  audit(): { readonly compared: number; readonly fault: string | null } {
    const before = this.#states.length;
    let compared = 0;
    for (let state = 0; state < before; state++) {
      for (const [code, { next, fault }] of [...this.#states[state]!.transitions]) {
        if (fault !== null || kindOf(code) === Kind.crash) continue;
        for (const [onward, expected] of this.#states[next]!.transitions) {
          if (kindOf(onward) === Kind.crash) continue;
          const life = this.#relive(state);
          life.handle(this.#eventOf(code));
          clear(life);
          const found = this.#heed(life, next, onward);
          compared++;
          if (JSON.stringify(found) !== JSON.stringify(expected)) return { compared, fault: `state ${next} by way of ${state}: ${JSON.stringify(found)}, first ${JSON.stringify(expected)}` };
        }
      }
    }
    return { compared, fault: null };
  }

  #restart(state: number): Transition {
    const { durable, view: { incarnation } } = this.#states[state]!;
    const from = { journal: durable.filter(this.#keeps), incarnation: incarnation + 1 };
    const next = this.#enter(this.#born(from), from);
    return { next, sends: [], facts: [], inward: false, fault: this.#states[next]!.fault };
  }

  /** In their first lives all are connected. */
  #born({ journal, incarnation }: { journal: readonly JournalRecord[]; incarnation: number }): Life {
    const life = new Life(this.#options.happening, this.#options.self, incarnation, journal);
    if (incarnation > 1) life.rise();
    else for (const node of this.#options.happening.scope.nodes) if (node !== life.topology.self) life.up.add(node);
    return life;
  }

  #live(state: number, code: Event): Transition {
    return this.#heed(this.#relive(state), state, code);
  }

  /** The life is in this state and meets this event. */
  #heed(life: Life, state: number, code: Event): Transition {
    const { messages, happening: { scope } } = this.#options;
    try {
      life.handle(this.#eventOf(code));
    } catch (error) {
      return { next: state, sends: [], facts: [], inward: false, fault: `${life.topology.self}: ${error instanceof Error ? error.message : String(error)}` };
    }
    const sends = life.said.flatMap(([to, message]) => (to === life.topology.self ? [] : [scope.nodes.indexOf(to), messages.numberOf(message, life.incarnation)]));
    const inward = life.said.some(([to, [tag]]) => to === life.topology.self && tag !== Tag.decided);
    const { facts, hollow } = life;
    const next = this.#enter(life, { state, event: code });
    const fault = this.#states[next]!.fault ?? (this.#options.strict ? (hollow[0] ?? null) : null);
    return { next, sends, facts, inward, fault };
  }

  /** A life in this state: the last one made, or one that lives it all again. */
  #relive(state: number): Life {
    const alive = this.#alive;
    this.#alive = null;
    if (alive?.state === state) return alive.life;
    const events: Event[] = [];
    let at = this.#states[state]!.from;
    while ('state' in at) {
      events.push(at.event);
      at = this.#states[at.state]!.from;
    }
    const life = this.#born(at);
    for (const code of events.reverse()) life.handle(this.#eventOf(code));
    clear(life);
    return life;
  }

  #enter(life: Life, from: LocalState['from']): number {
    clear(life);
    const { happening: { scope }, strict } = this.#options;
    const durable = [...life.store.durable];
    const { text, view, lockFault, restartFault } = examine(life, scope, this.#keeps);
    const name = createHash('sha1').update(text).digest('base64');
    let state = this.#numbers.get(name);
    if (state === undefined) {
      state = this.#states.push({ view, fault: lockFault ?? (strict ? restartFault : null), from, durable, transitions: new Map() }) - 1;
      this.#numbers.set(name, state);
    }
    if (!view.hasVolatile) this.#alive = { state, life };
    return state;
  }

  #eventOf(code: Event): LifeEvent {
    const who = whoOf(code);
    const what = whatOf(code);
    switch (kindOf(code)) {
      case Kind.deliver:
        return { kind: 'deliver', from: who, ...this.#options.messages.get(what) };
      case Kind.flush:
        return { kind: 'flush' };
      case Kind.start:
        return { kind: 'start', batch: who, body: what };
      case Kind.wait:
        return { kind: 'wait' };
      case Kind.expire:
        return { kind: 'expire' };
      case Kind.handOver:
        return { kind: 'handOver' };
      case Kind.recover:
        return { kind: 'recover', plan: who, incarnation: what };
      case Kind.ask:
        return { kind: 'ask', plan: who, incarnation: what };
      case Kind.retry:
        return { kind: 'retry' };
      case Kind.up:
        return { kind: 'up', peer: who, incarnation: what };
      case Kind.down:
        return { kind: 'down', peer: who };
      case Kind.marks:
        return { kind: 'marks', lowestPending: what };
      case Kind.crash:
        throw new Error('a crash is no event of a life');
    }
  }
}

function clear(life: Life): void {
  life.said = [];
  life.facts = [];
  life.hollow = [];
}
