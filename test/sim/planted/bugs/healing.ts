/** Mistakes in how replicas find out where they differ, and in what they tell each other then. */
import type { PlantedBug } from '../bug.ts';

const versions = 'node/store/versions.ts';
const walk = 'node/heal/exchange-walk.ts';

export const healingBugs: readonly PlantedBug[] = [
  {
    name: 'digest-skips-overlay',
    wrong: 'A version that replaces one in the overlay doesn’t change the digest.',
    patches: [{ module: versions, find: 'this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);', replace: 'if (covered === undefined) this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);' }],
  },
  {
    name: 'digest-keeps-replaced',
    wrong: 'A version that replaces another is added to the digest, and the other one not taken away: it tells what was ever here.',
    patches: [{ module: versions, find: 'this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);', replace: 'this.digests.change(partition, leaf, itemA, itemB, 0n, 0n);' }],
  },
  {
    name: 'prepared-values-travel',
    wrong: 'Values are taken in with the vote, before anybody knows that they are committed, and so told to other replicas.',
    patches: [{
      module: 'node/txn/ledger.ts', find: '        this.#lock(txn, this.parse(txn.body));\n',
      replace: '        this.#lock(txn, this.parse(txn.body));\n        this.parse(txn.body).writeKeys.forEach((key, i) => this.#topology.isMine(this.#topology.partitionOf(key as Key)) && this.#store.install(this.#topology.partitionOf(key as Key), key as Key, txn.timestamp, this.parse(txn.body as Uint8Array).writeValues[i] as Uint8Array | null));\n',
    }],
  },
  {
    name: 'exchange-asks-first-page',
    wrong: 'Of a leaf with more keys than fit a question only the first ones are asked about.',
    patches: [{ module: walk, find: 'const after = end ?? piece.until;', replace: 'const after = end;' }],
  },
  {
    name: 'exchange-hears-first-page',
    wrong: 'An answer that tells of a part of a leaf is taken for all of it.',
    patches: [{ module: walk, find: 'const end = i === count - 1 ? cutAt : null;', replace: 'const end = i < 0 ? cutAt : null;' }],
  },
  {
    name: 'exchange-trusts-newest',
    wrong: 'What is newer than all that there is in a leaf is taken for all that is missing there.',
    patches: [{ module: walk, find: 'if (leaf.isThorough || hadNothing || isSame) this', replace: 'if (hadNothing || isSame || !isSame) this' }],
  },
  {
    name: 'exchange-without-tombstones',
    wrong: 'An exchange tells what was written, and not what was deleted.',
    patches: [{ module: 'node/heal/exchange-answers.ts', find: 'if (row.version > above) {', replace: 'if (row.tombstone) continue;\n        if (row.version > above) {' }],
  },
];
