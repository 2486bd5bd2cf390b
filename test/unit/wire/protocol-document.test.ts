/** PROTOCOL.md and the code say the same; and what it says of placement is enough to place keys without the code. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../../client/wire/errors.ts';
import { limits } from '../../../client/wire/limits.ts';
import { tagNames } from '../../../client/wire/messages.ts';
import { Placement } from '../../../client/wire/placement.ts';
import { protocolVersion } from '../../../client/wire/session.ts';
import { Extension } from '../../../client/wire/value-types.ts';
import type { View } from '../../../client/wire/view.ts';
import { samples } from './samples.ts';

const text = readFileSync(new URL('../../../client/wire/PROTOCOL.md', import.meta.url), 'utf8');

/** The rows of the table below a heading. */
function rowsOf(heading: string): string[][] {
  const section = text.slice(text.indexOf(`\n## ${heading}`) + 1).split('\n## ')[0] as string;
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(1).map((row) => row.split('|').slice(1, -1).map((cell) => cell.trim()));
}

/** How many fields a row of the table of messages describes: an id is three of them, a ballot two, and a flat array one. */
function fieldCount(description: string): number {
  const flat = description.replaceAll(/flat [^;]*?; or nil/g, 'flat').replaceAll(/flat (?:block uint, roots bytes|partition uint, isSure boolean, collected uint, digests bytes|partition uint or nil, leaf uint, above uint or nil, have bytes or nil|collected uint or nil, digest bytes, met bytes or nil|key, version uint, checksum uint|node name, disk name, life uint, rebornAt uint, nonce uint, clear uint|version uint, value|key, version uint, value|key, version uint|[a-z]+)/g, 'flat');
  return flat.split(', ').reduce((sum, field) => sum + (field === 'id' ? 3 : field.endsWith('ballot') ? 2 : 1), 0);
}

describe('PROTOCOL.md', () => {
  it('is of this version', () => expect(text).toMatch(new RegExp(`^# The wire protocol, version ${protocolVersion}\n`)));

  it('lists every message, with its tag and as many fields as it has', () => {
    const rows = rowsOf('9. All messages');
    expect(rows.map(([tag, name]) => [Number(tag), name])).toEqual([...tagNames].sort(([a], [b]) => a - b));
    for (const [tag, name, , fields] of rows) expect([name, fieldCount(fields as string)]).toEqual([name, samples[Number(tag) as keyof typeof samples].length - 1]);
  });

  it('lists every limit', () => {
    expect(Object.fromEntries(rowsOf('10. Limits').map(([name, is]) => [name, Number(is)]))).toEqual(limits);
  });

  it('lists every error code', () => {
    const listed = rowsOf('11. Errors').map(([code, definite, retryable]) => [code, { definite: definite === 'yes', retryable: retryable === 'yes' }]);
    expect(listed).toEqual(Object.entries(errorCodes).map(([code, { definite, retryable }]) => [code, { definite, retryable }]));
  });

  it('lists every extension type of values', () => {
    const listed = [...text.matchAll(/extension (-?\d+)/g)].map(([, type]) => Number(type) & 0xff);
    expect(new Set(listed)).toEqual(new Set(Object.values(Extension)));
  });
});

const views: View[] = [
  { epoch: 1, cluster: 'c', partitions: 256, replicationFactor: 3, members: ['n1', 'n2', 'n3', 'n4', 'n5'].map((id) => ({ id, url: `ws://${id}`, weight: 1, zone: null })) },
  { epoch: 1, cluster: 'c', partitions: 256, replicationFactor: 2, members: [['a', 1, 'x'], ['b', 2.5, 'x'], ['c', 0.1, null], ['d', 1, 'y']].map(([id, weight, zone]) => ({ id, url: `ws://${id}`, weight, zone }) as View['members'][number]) },
];

describe('what PROTOCOL.md says of placement', () => {
  const md5 = (input: string): Buffer => createHash('md5').update(input).digest();

  function groupOf(view: View, partition: number): string[] {
    const points = view.members.flatMap(({ id, weight }) => Array.from({ length: Math.round(256 * weight) }, (_, i) => md5(`${id}-${i}`)).flatMap((digest) => [0, 4, 8, 12].map((at) => ({ id, point: digest.readUInt32LE(at) }))));
    points.sort((a, b) => a.point - b.point);
    const start = md5(`partition-${partition}`).readUInt32LE(0);
    const met = [...new Set([...points.filter(({ point }) => point >= start), ...points.filter(({ point }) => point < start)].map(({ id }) => id))];
    const zoneOf = (id: string): string => view.members.find((member) => member.id === id)?.zone ?? `own ${id}`;
    const first = met.filter((id, i) => met.findIndex((other) => zoneOf(other) === zoneOf(id)) === i);
    const chosen = [...first, ...met.filter((id) => !first.includes(id))].slice(0, view.replicationFactor);
    return met.filter((id) => chosen.includes(id));
  }

  /** XXH32 with seed 0, after the reference (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). */
  function xxh32(bytes: Buffer): number {
    const [p1, p2, p3, p4, p5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;
    const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
    let at = 0;
    let hash: number = p5;
    if (bytes.length >= 16) {
      const lanes = [p1 + p2, p2, 0, -p1];
      for (; at + 16 <= bytes.length; at += 16) {
        for (let lane = 0; lane < 4; lane++) lanes[lane] = Math.imul(rotate((lanes[lane]! + Math.imul(bytes.readUInt32LE(at + 4 * lane), p2)) | 0, 13), p1);
      }
      hash = lanes.map((lane, i) => rotate(lane, [1, 7, 12, 18][i]!)).reduce((a, b) => (a + b) | 0, 0);
    }
    hash = (hash + bytes.length) | 0;
    for (; at + 4 <= bytes.length; at += 4) hash = Math.imul(rotate((hash + Math.imul(bytes.readUInt32LE(at), p3)) | 0, 17), p4);
    for (; at < bytes.length; at++) hash = Math.imul(rotate((hash + Math.imul(bytes[at]!, p5)) | 0, 11), p1);
    hash = Math.imul(hash ^ (hash >>> 15), p2);
    hash = Math.imul(hash ^ (hash >>> 13), p3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  it.each(views)('gives the groups that the code gives', (view) => {
    const placement = new Placement(view);
    for (let partition = 0; partition < 40; partition++) expect(placement.groupOf(partition)).toEqual(groupOf(view, partition));
  });

  function coordinators(view: View): string[][] {
    const idsOf = (partition: number): string[] => groupOf(view, partition).sort();
    const sets = new Map<string, { ids: string[]; partitions: number[] }>();
    for (let partition = 0; partition < view.partitions; partition++) {
      const ids = idsOf(partition);
      const set = sets.get(ids.join()) ?? { ids, partitions: [] };
      set.partitions.push(partition);
      sets.set(ids.join(), set);
    }
    const firstOfDifferent = (a: string[], b: string[]): number => {
      const at = a.findIndex((id, i) => id !== b[i]);
      return (a[at] as string) < (b[at] as string) ? -1 : 1;
    };
    const taken: { order: string[]; partitions: number[] }[] = [];
    for (const { ids, partitions } of [...sets.values()].sort((a, b) => b.partitions.length - a.partitions.length || firstOfDifferent(a.ids, b.ids))) {
      const loadOf = (id: string): number => taken.filter(({ order }) => order[0] === id).reduce((sum, set) => sum + set.partitions.length, 0) / (view.members.find((member) => member.id === id)?.weight as number);
      taken.push({ order: [...ids].sort((a, b) => loadOf(a) - loadOf(b) || (a < b ? -1 : 1)), partitions });
    }
    return Array.from({ length: view.partitions }, (_, partition) => taken.find(({ partitions }) => partitions.includes(partition))?.order as string[]);
  }

  it.each(views)('gives the coordinators that the code gives', (view) => {
    const placement = new Placement(view);
    expect(coordinators(view)).toEqual(Array.from({ length: view.partitions }, (_, partition) => placement.coordinatorsOf(partition)));
  });

  it('gives the partitions that the code gives', () => {
    const view = views[0] as View;
    const placement = new Placement(view);
    for (const key of ['\x02a\0', `\x02${'long enough for whole stripes '.repeat(5)}\0`, '\x01\xff\x80\0', '\x02\xc3\xb6\xe6\xbc\xa2\0', '\x02x\0\x21\x80\0\0\0\0\0\0\0']) {
      expect(placement.partitionOf(key)).toBe(xxh32(Buffer.from(key, 'utf8')) % view.partitions);
    }
    expect(placement.partitionOf('\x02cart:{user7}\0')).toBe(xxh32(Buffer.from('user7')) % view.partitions);
  });
});
