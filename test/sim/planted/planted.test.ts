/** The catalogue fits the sources that it changes, and a handful of its bugs are caught by seeds that are known to. */
import { afterAll, describe, expect, it } from 'vitest';
import { applyPatch } from './bug.ts';
import { catalogue } from './catalogue.ts';
import { hunt } from './hunt.ts';
import { plantedSources, Trees } from './tree.ts';
import { TypeChecker } from './types.ts';

describe('the catalogue', () => {
  it('gives each bug a name of its own', () => expect(new Set(catalogue.map(({ name }) => name)).size).toBe(catalogue.length));

  it('fits the sources', () => {
    for (const bug of catalogue) expect(plantedSources(bug).size).toBe(new Set(bug.patches.map(({ module }) => module)).size);
  });

  it('fits the types in them, and it is found out where one does not', () => {
    const types = new TypeChecker();
    expect(types.faultsOf(catalogue)).toEqual([]);
    const slip = { name: 'slip', wrong: '', patches: [{ module: 'node/txn/ballot.ts', find: 'readonly round: number;', replace: 'readonly number: number;' }] };
    expect(types.faultsOf([slip])).toContain("slip: Property 'round' does not exist on type 'Ballot'.");
  }, 120_000);

  it('is refused where a text is missing, or stands twice', () => {
    const patch = { module: 'file.ts', find: 'a', replace: 'b' };
    expect(applyPatch('xax', patch, 'bug')).toBe('xbx');
    expect(() => applyPatch('xyz', patch, 'bug')).toThrow('0 times');
    expect(() => applyPatch('aya', patch, 'bug')).toThrow('2 times');
  });
});

/**
 * Whoever changes what seeds draw, or what the patched lines do, has to look for new ones: `npm run sim:planted -- --bug <name>`. That is the price
 * for knowing in every test run that the simulation still can fail.
 */
const knownSeeds: Readonly<Record<string, number>> = {
  'recovery-aborts': 14,
  'slow-commit-without-acceptors': 32,
  'stale-read-accepted': 5,
  'orphans-presumed-aborted': 5,
  'client-repeats-unknown-commit': 7,
};

describe('a planted bug', () => {
  const trees = new Trees();
  afterAll(() => trees.remove());

  it.each(Object.entries(knownSeeds))('%s is caught by seed %i, which holds without it', async (name, seed) => {
    const bug = catalogue.find((known) => known.name === name);
    expect(bug).toBeDefined();
    if (bug === undefined) return;
    const seeds = { first: seed, count: 1 };
    expect(await hunt(trees.plant(bug), seeds)).toMatchObject({ seed, symptom: expect.stringMatching(/./) as string });
    expect(await hunt(trees.bare, seeds)).toBeNull();
  }, 120_000);
});
