/**
 * Anti-entropy: replicas of a partition become equal again, whatever they missed.
 *
 * A node compares with one peer at a time the digests of all partitions they share, finds the leaves that differ and takes what is newer there
 * (exchange-walk.ts; Merkle-tree anti-entropy as in Dynamo, DeCandia et al. 2007). Each node only ever takes, so both directions are
 * two independent exchanges. Only committed versions travel, and only a newer one replaces an older one: an exchange can be cut anywhere and begun again.
 *
 * It begins when a peer comes up, and from time to time; after one that brought something the next one follows soon, until both agree. To heal at a
 * cost proportional to what differs, nobody looks closely while somebody else is about to change what he would see: the side that has
 * just come to life asks first, who is being asked waits, and who is behind says so to third ones.
 */
import { Tag, type Key, type Message, type Repair, type Value, type Version } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Log } from '../runtime/runtime.ts';
import { slotOf } from '../store/hash.ts';
import type { Store } from '../store/store.ts';
import { Answers, type AnswersOptions } from './exchange-answers.ts';
import { answerTo, bytesOf, sharedWith, type Answer, type ExchangeSizes, type Question } from './exchange-messages.ts';
import { partitionsPerQuestion, Walk, type WalkOptions } from './exchange-walk.ts';
import type { Pacer } from './pacer.ts';

export interface ExchangeOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly outbox: Outbox;
  readonly pacer: Pacer;
  /** What is missing here because this node was away is newer, as far as one can tell; 0: one can't. */
  readonly missedSince: Version;
  readonly nowMs: () => number;
  readonly during: (work: () => void) => void;
  readonly log: Pick<Log, 'info' | 'error'>;
  /** Between exchanges with a peer with which all was equal. */
  readonly intervalMs: number;
  readonly collectedOf: AnswersOptions['collectedOf'];
  readonly passed: WalkOptions['passed'];
  readonly vanished: WalkOptions['vanished'];
  readonly missed: WalkOptions['missed'];
  readonly suspect: WalkOptions['suspect'];
  readonly sizes?: ExchangeSizes;
}

/** Between one exchange and the next if something was taken, for there may be more. */
const againAfterGainMs = 50;
/** If the peer is the one behind: twice as long each time, up to the interval. */
const againAfterDifferenceMs = 1_000;
/** An exchange that hears nothing for this long is ended. */
const silenceMsMax = 5_000;
/** When a peer comes up, one that has itself come up lately is the one that may have missed something, and asks at once. */
const freshMs = 10_000;
const hesitationMs = 250;
/** A peer that asked something lately is about to change; but it is not waited for without end. */
const quietMs = 300;
const patienceMs = 10_000;
/** A peer that took values lately is being healed: what differs in detail will differ no more. */
const servedMs = 1_000;
/** So many reads in a row that found nothing newer: at most a few of a hundred keys are behind, and asking a majority for all costs more than what those cost. */
const readsInVainMax = 100;
/** Healing of more keys than this is told in the log. */
const keysWorthTelling = 1_000;

/** Where we are with one peer. */
interface Course {
  readonly shared: readonly number[];
  nextAtMs: number;
  /** The next one is awaited by somebody. */
  isHurried: boolean;
  waitMs: number;
  /** The last one found that something differs, and took nothing: the next one looks more closely. */
  isFruitless: boolean;
  /** In this life nothing that the peer has was gone through to the end. */
  isFresh: boolean;
  agreedAtMs: number | null;
  differing: number;
  /** When it last asked us something, and last took values. */
  askedAtMs: number;
  servedAtMs: number;
  /** It compares all that we share, and so far what differs is nothing that we would see otherwise. */
  isSeenWhole: boolean;
  /** Its question that waits for its turn. */
  pending: number;
}

/** The exchange that is under way. */
interface Current {
  readonly peer: string;
  readonly walk: Walk;
  readonly beganAtMs: number;
  question: Question[0];
  request: number;
  heardAtMs: number;
}

export interface Agreement {
  readonly id: string;
  /** Since the last time that all shared partitions were seen equal; null if they never were. */
  readonly lastAgreementMs: number | null;
  readonly partitionsBehind: number;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #answers: Answers;
  readonly #courses = new Map<string, Course>();
  readonly #startedAtMs: number;
  /** Partitions of which nobody has told yet what this node missed while it had no peer. */
  readonly #unseen = new Set<number>();
  /** How many reads in a row have found nothing newer there. */
  #readsInVain = 0;
  #current: Current | null = null;
  #lastRequest = 0;
  readonly counters = { exchanges: 0, keysPulled: 0, keysRepaired: 0, repairsSent: 0, sameVersionDiffers: 0, bytesSent: 0, bytesReceived: 0 };

  constructor(options: ExchangeOptions) {
    const { topology, nowMs } = options;
    this.#options = options;
    this.#answers = new Answers(options);
    this.#startedAtMs = nowMs();
    for (const { id } of topology.view.members) {
      const shared = id === topology.self ? [] : sharedWith(topology, id);
      if (shared.length === 0) continue;
      this.#courses.set(id, { shared, nextAtMs: Number.POSITIVE_INFINITY, isHurried: false, isFruitless: false, isFresh: true, waitMs: againAfterDifferenceMs, agreedAtMs: null, differing: 0, askedAtMs: Number.NEGATIVE_INFINITY, servedAtMs: Number.NEGATIVE_INFINITY, isSeenWhole: false, pending: 0 });
    }
  }

  /** Partitions that differed when last compared, at most over all peers; how long ago, in ms, all peers were last agreed with (null: not yet); partitions that a running exchange has still to go through. */
  get lag(): { partitionsBehind: number; lastAgreementMs: number | null; partitionsLeft: number } {
    const all = this.agreements;
    const ages = all.map(({ lastAgreementMs }) => lastAgreementMs);
    return {
      partitionsBehind: Math.max(0, ...all.map(({ partitionsBehind }) => partitionsBehind)),
      lastAgreementMs: ages.includes(null) ? null : Math.max(0, ...(ages as number[])),
      partitionsLeft: this.#current?.walk.partitionsLeft ?? 0,
    };
  }

  /** The same with each peer. */
  get agreements(): Agreement[] {
    const now = this.#options.nowMs();
    return [...this.#courses].map(([id, { agreedAtMs, differing }]) => ({ id, lastAgreementMs: agreedAtMs === null ? null : Math.round(now - agreedAtMs), partitionsBehind: differing }));
  }

  /** May others have newer versions in the partition because this node was away? */
  isBehind(partition: number): boolean {
    return this.#unseen.has(partition);
  }

  /** A majority was asked because this node may be behind, and it was, or not. */
  askedMajority(wasBehind: boolean): void {
    this.#readsInVain = wasBehind ? 0 : this.#readsInVain + 1;
    if (this.#readsInVain >= readsInVainMax) this.#unseen.clear();
  }

  peerUp(peer: string): void {
    const course = this.#courses.get(peer);
    if (course === undefined) return;
    const now = this.#options.nowMs();
    const wasAlone = [...this.#courses.keys()].every((other) => other === peer || !this.#options.outbox.isUp(other));
    if (wasAlone) {
      this.#readsInVain = 0;
      for (const { shared } of this.#courses.values()) for (const partition of shared) this.#unseen.add(partition);
    }
    if (this.#current?.peer === peer) this.#current = null;
    const hesitation = (now - this.#startedAtMs < freshMs ? 0 : hesitationMs) + (this.#options.topology.self < peer ? hesitationMs : 0);
    Object.assign(course, { nextAtMs: now + hesitation, isFruitless: false, waitMs: againAfterDifferenceMs, differing: 0, askedAtMs: Number.NEGATIVE_INFINITY, pending: 0 });
  }

  /** Has an exchange with the peer begin as soon as may be, but after the one under way. Its ordinal is above the one given back. */
  hurry(peer: string): number {
    const course = this.#courses.get(peer);
    if (course !== undefined) {
      course.nextAtMs = this.#options.nowMs();
      course.isHurried = true;
    }
    return this.counters.exchanges;
  }

  tick(): void {
    const { nowMs, outbox } = this.#options;
    if (this.#current !== null && (nowMs() - this.#current.heardAtMs >= silenceMsMax || !outbox.isUp(this.#current.peer))) this.#leave(this.#current);
    this.#beginNext();
  }

  /* Asking */

  /** The exchange that has been due for longest. */
  #beginNext(): void {
    const { outbox, nowMs } = this.#options;
    if (this.#current !== null) return;
    const now = nowMs();
    const due = [...this.#courses].filter(([peer, course]) => course.nextAtMs <= now && outbox.isUp(peer) && !this.#waitsFor(course, now));
    const [first] = due.sort(([, a], [, b]) => a.nextAtMs - b.nextAtMs);
    if (first !== undefined) this.#begin(...first);
  }

  #waitsFor({ askedAtMs, nextAtMs, isHurried, shared }: Course, now: number): boolean {
    return now - askedAtMs < quietMs && now - nextAtMs < patienceMs && !isHurried && this.#doubtful(shared).length === 0;
  }

  #doubtful(shared: readonly number[]): number[] {
    const { doubts } = this.#options.store;
    return doubts.count === 0 ? [] : shared.filter((partition) => !doubts.isSure(partition));
  }

  #begin(peer: string, course: Course): void {
    const { topology, store, nowMs, missedSince, passed, vanished, missed, suspect, sizes } = this.#options;
    const { shared } = course;
    course.isHurried = false;
    const walk = new Walk({
      peer, ordinal: ++this.counters.exchanges, topology, store, shared, named: this.#doubtful(shared), since: course.isFresh && missedSince > 0 ? missedSince : null, vanished, missed, suspect, sizes,
      conflicting: (key, version) => this.#conflicting(peer, key, version),
      passed: (from, partition, ordinal, collected) => {
        this.#unseen.delete(partition);
        passed(from, partition, ordinal, collected);
      },
    });
    this.#current = { peer, walk, beganAtMs: nowMs(), question: Tag.blocks, request: 0, heardAtMs: nowMs() };
    this.#ask(this.#current);
  }

  #ask(current: Current): void {
    const { pacer, during } = this.#options;
    current.heardAtMs = this.#options.nowMs();
    pacer.whenFree(() => during(() => {
      if (this.#current === current) this.#askNow(current);
    }));
  }

  #askNow(current: Current): void {
    const { nowMs, store, pacer, during } = this.#options;
    const { peer, walk } = current;
    const course = this.#courses.get(peer) as Course;
    const isDoubtful = this.#doubtful(course.shared).length > 0;
    if (walk.isPeerBusy && !isDoubtful) return this.#end(current, course);
    const isThorough = isDoubtful || (course.isFruitless && nowMs() - course.servedAtMs >= servedMs);
    const question = walk.question(++this.#lastRequest, isThorough, pacer.pieceBytes);
    if (question === null) return this.#end(current, course);
    current.question = question[0];
    current.request = question[1];
    current.heardAtMs = nowMs();
    if (question[0] !== Tag.list && question[0] !== Tag.pull) return this.#send(peer, question);
    // What brings values waits until the store can take them.
    store.whenRoom(() => during(() => {
      if (this.#current !== current || current.request !== question[1]) return;
      current.heardAtMs = nowMs();
      this.#send(peer, question);
    }));
  }

  onAnswer(from: string, answer: Answer): void {
    const current = this.#current;
    this.#received(answer);
    if (current === null || current.peer !== from || answer[1] !== current.request || answer[0] !== answerTo[current.question]) return;
    current.request = 0;
    const before = current.walk.gained;
    this.#options.pacer.work(() => current.walk.answered(answer));
    this.counters.keysPulled += current.walk.gained - before;
    this.#ask(current);
  }

  #end(current: Current, course: Course): void {
    const { nowMs, intervalMs, log } = this.#options;
    const { peer, walk, beganAtMs } = current;
    const now = nowMs();
    this.#current = null;
    course.differing = walk.behind;
    course.isFruitless = walk.gained === 0 && !walk.isPeerBusy;
    course.isFresh &&= walk.isPeerBusy;
    if (!walk.isPeerBusy) for (const partition of course.shared) this.#unseen.delete(partition);
    if (course.differing === 0) this.#agreed(course);
    else if (walk.gained > 0) {
      course.waitMs = againAfterDifferenceMs;
      course.nextAtMs = now + againAfterGainMs;
    } else {
      course.nextAtMs = now + Math.min(course.waitMs, intervalMs);
      course.waitMs *= 2;
    }
    if (course.isHurried) course.nextAtMs = now;
    if (walk.gained >= keysWorthTelling) log.info({ peer, keys: walk.gained, partitions: walk.differing, ms: Math.round(now - beganAtMs) }, 'caught up with a peer');
    this.#beginNext();
  }

  /** The peer is silent or gone. */
  #leave(current: Current): void {
    const course = this.#courses.get(current.peer) as Course;
    this.#current = null;
    course.nextAtMs = this.#options.nowMs() + againAfterGainMs;
  }

  #agreed(course: Course): void {
    const now = this.#options.nowMs();
    Object.assign(course, { agreedAtMs: now, differing: 0, isFruitless: false, waitMs: againAfterDifferenceMs, nextAtMs: now + this.#options.intervalMs });
  }

  #conflicting(peer: string, key: Key, version: Version): void {
    this.counters.sameVersionDiffers++;
    this.#options.log.error({ peer, key: Buffer.from(key, 'latin1').toString('hex'), version }, 'two replicas have different values of the same version of a key');
  }

  /* Answering */

  onQuestion(from: string, question: Question): void {
    const { pacer, nowMs } = this.#options;
    const course = this.#courses.get(from);
    this.#received(question);
    if (course === undefined) return;
    course.askedAtMs = nowMs();
    pacer.work(() => this.#answer(from, course, question));
  }

  #answer(from: string, course: Course, question: Question): void {
    const { topology } = this.#options;
    switch (question[0]) {
      case Tag.blocks: {
        const isBusy = this.#current !== null && this.#current.peer !== from && this.#current.walk.gained > 0;
        const answer = this.#answers.roots(question, sharedWith(topology, from), isBusy);
        this.#send(from, answer);
        // What the peer now sees we see too; where writes were under way, when it has looked again.
        course.isSeenWhole = question[2].length * 32 >= topology.view.partitions && this.#current?.peer !== from && this.#doubtful(course.shared).length === 0;
        if (answer[3].length === 0 && course.isSeenWhole) this.#agreed(course);
        return;
      }
      case Tag.compare: {
        const answer = this.#answers.differ(question);
        this.#send(from, answer);
        const isEqual = answer[2].every((field) => !(field instanceof Uint8Array) || field.length === 0);
        if (isEqual && course.isSeenWhole && question[2].length < partitionsPerQuestion) this.#agreed(course);
        course.isSeenWhole &&= isEqual;
        return;
      }
      case Tag.descend: return this.#send(from, this.#answers.children(question));
      default: this.#whenFree(from, course, question);
    }
  }

  /** Values are told when it is healing's turn; a peer that has begun anew meanwhile gets what it asked for last. */
  #whenFree(from: string, course: Course, question: Extract<Question, readonly [typeof Tag.list | typeof Tag.pull, ...unknown[]]>): void {
    const { pacer, during, nowMs } = this.#options;
    course.pending = question[1];
    pacer.whenFree(() => during(() => {
      if (course.pending !== question[1]) return;
      course.pending = 0;
      const answer = question[0] === Tag.list ? this.#answers.listed(question, pacer.pieceBytes) : this.#answers.pulled(question, pacer.pieceBytes);
      if ((answer[0] === Tag.listed ? answer[3] : answer[2]).length > 0) course.servedAtMs = nowMs();
      this.#send(from, answer);
    }));
  }

  /** Tells a peer newer versions than it has, if healing has a right to more bytes now; else that is left to an exchange. Flat: key, version, value. */
  repair(peer: string, entries: readonly (Key | Version | Value)[]): void {
    const { pacer } = this.#options;
    if (!pacer.isFree || !this.#courses.has(peer)) return;
    const fitting: (Key | Version | Value)[] = [];
    let bytes = 0;
    for (let i = 0; i < entries.length && bytes < pacer.pieceBytes; i += 3) {
      fitting.push(...entries.slice(i, i + 3));
      bytes += (entries[i] as Key).length + ((entries[i + 2] as Value)?.length ?? 0);
    }
    this.counters.repairsSent += fitting.length / 3;
    this.#send(peer, [Tag.repair, fitting]);
  }

  /** Newer versions than those that this node told lately. */
  onRepair(_from: string, message: Repair): void {
    const { topology, store } = this.#options;
    this.#received(message);
    if (store.full) return;
    const [, entries] = message;
    for (let i = 0; i < entries.length; i += 3) {
      const key = entries[i] as Key;
      const partition = topology.partitionOf(key);
      if (!topology.isMine(partition) || !store.install(partition, key, entries[i + 1] as Version, entries[i + 2] as Value)) continue;
      this.counters.keysRepaired++;
      this.#options.suspect(partition, store.tree.leafOf(slotOf(key)));
    }
  }

  #send(to: string, message: Message): void {
    const { outbox, pacer } = this.#options;
    if (!outbox.send(to, message)) return;
    const bytes = bytesOf(message);
    this.counters.bytesSent += bytes;
    pacer.spent(bytes);
  }

  #received(message: Message): void {
    const bytes = bytesOf(message);
    this.counters.bytesReceived += bytes;
    this.#options.pacer.spent(bytes);
  }
}
