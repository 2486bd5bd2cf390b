/** Small scopes to their last state; that what the explorer leaves out changes nothing; and that it finds what is wrong. */
import { describe, expect, it } from 'vitest';
import { commitProtocols, protocolNumber } from '../../../client/wire/protocols.ts';
import { readArguments, UsageError } from './arguments.ts';
import { Fingerprints } from './fingerprints.ts';
import { mistakes, type MistakeName } from './mistake.ts';
import { shows } from './program.ts';
import { boundsInWords, explore, run, type Finding, type Run, type RunOptions } from './run.ts';
import { scopeOf } from './scope.ts';
import { search } from './search.ts';
import { World } from './world.ts';

const usual: RunOptions = { mistake: null, strict: true };
const exhaust = (wanted: Run, options: Partial<RunOptions> = {}): Promise<Finding> => explore(wanted, { ...usual, ...options }, async () => 'go on');
const quietOf = ({ quiet, outcomes }: Finding): unknown => ({ quiet, outcomes: [...outcomes].sort() });

/** Two transactions that both began: what may become of them when nothing is lost. */
const bothEnd = ['aborted, aborted', 'aborted, committed', 'committed, aborted', 'committed, committed'];

describe('every order holds:', () => {
  // So many states at least: less of them, and something isn't tried any more.
  const runs: readonly (readonly [wanted: Run, statesMin: number, outcomes: readonly string[]])[] = [
    [run('two/alone', { protocols: ['2pc'], crashes: 1 }), 400, ['aborted', 'committed', 'undecided']],
    [run('two/alone', { protocols: ['o2pc'], crashes: 1, marks: 1 }), 1_000, ['aborted', 'committed', 'undecided']],
    [run('two/alone', { protocols: ['3pc'], crashes: 1 }), 500, ['aborted', 'committed', 'undecided']],
    [run('two/update', { protocols: ['3pc', '2pc'] }), 1_000, bothEnd],
    [run('two/update', { protocols: ['2pc'] }), 1_000, bothEnd],
    [run('two/alone', { asks: 1 }), 1_000, ['aborted', 'committed']],
    [run('one/update', { crashes: 1, marks: 1 }), 800, [...bothEnd, 'committed, undecided', 'undecided, committed']],
    [run('two/alone', { crashes: 1, recoveries: 1 }), 20_000, ['aborted', 'committed', 'undecided', 'not begun']],
    [run('two/alone', { breaks: 1, recoveries: 1 }), 20_000, ['aborted', 'committed']],
    [run('two/update'), 7_000, bothEnd],
    [run('two/batch', { asks: 1 }), 3_000, ['aborted', 'committed']],
    [run('two/batch', { crashes: 1, asks: 1 }), 20_000, ['aborted', 'committed', 'undecided', 'not begun']],
    [run('two/batch', { asks: 1, marks: 1 }), 20_000, ['aborted', 'committed', 'not begun']],
    [run('one/astride', { asks: 1, marks: 1 }), 500, [...bothEnd, 'committed, not begun']],
    [run('two/company'), 5_000, bothEnd],
    [run('chain/convoy'), 20_000, bothEnd],
    [run('three/alone', { breaks: 1 }), 30_000, ['aborted', 'committed']],
    [run('chain/update'), 150_000, bothEnd],
    [run('three/update', { crashes: 1, recoveries: 1, delays: 0 }), 10_000, ['aborted, committed', 'committed, aborted', 'undecided, undecided']],
    [run('overlap/update', { crashes: 1, delays: 0 }), 1_000, ['aborted, committed', 'committed, aborted']],
  ];
  it.each(runs.map((entry) => [`${entry[0].scope} under ${entry[0].protocols.join(' and ')}, ${boundsInWords(entry[0])}`, ...entry] as const))('%s', async (_name, wanted, statesMin, outcomes) => {
    const finding = await exhaust(wanted);
    expect(finding).toMatchObject({ end: 'exhausted', violation: null, story: null });
    expect(finding.states).toBeGreaterThanOrEqual(statesMin);
    expect([...finding.outcomes.keys()]).toEqual(expect.arrayContaining([...outcomes]));
  });
});

describe('what is left out comes to the same:', () => {
  const limits = [{ crashes: 1 }, { breaks: 1 }, { recoveries: 1 }, { crashes: 1, marks: 1 }, { recoveries: 1, marks: 1 }];
  const runs = [
    ...limits.map((each) => ['two/alone', each] as const), ...commitProtocols.map((each) => ['two/alone', { protocols: [each], recoveries: 1 }] as const),
    ['two/batch', { recoveries: 1 }] as const, ['two/batch', { asks: 1 }] as const, ['three/alone', { marks: 1 }] as const, ['two/update', {}] as const, ['two/near', {}] as const,
  ];
  it.each(runs)('%s with %j', async (scope, each) => {
    const reduced = await exhaust(run(scope, each));
    const whole = await exhaust(run(scope, { ...each, reduced: false }));
    expect(quietOf(reduced)).toEqual(quietOf(whole));
    expect(reduced.states).toBeLessThan(whole.states);
  });

  it('with delays enough, all orders', async () => {
    const whole = await exhaust(run('two/near'));
    const bounded = await Promise.all([0, 1, 2, 30].map((delays) => exhaust(run('two/near', { delays }))));
    const quiet = bounded.map((finding) => finding.quiet);
    expect(quiet).toEqual([...quiet].sort((a, b) => a - b));
    expect(quiet[0]).toBeLessThan(whole.quiet);
    expect(quiet.at(-1)).toBe(whole.quiet);
  });
});

it('what is written down of a node is all that its future depends on', () => {
  for (const wanted of [run('two/alone', { crashes: 1, marks: 1 }), run('two/alone', { breaks: 1, recoveries: 1 }), run('guest/update', { delays: 1 }), run('two/batch', { asks: 1 })]) {
    const world = new World(scopeOf(wanted.scope), wanted.protocols.map(protocolNumber));
    for (const searching = search(world, wanted); searching.next().done !== true;);
    for (const machine of world.machines) {
      const { compared, fault } = machine.audit();
      expect(fault).toBeNull();
      expect(compared).toBeGreaterThan(50);
    }
  }
});

describe('a planted mistake is found:', () => {
  // It takes so many steps that half a minute is gone before they are found: `npm run explore -- --mistake precommit-wins` does.
  const names = (Object.keys(mistakes) as MistakeName[]).filter((name) => name !== 'precommit-wins');
  it.each(names)('%s', async (name) => {
    const wanted = shows[name];
    expect((await exhaust(wanted)).end).toBe('exhausted');
    const { end, violation, story } = await exhaust(wanted, { mistake: mistakes[name] });
    expect(end).toBe('violation');
    expect(story!.split('\n').length).toBeGreaterThanOrEqual(violation!.actions.length);
  });

  it.each(['hasty-disk', 'votes-forgotten', 'acceptances-forgotten', 'outcomes-forgotten'] as const)('%s, by what comes of it alone', async (name) => {
    const { violation } = await exhaust(shows[name], { mistake: mistakes[name], strict: false });
    expect(violation?.fault).toMatch(/decided twice|would still know/);
  });

  it('and is gone afterwards', async () => expect((await exhaust(run('two/alone', { crashes: 1 }))).violation).toBeNull());
});

describe('the command line', () => {
  it.each([
    [['--scope', 'four/update'], 'one, two, three'],
    [['--scope', 'three'], 'alone, update, blind'],
    [['--mistake', 'none'], 'majority-is-fast, unequal-is-fast'],
    [['--protocol', 'paxos'], 'dtp'],
    [['--depth', '3'], '--scope, --crashes'],
    [['--scope', 'two/alone', '--crashes', 'many'], 'whole number'],
    [['--scope', 'two/alone', '--crashes', '31'], 'up to 30'],
    [['--delays', '1'], 'goes with --scope'],
    [['three/update'], '--scope, --crashes'],
  ])('refuses %j in one line', (words, told) => {
    const attempt = (): unknown => readArguments(words);
    expect(attempt).toThrow(UsageError);
    expect(attempt).toThrow(told);
    expect(attempt).not.toThrow('\n');
  });

  it('takes a mistake to where it shows', () => {
    expect(readArguments(['--mistake', 'home-is-all'])).toMatchObject({ runs: [shows['home-is-all']], mistake: mistakes['home-is-all'] });
    expect(readArguments(['--scope', 'chain/skew', '--breaks', '2', '--delays', '1', '--prompt'])?.runs).toEqual([run('chain/skew', { breaks: 2, delays: 1, promptDisk: true })]);
  });
});

it('fingerprints tell states apart, however many', () => {
  const seen = new Fingerprints(4);
  const states = Array.from({ length: 5_000 }, (_, i) => Int32Array.of(i % 7, i, 0, i >> 5));
  expect(states.filter((state) => seen.add(state))).toHaveLength(states.length);
  expect(states.some((state) => seen.add(state))).toBe(false);
  expect(seen.size).toBe(states.length);
});
