/**
 * Traffic that no workload knows of: transactions that read one key and write two others, all of their own, wherever these lie.
 *
 * They are in nobody's way, for nobody else wants those keys. But they share the partitions: whoever reads there raises a watermark, and so the timestamps
 * of who writes there. And they write blindly, in two places, of which their coordinator may know only one. Without them replicas hardly ever vote
 * for different timestamps. And they delete, so that tombstones are collected beside the values of workloads that delete nothing.
 */
import type { Client } from '../client.ts';
import { ended } from './attempt.ts';

const keyCount = 16;
const deletedShare = 0.25;

export async function passBy(client: Client): Promise<void> {
  const { random, db, name } = client;
  const { options, done } = client.terms();
  const [read, ...written] = [random.below(keyCount), random.below(keyCount), random.below(keyCount)];
  const { outcome } = await ended(db.transaction(async (tx) => {
    await tx.get(['passer-by', name, read]);
    for (const key of written) {
      if (random.chance(deletedShare)) tx.delete(['passer-by', name, key]);
      else tx.set(['passer-by', name, key], read);
    }
  }, options));
  done();
  client.tell(outcome, 'passes by');
}
