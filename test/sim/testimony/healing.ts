/**
 * Do nodes keep the rules by which memory that was lost is made good, and deletions are forgotten? Both rest on what replicas assure each other of,
 * and an assurance given too soon does harm only if the very replica that it was wrong about is needed next. But it is wrong at once.
 *
 * - No two disks of a node, and no two processes, have lived the same life: transactions are named by it.
 * - Who says where its numbers stand has begun no transaction in a life with a greater number.
 * - Who has lost its memory speaks for a partition only when n - m + 1 others, themselves sure, have attested that it may.
 * - Who says that all it voted for in a partition is decided has not voted for anything there that is committed later.
 * - Who has heard of a rebirth votes only for coordinators that have told it, before the prepare, that they have heard of it too.
 * - Who has answered for what it holds up to a timestamp votes for nothing up to there any more, and nothing that it voted for before is committed there later.
 * - Tombstones are declared superfluous only when all replicas have answered alike.
 */
import { Tag, Vote, type Key } from '../../../client/wire/messages.ts';
import type { Court, Said } from './hearing.ts';
import type { Annals, Heard } from './annals.ts';

/** What a voter would break its word with, if it voted OK on what it was asked. */
interface Asked {
  /** A rebirth of which it knows, and the coordinator has not said that it does. */
  readonly untold: string | null;
  /** By partition, up to where it votes for nothing any more. */
  readonly barredUpTo: ReadonlyMap<number, number>;
}

const digestBytes = 16;

export class HealingTestimony {
  readonly #court: Court;
  readonly #annals: Annals;
  /** Who has attested, since the node was reborn, by node and partition. */
  readonly #attested = new Map<string, Set<string>>();
  /** By who was asked to vouch, by whom, and the question's number: when, and at which rebirth the life began that asked. */
  readonly #vouches = new Map<string, { readonly atMs: number; readonly rebornAt: number }>();
  /** Promises about transactions, to be broken by their commit. */
  readonly #pledges = new Map<Heard, { readonly upTo: number; readonly what: string }[]>();
  /** By node: the rebirths of which it knows for good. And what nodes have told each other of rebirths, by both. */
  readonly #known = new Map<string, Map<string, number>>();
  readonly #told = new Map<string, Map<string, number>>();
  /** By node and partition. */
  readonly #barred = new Map<string, number>();
  /** By partition and round, who answered what. */
  readonly #cuts = new Map<string, Map<string, Uint8Array>>();
  readonly #asked = new Map<string, Asked>();
  /** By node, the greatest number of a life in which it coordinated. */
  readonly #begun = new Map<string, number>();
  /** By node and incarnation: on which disk, and which process of it. */
  readonly #lives = new Map<string, string>();

  constructor(court: Court, annals: Annals) {
    this.#court = court;
    this.#annals = annals;
    annals.onReborn.push((node) => {
      for (const of of this.#partitionsOf(node)) {
        this.#attested.delete(`${node} ${of}`);
        this.#barred.delete(`${node} ${of}`);
      }
      this.#known.delete(node);
    });
    annals.onCommitted.push((heard) => {
      for (const { upTo, what } of this.#pledges.get(heard) ?? []) if (heard.decision <= upTo) court.judge(() => court.blame(`${what} ${heard.name}, which is committed at ${heard.decision}`));
      this.#pledges.delete(heard);
    });
  }

  asked({ by, to, message }: Said): void {
    if (message[0] === Tag.prepare) this.#asked.set(nameOf(to, message), this.#whenAsked(to, by));
  }

  hear({ atMs, by, to, message }: Said): void {
    switch (message[0]) {
      case Tag.hello:
      case Tag.welcome:
        return message[3] === null ? undefined : this.#judgeLife(by, message[5], `${message[4]}:${message[7]}`);
      case Tag.vouch:
        this.#vouches.set(`${to} ${by} ${message[1]}`, { atMs, rebornAt: this.#annals.lifeOf(by)?.rebornAt ?? 0 });
        return;
      case Tag.fenced: {
        const begun = this.#begun.get(by) ?? 0;
        if (begun > message[2]) this.#court.blame(`${by} says where its numbers stand in life ${message[2]}, and has begun transactions in life ${begun}`);
        return;
      }
      case Tag.prepare:
        this.#begun.set(by, Math.max(message[2], this.#begun.get(by) ?? 0));
        return;
      case Tag.drained: {
        const { atMs: askedAtMs, rebornAt } = this.#vouches.get(`${by} ${to} ${message[1]}`) ?? { atMs: -1, rebornAt: 0 };
        this.#pledge(by, message[2], askedAtMs, Number.POSITIVE_INFINITY, `${by} says that all it voted for is decided, and has voted for`, (heard) => [...heard.reads.map(([key]) => key), ...heard.writes]);
        return this.#knows(by, to, rebornAt);
      }
      case Tag.attested:
        for (const partition of message[2]) {
          this.#speaks(by, partition, 'attests what it');
          this.#note(this.#attested, `${to} ${partition}`, () => new Set<string>()).add(by);
        }
        return;
      case Tag.claims:
        for (let i = 0; i < message[2].length; i += 6) this.#note(this.#told, `${by} ${to}`, () => new Map<string, number>()).set(message[2][i] as string, message[2][i + 3] as number);
        return;
      case Tag.vote:
        if (message[4] === Vote.ok) this.#judgeVote(by, this.#annals.matter(atMs, message), message[5], this.#asked.get(nameOf(by, message)));
        return;
      case Tag.differ:
        for (let i = 0; i < message[2].length; i += 4) if (message[2][i + 1] === true) this.#speaks(by, message[2][i] as number, 'is sure of what it');
        return;
      case Tag.peeked:
      case Tag.confirmed:
      case Tag.values:
        // Linearizable reads it may answer by what others know.
        if (this.#annals.question?.isLinearizable !== true && (message[0] === Tag.values || message[2] === 0)) for (const key of this.#annals.question?.keys ?? []) this.#speaks(by, this.#annals.placement.partitionOf(key), 'tells what it');
        return;
      case Tag.barred: {
        const [, at, partitions, digests] = message;
        partitions.forEach((partition, i) => {
          this.#note(this.#cuts, `${partition} ${at}`, () => new Map<string, Uint8Array>()).set(by, digests.slice(i * digestBytes, (i + 1) * digestBytes));
          this.#court.remember(() => this.#barred.set(`${by} ${partition}`, Math.max(at, this.#barred.get(`${by} ${partition}`) ?? 0)));
        });
        return this.#pledge(by, partitions, atMs, at, `${by} answers for what it holds up to ${at}, and has voted for`, ({ writes }) => writes);
      }
      case Tag.collect:
        for (const partition of message[2]) this.#judgeCollect(by, message[1], partition);
        return;
      default:
    }
  }

  /** Of this node no transaction is committed any more that it voted for before `beforeMs` there, up to that timestamp. */
  #pledge(by: string, partitions: readonly number[], beforeMs: number, upTo: number, what: string, keysOf: (heard: Heard) => readonly Key[]): void {
    const { rebornAtMs = -1 } = this.#annals.lifeOf(by) ?? {};
    this.#court.remember(() => {
      for (const heard of this.#annals.undecided) {
        const vote = heard.votes.get(by);
        // What it voted for in a former life is not its own to tell; and who recovers a transaction may know that it is decided before it can tell anybody.
        if (vote === undefined || vote.atMs >= beforeMs || vote.atMs < rebornAtMs || vote.timestamp > upTo || heard.recoverers.has(by)) continue;
        if (keysOf(heard).some((key) => partitions.includes(this.#annals.placement.partitionOf(key)) && this.#annals.isReplica(by, key))) this.#note(this.#pledges, heard, () => []).push({ upTo, what });
      }
    });
  }

  /** Who vouches for a node that was reborn knows of that, durably, first. */
  #knows(by: string, node: string, rebornAt: number): void {
    if (rebornAt > 0) this.#court.remember(() => this.#note(this.#known, by, () => new Map<string, number>()).set(node, rebornAt));
  }

  #whenAsked(voter: string, coordinator: string): Asked {
    const told = this.#told.get(`${coordinator} ${voter}`);
    const untold = [...(this.#known.get(voter) ?? [])].find(([node, rebornAt]) => (told?.get(node) ?? 0) < rebornAt)?.[0] ?? null;
    return { untold, barredUpTo: new Map(this.#partitionsOf(voter).map((partition) => [partition, this.#barred.get(`${voter} ${partition}`) ?? 0])) };
  }

  #judgeVote(by: string, { name, reads, writes }: Heard, timestamp: number, asked: Asked | undefined): void {
    for (const key of [...reads.map(([read]) => read), ...writes]) if (this.#annals.isReplica(by, key)) this.#speaks(by, this.#annals.placement.partitionOf(key), 'votes on what it');
    if (asked === undefined) return;
    const { untold, barredUpTo } = asked;
    this.#court.judge(() => {
      if (untold !== null) this.#court.blame(`${by} votes for ${name}, whose coordinator has not told it of the rebirth of ${untold}, of which it knows`);
      const barred = writes.find((key) => this.#annals.isReplica(by, key) && timestamp <= (barredUpTo.get(this.#annals.placement.partitionOf(key)) ?? 0));
      if (barred !== undefined) this.#court.blame(`${by} votes for ${name} at ${timestamp}, and has answered for what it holds up to ${barredUpTo.get(this.#annals.placement.partitionOf(barred))}`);
    });
  }

  #speaks(by: string, partition: number, what: string): void {
    const life = this.#annals.lifeOf(by);
    if (life === undefined || life.rebornAt === 0) return;
    const { length: n } = this.#annals.placement.groupOf(partition);
    const needed = n - (Math.floor(n / 2) + 1) + 1;
    const { size = 0 } = this.#attested.get(`${by} ${partition}`) ?? {};
    if (size < needed) this.#court.judge(() => this.#court.blame(`${by} ${what} may have forgotten of partition ${partition}: ${size} of ${needed} others have attested that it has been told`));
  }

  #judgeLife(by: string, incarnation: number, self: string): void {
    const before = this.#note(this.#lives, `${by}:${incarnation}`, () => self);
    if (before !== self) this.#court.blame(`${by} begins life ${incarnation}, which it has lived before`);
  }

  #judgeCollect(by: string, at: number, partition: number): void {
    this.#court.judge(() => {
      const answers = this.#cuts.get(`${partition} ${at}`);
      const digests = this.#annals.placement.groupOf(partition).filter((member) => member !== by).map((member) => answers?.get(member));
      const [first] = digests;
      if (!digests.every((digest) => digest !== undefined && first !== undefined && Buffer.compare(digest, first) === 0)) this.#court.blame(`${by} has tombstones of partition ${partition} collected up to ${at}, and not all replicas have answered alike`);
    });
  }

  #partitionsOf(node: string): number[] {
    const { placement } = this.#annals;
    return Array.from({ length: placement.view.partitions }, (_, partition) => partition).filter((partition) => placement.groupOf(partition).includes(node));
  }

  #note<K, V>(map: Map<K, V>, key: K, make: () => V): V {
    let value = map.get(key);
    if (value === undefined) map.set(key, (value = make()));
    return value;
  }
}

function nameOf(node: string, message: readonly unknown[]): string {
  return `${node} ${message.slice(1, 4).join(':')}`;
}
