/** The rules of 2PC, O2PC and 3PC over all vote tallies of two groups, all patience, and all there may have been proposed. */
import { describe, expect, it } from 'vitest';
import { ABORT, UNDECIDED, type Decision } from '../../../client/wire/messages.ts';
import { commitProtocols, protocolNumber, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import type { CommitProtocol, Patience, Progress, Tally, Witness } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';

const patiences: readonly Patience[] = ['fresh', 'waited', 'expired'];

function* tallies(size: number): Generator<Tally> {
  const majority = Math.floor(size / 2) + 1;
  for (let ok = 0; ok <= size; ok++) for (let no = 0; ok + no <= size; no++) for (let absent = 0; ok + no + absent <= size; absent++) yield { size, majority, ok, no, absent };
}

function* situations(): Generator<Progress> {
  for (const sizes of [[1], [2], [3], [4], [5], [3, 3], [1, 3]]) {
    const [first = 1, second] = sizes;
    for (const a of tallies(first)) {
      for (const groups of second === undefined ? [[a]] : [...tallies(second)].map((b) => [a, b])) {
        for (const patience of patiences) {
          for (const sameTimestamp of [true, false]) {
            const votes = { groups, patience, sameTimestamp, maxTimestamp: groups.some(({ ok }) => ok > 0) ? 100 : 0 };
            yield { ...votes, proposed: UNDECIDED, proposalAccepted: false };
            for (const proposed of [ABORT, 100]) for (const proposalAccepted of [true, false]) yield { ...votes, proposed, proposalAccepted };
          }
        }
      }
    }
  }
}

const protocolOf = (name: CommitProtocolName): CommitProtocol => protocols[protocolNumber(name)] as CommitProtocol;

/** What is told of an abort that nothing was proposed for. */
const aborts = { '2pc': 'propose', o2pc: 'decide', '3pc': 'decide' } as const;

describe.each(['2pc', 'o2pc', '3pc'] as const)('the rule of %s', (name) => {
  const { next } = protocolOf(name);

  it('decides as it proposed once that is accepted, and waits for it until then', () => {
    for (const progress of situations()) {
      if (progress.proposed === UNDECIDED) continue;
      expect(next(progress)).toEqual(progress.proposalAccepted ? { kind: 'decide', decision: progress.proposed } : { kind: 'wait' });
    }
  });

  it('proposes to commit when a majority of each group voted OK, aborts when one can’t any more or the time is over, and else waits', () => {
    const seen = { wait: 0, propose: 0, decide: 0 };
    for (const progress of situations()) {
      if (progress.proposed !== UNDECIDED) continue;
      const { groups, patience, maxTimestamp } = progress;
      const all = groups.every(({ ok, majority }) => ok >= majority);
      const possible = groups.every(({ ok, no, absent, size, majority }) => ok + (size - ok - no - absent) >= majority);
      const step = next(progress);
      seen[step.kind]++;
      if (all) expect(step).toEqual({ kind: 'propose', decision: maxTimestamp });
      else if (!possible || patience === 'expired') expect(step).toEqual({ kind: aborts[name], decision: ABORT });
      else expect(step).toEqual({ kind: 'wait' });
    }
    expect(Math.min(seen.wait, seen.propose)).toBeGreaterThan(0);
  });
});

describe('what recovery chooses', () => {
  const groups = [{ members: ['n1', 'n2', 'n3'], majority: 2 }];
  const witness = (node: string, accepted: Witness['accepted'] = null, timestamp = 100): Witness => ({ node, timestamp, accepted });
  const by = (round: number, decision: Decision): Witness['accepted'] => ({ round, proposer: 'n1', decision });

  it.each(['2pc', 'o2pc', '3pc'] as const)('under %s is the acceptance of the highest ballot, or an abort', (name) => {
    const { recover } = protocolOf(name);
    expect(recover([witness('n1'), witness('n2'), witness('n3')], groups)).toBe(ABORT);
    expect(recover([witness('n1', by(0, 100)), witness('n2')], groups)).toBe(100);
    expect(recover([witness('n1', by(0, 100)), witness('n2', by(3, ABORT)), witness('n3', by(2, 100))], groups)).toBe(ABORT);
  });

  it.each(commitProtocols)('under %s is heard from witnesses that meet the acceptors, whatever the groups', (name) => {
    const { acceptors, witnesses } = protocolOf(name);
    const touched = [...groups, { members: ['n3', 'n4', 'n5'], majority: 2 }];
    const met = acceptors('n9', touched).some((acceptor) => witnesses('n9', touched).some((asked) => asked.members.join() === acceptor.members.join() && asked.majority + acceptor.majority > asked.members.length));
    expect(met).toBe(true);
  });
});
