import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame } from '../../../client/wire/codec.ts';
import { limits } from '../../../client/wire/limits.ts';
import { Tag } from '../../../client/wire/messages.ts';
import { validateView } from '../../../client/wire/view-check.ts';
import type { View } from '../../../client/wire/view.ts';

const member = (id: string, rest: object = {}): View['members'][number] => ({ id, url: `ws://127.0.0.1/${id}`, weight: 1, zone: null, ...rest });
const view: View = { epoch: 3, cluster: 'bank', partitions: 1_024, replicationFactor: 2, members: [member('n1'), member('n2', { zone: 'a', weight: 0.5 }), member('n3')] };
const members = (...list: unknown[]): unknown => ({ ...view, members: list });

describe('a view from outside', () => {
  it('is taken over, by its own fields only', () => {
    expect(validateView({ ...view, extra: 1, members: view.members.map((each) => ({ ...each, extra: 1 })) })).toEqual(view);
    const [welcome] = decodeFrame(encodeFrame([[Tag.welcome, 1, 'c', 'n1', 's', 1, 0, 0, 0, view]]));
    expect(validateView(welcome?.[9])).toEqual(view);
  });

  it('may be as large as the limits say', () => {
    const largest = Array.from({ length: limits.membersMax }, (_, i) => member(`n${String(i).padStart(3, '0')}${'x'.repeat(60)}`, { zone: 'z'.repeat(64) }));
    expect(validateView({ ...view, members: largest })).toEqual({ ...view, members: largest });
    expect(encodeFrame([[Tag.welcome, 1, 'c', 'n1', 's', 1, 0, 0, 0, { ...view, members: largest }]]).length).toBeLessThan(limits.greetingBytesMax);
  });

  const bad: [name: string, value: unknown, fault: RegExp][] = [
    ['no object', null, /no object/],
    ['an array', [], /no object/],
    ['a negative epoch', { ...view, epoch: -1 }, /epoch/],
    ['a missing epoch', { ...view, epoch: undefined }, /epoch/],
    ['an empty cluster name', { ...view, cluster: '' }, /cluster name/],
    ['a long cluster name', { ...view, cluster: 'c'.repeat(65) }, /cluster name/],
    ['partitions that are no power of two', { ...view, partitions: 1_000 }, /power of two/],
    ['no partitions', { ...view, partitions: 0 }, /power of two/],
    ['too many partitions', { ...view, partitions: 2 * limits.partitionsMax }, /power of two/],
    ['partitions whose low bits are those of a power of two', { ...view, partitions: 2 ** 32 + 1_024 }, /power of two/],
    ['more replicas than nodes', { ...view, replicationFactor: 4 }, /replication factor/],
    ['no replicas', { ...view, replicationFactor: 0 }, /replication factor/],
    ['no members', members(), /no members/],
    ['too many members', members(...Array.from({ length: 65 }, (_, i) => member(`n${100 + i}`))), /more than 64/],
    ['members that are no list', { ...view, members: { 0: member('n1') } }, /no members/],
    ['a member that is no object', members('n1', 'n2'), /no object/],
    ['an id with a separator', members(member('a:b'), member('n2')), /node id/],
    ['an id that is a prototype', members(member('__proto__'), member('n2')), /node id/],
    ['the same id twice', members(member('n1'), member('n1', { url: 'ws://127.0.0.1/x' })), /sorted by id, each once/],
    ['ids out of order', members(member('n2'), member('n1')), /sorted by id, each once/],
    ['the same address twice', members(member('n1', { url: 'ws://h:1' }), member('n2', { url: 'ws://h:1' })), /one address/],
    ['an address of another kind', members(member('n1', { url: 'http://127.0.0.1:1' }), member('n2')), /address of node n1/],
    ['an address without a host', members(member('n1', { url: 'ws://' }), member('n2')), /address of node n1/],
    ['an address with an impossible port', members(member('n1', { url: 'ws://127.0.0.1:99999' }), member('n2')), /address of node n1/],
    ['no weight', members(member('n1', { weight: 0 }), member('n2')), /weight of node n1/],
    ['a weight that is no number', members(member('n1', { weight: NaN }), member('n2')), /weight of node n1/],
    ['too much weight', members(member('n1', { weight: 17 }), member('n2')), /weight of node n1/],
    ['an empty zone', members(member('n1', { zone: '' }), member('n2')), /zone of node n1/],
  ];
  it.each(bad)('with %s is refused', (_name, value, fault) => {
    const result = validateView(value);
    expect(typeof result).toBe('string');
    expect(result).toMatch(fault);
  });
});
