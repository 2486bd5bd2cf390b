/** What the nodes count of their commit protocols, summed over the cluster and compared with the design. */
import type { CommitProtocol, NodeStatus } from '../client/index.ts';
import { costOf, type Cost, type Group } from './protocol-costs.ts';

/** The parts of a node's status that matter here. */
interface Told extends NodeStatus {
  readonly peers?: readonly { readonly up: boolean }[];
  readonly peersLost?: number;
  readonly messages?: Readonly<Record<string, number>>;
  readonly transactions?: Readonly<Record<'fastCommits' | 'slowCommits' | 'fastAborts' | 'slowAborts' | 'handedOver' | 'forcedWrites' | 'acknowledged' | 'inFlight' | 'undecided' | 'unacknowledged', number>>;
  readonly store?: { readonly flushes: number };
}

/** Since the nodes were started. */
export interface Counters extends Cost {
  /** Messages that acknowledge outcomes. */
  readonly decided: number;
  /** Messages by which transactions are recovered. None, if nothing fails. */
  readonly recovery: number;
  readonly fastCommits: number;
  readonly slowCommits: number;
  readonly aborts: number;
  /** How often a node took another one for dead, as it may if the machine gives it no time. */
  readonly peersLost: number;
  /** Of journals, over all nodes. */
  readonly flushes: number;
}

const recoveryTags = ['recover', 'promise', 'rejected', 'finished'];

function countersOf(nodes: readonly NodeStatus[]): Counters {
  const told = nodes as readonly Told[];
  const sum = (of: (node: Told) => number | undefined): number => told.reduce((total, node) => total + (of(node) ?? 0), 0);
  const sent = (tag: string): number => sum(({ messages }) => messages?.[tag]);
  return {
    prepare: sent('prepare'), vote: sent('vote'), accept: sent('accept'), accepted: sent('accepted'), decide: sent('decide'), decided: sent('decided'),
    recovery: recoveryTags.reduce((total, tag) => total + sent(tag), 0),
    acknowledged: sum(({ transactions }) => transactions?.acknowledged),
    forcedWrites: sum(({ transactions }) => transactions?.forcedWrites),
    fastCommits: sum(({ transactions }) => transactions?.fastCommits),
    slowCommits: sum(({ transactions }) => transactions?.slowCommits),
    aborts: sum(({ transactions }) => (transactions?.fastAborts ?? 0) + (transactions?.slowAborts ?? 0)),
    peersLost: sum(({ peersLost }) => peersLost),
    flushes: sum(({ store }) => store?.flushes),
  };
}

/** Is every node connected with every other, has every transaction been decided, and has every replica that was asked acknowledged the outcome? */
export function isAtRest(nodes: readonly NodeStatus[]): boolean {
  return (nodes as readonly Told[]).every(({ peers, transactions }) => (
    peers?.every(({ up }) => up) === true && transactions !== undefined && transactions.inFlight + transactions.undecided + transactions.unacknowledged === 0
  ));
}

/**
 * The counters of a whole cluster when every transaction is finished. Nodes are not asked at the same instant: one may have told its figures before
 * it sent what another had already got when it told its own. So they count only when asked for again, at rest.
 */
export async function countersAtRest(status: () => Promise<readonly NodeStatus[]>, pause: () => Promise<void>): Promise<Counters> {
  while (!isAtRest(await status())) await pause();
  return countersOf(await status());
}

export function difference(after: Counters, before: Counters): Counters {
  return combine((name) => after[name] - before[name]);
}

export function total(all: readonly Counters[]): Counters {
  return combine((name) => all.reduce((sum, counters) => sum + counters[name], 0));
}

function combine(of: (name: keyof Counters) => number): Counters {
  return {
    prepare: of('prepare'), vote: of('vote'), accept: of('accept'), accepted: of('accepted'), decide: of('decide'), decided: of('decided'), recovery: of('recovery'),
    acknowledged: of('acknowledged'), forcedWrites: of('forcedWrites'), fastCommits: of('fastCommits'), slowCommits: of('slowCommits'), aborts: of('aborts'), peersLost: of('peersLost'), flushes: of('flushes'),
  };
}

const compared = ['prepare', 'vote', 'accept', 'accepted', 'decide', 'acknowledged', 'forcedWrites'] as const;

/**
 * How what was counted while a protocol was at work differs from its design; empty if it doesn't. Of aborts the design
 * says too little to count on, for it depends on who votes NO and when.
 */
export function differencesFromDesign(protocol: CommitProtocol, group: Group, counted: Counters): string[] {
  const fast = costOf(protocol, group, 'fast');
  const slow = costOf(protocol, group, 'slow');
  const faults = compared.flatMap((name) => {
    const expected = counted.fastCommits * fast[name] + counted.slowCommits * slow[name];
    return counted[name] === expected ? [] : [`${counted[name]} ${name} where ${expected} were expected`];
  });
  if (counted.decided > counted.acknowledged) faults.push(`${counted.decided} messages for ${counted.acknowledged} acknowledgements`);
  if (counted.recovery > 0) faults.push(`${counted.recovery} messages of recoveries`);
  if (faults.length > 0 && counted.aborts > 0) faults.push(`${counted.aborts} aborts among them`);
  return faults;
}

/** Messages between nodes that were sent for the commit protocol. */
export function messagesIn({ prepare, vote, accept, accepted, decide, decided, recovery }: Counters): number {
  return prepare + vote + accept + accepted + decide + decided + recovery;
}
