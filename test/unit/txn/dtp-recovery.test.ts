/**
 * Whatever the coordinator may have decided, a recoverer that heard any majorities chooses the same: every assignment of
 * votes (cast and seen, cast and not seen, not cast) on single groups and on pairs that are disjoint or share nodes,
 * with every set of answers that holds a majority of each group.
 */
import { describe, expect, it } from 'vitest';
import { ABORT, UNDECIDED, type Decision } from '../../../client/wire/messages.ts';
import { dtp } from '../../../node/txn/protocols/dtp.ts';
import type { Group } from '../../../node/cluster/topology.ts';
import type { Patience, Witness } from '../../../node/txn/protocols/protocol.ts';

/** What a replica did, and whether the coordinator knows. Who has not voted OK by the time it answers a recoverer never will. */
const acts = [
  { timestamp: 10, seen: true }, { timestamp: 10, seen: false },
  { timestamp: 20, seen: true }, { timestamp: 20, seen: false },
  { timestamp: 0, seen: true }, { timestamp: 0, seen: false },
] as const;
type Act = (typeof acts)[number];

const shapes: readonly (readonly (readonly number[])[])[] = [
  [[0]], [[0, 1]], [[0, 1, 2]], [[0, 1, 2, 3]], [[0, 1, 2, 3, 4]],
  [[0], [1]], [[0], [1, 2, 3]], [[0, 1], [1, 2]], [[0, 1, 2], [2, 3, 4]], [[0, 1, 2], [1, 2, 3]],
];

const majorityOf = (size: number): number => Math.floor(size / 2) + 1;
const groupsOf = (shape: readonly (readonly number[])[]): Group[] => shape.map((nodes) => ({ members: nodes.map((node) => `n${node}`), majority: majorityOf(nodes.length) }));

function* assignments(count: number): Generator<readonly Act[]> {
  for (let code = 0; code < acts.length ** count; code++) yield Array.from({ length: count }, (_, i) => acts[Math.floor(code / acts.length ** i) % acts.length] as Act);
}

/** Every set of nodes that holds a majority of each group. */
function quorumsOf(shape: readonly (readonly number[])[], count: number): number[][] {
  const sets = Array.from({ length: 2 ** count }, (_, mask) => Array.from({ length: count }, (_x, i) => i).filter((i) => (mask >> i) % 2 === 1));
  return sets.filter((set) => shape.every((nodes) => nodes.filter((node) => set.includes(node)).length >= majorityOf(nodes.length)));
}

function coordinatorStep(shape: readonly (readonly number[])[], votes: readonly Act[], patience: Patience) {
  const timestamps = votes.filter(({ timestamp, seen }) => seen && timestamp > 0).map(({ timestamp }) => timestamp);
  const groups = shape.map((nodes) => ({
    size: nodes.length, majority: majorityOf(nodes.length), absent: 0,
    ok: nodes.filter((node) => votes[node]?.seen === true && votes[node].timestamp > 0).length,
    no: nodes.filter((node) => votes[node]?.seen === true && votes[node].timestamp === 0).length,
  }));
  return dtp.next({ groups, sameTimestamp: new Set(timestamps).size <= 1, maxTimestamp: Math.max(0, ...timestamps), patience, proposed: UNDECIDED, proposalAccepted: false });
}

describe.each(shapes.map((shape) => [JSON.stringify(shape), shape] as const))('recovery of groups %s', (_name, nodes) => {
  const count = Math.max(...nodes.flat()) + 1;
  const groups = groupsOf(nodes);
  const quorums = quorumsOf(nodes, count);

  it('chooses what may have been decided fast', () => {
    let commits = 0;
    let aborts = 0;
    for (const votes of assignments(count)) {
      const step = coordinatorStep(nodes, votes, 'fresh');
      if (step.kind !== 'decide') continue;
      if (step.decision === ABORT) aborts++;
      else commits++;
      for (const quorum of quorums) {
        const chosen = dtp.recover(quorum.map((node): Witness => ({ node: `n${node}`, timestamp: (votes[node] as Act).timestamp, accepted: null })), groups);
        if (chosen !== step.decision) expect.fail(`decided ${step.decision}, recovered ${chosen}: ${JSON.stringify({ votes, quorum })}`);
      }
    }
    expect(commits).toBeGreaterThan(0);
    expect(aborts).toBeGreaterThan(0);
  });

  it('commits only what a majority of every group voted for, at the largest of their timestamps, and aborts the rest', () => {
    for (const votes of assignments(count)) {
      for (const quorum of quorums) {
        const answers = quorum.map((node): Witness => ({ node: `n${node}`, timestamp: (votes[node] as Act).timestamp, accepted: null }));
        const possible = nodes.every((group) => group.filter((node) => quorum.includes(node) && (votes[node] as Act).timestamp > 0).length >= majorityOf(group.length));
        const expected = possible ? Math.max(...answers.map(({ timestamp }) => timestamp)) : ABORT;
        if (dtp.recover(answers, groups) !== expected) expect.fail(JSON.stringify({ votes, quorum }));
      }
    }
  });

  it('chooses what may have been decided slowly: accepted by a majority of the home group, whatever the votes say', () => {
    const home = nodes[0] as readonly number[];
    const acceptors = quorumsOf([home], count).filter((set) => set.every((node) => home.includes(node)));
    for (const decision of [ABORT, 20] as Decision[]) {
      for (const quorum of quorums) {
        for (const accepting of acceptors) {
          for (const vote of [0, 10]) {
            const answers = quorum.map((node): Witness => ({ node: `n${node}`, timestamp: vote, accepted: accepting.includes(node) ? { round: 0, proposer: 'n0', decision } : null }));
            expect(dtp.recover(answers, groups)).toBe(decision);
          }
        }
      }
    }
  });
});

describe('recovery with accepted values', () => {
  it('chooses that of the highest ballot, of whichever witness and whatever the votes are', () => {
    const ballots = [
      { round: 0, proposer: 'n9', decision: 40 }, { round: 1, proposer: 'n1', decision: ABORT }, { round: 1, proposer: 'n2', decision: 41 },
      { round: 2, proposer: 'n1', decision: 42 }, { round: 10, proposer: 'n1', decision: ABORT }, null,
    ] as const;
    const groups = groupsOf([[0, 1, 2]]);
    let looked = 0;
    for (const a of ballots) {
      for (const b of ballots) {
        for (const c of ballots) {
          const given = [a, b, c].map((accepted, node): Witness => ({ node: `n${node}`, timestamp: node * 10, accepted }));
          const highest = Math.max(...[a, b, c].map((accepted) => ballots.indexOf(accepted)).filter((index) => index < 5), -1);
          // Nothing accepted: n1 and n2 voted OK, n0 did not.
          expect(dtp.recover(given, groups)).toBe(highest < 0 ? 20 : (ballots[highest] as { decision: Decision }).decision);
          looked++;
        }
      }
    }
    expect(looked).toBe(216);
  });
});
