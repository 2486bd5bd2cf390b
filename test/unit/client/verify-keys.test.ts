import { describe, expect, it } from 'vitest';
import { compareReplicas, type Holding } from '../../../client/verify-keys.ts';

const value = (version: number, checksum = version): Holding => ({ version, checksum, isTombstone: false, bytes: 10 });
const tombstone = (version: number): Holding => ({ version, checksum: version, isTombstone: true, bytes: 1 });

/** What is wrong with a key that n1, n2, n3 hold so, where they have removed tombstones up to `collected`. */
function faultsOf(holdings: readonly (Holding | null)[], collected: readonly number[] = [0, 0, 0]): string[] {
  const holders = new Map(holdings.flatMap((holding, i) => (holding === null ? [] : [[`n${i + 1}`, holding] as const])));
  return compareReplicas(new Map([['k', holders]]), new Map(collected.map((upTo, i) => [`n${i + 1}`, upTo]))).map(({ node, what, bytes }) => `${node} ${what} ${bytes}`);
}

describe('replicas of a key', () => {
  it('that hold the same are right', () => {
    expect(faultsOf([value(5), value(5), value(5)])).toEqual([]);
    expect(faultsOf([tombstone(5), tombstone(5), tombstone(5)])).toEqual([]);
  });

  it('lack it, or have an older version of it', () => {
    expect(faultsOf([value(5), null, value(3)])).toEqual(['n2 missing 10', 'n3 older 10']);
    expect(faultsOf([null, tombstone(5), value(3)])).toEqual(['n1 missing 1', 'n3 older 1']);
  });

  it('have another value of the same version', () => {
    expect(faultsOf([value(5, 1), value(5, 2), value(4)])).toEqual(['n1 different 0', 'n2 different 0', 'n3 older 10']);
    expect(faultsOf([value(5, 1), { ...tombstone(5), checksum: 1 }, value(5, 1)])).toEqual(['n1 different 0', 'n2 different 0', 'n3 different 0']);
  });

  it('may have removed a tombstone that others still have', () => {
    expect(faultsOf([tombstone(5), null, null], [3, 7, 7])).toEqual([]);
    expect(faultsOf([tombstone(5), null, tombstone(5)], [7, 7, 7])).toEqual([]);
    expect(faultsOf([tombstone(9), null, null], [7, 7, 7])).toEqual(['n2 missing 1', 'n3 missing 1']);
  });

  it('may still have a value of which another one knows that it was deleted', () => {
    expect(faultsOf([value(5), null, null], [3, 7, 7])).toEqual(['n1 older 0']);
    expect(faultsOf([value(5), tombstone(6), null], [3, 3, 7])).toEqual(['n1 older 0']);
    // Written anew since.
    expect(faultsOf([value(9), null, value(9)], [7, 7, 7])).toEqual(['n2 missing 10']);
  });
});
