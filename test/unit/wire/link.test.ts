import { beforeEach, describe, expect, it } from 'vitest';
import { Link, linkDefaults } from '../../../client/wire/link.ts';
import type { LinkHandlers } from '../../../client/wire/link.ts';
import { Tag } from '../../../client/wire/messages.ts';
import type { Hello, Refuse, Welcome } from '../../../client/wire/messages.ts';
import { protocolVersion, refusal, Session, sessionDefaults } from '../../../client/wire/session.ts';
import type { SessionEnd, SessionMessage } from '../../../client/wire/session.ts';
import { FakeEnvironment } from './fake-environment.ts';

const welcome: Welcome = [Tag.welcome, protocolVersion, 'cluster-1', 'n1', 'store-1', 7, 0, 5, 512, null];

class Witness implements LinkHandlers {
  readonly ups: Session[] = [];
  readonly downs: SessionEnd[] = [];
  readonly failures: SessionEnd[] = [];
  readonly messages: SessionMessage[] = [];
  judge(met: Welcome): Refuse | null {
    return met[3] === 'n1' ? null : refusal('wrong-node', `${met[3]} is not n1`);
  }
  up(_link: Link, session: Session): void {
    this.ups.push(session);
  }
  received(_session: Session, message: SessionMessage): void {
    this.messages.push(message);
  }
  down(_link: Link, end: SessionEnd): void {
    this.downs.push(end);
  }
  failed(_link: Link, end: SessionEnd): void {
    this.failures.push(end);
  }
}

let environment: FakeEnvironment;
let witness: Witness;
let incarnation: number;
/** The far ends of the sessions made so far. */
let accepted: Session[];

const ignore = { opened: () => {}, received: () => {}, closed: () => {} };
const listen = (answer: (hello: Hello) => Welcome | Refuse = () => welcome): void => {
  environment.listener = (connection) => void accepted.push(Session.accept(environment, connection, answer, sessionDefaults, ignore));
};
const dial = (): Link => {
  const link = new Link(environment, 'ws://n1', () => [Tag.hello, protocolVersion, 'cluster-1', null, null, incarnation++, 0, 0, 0, 'n1'], linkDefaults, witness);
  environment.settle();
  return link;
};
/** Lets time pass until the next attempt; how long that took. */
const untilNextAttempt = (): number => {
  const [attempts, fromMs] = [environment.dialed.length, environment.nowMs];
  while (environment.dialed.length === attempts) {
    if (environment.nowMs - fromMs > 60_000) throw new Error('no further attempt');
    environment.advance(1);
  }
  return environment.nowMs - fromMs;
};

beforeEach(() => {
  environment = new FakeEnvironment();
  witness = new Witness();
  incarnation = 0;
  accepted = [];
});

describe('a link', () => {
  it('makes a session and passes on what arrives', () => {
    listen();
    const link = dial();
    expect(witness.ups).toHaveLength(1);
    expect(link.session).toBe(witness.ups[0]);
    accepted[0]?.send([Tag.grant, 1, 2]);
    environment.settle();
    expect(witness.messages).toEqual([[Tag.grant, 1, 2]]);
    expect(link.lastFailure).toBe(null);
  });

  it('makes a new session when one is lost, with a new hello', () => {
    const hellos: number[] = [];
    listen((hello) => (hellos.push(hello[5]), welcome));
    const link = dial();
    environment.advance(10_000);
    environment.dialed[0]?.broken('reset');
    environment.settle();
    expect([link.session, witness.downs]).toEqual([null, [{ code: null, message: 'reset' }]]);
    expect(link.lastFailure).toEqual({ code: null, message: 'reset' });
    environment.advance(linkDefaults.backoffBaseMs);
    expect(link.session).toBe(witness.ups[1]);
    expect(hellos).toEqual([0, 1]);
  });

  it('waits longer and longer while nobody listens, up to a bound, and is at once there when somebody does', () => {
    environment.random = 2 ** 32 - 1;
    const link = dial();
    const delays = Array.from({ length: 10 }, untilNextAttempt);
    expect(delays).toEqual([50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000, 2_000]);
    expect(witness.failures).toHaveLength(11);
    expect(link.lastFailure).toEqual({ code: 'unreachable', message: 'connection refused' });
    expect([witness.ups, witness.downs]).toEqual([[], []]);
    listen();
    link.hurry();
    environment.settle();
    expect(link.session).not.toBe(null);
    link.hurry();
    environment.settle();
    expect(environment.dialed).toHaveLength(12);
  });

  it('does not dial twice at one instant, whatever the chance', () => {
    environment.random = 0;
    dial();
    environment.advance(20);
    expect(environment.dialed.length).toBeLessThanOrEqual(21);
  });

  it('waits anything between nothing and the bound', () => {
    dial();
    for (let i = 0; i < 10; i++) untilNextAttempt();
    const delays = [0.25, 0.5, 0.75].map((chance) => {
      environment.random = Math.floor(chance * 2 ** 32);
      // What is under way was drawn before.
      untilNextAttempt();
      return untilNextAttempt();
    });
    expect(delays).toEqual([500, 1_000, 1_500]);
  });

  it('takes a session that breaks at once for one more failure, and one that lasted for the end of a row', () => {
    environment.random = 2 ** 32 - 1;
    listen();
    dial();
    const breakIt = (): number => {
      environment.dialed.at(-1)?.broken('reset');
      return untilNextAttempt();
    };
    expect([breakIt(), breakIt(), breakIt()]).toEqual([50, 100, 200]);
    environment.advance(linkDefaults.settledAfterMs);
    expect([breakIt(), breakIt()]).toEqual([50, 100]);
  });

  it.each(['wrong-cluster', 'wrong-version'] as const)('tries again slowly, and says why, when refused with %s', (code) => {
    environment.random = 0;
    listen(() => refusal(code, 'not here'));
    const link = dial();
    expect(link.lastFailure).toEqual({ code, message: 'the peer refused: not here' });
    expect(untilNextAttempt()).toBe(linkDefaults.refusedDelayMs / 2);
    environment.random = 2 ** 31;
    untilNextAttempt();
    expect(untilNextAttempt()).toBe(0.75 * linkDefaults.refusedDelayMs);
    listen();
    environment.advance(linkDefaults.refusedDelayMs);
    expect(link.session).not.toBe(null);
  });

  it('tries again soon when the peer is merely not ready', () => {
    listen(() => refusal('not-ready', 'starting'));
    dial();
    expect(witness.failures).toEqual([{ code: 'not-ready', message: 'the peer refused: starting' }]);
    expect(untilNextAttempt()).toBeLessThanOrEqual(linkDefaults.backoffBaseMs);
  });

  it('refuses another node at its address', () => {
    listen(() => [...welcome.slice(0, 3), 'n9', ...welcome.slice(4)] as Welcome);
    const link = dial();
    expect(link.lastFailure).toEqual({ code: 'wrong-node', message: 'n9 is not n1' });
    expect(witness.ups).toEqual([]);
  });

  it.each([
    ['while it is up', () => listen(), 0],
    ['while it waits', () => {}, 10],
    ['while it dials', () => void (environment.listener = () => {}), 0],
  ])('leaves no timer, dials no more and says nothing after its close %s', (_name, prepare, waitMs) => {
    prepare();
    const link = dial();
    environment.advance(waitMs);
    link.close('enough');
    const [dialed, told] = [environment.dialed.length, [witness.ups.length, witness.downs.length, witness.failures.length]];
    environment.settle();
    expect(environment.timers).toBe(0);
    environment.advance(120_000);
    expect(environment.dialed).toHaveLength(dialed);
    expect([witness.ups.length, witness.downs.length, witness.failures.length]).toEqual(told);
    expect(link.session).toBe(null);
    link.hurry();
    environment.settle();
    expect(environment.dialed).toHaveLength(dialed);
  });
});
