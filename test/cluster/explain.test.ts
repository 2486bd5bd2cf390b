/** The stories that `dtp explain` tells of real processes: under each protocol what must come before what, and why one is aborted. */
import { beforeAll, describe, expect, it } from 'vitest';
import { connect, type CommitProtocol, type Database, type Story, type StoryEvent, type Transaction } from '../../client/index.ts';
import { eventually, untilWhole, useClusters } from './harness.ts';
import type { TestCluster } from './harness.ts';

const makeCluster = useClusters();
// A busy machine is no reason to go the slow way, or to recover what is not lost.
const patient = { timing: { fastCommitWaitMs: 2_000, prepareTimeoutMs: 5_000, recoveryDelayMs: 10_000 } };

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await makeCluster({ config: patient });
  await cluster.start();
});

async function withDatabase<R>(work: (db: Database) => Promise<R>, { urls } = cluster): Promise<R> {
  const db = await connect({ nodes: urls });
  try {
    await untilWhole(db);
    return await work(db);
  } finally {
    await db.close();
  }
}

/** The story of a write, when all nodes have applied it and said so. */
async function storyOfWrite(protocol: CommitProtocol): Promise<{ name: string; story: Story }> {
  return withDatabase(async (db) => {
    const { transaction: name } = await db.set(['account', protocol], 1, { protocol });
    let story = await db.explain(name);
    await eventually('all nodes acknowledge', async () => {
      story = await db.explain(name);
      return story.events.filter((event) => event.what === 'received' && event.message === 'decided').length === 2;
    });
    return { name, story };
  });
}

type Pattern = Partial<StoryEvent>;
const matches = (event: StoryEvent, pattern: Pattern): boolean => Object.entries(pattern).every(([field, value]) => event[field as keyof StoryEvent] === value);
const all = ({ events }: Story, pattern: Pattern): number[] => events.flatMap((event, i) => (matches(event, pattern) ? [i] : []));

/** Whatever matches the first comes before whatever matches the second; there are as many of each as said. */
function expectBefore(story: Story, [first, firsts]: [Pattern, number], [second, seconds]: [Pattern, number]): void {
  const [before, after] = [all(story, first), all(story, second)];
  expect([first, before.length, second, after.length]).toEqual([first, firsts, second, seconds]);
  expect(Math.max(...before), JSON.stringify([first, second])).toBeLessThan(Math.min(...after));
}

describe('a committed write', () => {
  const coordinatorOf = (name: string): string => name.split(':')[0] as string;

  it.each<CommitProtocol>(['dtp', '2pc', 'o2pc', '3pc'])('under %s: asked, prepared, voted when it was durable, decided, answered, applied', async (protocol) => {
    const { name, story } = await storyOfWrite(protocol);
    const node = coordinatorOf(name);
    expect(story).toMatchObject({ transaction: name, protocol, outcome: 'committed' });
    expect(story.nodes.map((each) => [each.node, each.silent])).toEqual([['n1', undefined], ['n2', undefined], ['n3', undefined]]);
    expectBefore(story, [{ what: 'requested', node, protocol }, 1], [{ what: 'sent', message: 'prepare', node }, 3]);
    for (const other of ['n1', 'n2', 'n3'].filter((each) => each !== node)) {
      expectBefore(story, [{ what: 'sent', message: 'prepare', peer: other }, 1], [{ what: 'received', message: 'prepare', node: other }, 1]);
      expectBefore(story, [{ what: 'forced', message: 'vote', vote: 'ok', node: other }, 1], [{ what: 'sent', message: 'vote', vote: 'ok', node: other, peer: node }, 1]);
      expectBefore(story, [{ what: 'received', message: 'decide', node: other }, 1], [{ what: 'applied', decision: 'commit', node: other }, 1]);
    }
    expectBefore(story, [{ what: 'decided', decision: 'commit', node }, 1], [{ what: 'sent', message: 'decide', node }, 3]);
    expectBefore(story, [{ what: 'decided' }, 1], [{ what: 'answered', answer: 'committed' }, 1]);
  });

  it('dtp: all three votes are on disk and heard before it is decided, on them alone', async () => {
    const { story } = await storyOfWrite('dtp');
    expectBefore(story, [{ what: 'forced', message: 'vote' }, 3], [{ what: 'decided', fast: true }, 1]);
    expectBefore(story, [{ what: 'received', message: 'vote' }, 2], [{ what: 'decided' }, 1]);
    expect(all(story, { message: 'accept' })).toEqual([]);
  });

  it('2pc: the coordinator forces its decision before any decide, and answers when a majority has forced the outcome', async () => {
    const { name, story } = await storyOfWrite('2pc');
    expectBefore(story, [{ what: 'forced', message: 'accepted', node: coordinatorOf(name), round: 0 }, 1], [{ what: 'sent', message: 'decide' }, 3]);
    const outcomes = all(story, { what: 'forced', message: 'decided' });
    const [answered] = all(story, { what: 'answered' }) as [number];
    expect(outcomes.length).toBe(3);
    expect(outcomes.filter((index) => index < answered).length).toBeGreaterThanOrEqual(2);
  });

  it('o2pc: the coordinator’s vote and decision are one forced write, and the client has its answer with it', async () => {
    const { name, story } = await storyOfWrite('o2pc');
    const node = coordinatorOf(name);
    expect(all(story, { what: 'forced', message: 'vote', node })).toEqual([]);
    expectBefore(story, [{ what: 'sent', message: 'vote', vote: 'ok', node, peer: node }, 1], [{ what: 'forced', message: 'accepted', node }, 1]);
    expectBefore(story, [{ what: 'forced', message: 'accepted' }, 1], [{ what: 'sent', message: 'decide' }, 3]);
    expect(all(story, { what: 'forced', message: 'decided' })).toEqual([]);
  });

  it('3pc: a majority is pre-committed before it is decided', async () => {
    const { name, story } = await storyOfWrite('3pc');
    const [decided] = all(story, { what: 'decided', fast: false }) as [number];
    expect(all(story, { what: 'sent', message: 'accept', decision: 'commit', node: coordinatorOf(name), round: 0 })).toHaveLength(3);
    expect(all(story, { what: 'forced', message: 'accepted' }).filter((index) => index < decided).length).toBeGreaterThanOrEqual(2);
  });
});

describe('an aborted transaction', () => {
  it('shows which key was in the way, and whose it was', async () => {
    // With two replicas there are three groups, each with its coordinator. Transactions whose homes are in different ones meet at the replicas.
    const groups = await makeCluster({ config: { ...patient, replicationFactor: 2 } });
    await groups.start();
    await withDatabase((db) => abortedByAnother(db, groups), groups);
  });

  async function abortedByAnother(db: Database, groups: TestCluster): Promise<void> {
    const attempts: Transaction[] = [];
    const write = (first: string): Promise<void> => db.transaction((tx) => {
      attempts.push(tx);
      for (const key of [first, 'contended']) tx.set(key, 1);
    });
    let aborted: Story | undefined;
    await eventually('two of them meet', async () => {
      attempts.length = 0;
      await Promise.all(Array.from({ length: 12 }, (_, i) => write(`own ${i}`)));
      const stories = await Promise.all(attempts.map((tx) => db.explain(tx.name as string)));
      aborted = stories.find(({ outcome, reason, key, events }) => outcome === 'aborted' && reason === 'conflict' && key === 'contended' && events.some(({ vote }) => vote === 'conflict'));
      return aborted !== undefined;
    }, 60_000);
    const story = aborted as Story;
    const refusals = story.events.filter(({ what, vote }) => what === 'sent' && vote === 'conflict');
    expect(refusals.length).toBeGreaterThan(0);
    for (const { key, holder } of refusals) {
      expect(key).toBe('contended');
      expect(holder).toMatch(/^n[123]:\d+:\d+$/);
      expect(holder).not.toBe(story.transaction);
    }
    const told = await groups.dtp('explain', story.transaction);
    expect(told).toMatchObject({ code: 0, stderr: '' });
    expect(told.stdout).toContain(`${story.transaction} (dtp) is aborted, conflict at contended\n`);
    expect(told.stdout).toContain(`vote NO: conflict, key contended is held by ${refusals[0]?.holder}\n`);
    expect(told.stdout).toMatch(/\n {2} *[\d.]+ {2}n\d +answers the client: aborted, conflict, key contended\n/);
  }
});

describe('dtp explain', () => {
  it('finds a transaction by the name that a write gave, as text and as JSON', async () => {
    const { stdout } = await cluster.dtp('set', '--json', 'greeting', '"hello"');
    const { transaction } = JSON.parse(stdout) as { transaction: string };
    const text = await cluster.dtp('explain', transaction);
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(/^n\d:\d+:\d+ \(dtp\) is committed at \d+\n.*\n\nRequest\n {2} *0\.00 {2}n\d .* a client asks to commit, under dtp\n\nVotes\n/);
    const json = JSON.parse((await cluster.dtp('explain', transaction, '--json')).stdout) as Story;
    expect(json).toMatchObject({ found: true, transaction, outcome: 'committed' });
    expect(json.events.length).toBeGreaterThan(10);
  });

  it('lists the latest ones, for somebody to pick one', async () => {
    await withDatabase((db) => db.set('newest', 1));
    const { code, stdout } = await cluster.dtp('explain', '--last', '3', '--json');
    const summaries = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect({ code, count: summaries.length }).toEqual({ code: 0, count: 3 });
    for (const summary of summaries) expect(summary).toMatchObject({ transaction: expect.stringMatching(/^n\d:\d+:\d+$/) as string, outcome: expect.stringMatching(/^(committed|aborted)$/) as string });
    const list = await cluster.dtp('explain', '--last');
    expect(list.stdout.split('\n')[0]).toMatch(/^transaction +when +protocol +outcome +took +why$/);
  });

  it('says so if nothing is known', async () => {
    expect(await cluster.dtp('explain', 'n1:99:7')).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^Nothing is known of n1:99:7: it is older than .*, or there never was one of that name\.\n$/) as string });
    const { code, stdout } = await cluster.dtp('explain', 'n1:99:7', '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { found: false, transaction: 'n1:99:7', events: [] }]);
  });

  it.each([[['n1']], [['n1:x:3']], [[]], [['n1:1:1', '--last']], [['--last', '0']], [['--last', 'many']]])('%j is a wrong command line, and it shows a right one', async (words: string[]) => {
    const { code, stdout, stderr } = await cluster.dtp('explain', ...words);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toMatch(/^dtp: .*as in: dtp explain .*\n$/);
  });

  it('goes on without a node that is gone, and says that something may be missing', async () => {
    const { transaction } = await withDatabase((db) => db.set('k', 1));
    const lost = cluster.nodes.find(({ id }) => !transaction.startsWith(id)) as { id: string; kill(): Promise<unknown>; start(): Promise<void> };
    await lost.kill();
    const { code, stdout } = await cluster.dtp('explain', transaction);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`\n${lost.id} does not answer .*: what it knew is missing here\\.\n$`));
    await lost.start();
  });
});
