/**
 * Sessions with the other nodes. Of each pair one dials (the one whose id sorts first), so there is one session at most; a new one
 * replaces an old one that this side still believes in.
 *
 * A node is who its disk says it is, as long as that is the next in the succession of its lives (succession.ts). One that has forgotten is
 * refused, and told which life is known, so that it can come back as one that has. While the one that is known is connected,
 * another that bears its name is only asked to wait: somebody may have started a second process by mistake.
 */
import { protocolVersion, refusal, type Session, type Peer, type SessionEnd, type SessionMessage } from '../../client/wire/session.ts';
import { Link, linkDefaults } from '../../client/wire/link.ts';
import { Tag, tagNames, type Hello, type Message, type Refuse, type Welcome } from '../../client/wire/messages.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Outbox, Loopback } from './outbox.ts';
import { mayCome, type Floor, type Life } from './succession.ts';
import type { Topology } from './topology.ts';

export interface PeersOptions {
  readonly runtime: Runtime;
  readonly topology: Topology;
  readonly loopback: Loopback;
  /** This node's own. */
  readonly life: Life;
  /** How far the journal had come when it began. */
  readonly openedAt: number;
  readonly heartbeatIntervalMs: number;
  /** The newest life of a node that was ever met or heard of. */
  readonly floorOf: (node: string) => Floor | null;
  /** A node is met in this life, which may be the one that is known. */
  readonly met: (node: string, life: Life) => void;
  /** A peer knows a life of this node's that is not this one, nor one before it. */
  readonly refused: (by: string | null, above: number, why: string) => void;
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
        judge: ([, , clusterId, nodeId, storeId, incarnation, rebornAt, nonce, position]) => this.#objectionTo(clusterId, nodeId, { storeId, incarnation, rebornAt, nonce }, position, id),
        up: (_link, session) => loopback.during(() => this.opened(session)),
        received: (session, message) => loopback.during(() => this.#options.received(id, session, message)),
        down: (_link, end) => loopback.during(() => {
          this.#lost(id, end);
          this.ended(id, end);
        }),
        failed: (_link, end) => {
          runtime.log.debug({ peer: id, code: end.code, why: end.message }, 'peer unreachable');
          this.ended(id, end);
        },
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
  judge([, , clusterId, nodeId, storeId, incarnation, rebornAt, nonce, position, expectedNodeId]: Hello): Welcome | Refuse {
    const { topology, life, openedAt } = this.#options;
    const { self, view } = topology;
    if (clusterId !== null && clusterId !== view.cluster) return refusal('wrong-cluster', `this is cluster ${view.cluster}, not ${clusterId}`);
    if (expectedNodeId !== null && expectedNodeId !== self) return refusal('wrong-node', `this is node ${self}, not ${expectedNodeId}`);
    const objection = nodeId === null ? null : this.#objectionTo(clusterId ?? '', nodeId, { storeId: storeId ?? '', incarnation, rebornAt, nonce }, position, nodeId);
    return objection ?? [Tag.welcome, protocolVersion, view.cluster, self, life.storeId, life.incarnation, life.rebornAt, life.nonce, openedAt, view];
  }

  /** A session with a node is open, whoever dialed. */
  opened(session: Session): void {
    const { nodeId, storeId, incarnation, rebornAt, nonce } = session.peer as Peer & { nodeId: string; storeId: string };
    const before = this.#sessions.get(nodeId);
    if (before !== undefined) {
      before.abort('replaced by a newer session');
      this.#lost(nodeId, { code: null, message: 'replaced by a newer session' });
    }
    this.#sessions.set(nodeId, session);
    this.#options.runtime.log.info({ peer: nodeId, incarnation }, 'peer up');
    this.#options.met(nodeId, { storeId, incarnation, rebornAt, nonce });
    this.#options.up(nodeId);
  }

  /** An accepted session ended. */
  closed(session: Session, end: SessionEnd): void {
    const { nodeId } = session.peer;
    if (nodeId !== null && this.#sessions.get(nodeId) === session) this.#lost(nodeId, end);
    this.ended(nodeId, end);
  }

  /** Why a session ended, or came to nothing: perhaps the other side knows better who this node is. */
  ended(peer: string | null, { code, message, detail = 0 }: SessionEnd): void {
    if (code === 'stale-incarnation' && detail > 0) this.#options.refused(peer, detail, message);
  }

  /** A later life of the node was heard of. The one that is connected is over; or it is not, and will be refused when it comes again. */
  part(node: string): void {
    const session = this.#sessions.get(node);
    const floor = this.#options.floorOf(node);
    if (session === undefined || floor === null) return;
    if (session.peer.storeId === floor.storeId && session.peer.incarnation >= floor.incarnation) return;
    session.abort('a later life of it is known');
    this.#lost(node, { code: null, message: 'a later life of it is known' });
  }

  #hello(expectedNodeId: string): Hello {
    const { topology, life: { storeId, incarnation, rebornAt, nonce }, openedAt } = this.#options;
    return [Tag.hello, protocolVersion, topology.view.cluster, topology.self, storeId, incarnation, rebornAt, nonce, openedAt, expectedNodeId];
  }

  #objectionTo(clusterId: string, nodeId: string, life: Life, position: number, expected: string): Refuse | null {
    const { topology, floorOf } = this.#options;
    if (clusterId !== topology.view.cluster) return refusal('wrong-cluster', `this is cluster ${topology.view.cluster}, not ${clusterId}`);
    if (nodeId !== expected || nodeId === topology.self) return refusal('wrong-node', `node ${nodeId} answers where ${expected} was expected`);
    if (!topology.view.members.some(({ id }) => id === nodeId)) return refusal('wrong-node', `node ${nodeId} is no member of cluster ${clusterId}`);
    const floor = floorOf(nodeId);
    if (floor !== null && floor.storeId !== life.storeId && this.#sessions.get(nodeId)?.open === true) return refusal('not-ready', `node ${nodeId} is connected, with disk ${floor.storeId}; is another process running under its name?`);
    if (floor === null || mayCome(floor, life, position)) return null;
    return refusal('stale-incarnation', `node ${nodeId} is known with disk ${floor.storeId} in life ${floor.incarnation}; now it comes with disk ${life.storeId} in life ${life.incarnation}, and has forgotten what it did since`, floor.incarnation);
  }

  #lost(node: string, end: SessionEnd): void {
    if (!this.#sessions.delete(node)) return;
    this.counters.peersLost++;
    this.#options.runtime.log.warn({ peer: node, code: end.code, why: end.message }, 'peer down');
    this.#options.down(node);
  }
}

