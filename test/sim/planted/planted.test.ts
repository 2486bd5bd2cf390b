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

/** Caught within some tens of seeds at the most, whatever they draw today. */
const soonCaught = ['recovery-aborts', 'slow-commit-without-acceptors', 'stale-read-accepted', 'orphans-presumed-aborted', 'client-repeats-unknown-commit'];
const seedsMax = 500;

describe('a planted bug', () => {
  const trees = new Trees();
  afterAll(() => trees.remove());

  it.each(soonCaught)('%s is caught, by a seed that holds without it', async (name) => {
    const bug = catalogue.find((known) => known.name === name);
    expect(bug).toBeDefined();
    if (bug === undefined) return;
    const caught = await hunt(trees.plant(bug), { first: 1, count: seedsMax });
    expect(caught).not.toBeNull();
    expect(await hunt(trees.bare, { first: caught?.seed ?? 0, count: 1 })).toBeNull();
  }, 600_000);
});
