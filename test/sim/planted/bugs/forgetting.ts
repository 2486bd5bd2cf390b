/** Mistakes of a node that has forgotten something, and of those who have it told again. */
import type { PlantedBug } from '../bug.ts';

export const forgettingBugs: readonly PlantedBug[] = [
  {
    name: 'reborn-votes-at-once',
    wrong: 'A node that has lost its memory is sure of what little it has.',
    patches: [{ module: 'node/store/store.ts', find: 'if (lost.isFinal !== true) this.#doubts.doubt(', replace: 'if (lost.above < 0) this.#doubts.doubt(' }],
  },
  {
    name: 'one-witness-is-enough',
    wrong: 'One other replica is enough to make a doubtful one sure again.',
    patches: [{ module: 'node/heal/doubt.ts', find: 'members.length - majority + 1', replace: 'Math.min(1, members.length - majority + 1)' }],
  },
  {
    name: 'vouches-undrained',
    wrong: 'A replica vouches for a partition while it does not know what became of all that it voted for there.',
    patches: [{ module: 'node/heal/vouching.ts', find: 'if (awaited === null || [...awaited].some((record) => this.#options.ledger.undecided.has(record))) continue;', replace: 'if (awaited === null) continue;' }],
  },
  {
    name: 'gate-open-to-all',
    wrong: 'Who has heard that a node was reborn votes for coordinators too that still count on its former self.',
    patches: [{ module: 'node/txn/gate.ts', find: 'if ((told.get(node) ?? 0) < rebornAt) return false;', replace: 'void [node, rebornAt];' }],
  },
  {
    name: 'reborn-answers-recoverers',
    wrong: 'A node that was reborn tells recoverers that it never voted for what its former self may have voted for.',
    patches: [{ module: 'node/txn/ledger.ts', find: 'return this.#isForeign(id) && this.find(id) === undefined;', replace: 'return false;' }],
  },
  {
    name: 'reborn-says-aborted',
    wrong: 'A node that was reborn takes for aborted what it has no outcome of, though it has lost all of them.',
    patches: [{ module: 'node/txn/ledger.ts', find: 'return outcome === ABORT && this.#isForeign(id) ? UNDECIDED : outcome;', replace: 'return outcome;' }],
  },
  {
    name: 'doubtful-vouches',
    wrong: 'A replica that is in doubt itself counts as evidence for others.',
    patches: [
      { module: 'node/heal/vouching.ts', find: 'awaited === null && doubts.isSure(partition)', replace: 'awaited === null && !doubts.isSure(-1)' },
      { module: 'node/heal/vouching.ts', find: 'if (drained.delete(partition) || waiting.has(partition)) waiting.set(partition, null);', replace: 'void [partition, waiting, drained];' },
    ],
  },
  {
    name: 'lives-begin-at-one',
    wrong: 'The lives of an empty disk count from 1, as those of the lost one in its place did, so its transactions get names that were used before.',
    patches: [{ module: 'node/store/rebirth.ts', find: 'incarnation: 1 + randomUint32(), rebornAt: 0', replace: 'incarnation: 1, rebornAt: 0' }],
  },
  {
    name: 'fences-too-early',
    wrong: 'A node that is new, or was reborn just now, tells another one where its numbers stand, though it may have lived before, in a life with a greater number.',
    patches: [{ module: 'node/heal/vouching.ts', find: 'if (mayFence && !charge', replace: 'void mayFence;\n      if (!charge' }],
  },
  {
    name: 'answers-in-later-session',
    wrong: 'A read that had waited for a lock is answered in a later session, where another process may have given its number to another question.',
    patches: [{ module: 'node/txn/reads.ts', find: 'if (this.#sessionsEnded.get(from) === session) this', replace: 'void session;\n      this' }],
  },
  {
    name: 'doubtful-answers-peeks',
    wrong: 'A doubtful replica answers what versions it has, as if it had them all.',
    patches: [{ module: 'node/txn/reads.ts', find: '    return keys.every((key) => store.doubts.isSure(topology.partitionOf(key)));', replace: '    return keys.every((key) => store.doubts.isSure(topology.partitionOf(key)) || true);' }],
  },
];
