/** Two sides of a session, each with somebody who keeps what it is told. */
import { decodeFrame } from '../../../client/wire/codec.ts';
import { Tag } from '../../../client/wire/messages.ts';
import type { Hello, Message, Refuse, Welcome } from '../../../client/wire/messages.ts';
import { protocolVersion, Session, sessionDefaults } from '../../../client/wire/session.ts';
import type { DialHandlers, SessionEnd, SessionMessage } from '../../../client/wire/session.ts';
import { FakeEnvironment } from './fake-environment.ts';
import type { FakeConnection } from './fake-environment.ts';

export const hello: Hello = [Tag.hello, protocolVersion, 'cluster-1', 'n2', 'store-2', 4, 3, 6, 512, 'n1'];
export const clientHello: Hello = [Tag.hello, protocolVersion, null, null, null, 0, 0, 0, 0, null];
export const welcome: Welcome = [Tag.welcome, protocolVersion, 'cluster-1', 'n1', 'store-1', 7, 0, 5, 1_024, { epoch: 1 }];

/** Handlers that keep what they were told. */
export class Witness implements DialHandlers {
  readonly opens: Session[] = [];
  readonly messages: SessionMessage[] = [];
  readonly ends: SessionEnd[] = [];
  judge: (welcome: Welcome) => Refuse | null = () => null;
  onMessage: (session: Session, message: SessionMessage) => void = () => {};

  opened(session: Session): void {
    this.opens.push(session);
  }
  received(session: Session, message: SessionMessage): void {
    this.messages.push(message);
    this.onMessage(session, message);
  }
  closed(_session: Session, end: SessionEnd): void {
    this.ends.push(end);
  }
}

export class Stage {
  readonly environment = new FakeEnvironment();
  readonly near = new Witness();
  readonly far = new Witness();

  /** A dialed session whose other side accepts it by `judge`. */
  readonly dial = (judge: (hello: Hello) => Welcome | Refuse = () => welcome, greeting: Hello = hello): { local: Session; remote: Session; localEnd: FakeConnection; remoteEnd: FakeConnection } => {
    const { environment, near, far } = this;
    let remote: Session | undefined;
    let remoteEnd: FakeConnection | undefined;
    environment.listener = (connection) => {
      remoteEnd = connection;
      remote = Session.accept(environment, connection, judge, sessionDefaults, far);
    };
    const local = Session.dial(environment, 'ws://n1', greeting, sessionDefaults, near);
    environment.settle();
    return { local, remote: remote as Session, localEnd: environment.dialed.at(-1) as FakeConnection, remoteEnd: remoteEnd as FakeConnection };
  };

  /** An accepted connection whose other end is in the test's hands. */
  readonly acceptRaw = (): { session: Session; peer: FakeConnection; received: () => Message[] } => {
    const [peer, connection] = this.environment.pair();
    const session = Session.accept(this.environment, connection, () => welcome, sessionDefaults, this.far);
    peer.opened();
    connection.opened();
    return { session, peer, received: () => connection.sent.flatMap(decodeFrame) };
  };
}
