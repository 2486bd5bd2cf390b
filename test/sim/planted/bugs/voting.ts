/** Mistakes in what a replica votes on, what it locks, and what it applies. */
import type { PlantedBug } from '../bug.ts';

const ledger = 'node/txn/ledger.ts';

export const votingBugs: readonly PlantedBug[] = [
  {
    name: 'stale-read-accepted',
    wrong: 'A replica votes OK although it holds a newer version than the transaction has read.',
    patches: [{ module: ledger, find: 'if (version > 0) return { vote: Vote.stale, key, version };', replace: '' }],
  },
  {
    name: 'reads-not-locked',
    wrong: 'A vote locks what is written only, so two transactions that each write what the other reads both commit.',
    patches: [{ module: ledger, find: 'this.locks.lockShared(body.readKeys[i] as Key, txn);', replace: '{ /* not locked */ }' }],
  },
  {
    name: 'votes-past-a-writer',
    wrong: 'A replica votes OK on a read of a key that another transaction has locked for writing.',
    patches: [{
      module: ledger,
      find: '      const holder = this.locks.holderOf(key, false);\n      if (holder !== null) return { vote: Vote.conflict, key, holder };\n',
      replace: '',
    }],
  },
  {
    name: 'votes-past-a-reader',
    wrong: 'A replica votes OK on a write of a key that another transaction has locked for reading.',
    patches: [{ module: ledger, find: 'const holder = this.locks.holderOf(key, true);', replace: 'const holder = this.locks.holderOf(key, false);' }],
  },
  {
    name: 'timestamp-not-above-version',
    wrong: 'The timestamp voted is the one proposed, even where the replica holds a newer version: a slow clock’s write gets lost.',
    patches: [{
      module: ledger,
      find: 'timestamp = Math.max(timestamp, this.#latest(partition, body.writeKeys[i] as Key) + 1, this.readWatermark(partition) + 1);',
      replace: 'timestamp = Math.max(timestamp, this.readWatermark(partition) + 1);',
    }],
  },
  {
    name: 'older-version-overwrites',
    wrong: 'A version that comes late, from a slow outcome or a slow read, replaces a newer one.',
    patches: [{ module: 'node/store/versions.ts', find: 'if (version <= (before.version === 0 ? this.tombstones.collected(partition) : before.version)) return false;', replace: 'if (version === before.version) return false;' }],
  },
  {
    name: 'get-ignores-locks',
    wrong: 'A linearizable read doesn’t wait for the writer that holds the key, which may be committed already.',
    patches: [{ module: 'node/txn/reads.ts', find: 'this.#whenUnlocked(keys, () => {\n      const answer', replace: '((action: () => void) => action())(() => {\n      const answer' }],
  },
  {
    name: 'get-from-one-replica',
    wrong: 'A linearizable read believes the first replica that answers.',
    patches: [
      { module: 'node/txn/reads.ts', find: '    if (round.keys.some((state) => state.answers < state.group.majority)) return;\n', replace: '    if (round.keys.some((state) => state.answers < 1)) return;\n' },
      { module: 'node/txn/reads.ts', find: '    if (round.keys.every(isComplete)) {\n', replace: '    if (round.keys.every((state) => state.valueAt === null)) {\n' },
    ],
  },
  {
    name: 'confirm-ignores-locks',
    wrong: 'The check of a read-only transaction doesn’t wait for writers, so half of what one of them wrote may be seen.',
    patches: [{ module: 'node/txn/reads.ts', find: 'this.#whenUnlocked(keys, () => {\n      const staleKey', replace: '((action: () => void) => action())(() => {\n      const staleKey' }],
  },
  {
    name: 'confirm-by-one-replica',
    wrong: 'The check of a read-only transaction believes the first replica that answers.',
    patches: [{
      module: 'node/txn/reads.ts',
      find: 'if (staleKey === null && !round.keys.every(isComplete)) return;',
      replace: 'if (staleKey === null && round.keys.some((state) => state.answers < 1)) return;',
    }],
  },
];
