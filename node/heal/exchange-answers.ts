/** The answering side of an exchange. It keeps nothing between two questions: whoever asks may begin anew at any time. */
import { Tag, type Blocks, type Children, type Compare, type Descend, type Differ, type Key, type List, type Listed, type Pull, type Pulled, type Roots, type Value, type Version } from '../../client/wire/messages.ts';
import type { Topology } from '../cluster/topology.ts';
import type { Store } from '../store/store.ts';
import { Fingerprints, isBehind, rowBytes } from './exchange-leaf.ts';
import { abridged, blockDigest, blockOf, exchangeSizes, inFull, leafFields, rootsOf, sameBytes, shortChildren, shortLeaf, type ExchangeSizes } from './exchange-messages.ts';

export interface AnswersOptions {
  readonly topology: Topology;
  readonly store: Pick<Store, 'tree' | 'rows' | 'entry' | 'doubts'>;
  /**
   * Of keys of which this replica has no trace in the partition, not even a tombstone, those versions were deleted that are not newer than this; 0: it can't
   * say. Asked after the partition was read: reading may find damage.
   */
  readonly collectedOf: (partition: number) => number;
  readonly sizes?: ExchangeSizes;
}

const digestBytes = 16;
const nothing = new Uint8Array(0);

export class Answers {
  readonly #options: AnswersOptions;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** `shared`: what we keep in common with the asker. */
  roots([, request, blocks, digests]: Blocks, shared: readonly number[], isBusy: boolean): Roots {
    const { tree } = this.#options.store;
    const differing: (number | Uint8Array)[] = [];
    blocks.forEach((block, i) => {
      const partitions = shared.filter((partition) => blockOf(partition) === block);
      if (!sameBytes(blockDigest(tree, partitions), digests.subarray(i * digestBytes, (i + 1) * digestBytes))) differing.push(block, rootsOf(tree, partitions));
    });
    return [Tag.roots, request, isBusy, differing];
  }

  differ([, request, partitions, roots]: Compare): Differ {
    const { topology, store: { tree, doubts }, collectedOf } = this.#options;
    const answer: (number | boolean | Uint8Array)[] = [];
    partitions.forEach((partition, i) => {
      if (!topology.isMine(partition)) return;
      const isEqual = sameBytes(tree.root(partition), roots.subarray(i * digestBytes, (i + 1) * digestBytes));
      answer.push(partition, doubts.isSure(partition), collectedOf(partition), isEqual ? nothing : shortChildren(tree, partition, 0, 0, request));
    });
    return [Tag.differ, request, answer];
  }

  children([, request, partition, level, nodes]: Descend): Children {
    const { topology, store: { tree } } = this.#options;
    const isThere = topology.isMine(partition) && level < tree.depth;
    const digests = isThere ? nodes.filter((node) => node < 16 ** level).map((node) => shortChildren(tree, partition, level, node, request)) : [];
    return [Tag.children, request, Buffer.concat(digests)];
  }

  /** At least one row, or one leaf, and beyond what is no more work than `bytesMax`, here or for the asker. */
  listed([, request, asked, after, until, bytesWanted]: List, bytesFree: number): Listed {
    const { topology, store, collectedOf, sizes: { rowsPerAnswer } = exchangeSizes } = this.#options;
    const leaves = inFull(asked, ...leafFields.asked);
    const said: (number | Uint8Array | null)[] = [];
    const news: (Key | Version | Value)[] = [];
    const others: (Key | Version | number)[] = [];
    const bytesMax = Math.min(bytesWanted, bytesFree);
    let bytes = 0;
    let rows = 0;
    let cutAt: Key | null = null;
    for (let i = 0; i < leaves.length && cutAt === null && bytes < bytesMax && rows < rowsPerAnswer; i += 4) {
      const [partition, leaf, above, have] = leaves.slice(i, i + 4) as [number, number, Version, Uint8Array | null];
      if (!topology.isMine(partition) || leaf >= store.tree.leavesPerPartition) {
        said.push(0, nothing, null);
        continue;
      }
      bytes += rowBytes;
      const fingerprints = have === null ? null : new Fingerprints(have, request);
      const end = i + 4 === leaves.length ? until : null;
      let last: Key | null = null;
      for (const [key, row] of store.rows(partition, leaf, i === 0 ? after : null)) {
        if (end !== null && isBehind(key, end)) break;
        if (last !== null && (bytes >= bytesMax || rows >= rowsPerAnswer)) {
          cutAt = last;
          break;
        }
        rows++;
        bytes += rowBytes;
        last = key;
        if (row.version > above) {
          news.push(key, row.version, row.value);
          bytes += key.length + (row.value?.length ?? 0);
        } else if (fingerprints?.meets(key, row) === false) {
          others.push(key, row.version, row.checksum);
          bytes += key.length;
        }
      }
      said.push(collectedOf(partition), shortLeaf(store.tree, partition, leaf, request), fingerprints?.met ?? null);
    }
    return [Tag.listed, request, abridged(said, ...leafFields.told), news, others, cutAt];
  }

  /** The first of the keys, as many as fit; none if the first is not here. */
  pulled([, request, keys, bytesWanted]: Pull, bytesFree: number): Pulled {
    const bytesMax = Math.min(bytesWanted, bytesFree);
    const entries: (Key | Version | Value)[] = [];
    let bytes = 0;
    for (const key of keys) {
      const entry = this.#options.store.entry(key);
      if (entry === undefined || bytes >= bytesMax) break;
      entries.push(key, entry.version, entry.value);
      bytes += rowBytes + key.length + (entry.value?.length ?? 0);
    }
    return [Tag.pulled, request, entries];
  }
}
