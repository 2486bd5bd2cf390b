import { expect, it } from 'vitest';
import { EventQueue } from '../../sim/event-queue.ts';
import { Random } from '../../sim/random.ts';
import { Scheduler, StepBoundExceeded } from '../../sim/scheduler.ts';
import type { Actor, Event } from '../../sim/scheduler.ts';

const make = (stepsMax = 10_000): Scheduler => new Scheduler(stepsMax, () => 'the story');

function actor(usesPromises: boolean): Actor {
  return {
    name: 'actor',
    condition: 'running',
    usesPromises,
    hold() {},
    failed(error) {
      throw error;
    },
  };
}

it('keeps a queue in order through pushes, pops and cancellations', () => {
  const random = new Random('queue');
  for (let round = 0; round < 20; round++) {
    const queue = new EventQueue<{ atMs: number; sequence: number; cancelled: boolean }>();
    const waiting: { atMs: number; sequence: number; cancelled: boolean }[] = [];
    const popped: unknown[] = [];
    const expected: unknown[] = [];
    for (let sequence = 0; sequence < 600; sequence++) {
      const event = { atMs: random.below(50), sequence, cancelled: false };
      queue.push(event);
      waiting.push(event);
      if (random.chance(0.7)) {
        const victim = random.pick(waiting);
        if (!victim.cancelled) {
          victim.cancelled = true;
          queue.noteCancelled();
        }
      }
    }
    expected.push(...waiting.filter((event) => !event.cancelled).sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence));
    for (let event = queue.pop(); event !== undefined; event = queue.pop()) if (!event.cancelled) popped.push(event);
    expect(popped).toEqual(expected);
  }
});

it('forgets cancelled events long before their time', () => {
  const queue = new EventQueue<{ atMs: number; sequence: number; cancelled: boolean }>();
  for (let sequence = 0; sequence < 10_000; sequence++) {
    const event = { atMs: 60_000 + sequence, sequence, cancelled: false };
    queue.push(event);
    event.cancelled = true;
    queue.noteCancelled();
  }
  expect(queue.size).toBeLessThan(200);
});

it('does what is due by time, then by the order in which it was asked for', async () => {
  const scheduler = make();
  const done: string[] = [];
  const note = (delayMs: number, name: string): Event => scheduler.after(delayMs, null, () => done.push(`${name} at ${scheduler.nowMs}`));
  note(20, 'c');
  note(10, 'a');
  note(10, 'b');
  scheduler.cancel(note(15, 'never'));
  scheduler.after(10, null, () => note(0, 'after b'));
  expect(await scheduler.run({})).toBe('idle');
  expect(done).toEqual(['a at 10', 'b at 10', 'after b at 10', 'c at 20']);
  expect(() => note(-1, 'before')).toThrow(RangeError);
  expect(() => note(Infinity, 'never')).toThrow(RangeError);
});

it('stops at a time, at a condition, or when nothing is left', async () => {
  const scheduler = make();
  let ticks = 0;
  const tick = (): void => {
    ticks++;
    scheduler.after(10, null, tick);
  };
  scheduler.after(10, null, tick);
  expect(await scheduler.run({ untilMs: 35 })).toBe('time');
  expect([ticks, scheduler.nowMs]).toEqual([3, 35]);
  expect(await scheduler.run({ until: () => ticks === 7 })).toBe('condition');
  expect([ticks, scheduler.nowMs]).toEqual([7, 70]);
  expect(await make().run({ untilMs: 5 })).toBe('idle');
});

it('stops a run in circles, and tells the story', async () => {
  const scheduler = make(500);
  const again = (): void => void scheduler.after(0, null, again);
  again();
  const error: unknown = await scheduler.run({}).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StepBoundExceeded);
  expect(String(error)).toContain('500 steps');
  expect(String(error)).toContain('the story');
});

it('lets promises go on, however long their chains, before the next event', async () => {
  const scheduler = make();
  const done: string[] = [];
  const wait = async (name: string, hops: number): Promise<void> => {
    for (let i = 0; i < hops; i++) await null;
    done.push(name);
    scheduler.after(0, null, () => done.push(`${name} asked for this`));
  };
  const client = actor(true);
  scheduler.after(1, client, () => void wait('first', 200));
  scheduler.after(1, client, () => void wait('second', 3));
  scheduler.after(1, null, () => done.push('a node'));
  await scheduler.run({});
  expect(done).toEqual(['first', 'second', 'a node', 'first asked for this', 'second asked for this']);
});

it('lets promises that wait when a run begins go on first', async () => {
  const scheduler = make();
  const done: string[] = [];
  void Promise.resolve().then(() => Promise.resolve()).then(() => done.push('promise'));
  scheduler.after(0, null, () => done.push('event'));
  await scheduler.run({});
  expect(done).toEqual(['promise', 'event']);
});

it('passes on what an event throws, and can run again', async () => {
  const scheduler = make();
  scheduler.after(1, null, () => {
    throw new Error('a bug');
  });
  let later = false;
  scheduler.after(2, actor(false), () => {
    later = true;
  });
  await expect(scheduler.run({})).rejects.toThrow('a bug');
  await scheduler.run({});
  expect(later).toBe(true);
});

it('has one run at a time', async () => {
  const scheduler = make();
  const run = scheduler.run({ untilMs: 1 });
  expect(() => scheduler.run({})).toThrow('running already');
  await run;
});
