/**
 * Audits: what an operator's `dtp verify` asks each replica, to compare them.
 *
 * A digest that is kept says what a node believes to have. An audit believes nothing: every row is read and checked, and the
 * digests are computed from that, a slice at a time and at the pace of healing, while the node goes on with its work. What is written
 * meanwhile may be counted or not; so replicas under load differ where they are busy, and whoever asks looks at the keys
 * there, twice, before he calls it a divergence.
 */
import { AuditFact, Tag, type Audit, type AuditKeys, type Heal, type Key } from '../../client/wire/messages.ts';
import type { Session } from '../../client/wire/session.ts';
import type { Topology } from '../cluster/topology.ts';
import { Digests, fanout } from '../store/digests.ts';
import { itemOf, slotOf } from '../store/hash.ts';
import type { Store } from '../store/store.ts';
import type { Pacer } from './pacer.ts';

export interface AuditsOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly nowMs: () => number;
  readonly pacer: Pick<Pacer, 'whenFree' | 'spent'>;
  readonly after: (delayMs: number, action: () => void) => unknown;
  readonly during: (work: () => void) => void;
  /** Compares with all peers now. */
  readonly hurry: () => void;
  readonly status: () => unknown;
}

type Client = Pick<Session, 'send' | 'open'>;

/** Rows read in one slice: about a millisecond. */
const sliceRows = 500;
/** What a partition costs beside its rows. */
const partitionRows = 20;
/** Between two slices: the node's own work comes first. */
const pauseMs = 1;
/** An answer is sent when it took so long: whoever waits is not to run into a deadline. */
const answerMs = 1_000;
/** On a slow line a larger one would look like a node that has died. */
const answerBytesMax = 32 * 1_024;
/** Digests are told of the nodes of the tree at this level, or of its leaves if it is less deep: of at most 256 ranges of hashes. */
const rangeLevelMax = 2;
const jobsMax = 8;
/** A page of keys takes some milliseconds to read. */
const listedBytesMax = 64 * 1_024;
/** What a row counts for, where the work of healing is measured in bytes. */
const rowBytes = 32;

interface Job {
  readonly client: Client;
  readonly request: number;
  readonly partitions: readonly number[];
  readonly beganAtMs: number;
  readonly answer: (number | Uint8Array)[];
  bytes: number;
  next: number;
  walk: Walk | null;
}

/** How far the reading of one partition is. */
interface Walk {
  readonly partition: number;
  readonly root: Uint8Array;
  readonly damagedBefore: number;
  readonly rebuilt: Digests;
  keys: number;
  after: Key | null;
}

export class Audits {
  readonly #options: AuditsOptions;
  readonly #jobs: Job[] = [];

  constructor(options: AuditsOptions) {
    this.#options = options;
  }

  onAudit(client: Client, [, request, partitions]: Audit): void {
    if (this.#jobs.length >= jobsMax) return client.send([Tag.failed, request, 'overloaded', 'too many audits are under way here']);
    this.#jobs.push({ client, request, partitions, beganAtMs: this.#options.nowMs(), answer: [], bytes: 0, next: 0, walk: null });
    if (this.#jobs.length === 1) this.#soon();
  }

  onAuditKeys(client: Client, [, request, partition, ranges, after]: AuditKeys): void {
    const { topology, store } = this.#options;
    const rows: (Key | number)[] = [];
    let bytes = 0;
    const answer = (more: boolean): void => client.send([Tag.auditedKeys, request, rows, more]);
    if (!topology.isMine(partition)) return answer(false);
    const { tree } = store;
    const leavesPerRange = tree.leavesPerPartition / rangesOf(tree.depth);
    const first = after === null ? 0 : tree.leafOf(slotOf(after));
    for (let leaf = first; leaf < tree.leavesPerPartition; leaf++) {
      const range = Math.floor(leaf / leavesPerRange);
      if ((((ranges[range >> 3] ?? 0) >> (range & 7)) & 1) === 0) continue;
      for (const [key, { version, checksum, tombstone, value }] of store.rows(partition, leaf, leaf === first ? after : null)) {
        rows.push(key, version, checksum, tombstone ? 1 : 0, value?.length ?? 0);
        bytes += key.length + rowBytes;
        if (bytes >= listedBytesMax) return answer(true);
      }
    }
    answer(false);
  }

  onHeal(client: Client, [, request]: Heal): void {
    const { hurry, status } = this.#options;
    hurry();
    client.send([Tag.statusIs, request, status()]);
  }

  #soon(): void {
    const { after, during, pacer } = this.#options;
    after(pauseMs, () => {
      if (!pacer.whenFree(() => during(() => this.#slice()))) this.#soon();
    });
  }

  #slice(): void {
    const budget = { rows: sliceRows };
    for (let [job] = this.#jobs; job !== undefined && budget.rows > 0; [job] = this.#jobs) {
      if (!job.client.open || this.#isAnswered(job, budget)) this.#jobs.shift();
    }
    this.#options.pacer.spent((sliceRows - budget.rows) * rowBytes);
    if (this.#jobs.length > 0) this.#soon();
  }

  /** Goes on with a job by some rows or to the end of a partition, and says whether it has ended. */
  #isAnswered(job: Job, budget: { rows: number }): boolean {
    const { topology, nowMs } = this.#options;
    if (job.walk === null) {
      budget.rows -= partitionRows;
      const partition = job.partitions[job.next];
      const isTime = nowMs() - job.beganAtMs >= answerMs || job.bytes >= answerBytesMax;
      if (partition === undefined || !topology.isMine(partition) || (isTime && job.answer.length > 0)) {
        job.client.send([Tag.audited, job.request, job.answer]);
        return true;
      }
      job.walk = this.#begin(partition);
    }
    if (this.#hasEnded(job.walk, budget)) {
      this.#note(job, job.walk);
      job.walk = null;
      job.next++;
    }
    return false;
  }

  #begin(partition: number): Walk {
    const { store } = this.#options;
    return { partition, root: store.root(partition), damagedBefore: store.stats.damagedRows, rebuilt: new Digests(1, store.tree.depth), keys: 0, after: null };
  }

  /** Reads rows, and says whether those were the last. */
  #hasEnded(walk: Walk, budget: { rows: number }): boolean {
    for (const [key, { version, checksum, tombstone }] of this.#options.store.rows(walk.partition, null, walk.after)) {
      const { a, b } = itemOf(key, version, checksum, tombstone);
      walk.rebuilt.change(0, walk.rebuilt.leafOf(slotOf(key)), a, b, 0n, 0n);
      walk.keys++;
      walk.after = key;
      if (--budget.rows <= 0) return false;
    }
    return true;
  }

  #note(job: Job, { partition, root, damagedBefore, rebuilt, keys }: Walk): void {
    const { store } = this.#options;
    const level = Math.min(store.tree.depth, rangeLevelMax);
    const ranges = Buffer.concat(Array.from({ length: rangesOf(store.tree.depth) }, (_, range) => rebuilt.node(0, level, range)));
    // Only where nothing was written meanwhile can the two be compared; and where that is known already, they are just being put right.
    const isStill = Buffer.compare(root, store.root(partition)) === 0;
    const isRight = !isStill || store.doubts.damaged.has(partition) || Buffer.compare(rebuilt.root(0), root) === 0;
    if (!isRight) store.doubt(partition, 'the rows of a partition were not those that its digests were of');
    const isSure = store.doubts.isSure(partition);
    const facts = (isSure ? 0 : AuditFact.doubtful) | (isRight ? 0 : AuditFact.misdigested);
    job.answer.push(partition, keys, store.stats.damagedRows - damagedBefore, facts, isSure ? store.versions.tombstones.collected(partition) : 0, ranges);
    job.bytes += ranges.length;
  }
}

function rangesOf(depth: number): number {
  return fanout ** Math.min(depth, rangeLevelMax);
}
