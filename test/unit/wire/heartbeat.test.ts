import { beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame, encodeFrames } from '../../../client/wire/codec.ts';
import { Tag } from '../../../client/wire/messages.ts';
import type { Message } from '../../../client/wire/messages.ts';
import { Session, sessionDefaults } from '../../../client/wire/session.ts';
import type { FakeEnvironment } from './fake-environment.ts';
import { clientHello, hello, Stage, welcome } from './session-stage.ts';
import type { Witness } from './session-stage.ts';

let environment: FakeEnvironment;
let near: Witness;
let far: Witness;
let dial: Stage['dial'];
let acceptRaw: Stage['acceptRaw'];

const grant = (number: number): Message => [Tag.grant, number, 1];

beforeEach(() => {
  ({ environment, near, far, dial, acceptRaw } = new Stage());
});

describe('heartbeats', () => {
  it('keep an idle session open', () => {
    const { local, remote } = dial();
    environment.advance(60_000);
    expect([local.open, remote.open]).toEqual([true, true]);
    expect(local.phi()).toBeLessThan(1);
    expect(local.roundTripMs).toBe(0);
    expect(near.messages).toEqual([]);
  });

  it('measure the round trip', () => {
    const { local, localEnd } = dial();
    for (let i = 0; i < 100; i++) {
      localEnd.hold();
      environment.advance(40);
      localEnd.release();
      environment.advance(1);
    }
    expect(local.roundTripMs).toBeGreaterThan(5);
    expect(local.roundTripMs).toBeLessThan(41);
  });

  it('show within about a second that the peer stopped', () => {
    const { local, localEnd } = dial();
    environment.advance(10_000);
    localEnd.hold();
    environment.advance(650);
    expect(local.open).toBe(true);
    environment.advance(550);
    expect(near.ends).toEqual([{ code: 'unreachable', message: expect.stringMatching(/^no sign of life for \d+ ms \(phi \d+\.\d\)$/) as string }]);
  });

  it('that come slowly are no death: the rhythm is learnt', () => {
    const { local, localEnd } = dial();
    for (let i = 0; i < 100; i++) {
      localEnd.hold();
      environment.advance(600);
      localEnd.release();
      environment.advance(0);
    }
    expect(local.open).toBe(true);
    localEnd.hold();
    environment.advance(1_200);
    expect(local.open).toBe(true);
    environment.advance(2_000);
    expect(near.ends).toHaveLength(1);
  });

  it('need not come while other frames do', () => {
    const { local, localEnd } = dial();
    localEnd.hold();
    for (let i = 0; i < 100; i++) {
      environment.advance(100);
      localEnd.onFrame(encodeFrame([grant(i)]));
    }
    expect(local.open).toBe(true);
    environment.advance(1_300);
    expect(local.open).toBe(false);
  });

  it.each([[2_000], [600_000]])('missed because this process stood still for %i ms are not held against the peer', (stallMs) => {
    const { local, remote, localEnd } = dial();
    environment.advance(5_000);
    // Everything that the peer sends meanwhile is found in the socket afterwards, after the timers.
    localEnd.hold();
    environment.stall(stallMs);
    environment.advance(100);
    expect([local.open, remote.open]).toEqual([true, true]);
    localEnd.release();
    environment.advance(5_000);
    expect([local.open, remote.open]).toEqual([true, true]);

    localEnd.hold();
    environment.advance(1_300);
    expect(local.open).toBe(false);
  });

  it('missed in a stall after which frames are read before timers run: the stall counts once', () => {
    const { local, localEnd } = dial();
    environment.advance(5_000);
    environment.stall(10_000);
    localEnd.onFrame(encodeFrame([grant(1)]));
    localEnd.hold();
    environment.advance(600);
    expect(local.open).toBe(true);
    environment.advance(700);
    expect(local.open).toBe(false);
  });

  it('missed in many short stalls are not held against the peer, but its own silence is', () => {
    const { local, localEnd } = dial();
    for (let i = 0; i < 50; i++) {
      environment.stall(400);
      environment.advance(10);
    }
    expect(local.open).toBe(true);
    localEnd.hold();
    let silentMs = 0;
    while (local.open && silentMs < 20_000) {
      environment.stall(100);
      environment.advance(160);
      silentMs += 260;
    }
    expect(silentMs).toBeLessThan(3_000);
  });

  it('answered by a liar do not upset the round trip', () => {
    const { session, peer } = acceptRaw();
    peer.send(encodeFrame([hello]));
    environment.settle();
    for (const sentAtMs of [1e300, -1e300, Number.MAX_SAFE_INTEGER]) peer.send(encodeFrame([[Tag.pong, sentAtMs]]));
    environment.settle();
    expect([session.roundTripMs, session.open]).toEqual([0, true]);
  });

  it('of the peer are answered', () => {
    const { peer, received } = acceptRaw();
    peer.send(encodeFrame([clientHello]));
    environment.settle();
    for (const frame of encodeFrames([[Tag.ping, 12.5], [Tag.ping, 13.5]])) peer.send(frame);
    environment.settle();
    expect(received().filter((message) => message[0] === Tag.pong)).toEqual([[Tag.pong, 12.5], [Tag.pong, 13.5]]);
  });

  it('stop with a session that ends at its first', () => {
    const [peer, connection] = environment.pair();
    Session.accept(environment, connection, () => welcome, { ...sessionDefaults, queueBytesMax: 0 }, far);
    peer.opened();
    connection.opened();
    peer.send(encodeFrame([hello]));
    environment.settle();
    expect(far.ends).toHaveLength(1);
    expect(environment.timers).toBe(0);
  });
});
