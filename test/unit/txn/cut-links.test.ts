/** Nodes that are all up, but not all connected to each other. */
import { describe, expect, it } from 'vitest';
import { ABORT, type Decision, type Key } from '../../../client/wire/messages.ts';
import { protocolNumber } from '../../../client/wire/protocols.ts';
import { Random } from '../../sim/random.ts';
import { bodyOf } from './bodies.ts';
import { Group } from './group.ts';
import { keysIn, viewOf } from './topologies.ts';

describe('a replica that is cut off from the coordinator only', () => {
  it.each(['2pc', 'o2pc'] as const)('hears of the outcome from one that is not, though it asked that one too early (%s)', (protocol) => {
    const group = new Group(viewOf(3), new Random('cut links'));
    const [n1, n2] = [group.member('n1'), group.member('n2')];
    const [key] = keysIn(n1.topology, 0, 1) as [Key];
    const told: Decision[] = [];
    n1.start(bodyOf({}, { [key]: 'x' }), protocolNumber(protocol), (decision) => told.push(decision));
    n1.runtime.settle();
    group.deliver('n1', 'n2');
    group.disconnect('n1', 'n2');
    group.deliver('n1', 'n3');
    const meet = (): void => {
      group.deliver('n2', 'n3');
      group.deliver('n3', 'n2');
    };
    for (let ms = 0; n2.recovery.blocked.length === 0; ms += 10) {
      expect(ms).toBeLessThan(300);
      group.pass(10);
      meet();
      // n3's vote; what the coordinator makes of it is still under way when n2 has given up asking.
      if (ms === 150) group.deliver('n3', 'n1');
    }
    expect([n2.ledger.undecided.size, group.member('n3').recovery.activeCount]).toEqual([1, 0]);
    group.deliver('n1', 'n3');
    group.deliver('n3', 'n1');
    expect(told.length).toBe(1);
    expect(told[0]).toBeGreaterThan(ABORT);
    group.pass(1_100);
    meet();
    expect([n2.ledger.undecided.size, n2.ledger.locks.size, n2.store.head(key)?.version]).toEqual([0, 0, told[0]]);
  });
});
