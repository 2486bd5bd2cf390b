/** How much a coordinator takes on while a replica is away. */
import { expect, it } from 'vitest';
import { limits } from '../../../client/wire/limits.ts';
import { ABORT, Tag } from '../../../client/wire/messages.ts';
import type { CommitProtocol } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';
import { parseBody } from '../../../node/txn/body.ts';
import { bodyOf } from './bodies.ts';
import { a, Bench } from './commits-bench.ts';

it('what a lost replica has not acknowledged counts while that replica is there, and does not keep clients out when it is gone', () => {
  const bench = new Bench();
  const { coordinator, replica: { topology, outbox } } = bench;
  const bytes = bodyOf({}, { [a]: 'x' });
  const body = parseBody(bytes, topology.partitionOf);
  const none = (): void => {};
  for (let number = 1_000_000; number < 1_000_000 + limits.coordinatorTransactionsMax; number++) {
    coordinator.start({ number, timestamp: 1, protocolNumber: 0, protocol: protocols[0] as CommitProtocol, bytes, body, deadlineAtMs: 1e9, onOutcome: none, onDoubt: none });
    coordinator.onDecide([Tag.decide, 'n1', 1, number, ABORT, null]);
    for (const node of ['n1', 'n2']) coordinator.onDecided(node, [Tag.decided, 'n1', 1, [number]]);
    outbox.take();
  }
  const client = bench.client();
  bench.commit(client, 1, { writes: { [a]: 'x' } });
  expect(client.take()).toEqual([[Tag.failed, 1, 'overloaded', expect.any(String)]]);
  outbox.down.add('n3');
  coordinator.peerDown('n3');
  bench.commit(client, 2, { writes: { [a]: 'x' } });
  expect([client.take(), bench.prepares().length]).toEqual([[], 1]);
});
