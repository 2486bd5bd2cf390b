import { describe, expect, it } from 'vitest';
import { protocolVersion, type Session } from '../../../client/wire/session.ts';
import { Tag, type Hello, type Message } from '../../../client/wire/messages.ts';
import { Loopback } from '../../../node/cluster/outbox.ts';
import type { Floor } from '../../../node/cluster/succession.ts';
import { Peers } from '../../../node/cluster/peers.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { MemoryRuntime } from '../store/memory-runtime.ts';
import { viewOf } from './topologies.ts';

class FakeSession {
  open = true;
  readonly sent: Message[] = [];
  readonly peer: { role: 'node'; nodeId: string; storeId: string; incarnation: number; rebornAt: number; nonce: number };
  readonly roundTripMs = 1;
  aborted: string | null = null;

  constructor(nodeId: string, incarnation: number) {
    this.peer = { role: 'node', nodeId, storeId: `disk of ${nodeId}`, incarnation, rebornAt: 0, nonce: 5 };
  }

  send(message: Message): void {
    this.sent.push(message);
  }

  abort(reason: string): void {
    this.open = false;
    this.aborted = reason;
  }

  get asSession(): Session {
    return this as unknown as Session;
  }
}

class Bench {
  readonly log: string[] = [];
  readonly toSelf: Message[] = [];
  readonly floors = new Map<string, Floor>();
  readonly peers: Peers;
  readonly loopback = new Loopback((message) => this.toSelf.push(message));

  constructor() {
    this.peers = new Peers({
      runtime: new MemoryRuntime(), topology: new Topology(viewOf(3), 'n2'), loopback: this.loopback, life: { storeId: 'disk of n2', incarnation: 4, rebornAt: 0, nonce: 6 }, openedAt: 512, heartbeatIntervalMs: 100,
      floorOf: (node) => this.floors.get(node) ?? null,
      met: (node, life) => void this.floors.set(node, { ...life, position: 0 }),
      refused: (by, above) => this.log.push(`refused by ${by}, above ${above}`),
      received: () => {},
      up: (node) => this.log.push(`up ${node}`),
      down: (node) => this.log.push(`down ${node}`),
    });
  }
}

describe('who dials', () => {
  const hello = (fields: Partial<{ cluster: string | null; node: string | null; store: string | null; incarnation: number; expected: string | null; rebornAt: number; nonce: number; position: number }>): Hello => {
    const { cluster, node, store, incarnation, rebornAt, nonce, position, expected } = { cluster: 'c', node: 'n1', store: 'disk of n1', incarnation: 3, rebornAt: 0, nonce: 7, position: 1_024, expected: 'n2', ...fields };
    return [Tag.hello, protocolVersion, cluster, node, store, incarnation, rebornAt, nonce, position, expected];
  };
  const client = { node: null, store: null, incarnation: 0 };

  const verdicts: [who: string, fields: Parameters<typeof hello>[0], refusal: string | null][] = [
    ['a member in a new life', {}, null],
    ['a member in the life that is known', { incarnation: 2, nonce: 5, position: 0 }, null],
    ['a member that begins the life anew that is known', { incarnation: 2, nonce: 7 }, 'stale-incarnation'],
    ['a member in a new life that has forgotten the end of the last', { position: 1_023 }, 'stale-incarnation'],
    ['a member that was reborn above the life that is known', { store: 'a new disk', incarnation: 9, rebornAt: 9, position: 0 }, null],
    ['a member that was reborn below it', { store: 'a new disk', incarnation: 9, rebornAt: 2 }, 'stale-incarnation'],
    ['a member in a former life', { incarnation: 1 }, 'stale-incarnation'],
    ['a member with another disk', { store: 'a new disk' }, 'stale-incarnation'],
    ['a node that is no member', { node: 'n9' }, 'wrong-node'],
    ['a node that says that it is this one', { node: 'n2' }, 'wrong-node'],
    ['a member that looked for another', { expected: 'n3' }, 'wrong-node'],
    ['a member of another cluster', { cluster: 'd' }, 'wrong-cluster'],
    ['a node of no cluster', { cluster: null }, 'wrong-cluster'],
    ['a client', client, null],
    ['a client that knows nothing yet', { ...client, cluster: null, expected: null }, null],
    ['a client of another cluster', { ...client, cluster: 'd' }, 'wrong-cluster'],
    ['a client that looks for another node', { ...client, expected: 'n3' }, 'wrong-node'],
  ];
  it.each(verdicts)('%s is judged (%j): %s', (_who, fields, refusal) => {
    const bench = new Bench();
    bench.floors.set('n1', { storeId: 'disk of n1', incarnation: 2, rebornAt: 0, nonce: 5, position: 1_024 });
    const answer = bench.peers.judge(hello(fields));
    if (refusal === null) expect(answer.slice(0, 9)).toEqual([Tag.welcome, protocolVersion, 'c', 'n2', 'disk of n2', 4, 0, 6, 512]);
    else expect([...answer.slice(0, 2), answer[3]]).toEqual([Tag.refuse, refusal, refusal === 'stale-incarnation' ? 2 : 0]);
  });
});

describe('sessions with peers', () => {
  it('carry what is said to the peer while they are open; nothing is said to who has none', () => {
    const bench = new Bench();
    const message: Message = [Tag.ping, 1];
    expect([bench.peers.send('n1', message), bench.peers.isUp('n1')]).toEqual([false, false]);
    const session = new FakeSession('n1', 3);
    bench.peers.opened(session.asSession);
    expect([bench.peers.send('n1', message), bench.peers.isUp('n1'), session.sent]).toEqual([true, true, [message]]);
    session.open = false;
    expect([bench.peers.send('n1', message), bench.peers.isUp('n1'), session.sent.length]).toEqual([false, false, 1]);
    bench.loopback.during(() => expect([bench.peers.send('n2', message), bench.peers.isUp('n2')]).toEqual([true, true]));
    expect(bench.toSelf).toEqual([message]);
  });

  it('raise the floor of the peer before it is up', () => {
    const bench = new Bench();
    bench.peers.opened(new FakeSession('n1', 3).asSession);
    expect([bench.floors.get('n1'), bench.log]).toEqual([{ storeId: 'disk of n1', incarnation: 3, rebornAt: 0, nonce: 5, position: 0 }, ['up n1']]);
  });

  it('end once: a new one replaces the old one, whose end is no news then', () => {
    const bench = new Bench();
    const [old, fresh] = [new FakeSession('n1', 3), new FakeSession('n1', 4)];
    bench.peers.opened(old.asSession);
    bench.peers.opened(fresh.asSession);
    bench.peers.closed(old.asSession, { code: null, message: 'closed' });
    expect([bench.log, old.aborted === null, bench.peers.isUp('n1')]).toEqual([['up n1', 'down n1', 'up n1'], false, true]);
    bench.peers.closed(fresh.asSession, { code: null, message: 'closed' });
    bench.peers.closed(fresh.asSession, { code: null, message: 'closed' });
    expect([bench.log.slice(3), bench.peers.isUp('n1')]).toEqual([['down n1'], false]);
  });

  it('are shown for every other member', () => {
    const bench = new Bench();
    bench.peers.opened(new FakeSession('n3', 1).asSession);
    expect(bench.peers.status).toEqual([{ id: 'n1', up: false, roundTripMs: 0 }, { id: 'n3', up: true, roundTripMs: 1 }]);
  });
});
