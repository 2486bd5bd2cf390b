/** What must be true in every state. */
import { ABORT } from '../../../client/wire/messages.ts';
import type { State, World } from './world.ts';

/** What a replica holds, against what is decided. */
export function faultOfReplicas(world: World, state: State, node: number): string | null {
  const { nodes, plans, keys } = world.scope;
  const { versions } = world.view(state, node);
  for (let key = 0; key < keys.length; key++) {
    const version = versions[key]!;
    const isCommitted = version === 0 || plans.some(({ writes }, plan) => writes.includes(keys[key]!) && world.decisionOf(state, plan) === version);
    if (!isCommitted) return `${nodes[node]} holds ${keys[key]} of version ${version}, at which nothing was committed`;
  }
  return null;
}

/** What is decided, against itself and what the replicas hold of it. */
export function faultOfOutcomes(world: World, state: State): string | null {
  const { plans } = world.scope;
  for (let plan = 0; plan < plans.length; plan++) {
    if (world.decisionOf(state, plan) <= ABORT) continue;
    const fault = faultOfReads(world, state, plan) ?? faultOfHolding(world, state, plan);
    if (fault !== null) return fault;
  }
  return null;
}

/** By the order of their timestamps each committed transaction read what the ones before it wrote; that order agrees with real time. */
function faultOfReads(world: World, state: State, plan: number): string | null {
  const { plans, keys } = world.scope;
  const { reads, writes } = plans[plan]!;
  const timestamp = world.decisionOf(state, plan);
  const versions = world.versionsRead(state, plan);
  for (let other = 0; other < plans.length; other++) {
    const theirs = world.decisionOf(state, other);
    // Those of a batch are committed at one instant.
    if (world.batchOf(other) === world.batchOf(plan) || theirs <= ABORT) continue;
    const { reads: theirReads, writes: theirWrites } = plans[other]!;
    for (let i = 0; i < reads.length; i++) {
      if (!theirWrites.includes(reads[i]!) || theirs > timestamp || versions[i]! >= theirs) continue;
      return `T${plan + 1} is committed at ${timestamp} and read ${reads[i]} of version ${versions[i]}, but T${other + 1} wrote it at ${theirs}`;
    }
    const conflicting = keys.some((key) => (writes.includes(key) && (theirReads.includes(key) || theirWrites.includes(key))) || (reads.includes(key) && theirWrites.includes(key)));
    if (conflicting && theirs === timestamp) return `T${plan + 1} and T${other + 1} conflict and are both committed at ${timestamp}`;
    if (conflicting && theirs > timestamp && world.beganAfterAnswer(state, plan)) return `T${plan + 1} began after T${other + 1} was known to be committed at ${theirs}, and is committed at ${timestamp}`;
  }
  for (let i = 0; i < reads.length; i++) {
    if (versions[i]! >= timestamp) return `T${plan + 1} is committed at ${timestamp} and read ${reads[i]} of version ${versions[i]}`;
    const written = versions[i] === 0 || plans.some((other, at) => other.writes.includes(reads[i]!) && world.decisionOf(state, at) === versions[i]);
    if (!written) return `T${plan + 1} is committed and read ${reads[i]} of version ${versions[i]}, at which nothing was committed`;
  }
  return null;
}

/** A commit that anybody knows of has left its lock or its version on the disks of a majority of each group: that is what reads build on. */
function faultOfHolding(world: World, state: State, plan: number): string | null {
  const { plans, keys, groups, nodes } = world.scope;
  const timestamp = world.decisionOf(state, plan);
  for (const key of plans[plan]!.writes) {
    const at = keys.indexOf(key);
    const group = groups[at]!;
    const holders = group.filter((node) => {
      const { durableVersions, durablyLocked } = world.view(state, node);
      return durablyLocked[plan]! || durableVersions[at]! >= timestamp;
    });
    if (2 * holders.length > group.length) continue;
    return `T${plan + 1} is committed at ${timestamp}, but of ${group.map((node) => nodes[node]).join(', ')} only ${holders.map((node) => nodes[node]).join(', ') || 'none'} would still know after a crash`;
  }
  return null;
}
