/** What healing carries, against what differs. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../sim/random.ts';
import { viewOf } from '../txn/topologies.ts';
import { Pair, type Side } from './pair.ts';

const keyOf = (i: number): string => `\x02key:${String(i).padStart(8, '0')}\0`;
const valueBytes = 100;

/** A pair with the same keys on both sides, all in the first `used` partitions, as dense there as millions of keys are; what differs was written to n2 alone. */
function pairWith(partitions: number, count: number, behind: (i: number) => boolean, used = partitions): { pair: Pair; bytesThatDiffer: number } {
  const pair = new Pair(viewOf(2, 2, partitions));
  const { topology } = pair.a.replica;
  const numbers: number[] = [];
  for (let i = 0; numbers.length < count; i++) if (topology.partitionOf(keyOf(i)) < used) numbers.push(i);
  let bytesThatDiffer = 0;
  const write = (side: Side, i: number, version: number): void => side.write(keyOf(i), version, { bytes: valueBytes });
  for (const i of numbers) for (const side of [pair.a, pair.b]) write(side, i, 100_000_000 + i);
  for (const i of numbers.filter(behind)) {
    write(pair.b, i, 200_000_000 + i);
    bytesThatDiffer += keyOf(i).length + valueBytes + 8;
  }
  // Until it is known that nothing else is to be done, and pieces are large.
  pair.run(1_000);
  return { pair, bytesThatDiffer };
}

describe('healing', () => {
  it.each([[1_024, 30_000], [16, 30_000], [1, 5_000]])('finds one key in few bytes (%i partitions, %i keys)', (partitions, count) => {
    const { pair } = pairWith(partitions, count, (i) => i === 777);
    pair.connect();
    pair.heal();
    pair.run(1_000);
    expect(pair.bytesSaid).toBeLessThan(6_000);
  });

  it.each([[0.01, 1.5], [0.1, 1.15], [1, 1.1]])('of a share of %d of the keys that were missed costs at most %d times these', (share, atMost) => {
    const random = new Random('share');
    const { pair, bytesThatDiffer } = pairWith(1_024, 32_000, () => random.chance(share), 32);
    pair.connect();
    pair.heal();
    pair.run(3_000);
    expect(pair.bytesSaid / bytesThatDiffer).toBeLessThan(atMost);
    const counted = pair.a.exchange.counters.bytesSent + pair.b.exchange.counters.bytesSent;
    // Each was said in a frame of its own.
    expect(Math.abs(counted / (pair.bytesSaid - pair.said.length) - 1), 'what is counted is what was said').toBeLessThan(0.01);
    expect(new Set(pair.carried).size, 'nothing comes twice').toBe(pair.carried.length);
  });

  it('of an empty disk costs little more than what is on it', () => {
    const pair = new Pair(viewOf(2, 2, 1_024));
    for (let i = 0; i < 30_000; i++) pair.b.write(keyOf(i), 1_000_000 + i, { bytes: valueBytes });
    pair.connect();
    pair.heal();
    pair.run(3_000);
    expect(pair.bytesSaid).toBeLessThan(1.2 * 30_000 * (keyOf(0).length + valueBytes + 8));
  });
});
