/**
 * The replica's side of commit: votes, promises, acceptances, outcomes.
 *
 * Each handler looks, enters a record into the ledger if something must be remembered, and answers when the journal is on
 * disk. That order (persist, then send) is the whole of a replica's honesty, and `#afterwards` is its one place.
 */
import { EventKind } from '../../client/wire/events.ts';
import { ABORT, formatTxnId, UNDECIDED, Vote, Tag, type Accept, type Decide, type Marks, type Message, type Prepare, type Recover, type TxnId, type VoteMessage } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import { invariant } from '../invariant.ts';
import { Kind } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { compareBallots } from './ballot.ts';
import type { Chronicle } from './chronicle.ts';
import type { HybridClock } from './clock.ts';
import type { Gate, Rebirths } from './gate.ts';
import type { Ledger } from './ledger.ts';
import { protocols } from './protocols/registry.ts';

/** What a participant does with its store. */
export type ParticipantStore = Pick<Store, 'full' | 'whenRoom' | 'whenDurable' | 'alongWithNext'> & { readonly intake: Pick<Store['intake'], 'refusal' | 'whenAccepting'> };

export interface ParticipantOptions {
  readonly topology: Topology;
  readonly store: ParticipantStore;
  readonly ledger: Ledger;
  readonly clock: HybridClock;
  readonly outbox: Outbox;
  /** Runs a piece of work as an entrance from outside (see Loopback). */
  readonly during: (work: () => void) => void;
  /** Runs an action at the end of this turn of the event loop. */
  readonly defer: (action: () => void) => void;
  /** Told how long each vote took to become durable, in ms. */
  readonly felt?: (delayMs: number) => void;
  readonly nowMs?: () => number;
  /** Which coordinators may have a vote; all, unless told. */
  readonly gate?: Pick<Gate, 'toldBy' | 'isOpenTo'>;
  /** Where what happens is noted for whoever asks how a transaction went; nothing depends on it. */
  readonly chronicle?: Chronicle;
}

export class Participant {
  readonly #topology: Topology;
  readonly #store: ParticipantStore;
  readonly #ledger: Ledger;
  readonly #clock: HybridClock;
  readonly #outbox: Outbox;
  readonly #during: (work: () => void) => void;
  readonly #defer: (action: () => void) => void;
  readonly #gate: ParticipantOptions['gate'];
  readonly #chronicle: Chronicle | undefined;
  readonly #felt: (delayMs: number) => void;
  readonly #nowMs: () => number;
  /** Acknowledgements of outcomes that wait for the journal, by coordinator's life. */
  readonly #acknowledgements = new Map<string, { node: string; incarnation: number; numbers: number[] }>();
  #acknowledgementAwaited = false;
  /** What coordinators said last of their own transactions while nothing could be written. */
  readonly #heldMarks = new Map<string, { readonly incarnation: number; readonly message: Marks }>();
  /** Messages turned away for the disk's sake. */
  #turnedAway = 0;
  /** `forcedWrites`: records that a message waited for, on their way to the disk; `acknowledged`: outcomes whose being durable here was told to other nodes. */
  readonly counters = { forcedWrites: 0, acknowledged: 0 };

  constructor({ topology, store, ledger, clock, outbox, during, defer, gate, chronicle, felt = () => {}, nowMs = () => 0 }: ParticipantOptions) {
    this.#topology = topology;
    this.#store = store;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#outbox = outbox;
    this.#during = during;
    this.#defer = defer;
    this.#gate = gate;
    this.#chronicle = chronicle;
    this.#felt = felt;
    this.#nowMs = nowMs;
  }

  /** `told`: which rebirths the coordinator had told of when this arrived. */
  onPrepare(from: string, message: Prepare, told: Rebirths | undefined = this.#gate?.toldBy(from)): void {
    const [, node, incarnation, number, epoch, proposed, protocol, body] = message;
    const id: TxnId = { node, incarnation, number };
    if (this.#answerDecided(from, id)) return;
    if (this.#turnsAway()) return this.#voteNo(from, id, Vote.unable, 0);
    // Taken in only while committed data has somewhere to go; the order of arrival is kept.
    if (this.#store.full) return this.#prepareLater(from, message, told);
    this.#clock.observe(proposed);
    const known = this.#ledger.find(id);
    const floor = this.#ledger.lives.floorOf(node)?.incarnation ?? 0;
    if ((known !== undefined && known.promised.round > 0) || incarnation < floor) return this.#voteNo(from, id, Vote.superseded, 0);
    if (epoch !== this.#topology.epoch) return this.#voteNo(from, id, Vote.wrongView, this.#topology.epoch);
    // This life was not asked before, so there was no OK vote; but its former self may have promised never to give one.
    if (this.#ledger.hasForgotten(id)) return this.#voteNo(from, id, Vote.unsure, 0);
    if (told !== undefined && this.#gate?.isOpenTo(told) === false) return this.#voteNo(from, id, Vote.unsure, 0);
    // A prepare that waited for room may have been overtaken by the coordinator's proposal; it has a vote all the same.
    invariant(known === undefined || known.timestamp === 0, `a second prepare for ${formatTxnId(id)}`);
    const parsed = this.#ledger.parse(body);
    for (const other of parsed.others) {
      // Somebody recovers that one by its own name, and was told that there is no vote of ours.
      if (this.#ledger.find({ node, incarnation, number: other }) !== undefined) return this.#voteNo(from, id, Vote.superseded, 0);
      if (this.#ledger.hasForgotten({ node, incarnation, number: other })) return this.#voteNo(from, id, Vote.unsure, 0);
    }
    const objection = this.#ledger.objection(parsed);
    if (objection?.vote === Vote.stale) return this.#voteNo(from, id, Vote.stale, objection.version, objection.key);
    if (objection !== null) return this.#voteNo(from, id, Vote.conflict, 0, objection.key, formatTxnId(objection.holder.id));
    const timestamp = this.#ledger.timestampFor(parsed, proposed);
    // Last, for it may be what was just read that turned out to be damaged.
    if (!this.#ledger.isSureOf(parsed)) return this.#voteNo(from, id, Vote.unsure, 0);
    this.#ledger.enter([Kind.prepared, node, incarnation, number, epoch, protocol, timestamp, body]);
    const vote: VoteMessage = [Tag.vote, node, incarnation, number, Vote.ok, timestamp, null, null];
    if (from === this.#topology.self && protocols[protocol]?.ownVoteWaitsForDecision === true) this.#outbox.send(from, vote);
    else this.#afterwards(from, vote);
  }

  #prepareLater(from: string, message: Prepare, told: Rebirths | undefined): void {
    const turnedAway = this.#turnedAway;
    this.#store.whenRoom(() => this.#during(() => {
      const [, node, incarnation, number] = message;
      // Its outcome may have been among what was turned away, and whoever sent that does not wait for us any more.
      if (turnedAway === this.#turnedAway) this.onPrepare(from, message, told);
      else this.#voteNo(from, { node, incarnation, number }, Vote.unable, 0);
    }));
  }

  onAccept(from: string, [, node, incarnation, number, round, proposer, decision]: Accept): void {
    const id: TxnId = { node, incarnation, number };
    if (this.#answerDecided(from, id) || this.#turnsAway()) return;
    if (this.#ledger.hasForgotten(id)) return void this.#outbox.send(from, [Tag.forgot, node, incarnation, number, round, proposer]);
    if (this.#answerBatched(from, id)) return;
    const promised = this.#ledger.find(id)?.promised;
    if (promised !== undefined && promised.round > 0 && compareBallots(promised, { round, proposer }) > 0) {
      this.#outbox.send(from, [Tag.rejected, node, incarnation, number, round, proposer, promised.round, promised.proposer]);
      return;
    }
    this.#ledger.enter([Kind.accepted, node, incarnation, number, round, proposer, decision]);
    this.#afterwards(from, [Tag.accepted, node, incarnation, number, round, proposer]);
  }

  onRecover(from: string, [, node, incarnation, number, round, proposer]: Recover): void {
    const id: TxnId = { node, incarnation, number };
    if (this.#answerDecided(from, id) || this.#turnsAway()) return;
    if (this.#ledger.hasForgotten(id)) return void this.#outbox.send(from, [Tag.forgot, node, incarnation, number, round, proposer]);
    if (this.#answerBatched(from, id)) return;
    const promised = this.#ledger.find(id)?.promised;
    if (promised !== undefined && compareBallots(promised, { round, proposer }) >= 0) {
      this.#outbox.send(from, [Tag.rejected, node, incarnation, number, round, proposer, promised.round, promised.proposer]);
      return;
    }
    this.#ledger.enter([Kind.promised, node, incarnation, number, round, proposer]);
    const record = this.#ledger.find(id);
    invariant(record !== undefined, `no record of ${formatTxnId(id)} after a promise`);
    const { timestamp, epoch, protocol, accepted, body } = record;
    this.#afterwards(from, [
      Tag.promise, node, incarnation, number, round, proposer, timestamp === 0 ? Vote.none : Vote.ok, timestamp, epoch, protocol,
      accepted?.ballot.round ?? -1, accepted?.ballot.proposer ?? '', accepted?.decision ?? UNDECIDED, body,
    ]);
  }

  onDecide(from: string, [, node, incarnation, number, decision, body]: Decide): void {
    const id: TxnId = { node, incarnation, number };
    const known = this.#ledger.find(id);
    // What is said of a part, follows for the batch; but it is the batch that is decided, and whose outcome is acknowledged.
    if (known !== undefined && known.id.number !== number) return;
    if (known === undefined && this.#ledger.isFinished(id)) return this.#acknowledge(id, false);
    // To its coordinator alone, whose prepare can't come any more: it came before, if it did.
    if (known === undefined && this.#turnsAway()) return from === node ? this.#voteNo(from, id, Vote.unable, 0) : undefined;
    if (known !== undefined && known.outcome !== UNDECIDED) {
      invariant(known.outcome === decision, `${formatTxnId(id)} decided twice: ${known.outcome} and ${decision}`);
    } else {
      const values = known?.body ?? body;
      // Told by somebody who has forgotten the writes: we learn nothing that we could keep, and healing brings the data.
      if (values === null && decision !== ABORT) return;
      // With a vote the journal has the values already, in whatever segment: an undecided record is carried along.
      const journalled = known !== undefined && known.timestamp !== 0;
      this.#ledger.enter([Kind.outcome, node, incarnation, number, decision, journalled ? null : values]);
      this.#chronicle?.note(EventKind.applied, node, incarnation, number, 0, null, 0, decision);
    }
    if (from !== node) return;
    const protocol = known === undefined || known.timestamp === 0 ? undefined : protocols[known.protocol];
    if (decision === ABORT && protocol?.presumesAbort === true) return;
    this.#acknowledge(id, decision !== ABORT && protocol?.answers === 'when applied');
  }

  /** The coordinator's word on its own transactions; believed only from itself, in its present life. */
  onMarks(from: string, incarnation: number, message: Marks): void {
    const [, watermark, exceptions] = message;
    if (this.#store.intake.refusal === null) return this.#ledger.enterDurably([Kind.marks, from, incarnation, watermark, exceptions]);
    if (this.#heldMarks.size === 0) {
      this.#store.intake.whenAccepting(() => this.#during(() => {
        const held = [...this.#heldMarks];
        this.#heldMarks.clear();
        for (const [node, marks] of held) this.onMarks(node, marks.incarnation, marks.message);
      }));
    }
    this.#heldMarks.set(from, { incarnation, message });
  }

  /**
   * The disk takes nothing, so nothing more is promised and nothing more remembered: what is known here already goes on, as far as it
   * needs no disk. Memory would fill up otherwise, with what only a disk could let go. A replica that turns messages away is as one that
   * did not get them, but for the NO that says so: it holds nothing of the transaction and never will have a vote, so nobody need wait
   * for it, and healing brings it what was committed meanwhile.
   */
  #turnsAway(): boolean {
    if (this.#store.intake.refusal === null) return false;
    this.#turnedAway++;
    return true;
  }

  /** If nothing about it can change here any more, says so and what the outcome is. */
  #answerDecided(from: string, id: TxnId): boolean {
    const record = this.#ledger.find(id);
    if (record !== undefined && record.outcome !== UNDECIDED) {
      this.#outbox.send(from, [Tag.decide, id.node, id.incarnation, id.number, record.outcome, record.id.number === id.number ? record.body : null]);
      return true;
    }
    if (!this.#ledger.isFinished(id)) return false;
    this.#outbox.send(from, [Tag.finished, id.node, id.incarnation, id.number, this.#ledger.outcomeOfFinished(id)]);
    return true;
  }

  /** A part of a batch is never decided alone: says of which batch it is, for whoever wants to know to turn to that. */
  #answerBatched(from: string, { node, incarnation, number }: TxnId): boolean {
    const record = this.#ledger.find({ node, incarnation, number });
    if (record === undefined || record.id.number === number || record.body === null) return false;
    this.#outbox.send(from, [Tag.batched, node, incarnation, number, record.id.number, record.epoch, record.protocol, [...this.#ledger.parse(record.body).partitions]]);
    return true;
  }

  #voteNo(to: string, { node, incarnation, number }: TxnId, vote: Vote, detail: number, key: string | null = null, holder: string | null = null): void {
    this.#outbox.send(to, [Tag.vote, node, incarnation, number, vote, detail, key, holder]);
  }

  /** Persist, then send. */
  #afterwards(to: string, message: Message): void {
    this.counters.forcedWrites++;
    const beganMs = this.#nowMs();
    this.#store.whenDurable(() => this.#during(() => {
      this.#felt(this.#nowMs() - beganMs);
      this.#chronicle?.noteMessage(EventKind.forced, null, message);
      this.#outbox.send(to, message);
    }));
  }

  /** Tells the coordinator that the outcome is durable here: one message for all that one flush made so. It comes soon only if somebody waits for it. */
  #acknowledge({ node, incarnation, number }: TxnId, isAwaited: boolean): void {
    if (isAwaited) {
      this.#acknowledgementAwaited = true;
      this.counters.forcedWrites++;
    }
    const name = `${node}:${incarnation}`;
    if (this.#acknowledgements.size === 0) this.#defer(() => this.#flushAcknowledgements());
    const waiting = this.#acknowledgements.get(name);
    if (waiting !== undefined) return void waiting.numbers.push(number);
    this.#acknowledgements.set(name, { node, incarnation, numbers: [number] });
  }

  #flushAcknowledgements(): void {
    const ready = [...this.#acknowledgements.values()];
    const isForced = this.#acknowledgementAwaited;
    const tell = (): void => this.#during(() => {
      for (const { node, incarnation, numbers } of ready) {
        const message: Message = [Tag.decided, node, incarnation, numbers];
        if (isForced) this.#chronicle?.noteMessage(EventKind.forced, null, message);
        const sent = this.#outbox.send(node, message);
        if (sent && node !== this.#topology.self) this.counters.acknowledged += numbers.length;
      }
    });
    this.#acknowledgements.clear();
    if (isForced) this.#store.whenDurable(tell);
    else this.#store.alongWithNext(tell);
    this.#acknowledgementAwaited = false;
  }
}
