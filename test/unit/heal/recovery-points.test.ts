import { describe, expect, it } from 'vitest';
import { PointState, Tag, type Message, type Points } from '../../../client/wire/messages.ts';
import { RecoveryPoints } from '../../../node/heal/recovery-points.ts';
import { slotOf } from '../../../node/store/hash.ts';
import { decodePoint, isPointName } from '../../../node/store/point.ts';
import { dataKey } from '../../../node/store/rows.ts';
import { openStore, partitionOf, type Opened } from '../store/helpers.ts';

interface Desk extends Opened {
  readonly answers: Message[];
  keep(name: string): void;
  remove(name: string): void;
  list(): Points;
}

function desk(opened = openStore()): Desk {
  const { runtime, store } = opened;
  const points = new RecoveryPoints({ store, disk: runtime.disk, clock: { last: 77 }, wallMs: () => 1_000_000, during: (work) => work(), log: runtime.log });
  const answers: Message[] = [];
  const client = { send: (message: Message) => void answers.push(message) };
  return {
    ...opened, answers,
    keep: (name) => points.onKeep(client, [Tag.keepPoint, 1, name]),
    remove: (name) => points.onRemove(client, [Tag.removePoint, 2, name]),
    list: () => {
      points.onList(client, [Tag.listPoints, 3]);
      return answers.pop() as Points;
    },
  };
}

const tableKeyOf = (key: string): string => dataKey(partitionOf(key), slotOf(key), key).toString('latin1');
const statesOf = ([, , flat]: Points): unknown[] => flat.filter((_, i) => i % 6 < 2);

describe('keeping a recovery point', () => {
  it('holds all that was committed before it was asked for, and nothing of the next checkpoint', () => {
    const { runtime, store, owner, keep, list } = desk();
    owner.commit('a', 1, 'one');
    owner.commit('b', 2, 'two');
    keep('first');
    expect(statesOf(list())).toEqual(['first', PointState.underWay]);
    // The next checkpoint is due while the thread that copies dawdles.
    for (let i = 0; i < 100 && !runtime.store.table.has(tableKeyOf('b')); i++) runtime.step();
    owner.commit('c', 3, 'late');
    for (let i = 0; runtime.store.copies.size === 0; i++) {
      if (i > 1_000) throw new Error('there is no copy');
      runtime.leap(2_000);
      runtime.step();
    }
    expect(statesOf(list())).toEqual(['first', PointState.kept]);
    const { table, note } = runtime.store.copies.get('first')!;
    const rowOf = (key: string): string | undefined => table.get(tableKeyOf(key))?.toString('latin1', 13);
    expect([rowOf('a'), rowOf('b'), rowOf('c')]).toEqual(['one', 'two', undefined]);
    expect(decodePoint(note)).toMatchObject({ cluster: 'c', node: 'n1', storeId: store.storeId, incarnation: store.incarnation, timestamp: 77, takenAt: '1970-01-01T00:16:40.000Z', bytes: table.size, digest: expect.stringMatching(/^[0-9a-f]{32}$/) });
  });

  it('says what its digest is of: the data of that moment', () => {
    const { runtime, store, owner, keep } = desk();
    owner.commit('a', 1, 'one');
    keep('first');
    runtime.settle();
    const before = Buffer.from(store.digest()).toString('hex');
    owner.commit('a', 2, 'two');
    keep('second');
    runtime.settle();
    const digests = [...runtime.store.copies.values()].map(({ note }) => decodePoint(note)?.digest);
    expect(digests).toEqual([before, Buffer.from(store.digest()).toString('hex')]);
    expect(digests[0]).not.toBe(digests[1]);
  });

  it('refuses bad names, names that are taken, and a second one meanwhile; asking again for the one under way is no fault', () => {
    const { runtime, answers, keep } = desk();
    for (const name of ['', '.hidden', '../x', 'a/b', 'a b', 'ä', 'x'.repeat(65)]) keep(name);
    expect(answers.splice(0).map((answer) => answer[2])).toEqual(Array(7).fill('invalid-argument'));
    expect(isPointName('2026-11-21T16-43-54Z')).toBe(true);
    keep('one');
    keep('two');
    keep('one');
    runtime.settle();
    keep('one');
    expect(answers.map((answer) => (answer[0] === Tag.failed ? answer[2] : answer[0]))).toEqual([Tag.points, 'overloaded', Tag.points, 'point-exists']);
  });

  it('goes on after a full disk, which it reports; and tries again', () => {
    const { runtime, store, owner, keep, list } = desk();
    runtime.copyError = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    keep('one');
    runtime.settle();
    expect(list()[2]).toEqual(['one', PointState.failed, 1_000_000, 0, 'disk-full', 'no space left']);
    runtime.copyError = null;
    keep('one');
    owner.commit('a', 1, 'x');
    runtime.settle();
    expect(statesOf(list())).toEqual(['one', PointState.kept]);
    const { checkpoints } = store.stats;
    owner.commit('a', 2, 'y');
    runtime.advance(2_000);
    expect(store.stats.checkpoints).toBe(checkpoints + 1);
  });

  it('is refused while the disk takes no writes', () => {
    const { runtime, owner, answers, keep } = desk();
    runtime.tableError = new Error('read-only file system');
    owner.commit('a', 1, 'x');
    runtime.advance(3_000);
    keep('one');
    expect(answers.pop()).toMatchObject([Tag.failed, 1, 'disk-failed', expect.stringContaining('read-only file system')]);
    runtime.tableError = null;
    runtime.advance(5_000);
    keep('one');
    runtime.settle();
    expect(runtime.store.copies.has('one')).toBe(true);
  });

  it('ends with the store: what is closed meanwhile takes its last checkpoint after the copy has begun', () => {
    const { runtime, store, owner, keep } = desk();
    owner.commit('x', 1, '1');
    keep('one');
    for (let i = 0; i < 100 && !runtime.store.table.has(tableKeyOf('x')); i++) runtime.step();
    expect(runtime.store.copies.size).toBe(0);
    owner.commit('y', 2, '2');
    let closed = false;
    store.close(() => (closed = true));
    runtime.settle();
    expect(closed).toBe(true);
    const keys = [...runtime.store.copies.get('one')!.table.keys()].filter((key) => key.startsWith('d'));
    expect([keys.map((key) => key.slice(5)), runtime.store.table.has(tableKeyOf('y'))]).toEqual([['x'], true]);
  });

  it('removes one, and says so if there is none', () => {
    const { runtime, answers, keep, remove } = desk();
    keep('one');
    runtime.settle();
    answers.length = 0;
    remove('one');
    runtime.settle();
    remove('one');
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual([[Tag.points, 2, []], [Tag.failed, 2, 'point-unknown']]);
  });
});
