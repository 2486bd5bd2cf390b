import { describe, expect, it } from 'vitest';
import { ABORT, AbortReason, Tag, UNDECIDED, type Message, type Resolve } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Kind } from '../../../node/store/records.ts';
import { Recovery } from '../../../node/txn/recovery.ts';
import { Resolver } from '../../../node/txn/resolver.ts';
import { Replica } from './replica.ts';
import { viewOf } from './topologies.ts';

const topology = new Topology(viewOf(3), 'n1');

class Bench {
  readonly replica = Replica.open(topology);
  readonly recovery: Recovery;
  readonly resolver: Resolver;
  readonly answers: Message[] = [];
  readonly client = { open: true, send: (message: Message): void => void this.answers.push(message) };
  nowMs = 0;

  constructor() {
    const { ledger, outbox, runtime } = this.replica;
    this.recovery = new Recovery({ topology, outbox, nowMs: () => 0, randomUint32: () => 1, log: runtime.log, roundTimeoutMs: 1_000, isHeld: () => false });
    this.resolver = new Resolver({ topology, ledger, recovery: this.recovery, nowMs: () => this.nowMs, blocked: { inWords: (blocked) => `for ${blocked.waitsFor.join()}` } });
    ledger.enterDurably([Kind.floor, 'n2', 'disk', 1]);
    this.replica.settle();
  }

  ask({ request = 9, deadlineMs = 5_000, node = 'n2', life = 1, epoch = 7, partitions = [0] } = {}): void {
    this.resolver.onResolve(this.client, [Tag.resolve, request, deadlineMs, node, life, 5, epoch, partitions] satisfies Resolve);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.resolver.tick();
  }
}

describe('a client that lost its coordinator', () => {
  it.each([
    [130, [Tag.committed, 9, 130, false]],
    [ABORT, [Tag.aborted, 9, AbortReason.superseded, null, null, 0, null]],
  ] as const)('is told at once if the outcome is known here (%i)', (decision, answer) => {
    const bench = new Bench();
    bench.replica.ledger.enter([Kind.outcome, 'n2', 1, 5, decision, null]);
    bench.ask();
    expect([bench.answers, bench.recovery.activeCount]).toEqual([[answer], 0]);
  });

  it.each([
    [130, [Tag.committed, 9, 130, false]],
    [ABORT, [Tag.aborted, 9, AbortReason.superseded, null, null, 0, null]],
    [UNDECIDED, [Tag.failed, 9, 'outcome-unknown', expect.any(String)]],
  ] as const)('is told what a recovery finds (%i)', (decision, answer) => {
    const bench = new Bench();
    bench.ask();
    expect([bench.answers, bench.recovery.activeCount]).toEqual([[], 1]);
    if (decision === UNDECIDED) for (const node of ['n2', 'n3']) bench.recovery.onFinished(node, [Tag.finished, 'n2', 1, 5, UNDECIDED]);
    else bench.recovery.onDecide([Tag.decide, 'n2', 1, 5, decision, null]);
    expect(bench.answers).toEqual([answer]);
  });

  it('is told with all others who asked and still wait', () => {
    const bench = new Bench();
    bench.ask({ request: 1, deadlineMs: 100 });
    bench.ask({ request: 2, deadlineMs: 1_000 });
    bench.ask({ request: 3, deadlineMs: Number.MAX_SAFE_INTEGER });
    bench.pass(99);
    expect(bench.answers).toEqual([]);
    bench.pass(1);
    expect(bench.answers.splice(0)).toEqual([[Tag.failed, 1, 'outcome-unknown', expect.any(String)]]);
    bench.pass(59_000);
    expect(bench.answers.splice(0)).toEqual([[Tag.failed, 2, 'outcome-unknown', expect.any(String)]]);
    bench.ask({ request: 4 });
    expect(bench.recovery.describe()[0]?.listeners, 'whoever asks').toBe(1);
    bench.recovery.onDecide([Tag.decide, 'n2', 1, 5, 130, null]);
    expect(bench.answers.splice(0)).toEqual([[Tag.committed, 3, 130, false], [Tag.committed, 4, 130, false]]);
    bench.pass(100_000);
    expect(bench.answers).toEqual([]);
  });

  it('does not wait for ever', () => {
    const bench = new Bench();
    bench.ask({ deadlineMs: Number.MAX_SAFE_INTEGER });
    bench.pass(60_000);
    expect(bench.answers).toEqual([[Tag.failed, 9, 'outcome-unknown', expect.any(String)]]);
  });

  it.each([{ node: 'n3' }, { life: 2 }])('is not made to wait until we meet the coordinator of %j', (unmet) => {
    const bench = new Bench();
    bench.ask(unmet);
    expect([bench.answers, bench.recovery.activeCount]).toEqual([[], 1]);
  });

  it.each([
    ['wrong-view', { epoch: 6 }],
    ['invalid-argument', { node: 'n9' }],
    ['invalid-argument', { partitions: [] }],
    ['invalid-argument', { partitions: [0, 16] }],
    ['invalid-argument', { life: 0 }],
    ['invalid-argument', { life: 2_000 }],
  ] as const)('is refused with %s if it asks for %j, and nothing is begun', (code, ask) => {
    const bench = new Bench();
    bench.ask({ ...ask, partitions: [...('partitions' in ask ? ask.partitions : [0])] });
    expect([bench.answers, bench.recovery.activeCount]).toEqual([[[Tag.failed, 9, code, expect.any(String)]], 0]);
  });
});
