/**
 * How a doubtful node becomes sure again: by evidence from the other replicas.
 *
 * What it may have forgotten of a partition is what was committed with its vote, and what it answered with. Of n replicas a
 * majority m voted for that, so at least m - 1 of the n - 1 others did, and any n - m + 1 of them include one who did. So it
 * asks that many, each of which must itself be sure of the partition, and of each
 *
 *   1. `vouch`: it begins. The other one answers `fenced`, where the numbers of its transactions stand;
 *   2. `drained`: whatever it had voted for there when it was asked, and was not decided, is decided and applied, and this
 *      is the latest timestamp it knows: no write shall come before what was read meanwhile;
 *   3. then an exchange that begins now brings whatever is newer there, to its end;
 *   4. `attest`, `attested`: it has been sure of the partition all the time.
 *
 * The conversation is made anew with every session, and for a partition whenever one of the two finds damage there. What was
 * attested stays true: it is in the store by then.
 */
import { Tag, type Attested, type Drained, type Fenced } from '../../client/wire/messages.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Doubts } from '../store/doubts.ts';

export interface DoubtOptions {
  readonly topology: Topology;
  readonly store: { readonly doubts: Doubts; readonly standing: { readonly isUnfounded: boolean; readonly life: { readonly rebornAt: number } }; whenDurable(action: () => void): void };
  readonly clock: { observe(timestamp: number): void };
  readonly ledger: { raiseReadWatermark(partition: number, timestamp: number): void; readonly lives: { readonly floors: { isFenced(node: string): boolean; fence(node: string, incarnation: number, number: number): void } } };
  readonly outbox: Outbox;
  readonly during: (work: () => void) => void;
  /** Has an exchange with the peer begin as soon as it can. Those that begin from now on have ordinals above the one given back. */
  readonly hurry: (peer: string) => number;
  /** Who vouches for others shall know what this node is in doubt of. */
  readonly doubted: (partition: number) => void;
}

/** A partition on its way with one peer: asked for; drained there, so that an exchange counts that begins later; exchanged. */
type Stage = { readonly at: 'asked' } | { readonly at: 'drained'; readonly after: number } | { readonly at: 'exchanged' };

interface Talk {
  readonly request: number;
  readonly partitions: Map<number, Stage>;
  /** Exchanged, and not yet asked about. */
  exchanged: number[];
}

const asked: Stage = { at: 'asked' };
const exchanged: Stage = { at: 'exchanged' };

export class Doubt {
  readonly #options: DoubtOptions;
  readonly #talks = new Map<string, Talk>();
  /** Peers whose evidence there is, by partition. */
  readonly #evidence = new Map<number, Set<string>>();
  #lastRequest = 0;
  #askAgain = false;

  constructor(options: DoubtOptions) {
    this.#options = options;
    // A disk that was lost is in doubt as a whole, and can't tell which partitions it is there for.
    const { topology, store: { doubts } } = options;
    for (let partition = 0; partition < topology.view.partitions; partition++) if (!topology.isMine(partition)) doubts.trust(partition);
    doubts.onDoubt = (partition) => {
      this.#evidence.delete(partition);
      for (const talk of this.#talks.values()) talk.partitions.delete(partition);
      this.#askAgain = true;
      options.doubted(partition);
    };
  }

  peerUp(peer: string): void {
    this.#talks.delete(peer);
    this.#ask(peer);
  }

  peerDown(peer: string): void {
    this.#talks.delete(peer);
  }

  tick(): void {
    const { topology, outbox } = this.#options;
    if (this.#askAgain) {
      this.#askAgain = false;
      for (const { id } of topology.view.members) if (id !== topology.self && outbox.isUp(id)) this.#ask(id);
    }
    for (const [peer, talk] of this.#talks) {
      if (talk.exchanged.length === 0) continue;
      outbox.send(peer, [Tag.attest, talk.request, talk.exchanged]);
      talk.exchanged = [];
    }
  }

  onFenced(from: string, [, request, incarnation, number]: Fenced): void {
    if (this.#talkWith(from, request) !== undefined && this.#options.store.standing.life.rebornAt > 0) this.#options.ledger.lives.floors.fence(from, incarnation, number);
  }

  onDrained(from: string, [, request, partitions, timestamp]: Drained): void {
    const { clock, ledger, hurry } = this.#options;
    const talk = this.#talkWith(from, request);
    if (talk === undefined) return;
    clock.observe(timestamp);
    const after = hurry(from);
    for (const partition of partitions) {
      if (!talk.partitions.has(partition)) continue;
      ledger.raiseReadWatermark(partition, timestamp);
      talk.partitions.set(partition, { at: 'drained', after });
    }
  }

  /** The exchange with this ordinal has brought whatever is newer in the partition at the peer. */
  passed(peer: string, partition: number, ordinal: number): void {
    const talk = this.#talks.get(peer);
    const stage = talk?.partitions.get(partition);
    if (talk === undefined || stage?.at !== 'drained' || ordinal <= stage.after) return;
    talk.partitions.set(partition, exchanged);
    talk.exchanged.push(partition);
  }

  onAttested(from: string, [, request, partitions]: Attested): void {
    const talk = this.#talkWith(from, request);
    if (talk === undefined) return;
    for (const partition of partitions) {
      // What was exchanged and is not attested is in doubt there too: it will be told as drained once more.
      if (talk.partitions.get(partition)?.at !== 'exchanged') continue;
      talk.partitions.delete(partition);
      this.#count(from, partition);
    }
  }

  #count(peer: string, partition: number): void {
    const { topology, store, during } = this.#options;
    let peers = this.#evidence.get(partition);
    if (peers === undefined) this.#evidence.set(partition, (peers = new Set()));
    const evidence = peers.add(peer);
    const { members, majority } = topology.groupOf(partition);
    if (evidence.size < members.length - majority + 1) return;
    // What was learned on the way, of the others' lives too, is durable before anything rests on it.
    store.whenDurable(() => during(() => {
      if (this.#evidence.get(partition) !== evidence) return;
      this.#evidence.delete(partition);
      for (const talk of this.#talks.values()) talk.partitions.delete(partition);
      store.doubts.trust(partition);
    }));
  }

  #talkWith(peer: string, request: number): Talk | undefined {
    const talk = this.#talks.get(peer);
    return talk?.request === request ? talk : undefined;
  }

  /** For everything that its evidence is wanted for, from the beginning; unless it is being asked for all of that. */
  #ask(peer: string): void {
    const { topology, store: { doubts, standing: { life: { rebornAt }, isUnfounded } }, ledger, outbox } = this.#options;
    // Who is new has nothing to be told again: it waits for its founding.
    if (isUnfounded) return;
    const wantsFence = rebornAt > 0 && !ledger.lives.floors.isFenced(peer);
    if (doubts.count === 0 && !wantsFence) return;
    const partitions: number[] = [];
    for (let partition = 0; partition < topology.view.partitions; partition++) {
      const isWanted = topology.isMine(partition) && !doubts.isSure(partition) && !doubts.damaged.has(partition) && topology.groupOf(partition).members.includes(peer);
      if (isWanted && this.#evidence.get(partition)?.has(peer) !== true) partitions.push(partition);
    }
    const talking = this.#talks.get(peer);
    const isAsked = talking === undefined ? partitions.length === 0 && !wantsFence : partitions.every((partition) => talking.partitions.has(partition));
    if (isAsked) return;
    const talk: Talk = { request: ++this.#lastRequest, partitions: new Map(partitions.map((partition) => [partition, asked])), exchanged: [] };
    this.#talks.set(peer, talk);
    outbox.send(peer, [Tag.vouch, talk.request, partitions]);
  }
}
