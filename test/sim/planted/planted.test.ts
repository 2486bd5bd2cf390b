/** The catalogue fits the sources that it changes, and a handful of its bugs are caught by seeds that are known to. */
import { describe, expect, it } from 'vitest';
import { applyPatch } from './bug.ts';
import { catalogue } from './catalogue.ts';
import { plantedSources } from './tree.ts';
import { TypeChecker } from './types.ts';

describe('the catalogue', () => {
  it('gives each bug a name of its own', () => expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length));

  it('fits the sources, and the types in them', () => {
    const types = new TypeChecker();
    for (const bug of catalogue) {
      expect(plantedSources(bug).size).toBe(new Set(bug.patches.map(({ module }) => module)).size);
      expect([bug.name, ...types.faultsOf(bug)]).toEqual([bug.name]);
    }
  }, 120_000);

  it('is refused where a text is missing, or stands twice', () => {
    const patch = { module: 'file.ts', find: 'a', replace: 'b' };
    expect(applyPatch('xax', patch, 'bug')).toBe('xbx');
    expect(() => applyPatch('xyz', patch, 'bug')).toThrow('0 times');
    expect(() => applyPatch('aya', patch, 'bug')).toThrow('2 times');
  });
});
