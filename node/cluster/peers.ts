/**
 * Sessions with the other nodes. Of each pair one dials (the one whose id sorts first), so there is one session at most; a new one
 * replaces an old one that this side still believes in.
 *
 * A node is who its disk says it is. Peers remember, durably, the newest incarnation of each node and the name of its disk: a
 * node that comes with another disk, or an older incarnation, has forgotten votes, and is refused for ever.
 */
import { protocolVersion, refusal, type Session, type Peer, type SessionEnd, type SessionMessage } from '../../client/wire/session.ts';
import { Link, linkDefaults } from '../../client/wire/link.ts';
import { Tag, tagNames, type Hello, type Message, type Refuse, type Welcome } from '../../client/wire/messages.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Outbox, Loopback } from './outbox.ts';
import type { Topology } from './topology.ts';

export interface PeersOptions {
  readonly runtime: Runtime;
  readonly topology: Topology;
  readonly loopback: Loopback;
  readonly storeId: string;
  readonly incarnation: number;
  readonly heartbeatIntervalMs: number;
  /** The newest life of a node that was ever met. */
  readonly floorOf: (node: string) => { storeId: string; incarnation: number } | null;
  readonly raiseFloor: (node: string, storeId: string, incarnation: number) => void;
  readonly received: (from: string, session: Session, message: SessionMessage) => void;
  readonly up: (node: string) => void;
  readonly down: (node: string) => void;
}

export interface PeerStatus {
  readonly id: string;
  readonly up: boolean;
  readonly roundTripMs: number;
}

export class Peers implements Outbox {
  readonly #options: PeersOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #links: Link[] = [];
  /** Messages to other nodes so far, by tag. */
  readonly #sent: number[] = [];
  readonly counters = { peersLost: 0 };

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  start(): void {
    const { runtime, topology, heartbeatIntervalMs, loopback } = this.#options;
    for (const { id, url } of topology.view.members) {
      if (id <= topology.self) continue;
      const link = new Link(runtime, url, () => this.#hello(id), { ...linkDefaults, heartbeatIntervalMs }, {
        judge: ([, , clusterId, nodeId, storeId, incarnation]) => this.#objectionTo(clusterId, nodeId, storeId, incarnation, id),
        up: (_link, session) => loopback.during(() => this.opened(session)),
        received: (session, message) => loopback.during(() => this.#options.received(id, session, message)),
        down: (_link, end) => loopback.during(() => this.#lost(id, end)),
        failed: (_link, end) => runtime.log.debug({ peer: id, code: end.code, why: end.message }, 'peer unreachable'),
      });
      this.#links.push(link);
    }
  }

  stop(): void {
    for (const link of this.#links) link.close('the node stops');
    for (const session of this.#sessions.values()) session.close('the node stops');
    this.#sessions.clear();
  }

  send(to: string, message: Message): boolean {
    if (to === this.#options.topology.self) {
      this.#options.loopback.push(message);
      return true;
    }
    const session = this.#sessions.get(to);
    if (session === undefined || !session.open) return false;
    session.send(message);
    this.#sent[message[0]] = (this.#sent[message[0]] ?? 0) + 1;
    return true;
  }

  isUp(node: string): boolean {
    return node === this.#options.topology.self || this.#sessions.get(node)?.open === true;
  }

  /** Messages that were given to sessions with other nodes so far, by the names of their tags. */
  get sent(): Record<string, number> {
    const counts: Record<string, number> = {};
    this.#sent.forEach((count, tag) => (counts[tagNames.get(tag) ?? tag] = count));
    return counts;
  }

  get status(): PeerStatus[] {
    return this.#options.topology.view.members
      .filter(({ id }) => id !== this.#options.topology.self)
      .map(({ id }) => ({ id, up: this.isUp(id), roundTripMs: this.#sessions.get(id)?.roundTripMs ?? 0 }));
  }

  /** Judges who dials us: a client, or a member of this cluster in its newest life. */
  judge([, , clusterId, nodeId, storeId, incarnation, expectedNodeId]: Hello): Welcome | Refuse {
    const { topology, storeId: ownStoreId, incarnation: ownIncarnation } = this.#options;
    const { self, view } = topology;
    if (clusterId !== null && clusterId !== view.cluster) return refusal('wrong-cluster', `this is cluster ${view.cluster}, not ${clusterId}`);
    if (expectedNodeId !== null && expectedNodeId !== self) return refusal('wrong-node', `this is node ${self}, not ${expectedNodeId}`);
    const objection = nodeId === null ? null : this.#objectionTo(clusterId ?? '', nodeId, storeId ?? '', incarnation, nodeId);
    return objection ?? [Tag.welcome, protocolVersion, view.cluster, self, ownStoreId, ownIncarnation, view];
  }

  /** A session with a node is open, whoever dialed. */
  opened(session: Session): void {
    const { nodeId, storeId, incarnation } = session.peer as Peer & { nodeId: string; storeId: string };
    const before = this.#sessions.get(nodeId);
    if (before !== undefined) {
      before.abort('replaced by a newer session');
      this.#lost(nodeId, { code: null, message: 'replaced by a newer session' });
    }
    this.#options.raiseFloor(nodeId, storeId, incarnation);
    this.#sessions.set(nodeId, session);
    this.#options.runtime.log.info({ peer: nodeId, incarnation }, 'peer up');
    this.#options.up(nodeId);
  }

  /** An accepted session ended. */
  closed(session: Session, end: SessionEnd): void {
    const { nodeId } = session.peer;
    if (nodeId !== null && this.#sessions.get(nodeId) === session) this.#lost(nodeId, end);
  }

  #hello(expectedNodeId: string): Hello {
    const { topology, storeId, incarnation } = this.#options;
    return [Tag.hello, protocolVersion, topology.view.cluster, topology.self, storeId, incarnation, expectedNodeId];
  }

  #objectionTo(clusterId: string, nodeId: string, storeId: string, incarnation: number, expected: string): Refuse | null {
    const { topology, floorOf } = this.#options;
    if (clusterId !== topology.view.cluster) return refusal('wrong-cluster', `this is cluster ${topology.view.cluster}, not ${clusterId}`);
    if (nodeId !== expected || nodeId === topology.self) return refusal('wrong-node', `node ${nodeId} answers where ${expected} was expected`);
    if (!topology.view.members.some(({ id }) => id === nodeId)) return refusal('wrong-node', `node ${nodeId} is no member of cluster ${clusterId}`);
    const floor = floorOf(nodeId);
    if (floor === null || (floor.storeId === storeId && floor.incarnation <= incarnation)) return null;
    return refusal('stale-incarnation', `node ${nodeId} was met with disk ${floor.storeId} in life ${floor.incarnation}; now it comes with disk ${storeId} in life ${incarnation}`);
  }

  #lost(node: string, end: SessionEnd): void {
    if (!this.#sessions.delete(node)) return;
    this.counters.peersLost++;
    this.#options.runtime.log.warn({ peer: node, code: end.code, why: end.message }, 'peer down');
    this.#options.down(node);
  }
}

