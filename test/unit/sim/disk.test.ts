import { expect, it } from 'vitest';
import type { LogFile, Put, Table } from '../../../node/runtime/runtime.ts';
import { World } from '../../sim/world.ts';
import type { Host } from '../../sim/world.ts';
import type { SimRuntime } from '../../sim/runtime.ts';

const size = 16 * 1_024;

function machine(seed: string | number = 'disk'): { world: World; host: Host; runtime: SimRuntime } {
  const world = new World({ seed });
  const host = world.addHost('a');
  return { world, host, runtime: host.boot() };
}

async function write(world: World, file: LogFile, position: number, bytes: Buffer): Promise<Error | undefined> {
  let result: Error | 'pending' | undefined = 'pending';
  file.write(position, [bytes], (error) => {
    result = error;
  });
  await world.until(() => result !== 'pending');
  return result === 'pending' ? undefined : result;
}

async function commit(world: World, table: Table, puts: Put[]): Promise<Error | undefined> {
  let result: Error | 'pending' | undefined = 'pending';
  table.write(puts, (error) => {
    result = error;
  });
  await world.until(() => result !== 'pending');
  return result === 'pending' ? undefined : result;
}

const key = (text: string): Buffer => Buffer.from(text);

it('keeps what was done, and of a write that a crash cuts whatever a drive may leave', async () => {
  const kinds = new Map<string, number>();
  for (let seed = 0; seed < 200; seed++) {
    const { world, host, runtime } = machine(seed);
    const file = runtime.disk.openLog('log', size);
    const before = Buffer.alloc(700, 'b');
    await write(world, file, 100, before);
    const torn = Buffer.alloc(3_000, 't');
    let acknowledged = false;
    file.write(800, [torn], () => {
      acknowledged = true;
    });
    host.crash();
    await world.runFor(1_000);
    expect(acknowledged).toBe(false);

    const content = host.boot().disk.readLog('log');
    expect(content.length).toBe(size);
    expect(content.subarray(100, 800).equals(before)).toBe(true);
    expect(content.subarray(3_800).every((byte) => byte === 0)).toBe(true);
    const written = [...content.subarray(800, 3_800)].map((byte) => byte !== 0);
    const count = written.filter(Boolean).length;
    const isPrefix = written.indexOf(false) === count;
    const kind = count === 0 ? 'nothing' : count === 3_000 ? 'everything' : isPrefix ? 'prefix' : 'sectors';
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kind !== 'sectors') continue;
    const cuts = written.flatMap((there, i) => (i > 0 && there !== written[i - 1] ? [800 + i] : []));
    expect(cuts.filter((byte) => byte % 512 !== 0)).toEqual([]);
  }
  expect([...kinds.keys()].sort()).toEqual(['everything', 'nothing', 'prefix', 'sectors']);
  expect(Math.min(...kinds.values())).toBeGreaterThan(20);
});

it('tears an overwritten log between its old bytes and the new ones', async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const { world, host, runtime } = machine(`overwrite ${seed}`);
    const file = runtime.disk.openLog('log', size);
    await write(world, file, 0, Buffer.alloc(size, 'o'));
    file.write(0, [Buffer.alloc(size, 'n')], () => {});
    host.crash();
    for (const letter of new Set(host.boot().disk.readLog('log').toString())) seen.add(letter);
  }
  expect([...seen].sort()).toEqual(['n', 'o']);
});

it('leaves a log short when the crash comes while it is made, and fills it up later', async () => {
  const lengths = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const { world, host, runtime } = machine(`fill ${seed}`);
    runtime.disk.openLog('log', size);
    host.crash();
    const { disk } = host.boot();
    expect(disk.logs()).toEqual(['log']);
    const length = disk.readLog('log').length;
    lengths.add(length);
    const file = disk.openLog('log', size);
    expect(await write(world, file, 0, key('x'))).toBeUndefined();
    expect(disk.readLog('log').length).toBe(size);
  }
  expect(lengths.size).toBeGreaterThan(2);
});

it('leaves a prefix of the batches under way at a crash, each whole', async () => {
  const outcomes = new Set<number>();
  for (let seed = 0; seed < 60; seed++) {
    const { world, host, runtime } = machine(`table ${seed}`);
    const table = runtime.disk.openTable();
    const batch = (number: number): Put[] => Array.from({ length: 20 }, (_, i) => [key(`k${i}`), key(String(number))] as const);
    await commit(world, table, batch(0));
    let acknowledged = 0;
    const count = (): void => {
      acknowledged++;
    };
    // The first begins at once; the others wait for the next commit and are one with it.
    for (const number of [1, 2, 3]) table.write(batch(number), count);
    if (seed % 2 === 1) await world.until(() => acknowledged === 1);
    host.crash();
    await world.runFor(100);
    expect(acknowledged).toBe(seed % 2);
    const again = host.boot().disk.openTable();
    const values = new Set(Array.from({ length: 20 }, (_, i) => again.get(key(`k${i}`))!.toString()));
    expect(values.size).toBe(1);
    const last = Number([...values][0]);
    expect(last).toBeGreaterThanOrEqual(acknowledged);
    outcomes.add(last);
  }
  expect([...outcomes].sort()).toEqual([0, 1, 2, 3]);
});

it('tells who watches of each commit before its writer, who may be dead by then', async () => {
  const { world, host, runtime } = machine();
  const table = runtime.disk.openTable();
  const seen: string[] = [];
  let left = 1;
  host.disk.watchCommits((end) => {
    seen.push('commit');
    if (left-- > 0) return;
    end();
    host.crash();
  });
  table.write([[key('a'), key('1')]], () => {
    seen.push('written');
    table.write([[key('a'), key('2')]], () => seen.push('written'));
    table.write([[key('b'), key('2')]], () => seen.push('written'));
  });
  await world.runFor(100);
  expect(seen).toEqual(['commit', 'written', 'commit']);
  const again = host.boot().disk.openTable();
  expect(again.get(key('a'))).toEqual(key('2'));
  expect(await commit(world, again, [[key('c'), key('3')]])).toBeUndefined();
  expect(seen).toHaveLength(3);
});

it('fails writes when told to, and a log that failed stays failed', async () => {
  const { world, host, runtime } = machine();
  const file = runtime.disk.openLog('log', size);
  const table = runtime.disk.openTable();
  await write(world, file, 0, key('good'));
  host.disk.faults.logFailureChance = 1;
  host.disk.faults.tableFailureChance = 1;
  expect(await write(world, file, 512, key('bad'))).toBeInstanceOf(Error);
  expect(await commit(world, table, [[key('a'), key('1')]])).toBeInstanceOf(Error);
  host.disk.faults.logFailureChance = 0;
  host.disk.faults.tableFailureChance = 0;
  expect(await write(world, file, 512, key('late'))).toBeInstanceOf(Error);
  expect(runtime.disk.readLog('log').toString('utf8', 0, 4)).toBe('good');
  expect(table.get(key('a'))).toBeUndefined();
  expect(await commit(world, table, [[key('a'), key('2')]])).toBeUndefined();
  file.close();
  expect(await write(world, runtime.disk.openLog('log', size), 512, key('new'))).toBeUndefined();
});

it('takes nothing new when it is full, but writes into what there is', async () => {
  const { world, host, runtime } = machine();
  const old = runtime.disk.openLog('old', size);
  const table = runtime.disk.openTable();
  await write(world, old, 0, key('x'));
  host.disk.faults.full = true;
  expect(await write(world, old, 100, key('y'))).toBeUndefined();
  expect(await write(world, runtime.disk.openLog('new', size), 0, key('z'))).toBeInstanceOf(Error);
  expect(await commit(world, table, [[key('a'), key('1')]])).toBeInstanceOf(Error);
  expect(await write(world, old, size - 1, key('yz'))).toBeInstanceOf(Error);
});

it('is slow when told to be', async () => {
  const { world, host, runtime } = machine();
  const file = runtime.disk.openLog('log', size);
  await write(world, file, 0, key('x'));
  const fastSinceMs = world.nowMs;
  await write(world, file, 0, key('x'));
  const fastMs = world.nowMs - fastSinceMs;
  host.disk.faults.delayMs = 1_000;
  const slowSinceMs = world.nowMs;
  await write(world, file, 0, key('x'));
  expect(fastMs).toBeLessThan(900);
  expect(world.nowMs - slowSinceMs).toBeGreaterThan(1_000);
});

it('rots by the bit, in a log and in the table', async () => {
  const { world, host, runtime } = machine();
  const file = runtime.disk.openLog('log', size);
  const table = runtime.disk.openTable();
  await write(world, file, 0, Buffer.from([0b1000]));
  await commit(world, table, [[key('a'), Buffer.from([1, 2])], [key('b'), Buffer.from([3, 4])]]);
  const value = table.get(key('b'))!;
  const image = host.disk.image();
  host.disk.flipLogBit('log', 0, 0);
  host.disk.flipTableBit(1, 1, 7);
  expect(runtime.disk.readLog('log')[0]).toBe(0b1001);
  expect([...table.get(key('b'))!]).toEqual([3, 132]);
  expect([...value]).toEqual([3, 4]);
  expect([...table.get(key('a'))!]).toEqual([1, 2]);
  expect([...image.table.get(key('b'))!]).toEqual([3, 4]);
  expect(image.logs.get('log')![0]).toBe(0b1000);
  expect(() => host.disk.flipLogBit('none', 0, 0)).toThrow(RangeError);
  expect(() => host.disk.flipTableBit(2, 0, 0)).toThrow(RangeError);
});

it('goes back to an image, and forgets everything, while nobody has it mounted', async () => {
  const { world, host, runtime } = machine();
  const file = runtime.disk.openLog('log', size);
  const table = runtime.disk.openTable();
  await write(world, file, 0, key('old'));
  await commit(world, table, [[key('a'), key('old')]]);
  const image = host.disk.image();
  await write(world, file, 0, key('new'));
  await commit(world, table, [[key('a'), key('new')]]);
  expect(() => host.disk.restore(image)).toThrow('mounted by a#1');
  host.crash();
  host.disk.restore(image);
  const second = host.boot();
  expect(second.disk.readLog('log').toString('utf8', 0, 3)).toBe('old');
  expect(second.disk.openTable().get(key('a'))?.toString()).toBe('old');
  const again = second.disk.openLog('log', size);
  await write(world, again, 0, key('newer'));
  host.crash();
  host.disk.restore(image);
  expect(host.boot().disk.readLog('log').toString('utf8', 0, 3)).toBe('old');
  host.crash();
  host.disk.wipe();
  const last = host.boot();
  expect(last.disk.logs()).toEqual([]);
  expect(last.disk.openTable().get(key('a'))).toBeUndefined();
});

it('catches a writer that changes a buffer under way', async () => {
  const first = machine();
  const bytes = key('abc');
  first.runtime.disk.openLog('log', size).write(0, [bytes], () => {});
  bytes[0] = 0;
  // The write begins when the log is made; what was given then is what counts.
  await expect(first.world.runFor(100)).rejects.toThrow('changed while it was written');

  const second = machine();
  const value = key('abc');
  second.runtime.disk.openTable().write([[key('k'), value]], () => {});
  value[0] = 0;
  await expect(second.world.runFor(100)).rejects.toThrow('changed while it was written');
});

it('ignores what a ghost does to it', async () => {
  const { world, host, runtime } = machine();
  const { disk } = runtime;
  const file = disk.openLog('log', size);
  const table = disk.openTable();
  await write(world, file, 0, key('x'));
  file.close();
  host.crash();
  const before = host.disk.image();
  disk.openLog('ghost', size).write(0, [key('x')], () => {});
  disk.renameLog('log', 'moved');
  disk.removeLog('log');
  table.write([[key('a'), key('1')]], () => {});
  await world.runFor(100);
  const after = host.disk.image();
  expect([...after.logs.keys()]).toEqual(['log']);
  expect(after.logs.get('log')!.equals(before.logs.get('log')!)).toBe(true);
  expect(after.table.rows).toEqual([]);
});
