import { expect, it } from 'vitest';
import { tableKeyBytesMax } from '../../../node/runtime/runtime.ts';
import type { Put, Table } from '../../../node/runtime/runtime.ts';
import type { Current } from './conformance.ts';

export function tableConformance(bench: Current): void {
  it('gives what was written, and undefined for what was not or was removed', async () => {
    const table = open();
    expect(table.get(key('a'))).toBeUndefined();
    expect(await written(table, [[key('a'), key('1')], [key('b'), Buffer.alloc(0)]])).toBeUndefined();
    expect(table.get(key('a'))?.toString()).toBe('1');
    expect(table.get(key('b'))?.length).toBe(0);
    await written(table, [[key('a'), null], [key('never there'), null], [key('b'), key('2')]]);
    expect(table.get(key('a'))).toBeUndefined();
    expect(table.get(key('b'))?.toString()).toBe('2');
    await closed(table);
  });

  it('orders keys by their bytes', async () => {
    const table = open();
    const keys = [[0], [0, 0], [0, 255], [1], [127], [128], [128, 0, 1], [254, 255], [255], [255, 0], [255, 255, 255]].map((bytes) => Buffer.from(bytes));
    await written(table, [...keys].reverse().map((name): Put => [name, name]));
    const rows = [...table.range(Buffer.from([0]), Buffer.alloc(8, 255))];
    expect(rows.map((row) => row.key.toString('hex'))).toEqual(keys.map((name) => name.toString('hex')));
    expect(rows.map((row) => row.value.toString('hex'))).toEqual(keys.map((name) => name.toString('hex')));
    await closed(table);
  });

  it('gives a range from its first key up to, but not with, its last', async () => {
    const table = open();
    await written(table, ['b', 'd', 'f', 'h'].map((name): Put => [key(name), key(name)]));
    const range = (from: string, to: string): string => [...table.range(key(from), key(to))].map((row) => row.key.toString()).join('');
    expect(range('a', 'z')).toBe('bdfh');
    expect(range('b', 'f')).toBe('bd');
    expect(range('c', 'g')).toBe('df');
    expect(range('c', 'd')).toBe('');
    expect(range('d', 'd')).toBe('');
    expect(range('f', 'b')).toBe('');
    expect(range('i', 'z')).toBe('');
    const first = [];
    for (const row of table.range(key('a'), key('z'))) {
      first.push(row.key.toString());
      if (first.length === 2) break;
    }
    expect(first).toEqual(['b', 'd']);
    await closed(table);
  });

  it('iterates over the rows that were there when the iteration began', async () => {
    const table = open();
    await written(table, ['a', 'b', 'c'].map((name): Put => [key(name), key('old')]));
    const rows = table.range(key('a'), key('z'))[Symbol.iterator]();
    expect(rows.next().value?.key.toString()).toBe('a');
    await written(table, [[key('b'), key('new')], [key('c'), null], [key('d'), key('new')]]);
    expect(table.get(key('b'))?.toString()).toBe('new');
    const rest = [rows.next().value, rows.next().value].map((row) => `${row?.key.toString()} ${row?.value.toString()}`);
    expect(rest).toEqual(['b old', 'c old']);
    expect(rows.next().done).toBe(true);
    expect([...table.range(key('a'), key('z'))].map((row) => row.key.toString())).toEqual(['a', 'b', 'd']);
    await closed(table);
  });

  it('reads within an iteration and in two at once', async () => {
    const table = open();
    await written(table, Array.from({ length: 50 }, (_, i): Put => [key(String(i + 10)), key(`v${i + 10}`)]));
    const pairs: string[] = [];
    for (const outer of table.range(key('10'), key('14'))) {
      for (const inner of table.range(outer.key, key('14'))) pairs.push(`${outer.key.toString()}${table.get(inner.key)!.toString()}`);
      expect(outer.value.toString()).toBe(`v${outer.key.toString()}`);
    }
    expect(pairs).toEqual(['10v10', '10v11', '10v12', '10v13', '11v11', '11v12', '11v13', '12v12', '12v13', '13v13']);
    await closed(table);
  });

  it('keeps big values and long keys', async () => {
    const table = open();
    const sizes = [10, 4_096, 32_768, 32_769, 100_000, 600_000, 3_000];
    const longest = Buffer.alloc(tableKeyBytesMax, 7);
    await written(table, [...sizes.map((size): Put => [key(`k${size}`), bytes(size)]), [longest, key('long')]]);
    const values = sizes.map((size) => table.get(key(`k${size}`))!);
    for (const [i, size] of sizes.entries()) expect(values[i]!.equals(bytes(size))).toBe(true);
    for (const { key: name, value } of table.range(key('k'), key('l'))) expect(value.equals(bytes(Number(name.toString().slice(1))))).toBe(true);
    expect(table.get(longest)?.toString()).toBe('long');
    await closed(table);
  });

  it('gives buffers that are the caller’s to keep and change', async () => {
    const table = open();
    await written(table, [[key('a'), key('one')], [key('b'), bytes(50_000)]]);
    const [small, big] = [table.get(key('a'))!, table.get(key('b'))!];
    const [row] = [...table.range(key('a'), key('b'))];
    await written(table, [[key('a'), key('two')], [key('b'), Buffer.alloc(50_000)]]);
    for (let i = 0; i < 100; i++) table.get(key(i % 2 === 0 ? 'a' : 'b'));
    expect(small.toString()).toBe('one');
    expect(row?.value.toString()).toBe('one');
    expect(big.equals(bytes(50_000))).toBe(true);
    table.get(key('a'))!.write('xxx');
    expect(table.get(key('a'))?.toString()).toBe('two');
    await closed(table);
  });

  it('takes batches in order, and the last put of a key in each', async () => {
    const table = open();
    const done: number[] = [];
    for (let i = 0; i < 30; i++) {
      table.write([[key('n'), key('first')], [key(`k${i}`), key('x')], [key('n'), key(String(i))]], (error) => {
        expect(error).toBeUndefined();
        expect(Number(table.get(key('n'))!.toString())).toBeGreaterThanOrEqual(i);
        done.push(i);
      });
    }
    expect(done).toEqual([]);
    await bench().until(() => done.length === 30);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(table.get(key('n'))?.toString()).toBe('29');
    expect([...table.range(key('k'), key('l'))]).toHaveLength(30);
    await closed(table);
  });

  it('writes a batch of thousands of keys as one', async () => {
    const table = open();
    const puts = Array.from({ length: 3_000 }, (_, i): Put => [key(String(100_000 + i)), bytes(i % 200)]);
    let done = false;
    table.write(puts, () => {
      done = true;
    });
    const counts = new Set<number>();
    await bench().until(() => {
      counts.add([...table.range(key('1'), key('2'))].length);
      return done;
    });
    counts.delete(0);
    expect([...counts]).toEqual([3_000]);
    await closed(table);
  });

  it('writes nothing of a batch with a key that is empty or too long', async () => {
    const table = open();
    for (const bad of [Buffer.alloc(0), Buffer.alloc(tableKeyBytesMax + 1, 1)]) {
      expect(() => table.write([[key('a'), key('1')], [bad, key('2')], [key('c'), key('3')]], () => {})).toThrow(RangeError);
    }
    await written(table, [[key('d'), key('4')]]);
    expect([...table.range(key('a'), key('z'))].map((row) => row.key.toString())).toEqual(['d']);
    await closed(table);
  });

  it('is there for the next process, with all that was done', async () => {
    const table = open();
    await written(table, [[key('a'), key('1')], [key('b'), key('2')]]);
    await written(table, [[key('a'), null]]);
    await closed(table);
    const again = open();
    expect([...again.range(key('a'), key('z'))].map((row) => row.key.toString())).toEqual(['b']);
    await closed(again);
  });

  it('is open once, and closes when the writes under way have ended', async () => {
    const { disk } = bench().start('a');
    const table = disk.openTable();
    expect(() => disk.openTable()).toThrow('open already');
    const events: string[] = [];
    table.write([[key('a'), key('1')]], () => events.push('written'));
    table.close(() => events.push('closed'));
    await bench().until(() => events.includes('closed'));
    expect(events).toEqual(['written', 'closed']);
    const again = disk.openTable();
    expect(again.get(key('a'))?.toString()).toBe('1');
    await closed(again);
  });

  it('keeps copies of what was written before they began, while writes go on', async () => {
    const { disk } = bench().start('a');
    expect(disk.copies()).toEqual([]);
    const table = disk.openTable();
    await written(table, Array.from({ length: 500 }, (_, i): Put => [key(String(1_000 + i)), bytes(i)]));
    const events: string[] = [];
    table.copy('first', (size) => JSON.stringify({ isLarge: size > 100_000 }), { begun: () => events.push('begun'), done: (error) => events.push(error?.message ?? 'done') });
    expect(() => table.copy('second', () => '', { begun: () => {}, done: () => {} })).toThrow('already');
    await bench().until(() => events.length > 0);
    await written(table, [[key('late'), key('x')]]);
    await bench().until(() => events.length > 1);
    expect(events).toEqual(['begun', 'done']);
    expect(disk.copies()).toEqual([{ name: 'first', note: '{"isLarge":true}' }]);
    expect(() => table.copy('first', () => '', { begun: () => {}, done: () => {} })).toThrow('already');
    expect(table.get(key('late'))?.toString()).toBe('x');
    // Closing waits for a copy under way.
    table.copy('second', () => 'two', { begun: () => {}, done: () => events.push('copied') });
    table.close(() => events.push('closed'));
    await bench().until(() => events.includes('closed'));
    expect(events.slice(2)).toEqual(['copied', 'closed']);
    const next = bench().start('a').disk;
    expect(next.copies().map(({ name }) => name)).toEqual(['first', 'second']);
    next.removeCopy('first', (error) => events.push(error?.message ?? 'removed'));
    await bench().until(() => events.includes('removed'));
    expect(next.copies()).toEqual([{ name: 'second', note: 'two' }]);
  });

  function open(): Table {
    return bench().start('a').disk.openTable();
  }

  async function written(table: Table, puts: Put[]): Promise<Error | undefined> {
    let result: Error | 'pending' | undefined = 'pending';
    table.write(puts, (error) => {
      result = error;
    });
    expect(result).toBe('pending');
    await bench().until(() => result !== 'pending');
    return result === 'pending' ? undefined : result;
  }

  async function closed(table: Table): Promise<void> {
    let done = false;
    table.close(() => {
      done = true;
    });
    await bench().until(() => done);
  }
}

function key(text: string): Buffer {
  return Buffer.from(text);
}

function bytes(size: number): Buffer {
  return Buffer.alloc(size, `some bytes for ${size} `);
}
