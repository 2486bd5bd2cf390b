/**
 * Nodes as the client meets them: real sessions and real frames, and behind them one common map that commits a
 * transaction when its reads are current. A test changes what a node does by answering a message itself (`script`).
 */
import { connect, type Database } from '../../../client/index.ts';
import { encodeKey, type Key as UserKey } from '../../../client/keys.ts';
import type { ConnectOptions } from '../../../client/options.ts';
import { decodeBody } from '../../../client/wire/codec.ts';
import { AbortReason, Tag, type AbortReason as Reason, type Commit, type Key, type Message, type MessageOf, type Value, type Version, type Welcome } from '../../../client/wire/messages.ts';
import { Placement } from '../../../client/wire/placement.ts';
import { protocolVersion, Session, sessionDefaults, type SessionMessage } from '../../../client/wire/session.ts';
import type { View } from '../../../client/wire/view.ts';
import { FakeEnd, FakeWorld } from './fake-world.ts';

interface Stored {
  readonly version: Version;
  readonly value: Value;
}

export class FakeCluster {
  readonly world = new FakeWorld();
  readonly nodes: FakeNode[];
  view: View;
  placement: Placement;
  readonly stored = new Map<Key, Stored>();
  /** By node:incarnation:number; version 0 for aborted. */
  readonly outcomes = new Map<string, Version>();
  version = 100;
  readonly databases: Database[] = [];

  constructor(count = 3, replicationFactor = Math.min(3, count)) {
    const members = Array.from({ length: count }, (_, i) => ({ id: `n${i + 1}`, url: `ws://10.0.0.${i + 1}:7101`, weight: 1, zone: null }));
    this.view = { epoch: 1, cluster: 'fake', partitions: 64, replicationFactor, members };
    this.placement = new Placement(this.view);
    this.nodes = members.map(({ id, url }) => new FakeNode(this, id, url));
    for (const node of this.nodes) node.start();
  }

  node(id: string): FakeNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  /** The replicas of a key, in the order in which linearizable reads go to them. */
  replicasOf(key: Key): FakeNode[] {
    return this.placement.groupOf(this.placement.partitionOf(key)).map((id) => this.node(id));
  }

  /** The same, in the order in which transactions go to them. */
  coordinatorsOf(key: Key): FakeNode[] {
    return this.placement.coordinatorsOf(this.placement.partitionOf(key)).map((id) => this.node(id));
  }

  connecting(options: Partial<ConnectOptions> = {}): Promise<Database> {
    const all = { nodes: [this.view.members[0]?.url ?? ''], ...options, environment: this.world.environment };
    return connect(all).then((db) => {
      this.databases.push(db);
      return db;
    });
  }

  connect(options?: Partial<ConnectOptions>): Promise<Database> {
    return this.world.settle(this.connecting(options));
  }

  changeView(change: Partial<View>): void {
    this.view = { ...this.view, epoch: this.view.epoch + 1, ...change };
    this.placement = new Placement(this.view);
  }

  /** All messages of a kind that the nodes got, with who got them, in order. */
  received<K extends Message[0]>(tag: K): { node: FakeNode; message: MessageOf<K> }[] {
    return this.log.flatMap(({ node, message }) => (message[0] === tag ? [{ node, message: message as MessageOf<K> }] : []));
  }

  readonly log: { node: FakeNode; message: SessionMessage }[] = [];

  read(key: Key): Stored {
    return this.stored.get(key) ?? { version: 0, value: null };
  }

  /** As if some other client had done it. */
  write(key: Key, value: Value): Version {
    this.stored.set(key, { version: ++this.version, value });
    return this.version;
  }

  /** The version of the commit, or the key that is stale. */
  apply(body: Uint8Array): Version | Key {
    const [reads, writes] = decodeBody(body);
    for (let i = 0; i < reads.length; i += 2) if (this.read(reads[i] as Key).version !== reads[i + 1]) return reads[i] as Key;
    if (writes.length === 0) return 0;
    this.version++;
    for (let i = 0; i < writes.length; i += 2) this.stored.set(writes[i] as Key, { version: this.version, value: writes[i + 1] as Value });
    return this.version;
  }
}

/** Does something else than the node would; true if that was all. */
export type Script = (message: SessionMessage, session: Session, node: FakeNode) => boolean;

export class FakeNode {
  readonly id: string;
  readonly url: string;
  readonly cluster: FakeCluster;
  incarnation = 1;
  script: Script = () => false;
  /** How many numbers a session is granted at a time. */
  grantSize = 1_000;
  readonly sessions = new Set<Session>();
  readonly #ends = new Set<FakeEnd>();
  readonly #numbers = new Map<Session, { next: number; end: number }>();
  #nextNumber = 1;

  constructor(cluster: FakeCluster, id: string, url: string) {
    this.cluster = cluster;
    this.id = id;
    this.url = url;
  }

  /** Listens, at its own address and at another name of it. */
  start(...aliases: string[]): void {
    for (const url of [this.url, ...aliases]) {
      this.cluster.world.listen(url, (connection) => {
        this.#ends.add(connection as FakeEnd);
        Session.accept(this.cluster.world.environment, connection, (hello) => this.greet(hello[2], hello[9]), sessionDefaults, {
          opened: (session) => {
            this.sessions.add(session);
            this.grant(session);
          },
          received: (session, message) => this.#received(session, message),
          closed: (session) => void this.sessions.delete(session),
        });
      });
    }
  }

  greet = (cluster: string | null, expectedNode: string | null): Welcome | [typeof Tag.refuse, string, string, number] => {
    if (cluster !== null && cluster !== this.cluster.view.cluster) return [Tag.refuse, 'wrong-cluster', `this is cluster ${this.cluster.view.cluster}`, 0];
    if (expectedNode !== null && expectedNode !== this.id) return [Tag.refuse, 'wrong-node', `this is ${this.id}`, 0];
    return [Tag.welcome, protocolVersion, this.cluster.view.cluster, this.id, 'store', this.incarnation, 0, 1, 0, this.cluster.view];
  };

  /** The process is killed: connections break, and new ones are refused. */
  kill(): void {
    this.cluster.world.stopListening(this.url);
    for (const end of this.#ends) end.abort('the process is gone');
    this.#ends.clear();
    this.incarnation++;
  }

  /** It neither answers nor closes; frames to and from it are lost. */
  silence(): void {
    this.cluster.world.stopListening(this.url);
    for (const end of this.#ends) end.silent = end.other.silent = true;
  }

  grant(session: Session): void {
    this.#numbers.set(session, { next: this.#nextNumber, end: this.#nextNumber + this.grantSize });
    session.send([Tag.grant, this.#nextNumber, this.grantSize]);
    this.#nextNumber += this.grantSize;
  }

  #received(session: Session, message: SessionMessage): void {
    this.cluster.log.push({ node: this, message });
    if (this.script(message, session, this)) return;
    switch (message[0]) {
      case Tag.get:
      case Tag.read:
        session.send([Tag.values, message[1], message[4].flatMap((key) => [this.cluster.read(key).version, this.cluster.read(key).value])]);
        break;
      case Tag.commit:
        this.#commit(session, message);
        break;
      case Tag.resolve: {
        const name = message.slice(3, 6).join(':');
        const outcome = this.cluster.outcomes.get(name) ?? 0;
        this.cluster.outcomes.set(name, outcome);
        session.send(outcome === 0 ? [Tag.aborted, message[1], AbortReason.superseded, null, null, 0, null] : [Tag.committed, message[1], outcome, true]);
        break;
      }
      case Tag.status:
        session.send([Tag.statusIs, message[1], { epoch: this.cluster.view.epoch, inFlight: 0 }]);
        break;
      default:
        break;
    }
  }

  #commit(session: Session, message: Commit): void {
    const [, request, , number, epoch, , , , body] = message;
    if (!this.takeNumber(session, number)) return session.send([Tag.failed, request, 'number-void', `${number} was not granted`]);
    if (epoch !== this.cluster.view.epoch) return session.send([Tag.failed, request, 'wrong-view', `this is epoch ${this.cluster.view.epoch}`]);
    const outcome = this.decide(number, body);
    session.send(typeof outcome === 'string' ? [Tag.aborted, request, AbortReason.stale, outcome, null, 0, null] : [Tag.committed, request, outcome, true]);
  }

  /** Commits or aborts, and keeps the outcome; the version, or the key that was stale. */
  decide(number: number, body: Uint8Array): Version | Key {
    const outcome = this.cluster.apply(body);
    this.cluster.outcomes.set(`${this.id}:${this.incarnation}:${number}`, typeof outcome === 'string' ? 0 : outcome);
    return outcome;
  }

  takeNumber(session: Session, number: number): boolean {
    const range = this.#numbers.get(session);
    if (range === undefined || number < range.next || number >= range.end) return false;
    range.next = number + 1;
    return true;
  }
}

export function scriptAll(cluster: FakeCluster, script: Script): void {
  for (const node of cluster.nodes) node.script = script;
}

/** Turns the first commits down. */
export function abortsFirst(times: number, reason: Reason, key: UserKey | null = null, value: Value = null): Script {
  let left = times;
  return (message, session) => {
    if (message[0] !== Tag.commit || left-- <= 0) return false;
    session.send([Tag.aborted, message[1], reason, key === null ? null : encodeKey(key), value, 0, null]);
    return true;
  };
}
