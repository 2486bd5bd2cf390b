import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryLocked, lockDirectory } from '../../../node/runtime/directory-lock.ts';
import { RealDisk } from '../../../node/runtime/real-disk.ts';
import { fatalExitCode } from '../../../node/runtime/real.ts';
import { realBench, temporaryDirectory, until } from './bench.ts';
import { ChildRunner } from './child.ts';

const compiled = temporaryDirectory();
const children = new ChildRunner(compiled.path);
afterAll(() => compiled.remove());

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

// The second way is taken on systems without abstract sockets; it works on any Unix.
describe.each(['linux', 'darwin'] as const)('a data directory’s lock (%s)', (platform) => {
  it('is had by one at a time, and again when it was released', async () => {
    const lock = await lockDirectory(directory.path, platform);
    const refused: unknown = await lockDirectory(directory.path, platform).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(DirectoryLocked);
    expect(String(refused)).toContain(directory.path);
    await lock.release();
    const again = await lockDirectory(directory.path, platform);
    await again.release();
  });

  it('is refused to another process, and free once its holder was killed', async () => {
    const holder = children.run('lock-holder.ts', directory.path, platform);
    await holder.printed(1);
    expect(holder.lines).toEqual(['locked']);
    await expect(lockDirectory(directory.path, platform)).rejects.toBeInstanceOf(DirectoryLocked);
    const second = children.run('lock-holder.ts', directory.path, platform);
    await second.printed(1);
    expect(second.lines).toEqual(['DirectoryLocked']);
    for (const child of [second, holder]) {
      child.kill();
      expect(await child.ended).toBe('SIGKILL');
    }
    const lock = await lockDirectory(directory.path, platform);
    await lock.release();
  });

  it('is the directory’s own, by whichever path', async () => {
    const lock = await lockDirectory(`${directory.path}/new/one`, platform);
    await expect(lockDirectory(`${directory.path}/new/../new/one/`, platform)).rejects.toBeInstanceOf(DirectoryLocked);
    const other = await lockDirectory(`${directory.path}/new/two`, platform);
    await other.release();
    await lock.release();
  });
});

describe('a killed process', () => {
  it('leaves each table batch whole or not at all, and all that were done', async () => {
    for (let round = 0; round < 3; round++) {
      const path = `${directory.path}/${round}`;
      const writer = children.run('table-writer.ts', path);
      await writer.printed(5 + 20 * round);
      writer.kill();
      expect(await writer.ended).toBe('SIGKILL');
      const table = new RealDisk(path).openTable();
      const numbers = new Set(Array.from({ length: 200 }, (_, key) => Number(table.get(Buffer.from(`key ${key}`))?.toString('utf8', 0, 10))));
      expect(numbers.size).toBe(1);
      expect([...numbers][0]).toBeGreaterThanOrEqual(Number(writer.lines.at(-1)));
      let closed = false;
      table.close(() => {
        closed = true;
      });
      await until(() => closed);
    }
  });

  it('leaves each log write that was done', async () => {
    const writer = children.run('log-writer.ts', directory.path);
    await writer.printed(300);
    writer.kill();
    expect(await writer.ended).toBe('SIGKILL');
    const content = new RealDisk(directory.path).readLog('log');
    expect(content.length).toBe(1_024 * 1_024);
    expect(writer.lines.length).toBeGreaterThanOrEqual(300);
    for (const line of writer.lines) expect(content.readDoubleLE(Number(line) * 8)).toBe(Number(line));
  });
});

it('goes on after a short write, and reports the error that follows', async () => {
  const child = children.runLimited(64, 'limited-writer.ts', directory.path);
  expect(await child.ended).toBe(0);
  const [first, second] = child.lines.splice(-2);
  expect(first).toMatch(/^error .*EFBIG/);
  expect(second).toBe(first);
  expect(child.lines.length).toBeGreaterThan(5);
  const content = new RealDisk(directory.path).readLog('log');
  expect(content.length).toBeGreaterThan(child.lines.length * 3_001);
  expect(content.subarray(0, child.lines.length * 3_001).every((byte) => byte === 1)).toBe(true);
});

it('reports a table that can’t grow, with the reason, and keeps what was written', async () => {
  const child = children.runLimited(512, 'limited-table.ts', directory.path);
  expect(await child.ended).toBe(0);
  const [failure, again, once, closed] = child.lines.splice(-4);
  expect([again, once]).toEqual([failure, failure]);
  expect(child.lines.length).toBeGreaterThan(5);
  for (const [i, line] of child.lines.entries()) expect(line).toBe(`10 of batch ${i}: done`);
  expect(failure).toMatch(/^0 of batch \d+: the table could not be written: .*(input\/output error|file too large)/i);
  expect(closed).toBe('closed');
  const table = new RealDisk(directory.path).openTable();
  expect([...table.range(Buffer.from('0'), Buffer.from('a'))]).toHaveLength(child.lines.length * 10);
  let isClosed = false;
  table.close(() => {
    isClosed = true;
  });
  await until(() => isClosed);
});

it.each(['json', 'readable'] as const)('says why it stops itself, and with which code (%s)', async (format) => {
  const child = children.run('fatal.ts', directory.path, format);
  expect(await child.ended).toBe(fatalExitCode);
  expect(child.lines).toHaveLength(1_001);
  const last = child.lines.at(-1)!;
  expect(last).toContain('the journal cannot be trusted');
  if (format === 'json') expect(JSON.parse(last)).toMatchObject({ level: 60, node: 'n1', segment: 7, msg: 'the journal cannot be trusted' });
  else expect(last).toMatch(/FATAL.*n1.*segment.*7/);
});

it('ends by itself when a client has closed what it opened', async () => {
  const bench = await realBench();
  const url = await bench.address('a');
  let listening = false;
  bench.start('a').listen(url, () => {}, () => {
    listening = true;
  });
  await until(() => listening);
  const child = children.run('closed-client.ts', url);
  expect(await child.ended).toBe(0);
  expect(child.lines).toEqual(['closed, with 0 timers left']);
  await bench.dispose();
});
