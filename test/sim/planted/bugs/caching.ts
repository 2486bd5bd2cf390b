/** Mistakes about what clients keep of values. */
import type { PlantedBug } from '../bug.ts';

export const cachingBugs: readonly PlantedBug[] = [
  {
    name: 'cached-reads-unchecked',
    wrong: 'What a transaction has read from its client’s cache is not checked when it commits.',
    patches: [{ module: 'client/footprint.ts', find: "if (entry.read === 'seen') reads.push(entry);", replace: "if (entry.read === 'seen' && !entry.isCached) reads.push(entry);" }],
  },
  {
    name: 'overwritten-is-cached',
    wrong: 'A client keeps what it wrote although another transaction of the same batch wrote the key after it: of two values that version is the other one’s.',
    patches: [{ module: 'node/txn/commits.ts', find: '!attempt.isOverwritten]);', replace: 'true]);' }],
  },
];
