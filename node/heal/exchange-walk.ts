/**
 * One comparison with one peer, from the asking side: what to ask next, and what the answers mean.
 *
 *   blocks -> roots -> down the trees of partitions that differ -> leaves -> versions -> values
 *
 * It goes depth first, a few partitions at a time, so what it remembers is bounded. Of a leaf that differs it first asks for what is newer than
 * all we have there, which is nearly always what is missing, and of a leaf that is empty here that is all there is; only if the digests differ
 * still, fingerprints are told, and then whatever else differs is named. Versions go into the store as they come, a newer one over an older one
 * and never the other way, so a walk may be cut anywhere; what it had found out is then found out again.
 */
import { Tag, type Children, type Differ, type Key, type Listed, type Pulled, type Roots, type Value, type Version } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import { checksumOf } from '../store/hash.ts';
import type { Store } from '../store/store.ts';
import { isBehind, isMet, pieceOf, rowBytes, type Leaf, type Piece } from './exchange-leaf.ts';
import { abridged, blockDigest, blockOf, exchangeSizes, inFull, isNothing, leafFields, rootsOf, sameBytes, shortBytes, shortChildren, shortLeaf, type Answer, type ExchangeSizes, type Question } from './exchange-messages.ts';

export interface WalkOptions {
  readonly peer: string;
  /** Of all walks, in the order in which they began. */
  readonly ordinal: number;
  readonly topology: Topology;
  readonly store: Pick<Store, 'tree' | 'rows' | 'head' | 'versions' | 'install'>;
  /** Partitions that both sides keep, in order. */
  readonly shared: readonly number[];
  /** Those of them of which we are in doubt: they are compared even if the peer's block looks equal, and each difference by name. */
  readonly named: readonly number[];
  /** All that is missing here is newer, as far as one can tell without looking; null: one can't. */
  readonly since: Version | null;
  /** Whatever the peer had newer in the partition when this walk began is here. `collected`: what the peer says of it. */
  readonly passed: (peer: string, partition: number, ordinal: number, collected: number) => void;
  /** Keys of ours, in a leaf that differs, of which the peer has no trace although it would have one if they had not been deleted up to `collected`. */
  readonly vanished: (partition: number, collected: number, keys: readonly Key[]) => void;
  /** The sure peer has a value of a key that is absent here and, as far as we knew, deleted since: so our copy has lost something. */
  readonly missed: (partition: number, key: Key) => void;
  /** This leaf differs, and the peer has nothing newer there: it is behind, or we have lost something without knowing it. */
  readonly suspect: (partition: number, leaf: number) => void;
  /** The peer has another value of the same version. */
  readonly conflicting: (key: Key, version: Version) => void;
  readonly sizes?: ExchangeSizes | undefined;
}

const blocksPerQuestion = 64;
export const partitionsPerQuestion = 64;
const nodesPerQuestion = 64;
const leavesAtFirst = 4;
/** If so many leaves that differ had nothing new, it is the peer that is behind, or what differs is old. */
const fruitlessMax = 64;

interface Node {
  readonly partition: number;
  readonly level: number;
  readonly index: number;
}

/** A partition that differs. */
interface Open {
  /** The peer was not in doubt of it when it was compared. */
  readonly isSure: boolean;
  collected: number;
  /** All that was listed there has come. */
  isComplete: boolean;
  /** Nodes and leaves not gone through yet. */
  left: number;
}

export class Walk {
  readonly #options: WalkOptions;
  readonly #blocks: number[];
  readonly #partitions: number[];
  readonly #doubtful: ReadonlySet<number>;
  readonly #nodes: Node[] = [];
  #leaves: Leaf[] = [];
  #again: Leaf[] = [];
  #wanted: Key[] = [];
  /** Leaves that are done when what is wanted has come. */
  #finished: number[] = [];
  readonly #open = new Map<number, Open>();
  /** What the present question is about. */
  #asked: { readonly leaf: Leaf; readonly piece: Piece }[] = [];
  #askedNodes: Node[] = [];
  #askedPartitions = new Set<number>();
  #listed = 0;
  /** As many as one answer can cover, as far as is known: what it does not cover has to be asked again. */
  #leavesPerQuestion = leavesAtFirst;
  /** Partitions that differed, versions that came, and whether the peer is busy catching up itself. */
  differing = 0;
  gained = 0;
  isPeerBusy = false;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#blocks = [...new Set(options.shared.map(blockOf))];
    this.#partitions = [...options.named];
    this.#doubtful = new Set(options.named);
  }

  /** Partitions that differ, as far as is known: of those not looked at closely yet, the blocks did. */
  get behind(): number {
    return this.differing + this.#partitions.length;
  }

  /** Partitions not gone through yet, at most. */
  get partitionsLeft(): number {
    return this.#open.size + this.#partitions.length + (this.#blocks.length > 0 ? this.#options.shared.length : 0);
  }

  /** The next question, or null at the end. `isThorough`: whatever differs is to be found now; else only what is easily had, as the peer may be the one that is behind. */
  question(request: number, isThorough: boolean, atMost: number): Question | null {
    const { store: { tree }, shared, sizes: { keysPerQuestion } = exchangeSizes } = this.#options;
    if (this.#wanted.length > 0) return [Tag.pull, request, this.#wanted.slice(0, keysPerQuestion), atMost];
    for (const partition of this.#finished.splice(0)) this.#closeOne(partition);
    if (this.#leaves.length === 0 && this.#nodes.length === 0 && this.#partitions.length === 0 && this.#blocks.length === 0 && isThorough) this.#leaves = this.#again.splice(0);
    if (!isThorough && this.gained === 0 && this.#listed >= fruitlessMax) return null;
    if (this.#leaves.length > 0) return this.#list(request, atMost);
    const [node] = this.#nodes;
    if (node !== undefined) {
      const count = this.#nodes.findIndex(({ partition, level }) => partition !== node.partition || level !== node.level);
      this.#askedNodes = this.#nodes.splice(0, Math.min(nodesPerQuestion, count < 0 ? this.#nodes.length : count));
      return [Tag.descend, request, node.partition, node.level, this.#askedNodes.map(({ index }) => index)];
    }
    if (this.#partitions.length > 0) {
      const partitions = this.#partitions.splice(0, partitionsPerQuestion);
      this.#askedPartitions = new Set(partitions);
      return [Tag.compare, request, partitions, rootsOf(tree, partitions)];
    }
    if (this.#blocks.length > 0) {
      const blocks = this.#blocks.splice(0, blocksPerQuestion);
      return [Tag.blocks, request, blocks, Buffer.concat(blocks.map((block) => blockDigest(tree, shared.filter((partition) => blockOf(partition) === block))))];
    }
    return null;
  }

  /** Precondition: it answers the question asked last. */
  answered(answer: Answer): void {
    switch (answer[0]) {
      case Tag.roots: return this.#onRoots(answer);
      case Tag.differ: return this.#onDiffer(answer);
      case Tag.children: return this.#onChildren(answer);
      case Tag.listed: return this.#onListed(answer);
      case Tag.pulled: return this.#onPulled(answer);
    }
  }

  #onRoots([, , isBusy, differing]: Roots): void {
    const { store: { tree }, shared } = this.#options;
    this.isPeerBusy ||= isBusy;
    for (let i = 0; i < differing.length; i += 2) {
      const partitions = shared.filter((partition) => blockOf(partition) === differing[i]);
      const roots = differing[i + 1] as Uint8Array;
      const others = partitions.filter((partition) => !this.#doubtful.has(partition));
      const differ = others.filter((partition) => {
        const at = 16 * partitions.indexOf(partition);
        return !sameBytes(tree.root(partition), roots.subarray(at, at + 16));
      });
      // By now all may be equal. The peer is to know that too.
      this.#partitions.push(...(differ.length === 0 ? others.slice(0, 1) : differ));
    }
  }

  #onDiffer([, request, partitions]: Differ): void {
    const { peer, ordinal, passed, named } = this.#options;
    for (let i = 0; i < partitions.length; i += 4) {
      const [partition, isSure, collected, children] = partitions.slice(i, i + 4) as [number, boolean, number, Uint8Array];
      if (!this.#askedPartitions.delete(partition)) continue;
      if (children.length > 0) {
        this.differing++;
        // It may have on its disk what was deleted long ago. What it has that we have not, others have too, or it will have when it is sure again.
        if (!isSure && !named.includes(partition)) continue;
        this.#open.set(partition, { isSure, collected, isComplete: true, left: 1 });
        this.#expand({ partition, level: 0, index: 0 }, children, request);
      } else passed(peer, partition, ordinal, collected);
    }
  }

  #onChildren([, request, digests]: Children): void {
    const bytes = 16 * shortBytes;
    this.#askedNodes.splice(0).forEach((node, i) => this.#expand(node, digests.subarray(i * bytes, (i + 1) * bytes), request));
  }

  /** Puts those children of a node that differ on the list, in its place. */
  #expand(node: Node, theirs: Uint8Array, salt: number): void {
    const { tree } = this.#options.store;
    const { partition, level } = node;
    const ours = shortChildren(tree, partition, level, node.index, salt);
    const open = this.#open.get(partition) as Open;
    for (let child = 0; child * shortBytes < ours.length; child++) {
      const [from, to] = [child * shortBytes, (child + 1) * shortBytes];
      if (sameBytes(ours.subarray(from, to), theirs.subarray(from, to))) continue;
      const index = node.index * 16 + child;
      open.left++;
      if (level + 1 < tree.depth) this.#nodes.push({ partition, level: level + 1, index });
      else this.#leaves.push({ partition, leaf: index, after: null, isThorough: false, isDoubtful: this.#doubtful.has(partition) });
    }
    this.#finished.push(partition);
  }

  /** As many leaves as may be gone through in one turn. Only the first may be begun already, and only the last may be told of in part. */
  #list(request: number, atMost: number): Question {
    const { store, sizes: { leavesPerQuestion, rowsPerQuestion } = exchangeSizes } = this.#options;
    const fields: (number | Version | Uint8Array | null)[] = [];
    const after = this.#leaves[0]?.after ?? null;
    let until: Key | null = null;
    this.#asked = [];
    for (let rowsLeft = Math.min(rowsPerQuestion, Math.ceil(atMost / rowBytes)); this.#leaves.length > 0 && this.#asked.length < Math.min(leavesPerQuestion, this.#leavesPerQuestion) && rowsLeft > 0 && until === null;) {
      const leaf = this.#leaves.shift() as Leaf;
      this.#listed++;
      const piece = this.#pieceOf(leaf, request, rowsLeft);
      this.#asked.push({ leaf, piece });
      // Up to there we have all that there is, or it is deleted.
      fields.push(leaf.partition, leaf.leaf, Math.max(piece.above, store.versions.tombstones.collected(leaf.partition)), piece.have);
      until = piece.until;
      rowsLeft -= piece.versions.length;
    }
    return [Tag.list, request, abridged(fields, ...leafFields.asked), after, until, atMost];
  }

  /** At first it need not be read what there is. */
  #pieceOf(leaf: Leaf, salt: number, rowsMax: number): Piece {
    const { since, store } = this.#options;
    const above = isNothing(store.tree.node(leaf.partition, store.tree.depth, leaf.leaf)) ? 0 : since;
    if (above !== null && !leaf.isThorough) return { versions: [], above, have: null, until: null };
    return pieceOf(store.rows(leaf.partition, leaf.leaf, leaf.after), leaf, salt, rowsMax);
  }

  #onListed([, request, told, news, others, cutAt]: Listed): void {
    const said = inFull(told, ...leafFields.told);
    this.#install(news);
    const named = new Set<Key>();
    for (let i = 0; i < news.length; i += 3) named.add(news[i] as Key);
    for (let i = 0; i < others.length; i += 3) {
      const [key, version, checksum] = others.slice(i, i + 3) as [Key, Version, number];
      const head = this.#options.store.head(key);
      named.add(key);
      if (head === undefined && checksum !== checksumOf(key, version, null)) this.#tellMissed(key, version);
      if (this.#options.store.versions.isNewer(this.#options.topology.partitionOf(key), key, version)) this.#wanted.push(key);
      else if (version === head?.version && checksum !== head.checksum) this.#options.conflicting(key, version);
    }
    const asked = this.#asked.splice(0);
    const count = Math.min(asked.length, said.length / 3);
    this.#leavesPerQuestion = count < asked.length ? Math.max(1, count) : Math.max(this.#leavesPerQuestion, Math.ceil(1.25 * count));
    // What was not covered, and what is left of the last one, comes first again.
    const rest = asked.slice(Math.max(1, count)).map(({ leaf }) => leaf);
    for (let i = 0; i < count; i++) {
      const { leaf, piece } = asked[i] as (typeof asked)[number];
      const [collected, digest, met] = said.slice(3 * i, 3 * i + 3) as [number, Uint8Array, Uint8Array | null];
      const end = i === count - 1 ? cutAt : null;
      const open = this.#open.get(leaf.partition) as Open;
      open.collected = Math.min(open.collected, collected);
      if (met !== null) this.#tellVanished(leaf.partition, collected, piece, met, named, end);
      const after = end ?? piece.until;
      if (after !== null) rest.unshift({ ...leaf, after });
      else this.#endOf(leaf, piece, digest, request);
    }
    this.#leaves.unshift(...rest);
  }

  #endOf(leaf: Leaf, { above }: Piece, digest: Uint8Array, salt: number): void {
    const { tree, versions } = this.#options.store;
    const hadNothing = above === 0 && leaf.after === null && versions.tombstones.collected(leaf.partition) === 0;
    const isSame = sameBytes(shortLeaf(tree, leaf.partition, leaf.leaf, salt), digest);
    if (leaf.isThorough && !isSame && this.#wanted.length === 0) this.#options.suspect(leaf.partition, leaf.leaf);
    if (leaf.isThorough || hadNothing || isSame) this.#finished.push(leaf.partition);
    else this.#again.push({ ...leaf, after: null, isThorough: true });
  }

  #tellVanished(partition: number, collected: number, { versions }: Piece, met: Uint8Array, named: ReadonlySet<Key>, end: Key | null): void {
    const keys = versions.filter(([key, version], i) => version <= collected && !isMet(met, i) && !named.has(key) && (end === null || !isBehind(key, end))).map(([key]) => key);
    if (keys.length > 0) this.#options.vanished(partition, collected, keys);
  }

  #tellMissed(key: Key, version: Version): void {
    const { topology, store, missed } = this.#options;
    const partition = topology.partitionOf(key);
    if (version <= store.versions.tombstones.collected(partition) && this.#open.get(partition)?.isSure === true) missed(partition, key);
  }

  #onPulled([, , entries]: Pulled): void {
    this.#install(entries);
    // The answer holds the first of the keys asked for, as many as fit; an empty one says that the first is gone.
    const gone = this.#wanted.splice(0, Math.max(1, entries.length / 3));
    const open = this.#open.get(this.#options.topology.partitionOf(gone[0] as Key));
    if (entries.length === 0 && open !== undefined) open.isComplete = false;
  }

  #install(entries: readonly (Key | Version | Value)[]): void {
    const { topology, store } = this.#options;
    for (let i = 0; i < entries.length; i += 3) {
      const key = entries[i] as Key;
      const partition = topology.partitionOf(key);
      if (topology.isMine(partition) && store.install(partition, key, entries[i + 1] as Version, entries[i + 2] as Value)) this.gained++;
    }
  }

  #closeOne(partition: number): void {
    const open = this.#open.get(partition);
    if (open === undefined || --open.left > 0) return;
    this.#open.delete(partition);
    const { peer, ordinal, passed } = this.#options;
    if (open.isComplete) passed(peer, partition, ordinal, open.collected);
  }
}
