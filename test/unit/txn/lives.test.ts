import { describe, expect, it } from 'vitest';
import type { TxnId } from '../../../client/wire/messages.ts';
import { Lives } from '../../../node/txn/lives.ts';
import { newRecord } from '../../../node/txn/record.ts';

const txn = (incarnation: number, number: number): TxnId => ({ node: 'n1', incarnation, number });

/** What a restart makes of what was persisted so far. */
function restarted(...written: [string, Buffer | null][][]): Lives {
  const rows = new Map<string, Buffer>();
  for (const [suffix, value] of written.flat()) {
    if (value === null) rows.delete(suffix);
    else rows.set(suffix, value);
  }
  const lives = new Lives();
  for (const [suffix, value] of [...rows].sort(([a], [b]) => (a < b ? -1 : 1))) expect(lives.restore(suffix, value)).toBe(true);
  return lives;
}

const life = (incarnation: number) => ({ storeId: 'disk', incarnation, rebornAt: 0, nonce: 5 });

describe('the marks of a life', () => {
  it('finish what is below the watermark and no exception', () => {
    const lives = new Lives();
    expect(lives.isFinished(txn(1, 0))).toBe(false);
    const life = lives.of('n1', 1);
    expect(life.mark(10, [3, 7])).toBe(true);
    expect(Array.from({ length: 12 }, (_, number) => number).filter((number) => !lives.isFinished(txn(1, number)))).toEqual([3, 7, 10, 11]);
    expect(lives.isFinished(txn(2, 0)), 'another life').toBe(false);
  });

  it('only ever go on: what is finished stays so, in whatever order the words of the coordinator come', () => {
    const words: [watermark: number, exceptions: number[]][] = [[5, [2, 3]], [5, [2]], [9, [2, 7]], [9, [7]], [9, []], [12, [10]]];
    for (let i = 0; i < words.length; i++) {
      for (let j = 0; j < words.length; j++) {
        const lives = new Lives();
        const life = lives.of('n1', 1);
        const [early, late] = [words[i] as [number, number[]], words[j] as [number, number[]]];
        life.mark(...early);
        const finished = Array.from({ length: 15 }, (_, number) => number).filter((number) => lives.isFinished(txn(1, number)));
        expect(life.mark(...late), 'says whether it is news').toBe(j > i);
        for (const number of finished) expect(lives.isFinished(txn(1, number)), `${number} after ${JSON.stringify([early, late])}`).toBe(true);
      }
    }
  });
});

describe('lives', () => {
  it('are kept by node, oldest first, each with its records', () => {
    const lives = new Lives();
    const [second, first] = [lives.of('n1', 2), lives.of('n1', 1)];
    lives.of('n2', 5);
    expect(lives.of('n1', 2)).toBe(second);
    expect(lives.find('n1', 3)).toBe(undefined);
    expect([...lives].filter(({ node }) => node === 'n1')).toEqual([first, second]);
  });

  it('have a floor, the newest one met', () => {
    const lives = new Lives();
    expect(lives.floorOf('n1')).toBe(null);
    lives.raiseFloor('n1', life(3));
    lives.raiseFloor('n1', life(2));
    expect(lives.floorOf('n1')).toEqual({ ...life(3), position: 0 });
  });

  it('before a closed one are finished altogether, known or not', () => {
    const lives = new Lives();
    lives.of('n1', 1).records.set(4, newRecord(txn(1, 4), 1, 0));
    lives.of('n1', 3);
    expect(lives.close('n1', 3).map(({ incarnation }) => incarnation)).toEqual([1]);
    expect([1, 2, 3].map((incarnation) => lives.isFinished(txn(incarnation, 4)))).toEqual([true, true, false]);
    expect([...lives].map(({ incarnation }) => incarnation)).toEqual([3]);
    expect(lives.close('n1', 2), 'closed already').toEqual([]);
    expect(lives.closedBelow('n1')).toBe(3);
  });

  it('come back after a restart, only changes being written', () => {
    const lives = new Lives();
    lives.of('n1', 1).mark(10, [3]);
    lives.of('n1', 2).mark(5, []);
    lives.raiseFloor('n1', life(2));
    const first = lives.persist();
    expect(lives.persist()).toEqual([]);

    const early = restarted(first);
    expect([early.isFinished(txn(1, 9)), early.isFinished(txn(1, 3)), early.isFinished(txn(2, 4)), early.isFinished(txn(2, 5))]).toEqual([true, false, true, false]);
    expect(early.floorOf('n1')).toEqual({ ...life(2), position: 0 });

    lives.of('n1', 2).mark(6, []);
    lives.close('n1', 2);
    const late = restarted(first, lives.persist());
    expect([late.isFinished(txn(1, 3)), late.isFinished(txn(2, 5)), late.closedBelow('n1')]).toEqual([true, true, 2]);
    expect([...late].map(({ incarnation }) => incarnation)).toEqual([2]);
  });

  it('leave what is not theirs to others', () => {
    expect(new Lives().restore('chunk/n1:1/0', Buffer.alloc(0))).toBe(false);
  });
});
