/** One well-formed message of each tag, with the edges of each field's range among them. */
import { EventKind } from '../../../client/wire/events.ts';
import { Tag } from '../../../client/wire/messages.ts';
import type { Message, MessageOf } from '../../../client/wire/messages.ts';

const key = '\x02account\0\x15\x07';
const highKey = '\x01\xff\x80\0';
const bytes = Uint8Array.of(1, 2, 3);
const timestamp = 1_763_700_000_000_123;
const id = ['n1', 3, 2 ** 40] as const;

export const samples: { readonly [K in Tag]: MessageOf<K> } = {
  [Tag.hello]: [Tag.hello, 1, null, 'n2', 'store-2', 4, 'n1'],
  [Tag.welcome]: [Tag.welcome, 1, 'cluster-1', 'n1', 'store-1', 7, { epoch: 1, members: [{ id: 'n1', zone: null }] }],
  [Tag.refuse]: [Tag.refuse, 'wrong-cluster', 'this is cluster c2'],
  [Tag.ping]: [Tag.ping, 123.456],
  [Tag.pong]: [Tag.pong, 123.456],
  [Tag.prepare]: [Tag.prepare, ...id, 1, timestamp, 0, bytes],
  [Tag.vote]: [Tag.vote, ...id, 1, timestamp, key, 'n2:3:4'],
  [Tag.accept]: [Tag.accept, ...id, 0, 'n1', timestamp],
  [Tag.accepted]: [Tag.accepted, ...id, 0, 'n1'],
  [Tag.recover]: [Tag.recover, ...id, 5, 'n3', 1],
  [Tag.promise]: [Tag.promise, ...id, 5, 'n3', 1, timestamp, 1, 3, -1, '', -1, null],
  [Tag.rejected]: [Tag.rejected, ...id, 5, 'n3', 6, 'n2'],
  [Tag.decide]: [Tag.decide, ...id, 0, bytes],
  [Tag.decided]: [Tag.decided, 'n1', 3, [1, 2, 3]],
  [Tag.finished]: [Tag.finished, ...id, -1],
  [Tag.marks]: [Tag.marks, 17, []],
  [Tag.claims]: [Tag.claims, ['n1', 3, 0, 'n2', 4, 1]],
  [Tag.settled]: [Tag.settled, ...id, timestamp, 1_763_700_000_000, 'n2'],
  [Tag.vouch]: [Tag.vouch, 1, [0, 7]],
  [Tag.fenced]: [Tag.fenced, 1, 3, 2 ** 40],
  [Tag.drained]: [Tag.drained, 1, [7], timestamp],
  [Tag.attest]: [Tag.attest, 1, []],
  [Tag.attested]: [Tag.attested, 1, [7]],
  [Tag.peek]: [Tag.peek, 1, 1, [key, highKey], true],
  [Tag.peeked]: [Tag.peeked, 1, 0, true, [timestamp, bytes, 0, null]],
  [Tag.confirm]: [Tag.confirm, 1, 1, [key], [timestamp]],
  [Tag.confirmed]: [Tag.confirmed, 1, 0, key],
  [Tag.declined]: [Tag.declined, 1],
  [Tag.blocks]: [Tag.blocks, 1, [0, 1], new Uint8Array(32)],
  [Tag.roots]: [Tag.roots, 1, false, [0, bytes]],
  [Tag.compare]: [Tag.compare, 1, [0, 1], new Uint8Array(32)],
  [Tag.differ]: [Tag.differ, 1, [0, true, timestamp, bytes, 1, false, 0, new Uint8Array(0)]],
  [Tag.descend]: [Tag.descend, 1, 16_383, 3, [0, 4_095]],
  [Tag.children]: [Tag.children, 1, bytes],
  [Tag.list]: [Tag.list, 1, [0, 65_535, timestamp, bytes, 1, 0, 0, null], null, key],
  [Tag.listed]: [Tag.listed, 1, [timestamp, bytes, bytes, 0, bytes, null], [key, timestamp, null], [highKey, 1, 2 ** 32 - 1], key],
  [Tag.pull]: [Tag.pull, 1, [key]],
  [Tag.pulled]: [Tag.pulled, 1, [key, timestamp, null, highKey, 1, bytes]],
  [Tag.repair]: [Tag.repair, [key, timestamp, null, highKey, 1, bytes]],
  [Tag.cut]: [Tag.cut, timestamp, [0, 3]],
  [Tag.bar]: [Tag.bar, timestamp, [0, 3]],
  [Tag.barred]: [Tag.barred, timestamp, [3], bytes],
  [Tag.collect]: [Tag.collect, timestamp, [3]],
  [Tag.get]: [Tag.get, 1, 5_000, 1, [key]],
  [Tag.read]: [Tag.read, 1, 5_000, 1, [key]],
  [Tag.values]: [Tag.values, 1, [timestamp, bytes]],
  [Tag.commit]: [Tag.commit, 1, 5_000, 9, 1, null, 0, true, bytes, [0, key, bytes, null, null]],
  [Tag.committed]: [Tag.committed, 1, timestamp],
  [Tag.aborted]: [Tag.aborted, 1, 2, key, null, 0, [key, timestamp, bytes]],
  [Tag.resolve]: [Tag.resolve, 1, 5_000, ...id, 1, [4, 5]],
  [Tag.giveUp]: [Tag.giveUp, 77],
  [Tag.grant]: [Tag.grant, 1_000, 500],
  [Tag.status]: [Tag.status, 1],
  [Tag.statusIs]: [Tag.statusIs, 1, { inFlight: 3, lag: [0, 1], name: 'n1', up: true }],
  [Tag.failed]: [Tag.failed, 1, 'overloaded', 'the queue is full'],
  [Tag.explain]: [Tag.explain, 1, ...id],
  [Tag.explained]: [Tag.explained, 1, [...id, EventKind.sent, Tag.vote, 1_763_700_000_000.123, 'n2', 3, timestamp, highKey, 'n2:3:4', ...id, EventKind.applied, 0, -0.5, null, 0, -1, null, null]],
  [Tag.recent]: [Tag.recent, 1, 100],
  [Tag.settle]: [Tag.settle, 1, 5_000, ...id, true],
  [Tag.keepPoint]: [Tag.keepPoint, 1, 'before-upgrade'],
  [Tag.removePoint]: [Tag.removePoint, 1, 'before-upgrade'],
  [Tag.listPoints]: [Tag.listPoints, 1],
  [Tag.points]: [Tag.points, 1, ['before-upgrade', 0, 1_763_700_000_000, 2 ** 40, null, null, 'later', 2, 1_763_700_000_001, 0, 'disk-full', 'no space left']],
};

export const allSamples: readonly Message[] = Object.values(samples);
