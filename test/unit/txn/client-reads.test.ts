/** Reads in transactions, by the node n1, which may have been away. */
import { describe, expect, it } from 'vitest';
import { Tag, type Key, type Message } from '../../../client/wire/messages.ts';
import { ClientReads } from '../../../node/txn/client-reads.ts';
import { valueOf } from './bodies.ts';
import { Bench, three } from './reads-bench.ts';
import { keysIn, partitionWhere } from './topologies.ts';

const partition = partitionWhere(three, () => true);
const [a, b] = keysIn(three, partition, 2) as [Key, Key];
const [second] = three.preferenceOf(partition).filter((member) => member !== 'n1') as [string];

class Stage extends Bench {
  readonly told: Message[] = [];
  isBehind = true;
  readonly wasBehind: boolean[] = [];
  readonly #clientReads = new ClientReads({ topology: three, store: this.replica.store, reads: this.reads, blocked: { inTheWayOf: () => null }, nowMs: () => this.nowMs, isBehind: (its) => its === partition && this.isBehind, askedMajority: (wasBehind) => void this.wasBehind.push(wasBehind) });

  read(...keys: Key[]): void {
    this.#clientReads.onRead({ send: (message) => void this.told.push(message) }, [Tag.read, 7, 500, three.epoch, keys]);
  }
}

describe('a read in a transaction', () => {
  it('is of this replica alone, if it was not away', () => {
    const stage = new Stage();
    stage.isBehind = false;
    stage.write(a, 60, 'here');
    stage.read(a, b);
    expect(stage.told).toEqual([[Tag.values, 7, [60, valueOf('here'), 0, null]]]);
    expect(stage.asked()).toEqual({});
  });

  it('is of a majority where it was, and brings what it had missed', () => {
    const stage = new Stage();
    stage.write(a, 60, 'old');
    stage.read(a);
    stage.answer(second, stage.asked()[second], { [a]: [80, 'new'] });
    expect(stage.told).toEqual([]);
    stage.answer(second, stage.asked()[second], { [a]: [80, 'new'] });
    expect(stage.told).toEqual([[Tag.values, 7, [80, valueOf('new')]]]);
    expect(stage.replica.text(a)).toBe('new');
    stage.read(a);
    stage.answer(second, stage.asked()[second], { [a]: [80, 'new'] });
    expect(stage.wasBehind).toEqual([true, false]);
  });

  it('is of this replica after all when no majority answers', () => {
    const stage = new Stage();
    stage.write(a, 60, 'old');
    stage.read(a);
    stage.asked();
    stage.pass(500);
    expect(stage.told).toEqual([[Tag.values, 7, [60, valueOf('old')]]]);
  });
});
