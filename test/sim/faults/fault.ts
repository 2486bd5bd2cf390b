/**
 * What a fault is. Each class is one object in the registry: what it needs to be told, how it begins and ends, and what
 * to call it in a report.
 *
 * An *injection* is one occurrence: which hosts, when, how long, how much. All of them are drawn before a run begins and are plain
 * data, so a run can be replayed with some left out. That is what shrinking does, and it is why `begin` draws nothing.
 */
import type { Random } from '../random.ts';
import type { SimCluster } from '../cluster.ts';
import type { FrameWatch } from './frame-watch.ts';

export interface Injection {
  /** Milliseconds after the faults of the run begin. */
  readonly atMs: number;
  readonly fault: string;
  /** The hosts that it happens to. */
  readonly on: readonly string[];
  /** The other side, of what happens between hosts. */
  readonly against: readonly string[];
  /** How much, in a unit of the class's own. */
  readonly amount: number;
  /** For what waits for a message: `send` or `receive`, and the message's name. */
  readonly moment: string;
  /** Milliseconds until it is undone. */
  readonly lastsMs: number;
}

/** Who there is to be hit. */
export interface Scene {
  readonly nodes: readonly string[];
  readonly clients: readonly string[];
  /** Nodes that may be lost for good, all of them; none, unless told. */
  readonly dispensable?: readonly string[];
  /** What faults that wait for a message wait for; all there are, unless told. */
  readonly moments?: readonly string[];
}

/** What a class draws itself; the rest is the same for all. */
export type Particulars = Partial<Pick<Injection, 'on' | 'against' | 'amount' | 'moment'>>;

/** Where a fault happens, and who sees to its end. */
export interface Site {
  readonly cluster: SimCluster;
  readonly frames: FrameWatch;
  /** Has it undone after so long, or at the end of all faults. */
  undoAfter(ms: number, undo: () => void): void;
  /** Has it undone at the end of all faults. */
  undoAtEnd(undo: () => void): void;
  /** What had been waiting for its moment happens now. */
  happens(injection: Injection): void;
}

export interface Fault {
  readonly name: string;
  /** What the mean time between two is drawn from, in ms: what costs much time to get over comes seldom. */
  readonly everyMs: readonly [least: number, most: number];
  /** How much likelier than others it is to be among the classes of a run; 1 unless told. */
  readonly weight?: (scene: Scene) => number;
  /** Whom and how; null where the scene has nobody to do it to. */
  draw(random: Random, scene: Scene): Particulars | null;
  /** Makes it happen, or has it wait for its moment. False if nothing happened yet. */
  begin(site: Site, injection: Injection): boolean;
  /** What it is, in words that follow a time. */
  words(injection: Injection): string;
}

export const ms = (time: number): string => `${Math.round(time * 10) / 10} ms`;
export const list = (hosts: readonly string[]): string => hosts.join(', ');

/** Some of them, one at least: mostly one, now and then up to all. */
export function some(random: Random, hosts: readonly string[]): string[] {
  const count = random.chance(0.7) ? 1 : 1 + random.below(hosts.length);
  return random.shuffled(hosts).slice(0, count).sort();
}

/** Two sides, neither empty; null where there is only one host. */
export function twoSides(random: Random, hosts: readonly string[]): Particulars | null {
  if (hosts.length < 2) return null;
  const shuffled = random.shuffled(hosts);
  const cut = 1 + random.below(hosts.length - 1);
  return { on: shuffled.slice(0, cut).sort(), against: shuffled.slice(cut).sort() };
}
