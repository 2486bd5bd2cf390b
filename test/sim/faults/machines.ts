/**
 * Disks that are slow, full or broken, and clocks that are wrong.
 *
 * A node that can't write its journal or its table gives no votes, and comes back by itself when its disk does; one that is started
 * meanwhile may end at once, and is started again. What a disk never does here is lose or change what it said was
 * durable: bits that flip are in rot.ts; lost disks and old images (`wipe`, `restore` of disk.ts) take a node out for good, and wait for
 * nodes that can be replaced.
 */
import { list, ms, type Fault, type Injection, type Site } from './fault.ts';
import type { DiskFaults } from '../disk.ts';
import type { Random } from '../random.ts';

const oneNode = (random: Random, { nodes }: { nodes: readonly string[] }): string[] => [random.pick(nodes)];

/** Spoils a disk in a way that the node may not survive. */
function spoil(site: Site, { on, lastsMs }: Injection, change: (faults: DiskFaults) => () => void): boolean {
  for (const host of on) {
    const { disk } = site.cluster.world.host(host);
    const undo = change(disk.faults);
    const excuse = site.cluster.excuseFatal(host);
    site.undoAfter(lastsMs, () => {
      undo();
      excuse.end();
    });
  }
  return true;
}

export const machines: readonly Fault[] = [
  {
    name: 'slow-disk',
    everyMs: [500, 4_000],
    draw: (random, scene) => ({ on: oneNode(random, scene), amount: Math.round(10 ** random.between(0, 3)) }),
    begin(site, { on: [host], amount, lastsMs }) {
      const { faults } = site.cluster.world.host(host as string).disk;
      faults.delayMs += amount;
      site.undoAfter(lastsMs, () => (faults.delayMs -= amount));
      return true;
    },
    words: ({ on, amount, lastsMs }) => `the disk of ${list(on)} takes ${ms(amount)} longer for everything, for ${ms(lastsMs)}`,
  },
  {
    name: 'failing-flush',
    everyMs: [1_000, 6_000],
    draw: (random, scene) => ({ on: oneNode(random, scene), amount: random.pick([0.02, 0.3, 1]) }),
    begin: (site, injection) => spoil(site, injection, (faults) => {
      faults.logFailureChance += injection.amount;
      return () => (faults.logFailureChance = Math.max(0, faults.logFailureChance - injection.amount));
    }),
    words: ({ on, amount, lastsMs }) => `flushes of the journal of ${list(on)} fail with probability ${amount}, for ${ms(lastsMs)}`,
  },
  {
    name: 'failing-table',
    everyMs: [1_000, 6_000],
    draw: (random, scene) => ({ on: oneNode(random, scene), amount: random.pick([0.1, 1]) }),
    begin: (site, injection) => spoil(site, injection, (faults) => {
      faults.tableFailureChance += injection.amount;
      return () => (faults.tableFailureChance = Math.max(0, faults.tableFailureChance - injection.amount));
    }),
    words: ({ on, amount, lastsMs }) => `commits of the table of ${list(on)} fail with probability ${amount}, for ${ms(lastsMs)}`,
  },
  {
    name: 'full-disk',
    everyMs: [1_000, 6_000],
    draw: (random, scene) => ({ on: oneNode(random, scene) }),
    begin: (site, injection) => spoil(site, injection, (faults) => {
      faults.full = true;
      return () => (faults.full = false);
    }),
    words: ({ on, lastsMs }) => `the disk of ${list(on)} is full for ${ms(lastsMs)}`,
  },
  {
    name: 'read-only-disk',
    everyMs: [1_000, 6_000],
    draw: (random, scene) => ({ on: oneNode(random, scene) }),
    begin: (site, injection) => spoil(site, injection, (faults) => {
      faults.readOnly = true;
      return () => (faults.readOnly = false);
    }),
    words: ({ on, lastsMs }) => `the disk of ${list(on)} can't be written to for ${ms(lastsMs)}`,
  },
  {
    name: 'hanging-disk',
    everyMs: [2_000, 10_000],
    draw: (random, scene) => ({ on: oneNode(random, scene), amount: Math.round(random.between(2_000, 6_000)) }),
    begin(site, { on: [host], amount, lastsMs }) {
      const { faults } = site.cluster.world.host(host as string).disk;
      faults.delayMs += amount;
      site.undoAfter(lastsMs, () => (faults.delayMs -= amount));
      return true;
    },
    words: ({ on, amount, lastsMs }) => `what the disk of ${list(on)} is asked to do within ${ms(lastsMs)} takes ${ms(amount)}`,
  },
  {
    name: 'clock-jump',
    everyMs: [200, 3_000],
    draw: (random, scene) => ({ on: oneNode(random, scene), amount: Math.round(random.pick([-1, 1]) * 10 ** random.between(0, 6.5)) }),
    begin({ cluster }, { on, amount }) {
      for (const host of on) cluster.world.host(host).clock.jump(amount);
      return true;
    },
    words: ({ on, amount }) => `the wall clock of ${list(on)} is set ${amount < 0 ? 'back' : 'forth'} by ${ms(Math.abs(amount))}`,
  },
  {
    name: 'clock-drift',
    everyMs: [500, 4_000],
    draw: (random, scene) => ({ on: oneNode(random, scene), amount: Math.round(random.pick([-1, 1]) * 10 ** random.between(2, 5.5)) }),
    begin(site, { on: [host], amount, lastsMs }) {
      const { clock } = site.cluster.world.host(host as string);
      clock.drift(amount);
      site.undoAfter(lastsMs, () => clock.drift(0));
      return true;
    },
    words: ({ on, amount, lastsMs }) => `the clocks of ${list(on)} ${amount < 0 ? 'lose' : 'gain'} ${Math.abs(amount)} ppm, for ${ms(lastsMs)}`,
  },
];
