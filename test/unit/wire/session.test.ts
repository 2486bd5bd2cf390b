import { Packr } from 'msgpackr';
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../../../client/wire/codec.ts';
import { limits } from '../../../client/wire/limits.ts';
import { Tag } from '../../../client/wire/messages.ts';
import type { Message } from '../../../client/wire/messages.ts';
import { refusal, Session, sessionDefaults } from '../../../client/wire/session.ts';
import type { FakeEnvironment } from './fake-environment.ts';
import { clientHello, hello, Stage, welcome } from './session-stage.ts';
import type { Witness } from './session-stage.ts';

let environment: FakeEnvironment;
let near: Witness;
let far: Witness;
let dial: Stage['dial'];
let acceptRaw: Stage['acceptRaw'];

const grant = (number: number): Message => [Tag.grant, number, 1];
const pack = (value: unknown): Uint8Array => new Packr({ useRecords: false }).pack(value);

beforeEach(() => {
  ({ environment, near, far, dial, acceptRaw } = new Stage());
});

describe('the greeting', () => {
  it('opens both sides and tells each who the other is', () => {
    const { local, remote } = dial();
    expect(near.opens).toEqual([local]);
    expect(far.opens).toEqual([remote]);
    expect(local.peer).toEqual({ role: 'node', nodeId: 'n1', storeId: 'store-1', incarnation: 7, rebornAt: 0, nonce: 5 });
    expect(remote.peer).toEqual({ role: 'node', nodeId: 'n2', storeId: 'store-2', incarnation: 4, rebornAt: 3, nonce: 6 });
    expect(local.welcome).toEqual(welcome);
    expect([local.open, remote.open]).toEqual([true, true]);
  });

  it('knows a client by its lack of a node id', () => {
    expect(dial(() => welcome, clientHello).remote.peer).toEqual({ role: 'client', nodeId: null, storeId: null, incarnation: 0, rebornAt: 0, nonce: 0 });
  });

  it('that is refused brings code and words to the dialer, and no open session', () => {
    const { local, remote } = dial(() => refusal('wrong-cluster', 'this is cluster bank'));
    expect(near.ends).toEqual([{ code: 'wrong-cluster', message: 'the peer refused: this is cluster bank' }]);
    expect(far.ends).toEqual([{ code: 'wrong-cluster', message: 'this is cluster bank' }]);
    expect([near.opens, far.opens]).toEqual([[], []]);
    expect([local.open, remote.open, environment.timers]).toEqual([false, false, 0]);
    expect(() => local.peer).toThrow(/no peer yet/);
  });

  it('can be refused by the dialer too', () => {
    near.judge = (met) => (met[3] === 'n9' ? null : refusal('wrong-node', `${met[3]} is not n9`));
    dial();
    expect(near.ends).toEqual([{ code: 'wrong-node', message: 'n1 is not n9' }]);
    // The other side had opened when it sent its welcome.
    expect(far.ends).toEqual([{ code: 'wrong-node', message: 'the peer refused: n1 is not n9' }]);
  });

  it('in another version is refused before anybody judges it', () => {
    const { peer, received } = acceptRaw();
    peer.send(pack([[Tag.hello, 2, 'fields', 'of', 'the', 'future', true, 1, 2, 3]]));
    environment.settle();
    expect(received()).toEqual([[Tag.refuse, 'wrong-version', 'protocol version 2, spoken here is 1', 0]]);
    expect(far.ends).toEqual([{ code: 'wrong-version', message: 'protocol version 2, spoken here is 1' }]);
  });

  it.each([
    ['garbage', pack('hi'), /no message/],
    ['a message', encodeFrame([grant(1)]), /without a greeting/],
    ['a ping', encodeFrame([[Tag.ping, 1]]), /without a greeting/],
    ['a welcome', encodeFrame([welcome]), /a welcome in place of a hello/],
    ['a hello with company', encodeFrame([hello, grant(1)]), /more messages/],
    ['a node without a store', encodeFrame([[Tag.hello, 1, 'cluster-1', 'n2', null, 4, 0, 0, 0, null]]), /only one of node id and store id/],
    ['a large frame', encodeFrame([grant(1), [Tag.prepare, 'n', 1, 1, 1, 1, 0, new Uint8Array(limits.greetingBytesMax)]]), /a greeting of/],
  ])('that is %s ends the session', (_name, frame, reason) => {
    const { peer, received } = acceptRaw();
    peer.send(frame);
    environment.settle();
    expect(received()).toEqual([[Tag.refuse, 'bad-message', expect.stringMatching(reason), 0]]);
    expect(far.ends).toEqual([{ code: 'bad-message', message: expect.stringMatching(reason) as string }]);
    expect([far.opens, far.messages, environment.timers]).toEqual([[], [], 0]);
  });

  it('that never comes is waited for only so long, on either side', () => {
    acceptRaw();
    environment.advance(sessionDefaults.greetingTimeoutMs - 1);
    expect(far.ends).toEqual([]);
    environment.advance(1);
    expect(far.ends).toEqual([{ code: 'unreachable', message: 'no greeting within 3000 ms' }]);

    environment.listener = () => {};
    Session.dial(environment, 'ws://silent', hello, sessionDefaults, near);
    environment.advance(sessionDefaults.greetingTimeoutMs);
    expect(near.ends).toEqual([{ code: 'unreachable', message: 'no greeting within 3000 ms' }]);
    expect(environment.timers).toBe(0);
  });

  it('to nobody is a failure to connect', () => {
    const session = Session.dial(environment, 'ws://nobody', hello, sessionDefaults, near);
    expect(near.ends).toEqual([]);
    environment.settle();
    expect(near.ends).toEqual([{ code: 'unreachable', message: 'connection refused' }]);
    expect([session.open, environment.timers]).toEqual([false, 0]);
  });
});

describe('messages', () => {
  it('of one turn leave as one frame, in order, and those of the next as another', () => {
    const { local, localEnd } = dial();
    const [framesBefore, defersBefore] = [localEnd.sent.length, environment.defers];
    for (let i = 0; i < 100; i++) local.send(grant(i));
    expect(localEnd.sent.length).toBe(framesBefore);
    expect(environment.defers).toBe(defersBefore + 1);
    environment.settle();
    expect(localEnd.sent.length).toBe(framesBefore + 1);
    local.send(grant(100));
    environment.settle();
    expect(localEnd.sent.length).toBe(framesBefore + 2);
    expect(far.messages).toEqual(Array.from({ length: 101 }, (_, i) => grant(i)));
  });

  it('that a handler sends in answer leave at the end of its turn', () => {
    const { local, remoteEnd } = dial();
    far.onMessage = (session, message) => session.send([Tag.giveUp, message[1] as number]);
    const framesBefore = remoteEnd.sent.length;
    for (let i = 0; i < 10; i++) local.send(grant(i));
    environment.settle();
    expect(near.messages).toEqual(Array.from({ length: 10 }, (_, i) => [Tag.giveUp, i]));
    expect(remoteEnd.sent.length).toBe(framesBefore + 1);
  });

  it('that are many or large leave as several frames', () => {
    const { local, localEnd } = dial();
    const framesBefore = localEnd.sent.length;
    for (let i = 0; i < 5; i++) local.send([Tag.prepare, 'n1', 1, i, 1, 1, 0, new Uint8Array(100_000)]);
    environment.settle();
    expect(localEnd.sent.length).toBe(framesBefore + 3);
    expect(far.messages.map((message) => message[3])).toEqual([0, 1, 2, 3, 4]);
  });

  it('that no frame can hold fail at the sender', () => {
    const { local } = dial();
    expect(() => local.send([Tag.prepare, 'n1', 1, 1, 1, 1, 0, new Uint8Array(limits.frameBytesMax)])).toThrow(/a message of/);
    expect(local.open).toBe(true);
  });

  it('sent before the session is open or after it ended are lost', () => {
    const local = Session.dial(environment, 'ws://n1', hello, sessionDefaults, near);
    local.send(grant(1));
    expect(local.queuedBytes).toBe(0);
    const session = dial().local;
    session.abort('enough');
    session.send(grant(2));
    environment.settle();
    expect(far.messages).toEqual([]);
  });

  it('of a bad frame: none is handled, the peer is told, both sides end', () => {
    const { localEnd } = dial();
    localEnd.send(Buffer.from(pack([grant(1), [Tag.grant, 'one', 1], grant(2)])));
    environment.settle();
    expect(far.messages).toEqual([]);
    expect(far.ends).toEqual([{ code: 'bad-message', message: 'grant with a bad field 1' }]);
    expect(near.ends).toEqual([{ code: 'bad-message', message: 'the peer refused: grant with a bad field 1' }]);
    expect(environment.timers).toBe(0);
  });

  it.each([['hello', hello], ['welcome', welcome]] as const)('must not be a second %s', (_name, second) => {
    const { localEnd } = dial();
    localEnd.send(encodeFrame([second]));
    environment.settle();
    expect(far.ends).toEqual([{ code: 'bad-message', message: 'a second greeting' }]);
  });

  it('stop where a handler closes the session', () => {
    const { local } = dial();
    far.onMessage = (session, message) => {
      if (message[1] === 2) session.close('two is enough');
    };
    for (let i = 1; i <= 5; i++) local.send(grant(i));
    environment.settle();
    expect(far.messages).toEqual([grant(1), grant(2)]);
    expect(far.ends).toEqual([{ code: null, message: 'two is enough' }]);
  });

  it('whose handler throws: the exception reaches the transport', () => {
    const { session, peer } = acceptRaw();
    peer.send(encodeFrame([hello]));
    environment.settle();
    far.onMessage = () => {
      throw new Error('a broken invariant');
    };
    peer.send(encodeFrame([grant(1)]));
    expect(() => environment.settle()).toThrow('a broken invariant');
    expect(session.open).toBe(true);
  });
});

describe('the end', () => {
  it('by refusal tells the peer code and words', () => {
    const { local } = dial();
    local.send(grant(1));
    local.refuse('bad-message', 'not for me to hear');
    environment.settle();
    expect(far.messages).toEqual([grant(1)]);
    expect(near.ends).toEqual([{ code: 'bad-message', message: 'not for me to hear' }]);
    expect(far.ends).toEqual([{ code: 'bad-message', message: 'the peer refused: not for me to hear' }]);
  });

  it('by a refusal with a code of a later version has no code, but its words', () => {
    const { localEnd } = dial();
    localEnd.send(encodeFrame([[Tag.refuse, 'moon-phase', 'come back later', 0]]));
    environment.settle();
    expect(far.ends).toEqual([{ code: null, message: 'the peer refused: come back later' }]);
  });

  it('by close comes after what was queued, with a reason for both', () => {
    const { local } = dial();
    local.send(grant(1));
    local.close('done');
    expect([local.open, near.ends]).toEqual([false, []]);
    environment.settle();
    expect(far.messages).toEqual([grant(1)]);
    expect(near.ends).toEqual([{ code: null, message: 'done' }]);
    expect(far.ends).toEqual([{ code: null, message: 'closed by the peer: done' }]);
    expect(environment.timers).toBe(0);
  });

  it('by abort loses what was queued', () => {
    const { local } = dial();
    local.send(grant(1));
    local.abort('enough');
    environment.settle();
    expect(far.messages).toEqual([]);
    expect(near.ends).toEqual([{ code: null, message: 'enough' }]);
  });

  it('comes once, whatever else happens', () => {
    const { local, remote, localEnd } = dial();
    local.close('first');
    local.close('second');
    local.abort('third');
    localEnd.broken('fourth');
    remote.abort('fifth');
    environment.advance(10_000);
    expect(near.ends).toEqual([{ code: null, message: 'first' }]);
    expect(far.ends).toEqual([{ code: null, message: 'fifth' }]);
  });

  it('by a break of the connection has no code', () => {
    const { localEnd } = dial();
    localEnd.broken('reset by peer');
    environment.settle();
    expect(near.ends).toEqual([{ code: null, message: 'reset by peer' }]);
  });

  it('comes to a peer that takes nothing, before it costs too much memory, and not within a send', () => {
    const { local, localEnd } = dial();
    localEnd.bufferedBytes = limits.sessionQueueBytesMax - 1_000_000;
    const message: Message = [Tag.prepare, 'n1', 1, 1, 1, 1, 0, new Uint8Array(400_000)];
    local.send(message);
    local.send(message);
    expect(local.open).toBe(true);
    expect(local.queuedBytes).toBeGreaterThan(limits.sessionQueueBytesMax - 1_000_000);
    local.send(message);
    expect([local.open, near.ends]).toEqual([false, []]);
    environment.settle();
    expect(near.ends).toEqual([{ code: 'overloaded', message: expect.stringMatching(/^too slow: /) as string }]);
    expect(far.messages).toEqual([]);
  });
});
