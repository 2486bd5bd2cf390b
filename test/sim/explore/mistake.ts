/**
 * Mistakes to be planted: an explorer that has never found anything proves nothing. Each is one that somebody could
 * make, and needs no change of the sources: another rule, a disk that lies, a memory that fails, a restart that forgets, a word too much.
 */
import { ABORT, Tag, UNDECIDED, type Decision, type Message } from '../../../client/wire/messages.ts';
import { protocolNumber, type CommitProtocolName } from '../../../client/wire/protocols.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import type { Ledger } from '../../../node/txn/ledger.ts';
import { dtp as dtpRule } from '../../../node/txn/protocols/dtp.ts';
import { coordinatorAlone, highestAccepted, type CommitProtocol, type Progress, type Step } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';
import { batchMistakes } from './batch-mistakes.ts';

export interface Mistake {
  readonly says: string;
  /** The one whose rule it changes, or under which it shows. */
  readonly protocol: CommitProtocolName;
  readonly rule?: (rule: CommitProtocol) => CommitProtocol;
  /** Which records of the journal a restart finds. */
  readonly keeps?: (record: JournalRecord) => boolean;
  /** Everything counts as durable at once. */
  readonly hasty?: boolean;
  /** Makes something wrong with a replica's memory. `hearing`: what it is being told, if it is. */
  readonly spoils?: (ledger: Ledger, hearing: () => Message | null) => void;
  /** What is said instead. */
  readonly utters?: (message: Message) => Message;
}

const voting = ({ proposed }: Progress): boolean => proposed === UNDECIDED;
const decide = (decision: Decision) => ({ kind: 'decide', decision }) as const;
const atOnce = (step: Step): Step => (step.kind === 'propose' ? decide(step.decision) : step);

export const mistakes = {
  'majority-is-fast': {
    protocol: 'dtp', says: 'commits fast with a majority',
    rule: (rule) => ({ ...rule, next: (progress) => (voting(progress) && progress.groups.every(({ ok, majority }) => ok >= majority) ? decide(progress.maxTimestamp) : rule.next(progress)) }),
  },
  'unequal-is-fast': {
    protocol: 'dtp', says: 'commits fast at the largest of different timestamps',
    rule: (rule) => ({ ...rule, next: (progress) => rule.next({ ...progress, sameTimestamp: true }) }),
  },
  'one-no-aborts': {
    protocol: 'dtp', says: 'takes one NO for an abort',
    rule: (rule) => ({ ...rule, next: (progress) => (voting(progress) && progress.groups.some(({ no }) => no > 0) ? decide(ABORT) : rule.next(progress)) }),
  },
  'change-of-mind': {
    protocol: 'dtp', says: 'commits fast after having proposed to abort',
    rule: (rule) => ({ ...rule, next: (progress) => {
      const unanimous = progress.sameTimestamp && progress.groups.every(({ ok, size }) => ok === size);
      return unanimous ? decide(progress.maxTimestamp) : rule.next(progress);
    } }),
  },
  'recovery-aborts': {
    protocol: 'dtp', says: 'aborts on recovery though all answers are OK',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => (witnesses.some(({ accepted }) => accepted !== null) ? rule.recover(witnesses, groups) : ABORT) }),
  },
  'recovery-takes-least': {
    protocol: 'dtp', says: 'commits on recovery at the smallest timestamp',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => {
      const decision = rule.recover(witnesses, groups);
      const accepted = witnesses.some((witness) => witness.accepted !== null);
      return accepted || decision === ABORT ? decision : Math.min(...witnesses.flatMap(({ timestamp }) => (timestamp === 0 ? [] : [timestamp])));
    } }),
  },
  'recovery-ignores-accepted': {
    protocol: 'dtp', says: 'decides on recovery by the votes alone, whatever was accepted',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => rule.recover(witnesses.map((witness) => ({ ...witness, accepted: null })), groups) }),
  },
  'home-is-all': {
    protocol: 'dtp', says: 'decides by the votes of the home group alone',
    rule: (rule) => ({ ...rule, next: (progress) => rule.next({ ...progress, groups: progress.groups.slice(0, 1) }) }),
  },
  'recovery-asks-home': {
    protocol: 'dtp', says: 'decides on recovery by the votes of the home group alone',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => rule.recover(witnesses, groups.slice(0, 1)) }),
  },
  'recovery-asks-coordinator': { protocol: 'dtp', says: 'decides on recovery by what the coordinator and the home group say alone', rule: (rule) => ({ ...rule, witnesses: coordinatorAlone }) },
  'recovery-waits': { protocol: 'dtp', says: 'waits on recovery for somebody who never comes', rule: (rule) => ({ ...rule, witnesses: () => [{ members: ['nobody'], majority: 1 }] }) },
  'hasty-disk': { protocol: 'dtp', says: 'sends votes, promises and acceptances before they are on the disk', hasty: true },
  'votes-forgotten': { protocol: 'dtp', says: 'forgets its votes and locks on restart', keeps: (record) => record[0] !== Kind.prepared },
  'promises-forgotten': { protocol: 'dtp', says: 'forgets its promises on restart', keeps: (record) => record[0] !== Kind.promised },
  'outcomes-forgotten': { protocol: 'dtp', says: 'forgets outcomes on restart', keeps: (record) => record[0] !== Kind.outcome },
  'acceptances-forgotten': { protocol: 'dtp', says: 'forgets on restart what it accepted', keeps: (record) => record[0] !== Kind.accepted },
  'marks-too-much': { protocol: 'dtp', says: 'tells that an outcome may be forgotten before all replicas have it', utters: (message) => (message[0] === Tag.marks ? [Tag.marks, message[1], []] : message) },
  'log-is-skipped': {
    protocol: '2pc', says: 'tells a commit that is not in the coordinator\'s log',
    rule: (rule) => ({ ...rule, next: (progress) => atOnce(rule.next(progress)) }),
  },
  'replicas-decide': {
    protocol: '2pc', says: 'decides on recovery by the votes of the replicas, without the coordinator',
    rule: (rule) => ({ ...rule, witnesses: dtpRule.witnesses, recover: dtpRule.recover }),
  },
  'vote-is-never-forced': {
    protocol: 'o2pc', says: 'forces neither the coordinator\'s own vote nor its decision',
    rule: (rule) => ({ ...rule, next: (progress) => atOnce(rule.next(progress)) }),
  },
  'precommit-of-one': { protocol: '3pc', says: 'takes one replica for enough to be pre-committed', rule: (rule) => ({ ...rule, acceptors: coordinatorAlone }) },
  'precommit-wins': {
    protocol: '3pc', says: 'commits whatever anybody was pre-committed to, even after an abort',
    rule: (rule) => ({ ...rule, recover: (heard, groups) => Math.max(...heard.map(({ accepted }) => accepted?.decision ?? ABORT), highestAccepted(heard) ?? rule.recover(heard, groups)) }),
  },
  ...batchMistakes,
} as const satisfies Readonly<Record<string, Mistake>>;

export type MistakeName = keyof typeof mistakes;

/** Does work with the mistake in the registry of protocols, where coordinators and recoverers look. Nothing else may use that meanwhile. */
export async function withMistake<R>(mistake: Mistake | null, work: () => Promise<R>): Promise<R> {
  if (mistake?.rule === undefined) return work();
  const number = protocolNumber(mistake.protocol);
  const table = protocols as CommitProtocol[];
  const rule = table[number]!;
  table[number] = mistake.rule(rule);
  try {
    return await work();
  } finally {
    table[number] = rule;
  }
}
