/**
 * Hostile bytes at each door of the wire. Whatever they are: a refusal with a short reason, nothing else thrown, no
 * prototype touched, and no memory out of proportion. Seeded, so a failure repeats.
 */
import { Packr } from 'msgpackr';
import { afterEach, describe, expect, it } from 'vitest';
import { BadFrame, decodeBody, decodeFrame, encodeBody, encodeFrame } from '../../client/wire/codec.ts';
import { isErrorCode } from '../../client/wire/errors.ts';
import { limits } from '../../client/wire/limits.ts';
import { Tag } from '../../client/wire/messages.ts';
import type { Hello, Message, Welcome } from '../../client/wire/messages.ts';
import { protocolVersion, Session, sessionDefaults } from '../../client/wire/session.ts';
import type { SessionEnd } from '../../client/wire/session.ts';
import { decodeValue, encodeValue } from '../../client/wire/values.ts';
import { validateView } from '../../client/wire/view-check.ts';
import { FakeEnvironment } from '../unit/wire/fake-environment.ts';
import { allSamples } from '../unit/wire/samples.ts';

/** Mulberry32: small, quick, and the same everywhere. */
class Chance {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Tokens whose counts and lengths a decoder may believe. */
const greedy = [0x91, 0x9f, 0x81, 0xc4, 0xc6, 0xc7, 0xc9, 0xd4, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff, 0x00, 0x42, 0x4d, 0x53, 0x62, 0x69, 0x70, 0x72, 0x74, 0x78];

function mutated(chance: Chance, original: Uint8Array): Uint8Array {
  let bytes = Buffer.from(original);
  for (let times = 1 + chance.below(4); times > 0; times--) {
    const at = chance.below(bytes.length + 1);
    switch (chance.below(6)) {
      case 0: bytes = Buffer.concat([bytes.subarray(0, at), Buffer.of(chance.pick(greedy)), bytes.subarray(at)]); break;
      case 1: bytes = Buffer.from(bytes.subarray(0, at)); break;
      case 2: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + chance.below(8)))]); break;
      case 3: bytes = Buffer.concat([bytes, bytes.subarray(chance.below(bytes.length + 1))]); break;
      default: if (at < bytes.length) bytes[at] = chance.below(2) === 0 ? chance.below(256) : chance.pick(greedy);
    }
  }
  return bytes;
}

const key = '\x02alice\0';
const view = { epoch: 1, cluster: 'bank', partitions: 1_024, replicationFactor: 1, members: [{ id: 'n1', url: 'ws://127.0.0.1:7101', weight: 1, zone: null }] };
const value = { n: [1, -2, 1.5, 2n ** 80n], when: new Date(5), map: new Map([[new Set(['a']), undefined]]), bytes: Uint8Array.of(1, 2), 'größe': null };
const packr = new Packr({ useRecords: false, moreTypes: true, structuredClone: true });
const circular: unknown[] = [];
circular.push(circular);

const frames = [...allSamples.map((message) => encodeFrame([message])), encodeFrame(allSamples), packr.pack([[Tag.statusIs, 1, circular]]), packr.pack([[Tag.statusIs, 1, /(x+)+y/]])];
const bodies = [encodeBody([[], []]), encodeBody([[key, 1], [key, Uint8Array.of(1), key, null]])];
const values = [encodeValue(value), encodeValue('x'.repeat(300)), encodeValue([[[[1n]]]]), packr.pack(circular), packr.pack([new Error('x'), /x/, new Float64Array(3)])];

interface Door {
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly originals: readonly Uint8Array[];
}
const doors: Record<string, Door> = {
  frame: { decode: decodeFrame, originals: frames },
  body: { decode: decodeBody, originals: bodies },
  value: { decode: decodeValue, originals: values },
};

/** Decodes; a refusal must be a BadFrame whose words may go to a log. True if the bytes were taken. */
function taken(decode: Door['decode'], bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof BadFrame)) throw new Error(`${String(error)} for ${Buffer.from(bytes.subarray(0, 200)).toString('hex')}`, { cause: error });
    expect(error.message.length).toBeLessThan(200);
    return false;
  }
}

const prototypeMembers = (): string => [Object.prototype, Array.prototype, Function.prototype].map((prototype) => Reflect.ownKeys(prototype).map(String).join()).join('|');
const before = prototypeMembers();
afterEach(() => expect(prototypeMembers()).toBe(before));

describe.each(Object.entries(doors))('the decoder of a %s', (_name, { decode, originals }) => {
  it('takes what it should', () => {
    expect(originals.filter((bytes) => taken(decode, bytes)).length).toBeGreaterThan(1);
  });

  it('withstands random bytes', () => {
    const chance = new Chance(1);
    for (let i = 0; i < 8_000; i++) taken(decode, chance.bytes(chance.below(i % 10 === 0 ? 2_000 : 40)));
  });

  it('withstands sequences of greedy tokens', () => {
    const chance = new Chance(2);
    for (let i = 0; i < 8_000; i++) taken(decode, Uint8Array.from({ length: chance.below(60) }, () => chance.pick(greedy)));
  });

  it('withstands well-formed bytes with mutations, some of which it takes', () => {
    const chance = new Chance(3);
    let count = 0;
    for (let i = 0; i < 15_000; i++) if (taken(decode, mutated(chance, chance.pick(originals)))) count++;
    expect(count).toBeGreaterThan(10);
  });

  it('withstands every prefix and every single byte changed to every greedy token', () => {
    for (const original of originals.filter((bytes) => bytes.length < 400)) {
      for (let at = 0; at < original.length; at++) {
        expect(taken(decode, original.subarray(0, at))).toBe(false);
        for (const token of greedy) taken(decode, Buffer.concat([original.subarray(0, at), Buffer.of(token), original.subarray(at + 1)]));
      }
    }
  });

  it('withstands the deepest and widest that fit, without memory out of proportion', () => {
    for (const size of [limits.valueBytesMax, limits.frameBytesMax]) {
      const filled = (...pattern: number[]): Buffer => Buffer.alloc(size, Buffer.from(pattern));
      /** An array that holds as many of the pattern as there is room for. */
      const array = (...pattern: number[]): Buffer => {
        const count = Math.floor((size - 5) / pattern.length);
        const head = Buffer.of(0xdd, 0, 0, 0, 0);
        head.writeUInt32BE(count, 1);
        return Buffer.concat([head, Buffer.alloc(count * pattern.length, Buffer.from(pattern))]);
      };
      const hostile = [
        ...[0x91, 0x9f, 0x81, 0x8f, 0x90, 0xc0, 0xa0, 0xd4, 0xdd, 0xdf, 0xc9, 0xc1].map((token) => filled(token)),
        ...[[0x90], [0x80], [0xc0], [0xa0], [0xa1, 0xff], [0xc4, 0], [0xd4, 0, 0], [0xd4, 0x42, 1], [0xd4, 0x53, 0x90], [0xc7, 0, 0x42]].map((pattern) => array(...pattern)),
        // Maps within maps, each claiming all that is left: quadratic, if somebody copies.
        filled(0xc9, 0x00, 0x07, 0xff, 0xf0, 0x4d, 0x91),
      ];
      for (const bytes of hostile) {
        const [heapBefore, startMs] = [process.memoryUsage(), performance.now()];
        taken(decode, bytes);
        const heapAfter = process.memoryUsage();
        expect(heapAfter.heapUsed + heapAfter.arrayBuffers - heapBefore.heapUsed - heapBefore.arrayBuffers).toBeLessThan(40 * limits.frameBytesMax);
        // A tenth of a second is plenty even on a busy machine; what is quadratic takes minutes.
        expect(performance.now() - startMs).toBeLessThan(10_000);
      }
    }
  });
});

describe('the check of a view', () => {
  const parts = [null, undefined, 0, -1, 1.5, 2 ** 53, NaN, '', 'n1', '__proto__', 'x'.repeat(1_000), 'ws://h', [], {}, [[]], true, new Map(), new Uint8Array(3), 1n, view, view.members];

  it('withstands views with anything in the place of anything', () => {
    const chance = new Chance(4);
    const outcomes = { taken: 0, refused: 0 };
    for (let i = 0; i < 10_000; i++) {
      const member: Record<string, unknown> = { ...view.members[0] };
      const whole: Record<string, unknown> = { ...view, members: [member] };
      for (let times = chance.below(3); times > 0; times--) {
        const target = chance.below(2) === 0 ? member : whole;
        target[chance.pick(Object.keys(target))] = chance.pick(parts);
      }
      const result = validateView(chance.below(50) === 0 ? chance.pick(parts) : whole);
      if (typeof result === 'string') {
        outcomes.refused++;
        expect(result.length).toBeLessThan(200);
      } else {
        outcomes.taken++;
        expect(Object.keys(result)).toEqual(Object.keys(view));
      }
    }
    expect(Math.min(outcomes.taken, outcomes.refused)).toBeGreaterThan(100);
  });
});

describe('an accepted session', () => {
  const hello: Hello = [Tag.hello, protocolVersion, 'bank', null, null, 0, 0, 0, 0, 'n1'];
  const welcome: Welcome = [Tag.welcome, protocolVersion, 'bank', 'n1', 'store-1', 1, 0, 5, 512, view];
  const good: Message = [Tag.giveUp, 1];

  /** What became of a session whose peer sent these frames one after another, and what it answered. */
  function talk(sent: readonly Uint8Array[]): { ends: SessionEnd[]; answers: Message[]; timers: number } {
    const environment = new FakeEnvironment();
    const [peer, connection] = environment.pair();
    const ends: SessionEnd[] = [];
    Session.accept(environment, connection, () => welcome, sessionDefaults, { opened: () => {}, received: () => {}, closed: (_session, end) => void ends.push(end) });
    const answers: Message[] = [];
    peer.onFrame = (frame) => void answers.push(...decodeFrame(frame));
    peer.opened();
    connection.opened();
    for (const frame of sent) peer.send(frame);
    environment.settle();
    return { ends, answers, timers: environment.timers };
  }

  it('ends on the first bad frame, says so, and keeps nothing', () => {
    const chance = new Chance(5);
    let ended = 0;
    for (let i = 0; i < 2_500; i++) {
      const bad = chance.below(3) === 0 ? chance.bytes(chance.below(60)) : mutated(chance, chance.pick(frames));
      const script = [[bad], [encodeFrame([hello]), bad], [encodeFrame([hello]), encodeFrame([good]), bad, encodeFrame([good])], [mutated(chance, encodeFrame([hello])), bad]];
      const { ends, answers, timers } = talk(chance.pick(script));
      expect(ends.length).toBeLessThanOrEqual(1);
      for (const { code, message } of ends) {
        ended++;
        expect(timers).toBe(0);
        expect(message.length).toBeLessThan(5_000);
        // Either we refused, and said so last, or the mutation made the peer refuse.
        const last = answers.at(-1);
        if (!message.startsWith('the peer refused')) expect(last).toEqual([Tag.refuse, code, message, 0]);
        if (code !== null) expect(isErrorCode(code)).toBe(true);
      }
    }
    expect(ended).toBeGreaterThan(1_000);
  });

  it('is not opened by a large frame', () => {
    const { ends } = talk([new Uint8Array(limits.frameBytesMax)]);
    expect(ends).toEqual([{ code: 'bad-message', message: expect.stringMatching(/^a greeting of/) as string }]);
  });
});
