/**
 * Traffic that no workload knows of: transactions that read one key and write two others, all of their own, wherever these lie.
 *
 * They are in nobody's way, for nobody else wants those keys. But they share the partitions: whoever reads there raises a watermark, and so the timestamps
 * of who writes there. And they write blindly, in two places, of which their coordinator may know only one. Without them replicas hardly ever vote
 * for different timestamps. And they delete, so that tombstones are collected beside the values of workloads that delete nothing.
 *
 * Now and then they look at what they have just written, which another node may have to tell than the one that committed it, or ask for what became of
 * something that they committed long ago.
 */
import type { Transaction } from '../../../client/index.ts';
import type { Client } from '../client.ts';
import type { Committed } from '../late-question.ts';
import { ended } from './attempt.ts';

const keyCount = 16;
const deletedShare = 0.25;
const lookChance = 0.3;
const askChance = 0.2;
/** Of its own transactions it remembers the last ones. */
const rememberedMax = 256;

/** What the client does each time. */
export function passerBy(client: Client): () => Promise<void> {
  const { random, db, name } = client;
  const keyOf = (key: number) => ['passer-by', name, key];
  const committed: Committed[] = [];

  async function write(): Promise<void> {
    const { options, done } = client.terms();
    const [read, ...written] = [random.below(keyCount), random.below(keyCount), random.below(keyCount)];
    const attempts: Transaction[] = [];
    const { outcome } = await ended(db.transaction(async (tx) => {
      attempts.push(tx);
      await tx.get(keyOf(read));
      for (const key of written) {
        if (random.chance(deletedShare)) tx.delete(keyOf(key));
        else tx.set(keyOf(key), read);
      }
    }, options));
    done();
    client.tell(outcome, 'passes by');
    const transaction = attempts.at(-1)?.name;
    if (outcome !== 'ok' || transaction === undefined) return;
    committed.push({ name: transaction, written: written.map(keyOf), read: [keyOf(read)] });
    if (committed.length > rememberedMax) committed.shift();
    if (random.chance(lookChance)) await look(random.pick(written));
  }

  async function look(key: number): Promise<void> {
    const { options, done } = client.terms();
    await ended(db.entry(keyOf(key), options));
    done();
  }

  return async () => {
    await write();
    if (committed.length > 0 && random.chance(askChance)) await client.askLate(random.pick(committed));
  };
}
