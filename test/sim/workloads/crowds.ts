/**
 * Crowds: small transactions that no workload knows of and that a client begins all at once, so that their coordinator has many of them travel
 * together. Workloads have few keys, on which transactions queue instead, and of a hundred of theirs about one is in a batch.
 *
 * A crowd keeps to the keys of a tag, which lie in one partition: keys of its members' own, and one that all of them, of other crowds too, look at and add to. Some add
 * to that of another tag as well, which may lie in another group. Now and then somebody asks for what became of one that is long over. Nobody judges the values; nodes are held to
 * their words.
 */
import type { Transaction } from '../../../client/index.ts';
import type { Client } from '../client.ts';
import type { Committed } from '../late-question.ts';
import { ended } from './attempt.ts';

const tagCount = 4;
const askChance = 0.2;
/** Of its own transactions it remembers the last ones. */
const rememberedMax = 256;

const hotKey = (tag: number): string => `crowd{${tag}}`;

interface Deed {
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  act(tx: Transaction): Promise<unknown> | void;
}

/** What a member may do; `tags`: that of its crowd, and another one. */
const deeds: readonly ((tags: readonly [number, number], own: string) => Deed)[] = [
  (_tags, own) => ({ reads: [], writes: [own], act: (tx) => tx.set(own, 1) }),
  ([tag]) => ({ reads: [], writes: [hotKey(tag)], act: (tx) => tx.add(hotKey(tag), 1) }),
  (tags) => ({ reads: [], writes: tags.map(hotKey), act: (tx) => tags.forEach((tag) => tx.add(hotKey(tag), 1)) }),
  ([tag], own) => ({ reads: [hotKey(tag)], writes: [own], act: async (tx) => tx.set(own, (await tx.get<number | undefined>(hotKey(tag))) ?? 0) }),
];

/** What the client does each time: as many of them as that. */
export function crowd(client: Client, size: number): () => Promise<void> {
  const { random, db, name } = client;
  const committed: Committed[] = [];

  async function join({ reads: read, writes: written, act }: Deed): Promise<void> {
    const { options, done } = client.terms();
    const attempts: Transaction[] = [];
    const { outcome } = await ended(db.transaction((tx) => {
      attempts.push(tx);
      return act(tx);
    }, options));
    done();
    client.tell(outcome, 'is in a crowd');
    const transaction = attempts.at(-1)?.name;
    if (outcome !== 'ok' || transaction === undefined) return;
    committed.push({ name: transaction, written, read });
    if (committed.length > rememberedMax) committed.shift();
  }

  return async () => {
    const tags = [random.below(tagCount), random.below(tagCount)] as const;
    const likely = random.pick(deeds);
    await Promise.all(Array.from({ length: size }, (_, i) => join((random.chance(0.5) ? likely : random.pick(deeds))(tags, `crowd{${tags[0]}} ${name} ${i}`))));
    if (committed.length > 0 && random.chance(askChance)) await client.askLate(random.pick(committed));
  };
}
