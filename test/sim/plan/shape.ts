/** What a simulated cluster is made of: its size and its settings, drawn so that every bound is met in minutes instead of months. */
import type { Healing, Sizes, StoreSettings, Timing } from '../../../node/config.ts';
import type { Random } from '../random.ts';

export interface ClusterShape {
  readonly nodes: number;
  readonly replicationFactor: number;
  readonly partitions: number;
  readonly timing: Partial<Timing>;
  readonly store: Partial<StoreSettings>;
  /** As configured by default, unless told. */
  readonly healing?: Partial<Healing>;
  /** As of any store, unless told. */
  readonly sizes?: Sizes;
}

const KiB = 1_024;

/** Three nodes are what most people run, and the least where a majority is not everybody; with more, not all of them are told of everything. */
export const nodeCounts = [1, 2, 3, 3, 3, 4, 5, 5, 6, 7] as const;
/** Of five, more than one may differ from the majority. */
const replicationFactors = [1, 2, 3, 3, 3, 3, 4, 5] as const;

export function nodeIds(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `n${i + 1}`);
}

export function drawShape(random: Random): ClusterShape {
  const nodes = random.pick(nodeCounts);
  const replicationFactor = Math.min(nodes, random.pick(replicationFactors));
  // Where not everybody keeps everything, keys shall lie in several groups, so that transactions meet in more than one place; and several keys
  // in each, for what read one of them matters to who writes another.
  const partitions = random.pick(replicationFactor < nodes ? [2, 4, 4, 16, 64] : [1, 1, 2, 16]);
  return { nodes, replicationFactor, partitions, timing: drawTiming(random), store: drawStore(random), ...drawHealing(random.fork('healing')) };
}

function drawTiming(random: Random): Partial<Timing> {
  const heartbeatIntervalMs = random.pick([30, 100, 500]);
  const orphanRecoveryDelayMs = random.pick([10, 100, 1_000]);
  const tickIntervalMs = random.pick([5, 20, 30]);
  return {
    heartbeatIntervalMs, orphanRecoveryDelayMs, tickIntervalMs,
    // As short as may be, so that recoverers get in each other's way; and long.
    recoveryDelayMs: random.pick([Math.max(3 * heartbeatIntervalMs, orphanRecoveryDelayMs), 1_500, 5_000]),
    fastCommitWaitMs: random.pick([0, 5, 20, 90]),
    prepareTimeoutMs: random.pick([100, 500, 2_000]),
    turnLeaseMs: random.pick([20, 250]),
    healIntervalMs: random.pick([500, 5_000, 30_000]),
    tombstoneCollectionIntervalMs: random.pick([100, 100, 1_000, 10_000]),
    // Less than a configuration may ask for: whoever comes too late is to be told that nobody knows any more, and never anything wrong.
    outcomeRetentionMs: random.pick([1_000, 10_000, 150_000]),
  };
}

/**
 * A tree of digests so small that a leaf has many keys, and pages so small that a leaf has many of them, though there are a few dozen keys. And in some runs
 * so few bytes for healing that who has forgotten something stays so for a while, is asked meanwhile, and is not alone in that.
 */
function drawHealing(random: Random): Pick<ClusterShape, 'healing' | 'sizes'> {
  const few = [1, 2, 5] as const;
  const sizes = { digestDepth: random.pick([1, 1, 2]), leavesPerQuestion: random.pick([...few, 256]), rowsPerQuestion: random.pick([...few, 512]), rowsPerAnswer: random.pick([...few, 512]), keysPerQuestion: random.pick([...few, 256]) };
  return { ...(random.chance(0.5) && { sizes }), ...(random.chance(0.3) && { healing: { bytesPerSecondMax: random.pick([32, 64]) * KiB } }) };
}

/**
 * Journal and overlay far below what a configuration may ask for: there it must hold the largest transaction, here
 * a few kilobytes. So segments change, checkpoints are forced and new work waits for room in a run of seconds.
 */
function drawStore(random: Random): Partial<StoreSettings> {
  const journalSegmentBytes = random.pick([16 * KiB, 64 * KiB, 512 * KiB]);
  return {
    checkpointIntervalMs: random.pick([50, 500, 2_000]),
    checkpointSliceKeys: random.pick([1, 10, 500]),
    headCacheEntries: random.pick([0, 10, 1_000]),
    journalSegmentBytes,
    journalBytesMax: random.pick([4, 16, 1_024]) * journalSegmentBytes,
    journalBlockBytesMax: random.pick([1 * KiB, 16 * KiB]),
    overlayBytesMax: random.pick([16 * KiB, 128 * KiB, 1_024 * KiB]),
  };
}
