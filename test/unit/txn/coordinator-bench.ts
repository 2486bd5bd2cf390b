/** The coordinator n1 alone: what it says goes to an outbox, what it hears and what time it is are the test's to say. */
import { Tag, type Decision, type Key, type Vote } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { parseBody } from '../../../node/txn/body.ts';
import { Coordinator } from '../../../node/txn/coordinator.ts';
import type { Refusal } from '../../../node/txn/running.ts';
import { protocolNumber, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import type { CommitProtocol } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';
import { bodyOf } from './bodies.ts';
import { ScriptedOutbox } from './scripted-outbox.ts';
import { keysIn, viewOf } from './topologies.ts';

/** All replicas of everything. */
export const three = new Topology(viewOf(3), 'n1');
/** The life that n1 is in. */
export const incarnation = 4;
const timing = { fastCommitWaitMs: 20, prepareTimeoutMs: 2_000, recoveryDelayMs: 1_000 };

export class Bench {
  readonly topology: Topology;
  readonly outbox = new ScriptedOutbox();
  readonly handedOver: { number: number; partitions: readonly number[] }[] = [];
  /** Tells the coordinator what became of the transaction handed over last. */
  recovered: (decision: Decision) => void = () => {};
  readonly outcomes: [number: number, decision: Decision, refusal: Refusal][] = [];
  readonly doubts: number[] = [];
  /** When the coordinator asked to be called, as delays. */
  readonly wakes: number[] = [];
  readonly coordinator: Coordinator;
  nowMs = 10_000;

  readonly #protocol: number;

  constructor(topology = three, protocol: CommitProtocolName = 'dtp') {
    this.topology = topology;
    this.#protocol = protocolNumber(protocol);
    this.coordinator = new Coordinator({
      ...timing, topology, outbox: this.outbox, nowMs: () => this.nowMs, incarnation, wakeAfter: (delayMs) => this.wakes.push(delayMs),
      recover: (id, _epoch, _protocol, partitions, onOutcome) => {
        this.handedOver.push({ number: id.number, partitions });
        this.recovered = onOutcome;
      },
    });
  }

  /** Starts a transaction that writes these keys; gives its body. */
  start(number: number, keys: readonly Key[] = keysIn(this.topology, 0, 1), deadlineMs = 60_000, others: readonly number[] = []): Uint8Array {
    const bytes = bodyOf({}, Object.fromEntries(keys.map((key) => [key, 'x'])), others);
    this.coordinator.start({
      number, timestamp: 100, protocolNumber: this.#protocol, protocol: protocols[this.#protocol] as CommitProtocol, bytes, body: parseBody(bytes, this.topology.partitionOf), deadlineAtMs: this.nowMs + deadlineMs,
      onOutcome: (decision, refusal) => this.outcomes.push([number, decision, refusal]),
      onDoubt: () => this.doubts.push(number),
    });
    return bytes;
  }

  vote(from: string, number: number, vote: Vote, detail = 100, key: Key | null = null): void {
    this.coordinator.onVote(from, [Tag.vote, 'n1', incarnation, number, vote, detail, key, null]);
  }

  accepted(from: string, number: number): void {
    this.coordinator.onAccepted(from, [Tag.accepted, 'n1', incarnation, number, 0, 'n1']);
  }

  acknowledge(from: string, ...numbers: number[]): void {
    this.coordinator.onDecided(from, [Tag.decided, 'n1', incarnation, numbers]);
  }

  /** Time passes; the coordinator looks at its watch. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.coordinator.tick();
  }

  get decisions(): Decision[] {
    return this.outcomes.map(([, decision]) => decision);
  }
}
