/**
 * Is a recovery point what it was when it was taken? Everything is read: each row against its own checksum, each partition's
 * rows against the digests that were written with them, and all digests against the note beside the copy.
 */
import type { Key } from '../../client/wire/messages.ts';
import type { Table } from '../runtime/runtime.ts';
import { InventoriedTable } from './inventory.ts';
import { readFacts, type Identity } from './meta.ts';
import type { Point } from './point.ts';
import { dataBounds } from './rows.ts';
import { StoreError } from './store-error.ts';
import { Versions } from './versions.ts';

const advice = 'Nothing was changed. Take another recovery point, or start the node with an empty directory: it gets its data from the others.';

/** Returns how many keys it has, deleted ones that are remembered included. Throws StoreError. */
export function checkPoint(table: Table, point: Point, expected: Identity, partitionOf: (key: Key) => number): number {
  const facts = readFacts(table, expected);
  if (facts === null) throw damaged('it is empty');
  new InventoriedTable(table).check();
  if (facts.storeId !== point.storeId) throw damaged(`the note beside it is of disk ${point.storeId}, and it is of disk ${facts.storeId}`);
  const { partitions } = expected;
  const versions = new Versions(table, 0, partitions, partitionOf, (partition, { details }) => {
    throw damaged(`in partition ${partition}, the row of key ${Buffer.from(String(details['key']), 'latin1').toString('hex')} (hex) is not as it was written`);
  });
  for (let partition = 0; partition < partitions; partition++) {
    if (Buffer.compare(versions.rebuildLeaves(partition), versions.digests.leaves(partition)) !== 0) throw damaged(`the rows of partition ${partition} are not those that its digests were made of`);
  }
  const digest = Buffer.from(versions.digests.whole()).toString('hex');
  if (digest !== point.digest) throw damaged(`its digest is ${digest}, and the note beside it says ${point.digest}`);
  let keys = 0;
  for (const _row of table.range(...dataBounds)) keys++;
  return keys;
}

function damaged(problem: string): StoreError {
  return new StoreError('corrupt-point', `the recovery point is damaged: ${problem}. ${advice}`);
}
