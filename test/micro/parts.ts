/** The parts of the hot path that need nothing but a processor. */
import { decodeFrame, encodeBody, encodeFrame } from '../../client/wire/codec.ts';
import { Tag, type Message } from '../../client/wire/messages.ts';
import { Placement } from '../../client/wire/placement.ts';
import type { View } from '../../client/wire/view.ts';
import { Digests } from '../../node/store/digests.ts';
import { checksumOf, itemOf, slotOf } from '../../node/store/hash.ts';
import { LockTable } from '../../node/txn/locks.ts';
import { timed, type Micro } from './measure.ts';

const keys = Array.from({ length: 10_000 }, (_, i) => `account:${String(i).padStart(9, '0')}`);
const keyAt = (i: number): string => keys[i % keys.length] as string;
const value = Buffer.alloc(100, 7);

const view: View = { epoch: 1, cluster: 'micro', partitions: 1_024, replicationFactor: 3, members: ['n1', 'n2', 'n3'].map((id, i) => ({ id, url: `ws://127.0.0.1:${7_101 + i}`, weight: 1, zone: null })) };

export function measureParts(): Micro[] {
  const body = encodeBody([[keyAt(0), 1, keyAt(1), 2], [keyAt(0), value, keyAt(1), value]]);
  const prepare = (i: number): Message => [Tag.prepare, 'n1', 1, i, 1, 1_000_000 + i, 1, body];
  const one = encodeFrame([prepare(0)]);
  const many = Array.from({ length: 64 }, (_, i) => prepare(i));
  const frame = encodeFrame(many);
  const placement = new Placement(view);
  const locks = new LockTable<number>();
  const digests = new Digests(view.partitions);
  return [
    timed('codec: encode a prepare of two keys', (i) => encodeFrame([prepare(i)])),
    timed('codec: decode it', () => decodeFrame(one)),
    timed('codec: encode 64 of them in a frame', () => encodeFrame(many)),
    timed('codec: decode that', () => decodeFrame(frame)),
    timed('placement: the group of a key', (i) => placement.groupOf(placement.partitionOf(keyAt(i)))),
    timed('locks: take one and release it', (i) => {
      const key = keyAt(i);
      const ready: (() => void)[] = [];
      if (locks.holderOf(key, true) === null) locks.lockExclusive(key, i);
      locks.release(key, i, ready);
      return ready;
    }),
    timed('checksum of a version', (i) => checksumOf(keyAt(i), i, value)),
    timed('digest: slot of a key', (i) => slotOf(keyAt(i))),
    timed('digest: item of a version', (i) => itemOf(keyAt(i), i, 12_345, false).a),
    timed('digest: change of a leaf', (i) => digests.change(i % view.partitions, i % digests.leavesPerPartition, 3n, 5n, 1n, 2n)),
    timed('digest: root of a partition', (i) => {
      digests.change(i % view.partitions, 0, 1n, 1n, 0n, 0n);
      return digests.root(i % view.partitions);
    }),
  ];
}
