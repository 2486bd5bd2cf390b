/** The comparison of commit protocols: what it shows of a lost coordinator, and how it sums up. */
import { describe, expect, it } from 'vitest';
import type { CommitProtocol } from '../../client/index.ts';
import { loseCoordinator, steps, type Loss } from '../../bench/coordinator-loss.ts';
import { costOf } from '../../bench/protocol-costs.ts';
import { plotOf } from '../../bench/protocol-plot.ts';
import { summarize, summarizeLosses } from '../../bench/protocol-summary.ts';
import { lossTable, turnTable } from '../../bench/protocol-tables.ts';
import { spreadOf } from '../../bench/report/spread.ts';

const backAfterMs = 5_000;
const watchedMs = 20_000;
/** Others go on before the coordinator is back. */
const soonMs = 1_000;

const [committed, aborted] = ['committed', 'aborted'] as const;
const expected: readonly [protocol: CommitProtocol, outcomes: readonly Loss['outcome'][], stepsThatBlock: number][] = [
  ['dtp', [committed, committed, committed, committed], 0],
  ['2pc', [aborted, aborted, committed, committed], 3],
  ['o2pc', [aborted, aborted, committed, committed], 3],
  ['3pc', [aborted, aborted, committed, committed], 0],
];

describe.each(expected)('%s, its coordinator killed', (protocol, outcomes, stepsThatBlock) => {
  const inTransaction = steps.filter((step) => step.moment(protocol) !== null);

  it.each(inTransaction.map((step, i) => [step.name, step, outcomes[i] as Loss['outcome'], i < stepsThatBlock] as const))('%s', async (_name, step, outcome, blocks) => {
    const back = await loseCoordinator({ protocol, step, seed: 1, backAfterMs, watchedMs });
    expect(back).toMatchObject({ outcome, told: outcome });
    for (const blockedMs of [back.readBlockedMs, back.writeBlockedMs] as number[]) {
      if (!blocks) expect(blockedMs).toBeLessThan(soonMs);
      else expect(blockedMs).toBeGreaterThan(backAfterMs);
    }
    const gone = await loseCoordinator({ protocol, step, seed: 1, backAfterMs: null, watchedMs });
    expect(gone).toEqual(blocks ? { readBlockedMs: null, writeBlockedMs: null, outcome, told: 'unknown' } : back);
  });

  it('with no transaction under way, blocks nobody', async () => {
    const idle = steps.find((step) => step.moment(protocol) === null) as (typeof steps)[number];
    const { readBlockedMs, writeBlockedMs } = await loseCoordinator({ protocol, step: idle, seed: 1, backAfterMs: null, watchedMs });
    expect(Math.max(readBlockedMs as number, writeBlockedMs as number)).toBeLessThan(soonMs);
  });
});

describe('figures', () => {
  it.each([
    [[3, 1, 2], { median: 2, lower: 1.5, upper: 2.5 }],
    [[4, 1, 5, 2, 3], { median: 3, lower: 2, upper: 4 }],
    [[2, 1], { median: 1.5, lower: 1.25, upper: 1.75 }],
    [[7], { median: 7, lower: 7, upper: 7 }],
    [[1, Infinity, Infinity], { median: Infinity, lower: Infinity, upper: Infinity }],
  ])('the spread of %j', (values, spread) => expect(spreadOf(values)).toEqual(spread));

  it('a turn in which a node was lost to another is not held against the design', () => {
    const group = { replicas: 3, coordinatorIsReplica: true };
    const result = { calls: 1, perSecond: 10, p50Ms: 1, p99Ms: 2, longestMs: 3, longestPauseMs: 4, retries: 0, errors: {}, histogram: '', slots: [] };
    const counted = { ...costOf('dtp', group, 'fast'), decided: 2, recovery: 0, fastCommits: 1, slowCommits: 0, aborts: 0, peersLost: 0, flushes: 3 };
    const turn = { round: 0, protocol: 'dtp' as const, callers: 1, result, counted, processorMs: 1 };
    const without = { ...counted, prepare: 1, vote: 1 };
    const summary = (second: typeof counted) => summarize([turn, { ...turn, round: 1, counted: second }], 'dtp', 1, 'dtp', group);
    expect(summary({ ...without, peersLost: 2 })).toMatchObject({ differences: [], turnsWithLosses: 1, messages: 8, forcedWrites: 3 });
    expect(summary(without)).toMatchObject({ differences: ['3 prepare where 4 were expected', '3 vote where 4 were expected'], turnsWithLosses: 0 });

    const none = turnTable([summarize([{ ...turn, counted: { ...without, peersLost: 1 } }], 'dtp', 1, 'dtp', group)]);
    expect(none).not.toContain('as designed');
    expect(none).toContain('not counted: turns in which a node took another for dead, 1');
  });

  const loss = (blockedMs: number | null, outcome: Loss['outcome']): Loss => ({ readBlockedMs: blockedMs, writeBlockedMs: blockedMs, outcome, told: 'unknown' });

  it('losses of which most blocked for ever are summed up as blocked', () => {
    expect(summarizeLosses([loss(1, 'committed'), loss(3, 'aborted'), loss(null, 'aborted')])).toEqual({ runs: 3, readBlockedMs: 3, writeBlockedMs: 3, outcomes: { committed: 1, aborted: 2 } });
    expect(summarizeLosses([loss(1, 'aborted'), loss(null, 'aborted'), loss(null, 'aborted')])).toMatchObject({ readBlockedMs: null, writeBlockedMs: null });
  });

  it('are told in words and drawn', () => {
    const rows = [{ step: 'votes arrived', protocol: '2pc' as const, back: summarizeLosses([loss(5_004, 'aborted')]), gone: summarizeLosses([loss(null, 'aborted')]) }];
    expect(lossTable(rows, { backAfterMs, watchedMs }).split('\n').at(-1)?.split(/ {2,}/)).toEqual(['votes arrived', '2pc', '5.0 s', '5.0 s', 'aborted', '> 20 s', '> 20 s', 'blocked (aborted when it is back after all)']);
    const svg = plotOf([], rows, { backAfterMs, watchedMs });
    for (const text of ['votes arrived', '2PC', '5.0 s ∞', 'abort']) expect(svg).toContain(text);
  });
});
