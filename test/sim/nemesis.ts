/** Makes what goes wrong in a run go wrong, at its time; and at the end undoes all of it. */
import type { SimCluster } from './cluster.ts';
import type { Injection, Site } from './faults/fault.ts';
import { FrameWatch } from './faults/frame-watch.ts';
import { faults } from './faults/registry.ts';

export class Nemesis implements Site {
  readonly cluster: SimCluster;
  readonly frames: FrameWatch;
  readonly #injections: readonly Injection[];
  readonly #undos = new Set<() => void>();
  #stopped = false;
  /** How often each class happened. */
  readonly injected: Record<string, number> = {};

  constructor(cluster: SimCluster, injections: readonly Injection[]) {
    this.cluster = cluster;
    this.frames = new FrameWatch(cluster.world.network);
    this.#injections = injections;
  }

  start(): void {
    for (const injection of this.#injections) {
      const fault = faults.get(injection.fault);
      if (fault === undefined) throw new Error(`unknown fault ${injection.fault}; there are ${[...faults.keys()].join(', ')}`);
      this.cluster.world.after(injection.atMs, () => {
        if (this.#stopped || !injection.on.every((host) => this.cluster.world.hasHost(host))) return;
        this.cluster.world.trace.record('fault', injection.fault, fault.words(injection));
        if (fault.begin(this, injection)) this.#count(injection);
      });
    }
  }

  /** No more faults; what lasts is undone. */
  stop(): void {
    this.#stopped = true;
    this.cluster.world.trace.record('fault', 'all end');
    for (const undo of this.#undos) undo();
    this.#undos.clear();
    this.cluster.recover();
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
    this.#count(injection);
  }

  #count({ fault }: Injection): void {
    this.injected[fault] = (this.injected[fault] ?? 0) + 1;
  }
}
