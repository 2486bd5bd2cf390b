/**
 * Do nodes keep their word? What they say to one another, held against what they said before, in this life or an earlier one.
 *
 * Most of what ruins a commit protocol does harm only if two more mishaps come to pass in the right order, and a client sees it only if it happens to
 * look. But it begins with a word that somebody breaks: a promise that did not outlive a crash, a vote told otherwise to a recoverer, two values
 * proposed in one ballot. That is seen at once, on the wire, whatever comes of it. (Paxos Made Live, Chandra, Griesemer and Redstone 2007, tell of
 * acceptors that broke promises after their disks had lost them; Lamport's "Paxos Made Simple" has the rules.)
 *
 * It knows the messages and the rules, and nothing of how a node comes to what it says. What a node says in one turn to different others leaves in any
 * order, so a message is held against those of earlier turns only.
 */
import { ABORT, Tag, UNDECIDED, Vote, type Decision, type Message } from '../../client/wire/messages.ts';
import { isBelow, type Ballot } from './inference.ts';

/** What one node has said about one transaction. */
interface Word {
  /** The timestamp of its OK vote; 0 for a refusal, or that it had none; null if it was not asked. */
  vote: number | null;
  promised: Ballot | null;
  accepted: Ballot | null;
  /** It has said that it will not forget the outcome before all others have it. */
  hasOutcome: boolean;
}

const higher = (a: Ballot | null, b: Ballot): Ballot => (a === null || isBelow(a, b) ? b : a);
const inWords = (decision: Decision | number): string => (decision === ABORT ? 'an abort' : `a commit at ${decision}`);

export class Testimony {
  /** By node and transaction. */
  readonly #words = new Map<string, Word>();
  /** By transaction, what somebody has said it is. */
  readonly #decisions = new Map<string, Decision>();
  /** Those that an operator decided. */
  readonly #overruled = new Set<string>();
  /** By transaction and ballot. */
  readonly #proposals = new Map<string, Decision>();
  readonly #failures: string[];
  /** By node, what follows from the messages of its present turn. */
  readonly #fresh = new Map<string, { readonly turnMs: number; readonly memories: (() => void)[] }>();

  /** Whatever is found goes there, in words that begin with `broken-word`. */
  constructor(failures: string[]) {
    this.#failures = failures;
  }

  /** What a node says to another one in a frame, in the turn that began then. Who has lost what it remembered is not held to it. */
  said(turnMs: number, by: string, messages: readonly Message[], remembers = true): void {
    let fresh = this.#fresh.get(by);
    if (fresh === undefined || turnMs > fresh.turnMs) {
      for (const remember of fresh?.memories ?? []) remember();
      this.#fresh.set(by, (fresh = { turnMs, memories: [] }));
    }
    if (remembers) for (const message of messages) this.#hear(by, message, fresh.memories);
  }

  #hear(by: string, message: Message, fresh: (() => void)[]): void {
    switch (message[0]) {
      case Tag.vote: {
        // Nothing is said of the vote: of what could not be written something may be there all the same.
        if (message[4] === Vote.unable) return;
        const word = this.#wordOf(by, message);
        const vote = message[4] === Vote.ok ? message[5] : 0;
        if (vote !== 0 && word.vote !== null && word.vote !== vote) this.#blame(by, message, `votes OK at ${vote}, and has said ${word.vote === 0 ? 'that it did not' : word.vote}`);
        fresh.push(() => (word.vote = vote));
        return;
      }
      case Tag.promise: {
        const word = this.#wordOf(by, message);
        const [, , , , round, proposer, , timestamp, , , acceptedRound, acceptedProposer] = message;
        const ballot = { round, proposer };
        const accepted = { round: acceptedRound, proposer: acceptedProposer };
        if (word.promised !== null && !isBelow(word.promised, ballot)) this.#blame(by, message, `promises ballot ${ballotName(ballot)}, and has promised ${ballotName(word.promised)}`);
        if (word.vote !== null && word.vote !== timestamp) this.#blame(by, message, `tells a recoverer ${voteInWords(timestamp)}, and has told ${voteInWords(word.vote)}`);
        if (word.accepted !== null && isBelow(accepted, word.accepted)) this.#blame(by, message, `tells a recoverer nothing of ballot ${ballotName(word.accepted)}, in which it has accepted`);
        if (word.hasOutcome) this.#blame(by, message, 'makes a promise, and has acknowledged the outcome');
        fresh.push(() => {
          word.vote = timestamp;
          word.promised = higher(word.promised, ballot);
        });
        return;
      }
      case Tag.accepted: {
        const word = this.#wordOf(by, message);
        const ballot = { round: message[4], proposer: message[5] };
        if (word.promised !== null && isBelow(ballot, word.promised)) this.#blame(by, message, `accepts in ballot ${ballotName(ballot)}, and has promised ${ballotName(word.promised)}`);
        if (word.hasOutcome) this.#blame(by, message, 'accepts a proposal, and has acknowledged the outcome');
        fresh.push(() => (word.accepted = higher(word.accepted, ballot)));
        return;
      }
      case Tag.accept: {
        const ballot = `${nameOf(message)} ${ballotName({ round: message[4], proposer: message[5] })}`;
        const proposed = this.#proposals.get(ballot) ?? message[6];
        if (proposed !== message[6]) this.#blame(by, message, `proposes ${inWords(message[6])} in the ballot in which ${inWords(proposed)} was proposed`);
        this.#proposals.set(ballot, proposed);
        return;
      }
      case Tag.settled:
        this.#overruled.add(nameOf(message));
        return;
      case Tag.decide:
        return this.#decided(by, message, message[4]);
      case Tag.finished:
        // That a node retains no commit says little; that it does, much.
        if (message[4] !== UNDECIDED && message[4] !== ABORT) this.#decided(by, message, message[4]);
        return;
      case Tag.decided:
        for (const number of message[3]) {
          const word = this.#wordOf(by, [0, message[1], message[2], number]);
          fresh.push(() => (word.hasOutcome = true));
        }
        return;
      default:
    }
  }

  #decided(by: string, message: readonly unknown[], decision: Decision): void {
    const name = nameOf(message);
    const before = this.#decisions.get(name) ?? decision;
    // A coordinator that had decided otherwise than an operator did has said nothing wrong: it finds that out, and stops.
    if (before !== decision && !this.#overruled.has(name)) this.#blame(by, message, `says that it is decided, ${inWords(decision)}, and it has been said to be ${inWords(before)}`);
    this.#decisions.set(name, before);
  }

  #wordOf(by: string, message: readonly unknown[]): Word {
    const key = `${by} ${nameOf(message)}`;
    let word = this.#words.get(key);
    if (word === undefined) this.#words.set(key, (word = { vote: null, promised: null, accepted: null, hasOutcome: false }));
    return word;
  }

  #blame(by: string, message: readonly unknown[], what: string): void {
    this.#failures.push(`broken-word: of ${nameOf(message)}: ${by} ${what}`);
  }
}

/** Each message about a transaction has its name behind the tag. */
function nameOf(message: readonly unknown[]): string {
  return message.slice(1, 4).join(':');
}

function ballotName({ round, proposer }: Ballot): string {
  return `${round}.${proposer}`;
}

function voteInWords(vote: number): string {
  return vote === 0 ? 'that it has not voted OK' : `that it has voted OK at ${vote}`;
}
