/** Mistakes in what removes data: the collection of tombstones, and the scrub. */
import type { PlantedBug } from '../bug.ts';

const collection = 'node/heal/collection.ts';
const versions = 'node/store/versions.ts';

export const collectingBugs: readonly PlantedBug[] = [
  {
    name: 'collected-without-all',
    wrong: 'Tombstones go although a replica of the partition has not answered, or has answered otherwise.',
    patches: [{ module: collection, find: 'return first !== undefined && digests.every((digest) => digest !== undefined && Buffer.compare(digest, first) === 0);', replace: 'return first !== undefined;' }],
  },
  {
    name: 'collected-without-bar',
    wrong: 'Replicas answer for their cuts and go on voting for writes before them.',
    patches: [{ module: collection, find: 'for (const partition of partitions) if (topology.isMine(partition)) ledger.raiseReadWatermark(partition, at);', replace: 'void ledger;' }],
  },
  {
    name: 'collected-without-draining',
    wrong: 'A replica answers for its cut while a write before it, which it voted for, is undecided.',
    patches: [{ module: collection, find: 'isCutThere(partition) && !undecided.has(partition)', replace: 'isCutThere(partition) && undecided !== null' }],
  },
  {
    name: 'collected-comes-back',
    wrong: 'What is older than all that was collected is taken in for a key that is absent.',
    patches: [{ module: versions, find: '(before.version === 0 ? this.tombstones.collected(partition) : before.version)', replace: 'before.version' }],
  },
  {
    name: 'collected-after-damage',
    wrong: 'A partition that has lost rows still takes absent keys for deleted ones.',
    patches: [{ module: 'node/store/tombstones.ts', find: '    this.setCollected(partition, 0);\n    this.setTableCollected(partition, 0);\n', replace: '' }],
  },
  {
    name: 'scrub-trusts-digests',
    wrong: 'A scrub looks at checksums alone: a row that is gone has none.',
    patches: [{ module: versions, find: 'isTrue: this.digests.branchIs(partition, branch, lanes) };', replace: 'isTrue: lanes.length > 0 };' }],
  },
];
