import { pack } from 'fdb-tuple';
import { describe, expect, it } from 'vitest';
import { Placement, routedPart } from '../../../client/wire/placement.ts';
import type { Member, View } from '../../../client/wire/view.ts';

const viewOf = (nodes: number | Partial<Member>[], rest: Partial<View> = {}): View => {
  const given = typeof nodes === 'number' ? Array.from({ length: nodes }, (): Partial<Member> => ({})) : nodes;
  const members = given.map((member, i): Member => ({ id: `n${i + 1}`, url: `ws://127.0.0.1:${7_101 + i}`, weight: 1, zone: null, ...member }));
  return { epoch: 1, cluster: 'test', partitions: 1_024, replicationFactor: 3, members: members.sort((a, b) => (a.id < b.id ? -1 : 1)), ...rest };
};
const groups = (placement: Placement): (readonly string[])[] => Array.from({ length: placement.view.partitions }, (_, partition) => placement.groupOf(partition));
const countOf = (ids: Iterable<string>): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
};
/** Standard deviation over mean of the shares of `nodes` nodes. */
const unevenness = (counts: ReadonlyMap<string, number>, nodes: number): number => {
  const mean = [...counts.values()].reduce((a, b) => a + b, 0) / nodes;
  const squares = [...counts.values()].reduce((sum, count) => sum + (count - mean) ** 2, 0) + (nodes - counts.size) * mean ** 2;
  return Math.sqrt(squares / nodes) / mean;
};
const keyOf = (...parts: (string | number)[]): string => pack(parts).toString('latin1');

describe('placement', () => {
  it('is what it has always been: another answer would lose every key of a running cluster', () => {
    const placement = new Placement(viewOf(5));
    expect([0, 1, 2, 511, 1_023].map((partition) => placement.groupOf(partition).join(' '))).toMatchInlineSnapshot(`
      [
        "n4 n2 n1",
        "n2 n4 n5",
        "n4 n2 n5",
        "n4 n3 n1",
        "n3 n1 n5",
      ]
    `);
    expect([keyOf('alice'), keyOf('account', 'alice'), keyOf('größe', 7), keyOf('{user7}:cart')].map(placement.partitionOf.bind(placement))).toMatchInlineSnapshot(`
      [
        85,
        877,
        773,
        141,
      ]
    `);
  });

  it('is the same wherever it is computed', () => {
    const [view, again] = [viewOf(7), JSON.parse(JSON.stringify(viewOf(7))) as View];
    expect(groups(new Placement(again))).toEqual(groups(new Placement(view)));
    expect(groups(new Placement({ ...view, epoch: 9, members: view.members.map((member) => ({ ...member, url: `${member.url}0` })) }))).toEqual(groups(new Placement(view)));
  });

  it.each([1, 2, 3, 5])('puts %i replicas on distinct nodes', (replicationFactor) => {
    for (const group of groups(new Placement(viewOf(7, { replicationFactor })))) {
      expect(group).toHaveLength(replicationFactor);
      expect(new Set(group).size).toBe(replicationFactor);
    }
  });

  it.each([3, 4, 5, 6, 7, 8, 9, 10])('gives %i nodes even shares', (nodes) => {
    const all = groups(new Placement(viewOf(nodes)));
    expect(unevenness(countOf(all.map((group) => group[0] as string)), nodes)).toBeLessThan(0.11);
    expect(unevenness(countOf(all.flat()), nodes)).toBeLessThan(0.06);
  });

  it.each([3, 4, 5, 6, 7, 8, 9, 13, 27, 48])('moves little more than its share when a node joins %i others, and only to the new one', (nodes) => {
    const before = groups(new Placement(viewOf(nodes)));
    const after = groups(new Placement(viewOf(nodes + 1)));
    const arrivals = after.flatMap((group, partition) => group.filter((id) => !before[partition]!.includes(id)));
    const ideal = (3 * before.length) / (nodes + 1);
    expect(new Set(arrivals)).toEqual(new Set([`n${nodes + 1}`]));
    expect(arrivals.length).toBeLessThanOrEqual(1.25 * ideal);
  });

  it('gives nodes shares by weight', () => {
    const view = viewOf([{ weight: 1 }, { weight: 2 }, { weight: 4 }, { weight: 0.5 }, {}, {}, {}], { partitions: 4_096, replicationFactor: 1 });
    const counts = countOf(groups(new Placement(view)).flat());
    const unit = 4_096 / 10.5;
    for (const member of view.members) expect(Math.abs((counts.get(member.id) ?? 0) / (unit * member.weight) - 1)).toBeLessThan(0.2);
  });

  it('puts replicas in distinct zones while there are enough of them', () => {
    const three = viewOf(['a', 'a', 'a', 'b', 'c', 'c'].map((zone) => ({ zone })));
    const zoneOf = new Map(three.members.map((member) => [member.id, member.zone]));
    for (const group of groups(new Placement(three))) expect(new Set(group.map((id) => zoneOf.get(id))).size).toBe(3);

    const two = viewOf(['a', 'a', 'a', 'b'].map((zone) => ({ zone })));
    for (const group of groups(new Placement(two))) {
      expect(group).toContain('n4');
      expect(new Set(group).size).toBe(3);
    }
  });

  it('takes a node without a zone for a zone of its own, and changes nothing where all zones are distinct', () => {
    const mixed = viewOf([{ zone: 'a' }, { zone: 'a' }, {}, {}], { replicationFactor: 3 });
    for (const group of groups(new Placement(mixed))) expect(group.filter((id) => id === 'n1' || id === 'n2')).toHaveLength(1);
    const distinct = viewOf(['a', 'b', 'c', 'd', 'e'].map((zone) => ({ zone })));
    expect(groups(new Placement(distinct))).toEqual(groups(new Placement(viewOf(5))));
  });

  it('leads each group by the first node of the ring, with zones or without', () => {
    const zoned = groups(new Placement(viewOf(['a', 'a', 'b', 'b', 'c'].map((zone) => ({ zone })))));
    expect(zoned.map((group) => group[0])).toEqual(groups(new Placement(viewOf(5))).map((group) => group[0]));
  });

  it('spreads keys over the partitions evenly', () => {
    const placement = new Placement(viewOf(3));
    const counts = new Array<number>(1_024).fill(0);
    for (let i = 0; i < 102_400; i++) counts[placement.partitionOf(keyOf('account', i))]!++;
    // 100 keys each, in a Poisson distribution of deviation 10.
    expect(Math.min(...counts)).toBeGreaterThan(55);
    expect(Math.max(...counts)).toBeLessThan(150);
  });

  it('knows no partition beyond its view', () => {
    expect(() => new Placement(viewOf(3)).groupOf(1_024)).toThrow(RangeError);
  });
});

describe('the order of coordination', () => {
  const partitions = Array.from({ length: 1_024 }, (_, partition) => partition);
  const orders = (placement: Placement): (readonly string[])[] => partitions.map((partition) => placement.coordinatorsOf(partition));
  const nameOf = (group: readonly string[]): string => [...group].sort().join(' ');

  it('of a partition has its replicas, each once, and is the same for all partitions that have these', () => {
    for (const view of [viewOf(5), viewOf(7, { replicationFactor: 4 }), viewOf(['a', 'a', 'b', 'b', 'c', 'c'].map((zone) => ({ zone })))]) {
      const placement = new Placement(view);
      const byGroup = new Map<string, Set<string>>();
      for (const partition of partitions) {
        const order = placement.coordinatorsOf(partition);
        expect(nameOf(order)).toBe(nameOf(placement.groupOf(partition)));
        byGroup.set(nameOf(order), (byGroup.get(nameOf(order)) ?? new Set()).add(order.join(' ')));
      }
      expect([...byGroup.values()].every((different) => different.size === 1)).toBe(true);
      expect(byGroup.size, 'or there is nothing to see').toBeGreaterThan(5);
    }
  });

  it.each([1, 2, 3])('is one order where %i nodes are all replicas', (nodes) => {
    expect(new Set(orders(new Placement(viewOf(nodes, { replicationFactor: nodes }))).map((order) => order.join(' ')))).toEqual(new Set([viewOf(nodes).members.map(({ id }) => id).join(' ')]));
  });

  // There are ten groups of three of five nodes, which is too few for even shares.
  it.each([[5, 0.35, 0.4], [7, 0.15, 0.1], [9, 0.1, 0.1]])('gives %i nodes shares that are no further from the mean than %d below and %d above', (nodes, below, above) => {
    const counts = countOf(orders(new Placement(viewOf(nodes))).map(([first]) => first as string));
    const mean = 1_024 / nodes;
    expect(counts.size).toBe(nodes);
    expect(Math.min(...counts.values())).toBeGreaterThan((1 - below) * mean);
    expect(Math.max(...counts.values())).toBeLessThan((1 + above) * mean);
  });

  it('gives nodes shares by weight', () => {
    const view = viewOf([{ weight: 1 }, { weight: 2 }, { weight: 4 }, { weight: 0.5 }, {}, {}, {}]);
    const counts = countOf(orders(new Placement(view)).map(([first]) => first as string));
    const unit = 1_024 / 10.5;
    for (const { id, weight } of view.members) expect(Math.abs((counts.get(id) ?? 0) / (unit * weight) - 1), id).toBeLessThan(0.3);
  });

  it('is the same wherever it is computed, and whatever was computed before', () => {
    const view = viewOf(7);
    const first = orders(new Placement(view));
    new Placement(viewOf(4)); // What is kept is that of the last view alone.
    expect(orders(new Placement(JSON.parse(JSON.stringify({ ...view, epoch: 9 })) as View))).toEqual(first);
  });

  it('is what it has always been: clients and nodes that differ would part what is to meet', () => {
    const placement = new Placement(viewOf(5));
    expect([0, 1, 2, 511, 1_023].map((partition) => placement.coordinatorsOf(partition).join(' '))).toMatchInlineSnapshot(`
      [
        "n2 n1 n4",
        "n5 n4 n2",
        "n5 n4 n2",
        "n1 n3 n4",
        "n5 n3 n1",
      ]
    `);
  });

  it('is of no partition beyond the view', () => {
    expect(() => new Placement(viewOf(3)).coordinatorsOf(1_024)).toThrow(RangeError);
  });
});

describe('the routed part of a key', () => {
  it.each([
    ['{user7}:cart', 'user7'],
    ['cart:{user7}', 'user7'],
    ['{a}{b}', 'a'],
    ['{a{b}c', 'a{b'],
    ['}{a}', 'a'],
    ['{größe}', Buffer.from('größe').toString('latin1')],
    ['nul\0{a}', 'a'],
  ])('of %j is its tag %j', (key, tag) => expect(routedPart(keyOf(key))).toBe(tag));

  it.each([['plain'], ['{}:empty'], ['{}{a}'], ['{open'], ['close}'], ['}{']])('of %j is all of it', (key) => expect(routedPart(keyOf(key))).toBe(keyOf(key)));

  it('of a tuple is all of it, tags or not', () => {
    for (const key of [keyOf('{a}', 'b'), keyOf('a', '{b}'), keyOf('{a}', 1), keyOf('{a}\0', 'x'), keyOf(7, '{a}'), pack([Buffer.from('{a}')]).toString('latin1')]) {
      expect(routedPart(key)).toBe(key);
    }
  });

  it('brings keys of one tag together', () => {
    const placement = new Placement(viewOf(3));
    const partitions = ['{user7}:cart', 'orders:{user7}', '{user7}'].map((key) => placement.partitionOf(keyOf(key)));
    expect(new Set(partitions).size).toBe(1);
  });
});
