import { expect, it } from 'vitest';
import type { Connection } from '../../../client/wire/environment.ts';
import type { NetworkOptions } from '../../sim/network.ts';
import { World } from '../../sim/world.ts';
import type { SimRuntime } from '../../sim/runtime.ts';

const steady = { baseMs: 1, jitterMs: 0, tailChance: 0, tailMs: 0 };

interface End {
  readonly connection: Connection;
  /** Sizes of frames, and how it ended. */
  readonly events: (number | string)[];
}

/** Hosts a and b with an open connection from the one to the other. */
async function joined(network: Partial<NetworkOptions> = {}, seed = 'network'): Promise<{ world: World; client: End; server: End; accepted: End[]; a: SimRuntime; b: SimRuntime }> {
  const world = new World({ seed, network: { latency: steady, turnMs: 0, ...network } });
  const [a, b] = [world.addHost('a').boot(), world.addHost('b').boot()];
  const accepted: End[] = [];
  b.listen('ws://b:1', (connection) => accepted.push(watched(connection)), () => {});
  const client = watched(a.dial('ws://b:1'));
  await world.until(() => client.events.includes('open') && accepted.length === 1);
  client.events.pop();
  accepted[0]!.events.pop();
  return { world, client, server: accepted[0]!, accepted, a, b };
}

function watched(connection: Connection): End {
  const end: End = { connection, events: [] };
  connection.onOpen = () => end.events.push('open');
  connection.onFrame = (frame) => end.events.push(frame.length);
  connection.onClose = (reason) => end.events.push(reason);
  return end;
}

const frame = (size: number): Buffer => Buffer.alloc(size, 1);

it('holds frames back in a partition, and brings them in order when it is healed', async () => {
  const { world, client, server } = await joined({ latency: { baseMs: 1, jitterMs: 20, tailChance: 0.1, tailMs: 50 } });
  for (let size = 1; size <= 3; size++) client.connection.send(frame(size));
  const partition = world.network.partition(['a'], ['b']);
  for (let size = 4; size <= 6; size++) client.connection.send(frame(size));
  server.connection.send(frame(9));
  await world.runFor(30_000);
  expect([client.events, server.events]).toEqual([[], []]);
  partition.heal();
  for (let size = 7; size <= 9; size++) client.connection.send(frame(size));
  await world.runFor(1_000);
  expect(server.events).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(client.events).toEqual([9]);
});

it('parts one direction alone, until the window of what is not acknowledged is full', async () => {
  const { world, client, server } = await joined({ windowBytes: 1_000 });
  const partition = world.network.partition(['a'], ['b'], 'one-way');
  client.connection.send(frame(5));
  for (let i = 0; i < 5; i++) server.connection.send(frame(400));
  await world.runFor(10_000);
  expect(server.events).toEqual([]);
  expect(client.events).toEqual([400, 400]);
  expect(server.connection.bufferedBytes).toBe(1_200);
  partition.heal();
  await world.runFor(10_000);
  expect(server.events).toEqual([5]);
  expect(client.events).toEqual([400, 400, 400, 400, 400]);
  expect(server.connection.bufferedBytes).toBe(0);
});

it('parts sets of hosts, and overlapping partitions heal one by one', async () => {
  const { world, client, server } = await joined();
  const first = world.network.partition(['a', 'x'], ['b', 'y']);
  const second = world.network.partition(['b'], ['a'], 'one-way');
  client.connection.send(frame(1));
  server.connection.send(frame(2));
  first.heal();
  first.heal();
  await world.runFor(100);
  expect([client.events, server.events]).toEqual([[], [1]]);
  second.heal();
  await world.runFor(100);
  expect(client.events).toEqual([2]);
});

it('lets a late frame delay those behind it', async () => {
  const { world, client, server } = await joined();
  const link = world.network.link('a', 'b');
  link.latency = { ...steady, baseMs: 100 };
  client.connection.send(frame(1));
  link.latency = steady;
  client.connection.send(frame(2));
  await world.runFor(50);
  expect(server.events).toEqual([]);
  await world.runFor(60);
  expect(server.events).toEqual([1, 2]);
});

it('clogs a link for a time', async () => {
  const { world, client, server } = await joined();
  const sinceMs = world.nowMs;
  world.network.clog('a', 'b', 500);
  client.connection.send(frame(1));
  await world.until(() => server.events.length === 1);
  expect(world.nowMs - sinceMs).toBeCloseTo(501, 6);
});

it('lets a dial through a partition wait, and gives it up after a time', async () => {
  const { world, a } = await joined();
  const partition = world.network.partition(['a'], ['b']);
  const late = watched(a.dial('ws://b:1'));
  await world.runFor(2_000);
  expect(late.events).toEqual([]);
  partition.heal();
  await world.runFor(10);
  expect(late.events).toEqual(['open']);

  world.network.partition(['a'], ['b'], 'one-way');
  const never = watched(a.dial('ws://b:1'));
  await world.runFor(10_000);
  expect(never.events).toEqual(['no answer within 5000 ms']);
});

it('ends what was accepted when its dialler has given up', async () => {
  const { world, a, accepted } = await joined();
  world.network.partition(['b'], ['a'], 'one-way');
  const client = watched(a.dial('ws://b:1'));
  await world.runFor(4_000);
  expect(accepted[1]!.events).toEqual(['open']);
  await world.runFor(4_000);
  expect(client.events).toEqual(['no answer within 5000 ms']);
  expect(accepted[1]!.events).toEqual(['open', 'the connection was reset by the peer']);
});

it('accepts nobody who gave up while the process was paused', async () => {
  const { world, a, b, accepted } = await joined();
  b.process.pause(1_000);
  const client = watched(a.dial('ws://b:1'));
  await world.runFor(100);
  client.connection.abort('tired of waiting');
  const patient = watched(a.dial('ws://b:1'));
  await world.runFor(1_000);
  expect(client.events).toEqual(['tired of waiting']);
  expect(patient.events).toEqual(['open']);
  expect(accepted).toHaveLength(2);
});

it('tells the peer of a crash, after a part of what was sent before', async () => {
  const seen = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const { world, client, server, a } = await joined({ latency: { baseMs: 1, jitterMs: 10, tailChance: 0, tailMs: 0 } }, `crash ${seed}`);
    for (let size = 1; size <= 5; size++) client.connection.send(frame(size));
    a.process.crash();
    await world.runFor(1_000);
    const count = server.events.length - 1;
    expect(server.events).toEqual([1, 2, 3, 4, 5].slice(0, count).concat(['the connection was reset by the peer'] as never[]));
    expect(client.events).toEqual([]);
    seen.add(count);
  }
  expect(seen.size).toBeGreaterThan(3);
});

it('leaves a half-open connection where the news of a crash is lost', async () => {
  const { world, server, a } = await joined({ halfOpenChance: 1, windowBytes: 100 });
  a.process.crash();
  await world.runFor(1_000);
  for (let i = 0; i < 10; i++) server.connection.send(frame(50));
  await world.runFor(100_000);
  expect(server.events).toEqual([]);
  expect(server.connection.bufferedBytes).toBe(400);
  server.connection.abort('not heard of for long');
  await world.runFor(10);
  expect(server.events).toEqual(['not heard of for long']);
  expect(world.network.connectionCount).toBe(0);
});

it('ends a connection for one side alone', async () => {
  const { world, client, server } = await joined({ windowBytes: 100 });
  world.network.halfOpen('a', 'b');
  for (let i = 0; i < 5; i++) server.connection.send(frame(60));
  await world.runFor(60_000);
  expect(client.events).toEqual(['the connection was lost']);
  expect(server.events).toEqual([]);
  expect(server.connection.bufferedBytes).toBe(240);
  server.connection.close('goodbye');
  await world.runFor(4_000);
  expect(server.events).toEqual([]);
  await world.runFor(2_000);
  expect(server.events).toEqual(['goodbye']);
});

it('resets a connection for both sides, and any suffix is lost', async () => {
  const counts = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const { world, client, server } = await joined({ latency: { baseMs: 1, jitterMs: 10, tailChance: 0, tailMs: 0 } }, `reset ${seed}`);
    for (let size = 1; size <= 5; size++) client.connection.send(frame(size));
    world.network.reset('b', 'a');
    await world.runFor(1_000);
    const count = server.events.length - 1;
    expect(server.events.slice(0, count)).toEqual([1, 2, 3, 4, 5].slice(0, count));
    expect([server.events.at(-1), client.events]).toEqual(['the connection was reset', ['the connection was reset']]);
    counts.add(count);
  }
  expect(counts.size).toBeGreaterThan(3);
});

it('turns dials away while a host refuses them, and when its process is gone', async () => {
  const { world, a, b, client } = await joined();
  const refusal = world.network.refuse('b');
  const refused = watched(a.dial('ws://b:1'));
  await world.runFor(10);
  expect(refused.events).toEqual(['connect ECONNREFUSED b:1']);
  expect(client.events).toEqual([]);
  refusal.heal();
  const taken = watched(a.dial('ws://b:1'));
  await world.runFor(10);
  expect(taken.events).toEqual(['open']);
  b.process.crash();
  const late = watched(a.dial('ws://b:1'));
  const unknown = watched(a.dial('ws://nobody:1'));
  await world.runFor(10);
  expect([late.events, unknown.events]).toEqual([['connect ECONNREFUSED b:1'], ['connect ECONNREFUSED nobody:1']]);
});

it('turns away the dials of one host, while others are let in', async () => {
  const { world, a } = await joined();
  const c = world.addHost('c').boot();
  const { heal } = world.network.refuse('b', 'c');
  const [admitted, refused] = [watched(a.dial('ws://b:1')), watched(c.dial('ws://b:1'))];
  await world.runFor(10);
  expect([admitted.events, refused.events]).toEqual([['open'], ['connect ECONNREFUSED b:1']]);
  heal();
  const again = watched(c.dial('ws://b:1'));
  await world.runFor(10);
  expect(again.events).toEqual(['open']);
});

it('takes its time on a slow link, and shows what waits', async () => {
  const { world, client, server } = await joined();
  world.network.link('a', 'b').bytesPerMs = 100;
  const sinceMs = world.nowMs;
  for (let i = 0; i < 10; i++) client.connection.send(frame(1_000));
  expect(client.connection.bufferedBytes).toBe(10_000);
  await world.run({ untilMs: sinceMs + 55 });
  expect(client.connection.bufferedBytes).toBe(5_000);
  expect(server.events).toHaveLength(5);
  await world.until(() => server.events.length === 10);
  expect(world.nowMs - sinceMs).toBeCloseTo(101, 6);
  expect(client.connection.bufferedBytes).toBe(0);
});

it('fills up behind a paused process', async () => {
  const { world, client, server, b } = await joined({ windowBytes: 1_000 });
  b.process.pause(500);
  for (let i = 1; i <= 10; i++) client.connection.send(frame(200 + i));
  await world.runFor(400);
  expect(server.events).toEqual([]);
  expect(client.connection.bufferedBytes).toBeGreaterThan(1_000);
  await world.runFor(400);
  expect(server.events).toEqual([201, 202, 203, 204, 205, 206, 207, 208, 209, 210]);
  expect(client.connection.bufferedBytes).toBe(0);
});

it('does not bring one incarnation’s frames to the next', async () => {
  const { world, client, b, accepted } = await joined();
  client.connection.send(frame(1));
  b.process.crash();
  const again = world.host('b').boot();
  const later: End[] = [];
  again.listen('ws://b:1', (connection) => later.push(watched(connection)), () => {});
  client.connection.send(frame(2));
  await world.runFor(1_000);
  expect(accepted[0]!.events).toEqual([]);
  expect(later).toEqual([]);
  expect(client.events).toEqual(['the connection was reset by the peer']);
});

it('brings frames that arrive in one turn at one moment', async () => {
  const { world, client, server, b } = await joined({ latency: { baseMs: 1, jitterMs: 0.4, tailChance: 0, tailMs: 0 }, turnMs: 0.5 });
  let turns = 0;
  let scheduled = false;
  server.connection.onFrame = (got) => {
    server.events.push(got.length);
    if (scheduled) return;
    scheduled = true;
    b.defer(() => {
      scheduled = false;
      turns++;
    });
  };
  for (let size = 1; size <= 50; size++) client.connection.send(frame(size));
  await world.runFor(10);
  expect(server.events).toHaveLength(50);
  expect(turns).toBeLessThan(4);
});

it('catches a sender that changes a frame under way', async () => {
  const { world, client } = await joined();
  const bytes = frame(10);
  client.connection.send(bytes);
  bytes[3] = 7;
  await expect(world.runFor(10)).rejects.toThrow('changed after it had been sent');
});
