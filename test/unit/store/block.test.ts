import { describe, expect, it } from 'vitest';
import { blockBytes, payloadAt, scan, seal, sectorBytes } from '../../../node/store/block.ts';

const block = (payload: string, segment: number, follows: number): Buffer => seal(Buffer.from(payload), segment, { sequence: follows < 4_096 ? segment : segment - 1, offset: follows });
const nothing = { ends: [], follows: null, stray: -1, spoilt: false, unused: true };

describe('blocks', () => {
  it('are found one behind the other, each in sectors of its own', () => {
    const file = Buffer.alloc(5_120, 0xee);
    const payloads = ['a', 'x'.repeat(484), 'y'.repeat(485), 'z'.repeat(1_100)];
    let at = 0;
    const ends = payloads.map((payload) => {
      const bytes = block(payload, 7, at === 0 ? 4_711 : at);
      expect(bytes).toHaveLength(blockBytes(payload.length));
      bytes.copy(file, at);
      at += bytes.length;
      return at;
    });
    expect(ends).toEqual([512, 1_024, 2_048, 3_584]);
    expect(scan(file, 7)).toEqual({ ends, follows: { sequence: 6, offset: 4_711 }, stray: -1, spoilt: false, unused: false });
    expect([0, ...ends.slice(0, -1)].map((start) => payloadAt(file, start).toString())).toEqual(payloads);
  });

  it('are valid at their own place alone: a copy of a journal inside a value is none', () => {
    const file = Buffer.alloc(5_120);
    block('first', 7, 0).copy(file, 0);
    block('second', 7, 512).copy(file, 512);
    file.copy(file, 2_048, 0, 1_024);
    expect(scan(file, 7)).toMatchObject({ ends: [512, 1_024], follows: { sequence: 7, offset: 0 }, stray: -1, spoilt: false });
  });

  it('of another use of the file are none', () => {
    const file = Buffer.alloc(2_048);
    block('first', 7, 0).copy(file, 0);
    block('second', 6, 512).copy(file, 512);
    expect(scan(file, 7)).toEqual({ ends: [512], follows: { sequence: 7, offset: 0 }, stray: -1, spoilt: false, unused: false });
    expect(scan(file, 6)).toEqual({ ends: [], follows: null, stray: 512, spoilt: false, unused: false });
    expect(scan(file, 5)).toEqual(nothing);
  });

  it('that end behind the end of the file are none', () => {
    const whole = block('x'.repeat(700), 1, 0);
    for (let cut = 0; cut < whole.length; cut++) expect(scan(whole.subarray(0, cut), 1)).toMatchObject({ ends: [], spoilt: false });
    expect(scan(whole, 1).ends).toEqual([1_024]);
  });

  it('whatever of their sectors a crash left out, are torn; whatever bit has changed, are spoilt or still good', () => {
    for (const before of [Buffer.alloc(2_048), Buffer.concat([block('o'.repeat(1_400), 3, 0), Buffer.alloc(512)]), block('p'.repeat(1_900), 8, 77)]) {
      const written = block('n'.repeat(1_400), 9, 33);
      for (let left = 0; left < 8; left++) {
        const file = Buffer.from(before);
        for (let sector = 0; sector < 3; sector++) if ((left >> sector) & 1) written.copy(file, sector * sectorBytes, sector * sectorBytes, (sector + 1) * sectorBytes);
        expect(scan(file, 9)).toMatchObject({ ends: left === 7 ? [1_536] : [], spoilt: false, unused: left === 0 });
      }
      const file = Buffer.from(before);
      written.copy(file, 0);
      let good = 0;
      for (let bit = 0; bit < written.length * 8; bit++) {
        file[bit >> 3]! ^= 1 << (bit & 7);
        const { ends, spoilt } = scan(file, 9);
        expect(spoilt).toBe(ends.length === 0);
        if (!spoilt) good++;
        file[bit >> 3]! ^= 1 << (bit & 7);
      }
      // Stamps and what fills up the last sector.
      expect(good).toBe((written.length - 1_424) * 8);
    }
  });
});
