/**
 * Faults on request, drawn while the simulation runs: a test's length isn't known beforehand.
 *
 * The classes are those by which the cluster itself is tested (../faults). A level says which of them a test may meet,
 * and for how long.
 */
import type { SimCluster } from '../cluster.ts';
import type { Fault, Injection, Site } from '../faults/fault.ts';
import type { FrameWatch } from '../faults/frame-watch.ts';
import { faults } from '../faults/registry.ts';
import type { Random } from '../random.ts';

/**
 * - `light`: slow links, lost connections, processes and disks that stall for a moment. Calls take longer and transactions
 *   run again; with time, all succeed.
 * - `normal`: each seed draws about a third of all kinds of fault, crashes and partitions among them. Majorities are lost now
 *   and then, so calls may fail, or end with an unknown outcome.
 * - `heavy`: all of them together, and lasting.
 */
export type ChaosLevel = 'light' | 'normal' | 'heavy';

interface Level {
  readonly classes: (random: Random) => readonly string[];
  /** How long what has to be undone lasts, in the mean. */
  readonly lastsMs: number;
  /** Times as seldom as the cluster's own tests have it, whose runs are short and need not get anywhere. */
  readonly rarity: number;
}

const stalls = ['pause', 'pause-client', 'clog', 'reset', 'half-open', 'slow-link', 'slow-disk', 'clock-jump'];
/** Clients run the test's own code, which can't be killed; a disk that fails or rots is an operator's worry. */
const unsuitable = new Set(['crash-client', 'failing-flush', 'failing-table', 'full-disk', 'rot-last-write', 'rot-journal', 'rot-table']);
const all = [...faults.keys()].filter((name) => !unsuitable.has(name));

const levels: Readonly<Record<ChaosLevel, Level>> = {
  light: { classes: () => stalls, lastsMs: 100, rarity: 2 },
  normal: { classes: (random) => swarm(random), lastsMs: 500, rarity: 3 },
  heavy: { classes: () => all, lastsMs: 1_000, rarity: 8 },
};

export const chaosLevels = Object.keys(levels) as ChaosLevel[];

/** Some of them: a run with few kinds of fault reaches states that one with all of them never does (Groce et al. 2012). */
function swarm(random: Random): readonly string[] {
  const drawn = all.filter((name) => random.fork(name).chance(0.35));
  return drawn.length > 0 ? drawn : [random.pick(all)];
}

export class Chaos implements Site {
  readonly cluster: SimCluster;
  readonly frames: FrameWatch;
  readonly #clients: () => readonly string[];
  readonly #undos = new Set<() => void>();
  readonly #injected: Record<string, number>;
  #over = false;

  /** Begins at once. `injected` counts what happened, by class. */
  constructor(cluster: SimCluster, frames: FrameWatch, random: Random, level: ChaosLevel, clients: () => readonly string[], injected: Record<string, number>) {
    this.cluster = cluster;
    this.frames = frames;
    this.#clients = clients;
    this.#injected = injected;
    const { classes, lastsMs, rarity } = levels[level];
    for (const name of classes(random.fork('classes'))) {
      const fault = faults.get(name);
      if (fault === undefined) throw new Error(`unknown fault ${name}; there are ${[...faults.keys()].join(', ')}`);
      const own = random.fork(name);
      this.#schedule(fault, own, rarity * own.between(...fault.everyMs), lastsMs);
    }
  }

  /** No more faults; what lasts is undone. */
  end(): void {
    this.#over = true;
    for (const undo of this.#undos) undo();
    this.#undos.clear();
  }

  undoAfter(ms: number, undo: () => void): void {
    this.#undos.add(undo);
    this.cluster.world.after(ms, () => {
      if (this.#undos.delete(undo)) undo();
    });
  }

  undoAtEnd(undo: () => void): void {
    this.#undos.add(undo);
  }

  happens(injection: Injection): void {
    this.cluster.world.trace.record('fault', injection.fault, 'happens now');
    this.#count(injection.fault);
  }

  #schedule(fault: Fault, random: Random, everyMs: number, meanLastsMs: number): void {
    const { world, ids } = this.cluster;
    world.after(random.exponential(everyMs), () => {
      if (this.#over) return;
      const particulars = fault.draw(random, { nodes: ids, clients: this.#clients() });
      const lastsMs = Math.round(random.exponential(meanLastsMs));
      if (particulars !== null) this.#begin(fault, { atMs: world.nowMs, fault: fault.name, on: [], against: [], amount: 0, moment: '', ...particulars, lastsMs });
      this.#schedule(fault, random, everyMs, meanLastsMs);
    });
  }

  #begin(fault: Fault, injection: Injection): void {
    this.cluster.world.trace.record('fault', fault.name, fault.words(injection));
    if (fault.begin(this, injection)) this.#count(fault.name);
  }

  #count(fault: string): void {
    this.#injected[fault] = (this.#injected[fault] ?? 0) + 1;
  }
}
