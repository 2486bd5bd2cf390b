import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { limits } from '../../client/wire/limits.ts';
import { validateView } from '../../client/wire/view-check.ts';
import { checkConfig, parseConfig } from '../../node/config.ts';
import type { ClusterConfig, ConfigFault } from '../../node/config.ts';

const threeNodes = [
  { id: 'n1', url: 'ws://127.0.0.1:7101' },
  { id: 'n2', url: 'ws://127.0.0.1:7102' },
  { id: 'n3', url: 'ws://127.0.0.1:7103' },
];
const minimal = { cluster: 'local', nodes: threeNodes };

function accepted(content: unknown): ClusterConfig {
  const result = checkConfig(content);
  if ('faults' in result) throw new Error(`refused: ${JSON.stringify(result.faults)}`);
  return result.config;
}

function refused(content: unknown): readonly ConfigFault[] {
  const result = checkConfig(content);
  if ('config' in result) throw new Error('accepted');
  return result.faults;
}

/** The only fault, as it is shown: place and message. */
function fault(content: unknown): string {
  const faults = refused(content);
  expect(faults).toHaveLength(1);
  return `${faults[0]?.path}: ${faults[0]?.message}`;
}

const withNode = (change: Record<string, unknown>): unknown => ({ ...minimal, nodes: [threeNodes[0], threeNodes[1], { ...threeNodes[2], ...change }] });

describe('cluster.config.json', () => {
  it('of the repository is accepted, and is what the defaults are', () => {
    const result = parseConfig(readFileSync(new URL('../../cluster.config.json', import.meta.url), 'utf8'));
    expect(result).toEqual({ config: accepted(minimal) });
  });

  it('needs a name and nodes alone; everything else has a default', () => {
    const config = accepted(minimal);
    expect(config.view).toEqual({
      epoch: 1,
      cluster: 'local',
      partitions: 1_024,
      replicationFactor: 3,
      members: threeNodes.map((node) => ({ ...node, weight: 1, zone: null })),
    });
    expect(config.protocol).toBe('dtp');
    expect(config.timing.outcomeRetentionMs).toBe(limits.outcomeRetentionMs);
    expect(config.timing).toMatchObject({ heartbeatIntervalMs: 150, recoveryDelayMs: 1_000, orphanRecoveryDelayMs: 100 });
    expect(config.store).toMatchObject({ checkpointSliceKeys: 500, checkpointIntervalMs: 10_000 });
    expect(config.log.level).toBe('info');
  });

  it('gives the members sorted by id, with weight and zone, whatever their order in the file', () => {
    const config = accepted({ ...minimal, nodes: [{ ...threeNodes[2], weight: 2, zone: 'b' }, threeNodes[0], threeNodes[1]] });
    expect(config.view.members.map(({ id, weight, zone }) => [id, weight, zone])).toEqual([['n1', 1, null], ['n2', 1, null], ['n3', 2, 'b']]);
  });

  it('gives a view that other nodes and clients take', () => {
    const { view } = accepted({ ...minimal, partitions: limits.partitionsMax, nodes: [{ id: 'a-1', url: 'ws://[::1]:1', weight: limits.memberWeightMax }, { id: 'B', url: 'ws://host.example:65535', weight: 0.1, zone: 'z' }], replicationFactor: 2 });
    expect(view.members.map((member) => member.id)).toEqual(['B', 'a-1']);
    expect(validateView(view)).toEqual(view);
  });

  it('takes single settings and leaves the others at their defaults', () => {
    const config = accepted({ ...minimal, timing: { healIntervalMs: 5_000 }, store: { headCacheEntries: 0 }, log: { level: 'debug' } });
    expect(config.timing.healIntervalMs).toBe(5_000);
    expect(config.timing.heartbeatIntervalMs).toBe(150);
    expect(config.store.headCacheEntries).toBe(0);
    expect(config.log.level).toBe('debug');
  });
});

describe('a malformed file is refused with the place and what is allowed', () => {
  it.each([
    ['a list', [1], ': must be an object; it is [1]'],
    ['an unknown key', { ...minimal, replicas: 3 }, /^replicas: unknown key; known are cluster, dataDirectory, /],
    ['an unknown key of a section', { ...minimal, timing: { heartbeatMs: 5 } }, /^timing\.heartbeatMs: unknown key; known are heartbeatIntervalMs, /],
    ['an unknown key of a node', withNode({ port: 7_103 }), 'nodes[2].port: unknown key; known are id, url, weight, zone'],
    ['no name', { nodes: threeNodes }, /^cluster: must be the name of the cluster.*; it is missing$/],
    ['no nodes', { ...minimal, nodes: [] }, 'nodes: must name at least one node'],
    ['a duplicate id', withNode({ id: 'n1' }), 'nodes[2].id: "n1" is already used by nodes[0]'],
    ['ids that differ in case alone', withNode({ id: 'N1' }), 'nodes[2].id: "N1" is already used by nodes[0]'],
    ['a duplicate port', withNode({ url: 'ws://127.0.0.1:7102' }), 'nodes[2].url: "ws://127.0.0.1:7102" is already used by nodes[1]'],
    ['a duplicate port under another name of this host', withNode({ url: 'ws://localhost:7102' }), 'nodes[2].url: "ws://localhost:7102" is already used by nodes[1]'],
    ['an id with a slash', withNode({ id: '../n3' }), /^nodes\[2\]\.id: must be a node id: letters, digits and hyphens.*; it is "\.\.\/n3"$/],
    ['an id that is too long', withNode({ id: 'n'.repeat(limits.nameLengthMax + 1) }), /^nodes\[2\]\.id: .*at most 64 characters/],
    ['an address of another kind', withNode({ url: 'http://127.0.0.1:7103' }), /^nodes\[2\]\.url: must be the address .*"ws:\/\/host:port"; it is "http:/],
    ['an address without a port', withNode({ url: 'ws://127.0.0.1' }), /^nodes\[2\]\.url: /],
    ['an address with a path', withNode({ url: 'ws://127.0.0.1:7103/x' }), /^nodes\[2\]\.url: /],
    ['a port beyond the last', withNode({ url: 'ws://127.0.0.1:65536' }), /^nodes\[2\]\.url: /],
    ['an address that can’t be dialled', withNode({ url: 'ws://0.0.0.0:7103' }), /^nodes\[2\]\.url: /],
    ['a negative weight', withNode({ weight: -1 }), 'nodes[2].weight: must be a number from 0.1 to 16; it is -1'],
    ['a replication factor above the node count', { ...minimal, replicationFactor: 4 }, 'replicationFactor: must be at most the number of nodes, 3; it is 4'],
    ['a replication factor of 0', { ...minimal, replicationFactor: 0 }, 'replicationFactor: must be a whole number from 1 to 64; it is 0'],
    ['a number of partitions between the powers', { ...minimal, partitions: 1_000 }, 'partitions: must be a power of two from 1 to 16384; it is 1000'],
    ['too many partitions', { ...minimal, partitions: 32_768 }, /^partitions: must be a whole number from 1 to 16384; it is 32768/],
    ['an unknown protocol', { ...minimal, protocol: '4pc' }, 'protocol: must be one of "dtp", "2pc", "o2pc", "3pc"; it is "4pc"'],
    ['text for a number', { ...minimal, timing: { tickIntervalMs: '50' } }, 'timing.tickIntervalMs: must be a whole number from 1 to 1000; it is "50"'],
    ['a log level that is none', { ...minimal, log: { level: 'loud' } }, /^log\.level: must be one of "debug", "info", "warn", "error"; it is "loud"/],
    ['a slice that would poison the table', { ...minimal, store: { checkpointSliceKeys: 20_000 } }, /^store\.checkpointSliceKeys: must be a whole number from 1 to 1000/],
  ])('%s', (_what, content, expected) => {
    if (typeof expected === 'string') expect(fault(content)).toBe(expected);
    else expect(fault(content)).toMatch(expected);
  });

  it.each([
    ['recovery before a peer can be called silent', { recoveryDelayMs: 300 }, 'timing.recoveryDelayMs'],
    ['orphans recovered later than others', { orphanRecoveryDelayMs: 1_500 }, 'timing.orphanRecoveryDelayMs'],
    ['ticks too coarse for heartbeats', { tickIntervalMs: 200 }, 'timing.tickIntervalMs'],
    ['waiting for the last vote until nothing is left to do', { fastCommitWaitMs: 2_000 }, 'timing.fastCommitWaitMs'],
    ['outcomes forgotten before the last client asks', { outcomeRetentionMs: 2 * limits.deadlineMsMax }, 'timing.outcomeRetentionMs'],
  ])('values at odds with each other: %s', (_what, timing, path) => {
    expect(refused({ ...minimal, timing }).map((each) => each.path)).toEqual([path]);
  });

  it('blocks that don’t fit into a segment', () => {
    expect(fault({ ...minimal, store: { journalBlockBytesMax: 32 * 1_024 * 1_024 } })).toMatch(/^store\.journalBlockBytesMax: must be at most journalSegmentBytes, 16777216/);
  });

  it('all faults at once', () => {
    expect(refused({ cluster: 'no spaces', replicationFactor: 'three', nodes: [{ id: 'n1' }] }).map((each) => each.path).sort()).toEqual(['cluster', 'nodes[0].url', 'replicationFactor']);
  });

  it('text that is not JSON, with line and column', () => {
    expect(parseConfig('{\n  "cluster": "local",\n}')).toEqual({ faults: [{ path: '', message: expect.stringMatching(/^is not JSON: .*line 3,? column 1/) as string }] });
    expect(parseConfig('')).toEqual({ faults: [{ path: '', message: expect.stringMatching(/^is not JSON: /) as string }] });
  });

  it('a name that would change the prototype', () => {
    expect(parseConfig('{"cluster":"local","__proto__":{"nodes":[]}}')).toHaveProperty('faults');
  });
});
