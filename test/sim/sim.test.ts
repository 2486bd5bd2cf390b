/** Whole clusters under faults: a fixed set of seeds that has something of everything, seeds that failed once, and a few that nobody has run before. */
import { describe, expect, it } from 'vitest';
import { Node } from '../../node/node.ts';
import type { Disk, LogFile, Runtime } from '../../node/runtime/runtime.ts';
import { coveringSeeds, featuresOf } from './covering.ts';
import { faults } from './faults/registry.ts';
import { drawPlan, type Plan } from './plan/plan.ts';
import { nodeCounts } from './plan/shape.ts';
import { regressions } from './regressions.ts';
import { runPlan, runSeed } from './run.ts';
import { workloads } from './workloads/registry.ts';

const fixedSeeds = coveringSeeds(80);
const freshFrom = Math.floor(Math.random() * 2 ** 32);
const freshSeeds = Array.from({ length: 32 }, (_, i) => freshFrom + i);
/** A seed takes a second or so; but what the checker has to search varies, and other tests run beside it. */
const timeoutMs = 180_000;

describe('a fixed set of seeds', () => {
  it('has every workload, fault and size of cluster', () => {
    const features = new Set(fixedSeeds.flatMap((seed) => featuresOf(drawPlan({ seed }))));
    const wanted = [
      ...Object.keys(workloads).map((workload) => `workload ${workload}`),
      ...[...faults.keys()].map((fault) => `fault ${fault}`),
      ...Object.keys(workloads).flatMap((workload) => [1, 3].map((nodes) => `${workload} on ${nodes} nodes`)),
      ...nodeCounts.map((nodes) => `${Math.min(3, nodes)} replicas of ${nodes}`),
    ];
    expect(wanted.filter((feature) => !features.has(feature))).toEqual([]);
  });

  it.each(fixedSeeds)('%i holds', async (seed) => {
    expect((await runSeed({ seed })).failures).toEqual([]);
  }, timeoutMs);
});

it('seeds that failed once hold', async () => {
  for (const { seed, story } of regressions) {
    const { failures } = await runSeed({ seed });
    expect({ seed, story, failures }).toEqual({ seed, story, failures: [] });
  }
}, timeoutMs);

describe('a fresh seed', () => {
  console.log(`fresh seeds: ${freshFrom} to ${freshFrom + freshSeeds.length - 1}; run them again: npm run sim -- --from ${freshFrom} --seeds ${freshSeeds.length}`);
  it.each(freshSeeds)('%i holds', async (seed) => {
    expect((await runSeed({ seed })).failures).toEqual([]);
  }, timeoutMs);
});

describe('a run', () => {
  it('repeats itself to the last byte, from its seed and from its plan', async () => {
    for (const seed of [1, 2, 3]) {
      const first = await runSeed({ seed });
      const again = await runSeed({ seed });
      const replayed = await runPlan(JSON.parse(JSON.stringify(first.plan)) as Plan);
      expect([again.traceHash, replayed.traceHash]).toEqual([first.traceHash, first.traceHash]);
      expect([again.steps, again.operations, again.injected]).toEqual([first.steps, first.operations, first.injected]);
    }
    expect((await runSeed({ seed: 1 })).traceHash).not.toBe((await runSeed({ seed: 2 })).traceHash);
  }, timeoutMs);

  it('goes on without a node whose disk has changed, and loses no node otherwise', async () => {
    let lost = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const rotten = await runSeed({ seed, faults: ['rot-last-write', 'rot-journal', 'rot-table', 'crash'] });
      expect(rotten.failures).toEqual([]);
      lost += rotten.replaced.length;
      expect((await runSeed({ seed, faults: ['crash', 'failing-flush'] })).replaced).toEqual([]);
    }
    expect(lost).toBeGreaterThan(0);
  }, timeoutMs);

  it('that gets nowhere is ended, with its last steps', async () => {
    const plan = drawPlan({ seed: 1, workload: 'register', faults: [] });
    const { failures } = await runPlan(plan, {
      makeNode: (runtime, config, id) => {
        const circle = (): void => {
          runtime.log.info({ id }, 'goes in circles');
          runtime.defer(circle);
        };
        circle();
        return new Node(runtime, config, id);
      },
    });
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(/^livelock: no end after \d+ steps; the last ones:\n(.*\n)+.*goes in circles/);
  }, timeoutMs);

  it('finds out a disk that says too early that it has written', async () => {
    let caught: readonly string[] = [];
    for (let seed = 1; seed <= 30 && caught.length === 0; seed++) {
      const plan = drawPlan({ seed, faults: ['crash', 'crash-all', 'crash-after-answer'] });
      ({ failures: caught } = await runPlan(plan, { makeNode: (runtime, config, id) => new Node(hasty(runtime), config, id) }));
    }
    expect(caught).not.toEqual([]);
  }, timeoutMs);
});

/** A runtime whose log files say that they have written before they have: a crash then takes votes back that were told. */
function hasty(runtime: Runtime): Runtime {
  const hastyFile = (file: LogFile): LogFile => {
    const waiting: (() => void)[] = [];
    let busy = false;
    const next = (): void => {
      busy = false;
      waiting.shift()?.();
    };
    return {
      write(position, chunks, done) {
        const write = (): void => {
          busy = true;
          file.write(position, chunks, next);
        };
        if (busy) waiting.push(write);
        else write();
        runtime.defer(() => done());
      },
      close: () => file.close(),
    };
  };
  const disk: Disk = {
    logs: () => runtime.disk.logs(),
    readLog: (name) => runtime.disk.readLog(name),
    openLog: (name, sizeBytes) => hastyFile(runtime.disk.openLog(name, sizeBytes)),
    renameLog: (from, to) => runtime.disk.renameLog(from, to),
    removeLog: (name) => runtime.disk.removeLog(name),
    openTable: () => runtime.disk.openTable(),
    copies: () => runtime.disk.copies(),
    removeCopy: (name, done) => runtime.disk.removeCopy(name, done),
  };
  return {
    clock: runtime.clock, log: runtime.log, disk,
    randomUint32: () => runtime.randomUint32(),
    after: (delayMs, action) => runtime.after(delayMs, action),
    defer: (action) => runtime.defer(action),
    dial: (url) => runtime.dial(url),
    listen: (url, onConnection, done) => runtime.listen(url, onConnection, done),
    fatal: (reason, details) => runtime.fatal(reason, details),
  };
}
