/** What a replica says of one transaction of a batch, asked for by its own name, while the coordinator's watermark moves past it. */
import { expect, it } from 'vitest';
import { ABORT, Tag, Vote, type Decision, type Key, type Message } from '../../../client/wire/messages.ts';
import { protocolNumber } from '../../../client/wire/protocols.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { bodyOf } from './bodies.ts';
import { Replica } from './replica.ts';
import { keysIn, partitionWhere, viewOf } from './topologies.ts';

const topology = new Topology(viewOf(3), 'n1');
const home = partitionWhere(topology, (members) => members.includes('n1'));
const [a] = keysIn(topology, home, 1) as [Key];
const dtp = protocolNumber('dtp');

const [batch, part] = [9, 3];

/** Has voted for the batch, and was told that the part's number is below the watermark, and finished by that. */
function replicaWithBatch(): Replica {
  const replica = Replica.open(topology);
  replica.enter((participant) => participant.onPrepare('n2', [Tag.prepare, 'n2', 1, batch, 7, 100, dtp, bodyOf({}, { [a]: 'x' }, [part])]));
  expect(replica.settle()).toEqual([['n2', [Tag.vote, 'n2', 1, batch, Vote.ok, 100, null, null]]]);
  marks(replica, 4);
  return replica;
}

function marks(replica: Replica, watermark: number, exceptions: number[] = []): void {
  replica.enter((participant) => participant.onMarks('n2', 1, [Tag.marks, watermark, exceptions]));
  replica.settle();
}

function decides(replica: Replica, decision: Decision): void {
  replica.enter((participant) => participant.onDecide('n2', [Tag.decide, 'n2', 1, batch, decision, null]));
  replica.settle();
}

/** What n3 is answered that recovers the part. */
function answers(replica: Replica): Message[] {
  const atOnce = replica.enter((participant) => participant.onRecover('n3', [Tag.recover, 'n2', 1, part, 1, 'n3', 7]));
  return [...atOnce, ...replica.settle()].map(([, message]) => message);
}

it.each<[string, (replica: Replica) => Replica]>([
  ['that is undecided here', (replica) => replica],
  ['that is undecided here, after a crash', (replica) => replica.crash(0)],
  ['that is decided elsewhere and not acknowledged', (replica) => {
    marks(replica, 20, [batch]);
    return replica;
  }],
])('it turns whoever recovers the part to a batch %s', (_what, happens) => {
  expect(answers(happens(replicaWithBatch()))).toEqual([[Tag.batched, 'n2', 1, part, batch, 7, dtp, [home]]]);
});

it.each([['committed', 120], ['aborted', ABORT]])('it tells that the part is %s when the batch is, finished or not', (_what, decision) => {
  const replica = replicaWithBatch();
  decides(replica, decision);
  expect(answers(replica)).toEqual([[Tag.finished, 'n2', 1, part, decision]]);
  marks(replica, 20);
  expect(answers(replica)).toEqual([[Tag.finished, 'n2', 1, part, decision]]);
});
