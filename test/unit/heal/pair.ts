/** Two replicas and what they say to each other in healing, message by message. */
import { expect } from 'vitest';
import { encodeFrame } from '../../../client/wire/codec.ts';
import type { Timer } from '../../../client/wire/environment.ts';
import { Tag, tagNames, type Key, type Message, type MessageOf, type Version } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Exchange } from '../../../node/heal/exchange.ts';
import { Pacer } from '../../../node/heal/pacer.ts';
import type { StoreOptions } from '../../../node/store/store.ts';
import { valueOf } from '../txn/bodies.ts';
import { Replica } from '../txn/replica.ts';
import { viewOf } from '../txn/topologies.ts';

export const intervalMs = 30_000;
const roomy: Partial<StoreOptions> = { overlayBytesMax: 256_000_000, checkpointIntervalMs: 1e9, headCacheEntries: 10_000 };

export class Side {
  readonly replica: Replica;
  readonly pacer: Pacer;
  readonly passes: { partition: number; ordinal: number; collected: number }[] = [];
  readonly vanished: { partition: number; collected: number; keys: readonly Key[] }[] = [];
  readonly missed: Key[] = [];
  readonly suspects: { partition: number; leaf: number }[] = [];
  readonly errors: object[] = [];
  collected = 0;
  missedSince = 0;
  exchange: Exchange;
  readonly #alarms = new Set<{ readonly atMs: number; readonly action: () => void }>();
  readonly #nowMs: () => number;

  constructor(topology: Topology, nowMs: () => number, options: Partial<StoreOptions>, bytesPerSecondMax: number) {
    this.replica = Replica.open(topology, undefined, options);
    this.#nowMs = nowMs;
    this.pacer = new Pacer({ nowMs, after: (delayMs, action) => this.#after(delayMs, action), bytesPerSecondMax });
    this.exchange = this.begin();
  }

  /** As after a restart of the process: what it knew of the exchange is gone, its store is not. */
  begin(): Exchange {
    const { store, outbox, loopback, topology } = this.replica;
    return (this.exchange = new Exchange({
      topology, store, outbox, nowMs: this.#nowMs, during: (work) => loopback.during(work), intervalMs, missedSince: this.missedSince, pacer: this.pacer,
      log: { info: () => {}, error: (details) => void this.errors.push(details) },
      collectedOf: () => this.collected,
      passed: (_peer, partition, ordinal, collected) => void this.passes.push({ partition, ordinal, collected }),
      vanished: (partition, collected, keys) => void this.vanished.push({ partition, collected, keys }),
      missed: (_partition, key) => void this.missed.push(key),
      suspect: (partition, leaf) => void this.suspects.push({ partition, leaf }),
    }));
  }

  /** Takes in a committed version. The value follows from key and version, as in a cluster. */
  write(key: Key, version: Version, { deleted = false, bytes = 8 } = {}): void {
    const { store, topology } = this.replica;
    store.install(topology.partitionOf(key), key, version, deleted ? null : valueOf(`${key}@${version}`.padEnd(bytes, '.')));
  }

  #after(delayMs: number, action: () => void): Timer {
    const alarm = { atMs: this.#nowMs() + delayMs, action };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  tick(): void {
    for (const alarm of this.#alarms) if (alarm.atMs <= this.#nowMs() && this.#alarms.delete(alarm)) alarm.action();
    this.pacer.tick();
    this.exchange.tick();
  }

  receive(from: string, message: Message): void {
    const { exchange } = this;
    switch (message[0]) {
      case Tag.blocks: case Tag.compare: case Tag.descend: case Tag.list: case Tag.pull: return exchange.onQuestion(from, message);
      case Tag.roots: case Tag.differ: case Tag.children: case Tag.listed: case Tag.pulled: return exchange.onAnswer(from, message);
      case Tag.repair: return exchange.onRepair(from, message);
      default: throw new Error(`message ${tagNames.get(message[0])}`);
    }
  }
}

/** n1 and n2, with whatever is between them. */
export class Pair {
  readonly a: Side;
  readonly b: Side;
  nowMs = 1_000;
  /** Everything that was said, in order. */
  readonly said: Message[] = [];

  constructor(view = viewOf(2), options: Partial<StoreOptions> = {}, bytesPerSecondMax = 1e9) {
    const side = (self: string): Side => new Side(new Topology(view, self), () => this.nowMs, { ...roomy, ...options }, bytesPerSecondMax);
    this.a = side('n1');
    this.b = side('n2');
  }

  connect(): void {
    this.a.exchange.peerUp('n2');
    this.b.exchange.peerUp('n1');
  }

  /** Takes what is waiting to be sent by one side, without delivering it. */
  take(side: Side): Message[] {
    const messages = side.replica.outbox.take().map(([, message]) => message);
    this.said.push(...messages);
    return messages;
  }

  /** Delivers until nothing is under way; tells how many messages that were. */
  deliver(): number {
    let count = 0;
    for (let before = -1; before !== count;) {
      before = count;
      for (const message of this.take(this.a)) count += (this.b.receive('n1', message), 1);
      for (const message of this.take(this.b)) count += (this.a.receive('n2', message), 1);
    }
    return count;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.a.tick();
    this.b.tick();
  }

  /** Lets time pass, and everything arrive. */
  run(ms: number): void {
    for (let passed = 0; passed < ms; passed += 5) {
      this.pass(5);
      this.deliver();
    }
  }

  get areEqual(): boolean {
    const { topology } = this.a.replica;
    for (let partition = 0; partition < topology.view.partitions; partition++) {
      if (Buffer.compare(this.a.replica.store.root(partition), this.b.replica.store.root(partition)) !== 0) return false;
    }
    return true;
  }

  /** Lets time pass until both are equal; tells how long it took. */
  heal(withinMs = 60_000): number {
    const began = this.nowMs;
    while (!this.areEqual) {
      expect(this.nowMs - began, 'ms without becoming equal').toBeLessThan(withinMs);
      this.run(25);
    }
    return this.nowMs - began;
  }

  /** What was said with this tag. */
  saidWith<K extends Tag>(tag: K): MessageOf<K>[] {
    return this.said.filter((message) => message[0] === tag) as MessageOf<K>[];
  }

  /** As frames, each of one message. */
  get bytesSaid(): number {
    return this.said.reduce((sum, message) => sum + encodeFrame([message]).length, 0);
  }

  /** Keys that came with their values, each as often as it came. */
  get carried(): Key[] {
    const carried = [...this.saidWith(Tag.listed).map((message) => message[3]), ...this.saidWith(Tag.pulled).map((message) => message[2])];
    return carried.flatMap((entries) => entries.filter((_, i) => i % 3 === 0) as Key[]);
  }
}
