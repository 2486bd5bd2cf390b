/** One story from several nodes' events: no effect before its cause, whatever the clocks say; and how it reads. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeStory } from '../../../client/cli/story-text.ts';
import { encodeKey } from '../../../client/keys.ts';
import { parseTransaction, storyOf, summariesOf, type StoryEvent, type Told } from '../../../client/story.ts';
import { EventKind, type EventRow } from '../../../client/wire/events.ts';
import { ABORT, AbortReason, Tag, Vote } from '../../../client/wire/messages.ts';

const id = { node: 'n1', incarnation: 3, number: 42 };
const plain = { paint: (_style: string, text: string) => text };

/** Notes what happens in a made-up world, each node by its own clock. */
class World {
  nowMs = 1_000_000;
  readonly #aheadMs: Readonly<Record<string, number>>;
  readonly #rows = new Map<string, EventRow[]>();

  constructor(aheadMs: Readonly<Record<string, number>> = {}) {
    this.#aheadMs = aheadMs;
  }

  note(node: string, kind: EventKind, about = 0, peer: string | null = null, first = 0, second = 0, key: string | null = null, text: string | null = null): void {
    const row: EventRow = ['n1', 3, 42, kind, about, this.nowMs + (this.#aheadMs[node] ?? 0), peer, first, second, key, text];
    this.#rows.set(node, [...(this.#rows.get(node) ?? []), row]);
  }

  get told(): Told[] {
    return ['n1', 'n2', 'n3'].map((node) => ({ node, rows: this.#rows.get(node) ?? [] }));
  }
}

/** n1 asks n2 and n3, which are 0.5 ms away; n2 votes OK, n3 has a conflict. */
function commit(aheadMs?: Readonly<Record<string, number>>): World {
  const world = new World(aheadMs);
  world.note('n1', EventKind.requested, 0, null, 1);
  for (const node of ['n2', 'n3']) world.note('n1', EventKind.sent, Tag.prepare, node, 1, 500);
  for (const node of ['n2', 'n3']) {
    world.nowMs += 0.5;
    const vote = [node === 'n2' ? Vote.ok : Vote.conflict, node === 'n2' ? 500 : 0, node === 'n2' ? null : encodeKey('account'), node === 'n2' ? null : 'n2:1:9'] as const;
    world.note(node, EventKind.received, Tag.prepare, 'n1', 1, 500);
    if (node === 'n2') world.note(node, EventKind.forced, Tag.vote, null, ...vote);
    world.note(node, EventKind.sent, Tag.vote, 'n1', ...vote);
    world.nowMs += 0.5;
    world.note('n1', EventKind.received, Tag.vote, node, ...vote);
  }
  world.note('n1', EventKind.decided, 0, null, 1, ABORT);
  world.note('n1', EventKind.answered, Tag.aborted, null, AbortReason.conflict, 0, encodeKey('account'));
  return world;
}

const short = ({ node, what, message, peer }: StoryEvent): string => [node, what, message, peer].filter((word) => word !== undefined).join(' ');

const inOrder = [
  'n1 requested', 'n1 sent prepare n2', 'n1 sent prepare n3', 'n2 received prepare n1', 'n2 forced vote', 'n2 sent vote n1', 'n1 received vote n2',
  'n3 received prepare n1', 'n3 sent vote n1', 'n1 received vote n3', 'n1 decided', 'n1 answered',
];

describe('a story', () => {
  it('is told in the order of the clocks while they agree with the messages', () => {
    const story = storyOf(id, commit().told);
    expect(story.events.map(short)).toEqual(inOrder);
    expect(story.nodes).toEqual(['n1', 'n2', 'n3'].map((node) => ({ node, clockAheadMs: 0 })));
    expect(story).toMatchObject({ transaction: 'n1:3:42', protocol: '2pc', outcome: 'aborted', reason: 'conflict', key: 'account', atMs: 1_000_000, tookMs: 2 });
  });

  it('says who voted what, and why', () => {
    const { events } = storyOf(id, commit().told);
    expect(events.filter(({ what, message }) => what === 'received' && message === 'vote')).toEqual([
      { atMs: 1_000_001, node: 'n1', what: 'received', message: 'vote', peer: 'n2', vote: 'ok', timestamp: 500 },
      { atMs: 1_000_002, node: 'n1', what: 'received', message: 'vote', peer: 'n3', vote: 'conflict', key: 'account', holder: 'n2:1:9' },
    ]);
  });

  it.each([[{ n2: -40, n3: 3_000 }], [{ n1: 500 }], [{ n2: 1e9, n3: -1e9 }]])('with clocks apart by %j it is the same, and tells by how much', (aheadMs: Record<string, number>) => {
    const story = storyOf(id, commit(aheadMs).told);
    expect(story.events.map(short)).toEqual(inOrder);
    for (const { node, clockAheadMs } of story.nodes) expect(Math.abs(clockAheadMs - ((aheadMs[node] ?? 0) - (aheadMs['n1'] ?? 0)))).toBeLessThanOrEqual(0.5);
    expect(story.events.every((event, i) => i === 0 || event.atMs >= (story.events[i - 1] as StoryEvent).atMs)).toBe(true);
  });

  it('never has an effect before its cause, with any clocks and any memory missing', () => {
    const clock = fc.double({ min: -100, max: 100, noNaN: true });
    fc.assert(fc.property(clock, clock, clock, fc.subarray(['n1', 'n2', 'n3']), fc.nat(6), (n1, n2, n3, nodes, lost) => {
      const told = commit({ n1, n2, n3 }).told.map(({ node, rows }) => ({ node, rows: nodes.includes(node) ? rows.slice(node === 'n1' ? lost : 0) : [] }));
      const order = storyOf(id, told).events.map(short);
      for (const { node, rows } of told) expect(order.filter((event) => event.startsWith(node))).toHaveLength(rows.length);
      for (const node of ['n2', 'n3']) {
        const [asked, heard, voted, counted] = [`n1 sent prepare ${node}`, `${node} received prepare n1`, `${node} sent vote n1`, `n1 received vote ${node}`].map((event) => order.indexOf(event)) as [number, number, number, number];
        if (asked >= 0 && heard >= 0) expect(asked).toBeLessThan(heard);
        if (voted >= 0 && counted >= 0) expect(voted).toBeLessThan(counted);
        if (voted >= 0) expect(heard).toBeLessThan(voted);
      }
    }));
  });

  it('goes on where a sender remembers other messages than were received', () => {
    const world = new World();
    world.note('n2', EventKind.received, Tag.recover, 'n1', 1);
    world.note('n2', EventKind.sent, Tag.promise, 'n1', 1, -1);
    world.nowMs += 5;
    world.note('n1', EventKind.received, Tag.promise, 'n2', 1, -1);
    world.note('n1', EventKind.sent, Tag.recover, 'n2', 1);
    expect(storyOf(id, world.told).events).toHaveLength(4);
  });

  it('is empty where nobody knows anything, and names who did not answer', () => {
    const story = storyOf(id, [{ node: 'n1', rows: [] }, { node: 'n2', rows: [], silent: 'the connection was refused' }]);
    expect(story).toEqual({ transaction: 'n1:3:42', outcome: 'undecided', events: [], nodes: [{ node: 'n1', clockAheadMs: 0 }, { node: 'n2', silent: 'the connection was refused', clockAheadMs: 0 }] });
  });

  it('shows what a node took for a key though it is none', () => {
    const world = new World();
    world.note('n1', EventKind.queued, 0, null, 0, 0, '\xff\xfe');
    expect(storyOf(id, world.told).events[0]).toMatchObject({ what: 'queued', key: '\xff\xfe' });
  });

  it('blocked says on whom it waits', () => {
    const world = new World();
    world.note('n2', EventKind.recovering, 0, null, 0, 0, null, 'locks held for 2000 ms');
    world.note('n2', EventKind.blocked, 0, 'n1');
    expect(storyOf(id, world.told)).toMatchObject({ outcome: 'undecided', reason: 'blocked: waits for n1' });
  });

  it('tells of an operator who decided, and whether it came as was wished', () => {
    const world = new World();
    world.note('n2', EventKind.settled, 0, null, 0, ABORT, null, 'abort');
    world.note('n2', EventKind.settled, 0, null, 0, 120, null, 'abort');
    const story = storyOf(id, world.told);
    expect(story.events).toMatchObject([{ what: 'settled', decision: 'abort', wished: 'abort' }, { what: 'settled', decision: 'commit', version: 120, wished: 'abort' }]);
    expect(describeStory(story, plain).join('\n')).toMatch(/Recovery\n.* n2 +an operator decides: abort\n.* n2 +an operator decides: commit at 120, as was accepted before, and not abort/);
  });

  it('of a transaction that is committed with others says in whose name', () => {
    const world = new World();
    world.note('n1', EventKind.requested, 0, null, 0);
    world.note('n1', EventKind.batched, 0, null, 40);
    world.note('n2', EventKind.recovering, 0, null, 0, 0, null, 'its client asks');
    world.note('n2', EventKind.batched, 0, null, 40);
    const story = storyOf(id, world.told);
    expect(story.events.filter(({ what }) => what === 'batched')).toMatchObject([{ node: 'n1', batch: 'n1:3:40' }, { node: 'n2', batch: 'n1:3:40' }]);
    const words = 'is committed together with others or not at all, in the name of n1:3:40, whose story tells how';
    expect(describeStory(story, plain).slice(2).map((line) => line.replace(/ +/g, ' '))).toEqual(
      ['', 'Request', ' 0.00 n1 a client asks to commit, under dtp', ` 0.00 n1 ${words}`, '', 'Recovery', ' 0.00 n2 begins to recover it: its client asks', ` 0.00 n2 ${words}`]);
  });

  it('reads as a table with a section for each round', () => {
    expect(describeStory(storyOf(id, commit().told), plain).slice(2)).toEqual([
      '',
      'Request',
      '  0.00  n1            a client asks to commit, under 2pc',
      '',
      'Votes',
      '  0.00  n1  → n2, n3  prepare at 500',
      '  0.50  n2  ← n1      prepare at 500',
      '  0.50  n2            forced write: vote OK at 500',
      '  0.50  n2  → n1      vote OK at 500',
      '  1.00  n1  ← n2      vote OK at 500',
      '  1.50  n3  ← n1      prepare at 500',
      '  1.50  n3  → n1      vote NO: conflict, key account is held by n2:1:9',
      '  2.00  n1  ← n3      vote NO: conflict, key account is held by n2:1:9',
      '',
      'Outcome',
      '  2.00  n1            decides to abort, on the votes alone',
      '  2.00  n1            answers the client: aborted, conflict, key account',
    ]);
  });

  it('every kind of event and message has words', () => {
    const messages = [Tag.prepare, Tag.vote, Tag.accept, Tag.accepted, Tag.recover, Tag.promise, Tag.rejected, Tag.decide, Tag.decided, Tag.finished, Tag.batched];
    const world = new World();
    for (const kind of Object.values(EventKind)) for (const about of messages) world.note('n1', kind, about, 'n2', 1, 1, encodeKey(['a', 1]), 'text');
    const text = describeStory(storyOf(id, world.told), plain).join('\n');
    expect(text).not.toMatch(/undefined|\[object|NaN/);
  });
});

describe('the latest transactions', () => {
  it('come newest first, each in one line', () => {
    const row = (number: number, kind: EventKind, atMs: number, first = 0, second = 0): EventRow => ['n1', 3, number, kind, kind === EventKind.answered ? Tag.committed : 0, atMs, null, first, second, null, null];
    const told: Told[] = [
      { node: 'n1', rows: [row(1, EventKind.requested, 10, 3), row(2, EventKind.requested, 20), row(1, EventKind.decided, 30, 0, 77), row(1, EventKind.answered, 31, 0, 77)] },
      { node: 'n2', rows: [row(1, EventKind.applied, 40, 0, 77)] },
    ];
    const [second, first] = summariesOf(told, 5);
    expect(first).toEqual({ transaction: 'n1:3:1', protocol: '3pc', outcome: 'committed', version: 77, atMs: 10, tookMs: 21 });
    expect(second).toEqual({ transaction: 'n1:3:2', protocol: 'dtp', outcome: 'undecided', atMs: 20 });
    expect(summariesOf(told, 1)).toEqual([second]);
  });
});

describe('a transaction’s name', () => {
  it('is read back', () => {
    expect(parseTransaction('n1:3:42')).toEqual(id);
    expect(parseTransaction('a:b:3:42')).toEqual({ node: 'a:b', incarnation: 3, number: 42 });
  });
  it.each(['', 'n1', 'n1:3', ':3:4', 'n1:x:4', 'n1:3:-4', 'n1:3:4.5', 'n1:3:99999999999999999'])('is not %j', (name) => expect(() => parseTransaction(name)).toThrow(/n1:3:42/));
});
