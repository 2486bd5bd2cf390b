import { describe, expect, it } from 'vitest';
import { ABORT, UNDECIDED, type TxnId } from '../../../client/wire/messages.ts';
import { RetainedOutcomes } from '../../../node/txn/retention.ts';

const retentionMs = 1_000;
const txn = (number: number, incarnation = 3): TxnId => ({ node: 'n1', incarnation, number });

/** A table that keeps what `persist` gives; `restart` brings it back into a new memory. */
class Table {
  readonly rows = new Map<string, Buffer>();

  write(puts: readonly [string, Buffer | null][]): void {
    for (const [suffix, value] of puts) {
      if (value === null) this.rows.delete(suffix);
      else this.rows.set(suffix, value);
    }
  }

  restart(nowMs: number): RetainedOutcomes {
    const restored = new RetainedOutcomes(retentionMs);
    for (const [suffix, value] of [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1))) expect(restored.restore(suffix, value, nowMs)).toBe(true);
    return restored;
  }
}

describe('retained outcomes', () => {
  it('are commits; all others of a life were aborted or never began', () => {
    const retained = new RetainedOutcomes(retentionMs);
    expect(retained.find(txn(5))).toBe(ABORT);
    retained.add(txn(5), 77, 0);
    retained.add(txn(500), 78, 0);
    expect([4, 5, 6, 499, 500, 501, 100_000].map((number) => retained.find(txn(number)))).toEqual([ABORT, 77, ABORT, ABORT, 78, ABORT, ABORT]);
    expect(retained.find(txn(5, 4))).toBe(ABORT);
  });

  it('are forgotten some time after the last commit beside them, and then nothing is claimed', () => {
    const retained = new RetainedOutcomes(retentionMs);
    retained.add(txn(5), 77, 0);
    retained.add(txn(6), 78, 900);
    retained.expire(1_899);
    expect(retained.find(txn(5))).toBe(77);
    retained.expire(1_900);
    expect([5, 6, 7].map((number) => retained.find(txn(number)))).toEqual([UNDECIDED, UNDECIDED, UNDECIDED]);
    expect(retained.find(txn(100_000))).toBe(ABORT);
  });

  it('are known for the whole time also for who commits with old numbers, after all the others have expired', () => {
    const retained = new RetainedOutcomes(retentionMs);
    retained.add(txn(5), 77, 0);
    retained.add(txn(5_000), 78, 0);
    retained.expire(2_000);
    retained.add(txn(6), 90, 2_000);
    retained.add(txn(4_000), 91, 2_000);
    retained.expire(2_999);
    expect([6, 4_000].map((number) => retained.find(txn(number)))).toEqual([90, 91]);
    expect([5, 7, 4_001].map((number) => retained.find(txn(number))), 'may have been committed and forgotten').toEqual([UNDECIDED, UNDECIDED, UNDECIDED]);
    retained.expire(3_000);
    expect(retained.find(txn(6))).toBe(UNDECIDED);
  });

  it('outlive a restart, for another full time', () => {
    const table = new Table();
    const retained = new RetainedOutcomes(retentionMs);
    retained.add(txn(5), 77, 0);
    retained.add(txn(900, 4), 78, 0);
    table.write(retained.persist());
    expect(retained.persist()).toEqual([]);
    retained.add(txn(6), 79, 10);
    table.write(retained.persist());

    const restored = table.restart(900);
    restored.expire(1_899);
    expect([restored.find(txn(5)), restored.find(txn(6)), restored.find(txn(900, 4))]).toEqual([77, 79, 78]);
    restored.expire(1_900);
    table.write(restored.persist());
    const again = table.restart(2_000);
    expect([again.find(txn(5)), again.find(txn(900, 4)), again.find(txn(5_000))]).toEqual([UNDECIDED, UNDECIDED, ABORT]);
    expect([...table.rows.keys()].filter((suffix) => suffix.startsWith('chunk/'))).toEqual([]);
  });

  it('outlive a restart also where older ones beside them expired since the table was last written', () => {
    const table = new Table();
    const retained = new RetainedOutcomes(retentionMs);
    retained.add(txn(5), 77, 0);
    table.write(retained.persist());
    retained.expire(2_000);
    retained.add(txn(6), 90, 2_000);
    table.write(retained.persist());
    const restored = table.restart(2_000);
    expect([5, 6].map((number) => restored.find(txn(number)))).toEqual([UNDECIDED, 90]);
  });

  it('are never taken for aborted by a table that was written in part', () => {
    const retained = new RetainedOutcomes(retentionMs);
    for (let number = 0; number < 2_000; number += 100) retained.add(txn(number), 77, 0);
    const table = new Table();
    table.write(retained.persist());
    retained.expire(5_000);
    // Checkpoints write in slices, in order; a crash may come between any two.
    for (const put of retained.persist()) {
      table.write([put]);
      const restored = table.restart(5_000);
      for (let number = 0; number < 2_000; number += 100) expect([77, UNDECIDED]).toContain(restored.find(txn(number)));
    }
  });

  it('leave what is not theirs to others', () => {
    const retained = new RetainedOutcomes(retentionMs);
    expect(retained.restore('life/n1/3', Buffer.from('{}'), 0)).toBe(false);
    expect(retained.restore('clock', Buffer.from('7'), 0)).toBe(false);
  });
});
