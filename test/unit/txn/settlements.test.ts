import { describe, expect, it } from 'vitest';
import { ABORT } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind } from '../../../node/store/records.ts';
import { Settlements, type Settlement } from '../../../node/txn/settlements.ts';
import { Replica } from './replica.ts';
import { viewOf } from './topologies.ts';

const settlement = (number: number, decision = ABORT): Settlement => ({ id: { node: 'n1', incarnation: 3, number }, decision, atMs: 1_763_700_000_000 + number, node: 'n2' });

describe('what operators decided', () => {
  it('is found by name, and the first word stands', () => {
    const settlements = new Settlements();
    expect(settlements.find(settlement(1).id)).toBeUndefined();
    settlements.add(settlement(1, 120));
    settlements.add(settlement(1, ABORT));
    expect(settlements.find(settlement(1).id)).toEqual(settlement(1, 120));
    expect(settlements.find(settlement(2).id)).toBeUndefined();
  });

  it('is put into the table when it changed, and taken back from there', () => {
    const settlements = new Settlements();
    expect(settlements.persist()).toEqual([]);
    settlements.add(settlement(1, 120));
    settlements.add(settlement(2));
    const [[suffix, value]] = settlements.persist() as [[string, Buffer]];
    expect(settlements.persist()).toEqual([]);
    const restored = new Settlements();
    expect(restored.restore('something else', value)).toBe(false);
    expect(restored.restore(suffix, value)).toBe(true);
    expect([...restored]).toEqual([...settlements]);
    expect(restored.persist()).toEqual([]);
  });

  it('is bounded: the oldest go', () => {
    const settlements = new Settlements();
    for (let number = 0; number < 300; number++) settlements.add(settlement(number));
    expect(settlements.size).toBe(256);
    expect([...settlements].map(({ id }) => id.number)).toEqual(Array.from({ length: 256 }, (_, i) => 44 + i));
  });

  it('outlives a crash, from the journal', () => {
    const replica = Replica.open(new Topology(viewOf(3), 'n2'));
    replica.ledger.enter([Kind.settled, 'n1', 3, 7, 120, 5, 'n2']);
    replica.store.whenDurable(() => {});
    replica.settle();
    expect([...replica.crash(0).ledger.settlements]).toEqual([{ id: { node: 'n1', incarnation: 3, number: 7 }, decision: 120, atMs: 5, node: 'n2' }]);
  });

  it('outlives a crash, from the table, when the journal has moved on', () => {
    let replica = Replica.open(new Topology(viewOf(3), 'n2'));
    replica.ledger.enter([Kind.settled, 'n1', 3, 7, 120, 5, 'n2']);
    for (let number = 1; number < 400; number++) {
      replica.ledger.enter([Kind.floor, 'n3', 'a disk with a rather long name, so that journal files are soon full', number]);
      replica.store.whenDurable(() => {});
      replica.settle();
      replica.runtime.leap(100);
    }
    replica = replica.crash(0);
    expect(replica.store.stats.replayedRecords).toBeLessThan(400);
    expect([...replica.ledger.settlements]).toHaveLength(1);
  });
});
