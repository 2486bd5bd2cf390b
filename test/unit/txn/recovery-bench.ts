import { Tag, UNDECIDED, Vote, type Decision, type TxnId } from '../../../client/wire/messages.ts';
import { Topology } from '../../../node/cluster/topology.ts';
import { Recovery } from '../../../node/txn/recovery.ts';
import { only, ScriptedOutbox } from './scripted-outbox.ts';
import { viewOf } from './topologies.ts';

export const three = new Topology(viewOf(3), 'n3');
export const id: TxnId = { node: 'n1', incarnation: 4, number: 9 };
export const name = ['n1', 4, 9] as const;
export const all = ['n1', 'n2', 'n3'];
const noBallot = [-1, '', UNDECIDED] as const;

/** A recoverer whose peers are played by the test: what it asks is looked at, what they answer is said. */
export class Bench {
  readonly topology: Topology;
  readonly outbox = new ScriptedOutbox();
  readonly outcomes: Decision[] = [];
  readonly recovery: Recovery;
  nowMs = 10_000;
  random = 2 ** 31;
  /** Has this node itself voted OK, and not heard the outcome? */
  held = false;

  constructor(topology = three) {
    this.topology = topology;
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    this.recovery = new Recovery({ topology, outbox: this.outbox, nowMs: () => this.nowMs, randomUint32: () => this.random, log, roundTimeoutMs: 1_000, isHeld: () => this.held });
  }

  start(partitions: readonly number[] = [0], protocolNumber = 0): void {
    this.recovery.start({ id, epoch: 7, protocolNumber, partitions }, 'a test', (decision) => this.outcomes.push(decision));
  }

  /** A client says that these are its partitions. */
  claim(partitions: readonly number[]): void {
    this.recovery.start({ id, epoch: 7, protocolNumber: null, partitions }, 'a client asks', (decision) => this.outcomes.push(decision));
  }

  promise(from: string, { round = 1, timestamp = 0, protocol = 0, accepted = noBallot as readonly [number, string, Decision], body = null as Uint8Array | null } = {}): void {
    this.recovery.onPromise(from, [Tag.promise, ...name, round, this.topology.self, timestamp === 0 ? Vote.none : Vote.ok, timestamp, timestamp === 0 ? 0 : 7, protocol, ...accepted, body]);
  }

  accepted(from: string, round = 1): void {
    this.recovery.onAccepted(from, [Tag.accepted, ...name, round, this.topology.self]);
  }

  rejected(promisedRound: number, round = 1): void {
    this.recovery.onRejected([Tag.rejected, ...name, round, this.topology.self, promisedRound, 'n2']);
  }

  finished(from: string, outcome: Decision): void {
    this.recovery.onFinished(from, [Tag.finished, ...name, outcome]);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.recovery.tick();
  }

  /** The rounds and addressees of what was asked since the last look, and the values proposed. */
  asked(): { recover: [string, number][]; accept: [string, number, Decision][] } {
    const sent = this.outbox.take();
    return {
      recover: only(sent, Tag.recover).map(([to, message]) => [to, message[4]]),
      accept: only(sent, Tag.accept).map(([to, message]) => [to, message[4], message[6]]),
    };
  }
}
