/**
 * Verification: all replicas of all partitions, compared by what is in them.
 *
 * Every node reads all of its rows and tells digests of what is there, by ranges of hashes. Where replicas of a partition differ, the keys
 * of those ranges are compared, one by one. Under load they differ all the time, by what is being written; so they are looked
 * at twice, and a replica diverges in a key only if it is behind, or other, in the same way a moment later.
 */
import { decodeKey, type Key } from './keys.ts';
import { NodeCall } from './node-call.ts';
import type { OperationOptions } from './options.ts';
import type { Router } from './routing.ts';
import { DtpError } from './wire/errors.ts';
import { compareReplicas, type Fault, type Holding } from './verify-keys.ts';
import { AuditFact, Tag, type Audited, type AuditedKeys, type Key as EncodedKey, type StatusIs } from './wire/messages.ts';

/** What one replica lacks, and what it would take to mend it. */
export interface ReplicaFaults {
  /** Keys that others have and this one hasn't. */
  readonly missing: number;
  /** Keys of which others have a newer version, or know that they were deleted. */
  readonly older: number;
  /** Keys of which it has another value than others, of the same version. That must never happen, and no healing mends it. */
  readonly different: number;
  /** Of keys and values that it has to get from the others. */
  readonly bytes: number;
}

export interface NodeVerification extends ReplicaFaults {
  readonly id: string;
  readonly url: string;
  /** If not, `reason` says why, and its replicas were not compared, or not all of them. */
  readonly reachable: boolean;
  readonly reason?: string;
  /** Its partitions, and the keys in them; deleted ones that are remembered count. */
  readonly partitions: number;
  readonly keys: number;
  /** Rows that were not as they had been written, taken out when they were met; their keys are among the missing. */
  readonly damaged: number;
  /** Partitions for which it doesn't speak until it is healed. */
  readonly doubtful: number;
  /** Partitions whose digests were not those of their rows, so that healing would have passed them by. */
  readonly misdigested: number;
}

export interface PartitionDivergence {
  readonly partition: number;
  readonly replicas: Readonly<Record<string, ReplicaFaults>>;
  /** Nodes that don't speak for it until they are healed, and nodes whose digests of it were not those of their rows. */
  readonly doubtful: readonly string[];
  readonly misdigested: readonly string[];
  /** Some of the keys, with the version that each replica has; 0 for none. */
  readonly examples: readonly { readonly key: Key; readonly versions: Readonly<Record<string, number>> }[];
}

export interface Verification {
  /** All replicas of all partitions were compared, and each is as it should be. */
  readonly identical: boolean;
  readonly nodes: readonly NodeVerification[];
  /** Partitions in which replicas have diverged or are not fit to serve, in order. */
  readonly divergent: readonly PartitionDivergence[];
}

export interface VerifyOptions {
  /** Only these partitions; by default all. */
  readonly partitions?: readonly number[] | undefined;
  /** Is told how many replicas of partitions have been read so far, and of how many. */
  readonly onProgress?: ((read: number, of: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Between the two looks: a write that is committed at one replica has come to all that are up long before. */
const secondLookMs = 1_000;
/** Reading one partition may take long where there are few and large ones. */
const questionTimeoutMs = 60_000;
/** What is asked for in one question; a node answers with what it has done within a second. */
const auditedAtOnce = 64;
const examplesMax = 5;
const overloadPauseMs = 250;

interface Replica {
  readonly ranges: Uint8Array;
  readonly facts: number;
  readonly collected: number;
}

type Holdings = Map<EncodedKey, Map<string, Holding>>;

type Tally = { -readonly [K in keyof Omit<NodeVerification, 'id' | 'url' | 'reason'>]: NodeVerification[K] } & { reason?: string };

export class Verifier {
  readonly #router: Router;
  readonly #options: VerifyOptions;
  readonly #partitions: readonly number[];
  readonly #replicas = new Map<number, Map<string, Replica>>();
  readonly #tallies = new Map<string, Tally>();
  #read = 0;
  #toRead = 0;

  constructor(router: Router, options: VerifyOptions) {
    this.#router = router;
    this.#options = options;
    const { partitions } = router.view;
    this.#partitions = [...new Set(options.partitions ?? Array.from({ length: partitions }, (_, partition) => partition))].filter((partition) => partition >= 0 && partition < partitions);
    for (const { id } of router.members) this.#tallies.set(id, { reachable: true, partitions: 0, keys: 0, damaged: 0, doubtful: 0, misdigested: 0, missing: 0, older: 0, different: 0, bytes: 0 });
  }

  async run(): Promise<Verification> {
    await Promise.all(this.#router.members.map(({ id }) => this.#audit(id)));
    const first = new Map<number, Holdings>();
    for (const partition of this.#partitions) {
      if (suspectRanges(this.#replicasOf(partition)) === null) continue;
      const held = await this.#holdings(partition);
      if (compareReplicas(held, this.#collectedOf(partition)).length > 0) first.set(partition, held);
    }
    if (first.size > 0) await this.#pause(secondLookMs);
    const divergent: PartitionDivergence[] = [];
    for (const partition of this.#partitions) {
      const before = first.get(partition);
      const faults = before === undefined ? [] : this.#lastingFaults(partition, before, await this.#holdings(partition));
      const found = this.#divergenceOf(partition, faults);
      if (found !== null) divergent.push(found);
    }
    const nodes = this.#router.members.map(({ id, url }): NodeVerification => ({ id, url, ...(this.#tallies.get(id) as Tally) }));
    const identical = divergent.length === 0 && nodes.every(({ reachable }) => reachable);
    return { identical, nodes, divergent };
  }

  /** Has one node read all of its partitions. */
  async #audit(id: string): Promise<void> {
    const tally = this.#tallies.get(id) as Tally;
    const todo = this.#partitions.filter((partition) => this.#router.groupOf(partition).includes(id));
    this.#toRead += todo.length;
    while (todo.length > 0 && tally.reachable) {
      const answer = await this.#ask<Audited>(id, (request) => [Tag.audit, request, todo.slice(0, auditedAtOnce)], Tag.audited);
      if (answer === null) return;
      if (answer[2].length === 0) return this.#giveUp(id, 'it has another view of which partitions it keeps');
      for (let i = 0; i < answer[2].length; i += 6) {
        const [partition, keys, damaged, facts, collected, ranges] = answer[2].slice(i, i + 6) as [number, number, number, number, number, Uint8Array];
        todo.shift();
        tally.partitions++;
        tally.keys += keys;
        tally.damaged += damaged;
        if ((facts & AuditFact.doubtful) !== 0) tally.doubtful++;
        if ((facts & AuditFact.misdigested) !== 0) tally.misdigested++;
        this.#replicasOf(partition).set(id, { ranges, facts, collected });
        this.#options.onProgress?.(++this.#read, this.#toRead);
      }
    }
  }

  /** Which key, in the ranges that differ, is held how by each replica. */
  async #holdings(partition: number): Promise<Holdings> {
    const replicas = this.#replicasOf(partition);
    const ranges = suspectRanges(replicas) as Uint8Array;
    const held: Holdings = new Map();
    await Promise.all([...replicas.keys()].map(async (id) => {
      let after: EncodedKey | null = null;
      for (let more = true; more; ) {
        const behind: EncodedKey | null = after;
        const answer: AuditedKeys | null = await this.#ask<AuditedKeys>(id, (request) => [Tag.auditKeys, request, partition, ranges, behind], Tag.auditedKeys);
        if (answer === null) return;
        const rows = answer[2];
        for (let i = 0; i < rows.length; i += 5) {
          const [key, version, checksum, tombstone, bytes] = rows.slice(i, i + 5) as [EncodedKey, number, number, number, number];
          let holders = held.get(key);
          if (holders === undefined) held.set(key, (holders = new Map()));
          holders.set(id, { version, checksum, isTombstone: tombstone === 1, bytes: key.length + bytes });
          after = key;
        }
        more = answer[3] && rows.length > 0;
      }
    }));
    return held;
  }

  /** Faults of both looks, where the replica has in both the same of the key. */
  #lastingFaults(partition: number, before: Holdings, now: Holdings): (Fault & { versions: Record<string, number> })[] {
    const collected = this.#collectedOf(partition);
    const name = ({ key, node, what }: Fault, held: Holdings): string => `${node} ${what} ${held.get(key)?.get(node)?.version ?? 0} ${key}`;
    const first = new Set(compareReplicas(before, collected).map((fault) => name(fault, before)));
    return compareReplicas(now, collected)
      .filter((fault) => first.has(name(fault, now)))
      .map((fault) => ({ ...fault, versions: Object.fromEntries([...collected.keys()].map((id) => [id, now.get(fault.key)?.get(id)?.version ?? 0])) }));
  }

  #divergenceOf(partition: number, faults: readonly (Fault & { versions: Record<string, number> })[]): PartitionDivergence | null {
    const replicas: Record<string, { missing: number; older: number; different: number; bytes: number }> = {};
    const examples = new Map<EncodedKey, PartitionDivergence['examples'][number]>();
    for (const { key, node, what, bytes, versions } of faults) {
      for (const counts of [(replicas[node] ??= { missing: 0, older: 0, different: 0, bytes: 0 }), this.#tallies.get(node) as Tally]) {
        counts[what]++;
        counts.bytes += bytes;
      }
      if (examples.size < examplesMax && !examples.has(key)) examples.set(key, { key: decodeKey(key), versions });
    }
    const having = (fact: number): string[] => [...this.#replicasOf(partition)].filter(([, { facts }]) => (facts & fact) !== 0).map(([id]) => id);
    const [doubtful, misdigested] = [having(AuditFact.doubtful), having(AuditFact.misdigested)];
    if (faults.length + doubtful.length + misdigested.length === 0) return null;
    return { partition, replicas, doubtful, misdigested, examples: [...examples.values()] };
  }

  #replicasOf(partition: number): Map<string, Replica> {
    let replicas = this.#replicas.get(partition);
    if (replicas === undefined) this.#replicas.set(partition, (replicas = new Map()));
    return replicas;
  }

  #collectedOf(partition: number): Map<string, number> {
    return new Map([...this.#replicasOf(partition)].map(([id, { collected }]) => [id, collected]));
  }

  /** Null if the node doesn't answer: it counts as unreachable from then on. */
  async #ask<A extends Audited | AuditedKeys>(id: string, message: (request: number) => Parameters<Router['members'][number]['peer']['send']>[0], tag: A[0]): Promise<A | null> {
    const options: OperationOptions = { timeoutMs: questionTimeoutMs, signal: this.#options.signal };
    for (;;) {
      try {
        return await new NodeCall<A>(this.#router, options, id, message, tag, null).begin();
      } catch (error) {
        if (!(error instanceof DtpError) || error.code === 'cancelled' || error.code === 'closed') throw error;
        if (error.code !== 'overloaded') {
          this.#giveUp(id, error.message);
          return null;
        }
        await this.#pause(overloadPauseMs);
      }
    }
  }

  #giveUp(id: string, reason: string): void {
    Object.assign(this.#tallies.get(id) as Tally, { reachable: false, reason });
    for (const replicas of this.#replicas.values()) replicas.delete(id);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resume) => void this.#router.later(ms, resume));
  }
}

/** A bit for each range in which not all replicas are equal; null if there is none. */
function suspectRanges(replicas: ReadonlyMap<string, Replica>): Uint8Array | null {
  const [first, ...others] = [...replicas.values()].map(({ ranges }) => ranges);
  if (first === undefined) return null;
  const count = first.length / 16;
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (let range = 0; range < count; range++) {
    const isEqual = others.every((other) => other.length === first.length && equal(first, other, range * 16));
    if (!isEqual) bits[range >> 3] = (bits[range >> 3] as number) | (1 << (range & 7));
  }
  return bits.some((byte) => byte !== 0) ? bits : null;
}

function equal(a: Uint8Array, b: Uint8Array, from: number): boolean {
  for (let i = from; i < from + 16; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Has all nodes that answer compare themselves with each other now. */
export async function heal(router: Router, options: OperationOptions | undefined): Promise<void> {
  await Promise.allSettled(router.members.map(({ id }) => new NodeCall<StatusIs>(router, options, id, (request) => [Tag.heal, request], Tag.statusIs, null).begin()));
}
