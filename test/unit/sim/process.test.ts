import { expect, it } from 'vitest';
import type { Exit } from '../../sim/process.ts';
import { World } from '../../sim/world.ts';
import type { Host } from '../../sim/world.ts';

function world(): { world: World; a: Host; b: Host } {
  const made = new World({ seed: 'process' });
  return { world: made, a: made.addHost('a'), b: made.addHost('b') };
}

it('runs none of a process’s callbacks after its crash', async () => {
  const { world: w, a, b } = world();
  const events: string[] = [];
  const listener = b.boot();
  listener.listen('ws://b:1', (connection) => {
    connection.onOpen = () => connection.send(Buffer.from('hello'));
    connection.onClose = () => events.push('b: closed');
  }, () => {});
  const runtime = a.boot();
  const connection = runtime.dial('ws://b:1');
  connection.onFrame = () => events.push('a: frame');
  connection.onClose = () => events.push('a: closed');
  await w.until(() => events.length > 0);

  runtime.after(5, () => events.push('a: timer'));
  runtime.defer(() => events.push('a: deferred'));
  runtime.disk.openLog('log', 4_096).write(0, [Buffer.from('x')], () => events.push('a: written'));
  runtime.disk.openTable().write([[Buffer.from('k'), Buffer.from('v')]], () => events.push('a: committed'));
  runtime.dial('ws://b:1').onOpen = () => events.push('a: open');
  a.crash();
  expect(runtime.process.condition).toBe('dead');
  await w.runFor(60_000);
  expect(events).toEqual(['a: frame', 'b: closed']);
});

it('can be crashed between any two effects', async () => {
  for (let allowed = 0; allowed <= 6; allowed++) {
    const { world: w, a, b } = world();
    const received: string[] = [];
    const done: string[] = [];
    b.boot().listen('ws://b:1', (connection) => {
      connection.onFrame = (frame) => received.push(Buffer.from(frame).toString());
    }, () => {});
    const process = a.start((runtime) => {
      const table = runtime.disk.openTable();
      const connection = runtime.dial('ws://b:1');
      connection.onOpen = () => {
        runtime.process.crashAfter(allowed);
        connection.send(Buffer.from('1'));
        connection.send(Buffer.from('2'));
        table.write([[Buffer.from('k'), Buffer.from('v')]], () => done.push('written'));
        connection.send(Buffer.from('3'));
        runtime.log.info({}, 'the handler ran to its end');
        runtime.dial('ws://b:1');
        connection.abort('over');
      };
    });
    await w.runFor(1_000);
    expect(process.condition).toBe(allowed < 6 ? 'dead' : 'running');
    // The end of the connection may overtake what was sent before, never bring more.
    const sent = '123'.slice(0, Math.min(allowed, 2) + (allowed > 3 ? 1 : 0));
    expect(sent.startsWith(received.join(''))).toBe(true);
    expect(done).toEqual(allowed < 6 ? [] : ['written']);
  }
});

it('ends a process that is fatal, and no other, and says why', async () => {
  const { world: w, a, b } = world();
  const exits: [string, Exit][] = [];
  w.onExit = (host, exit) => exits.push([host.name, exit]);
  let ticks = 0;
  b.start((runtime) => {
    const tick = (): void => {
      ticks++;
      runtime.after(10, tick);
    };
    tick();
  });
  let after = false;
  a.start((runtime) => {
    runtime.after(20, () => {
      runtime.fatal('a vote was forgotten', { number: 7n });
      after = true;
    });
    runtime.after(30, () => {
      after = true;
    });
  });
  await w.runFor(200);
  expect(after).toBe(false);
  expect(ticks).toBeGreaterThan(15);
  expect(exits).toEqual([['a', { kind: 'fatal', reason: 'a vote was forgotten {"number":"7n"}', details: { number: 7n } }]]);
  expect(a.process).toBeNull();
  expect(w.story()).toContain('a vote was forgotten');
});

it('passes on an exception that nobody expected, but not a dead process’s', async () => {
  const { world: w, a } = world();
  a.start((runtime) => {
    runtime.process.crash();
    throw new Error('thrown by a ghost');
  });
  await w.runFor(10);
  a.start(() => {
    throw new Error('thrown alive');
  });
  await expect(w.runFor(10)).rejects.toThrow('thrown alive');
});

it('holds all that comes to a paused process, and brings it in order', async () => {
  const { world: w, a, b } = world();
  const events: string[] = [];
  const server = b.boot();
  server.listen('ws://b:1', (connection) => {
    connection.onFrame = (frame) => events.push(`frame ${frame.length} at ${Math.floor(server.clock.monotonicMs() - bootMs)}`);
  }, () => {});
  const bootMs = server.clock.monotonicMs();
  const connection = a.boot().dial('ws://b:1');
  let open = false;
  connection.onOpen = () => {
    open = true;
  };
  await w.until(() => open);
  await w.run({ untilMs: 10 });

  server.after(50, () => events.push('timer'));
  const cancelled = server.after(60, () => events.push('cancelled'));
  b.pause(100);
  server.disk.openLog('log', 4_096).write(0, [Buffer.from('x')], () => events.push('written'));
  for (let size = 1; size <= 5; size++) w.after(size * 20, () => connection.send(Buffer.alloc(size)));
  await w.run({ untilMs: 109 });
  expect(events).toEqual([]);
  cancelled.cancel();
  await w.run({ untilMs: 200 });
  // All but the last frame had come by 110; disk and timer take their places among them.
  expect(events).toEqual(['written', 'frame 1 at 110', 'frame 2 at 110', 'timer', 'frame 3 at 110', 'frame 4 at 110', 'frame 5 at 110']);
});

it('prolongs a pause, never shortens it, and crashes in it for good', async () => {
  const { world: w, a } = world();
  const ticks: number[] = [];
  const runtime = a.boot();
  for (const delayMs of [10, 50, 150]) runtime.after(delayMs, () => ticks.push(Math.round(w.nowMs)));
  a.pause(100);
  a.pause(20);
  w.after(60, () => a.pause(60));
  await w.run({ untilMs: 119 });
  expect(ticks).toEqual([]);
  await w.run({ untilMs: 130 });
  expect(ticks).toEqual([120, 120]);
  a.pause(100);
  w.after(50, () => a.crash());
  await w.runFor(1_000);
  expect(ticks).toEqual([120, 120]);
});

it('gives each incarnation a life of its own on one disk and clock', async () => {
  const { world: w, a } = world();
  const first = a.boot();
  expect(() => a.boot()).toThrow('a#1 already');
  const draws = [first.randomUint32(), first.randomUint32()];
  const earlierMs = first.clock.monotonicMs();
  await w.runFor(10);
  a.crash();
  const second = a.boot();
  expect(second.process.name).toBe('a#2');
  expect([second.randomUint32(), second.randomUint32()]).not.toEqual(draws);
  expect(second.clock.monotonicMs()).toBeGreaterThan(earlierMs);
});

it('has clocks that are skewed, drift and jump', async () => {
  const w = new World({ seed: 'clocks' });
  const exact = w.addHost('exact').boot();
  const fast = w.addHost('fast', { skewMs: 5_000, driftPpm: 1_000 });
  const runtime = fast.boot();
  expect(runtime.clock.wallMs() - exact.clock.wallMs()).toBe(5_000);
  const startMs = runtime.clock.monotonicMs();
  let firedMs = 0;
  runtime.after(100_000, () => {
    firedMs = w.nowMs;
  });
  await w.run({ untilMs: 100_000 });
  expect(runtime.clock.monotonicMs() - startMs).toBeCloseTo(100_100, 6);
  expect(runtime.clock.wallMs() - exact.clock.wallMs()).toBe(5_100);
  expect(firedMs).toBeGreaterThan(99_900);
  expect(firedMs).toBeLessThan(99_902);
  fast.clock.jump(-3_600_000);
  expect(runtime.clock.wallMs() - exact.clock.wallMs()).toBe(5_100 - 3_600_000);
  expect(runtime.clock.monotonicMs() - startMs).toBeCloseTo(100_100, 6);
  fast.clock.drift(0);
  await w.runFor(1_000);
  expect(runtime.clock.monotonicMs() - startMs).toBeCloseTo(101_100, 6);
});

it('goes on with the turn in which it was paused', async () => {
  const { world: w, a } = world();
  const turns: string[] = [];
  a.start((runtime) => {
    runtime.after(5, () => {
      runtime.defer(() => turns.push(`of ${Math.floor(runtime.process.turnMs)} at ${Math.floor(w.nowMs)}`));
      runtime.process.pause(10);
    });
    runtime.after(30, () => turns.push(`of ${Math.floor(runtime.process.turnMs)} at ${Math.floor(w.nowMs)}`));
  });
  await w.runFor(100);
  expect(turns).toEqual(['of 5 at 15', 'of 30 at 30']);
});
