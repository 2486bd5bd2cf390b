/**
 * The present view as a node sees it: which partitions are its own, and each partition's replica group with its quorums.
 *
 * Groups are interned by their members: partitions placed on the same nodes share one `Group` object, so the quorums
 * of a transaction are counted once per distinct group however many partitions it touches.
 */
import { Placement } from '../../client/wire/placement.ts';
import type { Key } from '../../client/wire/messages.ts';
import type { View } from '../../client/wire/view.ts';

export interface Group {
  /** Sorted. */
  readonly members: readonly string[];
  /** The least number of members any two sets of which share one. */
  readonly majority: number;
}

export class Topology {
  readonly self: string;
  readonly view: View;
  readonly #placement: Placement;
  readonly #groups: Group[] = [];
  readonly #mine: boolean[] = [];

  constructor(view: View, self: string) {
    this.view = view;
    this.self = self;
    this.#placement = new Placement(view);
    const interned = new Map<string, Group>();
    for (let partition = 0; partition < view.partitions; partition++) {
      const members = [...this.#placement.groupOf(partition)].sort();
      const name = members.join(' ');
      let group = interned.get(name);
      if (group === undefined) interned.set(name, (group = { members, majority: Math.floor(members.length / 2) + 1 }));
      this.#groups.push(group);
      this.#mine.push(members.includes(self));
    }
  }

  get epoch(): number {
    return this.view.epoch;
  }

  readonly partitionOf = (key: Key): number => this.#placement.partitionOf(key);

  /** Does this node keep a replica of the partition? */
  isMine(partition: number): boolean {
    return this.#mine[partition] === true;
  }

  groupOf(partition: number): Group {
    return this.#groups[partition] as Group;
  }

  /** These partitions, and one of each group that none of them belongs to. */
  withAllGroups(partitions: readonly number[]): number[] {
    const groups = new Set(this.groupsOf(partitions));
    const all = [...partitions];
    for (let partition = 0; partition < this.view.partitions; partition++) {
      const group = this.groupOf(partition);
      if (groups.has(group)) continue;
      groups.add(group);
      all.push(partition);
    }
    return all;
  }

  /** The distinct groups of these partitions, in the order of their first appearance. */
  groupsOf(partitions: readonly number[]): Group[] {
    const groups: Group[] = [];
    for (const partition of partitions) {
      const group = this.groupOf(partition);
      if (!groups.includes(group)) groups.push(group);
    }
    return groups;
  }

  /** The replicas of a partition in the ring's order: the first is where its reads go while it lives. */
  preferenceOf(partition: number): readonly string[] {
    return this.#placement.groupOf(partition);
  }

  /** The same replicas, in the order in which they are to coordinate transactions. */
  coordinatorsOf(partition: number): readonly string[] {
    return this.#placement.coordinatorsOf(partition);
  }

  get partitionCounts(): { primary: number; replica: number } {
    let primary = 0;
    let replica = 0;
    for (let partition = 0; partition < this.view.partitions; partition++) {
      if (this.#placement.groupOf(partition)[0] === this.self) primary++;
      else if (this.isMine(partition)) replica++;
    }
    return { primary, replica };
  }
}

/** What besides the number of partitions decides where keys lie, in words. Addresses may change, this may not. */
export function placementInWords({ replicationFactor, members }: View): string {
  const nodes = members.map(({ id, weight, zone }) => `${id}${weight === 1 ? '' : ` of weight ${weight}`}${zone === null ? '' : ` in zone ${zone}`}`);
  return `${replicationFactor} replicas on ${nodes.join(', ')}`;
}

/** All members of these groups, once. */
export function membersOf(groups: readonly Group[]): string[] {
  const [only] = groups;
  if (groups.length === 1 && only !== undefined) return [...only.members];
  return [...new Set(groups.flatMap((group) => group.members))];
}
