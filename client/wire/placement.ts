/**
 * Which nodes keep which keys: key -> partition -> replica group, the same on every node and client that has the view.
 *
 * Keys hash to a fixed number of partitions, and consistent hashing (Karger et al. 1997; here the ketama ring of
 * `hashring`) places the partitions on nodes, so adding a node moves only its own share. A partition's group is the
 * first distinct nodes met clockwise from its point on the ring. A look-up on the ring costs microseconds, so each
 * partition is looked up once per view; keys then cost one hash and one table access.
 *
 * 256 virtual nodes of 4 points each per unit of weight keep the shares even: by primary within 6 to 11 % of the mean
 * with 1,024 partitions (standard deviation), which is close to what that many partitions can do.
 *
 * Reads go to a key's primary, and so spread over all nodes. Transactions go to one node for all partitions that have the same
 * replicas: the more of them meet, the fewer abort one another, and the more are committed with one vote (node/txn/batches.ts).
 */
import HashRing from 'hashring';
import xxhash from 'xxhash-wasm';
import type { Key } from './messages.ts';
import type { Member, View } from './view.ts';

const vnodesPerWeight = 256;
const { h32 } = await xxhash();

export class Placement {
  readonly view: View;
  readonly #groups: readonly (readonly string[])[];
  readonly #coordinators: readonly (readonly string[])[];
  readonly #mask: number;

  constructor(view: View) {
    this.view = view;
    this.#mask = view.partitions - 1;
    const { groups, coordinators } = placed(view);
    this.#groups = groups;
    this.#coordinators = coordinators;
  }

  /** The ids of the partition's replicas in ring order; the first is its primary. */
  groupOf(partition: number): readonly string[] {
    const group = this.#groups[partition];
    if (group === undefined) throw new RangeError(`partition ${partition} of ${this.view.partitions}`);
    return group;
  }

  /** The same replicas, in the order in which they are to coordinate transactions: the first that is up. It is the same for all partitions of theirs. */
  coordinatorsOf(partition: number): readonly string[] {
    return this.#coordinators[partition] ?? this.groupOf(partition);
  }

  partitionOf(key: Key): number {
    return h32(routedPart(key)) & this.#mask;
  }
}

/**
 * The part of an encoded key that decides its partition: all of it, or the text between the first '{' and the next '}'
 * of a key that is a single string, unless that is empty (as in Redis Cluster). Keys with one tag share a partition.
 */
export function routedPart(key: Key): string {
  const open = key.indexOf('{');
  if (open < 0 || !isSingleString(key)) return key;
  const close = key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** In the tuple encoding a string is 02, its UTF-8 bytes with 00 as 00 FF, 00: single if nothing follows its end. */
function isSingleString(key: Key): boolean {
  if (key.charCodeAt(0) !== 0x02) return false;
  let end = key.indexOf('\0', 1);
  while (end >= 0 && key.charCodeAt(end + 1) === 0xff) end = key.indexOf('\0', end + 2);
  return end === key.length - 1;
}

interface Placed {
  readonly groups: readonly (readonly string[])[];
  readonly coordinators: readonly (readonly string[])[];
}

let last: { readonly of: string; readonly placed: Placed } | null = null;

/** Placing takes milliseconds, and most views that a process meets differ in nothing that matters here: the last result is kept. */
function placed(view: View): Placed {
  const { partitions, replicationFactor, members } = view;
  const of = JSON.stringify([partitions, replicationFactor, members.map(({ id, weight, zone }) => [id, weight, zone])]);
  if (last?.of !== of) {
    const groups = placeAll(view);
    last = { of, placed: { groups, coordinators: coordinatorsIn(view, groups) } };
  }
  return last.placed;
}

/** The largest groups first, each is coordinated by that of its members which has the least to coordinate so far, for its weight. */
function coordinatorsIn({ members }: View, groups: readonly (readonly string[])[]): (readonly string[])[] {
  const weights = new Map(members.map(({ id, weight }) => [id, weight]));
  const partitions = new Map<string, number[]>();
  groups.forEach((group, partition) => {
    const name = [...group].sort().join('\n');
    partitions.set(name, [...(partitions.get(name) ?? []), partition]);
  });
  const loads = new Map<string, number>();
  const loadOf = (id: string): number => (loads.get(id) ?? 0) / (weights.get(id) ?? 1);
  const coordinators: (readonly string[])[] = [];
  for (const [name, own] of [...partitions].sort(([a, { length: m }], [b, { length: n }]) => n - m || (a < b ? -1 : 1))) {
    const order = name.split('\n').sort((a, b) => loadOf(a) - loadOf(b) || (a < b ? -1 : 1));
    const [first] = order as [string];
    loads.set(first, (loads.get(first) ?? 0) + own.length);
    for (const partition of own) coordinators[partition] = order;
  }
  return coordinators;
}

function placeAll(view: View): string[][] {
  const servers: Record<string, { vnodes: number }> = {};
  for (const member of view.members) servers[member.id] = { vnodes: Math.round(vnodesPerWeight * member.weight) };
  // A count that equals the default is taken for none given, and then rounded so that nodes may lose one and keys move
  // between old nodes. No count equals a default of 0. Nothing is looked up twice, so the cache is kept from growing.
  const ring = new HashRing(servers, 'md5', { 'vnode count': 0, 'max cache size': 1 });

  const size = Math.min(view.replicationFactor, view.members.length);
  const zones = zonesOf(view.members);
  const groups: string[][] = [];
  for (let partition = 0; partition < view.partitions; partition++) {
    const point = `partition-${partition}`;
    groups.push(zones === null ? ring.range(point, size) : spread((count) => ring.range(point, count), size, zones));
  }
  return groups;
}

/** Each node's zone, or null where all zones are distinct anyway. A node without one is a zone of its own. */
function zonesOf(members: readonly Member[]): Map<string, string> | null {
  const zones = new Map<string, string>();
  for (const member of members) zones.set(member.id, member.zone === null ? `node ${member.id}` : `zone ${member.zone}`);
  return new Set(zones.values()).size === members.length ? null : zones;
}

/** The first nodes of the ring's order that are in distinct zones, filled up with the next ones if there are too few zones. */
function spread(firstOfRing: (count: number) => string[], size: number, zones: ReadonlyMap<string, string>): string[] {
  const distinct = Math.min(size, new Set(zones.values()).size);
  let order = firstOfRing(size);
  let chosen = firstOfEachZone(order, size, zones);
  // The order gets dearer the more of it is asked for, and the first few nodes do for nearly all partitions.
  while (chosen.size < distinct) {
    order = firstOfRing(Math.min(2 * order.length, zones.size));
    chosen = firstOfEachZone(order, size, zones);
  }
  for (const id of order) {
    if (chosen.size === size) break;
    chosen.add(id);
  }
  return order.filter((id) => chosen.has(id));
}

function firstOfEachZone(order: readonly string[], size: number, zones: ReadonlyMap<string, string>): Set<string> {
  const seen = new Set<string>();
  const chosen = new Set<string>();
  for (const id of order) {
    const zone = zones.get(id) as string;
    if (chosen.size === size) break;
    if (seen.has(zone)) continue;
    seen.add(zone);
    chosen.add(id);
  }
  return chosen;
}
