/**
 * The coordinator's rule against what the design says of deciding, over every tally that groups of one to five and pairs
 * of groups can have.
 */
import { describe, expect, it } from 'vitest';
import { ABORT, UNDECIDED } from '../../../client/wire/messages.ts';
import { dtp } from '../../../node/txn/protocols/dtp.ts';
import type { Patience, Progress, Step, Tally } from '../../../node/txn/protocols/protocol.ts';

const ts = 77;
const patiences: readonly Patience[] = ['fresh', 'waited', 'expired'];

function talliesOf(size: number): Tally[] {
  const tallies: Tally[] = [];
  for (let ok = 0; ok <= size; ok++) {
    for (let no = 0; ok + no <= size; no++) {
      for (let absent = 0; ok + no + absent <= size; absent++) tallies.push({ size, majority: Math.floor(size / 2) + 1, ok, no, absent });
    }
  }
  return tallies;
}

const singles = [1, 2, 3, 4, 5].flatMap(talliesOf).map((tally) => [tally]);
const all = [...singles, ...singles.flatMap(([a]) => singles.map(([b]) => [a as Tally, b as Tally]))];

/** Everything that can be before the coordinator has proposed anything. */
function* beforeProposal(): Generator<Progress> {
  for (const groups of all) {
    const oks = groups.reduce((sum, { ok }) => sum + ok, 0);
    for (const sameTimestamp of oks > 1 ? [true, false] : [true]) {
      for (const patience of patiences) yield { groups, sameTimestamp, maxTimestamp: oks > 0 ? ts : 0, patience, proposed: UNDECIDED, proposalAccepted: false };
    }
  }
}

/** What a step must not be in this state, by the sections "Deciding" and "Prepare" of the design; null if it may be. */
function faultOf({ groups, sameTimestamp, maxTimestamp, patience }: Progress, step: Step): string | null {
  const silent = ({ size, ok, no, absent }: Tally): number => size - ok - no - absent;
  const everyGroup = (holds: (group: Tally) => boolean): boolean => groups.every(holds);
  const fastCommit = sameTimestamp && everyGroup(({ ok, size }) => ok === size);
  const fastAbort = !everyGroup(({ no, majority }) => no < majority);
  const slowCommit = everyGroup(({ ok, majority }) => ok >= majority);
  const commitCanStillCome = everyGroup((group) => group.ok + silent(group) >= group.majority);
  const voteCanStillCome = !everyGroup((group) => silent(group) === 0);

  if (fastCommit) return step.kind === 'decide' && step.decision === maxTimestamp ? null : 'all voted OK at one timestamp: that is the decision';
  if (fastAbort) return step.kind === 'decide' && step.decision === ABORT ? null : 'a majority of a group voted NO: that is the decision';
  if (step.kind === 'decide') return 'decided without unanimity or a majority of NO';
  if (slowCommit) {
    if (step.kind === 'propose') return step.decision === maxTimestamp ? null : 'majorities are OK: only a commit at the largest timestamp may be proposed';
    return patience === 'fresh' && voteCanStillCome ? null : 'waits although majorities are OK and the last votes were awaited';
  }
  if (step.kind === 'propose') {
    if (step.decision !== ABORT) return 'proposes to commit without majorities';
    return patience === 'expired' || !commitCanStillCome ? null : 'gives up a transaction that could still be committed in time';
  }
  if (!voteCanStillCome) return 'waits for nothing';
  if (patience === 'expired') return 'waits past the deadline';
  return patience === 'waited' && !commitCanStillCome ? 'waits although the best has become impossible' : null;
}

describe('the rule before a proposal', () => {
  it('does what the design says, for every tally of one group and of two', () => {
    let looked = 0;
    for (const progress of beforeProposal()) {
      const step = dtp.next(progress);
      const fault = faultOf(progress, step);
      if (fault !== null) expect.fail(`${fault}: ${JSON.stringify({ progress, step })}`);
      looked++;
    }
    expect(looked).toBeGreaterThan(70_000);
  });

  it('is not changed by groups in another order', () => {
    for (const progress of beforeProposal()) {
      const mirrored = dtp.next({ ...progress, groups: [...progress.groups].reverse() });
      if (JSON.stringify(mirrored) !== JSON.stringify(dtp.next(progress))) expect.fail(JSON.stringify(progress));
    }
  });

  it('with more patience gone only goes on: what was decided or proposed stays so', () => {
    for (const progress of beforeProposal()) {
      const now = dtp.next(progress);
      if (now.kind === 'wait') continue;
      for (const patience of patiences.slice(patiences.indexOf(progress.patience))) {
        if (JSON.stringify(dtp.next({ ...progress, patience })) !== JSON.stringify(now)) expect.fail(JSON.stringify(progress));
      }
    }
  });

  it('takes one NO, of whatever reason, for no majority of three', () => {
    const groups = [{ size: 3, majority: 2, ok: 1, no: 1, absent: 0 }];
    for (const patience of patiences) {
      expect(dtp.next({ groups, sameTimestamp: true, maxTimestamp: ts, patience, proposed: UNDECIDED, proposalAccepted: false }).kind).not.toBe('decide');
    }
  });
});

describe('the rule after a proposal', () => {
  it('decides what was proposed when it is accepted, or when all votes that still come say the same; else it waits', () => {
    for (const { groups, sameTimestamp, maxTimestamp, patience } of beforeProposal()) {
      for (const proposed of [ABORT, ts - 1, ts]) {
        const state = { groups, sameTimestamp, maxTimestamp, patience, proposed };
        const waiting = dtp.next({ ...state, proposalAccepted: false });
        const accepted = dtp.next({ ...state, proposalAccepted: true });
        const isSaidByAll = proposed === maxTimestamp && sameTimestamp && groups.every(({ size, ok }) => ok === size);
        if (isSaidByAll !== (waiting.kind === 'decide') || (isSaidByAll && JSON.stringify(waiting) !== JSON.stringify(accepted)) || accepted.kind !== 'decide' || accepted.decision !== proposed) expect.fail(JSON.stringify({ state, waiting, accepted }));
      }
    }
  });
});
