/**
 * Clients that say well-formed nonsense to whole nodes: other people's leases and transactions, partitions that are not
 * theirs, numbers from nowhere, bytes that are no values. They may have whatever they want of their own transactions, but
 * no node may stop, what others wrote must stay whole, and all must come to rest when they are gone.
 */
import { describe, expect, it } from 'vitest';
import { encodeBody } from '../../client/wire/codec.ts';
import { Tag, type Key, type Message, type Operations, type Value, type Version } from '../../client/wire/messages.ts';
import { protocolVersion, Session, sessionDefaults } from '../../client/wire/session.ts';
import { encodeValue } from '../../client/wire/values.ts';
import { encodeKey } from '../../client/keys.ts';
import { SimCluster, urlOf } from '../sim/cluster.ts';
import { unhealed } from '../sim/healing.ts';
import { goodDay } from '../sim/plan/conditions.ts';
import type { ClusterShape } from '../sim/plan/shape.ts';
import { Random } from '../sim/random.ts';
import type { SimRuntime } from '../sim/runtime.ts';
import { World } from '../sim/world.ts';

/** Keys of the hostile clients alone, and of the honest ones, which the hostile ones only read, lock out and ask about. */
const ownKeys = ['h1', 'h2', 'h3', 'h4', 'h5'].map((name) => encodeKey(name));
const accounts = ['a1', 'a2', 'a3', 'a4'];
const accountKeys = accounts.map((name) => encodeKey(name));
const opening = 100;

/** Anything at all, of the shapes that the grammar lets pass. */
class Nonsense {
  readonly #random: Random;
  readonly #partitions: number;
  #granted = 1;
  #leases = [0];

  constructor(random: Random, partitions: number) {
    this.#random = random;
    this.#partitions = partitions;
  }

  heard(message: Message): void {
    if (message[0] === Tag.grant) this.#granted = message[1];
    if (message[0] === Tag.aborted && message[5] !== 0) this.#leases.push(message[5]);
  }

  next(): Message {
    const { pick, below } = { pick: <T>(from: readonly T[]): T => this.#random.pick(from), below: (bound: number) => this.#random.below(bound) };
    const request = below(5);
    const deadlineMs = pick([0, 1, 100, 5_000, Number.MAX_SAFE_INTEGER]);
    const epoch = this.#mostly(1, [0, 5_000, Number.MAX_SAFE_INTEGER]);
    const protocol = this.#mostly(0, [1, 99, Number.MAX_SAFE_INTEGER]);
    switch (below(9)) {
      case 0: return [Tag.get, request, deadlineMs, epoch, this.#keys()];
      case 1: return [Tag.read, request, deadlineMs, epoch, this.#keys()];
      case 2: case 3: case 4: case 5:
        return [Tag.commit, request, deadlineMs, this.#number(), epoch, protocol, pick([...this.#leases.slice(-3), 0, below(50)]), below(2) === 0, this.#body(), this.#operations()];
      case 6: case 7:
        return [Tag.resolve, request, deadlineMs, this.#mostly(pick(['n1', 'n2', 'n3']), ['n4', 'n5', 'n9', 'constructor', '']), this.#mostly(1, [0, 5_000, Number.MAX_SAFE_INTEGER]), this.#somebodys(), epoch, this.#somePartitions()];
      default: return pick<Message>([[Tag.giveUp, pick([...this.#leases.slice(-3), below(50)])], [Tag.status, request]]);
    }
  }

  #mostly<T>(usual: T, others: readonly T[]): T {
    return this.#random.chance(0.95) ? usual : this.#random.pick(others);
  }

  #number(): number {
    return this.#mostly(this.#granted++, [this.#random.below(3_000), 0, Number.MAX_SAFE_INTEGER]);
  }

  /** Like those under way: every session begins with the first of a thousand or so. */
  #somebodys(): number {
    return 1 + 1_024 * this.#random.below(6) + this.#random.below(60);
  }

  #version(): Version {
    return this.#random.pick([0, 1, this.#random.below(2 ** 32), Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1]);
  }

  #keys(): Key[] {
    return Array.from({ length: this.#random.below(4) }, () => this.#random.pick([...ownKeys, ...accountKeys, '\0', '\xff'.repeat(1_024)]));
  }

  #value(): Value {
    return this.#random.pick([null, Uint8Array.of(), Uint8Array.of(0xc1), encodeValue(1), encodeValue(2n), encodeValue(Number.NaN), encodeValue('text'), new Uint8Array(1_000)]);
  }

  /** Writes of its own keys alone, in any order, some of them twice; reads of any. */
  #body(): Uint8Array {
    const reads = this.#keys().flatMap((key) => [key, this.#version()]);
    const writes = Array.from({ length: this.#random.below(4) }, () => [this.#random.pick(ownKeys), this.#value()]).flat();
    return encodeBody([reads, writes]);
  }

  #operations(): Operations | null {
    if (this.#random.chance(0.5)) return null;
    return Array.from({ length: this.#random.below(3) }, () => [this.#random.below(3), this.#random.pick(ownKeys), this.#value(), this.#value(), this.#value()]).flat();
  }

  #somePartitions(): number[] {
    return Array.from({ length: this.#random.below(4) }, () => this.#mostly(this.#random.below(this.#partitions), [this.#partitions]));
  }
}

/** Talks nonsense to one node until all is over, in session after session. */
function talk(runtime: SimRuntime, random: Random, url: string, partitions: number, over: () => boolean, refused: string[]): void {
  const nonsense = new Nonsense(random, partitions);
  const dial = (): void => {
    if (over()) return;
    Session.dial(runtime, url, [Tag.hello, protocolVersion, null, null, null, 0, 0, 0, 0, null], sessionDefaults, {
      judge: () => null,
      opened: (session) => {
        const endMs = runtime.clock.monotonicMs() + random.below(3_000);
        const say = (): void => {
          if (!session.open) return;
          if (over() || runtime.clock.monotonicMs() >= endMs) return session[random.pick(['close', 'abort'] as const)]('enough');
          for (let burst = 1 + random.below(5); burst > 0; burst--) session.send(nonsense.next());
          runtime.after(random.exponential(4), say);
        };
        say();
      },
      received: (_session, message) => nonsense.heard(message),
      closed: (_session, { code, message }) => {
        if (code === 'bad-message') refused.push(message);
        runtime.after(random.exponential(20), dial);
      },
    });
  };
  dial();
}

async function meet(seed: number): Promise<{ failures: readonly string[]; refused: readonly string[]; transfers: number; sum: number; unhealed: string | null }> {
  const random = new Random(`hostile ${seed}`);
  const shape: ClusterShape = { nodes: random.pick([3, 5]), replicationFactor: 3, partitions: 16, timing: {}, store: { overlayBytesMax: random.pick([256 * 1_024, 64 * 1_024 * 1_024]) } };
  const world = new World({ seed, ...goodDay, traceLength: 100 });
  const cluster = new SimCluster(world, shape, goodDay);
  let over = false;
  let transfers = 0;
  let sum = 0;
  const refused: string[] = [];
  for (const id of cluster.ids) cluster.start(id);
  cluster.addClient('opening', { random: random.fork('opening'), hasty: false }, async ({ db }) => {
    for (const account of accounts) await db.set(account, opening);
  });
  await world.until(() => cluster.clientsDone || cluster.failures.length > 0);
  for (const id of cluster.ids) {
    world.addHost(`hostile-${id}`, {}).start((runtime) => talk(runtime, random.fork(id), urlOf(id), shape.partitions, () => over, refused));
  }
  for (const name of ['honest-1', 'honest-2']) {
    const choices = random.fork(name);
    cluster.addClient(name, { random: choices, hasty: false }, async ({ db, sleep }) => {
      for (let i = 0; i < 30; i++) {
        const [from, to] = choices.shuffled(accounts) as [string, string];
        await db.transaction(async (tx) => {
          const [available, present] = [await tx.get<number>(from), await tx.get<number>(to)] as [number, number];
          tx.set(from, available - 1);
          tx.set(to, present + 1);
        }, { timeoutMs: 50_000, maxAttempts: 10_000 });
        transfers++;
        await sleep(choices.exponential(100));
      }
    });
  }
  await world.until(() => cluster.clientsDone || cluster.failures.length > 0, 300_000);
  over = true;
  await world.runFor(5_000);
  cluster.addClient('audit', { random: random.fork('audit'), hasty: false }, async ({ db }) => {
    for (const value of await db.getMany(accounts)) sum += value as number;
  });
  await world.until(() => cluster.clientsDone || cluster.failures.length > 0);
  return { failures: cluster.failures, refused, transfers, sum, unhealed: unhealed(cluster) };
}

describe('nodes that hostile clients talk to', () => {
  it.each([1, 2])('serve the others, and go on (seed %i)', async (seed) => {
    const { refused, ...result } = await meet(seed);
    expect(result).toEqual({ failures: [], transfers: 60, sum: accounts.length * opening, unhealed: null });
    expect(refused, 'the nonsense was well-formed').toEqual([]);
  });
});
