import { expect, it } from 'vitest';
import type { LogFile } from '../../../node/runtime/runtime.ts';
import type { Current } from './conformance.ts';

const size = 64 * 1_024;

export function diskConformance(bench: Current): void {
  it('makes a log of zeros, and writes where it is told', async () => {
    const { disk } = bench().start('a');
    expect(disk.logs()).toEqual([]);
    const file = disk.openLog('0001', size);
    expect(disk.logs()).toEqual(['0001']);
    expect(await written(file, 1_000, [Buffer.from('one '), Buffer.from('two '), Buffer.alloc(0), Buffer.from('three')])).toBeUndefined();
    const expected = Buffer.alloc(size);
    expected.write('one two three', 1_000);
    expect(disk.readLog('0001').equals(expected)).toBe(true);
    file.close();
  });

  it('keeps what was written when another process opens it', async () => {
    const file = bench().start('a').disk.openLog('log', size);
    await written(file, 0, [Buffer.from('first')]);
    await written(file, 600, [Buffer.from('second')]);
    file.close();

    const { disk } = bench().start('a');
    expect(disk.logs()).toEqual(['log']);
    const again = disk.openLog('log', size);
    await written(again, 5, [Buffer.from('!')]);
    again.close();
    const content = disk.readLog('log');
    expect(content.length).toBe(size);
    expect(content.toString('utf8', 0, 6)).toBe('first!');
    expect(content.toString('utf8', 600, 606)).toBe('second');
  });

  it('fills a log up that is shorter than it should be, and shortens none', async () => {
    const { disk } = bench().start('a');
    const short = disk.openLog('log', 5_000);
    await written(short, 4_990, [Buffer.from('0123456789')]);
    short.close();
    const long = disk.openLog('log', size);
    await written(long, size - 1, [Buffer.from('z')]);
    long.close();
    const content = disk.readLog('log');
    expect(content.length).toBe(size);
    expect(content.toString('utf8', 4_990, 5_000)).toBe('0123456789');
    expect(content.subarray(5_000, size - 1).every((byte) => byte === 0)).toBe(true);
    const same = disk.openLog('log', 100);
    await written(same, 0, [Buffer.from('a')]);
    same.close();
    expect(disk.readLog('log').length).toBe(size);
  });

  it('writes more chunks at once than a system call takes', async () => {
    const { disk } = bench().start('a');
    const file = disk.openLog('log', size);
    await written(file, 10, Array.from({ length: 5_000 }, (_, i) => Buffer.from([i & 0xff, i >> 8])));
    file.close();
    const content = disk.readLog('log');
    for (let i = 0; i < 5_000; i++) expect(content.readUInt16LE(10 + 2 * i)).toBe(i);
  });

  it('allows one write at a time, and none once closed', async () => {
    const { disk } = bench().start('a');
    const file = disk.openLog('log', size);
    const first = written(file, 0, [Buffer.from('x')]);
    expect(() => file.write(1, [Buffer.from('y')], () => {})).toThrow('under way');
    await first;
    const last = written(file, 0, [Buffer.from('z')]);
    file.close();
    file.close();
    expect(() => file.write(1, [Buffer.from('y')], () => {})).toThrow('closed');
    await last;
    expect(disk.readLog('log')[0]).toBe('z'.charCodeAt(0));
  });

  it('lets the next write begin when the last one is done', async () => {
    const { disk } = bench().start('a');
    const file = disk.openLog('log', size);
    let position = 0;
    const next = (): void => {
      if (position < 20) file.write(position, [Buffer.from([++position])], next);
      else position = -1;
    };
    next();
    await bench().until(() => position === -1);
    file.close();
    expect([...disk.readLog('log').subarray(0, 21)]).toEqual([...Array.from({ length: 20 }, (_, i) => i + 1), 0]);
  });

  it('lists logs by name, renames and removes them, unless they are open', async () => {
    const { disk } = bench().start('a');
    const files = new Map<string, LogFile>();
    for (const name of ['b', 'c', 'a']) {
      const file = disk.openLog(name, 100);
      files.set(name, file);
      await written(file, 0, [Buffer.from(name)]);
    }
    expect(disk.logs()).toEqual(['a', 'b', 'c']);
    expect(() => disk.renameLog('a', 'd')).toThrow('open');
    expect(() => disk.removeLog('a')).toThrow('open');
    expect(() => disk.openLog('a', 100)).toThrow('open');
    for (const file of files.values()) file.close();
    disk.renameLog('a', 'd');
    disk.removeLog('b');
    expect(disk.logs()).toEqual(['c', 'd']);
    expect(disk.readLog('d').toString('utf8', 0, 1)).toBe('a');
    expect(() => disk.readLog('a')).toThrow();
    expect(() => disk.removeLog('a')).toThrow();
    expect(() => disk.renameLog('a', 'e')).toThrow();
    expect(bench().start('a').disk.logs()).toEqual(['c', 'd']);
  });

  it('gives a content that is the caller’s to keep and change', async () => {
    const { disk } = bench().start('a');
    const file = disk.openLog('log', 100);
    await written(file, 0, [Buffer.from('abc')]);
    const before = disk.readLog('log');
    before.write('xyz');
    expect(disk.readLog('log').toString('utf8', 0, 3)).toBe('abc');
    await written(file, 0, [Buffer.from('def')]);
    expect(before.toString('utf8', 0, 3)).toBe('xyz');
    file.close();
  });

  /** Resolves, when the write is done, with its error. It is never done in the turn in which it began. */
  async function written(file: LogFile, position: number, chunks: Uint8Array[]): Promise<Error | undefined> {
    let result: Error | 'pending' | undefined = 'pending';
    file.write(position, chunks, (error) => {
      result = error;
    });
    expect(result).toBe('pending');
    await bench().until(() => result !== 'pending');
    return result === 'pending' ? undefined : result;
  }
}
