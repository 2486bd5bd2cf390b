/**
 * Collection of tombstones, on evidence.
 *
 * A tombstone may go when all replicas of its partition have it, on their disks, and nothing older can ever arrive. Dropped sooner, it lets the
 * deleted value come back: from a replica that missed the deletion, or with a message that was long under way. (Most
 * stores wait for a time instead, and hope that nobody is away for longer: gc_grace_seconds of Cassandra.)
 *
 * The first replica of a partition leads, now and then, a round for it with all the others:
 *
 *   1. `cut` at a timestamp just ahead: each replica keeps, from now on, account of what it holds up to there (store/cuts.ts).
 *   2. `bar`, when that time is long past: each votes only for later writes from now on. Where no write that it voted for before, up to the cut,
 *      is undecided, it notes the cut's digest; and answers with it when all that it stands for would survive a crash.
 *   3. `collect`, where all n answers came and are equal: each drops its tombstones up to the cut, and keeps the cut's
 *      timestamp in place of them all (store/tombstones.ts).
 *
 * Why that is safe. Let w be a write to the partition that is committed, ever, at a timestamp up to the cut. A majority
 * voted for it, each at most at that timestamp, so each before its bar; at its bar each of them found it decided, and so
 * had applied it or something newer. What it had then at most up to the cut is in its digest, and the same is in
 * all others. So of each key every replica durably has the newest version up to the cut, or one behind the cut has taken its
 * place, which takes precedence everywhere. What else arrives up to the cut is older, and is refused for keys that are absent.
 *
 * Nothing is awaited and nothing is made good: a replica that is away, a difference, a crash, a lost message, or a second
 * leader spoil the round for some partitions, and the next round comes. A replica that missed `collect` keeps tombstones
 * that the others have dropped; comparing digests shows it, and who is told of a later `collected` timestamp than its own
 * drops what that says is deleted (exchange.ts).
 */
import { Tag, type Bar, type Barred, type Collect, type Cut, type Key } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Log } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';

/** What the exchange finds out about a peer's copy of a partition goes here: see `vanished` and `passed`. */
export interface CollectionOptions {
  readonly topology: Topology;
  readonly store: Pick<Store, 'versions' | 'doubts' | 'head' | 'doubt' | 'sweep' | 'full' | 'atRest'>;
  readonly ledger: {
    /** From now on there is no vote for a write to the partition at or below the timestamp; in force after a crash once a checkpoint is taken. */
    raiseReadWatermark(partition: number, timestamp: number): void;
    /** Partitions in which writes that were voted for here, at or below the timestamp, may still be committed. */
    undecidedUpTo(timestamp: number): ReadonlySet<number>;
  };
  readonly clock: { ahead(ms: number): number; observe(timestamp: number): void };
  readonly outbox: Outbox;
  readonly log: Pick<Log, 'error'>;
  readonly nowMs: () => number;
  readonly during: (work: () => void) => void;
  /** Between rounds. */
  readonly intervalMs: number;
}

/** A cut lies so far ahead that it reaches the replicas before the first write behind it does. Rounds that follow each other closely are in a hurry. */
const cutAheadMsMax = 100;
/** By then nearly every transaction from before the cut is decided, and barring votes up to it disturbs nobody. */
const barAfterMsMax = 1_000;
/** A round that has not ended by then has failed for those partitions for which an answer is missing. A checkpoint has to be waited for. */
const roundMsMax = 15_000;
/** Partitions of one round; others have their turn in the next. */
const roundPartitionsMax = 4_096;
/** Rows looked at in one step of a sweep: about a millisecond. */
const sweepRows = 1_000;
const digestBytes = 16;

interface Round {
  /** The cut's timestamp, which is the name of the round. */
  readonly at: number;
  readonly partitions: readonly number[];
  readonly members: readonly string[];
  readonly sinceMs: number;
  barred: boolean;
  /** By member and partition. */
  readonly answers: Map<string, Map<number, Uint8Array>>;
}

export class Collection {
  readonly #options: CollectionOptions;
  readonly #led: readonly number[];
  #round: Round | null = null;
  #nextAtMs: number;
  /** Where the last round ended, for what it had no room for. */
  #from = 0;
  /** The cuts that were answered for, in this life: only what was told to a leader may be collected. */
  readonly #answered = new Map<number, number>();
  /** Partitions to be swept, each from behind a key on. */
  readonly #sweeps = new Map<number, Key | null>();
  /** Partitions in which something is left that the peer with whom we compare them now knows to be deleted. */
  readonly #haunted = new Set<number>();
  readonly counters = { rounds: 0, tombstonesCollected: 0, missed: 0 };

  constructor(options: CollectionOptions) {
    this.#options = options;
    const { topology, nowMs, intervalMs } = options;
    const all = Array.from({ length: topology.view.partitions }, (_, partition) => partition);
    this.#led = all.filter((partition) => topology.preferenceOf(partition)[0] === topology.self);
    this.#nextAtMs = nowMs() + intervalMs;
  }

  tick(): void {
    const { nowMs, intervalMs } = this.#options;
    this.#sweep();
    if (this.#round === null) {
      if (nowMs() >= this.#nextAtMs) this.#begin();
    } else if (!this.#round.barred) {
      if (nowMs() - this.#round.sinceMs >= Math.min(barAfterMsMax, intervalMs)) this.#bar(this.#round);
    } else if (nowMs() - this.#round.sinceMs >= roundMsMax) {
      this.#end(this.#round);
    }
  }

  /** Has collected tombstones of the partition taken away. */
  sweep(partition: number): void {
    this.#sweeps.set(partition, null);
  }

  /* What a comparison shows of a peer that has collected more than we have */

  /**
   * The peer has no trace of these keys of ours, and of keys that it does not have it knows that they were deleted up to this
   * timestamp. What is a tombstone here too need not stay. Any other version was deleted while we were away or on another disk, so only who is
   * in doubt believes it: if we are sure of our copy, it is the peer who has lost something and does not know it yet.
   */
  vanished(partition: number, collected: number, keys: readonly Key[]): void {
    const { store } = this.#options;
    for (const key of keys) {
      const head = store.head(key);
      if (head === undefined || head.version > collected || (!head.tombstone && store.doubts.isSure(partition))) continue;
      if (head.version > store.versions.tombstones.collected(partition)) {
        this.#haunted.add(partition);
        continue;
      }
      store.versions.remove(partition, key);
      this.counters.tombstonesCollected++;
    }
  }

  /** A sure peer has a value of this key, which is absent here and, as far as we knew, deleted since. One of two disks has changed, and a row is lost more easily than made. */
  missed(partition: number, key: Key): void {
    const { store, log } = this.#options;
    log.error({ partition, key: Buffer.from(key, 'latin1').toString('hex') }, 'another replica has a key that is missing here');
    this.counters.missed++;
    store.doubt(partition, 'another replica had a key that was missing here');
  }

  /**
   * Whatever a sure peer has in the partition is here now, so what it knows of absent keys we know too. False if there may be something
   * left here that it knows to be deleted: then another comparison must follow.
   */
  passed(partition: number, collected: number): boolean {
    const { store } = this.#options;
    const isHaunted = this.#haunted.delete(partition);
    if (collected <= store.versions.tombstones.collected(partition)) return !isHaunted;
    store.versions.collect(partition, collected);
    this.sweep(partition);
    return false;
  }

  /* Leading */

  #begin(): void {
    const { topology, store, clock, outbox, nowMs, intervalMs } = this.#options;
    this.#nextAtMs = nowMs() + intervalMs;
    const due = (partition: number): boolean => store.versions.tombstones.kept(partition) > 0 && topology.groupOf(partition).members.every((member) => outbox.isUp(member));
    const partitions = [...this.#led.filter((partition) => partition >= this.#from && due(partition)), ...this.#led.filter((partition) => partition < this.#from && due(partition))].slice(0, roundPartitionsMax);
    if (partitions.length === 0) return;
    this.#from = (partitions.at(-1) as number) + 1;
    this.counters.rounds++;
    const members = [...new Set(partitions.flatMap((partition) => topology.groupOf(partition).members))];
    const at = clock.ahead(Math.min(cutAheadMsMax, intervalMs / 4));
    this.#round = { at, partitions, members, sinceMs: nowMs(), barred: false, answers: new Map() };
    this.#tell(this.#round, partitions, Tag.cut);
  }

  #bar(round: Round): void {
    round.barred = true;
    this.#tell(round, round.partitions, Tag.bar);
  }

  onBarred(from: string, [, at, partitions, digests]: Barred): void {
    const round = this.#round;
    if (round === null || round.at !== at || !round.members.includes(from)) return;
    round.answers.set(from, new Map(partitions.map((partition, i) => [partition, digests.subarray(i * digestBytes, (i + 1) * digestBytes)])));
    if (round.answers.size === round.members.length) this.#end(round);
  }

  #end(round: Round): void {
    const { topology } = this.#options;
    this.#round = null;
    const agreed = round.partitions.filter((partition) => {
      const digests = topology.groupOf(partition).members.map((member) => round.answers.get(member)?.get(partition));
      const [first] = digests;
      return first !== undefined && digests.every((digest) => digest !== undefined && Buffer.compare(digest, first) === 0);
    });
    this.#tell(round, agreed, Tag.collect);
  }

  /** Tells each member about those of these partitions that it keeps. */
  #tell({ at, members }: Round, partitions: readonly number[], tag: typeof Tag.cut | typeof Tag.bar | typeof Tag.collect): void {
    const { topology, outbox } = this.#options;
    for (const member of members) {
      const shared = partitions.filter((partition) => topology.groupOf(partition).members.includes(member));
      if (shared.length > 0) outbox.send(member, [tag, at, shared]);
    }
  }

  /* Following */

  onCut(_from: string, [, at, partitions]: Cut): void {
    for (const partition of partitions) {
      if (!this.#options.topology.isMine(partition)) continue;
      this.#options.store.versions.cuts.begin(partition, at);
      this.#answered.delete(partition);
    }
  }

  onBar(from: string, [, at, partitions]: Bar): void {
    const { topology, store, ledger, clock, outbox, during } = this.#options;
    const isCutThere = (partition: number): boolean => topology.isMine(partition) && store.versions.cuts.at(partition) === at;
    clock.observe(at);
    for (const partition of partitions) if (topology.isMine(partition)) ledger.raiseReadWatermark(partition, at);
    const undecided = ledger.undecidedUpTo(at);
    const sampled = partitions.filter((partition) => isCutThere(partition) && !undecided.has(partition)).map((partition) => ({ partition, digest: store.versions.cuts.digest(partition) }));
    // Also what came by healing, which is in no journal, and the bar itself must outlive a crash.
    store.atRest((_rest, resume) => during(() => {
      resume();
      const answers = sampled.filter(({ partition }) => isCutThere(partition));
      for (const { partition } of answers) this.#answered.set(partition, at);
      outbox.send(from, [Tag.barred, at, answers.map(({ partition }) => partition), Buffer.concat(answers.map(({ digest }) => digest))]);
    }));
  }

  onCollect(_from: string, [, at, partitions]: Collect): void {
    const { store } = this.#options;
    for (const partition of partitions) {
      if (this.#answered.get(partition) !== at || store.versions.cuts.at(partition) !== at) continue;
      this.#answered.delete(partition);
      store.versions.collect(partition, at);
      this.sweep(partition);
    }
  }

  #sweep(): void {
    const { store } = this.#options;
    const [next] = this.#sweeps;
    if (next === undefined || store.full) return;
    const [partition, from] = next;
    const { removed, after } = store.sweep(partition, from, sweepRows);
    this.counters.tombstonesCollected += removed;
    if (after === null) this.#sweeps.delete(partition);
    else this.#sweeps.set(partition, after);
  }
}
