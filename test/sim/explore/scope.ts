/** What is explored: which nodes keep which keys, and which transactions meet on them. */
import { encodeBody } from '../../../client/wire/codec.ts';
import type { Key, Version } from '../../../client/wire/messages.ts';
import type { View } from '../../../client/wire/view.ts';
import { Topology } from '../../../node/cluster/topology.ts';

export interface Plan {
  /** The node whose coordinator runs it. Its number there is one more than its place among the plans. */
  readonly coordinator: number;
  /** Which of the batches it is in. */
  readonly batch: number;
  readonly reads: readonly Key[];
  /** The partition of the first one is its home. */
  readonly writes: readonly Key[];
}

export interface Scope {
  readonly name: string;
  readonly nodes: readonly string[];
  readonly topologies: readonly Topology[];
  readonly keys: readonly Key[];
  /** What to call them. */
  readonly letters: readonly string[];
  /** For each key, the nodes that keep it. */
  readonly groups: readonly (readonly number[])[];
  readonly plans: readonly Plan[];
  /** What travels together, plan by plan in ascending order; one alone is a batch of one. In the name of the last a batch is committed. */
  readonly batches: readonly (readonly number[])[];
}

interface Layout {
  readonly says: string;
  readonly nodes: number;
  readonly replicationFactor: number;
  /** Which nodes keep x, and which keep y. */
  readonly x: readonly string[];
  readonly y: readonly string[];
  /** Who coordinates the first and the second transaction. */
  readonly coordinators: readonly [number, number];
}

interface Conflict {
  readonly says: string;
  /** `batch`: which one it is in; each has one of its own unless told. What is in the first is the first coordinator's, and so on. */
  readonly transactions: readonly { readonly reads: string; readonly writes: string; readonly batch?: number }[];
  /** All of it is the first coordinator's. */
  readonly isOfOne?: boolean;
}

/** By name: where the keys x and y lie; read watermarks are kept by partition, and theirs are two. */
export const layouts: Readonly<Record<string, Layout>> = {
  one: { says: 'a node alone', nodes: 1, replicationFactor: 1, x: ['n1'], y: ['n1'], coordinators: [0, 0] },
  two: { says: 'one group of two', nodes: 2, replicationFactor: 2, x: ['n1', 'n2'], y: ['n1', 'n2'], coordinators: [0, 1] },
  three: { says: 'one group of three', nodes: 3, replicationFactor: 3, x: ['n1', 'n2', 'n3'], y: ['n1', 'n2', 'n3'], coordinators: [0, 1] },
  guest: { says: 'one group of three, the first coordinator outside it', nodes: 4, replicationFactor: 3, x: ['n2', 'n3', 'n4'], y: ['n2', 'n3', 'n4'], coordinators: [0, 1] },
  chain: { says: 'two groups of two that share a node', nodes: 3, replicationFactor: 2, x: ['n1', 'n2'], y: ['n2', 'n3'], coordinators: [0, 2] },
  overlap: { says: 'two groups of three that share two nodes', nodes: 4, replicationFactor: 3, x: ['n1', 'n2', 'n3'], y: ['n2', 'n3', 'n4'], coordinators: [0, 3] },
};

/** By name: what the transactions do to the keys; z lies in the partition of x. */
export const conflicts: Readonly<Record<string, Conflict>> = {
  alone: { says: 'one transaction that reads and writes both keys', transactions: [{ reads: 'xy', writes: 'xy' }] },
  update: { says: 'both read and write both keys', transactions: [{ reads: 'xy', writes: 'xy' }, { reads: 'xy', writes: 'yx' }] },
  blind: { says: 'both write both keys and read none', transactions: [{ reads: '', writes: 'xy' }, { reads: '', writes: 'yx' }] },
  skew: { says: 'each reads what the other writes', transactions: [{ reads: 'x', writes: 'y' }, { reads: 'y', writes: 'x' }] },
  near: { says: 'they touch different keys of one partition, whose read watermark they share', transactions: [{ reads: 'z', writes: 'z' }, { reads: '', writes: 'x' }] },
  follow: { says: 'one writes what the other reads before it writes elsewhere', transactions: [{ reads: '', writes: 'x' }, { reads: 'x', writes: 'y' }] },
  cross: { says: 'one writes a key that the other writes beside its own, and reads none', transactions: [{ reads: '', writes: 'x' }, { reads: '', writes: 'yx' }] },
  batch: { says: 'two that travel together', transactions: [{ reads: 'x', writes: 'x', batch: 0 }, { reads: '', writes: 'z', batch: 0 }] },
  astride: { says: 'two that travel together, and between their numbers that of a third one of the same coordinator', isOfOne: true,
    transactions: [{ reads: '', writes: 'x', batch: 0 }, { reads: '', writes: 'y', batch: 1 }, { reads: '', writes: 'z', batch: 0 }] },
  company: { says: 'two that travel together, and one that writes what one of them writes', transactions: [{ reads: '', writes: 'x', batch: 0 }, { reads: 'z', writes: 'z', batch: 0 }, { reads: '', writes: 'x', batch: 1 }] },
  convoy: { says: 'two that travel together, and one that reads what one of them writes, and writes what the other one does and a key besides', transactions: [{ reads: 'x', writes: 'x', batch: 0 }, { reads: '', writes: 'z', batch: 0 }, { reads: 'x', writes: 'yz', batch: 1 }] },
};

const partitions = 16;

/** `layout/conflict`, as in 'three/update'. Throws RangeError for an unknown one. */
export function scopeOf(name: string): Scope {
  const [layoutName = '', conflictName = ''] = name.split('/');
  const layout = layouts[layoutName];
  const conflict = conflicts[conflictName];
  if (layout === undefined || conflict === undefined) {
    throw new RangeError(`unknown scope ${name}; a scope is one of ${Object.keys(layouts).join(', ')}, a slash, and one of ${Object.keys(conflicts).join(', ')}`);
  }
  const members = Array.from({ length: layout.nodes }, (_, i) => ({ id: `n${i + 1}`, url: `ws://127.0.0.1:${7_101 + i}`, weight: 1, zone: null }));
  const view: View = { epoch: 1, cluster: 'explored', partitions, replicationFactor: layout.replicationFactor, members };
  const nodes = members.map(({ id }) => id);
  const topologies = nodes.map((node) => new Topology(view, node));
  const topology = topologies[0] as Topology;
  const x = findKey(topology, (partition) => isKeptBy(topology, partition, layout.x));
  const y = findKey(topology, (partition) => isKeptBy(topology, partition, layout.y) && partition !== topology.partitionOf(x));
  const z = findKey(topology, (partition, key) => partition === topology.partitionOf(x) && key !== x);
  const keyOf = (letter: string): Key => (letter === 'x' ? x : letter === 'y' ? y : z);
  const touched = new Set(conflict.transactions.flatMap(({ reads, writes }) => [...reads, ...writes]));
  const letters = [...touched].sort();
  const batchOf = conflict.transactions.map(({ batch }, i) => batch ?? i);
  const keys = letters.map(keyOf);
  return {
    name, nodes, topologies, keys, letters,
    groups: keys.map((key) => topology.groupOf(topology.partitionOf(key)).members.map((member) => nodes.indexOf(member))),
    plans: conflict.transactions.map(({ reads, writes }, i) => {
      const batch = batchOf[i] as number;
      return { coordinator: layout.coordinators[conflict.isOfOne === true ? 0 : batch] as number, batch, reads: [...reads].map(keyOf), writes: [...writes].map(keyOf) };
    }),
    batches: [...new Set(batchOf)].map((batch) => batchOf.flatMap((each, plan) => (each === batch ? [plan] : []))),
  };
}

const isKeptBy = (topology: Topology, partition: number, members: readonly string[]): boolean => topology.groupOf(partition).members.join() === members.join();

function findKey(topology: Topology, isWanted: (partition: number, key: Key) => boolean): Key {
  for (let i = 0; i < 10_000; i++) if (isWanted(topology.partitionOf(`k${i}`), `k${i}`)) return `k${i}`;
  throw new RangeError('no key lies where it is wanted');
}

interface BatchBody {
  readonly name: string;
  /** Of the batch's plans in turn, each with its own. */
  readonly parts: readonly { readonly plan: number; readonly versions: readonly Version[]; readonly bytes: Uint8Array }[];
}

/**
 * Transaction bodies, one per batch and versions read. Equal ones are the same bytes in the same place, so that
 * they are parsed once, and states that hold them are written down by their names.
 */
export class Bodies {
  readonly #scope: Scope;
  readonly #bodies: BatchBody[] = [];
  /** By what they are, those that were made of others. */
  readonly #joined = new Map<string, Uint8Array>();

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** The number of the body in which the batch's plans have read these versions, one plan after the other. */
  of(batch: number, versions: readonly Version[]): number {
    const rest = [...versions];
    const parts = (this.#scope.batches[batch] as readonly number[]).map((plan) => ({ plan, versions: rest.splice(0, (this.#scope.plans[plan] as Plan).reads.length) }));
    const name = parts.map((part) => `T${part.plan + 1}(${part.versions.join()})`).join('+');
    const known = this.#bodies.findIndex((body) => body.name === name);
    if (known >= 0) return known;
    return this.#bodies.push({ name, parts: parts.map((part) => ({ ...part, bytes: this.#encode(part.plan, part.versions) })) }) - 1;
  }

  parts(body: number): BatchBody['parts'] {
    return this.#bodies[body]!.parts;
  }

  /** What the plan has read, if that is its batch's body. */
  versions(body: number, plan: number): readonly Version[] {
    return this.parts(body).find((part) => part.plan === plan)!.versions;
  }

  /** The same bytes, in the place where they were met first. */
  same(bytes: Uint8Array): Uint8Array {
    const content = Buffer.from(bytes).toString('latin1');
    const known = this.#joined.get(content);
    if (known !== undefined) return known;
    this.#joined.set(content, bytes);
    nameAs(bytes, `batch ${this.#joined.size}`);
    return bytes;
  }

  #encode(plan: number, versions: readonly Version[]): Uint8Array {
    const { reads, writes } = this.#scope.plans[plan] as Plan;
    // A copy of its own: the encoder's buffer is used again.
    const bytes = Uint8Array.from(encodeBody([reads.flatMap((key, i) => [key, versions[i] as Version]), writes.flatMap((key) => [key, Uint8Array.of(plan + 1)])]));
    nameAs(bytes, `T${plan + 1}(${versions.join()})`);
    return bytes;
  }
}

/** So they are written down. */
function nameAs(bytes: Uint8Array, name: string): void {
  Object.defineProperty(bytes, 'toJSON', { value: () => name });
}
