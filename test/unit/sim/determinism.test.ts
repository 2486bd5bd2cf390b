import { expect, it } from 'vitest';
import type { Connection, Environment } from '../../../client/wire/environment.ts';
import type { Runtime } from '../../../node/runtime/runtime.ts';
import { World } from '../../sim/world.ts';

const names = ['n1', 'n2', 'n3'];

/** A node that keeps a count of what it hears in a log and a table, and chats with the others. */
function node(runtime: Runtime, name: string): void {
  const { disk } = runtime;
  const file = disk.openLog('log', 8_192);
  const table = disk.openTable();
  const links: Connection[] = [];
  let heard = table.get(Buffer.from('heard'))?.readUInt32BE() ?? 0;
  let writing = false;

  const hear = (from: Connection, frame: Uint8Array): void => {
    heard++;
    if (frame[0] === 1) from.send(Buffer.from([2, heard & 0xff]));
    if (writing) return;
    writing = true;
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(heard);
    file.write((heard % 1_000) * 8, [bytes], (error) => {
      if (error !== undefined) runtime.fatal('the log failed', { error });
      table.write([[Buffer.from('heard'), bytes]], () => {
        writing = false;
      });
    });
  };
  const join = (connection: Connection): void => {
    connection.onOpen = () => links.push(connection);
    connection.onFrame = (frame) => hear(connection, frame);
    connection.onClose = () => links.splice(links.indexOf(connection), links.includes(connection) ? 1 : 0);
  };
  const tick = (): void => {
    for (const link of links) link.send(Buffer.from([1, runtime.randomUint32() & 0xff]));
    if (links.length < 3) join(runtime.dial(`ws://${names[runtime.randomUint32() % 3]}:1`));
    runtime.after(5 + (runtime.randomUint32() % 10), tick);
  };
  runtime.listen(`ws://${name}:1`, join, (error) => {
    if (error !== undefined) runtime.fatal('no address');
    runtime.log.info({ heard }, 'started');
    tick();
  });
}

/** A client that asks in promises, as fast as it is answered. */
async function client(environment: Environment, answers: number[]): Promise<void> {
  for (let round = 0; round < 60; round++) {
    const connection = environment.dial(`ws://${names[round % 3]}:1`);
    const answer = await new Promise<number>((resolve) => {
      connection.onOpen = () => connection.send(Buffer.from([1]));
      connection.onFrame = (frame) => frame[0] === 2 && resolve(frame[1]!);
      connection.onClose = () => resolve(-1);
      environment.after(200, () => resolve(-2));
    });
    await Promise.resolve();
    connection.close('asked');
    answers.push(answer);
  }
}

async function simulate(seed: string, disturb: () => Promise<void> = async () => {}): Promise<{ hash: string; answers: number[]; steps: number }> {
  const world = new World({ seed, network: { halfOpenChance: 0.1 } });
  const faults = world.random.fork('faults');
  for (const name of names) world.addHost(name, { skewMs: faults.below(1_000), driftPpm: faults.below(200) });
  for (const name of names) world.host(name).start((runtime) => node(runtime, name));
  world.onExit = (host) => world.after(faults.below(200), () => host.start((runtime) => node(runtime, host.name)));
  const answers: number[] = [];
  const done = client(world.addHost('client', { usesPromises: true }).boot(), answers);
  let over = false;
  const trouble = (): void => {
    if (over) return;
    const host = world.host(faults.pick(names));
    const kind = faults.below(5);
    if (kind === 0) host.crash();
    if (kind === 1) host.pause(faults.below(300));
    if (kind === 2) host.process?.crashAfter(faults.below(20));
    if (kind === 3) world.network.clog(host.name, faults.pick(names), faults.below(300));
    if (kind === 4) host.clock.jump(faults.between(-1_000, 1_000));
    world.after(faults.below(200), trouble);
  };
  world.after(100, trouble);
  for (let i = 0; i < 5; i++) {
    await world.runFor(300);
    await disturb();
  }
  await world.settle(done, 100_000);
  over = true;
  await world.runFor(500);
  return { hash: world.traceHash(), answers, steps: world.scheduler.steps };
}

it('repeats itself to the last byte from a seed', async () => {
  for (const seed of ['1', '2', '3']) {
    const first = await simulate(seed);
    const second = await simulate(seed, async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
    expect(first.answers).toHaveLength(60);
    expect(first.steps).toBeGreaterThan(1_000);
    expect(second).toEqual(first);
  }
});

it('differs from seed to seed', async () => {
  const hashes = new Set<string>();
  for (let seed = 0; seed < 5; seed++) hashes.add((await simulate(`differs ${seed}`)).hash);
  expect(hashes.size).toBe(5);
});

it('notices one byte, one place and one moment in its trace', () => {
  const hashOf = (record: (world: World) => void): string => {
    const world = new World({ seed: 1 });
    record(world);
    return world.traceHash();
  };
  const hashes = [
    hashOf(() => {}),
    hashOf((world) => world.trace.record('a', 'send', Buffer.from([1, 2, 3, 4, 5]))),
    hashOf((world) => world.trace.record('a', 'send', Buffer.from([1, 2, 3, 4, 6]))),
    hashOf((world) => world.trace.record('a', 'send', Buffer.from([1, 2, 3, 4, 5, 0]))),
    hashOf((world) => world.trace.record('b', 'send', Buffer.from([1, 2, 3, 4, 5]))),
    hashOf((world) => world.trace.record('a', 'receive', Buffer.from([1, 2, 3, 4, 5]))),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
});

it('tells the end of the story, with frames as the printer has them', async () => {
  const world = new World({ seed: 'story', traceLength: 5, print: (frame) => `<${frame.length} bytes>` });
  for (let i = 0; i < 12; i++) world.trace.record('n1', `event ${i}`, i === 11 ? Buffer.alloc(3) : '');
  expect(world.trace.recorded).toBe(12);
  expect(world.story().split('\n')).toHaveLength(5);
  expect(world.story(2)).toBe('       0.000 n1         event 10\n       0.000 n1         event 11 <3 bytes>');
});
