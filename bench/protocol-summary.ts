/** From single turns and losses to the figures that are told: medians, spreads, and ratios within a round. */
import type { CommitProtocol } from '../client/index.ts';
import type { Loss } from './coordinator-loss.ts';
import { costOf, messagesOf, type Group } from './protocol-costs.ts';
import { differencesFromDesign, messagesIn, total, type Counters } from './protocol-counters.ts';
import type { Turn } from './protocol-turns.ts';
import { spreadOf, type Spread } from './report/spread.ts';

export interface TurnSummary {
  readonly protocol: CommitProtocol;
  readonly callers: number;
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** Of each round, this protocol's figure by that of the reference. */
  readonly perSecondRatio: Spread;
  readonly p50Ratio: Spread;
  readonly processorRatio: Spread;
  /** Over the turns in which no node was lost to another: of others the design does not speak. */
  readonly counted: Counters;
  /** Turns that were left out of what was counted. */
  readonly turnsWithLosses: number;
  /** Per committed transaction; of messages the design says how many there are at most. */
  readonly messages: number;
  readonly messagesDesigned: number;
  readonly forcedWrites: number;
  readonly forcedWritesDesigned: number;
  /** Microseconds of the three nodes together. */
  readonly processorUs: number;
  /** Flushes of all nodes; many forced writes share one. */
  readonly flushes: number;
  /** Empty: as designed. */
  readonly differences: readonly string[];
}

/** Of all turns of one protocol with one number of callers. Precondition: the reference has had as many. */
export function summarize(turns: readonly Turn[], protocol: CommitProtocol, callers: number, reference: CommitProtocol, group: Group): TurnSummary {
  const of = (name: CommitProtocol): Turn[] => turns.filter((turn) => turn.protocol === name && turn.callers === callers).sort((x, y) => x.round - y.round);
  const own = of(protocol);
  const others = of(reference);
  const ratios = (figure: (turn: Turn) => number): Spread => spreadOf(own.map((turn, i) => figure(turn) / figure(others[i] as Turn)));
  const whole = own.filter(({ counted: { peersLost } }) => peersLost === 0);
  const counted = total(whole.map((turn) => turn.counted));
  const { fastCommits, slowCommits } = counted;
  const commits = fastCommits + slowCommits;
  const designed = (figure: (path: 'fast' | 'slow') => number): number => (fastCommits * figure('fast') + slowCommits * figure('slow')) / commits;
  return {
    protocol, callers,
    perSecond: spreadOf(own.map(({ result }) => result.perSecond)),
    p50Ms: spreadOf(own.map(({ result }) => result.p50Ms)),
    p99Ms: spreadOf(own.map(({ result }) => result.p99Ms)),
    perSecondRatio: ratios(({ result }) => result.perSecond),
    p50Ratio: ratios(({ result }) => result.p50Ms),
    processorRatio: ratios(processorUsOf),
    counted,
    turnsWithLosses: own.length - whole.length,
    messages: messagesIn(counted) / commits,
    messagesDesigned: designed((path) => messagesOf(costOf(protocol, group, path))),
    forcedWrites: counted.forcedWrites / commits,
    forcedWritesDesigned: designed((path) => costOf(protocol, group, path).forcedWrites),
    processorUs: spreadOf(own.map(processorUsOf)).median,
    flushes: counted.flushes / commits,
    differences: differencesFromDesign(protocol, group, counted),
  };
}

function processorUsOf({ processorMs, counted: { fastCommits, slowCommits } }: Turn): number {
  return (processorMs * 1_000) / (fastCommits + slowCommits);
}

/** All losses of one kind. `null` for a median: others were still blocked when nobody watched any more. */
export interface LossSummary {
  readonly runs: number;
  readonly readBlockedMs: number | null;
  readonly writeBlockedMs: number | null;
  /** Which outcome, how often. */
  readonly outcomes: Readonly<Record<string, number>>;
}

export function summarizeLosses(losses: readonly Loss[]): LossSummary {
  const outcomes: Record<string, number> = {};
  for (const { outcome } of losses) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  const blocked = (figure: (loss: Loss) => number | null): number | null => {
    const { median } = spreadOf(losses.map((loss) => figure(loss) ?? Number.POSITIVE_INFINITY));
    return Number.isFinite(median) ? median : null;
  };
  return { runs: losses.length, readBlockedMs: blocked((loss) => loss.readBlockedMs), writeBlockedMs: blocked((loss) => loss.writeBlockedMs), outcomes };
}
