/** What is told of transactions whose coordinator dies, from what the others remember: who recovers it and why, in which rounds, what it waits for. */
import { describe, expect, it } from 'vitest';
import type { DtpError, Story, StoryEvent } from '../../client/index.ts';
import { simulate, type Simulation } from '../sim/testing.ts';

const kinds = ({ events }: Story, ...whats: StoryEvent['what'][]): StoryEvent[] => events.filter(({ what }) => whats.includes(what));

/** Each promise and acceptance is on the disk before it is sent; what was sent is told before its receipt, but where the node that died said it. */
function expectInOrder({ events }: Story, dead: string): void {
  events.forEach((event, i) => {
    const before = events.slice(0, i);
    if (event.what === 'sent' && (event.message === 'promise' || event.message === 'accepted')) {
      expect(before.some(({ what, node, message, round }) => what === 'forced' && node === event.node && message === event.message && round === event.round)).toBe(true);
    }
    if (event.what === 'received' && event.peer !== dead) {
      expect(before.some(({ what, node, peer, message }) => what === 'sent' && node === event.peer && peer === event.node && message === event.message)).toBe(true);
    }
  });
}

async function storyWhen({ db, sleep }: Simulation, name: string, isTrue: (story: Story) => boolean): Promise<Story> {
  for (;;) {
    const story = await db.explain(name);
    if (isTrue(story)) return story;
    await sleep(50);
  }
}

describe.each([1, 2, 3])('seed %i', (seed) => {
  it('dtp: another node recovers what all voted for, and commits it', () => simulate({ seed, nodes: 3 }, async (simulation) => {
    const { db, cluster } = simulation;
    const [first] = cluster.replicasOf('key') as [string];
    const died = cluster.crashAt(first, 'send decide');
    const { transaction } = await db.set('key', 1, { protocol: 'dtp' });
    await died;
    const story = await db.explain(transaction);
    expect(transaction.startsWith(`${first}:`)).toBe(true);
    expect(story).toMatchObject({ protocol: 'dtp', outcome: 'committed' });
    expect(story.nodes.find(({ node }) => node === first)?.silent).toBeDefined();
    expect(kinds(story, 'recovering').map(({ reason }) => reason)).toContainEqual('a client asks');
    expect(kinds(story, 'recovered')[0]).toMatchObject({ decision: 'commit', version: story.version });
    expect(story.events.filter(({ what, message, voted }) => what === 'forced' && message === 'promise' && voted === true).length).toBeGreaterThanOrEqual(2);
    expectInOrder(story, first);
  }).then(() => {}));

  it('2pc: it is blocked, says on whom it waits, and is aborted when the coordinator is back with nothing in its log', () => simulate({ seed, nodes: 3 }, async (simulation) => {
    const { db, cluster } = simulation;
    const [first] = cluster.replicasOf('key') as [string];
    const died = cluster.crashAt(first, 'receive vote');
    const error = await db.set('key', 1, { protocol: '2pc', timeoutMs: 4_000 }).then(() => null, (reason: unknown) => reason as DtpError);
    await died;
    expect(error).toMatchObject({ code: 'outcome-unknown' });
    const { transaction } = error?.details as { transaction: string };
    const blocked = await storyWhen(simulation, transaction, (story) => kinds(story, 'blocked').length > 0);
    expect(blocked).toMatchObject({ protocol: '2pc', outcome: 'undecided', reason: `blocked: waits for ${first}` });
    expect(await db.recent(5)).toContainEqual(expect.objectContaining({ transaction, outcome: 'undecided', reason: `blocked: waits for ${first}` }));
    expectInOrder(blocked, first);
    await cluster.restart(first);
    const freed = await storyWhen(simulation, transaction, (story) => kinds(story, 'recovered').length > 0);
    expect(freed.outcome).toBe('aborted');
    expect(kinds(freed, 'recovered')[0]).toMatchObject({ decision: 'abort' });
    expectInOrder(freed, first);
  }).then(() => {}));
});
