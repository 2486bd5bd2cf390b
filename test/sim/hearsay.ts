/**
 * Does what nodes say follow from what they were told?
 *
 * Testimony holds a node to its own word. That leaves those who draw conclusions: a recoverer that proposes what the answers do not bear out
 * has promised nothing to anybody, and mostly nobody suffers, for the others remember better. So whoever proposes, decides, or tells a
 * client an outcome is held to what the network delivered to it until then: to this very life of it, as answers mean nothing to the
 * next one, but for outcomes, which last. What follows from what is in inference.ts.
 */
import { decodeBody } from '../../client/wire/codec.ts';
import { ABORT, Tag, UNDECIDED, Vote, type Body, type Decision, type Key, type Message, type Promised as PromiseMessage } from '../../client/wire/messages.ts';
import type { Placement } from '../../client/wire/placement.ts';
import { commitProtocols } from '../../client/wire/protocols.ts';
import { isAccepted, isBelow, isHeard, isMajority, mayDecideAlone, mayProposeCommit, mayRecover, type Acceptance, type Ballot, type OwnWord, type Promised, type Terms } from './inference.ts';

/** One life of a node. */
export interface Speaker {
  readonly node: string;
  readonly process: string;
  /** False if its disk has lost what it said. */
  readonly remembers: boolean;
}

/** What a life of a node was told about a transaction. */
interface Told {
  /** Of a coordinator: by member, the timestamp of its OK vote; 0 for a refusal. */
  readonly votes: Map<string, number>;
  /** By ballot. */
  readonly promises: Map<string, Promised[]>;
  readonly accepted: Map<string, Set<string>>;
  /** Who said that nothing can change any more, and knows of no commit. */
  readonly finished: Set<string>;
}

/** What a node knows about a transaction in all its lives, as far as it was told or has told others. */
interface Memory {
  wasAsked: boolean;
  vote: number | null;
  accepted: Ballot | null;
  readonly offers: Acceptance[];
  /** By ballot, its own. */
  readonly proposals: Map<string, Decision>;
  readonly outcomes: Set<Decision>;
  readonly lives: Map<string, Told>;
}

interface Matter {
  /** Null: nobody has sent its prepare yet. */
  terms: Terms | null;
  /** An operator decided it. */
  isOverruled: boolean;
  readonly memories: Map<string, Memory>;
}

type Id = readonly [string, number, number];

export class Hearsay {
  readonly #failures: string[];
  readonly #placement: Placement;
  readonly #matters = new Map<string, Matter>();
  /** What clients ask nodes about, by the life of the node, the client and the request. */
  readonly #questions = new Map<string, Id>();

  /** Whatever is found goes there, in words that begin with `broken-word`. */
  constructor(failures: string[], placement: Placement) {
    this.#failures = failures;
    this.#placement = placement;
  }

  /** A node is about to handle what another one sent. */
  heard({ node, process }: Speaker, from: string, messages: readonly Message[]): void {
    for (const message of messages) this.#hear(node, process, from, message);
  }

  /** A node says something to another one. */
  said(speaker: Speaker, messages: readonly Message[]): void {
    for (const message of messages) this.#say(speaker, message);
  }

  /** A node is about to handle what a client sent. */
  asked({ process }: Speaker, client: string, messages: readonly Message[]): void {
    for (const message of messages) {
      if (message[0] === Tag.settle) this.#matter(message.slice(2)).isOverruled = true;
      else if (message[0] === Tag.resolve) this.#questions.set(`${process} ${client} ${message[1]}`, [message[3], message[4], message[5]]);
      else if (message[0] === Tag.commit) this.#questions.delete(`${process} ${client} ${message[1]}`);
    }
  }

  /** A node says something to a client. */
  answered(speaker: Speaker, client: string, messages: readonly Message[]): void {
    for (const message of messages) {
      if (message[0] !== Tag.committed && message[0] !== Tag.aborted) continue;
      const question = `${speaker.process} ${client} ${message[1]}`;
      const id = this.#questions.get(question);
      if (id === undefined) continue;
      this.#questions.delete(question);
      const decision = message[0] === Tag.committed ? message[2] : ABORT;
      if (!this.#mayAnswer(speaker, id, decision)) this.#blame(speaker, id, `tells a client that asks that it is ${inWords(decision)}`);
    }
  }

  #hear(node: string, process: string, from: string, message: Message): void {
    switch (message[0]) {
      case Tag.prepare:
        this.#memory(node, message).wasAsked = true;
        return;
      case Tag.vote:
        this.#told(node, process, message).votes.set(from, message[4] === Vote.ok ? message[5] : 0);
        return;
      case Tag.promise: {
        const { promises } = this.#told(node, process, message);
        const ballot = ballotName(message[4], message[5]);
        promises.set(ballot, [...(promises.get(ballot) ?? []), { node: from, vote: message[7], accepted: acceptedIn(message) }]);
        return;
      }
      case Tag.accept:
        this.#memory(node, message).offers.push({ round: message[4], proposer: message[5], decision: message[6] });
        return;
      case Tag.accepted: {
        const { accepted } = this.#told(node, process, message);
        const ballot = ballotName(message[4], message[5]);
        accepted.set(ballot, (accepted.get(ballot) ?? new Set()).add(from));
        return;
      }
      case Tag.decide:
        this.#memory(node, message).outcomes.add(message[4]);
        return;
      case Tag.finished:
        if (message[4] > ABORT) this.#memory(node, message).outcomes.add(message[4]);
        else this.#told(node, process, message).finished.add(from);
        return;
      default:
    }
  }

  #say(speaker: Speaker, message: Message): void {
    switch (message[0]) {
      case Tag.prepare:
        this.#matter(message).terms ??= this.#termsOf(message[1], message[6], message[7]);
        return;
      case Tag.vote:
        if (message[4] !== Vote.unable) this.#memory(speaker.node, message).vote = message[4] === Vote.ok ? message[5] : 0;
        return;
      case Tag.promise: {
        const memory = this.#memory(speaker.node, message);
        const accepted = acceptedIn(message);
        memory.vote = message[7];
        if (accepted !== null) memory.accepted = higher(memory.accepted, accepted);
        return;
      }
      case Tag.accepted: {
        const memory = this.#memory(speaker.node, message);
        memory.accepted = higher(memory.accepted, { round: message[4], proposer: message[5] });
        return;
      }
      case Tag.accept:
        return this.#propose(speaker, message, { round: message[4], proposer: message[5] }, message[6]);
      case Tag.decide:
        return this.#decide(speaker, message, message[4]);
      case Tag.finished:
        // That it retains no commit says little.
        if (message[4] > ABORT) this.#decide(speaker, message, message[4]);
        return;
      case Tag.settled:
        this.#matter(message).isOverruled = true;
        return;
      default:
    }
  }

  #propose(speaker: Speaker, message: Message, ballot: Ballot, decision: Decision): void {
    const { node, process, remembers } = speaker;
    const id = idOf(message);
    const memory = this.#memory(node, id);
    const name = ballotName(ballot.round, ballot.proposer);
    if (memory.proposals.has(name)) return;
    memory.proposals.set(name, decision);
    const { terms, isOverruled } = this.#matter(id);
    if (terms === null || isOverruled) return;
    const told = this.#told(node, process, id);
    if (ballot.round === 0) {
      if (decision !== ABORT && !mayProposeCommit(terms, decision, told.votes)) this.#blame(speaker, id, `proposes ${inWords(decision)} on ${votesInWords(told.votes)}`);
      return;
    }
    const promises = told.promises.get(name) ?? [];
    if (!mayRecover(terms, decision, promises, this.#ownWord(terms, memory, node, ballot, remembers))) this.#blame(speaker, id, `proposes ${inWords(decision)} in ballot ${name} on ${promisesInWords(promises)}`);
  }

  #decide(speaker: Speaker, message: Message, decision: Decision): void {
    const id = idOf(message);
    const { outcomes } = this.#memory(speaker.node, id);
    if (outcomes.has(decision)) return;
    if (!this.#mayDecide(speaker.node, id, decision)) this.#blame(speaker, id, `says that it is decided, ${inWords(decision)}, on ${this.#evidenceInWords(speaker, id)}`);
    outcomes.add(decision);
  }

  /** Whatever life of it came to the decision: it may have written that down before it could tell anybody. */
  #mayDecide(node: string, id: Id, decision: Decision): boolean {
    const { terms, isOverruled } = this.#matter(id);
    const { outcomes, proposals, lives, wasAsked, vote } = this.#memory(node, id);
    if (terms === null || isOverruled || outcomes.has(decision)) return true;
    // What it proposes to nobody but itself nobody else hears.
    if (isAccepted(terms, true, (member) => member === node)) return true;
    for (const { votes, promises, accepted, finished } of lives.size === 0 ? [untold()] : lives.values()) {
      for (const [ballot, proposed] of proposals) {
        // A vote that it was told of too late tells it nothing of the protocol.
        const strangers = promises.get(ballot)?.filter((promise) => promise.vote === 0);
        const isKnown = strangers === undefined || !isMajority(terms.groups, (member) => member === node || strangers.some((stranger) => stranger.node === member));
        if (proposed === decision && isAccepted(terms, isKnown, (member) => member === node || accepted.get(ballot)?.has(member) === true)) return true;
      }
      if (node === terms.coordinator && mayDecideAlone(terms, decision, votes, proposals.get(ballotName(0, node)) ?? null)) return true;
      // A commit is finished when all who were asked to vote have acknowledged it.
      if (decision === ABORT && finished.size > 0 && wasAsked && vote !== 0) return true;
    }
    return false;
  }

  /** What a client asks about may be finished and forgotten: then who retains no commit of it counts for an abort, if that is a majority of its home. */
  #mayAnswer(speaker: Speaker, id: Id, decision: Decision): boolean {
    const { node, process } = speaker;
    const { terms } = this.#matter(id);
    // Of what it coordinated itself it may have told nobody.
    if (terms === null || node === terms.coordinator || this.#mayDecide(node, id, decision)) return true;
    const { finished, promises } = this.#told(node, process, id);
    const hasNone = new Set([node, ...finished, ...[...promises.values()].flat().filter(({ vote }) => vote === 0).map((promise) => promise.node)]);
    return decision === ABORT && isMajority(terms.groups.slice(0, 1), (member) => hasNone.has(member));
  }

  /** What it may have told itself when it asked for promises for this ballot. */
  #ownWord(terms: Terms, memory: Memory, node: string, ballot: Ballot, remembers: boolean): OwnWord | null {
    const { coordinator, groups } = terms;
    if (node !== coordinator && !groups.some((group) => group.includes(node))) return null;
    const offers: Acceptance[] = [...memory.offers];
    for (const [name, decision] of memory.proposals) offers.push({ ...ballotNamed(name), decision });
    // What it proposed to nobody but itself: nobody else was there.
    if (node === coordinator && !memory.proposals.has(ballotName(0, node))) offers.push({ round: 0, proposer: node, decision: null });
    for (const { promises } of memory.lives.values()) {
      for (const [name, promised] of promises) {
        if (!memory.proposals.has(name) && isHeard(terms, (member) => member === node || promised.some((promise) => promise.node === member))) offers.push({ ...ballotNamed(name), decision: null });
      }
    }
    const isReplica = groups.some((group) => group.includes(node));
    const vote = !isReplica ? 0 : remembers ? memory.vote : null;
    const accepted = remembers && memory.accepted !== null && isBelow(memory.accepted, ballot) ? memory.accepted : null;
    return { node, vote, offers: offers.filter((offer) => isBelow(offer, ballot)), accepted };
  }

  #termsOf(coordinator: string, protocol: number, bytes: Uint8Array): Terms {
    const groups = groupsOf(decodeBody(bytes), this.#placement);
    return { protocol: commitProtocols[protocol] ?? 'dtp', coordinator, groups };
  }

  #evidenceInWords({ node, process }: Speaker, id: Id): string {
    const { votes, accepted } = this.#told(node, process, id);
    const acceptors = [...accepted].map(([ballot, by]) => `acceptances in ballot ${ballot} by ${[...by].join(', ')}`);
    return [votesInWords(votes), ...acceptors].join('; ');
  }

  #blame({ node }: Speaker, id: Id, what: string): void {
    this.#failures.push(`broken-word: of ${id.join(':')}: ${node} ${what}`);
  }

  #matter(message: readonly unknown[]): Matter {
    const name = idOf(message).join(':');
    let matter = this.#matters.get(name);
    if (matter === undefined) this.#matters.set(name, (matter = { terms: null, isOverruled: false, memories: new Map() }));
    return matter;
  }

  #memory(node: string, message: readonly unknown[]): Memory {
    const { memories } = this.#matter(message);
    let memory = memories.get(node);
    if (memory === undefined) memories.set(node, (memory = { wasAsked: false, vote: null, accepted: null, offers: [], proposals: new Map(), outcomes: new Set(), lives: new Map() }));
    return memory;
  }

  #told(node: string, process: string, message: readonly unknown[]): Told {
    const { lives } = this.#memory(node, message);
    let told = lives.get(process);
    if (told === undefined) lives.set(process, (told = untold()));
    return told;
  }
}

const untold = (): Told => ({ votes: new Map(), promises: new Map(), accepted: new Map(), finished: new Set() });

/** Of a name, or of a message about a transaction, which has its name behind the tag. */
function idOf(message: readonly unknown[]): Id {
  return (typeof message[0] === 'number' ? message.slice(1, 4) : message) as unknown as Id;
}

function groupsOf([reads, writes]: Body, placement: Placement): (readonly string[])[] {
  const keys = [...writes.filter((_, i) => i % 2 === 0), ...reads.filter((_, i) => i % 2 === 0)] as Key[];
  const groups = keys.map((key) => placement.groupOf(placement.partitionOf(key)));
  return [...new Map(groups.map((group) => [[...group].sort().join(' '), group])).values()];
}

function acceptedIn([, , , , , , , , , , round, proposer, decision]: PromiseMessage): Acceptance | null {
  return round < 0 ? null : { round, proposer, decision };
}

const higher = (a: Ballot | null, b: Ballot): Ballot => (a === null || isBelow(a, b) ? b : a);

function ballotName(round: number, proposer: string): string {
  return `${round}.${proposer}`;
}

function ballotNamed(name: string): Ballot {
  const dot = name.indexOf('.');
  return { round: Number(name.slice(0, dot)), proposer: name.slice(dot + 1) };
}

const inWords = (decision: Decision): string => (decision === ABORT ? 'an abort' : decision === UNDECIDED ? 'undecided' : `a commit at ${decision}`);

function votesInWords(votes: ReadonlyMap<string, number>): string {
  return votes.size === 0 ? 'no votes' : [...votes].map(([node, vote]) => (vote === 0 ? `a refusal of ${node}` : `an OK of ${node} at ${vote}`)).join(', ');
}

function promisesInWords(promises: readonly Promised[]): string {
  const each = promises.map(({ node, vote, accepted }) => {
    const voted = vote === 0 ? 'has not voted OK' : `has voted OK at ${vote}`;
    return `${node} ${voted}${accepted === null ? '' : ` and accepted ${inWords(accepted.decision ?? UNDECIDED)} in ballot ${ballotName(accepted.round, accepted.proposer)}`}`;
  });
  return each.length === 0 ? 'no promises' : `promises: ${each.join('; ')}`;
}
