import { describe, expect, it } from 'vitest';
import { aligned, headerBytes, payloadAt, scan, seal } from '../../../node/store/block.ts';

const block = (payload: string, segment: number, follows: number): Buffer => {
  const bytes = Buffer.concat([Buffer.alloc(headerBytes), Buffer.from(payload)]);
  seal(bytes, segment, follows);
  return bytes;
};

describe('blocks', () => {
  it('are found one behind the other, each on a multiple of 16 bytes', () => {
    const file = Buffer.alloc(1_024, 0xee);
    const payloads = ['a', 'twelve bytes', 'thirteen byte', 'x'.repeat(100)];
    let at = 0;
    const ends = payloads.map((payload) => {
      const bytes = block(payload, 7, at === 0 ? 4_711 : at);
      bytes.copy(file, at);
      at += aligned(bytes.length);
      return at;
    });
    expect(ends).toEqual([32, 64, 112, 240]);
    expect(scan(file, 7)).toEqual({ ends, follows: 4_711, stray: -1 });
    expect([0, ...ends.slice(0, -1)].map((start) => payloadAt(file, start).toString())).toEqual(payloads);
  });

  it('are valid at their own place alone: a copy of a journal inside a value is none', () => {
    const file = Buffer.alloc(1_024);
    block('first', 7, 0).copy(file, 0);
    block('second', 7, 32).copy(file, 32);
    file.copy(file, 256, 0, 64);
    expect(scan(file, 7)).toEqual({ ends: [32, 64], follows: 0, stray: -1 });
  });

  it('of another use of the file are none', () => {
    const file = Buffer.alloc(1_024);
    block('first', 7, 0).copy(file, 0);
    block('second', 6, 32).copy(file, 32);
    expect(scan(file, 7)).toEqual({ ends: [32], follows: 0, stray: -1 });
    expect(scan(file, 6)).toEqual({ ends: [], follows: -1, stray: 32 });
    expect(scan(file, 5)).toEqual({ ends: [], follows: -1, stray: -1 });
  });

  it('that end behind the end of the file are none', () => {
    const whole = block('x'.repeat(50), 1, 0);
    for (let cut = 0; cut < whole.length; cut++) expect(scan(whole.subarray(0, cut), 1).ends).toEqual([]);
    expect(scan(whole, 1).ends).toEqual([80]);
  });
});
