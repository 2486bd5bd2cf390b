import { Packr } from 'msgpackr';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BadFrame, decodeBody, decodeFrame, decodeGreeting, encodeBody, encodeFrame, encodeFrames, estimatedBytes } from '../../../client/wire/codec.ts';
import { DtpError } from '../../../client/wire/errors.ts';
import { limits } from '../../../client/wire/limits.ts';
import { Tag } from '../../../client/wire/messages.ts';
import type { Body, Message } from '../../../client/wire/messages.ts';
import { allSamples, samples } from './samples.ts';

/** Bytes come back as a Buffer: compared by content. */
const plain = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  return value;
};

const anything = new Packr({ useRecords: false, variableMapSize: true });
const pack = (value: unknown): Uint8Array => anything.pack(value);
const reasonOf = (decode: () => unknown): string => {
  try {
    decode();
  } catch (error) {
    if (error instanceof BadFrame) return error.message;
    throw error;
  }
  return 'none';
};

describe('a frame', () => {
  it.each(allSamples.map((message) => [message[0], message] as const))('carries a message of tag %i unchanged', (_tag, message) => {
    expect(plain(decodeFrame(encodeFrame([message])))).toEqual(plain([message]));
  });

  it('carries many messages in order', () => {
    expect(plain(encodeFrames(allSamples).flatMap(decodeFrame))).toEqual(plain(allSamples));
    expect(encodeFrames(allSamples)).toHaveLength(1);
    expect(encodeFrames([])).toEqual([]);
  });

  it('carries integers up to 2^53 - 1 as numbers, however they were encoded', () => {
    for (const number of [0, 127, 128, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      expect(decodeFrame(encodeFrame([[Tag.grant, number, 1]]))).toEqual([[Tag.grant, number, 1]]);
    }
    expect(decodeFrame(pack([[Tag.grant, 2n ** 53n - 1n, 5n]]))).toEqual([[Tag.grant, 2 ** 53 - 1, 5]]);
    expect(reasonOf(() => decodeFrame(pack([[Tag.grant, 2n ** 53n, 1]])))).toMatch(/grant with a bad field 1/);
    expect(reasonOf(() => decodeFrame(pack([[Tag.grant, -1n, 1]])))).toMatch(/grant with a bad field 1/);
  });

  it('gives bytes as a view of the frame', () => {
    const frame = encodeFrame([samples[Tag.prepare]]);
    const body = (decodeFrame(frame)[0] as Message)[7];
    expect(body).toBeInstanceOf(Uint8Array);
    expect((body as Uint8Array).buffer).toBe(frame.buffer);
  });

  it('decodes from plain Uint8Arrays and from the middle of a buffer', () => {
    const frame = encodeFrame(allSamples);
    const copy = new Uint8Array(frame.length + 20).fill(0xc1);
    copy.set(frame, 7);
    expect(plain(decodeFrame(copy.subarray(7, 7 + frame.length)))).toEqual(plain(allSamples));
  });

  it('splits what exceeds its target size or count, losing and reordering nothing', () => {
    const message = fc.oneof(
      fc.nat(200_000).map((size): Message => [Tag.prepare, 'n1', 1, 1, 1, 1, 0, new Uint8Array(size)]),
      fc.nat().map((number): Message => [Tag.giveUp, number]),
      fc.string({ minLength: 1, maxLength: 300, unit: 'binary-ascii' }).map((key): Message => [Tag.get, 1, 1, 1, [key, key]]),
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
        const frames = encodeFrames(messages);
        expect(frames.flatMap(decodeFrame).map(estimatedBytes)).toEqual(messages.map(estimatedBytes));
        for (const frame of frames) if (frame.length > limits.frameBytesTarget) expect(decodeFrame(frame)).toHaveLength(1);
      }),
      { numRuns: 50, seed: 1 },
    );
    const many = Array.from({ length: 2 * limits.frameMessagesMax + 1 }, (_, i): Message => [Tag.giveUp, i % 100]);
    const frames = encodeFrames(many);
    expect(frames.flatMap(decodeFrame)).toEqual(many);
    expect(frames.length).toBe(3);
  });

  it('is never larger than was estimated, but for characters beyond ASCII', () => {
    for (const message of allSamples) expect(encodeFrame([message]).length).toBeLessThanOrEqual(estimatedBytes([message]) + 8);
  });

  it('is never larger than its maximum', () => {
    expect(() => encodeFrames([[Tag.prepare, 'n1', 1, 1, 1, 1, 0, new Uint8Array(limits.frameBytesMax)]])).toThrow(/more than/);
    const largest = new Uint8Array(limits.transactionBytesMax);
    expect(encodeFrames([[Tag.prepare, 'n1', 1, 1, 1, 1, 0, largest], [Tag.prepare, 'n1', 1, 2, 1, 1, 0, largest]])).toHaveLength(2);
    expect(reasonOf(() => decodeFrame(new Uint8Array(limits.frameBytesMax + 1)))).toMatch(/a frame of 8388609 bytes/);
  });
});

describe('a bad frame is refused with its reason:', () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  const cases: [name: string, bytes: Uint8Array, reason: RegExp][] = [
    ['nothing at all', new Uint8Array(), /an early end/],
    ['no array', pack({ a: 1 }), /no array of messages/],
    ['a message that is no array', pack([7]), /a message that is no array/],
    ['an unknown tag', pack([[99]]), /unknown message tag 99/],
    ['a tag that every object has', pack([['constructor', 1]]), /tag is no number/],
    ['a tag inside an array', pack([[[Tag.giveUp], 1]]), /tag is no number/],
    ['a missing field', pack([[Tag.grant, 1]]), /grant with 1 fields instead of 2/],
    ['a field too many', pack([[Tag.giveUp, 1, 2]]), /giveUp with 2 fields instead of 1/],
    ['a fraction for a count', pack([[Tag.giveUp, 1.5]]), /giveUp with a bad field 1/],
    ['a string for bytes', pack([[Tag.prepare, 'n1', 1, 1, 1, 1, 0, 'x']]), /prepare with a bad field 7/],
    ['a long name', pack([[Tag.decided, 'n'.repeat(65), 1, []]]), /decided with a bad field 1/],
    ['a key that is no binary string', pack([[Tag.pull, 1, ['\u0100'], 1]]), /pull with a bad field 2/],
    ['a key that is too long', pack([[Tag.pull, 1, ['k'.repeat(1_025)], 1]]), /pull with a bad field 2/],
    ['a value that is too large', pack([[Tag.values, 1, [1, new Uint8Array(limits.valueBytesMax + 1)]]]), /values with a bad field 2/],
    ['half a pair', pack([[Tag.values, 1, [1]]]), /values with a bad field 2/],
    ['too many messages', pack(Array.from({ length: limits.frameMessagesMax + 1 }, () => [Tag.giveUp, 1])), /16385 messages/],
    ['an end too early', encodeFrame(allSamples).subarray(0, -1), /an early end/],
    ['something behind the end', Buffer.concat([encodeFrame(allSamples), Buffer.of(0)]), /bytes behind its end/],
    ['deep nesting', pack([[Tag.statusIs, 1, nested(100)]]), /64 levels of nesting/],
    ['very deep nesting', new Uint8Array(limits.frameBytesMax).fill(0x91), /64 levels of nesting/],
    ['an array that claims 2^32 elements', Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff, 0), /an early end/],
    ['a map that claims 2^32 entries', Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff, 0), /an early end/],
    ['bytes that claim 2^32', Uint8Array.of(0x91, 0xc6, 0xff, 0xff, 0xff, 0xff), /an early end/],
    ['too many values', pack([[Tag.statusIs, 1, new Array(limits.frameValuesMax).fill(0)]]), /more than 262144 values/],
    ['the byte MessagePack never uses', Uint8Array.of(0x91, 0xc1), /begins no value/],
    ['a date', pack([[Tag.statusIs, 1, new Date(0)]]), /an extension type/],
    ['undefined', pack([[Tag.statusIs, 1, undefined]]), /an extension type/],
    ['a regular expression', Uint8Array.of(0x91, 0xd4, 0x78, 0, 0x92, 0xa1, 0x61, 0xa0), /an extension type/],
    ['a record definition', Uint8Array.of(0x91, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1), /an extension type/],
    ['a map whose key is an array', Uint8Array.of(0x91, 0x93, Tag.statusIs, 1, 0x81, 0x91, 1, 2), /can't be decoded/],
  ];
  it.each(cases)('%s', (_name, bytes, reason) => {
    const message = reasonOf(() => decodeFrame(bytes));
    expect(message).toMatch(reason);
    expect(message.length).toBeLessThan(200);
  });

  it.each(allSamples.map((message) => [message[0], message] as const))('tag %i with each field in turn replaced by what it can never be', (_tag, message) => {
    const unchecked = message[0] === Tag.welcome ? 9 : message[0] === Tag.statusIs ? 2 : 0;
    for (let field = 1; field < message.length; field++) {
      if (field === unchecked) continue;
      const bad = [...message] as unknown[];
      bad[field] = { no: 'field is an object' };
      expect(reasonOf(() => decodeFrame(pack([bad])))).toContain(`bad field ${field}`);
    }
  });

  it('__proto__ as a key of a status leaves all prototypes alone', () => {
    const hostile = pack([[Tag.statusIs, 1, new Map<string, unknown>([['__proto__', { polluted: 1 }], ['constructor', { polluted: 1 }]])]]);
    const [message] = decodeFrame(hostile);
    const status = (message as Message)[2] as Record<string, unknown>;
    expect(Object.getPrototypeOf(status)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(status['polluted']).toBeUndefined();
  });

  it('nesting up to the limit is fine', () => {
    expect(decodeFrame(pack([[Tag.statusIs, 1, nested(limits.nestingMax - 2)]]))).toHaveLength(1);
    expect(reasonOf(() => decodeFrame(pack([[Tag.statusIs, 1, nested(limits.nestingMax - 1)]])))).toMatch(/levels of nesting/);
  });

  it('after a bad frame the next good one decodes', () => {
    for (const [, bytes] of cases) {
      expect(reasonOf(() => decodeFrame(bytes))).not.toBe('none');
      expect(decodeFrame(encodeFrame([[Tag.giveUp, 5]]))).toEqual([[Tag.giveUp, 5]]);
    }
  });
});

describe('a greeting', () => {
  it('is a hello, welcome or refuse, alone in its frame', () => {
    for (const tag of [Tag.hello, Tag.welcome, Tag.refuse] as const) expect(plain(decodeGreeting(encodeFrame([samples[tag]]), 1))).toEqual(plain(samples[tag]));
    expect(reasonOf(() => decodeGreeting(encodeFrame([samples[Tag.ping]]), 1))).toMatch(/without a greeting/);
    expect(reasonOf(() => decodeGreeting(encodeFrame([samples[Tag.hello], samples[Tag.hello]]), 1))).toMatch(/more messages/);
    expect(reasonOf(() => decodeGreeting(pack([]), 1))).toMatch(/no message/);
    expect(reasonOf(() => decodeGreeting(new Uint8Array(limits.greetingBytesMax + 1), 1))).toMatch(/a greeting of 65537 bytes/);
  });

  it('of another version is told apart before its shape is looked at', () => {
    for (const greeting of [[Tag.hello, 2, 'with', 'other', 'fields'], [Tag.welcome, 9]]) {
      expect(() => decodeGreeting(pack([greeting]), 1)).toThrow(expect.objectContaining({ code: 'wrong-version' }) as DtpError);
    }
    expect(reasonOf(() => decodeGreeting(pack([[Tag.hello, 'two']]), 1))).toMatch(/hello with/);
  });
});

describe('a transaction body', () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const version = fc.maxSafeNat();
  const value = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });

  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, version), { maxLength: 20 }), fc.array(fc.tuple(key, value), { maxLength: 20 }), (reads, writes) => {
        const body: Body = [reads.flat(), writes.flat()];
        expect(plain(decodeBody(encodeBody(body)))).toEqual(plain(body));
      }),
      { numRuns: 200, seed: 2 },
    );
  });

  it('may be that of a batch, and then names the others', () => {
    const body: Body = [['k', 7], ['l', null], [43, 2 ** 40]];
    expect(decodeBody(encodeBody(body))).toEqual(body);
  });

  it('of another shape is refused', () => {
    for (const bad of [1, [], [[]], [[], [], [], []], [[1, 1], []], [['k'], []], [[], ['k', 'v']], [[], ['k', undefined]], [['k', -1], []]]) {
      expect(reasonOf(() => decodeBody(pack(bad)))).toMatch(/a transaction body/);
    }
    const tooManyOthers = Array.from({ length: limits.transactionKeysMax + 1 }, (_, i) => i);
    for (const bad of [1, null, [-1], [1.5], ['1'], [[1]], tooManyOthers]) expect(reasonOf(() => decodeBody(pack([[], [], bad])))).toMatch(/the body of a batch with bad numbers/);
    const tooMany = Array.from({ length: 2 * limits.transactionKeysMax + 1 }, (_, i) => [`k${i}`, 0]).flat();
    expect(reasonOf(() => decodeBody(pack([tooMany, []])))).toMatch(/too many keys/);
  });
});
