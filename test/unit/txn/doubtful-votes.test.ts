/** What a client is told of a commit that replicas turned down because they may have forgotten something. */
import { describe, expect, it } from 'vitest';
import { AbortReason, Tag, Vote, type Message } from '../../../client/wire/messages.ts';
import { a, b, Bench, type FakeClient } from './commits-bench.ts';

const inDoubt = [Tag.failed, 1, 'unavailable', expect.stringContaining('not sure of their copies')];

/** n2 and n3 vote so on a commit that reads and writes; n1 is sure, and votes OK. */
function afterVotes(...votes: readonly [Vote, Vote]): { answers: Message[]; bench: Bench; client: FakeClient } {
  const bench = new Bench();
  const client = bench.client();
  bench.commit(client, 1, { reads: { [b]: 0 }, writes: { [a]: 'x' } });
  const [prepare] = bench.prepares();
  if (prepare === undefined) throw new Error('nothing was prepared');
  votes.forEach((vote, i) => bench.coordinator.onVote(`n${i + 2}`, [Tag.vote, prepare[1], prepare[2], prepare[3], vote, 0, vote === Vote.conflict ? a : null, null]));
  bench.run();
  bench.answerReads();
  return { answers: client.take(), bench, client };
}

describe('a commit among doubtful replicas', () => {
  it('that a majority is unsure of has failed, with what it waits for: nobody was in its way', () => {
    const { answers, bench, client } = afterVotes(Vote.unsure, Vote.unsure);
    expect(answers).toEqual([inDoubt]);
    expect(bench.commits.attemptCount).toBe(0);
    bench.commit(client, 2, { writes: { [a]: 'y' } });
    expect(bench.prepares(), 'the next one is asked for anew').toHaveLength(1);
  });

  it.each([[Vote.unsure, Vote.conflict], [Vote.conflict, Vote.unsure]] as const)('is told of who was in its way, if somebody was (votes %i and %i)', (one, other) => {
    expect(afterVotes(one, other).answers).toEqual([[Tag.aborted, 1, AbortReason.conflict, a, null, 0, null]]);
  });
});
