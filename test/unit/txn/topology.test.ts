import { describe, expect, it } from 'vitest';
import type { Message } from '../../../client/wire/messages.ts';
import { Tag } from '../../../client/wire/messages.ts';
import { Loopback } from '../../../node/cluster/outbox.ts';
import { membersOf, Topology } from '../../../node/cluster/topology.ts';
import { viewOf } from './topologies.ts';

describe('the topology', () => {
  it.each([[1, 1, 1], [2, 2, 2], [3, 3, 2], [5, 4, 3], [5, 5, 3], [7, 3, 2]])('of %i nodes and %i replicas has quorums of %i that always meet', (nodes, replicas, majority) => {
    const topology = new Topology(viewOf(nodes, replicas), 'n1');
    for (let partition = 0; partition < topology.view.partitions; partition++) {
      const group = topology.groupOf(partition);
      expect([group.members.length, group.majority]).toEqual([replicas, majority]);
      expect(2 * group.majority).toBeGreaterThan(group.members.length);
      expect(group.members).toEqual([...group.members].sort());
      expect([...topology.preferenceOf(partition)].sort()).toEqual(group.members);
      expect(topology.isMine(partition)).toBe(group.members.includes('n1'));
    }
    expect([topology.isMine(-1), topology.isMine(topology.view.partitions)]).toEqual([false, false]);
  });

  it('has one group for all partitions on the same nodes, so that a vote counts once', () => {
    const topology = new Topology(viewOf(4, 3, 64), 'n1');
    const groups = new Set(Array.from({ length: 64 }, (_, partition) => topology.groupOf(partition)));
    expect(groups.size).toBe(new Set([...groups].map(({ members }) => members.join())).size);
    const all = topology.groupsOf(Array.from({ length: 64 }, (_, partition) => partition));
    expect(all[0]).toBe(topology.groupOf(0));
    expect(new Set(all)).toEqual(groups);
    expect(membersOf(all).sort()).toEqual(['n1', 'n2', 'n3', 'n4']);
  });

  it('counts partitions so that all nodes together have each once first, and replicas in all', () => {
    const view = viewOf(4, 3, 64);
    const counts = view.members.map(({ id }) => new Topology(view, id).partitionCounts);
    expect(counts.reduce((sum, { primary }) => sum + primary, 0)).toBe(64);
    expect(counts.reduce((sum, { primary, replica }) => sum + primary + replica, 0)).toBe(3 * 64);
  });
});

describe('what a node says to itself', () => {
  const message = (number: number): Message => [Tag.ping, number];

  it('is handled when the work that says it is done, in order, and so is what that leads to', () => {
    const log: string[] = [];
    const loopback: Loopback = new Loopback((handled) => {
      const number = handled[1] as number;
      log.push(`begin ${number}`);
      if (number < 3) loopback.push(message(number + 2));
      // An action that is an entrance in itself, within another one.
      loopback.during(() => log.push(`within ${number}`));
      log.push(`end ${number}`);
    });
    loopback.during(() => {
      loopback.push(message(1));
      loopback.during(() => loopback.push(message(2)));
      log.push('work done');
    });
    expect(log).toEqual(['work done', ...[1, 2, 3, 4].flatMap((number) => [`begin ${number}`, `within ${number}`, `end ${number}`])]);
  });
});
