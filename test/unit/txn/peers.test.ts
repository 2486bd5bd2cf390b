import { describe, expect, it } from 'vitest';
import { protocolVersion, type Session } from '../../../client/wire/session.ts';
import { Tag, type Hello, type Message } from '../../../client/wire/messages.ts';
import { Loopback } from '../../../node/cluster/outbox.ts';
import { Peers } from '../../../node/cluster/peers.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { MemoryRuntime } from '../store/memory-runtime.ts';
import { viewOf } from './topologies.ts';

class FakeSession {
  open = true;
  readonly sent: Message[] = [];
  readonly peer: { role: 'node'; nodeId: string; storeId: string; incarnation: number };
  readonly roundTripMs = 1;
  aborted: string | null = null;

  constructor(nodeId: string, incarnation: number) {
    this.peer = { role: 'node', nodeId, storeId: `disk of ${nodeId}`, incarnation };
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
  readonly floors = new Map<string, { storeId: string; incarnation: number }>();
  readonly peers: Peers;
  readonly loopback = new Loopback((message) => this.toSelf.push(message));

  constructor() {
    this.peers = new Peers({
      runtime: new MemoryRuntime(), topology: new Topology(viewOf(3), 'n2'), loopback: this.loopback, storeId: 'disk of n2', incarnation: 4, heartbeatIntervalMs: 100,
      floorOf: (node) => this.floors.get(node) ?? null,
      raiseFloor: (node, storeId, incarnation) => void this.floors.set(node, { storeId, incarnation }),
      received: () => {},
      up: (node) => this.log.push(`up ${node}`),
      down: (node) => this.log.push(`down ${node}`),
    });
  }
}

describe('who dials', () => {
  const hello = (fields: Partial<{ cluster: string | null; node: string | null; store: string | null; incarnation: number; expected: string | null }>): Hello => {
    const { cluster, node, store, incarnation, expected } = { cluster: 'c', node: 'n1', store: 'disk of n1', incarnation: 3, expected: 'n2', ...fields };
    return [Tag.hello, protocolVersion, cluster, node, store, incarnation, expected];
  };
  const client = { node: null, store: null, incarnation: 0 };

  const verdicts: [who: string, fields: Parameters<typeof hello>[0], refusal: string | null][] = [
    ['a member in a new life', {}, null],
    ['a member in the life that is known', { incarnation: 2 }, null],
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
    bench.floors.set('n1', { storeId: 'disk of n1', incarnation: 2 });
    const answer = bench.peers.judge(hello(fields));
    if (refusal === null) expect(answer.slice(0, 6)).toEqual([Tag.welcome, protocolVersion, 'c', 'n2', 'disk of n2', 4]);
    else expect(answer.slice(0, 2)).toEqual([Tag.refuse, refusal]);
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
    expect([bench.floors.get('n1'), bench.log]).toEqual([{ storeId: 'disk of n1', incarnation: 3 }, ['up n1']]);
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
