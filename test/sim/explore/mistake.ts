/**
 * Mistakes to be planted: an explorer that has never found anything proves nothing. Each is one that somebody could
 * make, and needs no change of the sources: another rule, a disk that lies, a restart that forgets, a word too much.
 */
import { ABORT, Tag, UNDECIDED, type Decision, type Message } from '../../../client/wire/messages.ts';
import { Kind, type JournalRecord } from '../../../node/store/records.ts';
import type { CommitProtocol, Progress } from '../../../node/txn/protocols/protocol.ts';
import { protocols } from '../../../node/txn/protocols/registry.ts';

export interface Mistake {
  readonly says: string;
  readonly rule?: (rule: CommitProtocol) => CommitProtocol;
  /** Which records of the journal a restart finds. */
  readonly keeps?: (record: JournalRecord) => boolean;
  /** Everything counts as durable at once. */
  readonly hasty?: boolean;
  /** What is said instead. */
  readonly utters?: (message: Message) => Message;
}

const voting = ({ proposed }: Progress): boolean => proposed === UNDECIDED;
const decide = (decision: Decision) => ({ kind: 'decide', decision }) as const;

export const mistakes = {
  'majority-is-fast': {
    says: 'commits fast with a majority',
    rule: (rule) => ({ ...rule, next: (progress) => (voting(progress) && progress.groups.every(({ ok, majority }) => ok >= majority) ? decide(progress.maxTimestamp) : rule.next(progress)) }),
  },
  'unequal-is-fast': {
    says: 'commits fast at the largest of different timestamps',
    rule: (rule) => ({ ...rule, next: (progress) => rule.next({ ...progress, sameTimestamp: true }) }),
  },
  'one-no-aborts': {
    says: 'takes one NO for an abort',
    rule: (rule) => ({ ...rule, next: (progress) => (voting(progress) && progress.groups.some(({ no }) => no > 0) ? decide(ABORT) : rule.next(progress)) }),
  },
  'change-of-mind': {
    says: 'commits fast after having proposed to abort',
    rule: (rule) => ({ ...rule, next: (progress) => {
      const unanimous = progress.sameTimestamp && progress.groups.every(({ ok, size }) => ok === size);
      return unanimous ? decide(progress.maxTimestamp) : rule.next(progress);
    } }),
  },
  'recovery-aborts': {
    says: 'aborts on recovery though all answers are OK',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => (witnesses.some(({ accepted }) => accepted !== null) ? rule.recover(witnesses, groups) : ABORT) }),
  },
  'recovery-takes-least': {
    says: 'commits on recovery at the smallest timestamp',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => {
      const decision = rule.recover(witnesses, groups);
      const accepted = witnesses.some((witness) => witness.accepted !== null);
      return accepted || decision === ABORT ? decision : Math.min(...witnesses.flatMap(({ timestamp }) => (timestamp === 0 ? [] : [timestamp])));
    } }),
  },
  'recovery-ignores-accepted': {
    says: 'decides on recovery by the votes alone, whatever was accepted',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => rule.recover(witnesses.map((witness) => ({ ...witness, accepted: null })), groups) }),
  },
  'home-is-all': {
    says: 'decides by the votes of the home group alone',
    rule: (rule) => ({ ...rule, next: (progress) => rule.next({ ...progress, groups: progress.groups.slice(0, 1) }) }),
  },
  'recovery-asks-home': {
    says: 'decides on recovery by the votes of the home group alone',
    rule: (rule) => ({ ...rule, recover: (witnesses, groups) => rule.recover(witnesses, groups.slice(0, 1)) }),
  },
  'recovery-waits': { says: 'waits for the coordinator, be it gone or not', rule: (rule) => ({ ...rule, recover: () => UNDECIDED }) },
  'hasty-disk': { says: 'sends votes, promises and acceptances before they are on the disk', hasty: true },
  'votes-forgotten': { says: 'forgets its votes and locks on restart', keeps: (record) => record[0] !== Kind.prepared },
  'promises-forgotten': { says: 'forgets its promises on restart', keeps: (record) => record[0] !== Kind.promised },
  'outcomes-forgotten': { says: 'forgets outcomes on restart', keeps: (record) => record[0] !== Kind.outcome },
  'acceptances-forgotten': { says: 'forgets on restart what it accepted', keeps: (record) => record[0] !== Kind.accepted },
  'marks-too-much': { says: 'tells that an outcome may be forgotten before all replicas have it', utters: (message) => (message[0] === Tag.marks ? [Tag.marks, message[1], []] : message) },
} as const satisfies Readonly<Record<string, Mistake>>;

export type MistakeName = keyof typeof mistakes;

/** Does work with the mistake in the registry of protocols, where coordinators and recoverers look. Nothing else may use that meanwhile. */
export async function withMistake<R>(mistake: Mistake | null, protocolNumber: number, work: () => Promise<R>): Promise<R> {
  const rule = protocols[protocolNumber];
  const table = protocols as (CommitProtocol | undefined)[];
  if (rule === undefined) throw new RangeError(`no commit protocol has number ${protocolNumber}`);
  table[protocolNumber] = mistake?.rule?.(rule) ?? rule;
  try {
    return await work();
  } finally {
    table[protocolNumber] = rule;
  }
}
