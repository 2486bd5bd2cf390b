/**
 * Anti-entropy: replicas of a partition become equal again, whatever they missed.
 *
 * A node compares with one peer at a time the digests of all partitions they share: first one digest per partition, then,
 * where those differ, the digests of its leaves, then the keys and versions of the leaves that differ, and pulls what is
 * newer there. Each node only ever pulls, so both directions are two independent exchanges. Only committed versions
 * travel, and only a newer one replaces an older one: an exchange can be cut anywhere and begun again.
 *
 * It begins when a peer comes up, and from time to time; after an exchange that found a difference the next one follows
 * soon, until both agree (Merkle-tree anti-entropy as in Dynamo, DeCandia et al. 2007).
 */
import { Tag, type Differ, type Key, type List, type Listed, type Message, type Pull, type Pulled, type Roots, type Value, type Version } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Outbox } from '../cluster/outbox.ts';
import type { Store } from '../store/store.ts';

export interface ExchangeOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly outbox: Outbox;
  readonly nowMs: () => number;
  readonly during: (work: () => void) => void;
  /** Between exchanges with a peer with which all was equal. */
  readonly intervalMs: number;
  /** The exchange with this ordinal has brought whatever the peer has newer in the partition. */
  readonly passed?: (peer: string, partition: number, ordinal: number) => void;
}

const rootBytes = 16;
/** Differing partitions told in one answer; the rest comes with the next comparison. */
const differingMax = 256;
const listedKeysMax = 1_024;
const pulledKeysMax = 256;
const pulledBytesTarget = 256 * 1_024;
/** After a difference was found: soon if something was pulled, for there may be more; later if the peer is the one behind. */
const againAfterPullMs = 50;
const againAfterDifferenceMs = 1_000;
/** An exchange that hears nothing for this long is begun again. */
const silenceMsMax = 5_000;

interface Difference {
  readonly partition: number;
  readonly leaves: number;
}

/** How far the exchange with one peer is. */
interface Course {
  request: number;
  nextAtMs: number;
  /** Of all exchanges in the order in which they began. */
  ordinal: number;
  /** The next one shall begin when this one has ended. */
  hurried: boolean;
  heardAtMs: number;
  agreedAtMs: number | null;
  differing: number;
  pulled: number;
  state: 'idle' | 'comparing' | 'listing' | 'pulling';
  todo: Difference[];
  after: Key | null;
  more: boolean;
  wanted: Key[];
  /** The peer could not give all that it had listed of the present partition. */
  incomplete: boolean;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #shared = new Map<string, number[]>();
  readonly #courses = new Map<string, Course>();
  #lastRequest = 0;
  readonly counters = { exchanges: 0, keysPulled: 0 };

  constructor(options: ExchangeOptions) {
    this.#options = options;
    const { topology } = options;
    for (const { id } of topology.view.members) {
      if (id === topology.self) continue;
      const shared: number[] = [];
      for (let partition = 0; partition < topology.view.partitions; partition++) {
        if (topology.isMine(partition) && topology.groupOf(partition).members.includes(id)) shared.push(partition);
      }
      if (shared.length > 0) this.#shared.set(id, shared);
    }
  }

  /** Partitions that differed when last compared, at most over all peers; and how long ago, in ms, all peers were last agreed with (null: not yet). */
  get lag(): { partitionsBehind: number; lastAgreementMs: number | null } {
    let partitionsBehind = 0;
    let oldest: number | null = Number.POSITIVE_INFINITY;
    for (const peer of this.#shared.keys()) {
      const course = this.#courses.get(peer);
      partitionsBehind = Math.max(partitionsBehind, course?.differing ?? 0);
      oldest = oldest === null || course === undefined || course.agreedAtMs === null ? null : Math.min(oldest, course.agreedAtMs);
    }
    const lastAgreementMs = oldest === null ? null : oldest === Number.POSITIVE_INFINITY ? 0 : Math.round(this.#options.nowMs() - oldest);
    return { partitionsBehind, lastAgreementMs };
  }

  peerUp(peer: string): void {
    if (!this.#shared.has(peer)) return;
    const now = this.#options.nowMs();
    const agreedAtMs = this.#courses.get(peer)?.agreedAtMs ?? null;
    this.#courses.set(peer, { request: 0, nextAtMs: now, ordinal: 0, hurried: false, heardAtMs: now, agreedAtMs, differing: 0, pulled: 0, state: 'idle', todo: [], after: null, more: false, wanted: [], incomplete: false });
  }

  /** Has an exchange with the peer begin now, or when the one under way has ended. Its ordinal is above the one given back. */
  hurry(peer: string): number {
    const course = this.#courses.get(peer);
    if (course?.state === 'idle') course.nextAtMs = this.#options.nowMs();
    else if (course !== undefined) course.hurried = true;
    return this.counters.exchanges;
  }

  tick(): void {
    const now = this.#options.nowMs();
    for (const [peer, course] of this.#courses) {
      if (course.state === 'idle' ? now >= course.nextAtMs : now - course.heardAtMs >= silenceMsMax) this.#compare(peer, course);
    }
  }

  /* Asking */

  #compare(peer: string, course: Course): void {
    const partitions = this.#shared.get(peer) as number[];
    const roots = new Uint8Array(partitions.length * rootBytes);
    partitions.forEach((partition, i) => roots.set(this.#options.store.root(partition), i * rootBytes));
    const ordinal = ++this.counters.exchanges;
    Object.assign(course, { state: 'comparing', ordinal, hurried: false, pulled: 0, todo: [], after: null, wanted: [], incomplete: false });
    this.#ask(peer, course, (request) => [Tag.roots, request, partitions, roots]);
  }

  onDiffer(from: string, [, request, differing]: Differ): void {
    const course = this.#courseOf(from, request, 'comparing');
    if (course === null) return;
    course.differing = differing.length / 2;
    for (let i = 0; i < differing.length; i += 2) {
      const partition = differing[i] as number;
      if (this.#options.topology.isMine(partition)) course.todo.push({ partition, leaves: differingLeaves(this.#options.store.leaves(partition), differing[i + 1] as Uint8Array) });
    }
    this.#passEqual(from, course, differing);
    this.#next(from, course);
  }

  onListed(from: string, [, request, keysAndVersions, more]: Listed): void {
    const course = this.#courseOf(from, request, 'listing');
    if (course === null) return;
    course.more = more;
    for (let i = 0; i < keysAndVersions.length; i += 2) {
      const key = keysAndVersions[i] as Key;
      if ((keysAndVersions[i + 1] as Version) > (this.#options.store.head(key)?.version ?? 0)) course.wanted.push(key);
      course.after = key;
    }
    this.#next(from, course);
  }

  onPulled(from: string, [, request, entries]: Pulled): void {
    const course = this.#courseOf(from, request, 'pulling');
    if (course === null) return;
    const { topology, store } = this.#options;
    for (let i = 0; i < entries.length; i += 3) {
      const key = entries[i] as Key;
      const partition = topology.partitionOf(key);
      if (!topology.isMine(partition) || !store.install(partition, key, entries[i + 1] as Version, entries[i + 2] as Value)) continue;
      course.pulled++;
      this.counters.keysPulled++;
    }
    // The answer holds the first of the keys asked for, as many as fit; an empty one says that the first is gone.
    if (entries.length === 0) course.incomplete = true;
    course.wanted.splice(0, Math.max(1, entries.length / 3));
    this.#next(from, course);
  }

  /** The next question of a course: for values, for more of a list, for the next partition; or its end. */
  #next(peer: string, course: Course): void {
    const { store, during, nowMs, intervalMs } = this.#options;
    if (course.wanted.length > 0) {
      course.state = 'pulling';
      return store.whenRoom(() => during(() => {
        if (course.state === 'pulling') this.#ask(peer, course, (request) => [Tag.pull, request, course.wanted.slice(0, pulledKeysMax)]);
      }));
    }
    if (course.state !== 'comparing' && !course.more) {
      const done = course.todo.shift();
      if (done !== undefined && !course.incomplete) this.#options.passed?.(peer, done.partition, course.ordinal);
      course.after = null;
      course.incomplete = false;
    }
    const [difference] = course.todo;
    if (difference !== undefined) {
      course.state = 'listing';
      return this.#ask(peer, course, (request) => [Tag.list, request, difference.partition, difference.leaves, course.after]);
    }
    course.state = 'idle';
    if (course.differing === 0) course.agreedAtMs = nowMs();
    course.nextAtMs = course.hurried ? nowMs() : nowMs() + (course.differing === 0 ? intervalMs : course.pulled > 0 ? againAfterPullMs : Math.min(againAfterDifferenceMs, intervalMs));
  }

  /** Partitions that the peer compared and did not name as differing. It stops where its answer is full. */
  #passEqual(peer: string, { ordinal }: Course, differing: Differ[2]): void {
    if (this.#options.passed === undefined) return;
    const named = new Set(differing.filter((each) => typeof each === 'number'));
    const last = differing.length < 2 * differingMax ? null : differing.at(-2);
    for (const partition of this.#shared.get(peer) as number[]) {
      if (!named.has(partition)) this.#options.passed(peer, partition, ordinal);
      if (partition === last) return;
    }
  }

  #ask(peer: string, course: Course, question: (request: number) => Message): void {
    course.request = ++this.#lastRequest;
    course.heardAtMs = this.#options.nowMs();
    this.#options.outbox.send(peer, question(course.request));
  }

  #courseOf(peer: string, request: number, state: Course['state']): Course | null {
    const course = this.#courses.get(peer);
    if (course === undefined || course.request !== request || course.state !== state) return null;
    course.heardAtMs = this.#options.nowMs();
    return course;
  }

  /* Answering */

  onRoots(from: string, [, request, partitions, roots]: Roots): void {
    const { topology, store, outbox } = this.#options;
    const differing: (number | Uint8Array)[] = [];
    for (let i = 0; i < partitions.length && differing.length < 2 * differingMax; i++) {
      const partition = partitions[i] as number;
      if (!topology.isMine(partition) || equalBytes(store.root(partition), roots.subarray(i * rootBytes, (i + 1) * rootBytes))) continue;
      differing.push(partition, store.leaves(partition));
    }
    outbox.send(from, [Tag.differ, request, differing]);
  }

  onList(from: string, [, request, partition, leaves, after]: List): void {
    const { topology, store, outbox } = this.#options;
    if (!topology.isMine(partition)) return void outbox.send(from, [Tag.listed, request, [], false]);
    const { entries, more } = store.list(partition, leaves, after, listedKeysMax);
    outbox.send(from, [Tag.listed, request, entries.flat(), more]);
  }

  onPull(from: string, [, request, keys]: Pull): void {
    const entries: (Key | Version | Value)[] = [];
    let bytes = 0;
    for (const key of keys) {
      const entry = this.#options.store.entry(key);
      if (entry === undefined || bytes >= pulledBytesTarget) break;
      entries.push(key, entry.version, entry.value);
      bytes += key.length + (entry.value?.length ?? 0);
    }
    this.#options.outbox.send(from, [Tag.pulled, request, entries]);
  }
}

/** One bit for each leaf whose digest differs. */
function differingLeaves(ours: Uint8Array, theirs: Uint8Array): number {
  let mask = 0;
  for (let leaf = 0; leaf * rootBytes < ours.length; leaf++) {
    if (!equalBytes(ours.subarray(leaf * rootBytes, (leaf + 1) * rootBytes), theirs.subarray(leaf * rootBytes, (leaf + 1) * rootBytes))) mask |= 1 << leaf;
  }
  return mask;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
